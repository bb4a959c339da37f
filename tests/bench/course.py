"""Where contestants run: one private broker, one private PostgreSQL, bare venues, and the disk under them all."""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from msgspec import Struct
from msgspec.json import decode

from router.demo.rabbitmq_node import RabbitMQNode
from tests.bench.contestants import Course
from tests.bench.medians import quantile
from tests.bench.process import running
from tests.postgresql import PostgreSQL

BLOCK: Final = 4096
BLOCKS: Final = 256
SYNCS: Final = 200


class Disk(Struct, frozen=True, kw_only=True):
    """What one fdatasync takes, by a quick look."""

    p50_ms: float
    p99_ms: float


@asynccontextmanager
async def laid_out(directory: Path) -> AsyncIterator[Course]:
    """Start everything; what it writes goes to the folder and, by the servers, to folders beside it (`TMPDIR`)."""
    with RabbitMQNode() as node, PostgreSQL() as server:
        async with venue(directory) as url:
            yield Course(broker=node.url, venue=url, postgresql=server.url, directory=directory)


@asynccontextmanager
async def venue(directory: Path, latency_ms: float = 0.0) -> AsyncIterator[str]:
    """Run a bare venue and give its base URL."""
    command = [sys.executable, "-m", "tests.bench.venue", f"--latency-ms={latency_ms}"]
    async with running(command, directory / "venue.log") as process:
        yield await process.line()


async def arrivals(url: str) -> list[tuple[int, float]]:
    """Return which requests arrived at a venue since it was last asked, and when, monotonic seconds."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/arrivals") as answer:
        return decode(await answer.read(), type=list[tuple[int, float]])


def probe(directory: Path) -> Disk:
    """Time fdatasync after each of some writes of 4 KiB into a file that has its size, as a log that is reused has."""
    file = os.open(directory / "probe", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(file, bytes(BLOCK * BLOCKS))
        os.fsync(file)
        took = []
        for number in range(SYNCS):
            os.pwrite(file, os.urandom(BLOCK), number % BLOCKS * BLOCK)
            start = time.perf_counter()
            os.fdatasync(file)
            took.append((time.perf_counter() - start) * 1e3)
    finally:
        os.close(file)
    return Disk(p50_ms=round(quantile(took, 0.5), 3), p99_ms=round(quantile(took, 0.99), 3))
