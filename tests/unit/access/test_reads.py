"""One signed, limited, measured read; and rounds of them whose equal reads are shared."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest

from router.access.configured import Account, Venue
from router.access.limiter import Limiter, Priority
from router.access.reads import Reader, Reads
from router.clock import SystemClock
from router.telemetry import Metrics
from router.venue_protocol import Request, Response, SignedRequest
from router.venues.nami import Nami, NamiOptions


class Answers:
    """A transport that answers every request with one status."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.sent = 0

    async def send(
        self, request: SignedRequest, *, timeout_s: float, connect_s: float, before_write: Callable[[], None]
    ) -> Response:
        """Answer."""
        self.sent += 1
        return Response(self.status, {}, b"{}")


def venue() -> Venue:
    """Return Nami, its signer left out."""
    adapter, clock = Nami(NamiOptions()), SystemClock()
    sign: Any = lambda request, stamp: SignedRequest(request.method, "http://venue", {}, b"")  # noqa: E731 - a stub
    return Venue(
        name="nami",
        adapter=adapter,
        options=NamiOptions(),
        accounts={"main": Account("main", sign)},
        limiter=Limiter(adapter.limits, clock),
    )


def flow(request: Request) -> Generator[Request, Response, int]:
    """Read once, and return the status."""
    return (yield request).status


@pytest.mark.parametrize(("status", "blocked"), [(200, False), (418, True), (429, True)])
async def test_a_read_that_was_too_much_lets_nothing_leave_for_a_while(status: int, blocked: bool) -> None:
    """Nami bans the address of whoever goes on: then nothing could be canceled either."""
    nami, transport = venue(), Answers(status)
    request = next(nami.adapter.probe())
    reader = Reader(transport, SystemClock(), Metrics())
    assert await Reads(reader).run(nami, nami.accounts["main"], flow(request)) == status
    assert (nami.limiter.take("main", request.scopes, Priority.CANCEL) is None) == blocked


async def test_equal_reads_of_one_round_are_sent_once() -> None:
    """Whichever flows ask for them, and at the same time."""
    nami, transport = venue(), Answers(200)
    request = next(nami.adapter.probe())
    reads = Reads(Reader(transport, SystemClock(), Metrics()))
    runs = [reads.run(nami, nami.accounts["main"], flow(request)) for _ in range(5)]
    assert await asyncio.gather(*runs) == [200] * 5
    assert (transport.sent, len(reads)) == (1, 1)
