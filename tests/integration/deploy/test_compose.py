"""What deploy/compose.yaml starts, started on this machine by its own commands and configuration."""

import asyncio
import os
import re
import shlex
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.setup import ROOT
from router.demo.rabbitmq_node import free_ports
from tests.faults.databases import new_database
from tests.postgresql import PostgreSQL
from tests.stack import ORDER_ROUTER, WorkerProcess, until

pytestmark = pytest.mark.integration

FILE = ROOT / "deploy/compose.yaml"


def four_ports() -> int:
    """Return the first of four free ports in a row."""
    while True:
        (first,) = free_ports(1)
        try:
            for port in range(first, first + 4):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


@asynccontextmanager
async def started(name: str, arguments: list[str], directory: Path, port: int) -> AsyncIterator[WorkerProcess]:
    """Run one of our services until the context ends. It finds its configuration as it does in the image."""
    log = directory / f"{name}.log"
    variables = {key: value for key, value in os.environ.items() if not key.startswith("ORDER_ROUTER_")}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            ORDER_ROUTER,
            *arguments,
            cwd=directory,
            stdout=out,
            stderr=out,
            env={**variables, "ORDER_ROUTER_HTTP__PORT": str(port)},
        )
    made = WorkerProcess(process, log, port)
    try:
        yield made
    finally:
        await made.kill()


async def test_it_closes_a_position(rabbitmq: Any, postgresql: PostgreSQL, tmp_path: Path) -> None:
    """Simulators, worker and feed become ready, and the command that its head names is answered."""
    compose: dict[str, Any] = yaml.safe_load(FILE.read_text())
    first = four_ports()
    text = (ROOT / "deploy/compose/router.toml").read_text()
    for number in range(4):
        text = text.replace(f"simulators:{9471 + number}", f"127.0.0.1:{first + number}")
    text = re.sub(r'url = "amqp.*"', f'url = "{rabbitmq.url}"\nprefix = "t{uuid.uuid4().hex[:8]}"', text)
    text = re.sub(r'url = "postgresql.*"', f'url = "{await new_database(postgresql.url)}"', text)
    (tmp_path / "order-router.toml").write_text(text)

    async with AsyncExitStack() as stack:
        ports = dict(zip(("simulators", "worker", "feed"), free_ports(3), strict=True))
        processes = {}
        for name, port in ports.items():
            arguments = [it if it != "9471" else str(first) for it in compose["services"][name]["command"]]
            processes[name] = await stack.enter_async_context(started(name, arguments, tmp_path, port))
            ready = '"venues"' if name == "simulators" else '"ready"'
            await until(lambda process=processes[name], ready=ready: ready in process.said())
        assert await processes["worker"].ready()
        assert await processes["feed"].ready()
        head = re.sub(r"\s*\\\n#\s*", " ", FILE.read_text())
        command = re.search(r"exec worker order-router (send .*)", head)
        assert command
        sent = await asyncio.create_subprocess_exec(
            ORDER_ROUTER, *shlex.split(command[1]), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        told, _ = await asyncio.wait_for(sent.communicate(), 60)
        assert sent.returncode == 0, told
        assert b"accepted" in told
