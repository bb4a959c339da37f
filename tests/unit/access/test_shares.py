"""Limits that several processes share, in virtual time (`router.access.shares`)."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from router.access.limiter import Priority
from router.access.shares import HOLD_US
from router.venue_protocol import Limit
from tests.unit.access.pods import Bench, Fault, Pod, most_in

CANCEL, CLOSE, READ = Priority.CANCEL, Priority.CLOSE, Priority.READ
GMO: Final = Limit("act", 20, 1.0, cancels_only=4)
BTCTURK: Final = (Limit("act", 10, 1.0), Limit("act", 300, 60.0), Limit("act", 10, 1.0, "ip"))
NAMI: Final = Limit("act", 50, 60.0, "ip", cancels_only=20)
HOLD_S: Final = HOLD_US / 1e6

MakeBench = Callable[..., Bench]


@pytest.fixture
def make() -> Iterator[MakeBench]:
    """Make a bench with so many pods that have settled."""
    made: list[Bench] = []

    def bench(*limits: Limit, pods: int = 4) -> Bench:
        made.append(Bench(*limits))
        made[-1].start(pods)
        made[-1].run(2)
        return made[-1]

    yield bench
    for one in made:
        one.close()


def load(pod: Pod, requests: int, seconds: float, priority: Priority = CLOSE) -> None:
    """Let a pod have much more to send than it may."""
    until_s = pod.bench.loop.time() + seconds
    for _ in range(requests):
        pod.send(priority, until_s=until_s)


def rate(bench: Bench, since_s: float, until_s: float) -> float:
    """Return how many requests a second left."""
    return sum(since_s <= at_s < until_s for at_s in bench.times()) / (until_s - since_s)


@pytest.mark.parametrize(
    ("limit", "usable"), [(GMO, 16), (Limit("act", 10, 1.0), 10), (Limit("act", 30, 1.0, cancels_only=6), 24)]
)
def test_four_loaded_pods_use_what_there_is_and_no_more(make: MakeBench, limit: Limit, usable: int) -> None:
    """At least 95 % of it in every second, and in no period more than the limit."""
    bench = make(limit)
    began_s = bench.loop.time()
    for pod in bench.pods:
        load(pod, 300, 10)
    bench.run(10)
    assert rate(bench, began_s + 1, began_s + 10) >= 0.95 * usable
    assert most_in(bench.times(), limit.period_s) <= usable


@pytest.mark.parametrize(("limit", "usable"), [(GMO, 16), (Limit("act", 10, 1.0), 10)])
def test_what_idle_pods_do_not_need_a_loaded_one_has(make: MakeBench, limit: Limit, usable: int) -> None:
    """80 % of the limit within two seconds; and after that the others have a share again."""
    bench = make(limit)
    began_s = bench.loop.time()
    load(bench.pods[0], 500, 15)
    bench.run(15)
    assert rate(bench, began_s + 1, began_s + 2) >= 0.8 * limit.count
    assert rate(bench, began_s + 2, began_s + 12) >= 0.95 * usable
    assert most_in(bench.times(), limit.period_s) <= usable
    bench.run(8)
    assert all(pod.limiter.take("main", ("act",), CLOSE) is not None for pod in bench.pods)


def test_a_lone_process_asks_nobody(make: MakeBench) -> None:
    """It holds every place: what leaves needs no call to the journal, and a full burst leaves at once."""
    bench = make(GMO, pods=1)
    (pod,) = bench.pods
    pod.journal.fault = "away"
    calls = bench.journal.calls
    turns = [pod.limiter.take("main", ("act",), CLOSE) for _ in range(17)]
    assert [turn is not None for turn in turns] == [True] * 16 + [False]
    assert bench.journal.calls == calls


@pytest.mark.parametrize("limits", [BTCTURK, (NAMI,)])
def test_a_lone_process_waits_for_nobody_under_a_long_period(make: MakeBench, limits: tuple[Limit, ...]) -> None:
    """Used places go back to the journal once a second, and enough new ones are at hand at an even pace."""
    bench = make(*limits, pods=1)
    pace_s = max(limit.period_s / (limit.count - limit.cancels_only) for limit in limits) * 1.05
    for n in range(int(90 / pace_s)):
        bench.at(n * pace_s, lambda: bench.pods[0].send(until_s=999))
    bench.run(100)
    assert len(bench.left) == int(90 / pace_s)
    assert max(departure.waited_s for departure in bench.left) == 0


def test_idle_pods_have_places_at_hand(make: MakeBench) -> None:
    """The first command of each leaves without a call to the journal, a close as well as a cancel."""
    bench = make(GMO)
    calls = bench.journal.calls
    for pod in bench.pods:
        assert pod.limiter.take("main", ("act",), CLOSE) is not None
        assert pod.limiter.take("main", ("act",), CANCEL) is not None
    assert bench.journal.calls == calls


def test_a_burst_beyond_ones_share_waits_a_round_trip(make: MakeBench) -> None:
    """What no other needs is in the pool."""
    bench = make(GMO)
    load(bench.pods[0], 10, 5)
    bench.run(0.2)
    assert len(bench.left) == 10
    assert max(departure.waited_s for departure in bench.left) < 0.05


def test_cancels_do_not_wait_behind_closes(make: MakeBench) -> None:
    """Five hundred closes wait at every pod. A cancel leaves at once: its places are out of the closes' reach."""
    bench = make(GMO)
    for pod in bench.pods:
        load(pod, 500, 20)
    bench.run(5)
    for second in range(8):
        for pod in bench.pods:
            bench.at(second * 1.1, lambda pod=pod: pod.send(CANCEL, until_s=99))  # type: ignore[misc]  # bound now
    bench.run(10)
    waits = [departure.waited_s for departure in bench.left if departure.priority is CANCEL]
    assert len(waits) == 32
    assert max(waits) <= 2 / 20
    assert most_in(bench.times(CLOSE), 1.0) <= 16
    assert most_in(bench.times(), 1.0) <= 20


