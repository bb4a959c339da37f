"""The venues' limits (`router.access.limiter`), in virtual time."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.access.limiter import MAX_BLOCK_US, Limiter, Priority
from router.access.places import STRETCH
from router.app.wiring import effective_limits
from router.venue_protocol import Limit, Options
from tests.unit.commands.virtual_time import VirtualClock, VirtualLoop

T = TypeVar("T")
CANCEL, CLOSE, READ = Priority.CANCEL, Priority.CLOSE, Priority.READ
ACT = ("act",)


class Bench:
    """A limiter and the time it lives in."""

    def __init__(self, *limits: Limit) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.limiter = Limiter(limits, self.clock)
        self.left: list[tuple[float, str]] = []
        """When who left."""

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Run until the work is done."""
        return self.loop.run_until_complete(work)

    def take(self, priority: Priority = CLOSE, account: str = "main") -> bool:
        """Leave now, if there is a place."""
        turn = self.limiter.take(account, ACT, priority)
        return turn is not None and turn.leave()

    async def wait(self, priority: Priority, at_most_s: float) -> float:
        """Wait for a place, and leave. Returns when to come back, or 0.0."""
        turn = await self.limiter.wait("main", ACT, priority, at_most_s)
        if isinstance(turn, float):
            return turn
        assert turn.leave()
        return 0.0

    async def leave(self, name: str, priority: Priority, at_s: float, at_most_s: float = 5.0) -> float:
        """Come at a time, wait, and note when the place was there; come back when told to."""
        await asyncio.sleep(at_s)
        while not self.take(priority):
            again_s = await self.wait(priority, at_most_s)
            if not again_s:
                break
            await asyncio.sleep(again_s)
        self.left.append((self.loop.time(), name))
        return self.loop.time()


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    """Whatever is put here is closed in the end."""
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.loop.close()


def bench(benches: list[Bench], *limits: Limit) -> Bench:
    """Return a limiter with these limits."""
    benches.append(Bench(*limits))
    return benches[-1]


def most_in(times: list[float], period_s: float) -> int:
    """Return how many of these times lie in any period of that length."""
    return max((sum(start <= time < start + period_s for time in times) for start in times), default=0)


def test_so_many_and_no_more(benches: list[Bench]) -> None:
    """The count is there at once; the next place comes after the period."""
    limited = bench(benches, Limit("act", 3, 1.0))
    assert [limited.take() for _ in range(5)] == [True, True, True, False, False]
    limited.loop.elapsed_s = STRETCH - 0.01
    assert not limited.take()
    limited.loop.elapsed_s = STRETCH
    assert [limited.take() for _ in range(4)] == [True, True, True, False]


def test_a_scope_without_a_limit_is_free(benches: list[Bench]) -> None:
    """`off` leaves no limit at all."""
    free = bench(benches)
    assert all(free.take() for _ in range(1000))
    free.limiter.block("main", ACT, 10)
    assert free.take()


def test_every_limit_of_every_scope_holds(benches: list[Bench]) -> None:
    """A request that draws from two scopes needs a place in each, and takes none where it has not all."""
    limited = bench(benches, Limit("act", 5, 1.0), Limit("act", 8, 60.0), Limit("all", 3, 1.0))
    both = ("act", "all")
    taken = [limited.limiter.take("main", both, CLOSE) for _ in range(4)]
    assert [turn is not None and turn.leave() for turn in taken] == [True, True, True, False]
    assert [limited.take() for _ in range(3)] == [True, True, False]
    limited.loop.elapsed_s = 2
    assert [limited.take() for _ in range(4)] == [True, True, True, False]


def test_limits_of_an_account_and_of_an_address(benches: list[Bench]) -> None:
    """Accounts do not share the former, and do share the latter."""
    own = bench(benches, Limit("act", 1, 1.0))
    assert [own.take(account=name) for name in ("main", "other", "main")] == [True, True, False]
    shared = bench(benches, Limit("act", 1, 1.0, per="ip"))
    assert [shared.take(account=name) for name in ("main", "other")] == [True, False]


def test_cancels_go_first(benches: list[Bench]) -> None:
    """Whoever waits, the next place is a cancel's, then a close's, then a read's; equals in the order they came."""
    limited = bench(benches, Limit("act", 1, 1.0))

    async def rush() -> None:
        names = [("read", READ), ("close-1", CLOSE), ("close-2", CLOSE), ("cancel-1", CANCEL), ("cancel-2", CANCEL)]
        await limited.leave("first", CLOSE, 0)
        await asyncio.gather(*(limited.leave(name, rank, 0.01 * n, 20) for n, (name, rank) in enumerate(names)))

    limited.run(rush())
    assert [name for _, name in limited.left] == ["first", "cancel-1", "cancel-2", "close-1", "close-2", "read"]


