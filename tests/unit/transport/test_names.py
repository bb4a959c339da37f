"""Names that are not found cost their own requests only, and no longer than connecting may take."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from router.errors import NotSent
from router.transport import names
from tests.unit.transport.bench import Bench

HOSTS = 40


async def test_lookups_that_hang_keep_nobody_else_waiting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than any pool has threads; the good host is looked up meanwhile."""
    over, real, hung = threading.Event(), socket.getaddrinfo, []

    def lookup(host: str, *args: Any) -> Any:
        if host.startswith("dead"):
            hung.append(host)
            over.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "no")
        return real("127.0.0.1", *args)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        dead = [
            asyncio.create_task(bench.fails(NotSent, bench.request(host=f"dead{n % HOSTS}.test"), connect_s=0.5))
            for n in range(2 * HOSTS)
        ]
        while len(hung) < HOSTS:
            await asyncio.sleep(0.001)
        assert (await bench.send(bench.request(host="venue.test"))).body == b"ok"
        assert not any(task.done() for task in dead)
        assert {str(error) for error in await asyncio.gather(*dead)} == {"no connection in time"}
        assert loop.time() - began < 5
        assert len(hung) == HOSTS
    finally:
        over.set()


async def test_a_lookup_that_hangs_is_begun_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once name servers answer again, nobody waits for the one that did not."""
    over, real, asked = threading.Event(), socket.getaddrinfo, []

    def lookup(host: str, *args: Any) -> Any:
        asked.append(host)
        if len(asked) == 1:
            over.wait(20)
        return real("127.0.0.1", *args)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(names, "LOOKUP_S", 0.2)
    try:
        await bench.fails(NotSent, bench.request(host="venue.test"), connect_s=2.0)
        assert (await bench.send(bench.request(host="venue.test"))).body == b"ok"
        assert len(asked) == 2
    finally:
        over.set()


async def test_a_name_that_is_none_is_not_sent(bench: Bench) -> None:
    """Whatever the library says of it."""
    await bench.fails(NotSent, bench.request(host="a" * 70 + ".test"))
    assert bench.begun == 0