def test_a_row_of_cancels_has_the_places_of_all_pods(make: MakeBench) -> None:
    """One pod gets them all, behind its closes: each waits some tenths of a second, not its turn among the closes."""
    bench = make(GMO)
    for pod in bench.pods:
        load(pod, 500, 20)
    bench.run(5)
    load(bench.pods[0], 8, 10, CANCEL)
    bench.run(5)
    waits = [departure.waited_s for departure in bench.left if departure.priority is CANCEL]
    assert len(waits) == 8
    assert max(waits) < 1.5


def test_reads_and_closes_never_reach_what_is_kept_for_cancels(make: MakeBench) -> None:
    """Not even while no cancel comes for minutes."""
    bench = make(NAMI, pods=2)
    for pod in bench.pods:
        load(pod, 60, 200, READ)
        load(pod, 60, 200, CLOSE)
    bench.run(200)
    assert 30 * 3 <= len(bench.left) <= 30 * 4
    assert most_in(bench.times(), 60.0) <= 30
    load(bench.pods[0], 15, 10, CANCEL)
    bench.run(2)
    assert len(bench.times(CANCEL)) == 15


def test_every_limit_of_a_request_is_shared(make: MakeBench) -> None:
    """Ten a second, and three hundred a minute, of which nine tenths are gone after half of it."""
    bench = make(*BTCTURK, pods=3)
    for pod in bench.pods:
        load(pod, 400, 130, CANCEL)
    bench.run(130)
    for limit in BTCTURK:
        assert most_in(bench.times(), limit.period_s) <= limit.count
    assert rate(bench, 2, 32) >= 9.5
    assert len(bench.left) >= 0.95 * 600


def test_places_that_an_address_has_are_shared_by_those_who_leave_from_it(make: MakeBench) -> None:
    """Another name is another address; an account's limit holds for both."""
    bench = make(Limit("act", 10, 1.0, "ip"), Limit("act", 15, 1.0), pods=2)
    bench.start(1, address="other")
    bench.run(3)
    began_s = bench.loop.time()
    for pod in bench.pods:
        load(pod, 200, 6)
    bench.run(6)
    shared = [departure.at_s for departure in bench.left if departure.pod.address == "shared"]
    assert most_in(shared, 1.0) <= 10
    assert most_in(bench.times(), 1.0) <= 15
    assert rate(bench, began_s + 2, began_s + 6) >= 0.95 * 15


