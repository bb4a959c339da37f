"""The same over TLS, which is what the venues speak."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.errors import DeadlinePassed, MaybeSent, NotSent
from router.transport.link import Link
from tests.unit.transport.bench import METHODS, Bench, open_bench
from tests.unit.transport.raw_peer import OK, answer, hang
from tests.unit.transport.test_reuse import MINE, OTHERS


@pytest.fixture
async def stranger(certificate: Path) -> AsyncIterator[Bench]:
    """A venue whose certificate this machine does not trust."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with open_bench(context) as made:
        yield made


@pytest.fixture
def venue(stranger: Bench, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One that it trusts."""
    trusting = ssl.create_default_context(cafile=str(certificate))
    # aiohttp reads the machine's own authorities once, when it is imported.
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    return stranger


@pytest.mark.parametrize("method", METHODS)
async def test_requests_go_over_one_connection(venue: Bench, method: str) -> None:
    """The handshake is paid once."""
    for _ in range(3):
        assert (await venue.send(venue.request(method, scheme="https"))).body == b"ok"
    assert (venue.peer.connections, len(venue.peer.requests)) == (1, 3)
    assert venue.peer.requests[0].endswith(venue.request(method).body)


async def test_a_stranger_gets_no_request(stranger: Bench) -> None:
    """Nobody vouches for its certificate."""
    await stranger.fails(NotSent, stranger.request(scheme="https"))
    assert (stranger.begun, stranger.peer.requests) == (0, [])


async def test_what_stops_a_request_keeps_the_connection(venue: Bench) -> None:
    """As without TLS: it was connected, and nothing was written."""

    def late() -> None:
        raise DeadlinePassed("late")

    request = venue.request(scheme="https")
    await venue.fails(DeadlinePassed, request, before_write=late)
    await asyncio.sleep(0.05)  # the handshake has an epilogue of its own (TLS 1.3: tickets), which is no answer
    await venue.send(request)
    assert (venue.peer.connections, len(venue.peer.requests)) == (1, 1)


@pytest.mark.parametrize("heard", [True, False], ids=["read", "not read yet"])
async def test_what_an_idle_connection_says_is_nobodys_answer(venue: Bench, heard: bool) -> None:
    """As without TLS."""
    request = venue.request(scheme="https")
    await venue.send(request)
    venue.peer.writers[0].write(OTHERS)
    if heard:
        await asyncio.wait_for(venue.peer.closed_by_client.wait(), 2)
    venue.peer.script.append(answer(MINE))
    assert (await venue.send(request)).body == b"mine"
    assert (venue.peer.connections, len(venue.peer.requests)) == (2, 2)


@pytest.mark.parametrize("heard", [True, False], ids=["read", "not read yet"])
async def test_a_connection_that_the_venue_closed_is_not_used(venue: Bench, heard: bool) -> None:
    """As without TLS: it says goodbye, and perhaps nobody has listened yet."""
    request = venue.request(scheme="https")
    await venue.send(request)
    venue.peer.writers[0].close()
    await asyncio.sleep(0.05 if heard else 0)
    assert (await venue.send(request)).status == 200
    assert (venue.peer.connections, len(venue.peer.requests)) == (2, 2)


async def test_a_goodbye_behind_an_answer_is_heard(venue: Bench) -> None:
    """The connection still looks open in the turn in which it is said."""
    request = venue.request(scheme="https")
    venue.peer.script.append(answer(OK, stay=False))
    assert (await venue.send(request)).body == b"ok"
    assert (await venue.send(request)).body == b"ok"
    assert (venue.peer.connections, len(venue.peer.requests)) == (2, 2)


async def test_a_goodbye_to_an_idle_connection_is_heard(venue: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same."""
    request, said, listen = venue.request(scheme="https"), asyncio.Event(), Link.eof_received

    def listen_and_tell(link: Link) -> None:
        listen(link)
        said.set()

    monkeypatch.setattr(Link, "eof_received", listen_and_tell)
    await venue.send(request)
    venue.peer.writers[0].close()
    async with asyncio.timeout(2):
        await said.wait()
    assert (await venue.send(request)).body == b"ok"
    assert (venue.peer.connections, len(venue.peer.requests)) == (2, 2)


@pytest.mark.parametrize("method", METHODS)
async def test_a_lost_answer_may_have_been_sent(venue: Bench, method: str) -> None:
    """As without TLS; and the connection that was waited on is not used again."""
    request = venue.request(method, scheme="https")
    venue.peer.script.extend([answer(OK[:30], stay=False), hang, answer(MINE)])
    await venue.fails(MaybeSent, request)
    await venue.fails(MaybeSent, request, timeout_s=0.1)
    assert (await venue.send(request)).body == b"mine"
    assert (venue.peer.connections, len(venue.peer.requests)) == (3, 3)