def test_nobody_of_equal_rank_jumps_the_queue(benches: list[Bench]) -> None:
    """A place that is free for a moment belongs to whoever waits for it; a cancel takes it all the same."""
    limited = bench(benches, Limit("act", 1, 1.0))

    async def jump() -> tuple[bool, bool]:
        limited.take()
        waiting = asyncio.ensure_future(limited.leave("patient", CLOSE, 0))
        await asyncio.sleep(0.5)
        limited.loop.elapsed_s = 1.2  # the place is free, but the waiter's timer has not run yet
        taken = limited.take(CLOSE), limited.take(CANCEL)
        await waiting
        return taken

    assert limited.run(jump()) == (False, True)


def test_what_is_kept_for_cancels_is_out_of_others_reach(benches: list[Bench]) -> None:
    """`cancels_only` places are left when closes and reads have used theirs."""
    limited = bench(benches, Limit("act", 5, 1.0, cancels_only=2))
    assert [limited.take(CLOSE) for _ in range(4)] == [True, True, True, False]
    assert not limited.take(READ)
    assert [limited.take(CANCEL) for _ in range(3)] == [True, True, False]


def test_a_limit_that_is_all_for_cancels_never_lets_others_through(benches: list[Bench]) -> None:
    """A wrong configuration does not become an endless loop."""
    limited = bench(benches, Limit("act", 2, 1.0, cancels_only=2))
    assert not limited.take(CLOSE)
    assert limited.run(limited.wait(CLOSE, 0.5)) > 0
    assert limited.take(CANCEL)


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(st.floats(0, 4), st.sampled_from((CANCEL, CLOSE, READ)), st.sampled_from((0.1, 1.0, 5.0))),
        max_size=40,
    ),
    count=st.integers(1, 5),
    kept=st.integers(0, 2),
)
def test_never_more_than_the_count_in_any_period(
    arrivals: list[tuple[float, Priority, float]], count: int, kept: int
) -> None:
    """Whoever comes when: in any second the venue sees at most what it allows, and everybody gets through."""
    limits = [Limit("act", count, 1.0, cancels_only=min(kept, count - 1)), Limit("act", 10, 4.0)]
    limited = Bench(*limits)

    async def rush() -> None:
        await asyncio.gather(*(limited.leave(f"{rank:d}", rank, at, most) for at, rank, most in arrivals))

    limited.run(rush())
    limited.loop.close()
    assert len(limited.left) == len(arrivals)
    for limit in limits:
        assert most_in([time for time, _ in limited.left], limit.period_s) <= limit.count
    others = [time for time, name in limited.left if name != f"{CANCEL:d}"]
    assert most_in(others, 1.0) <= count - limits[0].cancels_only


def test_a_limit_is_used(benches: list[Bench]) -> None:
    """Forty closes under ten a second need four seconds, not more."""
    limited = bench(benches, Limit("act", 10, 1.0))

    async def rush() -> None:
        await asyncio.gather(*(limited.leave(str(n), CLOSE, 0, 1.0) for n in range(40)))

    limited.run(rush())
    assert limited.left[-1][0] < 3 * STRETCH + 2


def test_a_longer_wait_is_told_at_once(benches: list[Bench]) -> None:
    """What would wait longer than it may is sent away without waiting, and finds a place when it comes back."""
    limited = bench(benches, Limit("act", 1, 10.0))
    limited.take()
    again_s = limited.run(limited.wait(CLOSE, 1.0))
    assert limited.loop.time() < 0.01
    assert 10.0 < again_s < 11.0
    limited.loop.elapsed_s += again_s
    assert limited.take()


def test_those_sent_away_do_not_return_all_at_once(benches: list[Bench]) -> None:
    """Each is told a time of its own, at the pace of the limit; a tenth faster, so that no place stays unused."""
    limited = bench(benches, Limit("act", 2, 10.0))
    assert limited.take()
    assert limited.take()
    told = [limited.run(limited.wait(CLOSE, 1.0)) for _ in range(10)]
    assert told == sorted(told)
    assert told[-1] - told[0] >= 9 * 10.0 / 2 * 0.9


