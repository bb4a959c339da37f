"""A connection serves one request after another, and none of them ever gets another's answer."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from router.errors import DeadlinePassed, MaybeSent, NotSent
from router.transport.link import Link
from tests.unit.transport.bench import METHODS, Bench, hang_up
from tests.unit.transport.raw_peer import OK, Behaviour, answer, hang, reset

OTHERS = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nothers"
MINE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"
UNASKED = {
    "an answer": OTHERS,
    "two": OTHERS + OTHERS,
    "the same one again": OK,
    "all but its end": OTHERS[:-1],
    "its beginning": OTHERS[:12],
    "an empty line": b"\r\n",
    "no HTTP": b"\x00\xff",
    "a farewell": b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "a hint": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
async def test_what_an_idle_connection_says_is_nobodys_answer(bench: Bench, unasked: bytes, method: str) -> None:
    """It is closed at once, and the next request goes elsewhere."""
    await bench.send()
    bench.peer.writers[0].write(unasked)
    await asyncio.wait_for(bench.peer.closed_by_client.wait(), 2)
    bench.peer.script.append(answer(MINE))
    assert (await bench.send(bench.request(method))).body == b"mine"
    assert (len(bench.peer.requests), bench.peer.connections, bench.begun) == (2, 2, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
async def test_nor_is_what_the_loop_has_not_read_yet(bench: Bench, unasked: bytes, method: str) -> None:
    """It lies in the socket when the next request wants to be written: that is looked at first."""
    await bench.send()
    bench.peer.writers[0].write(unasked)
    bench.peer.script.append(answer(MINE))
    assert (await bench.send(bench.request(method))).body == b"mine"
    assert (len(bench.peer.requests), bench.peer.connections, bench.begun) == (2, 2, 2)


async def test_an_end_that_the_loop_has_not_read_yet_is_seen_too(bench: Bench) -> None:
    """A close over a connection whose end is known is not put in doubt: nothing is written to it."""
    await bench.send()
    hang_up(bench.peer.writers[0])
    assert (await bench.send()).status == 200
    assert (len(bench.peer.requests), bench.peer.connections) == (2, 2)


@pytest.mark.parametrize("before", [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"])
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
async def test_what_comes_behind_an_answer_is_nobodys(bench: Bench, unasked: bytes, before: bytes) -> None:
    """In the same packet: the connection ends with that answer. What cannot be read at all spoils the answer itself."""
    bench.peer.script.extend([answer(before + unasked), answer(MINE)])
    if unasked == UNASKED["no HTTP"]:
        await bench.fails(MaybeSent)
    else:
        assert (await bench.send()).body == b"ok"
    assert (await bench.send()).body == b"mine"
    assert (len(bench.peer.requests), bench.peer.connections) == (2, 2)


async def test_a_late_answer_is_nobodys(bench: Bench) -> None:
    """A request that ran out of time takes its connection with it."""
    bench.peer.script.extend([hang, answer(MINE)])
    await bench.fails(MaybeSent, timeout_s=0.05)
    bench.peer.writers[0].write(OTHERS)
    assert (await bench.send()).body == b"mine"
    assert bench.peer.connections == 2


@pytest.mark.parametrize("so_far", [b"", OTHERS[:12], OTHERS[:-3]], ids=["nothing", "half a head", "half a body"])
async def test_a_cancelled_request_takes_its_connection_with_it(bench: Bench, so_far: bytes) -> None:
    """However much of its answer is there."""

    async def begin(writer: asyncio.StreamWriter) -> bool:
        writer.write(so_far)
        return await hang(writer)

    bench.peer.script.extend([begin, answer(MINE)])
    sending = asyncio.ensure_future(bench.send())
    await bench.arrived(1)
    await asyncio.sleep(0.02)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (await bench.send()).body == b"mine"
    assert bench.peer.connections == 2


async def test_a_request_cancelled_as_its_answer_arrives_takes_it_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same turn of the loop."""
    receive = Link.data_received

    def receive_and_cancel(link: Link, data: bytes) -> None:
        receive(link, data)
        sending.cancel()

    monkeypatch.setattr(Link, "data_received", receive_and_cancel)
    sending = asyncio.ensure_future(bench.send())
    with pytest.raises(asyncio.CancelledError):
        await sending
    monkeypatch.undo()
    assert (await bench.send()).body == b"ok"
    assert bench.peer.connections == 2


