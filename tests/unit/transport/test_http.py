"""HTTP to a venue (`router.transport.http`), against a raw socket that does what a test says. More in `transport/`.

What matters is which failures prove that no byte left (`NotSent`), that the others do not (`MaybeSent`), and that
nothing is ever sent twice.
"""

import asyncio
import select
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.errors import DeadlinePassed, MaybeSent, NotSent
from router.transport.http import HttpTransport
from router.transport.link import MAX_ANSWER_BYTES
from tests.unit.transport.bench import METHODS, SECRET, Bench, hang_up, open_bench
from tests.unit.transport.raw_peer import OK, Behaviour, Peer, answer, drip, flood, hang, reset


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A listening peer and an open transport."""
    async with open_bench() as made:
        yield made


@pytest.mark.parametrize("method", METHODS)
async def test_a_request_arrives_as_it_was_signed(bench: Bench, method: str) -> None:
    """Path, query, header and body, byte for byte; the answer comes back with lower-case header names."""
    response = await bench.send(bench.request(method))
    (seen,) = bench.peer.requests
    head, _, body = seen.partition(b"\r\n\r\n")
    assert head.startswith(f"{method} /v1/x?b=2&a=%2F,1&signature={SECRET} HTTP/1.1\r\n".encode())
    assert f"API-SIGN: {SECRET}".encode() in head
    assert body == bench.request(method).body
    assert (response.status, response.body, response.headers.get("x-id")) == (200, b"ok", "7")
    assert bench.begun == 1


async def test_connections_are_kept(bench: Bench) -> None:
    """The second request does not pay for a connection."""
    for _ in range(3):
        await bench.send()
    assert (bench.peer.connections, len(bench.peer.requests)) == (1, 3)


async def test_many_at_once_each_with_its_own_first_byte(bench: Bench) -> None:
    """No request waits for another's connection, or stops another's."""

    def late() -> None:
        raise DeadlinePassed("not_after has passed")

    checks = [late if n % 2 else None for n in range(40)]
    sends = [bench.send(before_write=check) for check in checks]
    ended = await asyncio.gather(*sends, return_exceptions=True)
    assert [isinstance(one, DeadlinePassed) for one in ended] == [check is late for check in checks]
    assert (bench.begun, len(bench.peer.requests)) == (40, 20)


async def test_refused_is_not_sent(bench: Bench) -> None:
    """Nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        bench.port = taken.getsockname()[1]
        await bench.fails(NotSent)
    assert bench.begun == 0


async def test_an_unknown_host_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS fails."""

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    await bench.fails(NotSent, bench.request(host="nowhere.invalid"))
    assert bench.begun == 0


async def test_a_handshake_that_fails_is_not_sent(bench: Bench) -> None:
    """TLS to somebody who does not speak it: bytes left, but none of the request."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        bench.port = server.sockets[0].getsockname()[1]
        await bench.fails(NotSent, bench.request(scheme="https"))
    assert bench.begun == 0


async def test_a_connection_that_does_not_come_is_not_sent(bench: Bench) -> None:
    """Waiting for it is bounded by `connect_s`, not by the time for an answer."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        bench.port = server.sockets[0].getsockname()[1]
        began = asyncio.get_running_loop().time()
        await bench.fails(NotSent, bench.request(scheme="https"), connect_s=0.1, timeout_s=30)
    assert asyncio.get_running_loop().time() - began < 2
    assert bench.begun == 0


async def test_a_closed_transport_sends_nothing() -> None:
    """After the end there is no connection to be had."""
    transport = HttpTransport()
    bench = Bench(Peer(), transport, 9)
    await bench.fails(NotSent)
    async with transport:
        pass
    with pytest.raises(Exception, match=r".") as caught:
        await bench.send()
    assert not isinstance(caught.value, MaybeSent)


@pytest.mark.parametrize("error", [NotSent("stale"), DeadlinePassed("late")], ids=["stale", "late"])
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
async def test_what_stops_a_request_stops_its_first_byte(bench: Bench, error: NotSent, kept: bool) -> None:
    """`before_write` raises with the connection in hand: not one byte arrives, and the connection serves the next."""
    if kept:
        await bench.send()

    def stop() -> None:
        raise error

    assert await bench.fails(type(error), before_write=stop) is error
    assert len(bench.peer.requests) == kept
    await bench.send()
    assert len(bench.peer.requests) == kept + 1
    assert bench.peer.connections == 1


@pytest.mark.parametrize("method", METHODS)
async def test_a_loop_that_lags_sends_nothing_after_the_deadline(bench: Bench, method: str) -> None:
    """However late a request gets its turn with its connection, it asks about the deadline then."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + 0.05

    def before_write() -> None:
        if loop.time() >= ends:
            raise DeadlinePassed("late")

    loop.call_soon(time.sleep, 0.1)
    await bench.fails(DeadlinePassed, bench.request(method), before_write=before_write)
    assert (bench.begun, len(bench.peer.requests)) == (1, 0)
    await bench.send()
    assert (bench.peer.connections, len(bench.peer.requests)) == (1, 1)


