"""How an answer begins and ends, and whether its connection carries another request."""

import asyncio
import contextlib

import pytest

from router.errors import MaybeSent
from router.transport.http import HttpTransport
from router.transport.link import MAX_ANSWER_BYTES
from router.venue_protocol import SignedRequest
from tests.unit.transport.bench import Bench
from tests.unit.transport.raw_peer import OK, Behaviour, Peer, answer, flood, hang, reset
from tests.unit.transport.test_http import LOST

WHOLE = {
    "a length": (200, b"ok", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "no body": (200, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "no content": (204, b"", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": (304, b"", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"),
    "chunks": (200, b"okay", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n2\r\nay\r\n0\r\n\r\n"),
    "after a 100": (200, b"ok", b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
    "after two hints": (200, b"ok", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2 + OK),
    "a refusal": (400, b"no", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"),
}
LAST = {
    "it says so": (200, b"ok", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
    "it is old": (200, b"ok", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "it turns to another protocol": (101, b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    "it ends in a trailer": (
        200,
        b"ok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
    ),
}
NO_LENGTH = b"HTTP/1.1 200 OK\r\n\r\nok"


def dribble(data: bytes, size: int) -> Behaviour:
    """Write bytes so many at a time, each in a packet of its own."""

    async def behave(writer: asyncio.StreamWriter) -> bool:
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            await asyncio.sleep(0.001)
        return True

    return behave


@pytest.mark.parametrize("size", [1000, 17, 1])
@pytest.mark.parametrize(("status", "body", "data"), WHOLE.values(), ids=WHOLE)
async def test_a_whole_answer_leaves_the_connection_free(
    bench: Bench, status: int, body: bytes, data: bytes, size: int
) -> None:
    """However it is cut into packets: it is read, and the next request goes over the same connection."""
    bench.peer.script.append(dribble(data, size))
    seen = await bench.send()
    assert (seen.status, seen.body) == (status, body)
    assert (await bench.send()).headers["x-id"] == "7"
    assert (bench.peer.connections, len(bench.peer.requests)) == (1, 2)


@pytest.mark.parametrize(("status", "body", "data"), LAST.values(), ids=LAST)
async def test_a_last_answer_ends_the_connection(bench: Bench, status: int, body: bytes, data: bytes) -> None:
    """It is read, and the next request goes elsewhere, although the venue left the connection open."""
    bench.peer.script.append(answer(data))
    seen = await bench.send()
    assert (seen.status, seen.body) == (status, body)
    await asyncio.wait_for(bench.peer.closed_by_client.wait(), 2)
    assert (await bench.send()).status == 200
    assert (bench.peer.connections, len(bench.peer.requests)) == (2, 2)


async def test_an_answer_without_a_length_ends_with_its_connection(bench: Bench) -> None:
    """The venue's close is its end."""
    bench.peer.script.append(answer(NO_LENGTH, stay=False))
    assert (await bench.send()).body == b"ok"
    assert (await bench.send()).body == b"ok"
    assert bench.peer.connections == 2


async def test_an_answer_without_a_length_that_breaks_off_is_none(bench: Bench) -> None:
    """A reset is no end, nor is our own close: who knows what would have followed."""

    async def broken(writer: asyncio.StreamWriter) -> bool:
        await answer(NO_LENGTH)(writer)
        await asyncio.sleep(0.05)
        return await reset(writer)

    bench.peer.script.append(broken)
    await bench.fails(MaybeSent)
    bench.peer.script.append(answer(NO_LENGTH))
    await bench.fails(MaybeSent, timeout_s=0.2)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("lost", LOST)
async def test_an_answer_that_is_lost_may_have_been_sent(bench: Bench, lost: str, method: str) -> None:
    """On either event loop; and the request that comes after it has nothing to do with it."""
    bench.peer.script.append(LOST[lost])
    await bench.fails(MaybeSent, bench.request(method))
    assert (len(bench.peer.requests), bench.begun) == (1, 1)
    assert (await bench.send()).body == b"ok"
    assert (len(bench.peer.requests), bench.peer.connections) == (2, 2)


async def test_an_answer_too_large_ends_the_connection(bench: Bench) -> None:
    """Its rest is not read."""
    bench.peer.script.append(flood)
    await bench.fails(MaybeSent)
    assert (await bench.send()).body == b"ok"
    assert bench.peer.connections == 2


async def test_an_answer_may_be_as_large_as_that(bench: Bench) -> None:
    """And not one byte larger. In chunks as small as one byte, too."""
    body = b"x" * MAX_ANSWER_BYTES
    bench.peer.script.append(answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    assert (await bench.send(timeout_s=20)).body == body
    bench.peer.script.append(answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nx" % (len(body) + 1) + body))
    await bench.fails(MaybeSent, timeout_s=20)
    bench.peer.script.append(
        answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500_000 + b"0\r\n\r\n")
    )
    assert (await bench.send(timeout_s=20)).body == b"x" * 500_000


async def test_the_end_of_the_transport_is_not_waited_for(bench: Bench) -> None:
    """A request that is under way then may have been sent, and its sender hears so at once."""
    bench.peer.script.append(hang)
    sending = asyncio.ensure_future(bench.fails(MaybeSent, timeout_s=60))
    await bench.arrived(1)
    await asyncio.wait_for(bench.transport.__aexit__(None, None, None), 5)
    await asyncio.wait_for(sending, 5)


async def test_an_early_answer_does_not_free_a_connection_that_still_sends() -> None:
    """The venue refused a body before it had come in: its rest never leaves, and nothing is queued behind it."""
    serving: list[asyncio.Task[None] | None] = []
    over = asyncio.Event()
    received, size = 0, 50_000_000

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        serving.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await over.wait()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1_000_000):
                received += len(data)
        writer.close()

    async with await asyncio.start_server(hasty, "127.0.0.1", 0) as server, HttpTransport() as transport:
        bench = Bench(Peer(), transport, server.sockets[0].getsockname()[1])
        large = SignedRequest("POST", bench.request().url, {}, bytes(size))
        assert (await bench.send(large)).body == b"ok"
        assert (await bench.send()).body == b"ok"
    over.set()
    await asyncio.gather(*filter(None, serving))
    assert len(serving) == 2
    assert received < size
