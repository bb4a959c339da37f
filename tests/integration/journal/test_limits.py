"""Limits that four processes share through a real journal, on both back ends. The venue's own meter is the oracle."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest
import pytest_asyncio

from router.access.limiter import Limiter, Priority
from router.access.shares import HOLD_US, Shares
from router.access.windows import Turn
from router.clock import SystemClock
from router.journal import Store, open_journal
from router.simulator.rates import Meter, Rate
from router.venue_protocol import Limit
from tests.integration.journal.conftest import Open, until
from tests.journal_cases import began, close, reply
from tests.journal_place import Place

pytestmark = pytest.mark.integration

CANCEL, CLOSE = Priority.CANCEL, Priority.CLOSE
GMO: Final = Limit("post", 20, 1.0, cancels_only=4)
POST: Final = ("post",)


class Venue:
    """What a venue counts, and what it had to refuse."""

    def __init__(self) -> None:
        self._all = Meter([Rate(scope="post", count=20, period_s=1.0)])
        self._closes = Meter([Rate(scope="post", count=16, period_s=1.0)])
        self.times: list[float] = []
        self.breaches = 0

    def arrived(self, priority: Priority) -> None:
        """Count a request that arrives now."""
        now_s = time.monotonic()
        self.times.append(now_s)
        meters = [self._all] if priority is CANCEL else [self._all, self._closes]
        self.breaches += any(meter.take("post", account="main", ip="", now_s=now_s) for meter in meters)


class Pod:
    """One process's limiter and shares."""

    def __init__(self, shares: Shares, limiter: Limiter, venue: Venue) -> None:
        self._running = asyncio.ensure_future(shares.run())
        self.shares = shares
        self._limiter = limiter
        self._venue = venue

    async def stop(self) -> None:
        """End as a drained process does."""
        self._running.cancel()
        await asyncio.wait([self._running])
        await self.shares.release()

    async def send(self, priority: Priority = CLOSE) -> float:
        """Send one request; return how long it waited."""
        began_s = time.monotonic()
        while True:
            turn: Turn | float | None = self._limiter.take("main", POST, priority)
            if turn is None:
                turn = await self._limiter.wait("main", POST, priority, 1.0)
            if isinstance(turn, float):
                await asyncio.sleep(min(turn, 1.0))
            elif turn.leave():
                self._venue.arrived(priority)
                waited_s = time.monotonic() - began_s
                await asyncio.sleep(0.005)
                turn.answered()
                return waited_s

    async def send_many(self) -> None:
        """Send closes as fast as may be, forty at a time, until cancelled."""

        async def one_after_the_other() -> None:
            while True:
                await self.send()

        await asyncio.gather(*(one_after_the_other() for _ in range(40)))

    def block(self, seconds: float) -> None:
        """Hear from the venue that it was too much."""
        self._limiter.block("main", POST, seconds)


StartPod = Callable[[], Awaitable[Pod]]


@pytest.fixture
def venue() -> Venue:
    """The venue that all pods send to."""
    return Venue()


async def pod_on(journal: Store, venue: Venue) -> Pod:
    """Start a pod that has its share."""
    shares = Shares(journal, SystemClock(), "shared")
    limiter = Limiter([GMO], SystemClock(), shares.lease)
    shares.add("gmo_coin", limiter, ["main"])
    await shares.turn()
    return Pod(shares, limiter, venue)


@pytest_asyncio.fixture
async def start(open_place: Open, venue: Venue) -> AsyncIterator[StartPod]:
    """Start pods on the test's journal, each with a connection of its own; all are ended afterwards."""
    async with AsyncExitStack() as stack:

        async def started() -> Pod:
            pod = await pod_on(await open_place(), venue)
            stack.push_async_callback(pod.stop)
            return pod

        yield started