def test_what_cannot_leave_before_its_deadline_hears_so_at_once(make: MakeBench) -> None:
    """Two hundred closes with four seconds each: those at the end of the line do not wait for them to pass."""
    bench = make(GMO, pods=1)
    load(bench.pods[0], 200, 4)
    bench.run(0.1)
    assert len(bench.refused) >= 200 - 4 * 20
    assert max(bench.refused) < 0.05
    bench.run(4)
    assert len(bench.left) >= 0.9 * 4 * 16


def test_what_a_venue_forbids_is_forbidden_to_all(make: MakeBench) -> None:
    """One pod is told to wait five seconds: within half a second nobody sends, and then all do."""
    bench = make(GMO)
    for pod in bench.pods:
        load(pod, 300, 20)
    bench.run(2)
    bench.pods[1].limiter.block("main", ("act",), 5.0)
    blocked_s = bench.loop.time()
    bench.run(4.9)
    assert rate(bench, blocked_s + 0.5, blocked_s + 4.9) == 0
    bench.run(3)
    assert rate(bench, blocked_s + 6, blocked_s + 7) >= 15
    bench.start()
    bench.pods[0].limiter.block("main", ("act",), 5.0)
    bench.run(1)
    assert bench.pods[-1].limiter.take("main", ("act",), CANCEL) is None, "a pod that starts meanwhile hears of it, too"


def test_what_a_dead_process_held_is_free_after_its_lease(make: MakeBench) -> None:
    """And a period after that, in which it may have sent until the end."""
    bench = make(GMO, pods=2)
    load(bench.pods[0], 100, 1)
    bench.run(1)
    bench.pods[0].kill()
    load(bench.pods[1], 600, 20)
    bench.run(2 * HOLD_S)
    began_s = bench.loop.time()
    bench.run(3)
    assert rate(bench, began_s, began_s + 3) >= 15
    assert most_in(bench.times(), 1.0) <= 16


def test_a_process_that_ends_hands_everything_in(make: MakeBench) -> None:
    """At once, with what it has just used."""
    bench = make(GMO, pods=2)
    load(bench.pods[0], 100, 1)
    bench.run(1)
    bench.loop.run_until_complete(bench.pods[0].stop())
    load(bench.pods[1], 200, 4)
    bench.run(3.5)
    assert rate(bench, bench.loop.time() - 2, bench.loop.time()) >= 15
    assert most_in(bench.times(), 1.0) <= 16


@pytest.mark.parametrize("frozen_s", [HOLD_S + 0.5, 60.0])
def test_a_process_that_was_frozen_sends_nothing_before_it_has_asked(make: MakeBench, frozen_s: float) -> None:
    """Others have its places; what stood in its line must not leave when it wakes."""
    bench = make(GMO, pods=2)
    for pod in bench.pods:
        load(pod, 3000, frozen_s + 30)
    bench.run(0.5)
    bench.loop.freeze(bench.pods[0])
    bench.run(frozen_s)
    bench.loop.thaw(bench.pods[0])
    bench.run(5)
    assert most_in(bench.times(), 1.0) <= 16
    assert any(departure.pod is bench.pods[0] for departure in bench.left[-40:]), "it has a share again"


def test_a_turn_taken_before_a_freeze_is_not_used_after_it(make: MakeBench) -> None:
    """The lease is looked at right before the first byte: by then others may have the place."""
    bench = make(GMO, pods=2)
    turn = bench.pods[0].limiter.take("main", ("act",), CANCEL)
    assert turn is not None
    bench.loop.freeze(bench.pods[0])
    bench.run(HOLD_S + 0.5)
    assert not turn.leave()