def test_a_cancel_is_not_sent_behind_those(benches: list[Bench]) -> None:
    """However many closes are told to come back later, a cancel is told the first free place."""
    limited = bench(benches, Limit("act", 2, 10.0))
    limited.take()
    limited.take()
    for _ in range(50):
        limited.run(limited.wait(CLOSE, 1.0))
    assert limited.run(limited.wait(CANCEL, 1.0)) <= 10.0 * STRETCH


def test_a_wait_ends_in_time(benches: list[Bench]) -> None:
    """Others took the places meanwhile: the answer comes after `at_most_s`, and is above zero."""
    limited = bench(benches, Limit("act", 1, 1.0))

    async def pushed() -> float:
        limited.take()
        others = []
        waiting = asyncio.ensure_future(limited.wait(READ, 1.5))
        for n in range(3):
            others.append(asyncio.ensure_future(limited.leave(str(n), CANCEL, 0.1, 60)))
        told = await waiting
        for other in others:
            other.cancel()
        await asyncio.wait(others)
        return told

    assert limited.run(pushed()) > 0
    assert 1.5 <= limited.loop.time() < 1.6


def test_a_wait_that_is_cut_leaves_its_turn_to_the_next(benches: list[Bench]) -> None:
    """A cancelled waiter takes no place."""
    limited = bench(benches, Limit("act", 1, 1.0))

    async def cut() -> float:
        limited.take()
        first = asyncio.ensure_future(limited.leave("first", CLOSE, 0))
        second = asyncio.ensure_future(limited.leave("second", CLOSE, 0.1))
        await asyncio.sleep(0.2)
        first.cancel()
        return await second

    assert limited.run(cut()) == pytest.approx(STRETCH)


def test_what_the_venue_calls_too_much_stops_everything_for_a_while(benches: list[Bench]) -> None:
    """Cancels too; and a shorter word later does not take a longer one back."""
    limited = bench(benches, Limit("act", 10, 1.0))
    limited.limiter.block("main", ACT, 5.0)
    limited.limiter.block("main", ACT, 1.0)
    limited.loop.elapsed_s = 4.9
    assert not limited.take(CANCEL)
    limited.loop.elapsed_s = 5.1
    assert limited.take(CANCEL)


def test_a_venues_threat_is_believed_only_so_far(benches: list[Bench]) -> None:
    """A date in the year 9999 does not stop an account for ever."""
    limited = bench(benches, Limit("act", 10, 1.0))
    limited.limiter.block("main", ACT, 1e9)
    again_s = limited.run(limited.wait(CANCEL, 1.0))
    assert again_s <= MAX_BLOCK_US / 1e6


@pytest.mark.parametrize("jump_s", [-1, -300, -86_400, 86_400])
def test_a_clock_that_is_set_stops_nothing(benches: list[Bench], jump_s: int) -> None:
    """Whatever the wall clock says, a place is free again after the period, and not before."""
    limited = bench(benches, Limit("act", 2, 1.0))
    limited.take()
    limited.take()
    limited.clock.jump_us = jump_s * 1_000_000
    limited.loop.elapsed_s = 0.5
    assert not limited.take()
    limited.loop.elapsed_s = 2 * STRETCH
    assert limited.take()


def test_waiters_do_not_spin(benches: list[Bench]) -> None:
    """Somebody who stands behind another costs no thousand wake-ups a second."""
    limited = bench(benches, Limit("act", 1, 1.0), Limit("all", 10, 1.0))
    wakes = 0
    serve = limited.limiter.serve

    def counted() -> None:
        nonlocal wakes
        wakes += 1
        serve()

    limited.limiter.serve = counted  # type: ignore[method-assign]  # counted, not changed

    async def behind() -> None:
        limited.limiter.take("main", ("act", "all"), CLOSE)
        first = asyncio.ensure_future(limited.limiter.wait("main", ("act", "all"), CLOSE, 1.5))
        second = asyncio.ensure_future(limited.limiter.wait("main", ("all",), READ, 1.5))
        await asyncio.gather(first, second)

    limited.run(behind())
    assert wakes < 60


def test_a_configured_rate_leaves_cancels_their_share() -> None:
    """Of another number the same part is out of reach for everything else; of so few that it is none, nothing is."""
    published = (Limit("act", 20, 1.0, cancels_only=4), Limit("act", 60, 60.0, "ip"), Limit("read", 5, 1.0))
    options = Options(rest_url="", limits={"act": "200/1s,3/2s"})
    assert set(effective_limits(published, options)) == {
        Limit("read", 5, 1.0),
        Limit("act", 200, 1.0, cancels_only=40),
        Limit("act", 3, 2.0),
        Limit("act", 200, 1.0, "ip"),
        Limit("act", 3, 2.0, "ip"),
    }