@asynccontextmanager
async def running(*work: Awaitable[None]) -> AsyncIterator[None]:
    """Let something run meanwhile."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def grown(venue: Venue, by: int) -> None:
    """Wait until so many more requests have arrived."""
    wanted = len(venue.times) + by

    async def there() -> bool:
        return len(venue.times) >= wanted

    await until(there)


async def test_four_loaded_pods_use_the_limit_and_never_break_it(start: StartPod, venue: Venue) -> None:
    """At least 95 % of what closes may use; cancels leave at once all the while."""
    pods = [await start() for _ in range(4)]
    async with running(*(pod.send_many() for pod in pods)):
        await grown(venue, 20)
        began = len(venue.times)
        await grown(venue, 48)
        closes = venue.times[began:]
        waits = await asyncio.gather(*(pod.send(CANCEL) for pod in pods))
        await grown(venue, 16)
    assert venue.breaches == 0
    assert max(waits) <= 2 / 20
    assert (len(closes) - 1) / (closes[-1] - closes[0]) >= 0.95 * 16


async def test_one_loaded_pod_has_what_the_others_do_not_need(start: StartPod, venue: Venue) -> None:
    """Within two seconds; and when the others are loaded as well, they have their part within two seconds."""
    pods = [await start() for _ in range(4)]
    async with running(pods[0].send_many()):
        began_s = time.monotonic()
        await grown(venue, 40)
        assert sum(began_s + 1 <= at_s < began_s + 2 for at_s in venue.times) >= 0.8 * 16
        async with running(pods[1].send_many()):
            waits = await asyncio.gather(*(pods[2].send() for _ in range(3)))
        await grown(venue, 16)
    assert max(waits) < 4
    assert venue.breaches == 0


async def test_pods_come_and_go(start: StartPod, venue: Venue) -> None:
    """What one hands in when it ends is the other's at once, and no period has too many meanwhile."""
    pods = [await start() for _ in range(2)]
    async with running(pods[0].send_many()):
        async with running(pods[1].send_many()):
            await grown(venue, 24)
            newcomer = await start()
            await newcomer.send()
        await pods[1].stop()
        await grown(venue, 12)
        began = len(venue.times)
        await grown(venue, 32)
        closes = venue.times[began:]
    assert venue.breaches == 0
    assert (len(closes) - 1) / (closes[-1] - closes[0]) >= 0.8 * 16


async def test_what_the_venue_says_to_one_holds_for_all(start: StartPod, venue: Venue) -> None:
    """One hears `Retry-After`: within half a second nobody sends any more."""
    pods = [await start() for _ in range(3)]
    async with running(*(pod.send_many() for pod in pods)):
        await grown(venue, 16)
        pods[2].block(2.0)
        blocked_s = time.monotonic()
        await grown(venue, 20)
    assert not [at_s for at_s in venue.times if blocked_s + 0.7 <= at_s < blocked_s + 1.99]


async def test_a_process_that_froze_in_the_middle_holds_up_nobody(shared_place: Place, venue: Venue) -> None:
    """It keeps the rows of a scope locked. The others keep their leases and their places, and no command waits."""
    async with AsyncExitStack() as stack:
        pods = []
        for _ in range(2):
            journal = await stack.enter_async_context(await open_journal(shared_place.url))
            pods.append(await pod_on(journal, venue))
            stack.push_async_callback(pods[-1].stop)
        names = [pod.shares.name for pod in pods]
        frozen = await asyncpg.connect(shared_place.url)
        stack.push_async_callback(frozen.close)
        locks = frozen.transaction()
        await locks.start()
        await frozen.execute("select * from limit_shares for update")
        async with running(*(pod.send_many() for pod in pods)):
            began_s = time.monotonic()
            while time.monotonic() < began_s + HOLD_US / 1e6 + 2:
                asked_s = time.monotonic()
                await journal.admit(began(close(f"c{asked_s}", position=f"p{asked_s}")), reply(), "digest")
                assert time.monotonic() - asked_s < 0.25
                await grown(venue, 1)
            await locks.rollback()
            await grown(venue, 16)
    assert [pod.shares.name for pod in pods] == names
    assert venue.breaches == 0
