"""`order-router simulate` feeds a worker and goes away when told to."""

import asyncio
import json
import signal
import socket
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from router.config import load
from router.demo.rabbitmq_node import free_ports

pytestmark = pytest.mark.integration

ORDER_ROUTER = str(Path(sys.executable).with_name("order-router"))
VENUES = {"btcturk", "coinbase", "gmo_coin", "nami"}


@asynccontextmanager
async def simulating(*options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command; it is killed if it does not end by itself."""
    process = await asyncio.create_subprocess_exec(ORDER_ROUTER, "simulate", *options, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def first_line(process: asyncio.subprocess.Process) -> str:
    """Return the first line it prints."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_one_line_serves_and_ends_on_a_signal(number: signal.Signals) -> None:
    """The line is there when the simulators are; a signal is the ordinary way out, exit 0."""
    async with simulating() as process:
        printed = json.loads(await first_line(process))
        assert printed["venues"].keys() == printed["config"]["venues"].keys() == VENUES
        async with aiohttp.ClientSession() as session:
            for urls in printed["venues"].values():
                async with session.get(f"{urls['control_url']}/state") as answer:
                    assert answer.status == 200
        process.send_signal(number)
        rest, _ = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, rest) == (0, b"")


async def test_its_toml_is_a_configuration(tmp_path: Path) -> None:
    """`simulate --toml > x.toml` is all a worker needs besides its broker; --no-limits is said in it."""
    async with simulating("--toml", "--no-limits") as process:
        assert process.stdout is not None
        text = b""
        async with asyncio.timeout(30):
            # The last account's last key: from then on the file is whole.
            while b"api_secret" not in text.partition(b"[accounts.nami.main]")[2]:
                text += await process.stdout.readline()
    file = tmp_path / "x.toml"
    file.write_bytes(text)
    config = load(file, {})
    assert config.accounts.keys() == config.venues.keys() == VENUES
    assert {options.limits for options in config.venues.values() if isinstance(options.limits, str)} == {"off"}
    assert all(options.rest_url.startswith("http://127.0.0.1:") for options in config.venues.values())
    assert tomllib.loads(text.decode()).keys() == {"venues", "accounts"}


async def test_the_ports_can_be_chosen(unused_ports: int) -> None:
    """The first venue by name takes --port, the others follow."""
    async with simulating("--port", str(unused_ports)) as process:
        venues = json.loads(await first_line(process))["venues"]
        roots = [venues[name]["control_url"] for name in sorted(venues)]
        assert roots == [f"http://127.0.0.1:{unused_ports + number}/_sim" for number in range(len(VENUES))]


@pytest.fixture
def unused_ports() -> int:
    """Return the first of four neighbouring ports that are free now."""
    while True:
        (first,) = free_ports(1)
        if all(_is_free(first + number) for number in range(len(VENUES))):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
