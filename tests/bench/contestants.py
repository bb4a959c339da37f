"""What is measured: the router on either journal, and what people would write instead. Each is a program of its own."""

import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import msgspec
from msgspec import Struct

from tests.bench.process import Process, running

ROOT: Final = Path(__file__).parents[2]
ORDER_ROUTER: Final = Path(sys.executable).with_name("order-router")
PEERS: Final = ROOT / ".tools" / "peers"
"""The environment of the peers: `make peers` makes it from tests/bench/peers/requirements.txt."""
LIMITS: Final = {"post": "200/1s"}
"""What a venue allows an account where that is what limits the router. Real ones allow less."""
PREFETCH: Final = 64
"""Per queue, the router's default; every contestant gets the same."""


class Course(Struct, frozen=True, kw_only=True):
    """Where contestants run: a broker, a venue, a PostgreSQL, a folder for what they write."""

    broker: str
    venue: str
    postgresql: str
    directory: Path


Start = Callable[[Course, str], AbstractAsyncContextManager[Process]]
"""Starts a contestant on the queues under a prefix."""


def account_names(count: int) -> list[str]:
    """Return the names of so many accounts: the first is `main`, the rest are `a1`, `a2`, …"""
    return ["main", *(f"a{number}" for number in range(1, count))]


def router_config(
    course: Course, prefix: str, journal: str, accounts: int = 1, limits: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the router's configuration, with so many accounts and with no other limits than these."""
    return {
        "broker": {"url": course.broker, "prefix": prefix, "prefetch": PREFETCH},
        "journal": {"url": journal},
        "http": {"port": 0},
        "venues": {"gmo_coin": {"rest_url": course.venue, "limits": limits or "off"}},
        "accounts": {
            "gmo_coin": {
                name: {"api_key": f"key-{name}", "api_secret": "secret-of-it"} for name in account_names(accounts)
            }
        },
    }


def run_router(
    course: Course,
    prefix: str,
    journal: str,
    *,
    accounts: int = 1,
    limits: dict[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> AbstractAsyncContextManager[Process]:
    """Run `order-router worker` on a journal."""
    file = course.directory / f"{uuid.uuid4().hex[:8]}.toml"
    file.write_bytes(msgspec.toml.encode(router_config(course, prefix, journal, accounts, limits)))
    command = [str(ORDER_ROUTER), "worker", "--config", str(file)]
    return running(command, course.directory / f"{prefix}.log", environ)


def router_sqlite(course: Course, prefix: str) -> AbstractAsyncContextManager[Process]:
    """Run the router on a new SQLite journal."""
    return run_router(course, prefix, f"sqlite:///{course.directory}/{prefix}.db")


def router_limited(course: Course, prefix: str) -> AbstractAsyncContextManager[Process]:
    """Run the router on a new SQLite journal, before a venue that allows `LIMITS`."""
    return run_router(course, prefix, f"sqlite:///{course.directory}/{prefix}.db", limits=LIMITS)


@asynccontextmanager
async def router_postgresql(course: Course, prefix: str) -> AsyncIterator[Process]:
    """Run the router on a new PostgreSQL database, which is dropped afterwards."""
    async with database(course.postgresql) as url, run_router(course, prefix, url) as process:
        yield process


def bare(course: Course, prefix: str) -> AbstractAsyncContextManager[Process]:
    """Run the bare script."""
    return running(_peer(course, prefix, sys.executable, "-m", "tests.bench.bare"), course.directory / f"{prefix}.log")


def faststream(course: Course, prefix: str) -> AbstractAsyncContextManager[Process]:
    """Run the peer written with FastStream."""
    return _framework(course, prefix, "faststream_peer")


def celery(course: Course, prefix: str) -> AbstractAsyncContextManager[Process]:
    """Run the peer written with Celery. The queues must hold what `peers.celery_message` makes."""
    return _framework(course, prefix, "celery_peer")


def _framework(course: Course, prefix: str, module: str) -> AbstractAsyncContextManager[Process]:
    program = (str(PEERS / "bin/python"), "-m", f"tests.bench.peers.{module}")
    log = course.directory / f"{prefix}.log"
    return running(_peer(course, prefix, *program), log, {"PYTHONPATH": str(ROOT)})


def _peer(course: Course, prefix: str, *program: str) -> list[str]:
    options = {"broker": course.broker, "venue": course.venue, "prefix": prefix, "prefetch": str(PREFETCH)}
    return [*program, *(f"--{name}={value}" for name, value in options.items())]


@asynccontextmanager
async def database(server: str) -> AsyncIterator[str]:
    """Make a database that lasts as long as the context, and give its URL."""
    url = await new_database(server)
    try:
        yield url
    finally:
        connection = await asyncpg.connect(server)
        try:
            await connection.execute(f"drop database {url.rpartition('/')[2]} with (force)")
        finally:
            await connection.close()


async def new_database(url: str) -> str:
    """Make a database of its own in a PostgreSQL and return its URL."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"create database {name}")
    finally:
        await connection.close()
    return f"{url.rpartition('/')[0]}/{name}"