async def test_what_comes_before_the_answer_was_taken_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket may be read several times in one turn of the loop."""
    receive = Link.data_received

    def receive_more(link: Link, data: bytes) -> None:
        receive(link, data)
        receive(link, OTHERS)

    monkeypatch.setattr(Link, "data_received", receive_more)
    assert (await bench.send()).body == b"ok"
    monkeypatch.undo()
    bench.peer.script.append(answer(MINE))
    assert (await bench.send()).body == b"mine"
    assert bench.peer.connections == 2


async def test_the_number_of_a_lost_connection_may_be_that_of_another(bench: Bench) -> None:
    """What the system now has under it says nothing of ours."""
    await bench.send()
    await reset(bench.peer.writers[0])
    await asyncio.sleep(0.05)
    others = [socket.socketpair() for _ in range(10)]
    try:
        assert (await bench.send()).status == 200
    finally:
        for pair in others:
            pair[0].close()
            pair[1].close()
    assert (len(bench.peer.requests), bench.peer.connections) == (2, 2)


async def test_two_requests_at_once_do_not_share_a_connection(bench: Bench) -> None:
    """Each gets the answer to its own, whichever comes first."""
    both = asyncio.Event()

    def numbered(number: int, waits_for: asyncio.Event) -> Behaviour:
        async def behave(writer: asyncio.StreamWriter) -> bool:
            await waits_for.wait()
            return await answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)(writer)

        return behave

    bench.peer.script.extend(numbered(number, both) for number in range(2))
    sending = [asyncio.ensure_future(bench.send(bench.request(method))) for method in ("PUT", "DELETE")]
    await bench.arrived(2)
    order = [seen.split()[0].decode() for seen in bench.peer.requests]
    both.set()
    put, delete = await asyncio.gather(*sending)
    assert bench.peer.connections == 2
    assert (put.body, delete.body) == (b"%d" % order.index("PUT"), b"%d" % order.index("DELETE"))


async def test_the_connection_used_last_is_used_next(bench: Bench) -> None:
    """So those too many for the traffic grow old and are closed, instead of each being old when its turn comes."""
    serving: list[asyncio.StreamWriter] = []

    async def note(writer: asyncio.StreamWriter) -> bool:
        serving.append(writer)
        return await answer(OK)(writer)

    bench.peer.script.extend([note] * 5)
    await asyncio.gather(bench.send(), bench.send())
    for _ in range(3):
        await bench.send()
    assert bench.peer.connections == 2
    assert len(set(serving[2:])) == 1


async def test_what_is_idle_for_long_is_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if no request comes any more."""
    monkeypatch.setattr("router.transport.http.KEEP_ALIVE_S", 0.05)
    await bench.send()
    await asyncio.wait_for(bench.peer.closed_by_client.wait(), 2)
    monkeypatch.setattr("router.transport.http.KEEP_ALIVE_S", 60)
    await asyncio.gather(bench.send(), bench.send())
    monkeypatch.setattr("router.transport.http.KEEP_ALIVE_S", 0)
    await bench.send()
    assert bench.peer.connections == 4


async def test_the_end_of_the_transport_closes_what_is_idle(bench: Bench) -> None:
    """And sends nothing more."""
    await bench.send()
    await bench.transport.__aexit__(None, None, None)
    await asyncio.wait_for(bench.peer.closed_by_client.wait(), 2)
    await bench.fails(NotSent)


def _after_connecting(monkeypatch: pytest.MonkeyPatch, act: Callable[[Any], Any], wait_s: float = 0.02) -> None:
    """Do something between a connection's coming and its first request, and let the loop turn or not."""
    connect = aiohttp.TCPConnector.connect

    async def slow(*args: Any) -> Any:
        made = await connect(*args)
        await asyncio.sleep(0.02)
        act(made)
        if wait_s:
            await asyncio.sleep(wait_s)
        return made

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", slow)


@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
async def test_a_venue_that_speaks_first_gets_no_request(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, unasked: bytes
) -> None:
    """Its word would be taken for the answer."""
    _after_connecting(monkeypatch, lambda _: bench.peer.writers[-1].write(unasked))
    await bench.fails(NotSent)
    assert (bench.begun, bench.peer.requests) == (0, [])


async def test_a_venue_that_leaves_at_once_gets_no_request(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had no room for the connection."""
    _after_connecting(monkeypatch, lambda _: hang_up(bench.peer.writers[-1]))
    await bench.fails(NotSent)
    assert (bench.begun, bench.peer.requests) == (0, [])


async def test_a_new_connection_that_is_closing_gets_no_request(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loss is known, and not told yet."""
    _after_connecting(monkeypatch, lambda made: made.transport.close(), wait_s=0)
    await bench.fails(NotSent)
    assert (bench.begun, bench.peer.requests) == (0, [])


async def test_what_an_unused_connection_says_is_nobodys_answer(bench: Bench) -> None:
    """One that was connected for a request that then was too late."""

    def late() -> None:
        raise DeadlinePassed("late")

    await bench.fails(DeadlinePassed, before_write=late)
    while not bench.peer.writers:
        await asyncio.sleep(0.001)
    bench.peer.writers[0].write(OTHERS)
    bench.peer.script.append(answer(MINE))
    assert (await bench.send()).body == b"mine"
    assert (len(bench.peer.requests), bench.peer.connections) == (1, 2)