def test_what_a_process_used_until_it_was_killed_is_not_free_at_once(
    make: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one on the same machine sees that it is dead, long before its lease is over."""
    bench = make(GMO, pods=3)
    for pod in bench.pods:
        load(pod, 500, 20)
    bench.run(4)
    killed = {bench.pods[0].shares.name}
    bench.pods[0].kill()
    monkeypatch.setattr("router.access.shares.is_dead", killed.__contains__)
    killed_s = bench.loop.time()
    bench.run(3)
    assert most_in(bench.times(), 1.0) <= 16
    assert rate(bench, killed_s + 1.5, killed_s + 3) >= 15
    bench.pods[1].kill()
    bench.start(1)
    load(bench.pods[-1], 500, 20)
    killed.add(bench.pods[1].shares.name)
    bench.run(3)
    assert most_in(bench.times(), 1.0) <= 16


def test_who_comes_back_late_after_an_outage_is_not_buried(make: MakeBench) -> None:
    """Its lease is over, as everybody's was: who is back first gives the others time."""
    bench = make(GMO)
    for pod in bench.pods:
        load(pod, 500, 60)
    bench.run(3)
    bench.journal.fault = "away"
    bench.run(10)
    for pod in bench.pods[1:]:
        pod.journal.fault = "away"
    bench.journal.fault = ""
    bench.run(2)
    for pod in bench.pods[1:]:
        pod.journal.fault = ""
    bench.run(3)
    assert most_in(bench.times(), 1.0) <= 16
    names = {pod.shares.name for pod in bench.pods}
    assert set(bench.loop.run_until_complete(bench.pods[0].journal.limit_news()).pods) == names


@pytest.mark.parametrize("fault", ["away", "hangs", "deaf", "late"])
def test_without_the_journal_each_keeps_its_last_share(make: MakeBench, fault: Fault) -> None:
    """For minutes. All together stay within the limit, when it comes back as well."""
    bench = make(GMO)
    for pod in bench.pods:
        load(pod, 2000, 200)
    bench.run(5)
    bench.journal.fault = fault
    began_s = bench.loop.time()
    bench.run(120)
    assert rate(bench, began_s + 5, began_s + 120) >= 0.9 * 16
    bench.journal.fault = ""
    bench.run(20)
    assert rate(bench, bench.loop.time() - 5, bench.loop.time()) >= 0.95 * 16
    assert most_in(bench.times(), 1.0) <= 16


def test_a_process_that_never_had_a_share_sends_nothing(make: MakeBench) -> None:
    """It starts while the journal is away."""
    bench = make(GMO, pods=1)
    bench.journal.fault = "away"
    bench.start()
    bench.run(2)
    assert bench.pods[1].limiter.take("main", ("act",), CANCEL) is None
    bench.journal.fault = ""
    bench.pods[1].send(CANCEL, until_s=99)
    bench.run(3)
    assert len(bench.left) == 1


def test_a_process_frozen_while_the_journal_is_away_has_no_share(make: MakeBench) -> None:
    """Nobody tells it whether the others were given its places meanwhile."""
    bench = make(GMO, pods=2)
    bench.journal.fault = "away"
    bench.run(5)
    bench.loop.freeze(bench.pods[0])
    bench.run(HOLD_S + 1)
    bench.loop.thaw(bench.pods[0])
    assert bench.pods[0].limiter.take("main", ("act",), CANCEL) is None
    bench.run(1)
    assert bench.pods[0].limiter.take("main", ("act",), CANCEL) is None
    assert bench.pods[1].limiter.take("main", ("act",), CANCEL) is not None


def test_a_clock_that_went_ahead_ends_no_lease(make: MakeBench) -> None:
    """Another server answers, a minute ahead: its clock had a break, so what was used before is not free yet."""
    bench = make(GMO)
    for pod in bench.pods:
        load(pod, 500, 20)
    bench.run(3)
    bench.journal.set_ahead(60)
    bench.run(10)
    assert most_in(bench.times(), 1.0) <= 16
    assert rate(bench, bench.loop.time() - 5, bench.loop.time()) >= 0.95 * 16


def test_what_left_late_counts_when_it_left(make: MakeBench) -> None:
    """Requests that take their turns and are written up to two seconds after that: the venue sees the writes."""
    bench = make(GMO, pods=2)
    for n in range(200):
        bench.pods[n % 2].send(until_s=99, slow_s=(n * 7 % 21) / 10)
    bench.run(30)
    assert len(bench.left) == 200
    assert most_in(bench.times(), 1.0) <= 16


def test_a_report_that_hung_is_not_taken_after_a_later_one(make: MakeBench) -> None:
    """It waited for a lock, was given up, and is made at last: what it says is not true any more."""
    bench = make(GMO, pods=1)
    (pod,) = bench.pods
    (scope, _) = pod.shares.scopes
    report = scope.report(bench.clock.boot_us(), 10, waiting=(0, 0))
    settle = pod.journal.settle_limits
    assert bench.loop.run_until_complete(settle(pod.shares.name, HOLD_US, 1000, [report]))
    pod.kill()
    before = bench.journal.stored(scope.key)
    assert bench.loop.run_until_complete(settle(pod.shares.name, HOLD_US, 999, [replace(report, held=0)])) is None
    assert bench.journal.stored(scope.key) == before


def test_what_a_newer_version_stored_stays_as_it_is(make: MakeBench) -> None:
    """Nobody is given anything of it, whoever holds places keeps them, and every other scope goes on."""
    bench = make(GMO, pods=2)
    everybody, cancels = (scope.key for scope in bench.pods[0].shares.scopes)
    bench.journal.store(everybody, '{"held":"elsewhere"}')
    for pod in bench.pods:
        load(pod, 300, 10)
        load(pod, 6, 10, CANCEL)
    bench.run(10)
    assert bench.journal.stored(everybody) == '{"held":"elsewhere"}'
    assert "needs" in bench.journal.stored(cancels)
    assert 0 < most_in(bench.times(CLOSE), 1.0) <= 16
    assert len(bench.times(CANCEL)) == 12


EVENT = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 5), st.integers(1, 30), st.sampled_from(Priority), st.floats(0, 2.2)),
    st.tuples(st.just("fault"), st.sampled_from(("away", "hangs", "deaf", "late")), st.floats(0.01, 8)),
    st.tuples(st.just("freeze"), st.integers(0, 5), st.floats(0.1, 12)),
    st.tuples(st.just("kill"), st.integers(0, 5)),
    st.tuples(st.just("stop"), st.integers(0, 5)),
    st.tuples(st.just("start")),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    events=st.lists(st.tuples(st.floats(0, 12), EVENT), min_size=4, max_size=40),
    count=st.integers(2, 12),
    kept=st.integers(0, 4),
    period_s=st.sampled_from((1.0, 6.0)),
)
def test_no_period_ever_has_too_many(
    events: list[tuple[float, tuple[Any, ...]]], count: int, kept: int, period_s: float
) -> None:
    """Whatever comes when, with processes that start, end, die and freeze, and a journal that loses its answers."""
    limit = Limit("act", count, period_s, cancels_only=min(kept, count - 1))
    bench = Bench(limit, Limit("act", 3 * count, 2.5 * period_s))
    bench.start(3)
    bench.run(0.3)
    try:
        for at_s, event in sorted(events, key=lambda event: event[0]):
            bench.run(max(at_s + 0.3 - bench.loop.time(), 0))
            happen(bench, *event)
        bench.run(15)
        others = bench.times(CLOSE, READ)
        assert most_in(bench.times(), period_s) <= count
        assert most_in(others, period_s) <= count - limit.cancels_only
        assert most_in(bench.times(), 2.5 * period_s) <= 3 * count
    finally:
        bench.close()


def happen(bench: Bench, what: str, *details: Any) -> None:
    """Let one of the events happen."""
    if what == "start":
        return bench.start()
    if what == "fault":
        fault, seconds = details
        bench.journal.fault = fault
        return bench.at(seconds, lambda: setattr(bench.journal, "fault", ""))
    pod = bench.pods[details[0] % len(bench.pods)]
    match what, details[1:]:
        case "send", (many, priority, slow_s):
            for n in range(many):
                pod.send(priority, until_s=bench.loop.time() + 8, slow_s=slow_s * (n % 3) / 2)
        case "freeze", (seconds,):
            bench.loop.freeze(pod)
            bench.at(seconds, lambda: bench.loop.thaw(pod))
        case "kill", _:
            pod.kill()
        case "stop", _:
            bench.loop.create_task(pod.stop())
    return None