@pytest.mark.parametrize("method", METHODS)
async def test_nothing_comes_between_the_last_look_and_the_first_byte(bench: Bench, method: str) -> None:
    """`before_write` and the write are one turn: whatever the loop does next, all of the request is at the peer."""
    await bench.send()
    loop, peer = asyncio.get_running_loop(), bench.peer.writers[0].transport
    there: list[bool] = []

    def look() -> None:
        there.append(bool(select.select([peer.get_extra_info("socket")], [], [], 0)[0]))
        peer.resume_reading()  # type: ignore[attr-defined]  # a stream's transport is a socket's

    def before_write() -> None:
        there.clear()
        peer.pause_reading()  # type: ignore[attr-defined]
        loop.call_soon(look)

    await bench.send(bench.request(method), before_write=before_write)
    assert there == [True]


LOST: dict[str, Behaviour] = {
    "closed": answer(b"", stay=False),
    "reset": reset,
    "half a head": answer(b"HTTP/1.1 200 OK\r\nContent-", stay=False),
    "no body": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", stay=False),
    "half a body": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", stay=False),
    "half a chunk": answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123", stay=False),
    "bad chunk": answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", stay=False),
    "no HTTP": answer(b"\x00\xff" * 50, stay=False),
    "two lengths": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", stay=False),
    "endless head": answer(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", stay=False),
    "quotes": answer(b"HTTP/1.1 200 " + SECRET.encode() + b"\r\nContent-Length: x" + SECRET.encode() + b"\r\n\r\n"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lost", LOST)
async def test_an_answer_that_is_lost_may_have_been_sent(bench: Bench, lost: str, method: str) -> None:
    """Bytes left and no whole answer came: `MaybeSent`, and the request arrived exactly once."""
    bench.peer.script.append(LOST[lost])
    await bench.fails(MaybeSent, bench.request(method))
    await asyncio.sleep(0)
    assert (len(bench.peer.requests), bench.begun) == (1, 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lost", ["closed", "reset"])
async def test_a_kept_connection_that_dies_under_a_request_repeats_nothing(
    bench: Bench, lost: str, method: str
) -> None:
    """The library would send GET, PUT and DELETE again by itself: one arrival, and the failure is ours to judge."""
    await bench.send()
    bench.peer.script.append(LOST[lost])
    await bench.fails(MaybeSent, bench.request(method))
    assert (len(bench.peer.requests), bench.begun, bench.peer.connections) == (2, 2, 1)


@pytest.mark.parametrize("method", METHODS)
async def test_a_kept_connection_closed_just_as_we_write_repeats_nothing(bench: Bench, method: str) -> None:
    """The peer closes it after the last look at it: the bytes are lost, and no second connection carries them."""
    await bench.send()
    await bench.fails(MaybeSent, bench.request(method), before_write=lambda: hang_up(bench.peer.writers[0]))
    assert (len(bench.peer.requests), bench.begun, bench.peer.connections) == (1, 2, 1)


@pytest.mark.parametrize("method", METHODS)
async def test_a_kept_connection_closed_before_we_write_is_not_used(bench: Bench, method: str) -> None:
    """The peer has closed it, and the loop has not told us yet: it is looked at before the first byte."""
    await bench.send()
    hang_up(bench.peer.writers[0])
    assert (await bench.send(bench.request(method))).status == 200
    assert (len(bench.peer.requests), bench.begun, bench.peer.connections) == (2, 2, 2)


async def test_a_kept_connection_known_to_be_closed_is_not_used(bench: Bench) -> None:
    """Once we have heard, a new one is made before the first byte."""
    await bench.send()
    bench.peer.writers[0].close()
    await bench.peer.writers[0].wait_closed()
    await asyncio.sleep(0.05)
    assert (await bench.send()).status == 200
    assert (len(bench.peer.requests), bench.peer.connections) == (2, 2)


@pytest.mark.parametrize("slow", [hang, drip], ids=["silent", "dripping"])
async def test_an_answer_that_takes_too_long_may_have_been_sent(bench: Bench, slow: Behaviour) -> None:
    """The time counts from the first byte to the last one of the answer."""
    bench.peer.script.append(slow)
    began = asyncio.get_running_loop().time()
    await bench.fails(MaybeSent, timeout_s=0.2, connect_s=30)
    assert 0.15 < asyncio.get_running_loop().time() - began < 2
    await asyncio.wait_for(bench.peer.closed_by_client.wait(), 2) if slow is drip else None


async def test_the_time_for_an_answer_begins_with_the_first_byte(bench: Bench) -> None:
    """What was left of `connect_s` does not cut it short."""

    async def slow(writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.3)
        return await answer(OK)(writer)

    bench.peer.script.append(slow)
    assert (await bench.send(timeout_s=5, connect_s=0.1)).status == 200


@pytest.mark.parametrize(
    "big",
    [answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (10 * MAX_ANSWER_BYTES) + b"x" * 100), flood],
    ids=["announced", "endless"],
)
async def test_an_answer_too_large_to_be_one_is_not_read(bench: Bench, big: Behaviour) -> None:
    """The connection is closed instead; what happened is not known."""
    bench.peer.script.append(big)
    error = await bench.fails(MaybeSent, timeout_s=5 if big is flood else 0.3)
    assert big is not flood or str(error) != "no answer in time"


async def test_a_large_answer_that_can_be_one_is_read(bench: Bench) -> None:
    """Up to the bound, with or without a length."""
    body = b"x" * (MAX_ANSWER_BYTES - 10)
    bench.peer.script.append(answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    assert (await bench.send(timeout_s=10)).body == body
    bench.peer.script.append(answer(b"HTTP/1.1 200 OK\r\n\r\n" + body, stay=False))
    assert (await bench.send(timeout_s=10)).body == body


async def test_what_is_compressed_stays_so(bench: Bench) -> None:
    """A few bytes that would unpack to gigabytes are handed on as they are, for the venue's code to find unreadable."""
    packed = b"\x1f\x8b\x08\x00" + b"\x00" * 20
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    bench.peer.script.append(answer(head + packed))
    assert (await bench.send()).body == packed


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_answers(bench: Bench, status: int) -> None:
    """A signed request goes where it was signed for, and nowhere else."""
    head = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{bench.port}/elsewhere\r\nContent-Length: 0\r\n\r\n"
    bench.peer.script.append(answer(head.encode()))
    assert (await bench.send()).status == status
    assert len(bench.peer.requests) == 1


async def test_cookies_are_not_kept(bench: Bench) -> None:
    """One account's session never rides on another's request."""
    bench.peer.script.append(answer(b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: 0\r\n\r\n"))
    await bench.send()
    await bench.send()
    assert b"session" not in bench.peer.requests[1]


async def test_early_hints_are_not_the_answer(bench: Bench) -> None:
    """What comes before it is skipped."""
    bench.peer.script.append(answer(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK))
    assert (await bench.send()).status == 200


async def test_a_cancelled_request_closes_its_connection(bench: Bench) -> None:
    """Its late answer must not be taken for the next request's."""
    bench.peer.script.append(hang)
    sending = asyncio.ensure_future(bench.send())
    while not bench.peer.requests:
        await asyncio.sleep(0.005)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (await bench.send()).status == 200
    assert bench.peer.connections == 2
