"""What the journal stores of shared limits: places move, and none is made up."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.records.share import Holdings, Report, shared_out

SECOND = 1_000_000
T0 = 1_790_000_000_000_000


def report(held: int, need: int = 0, returned: tuple[int, ...] = (), *, count: int = 10, long: bool = False) -> Report:
    """A report on a limit of ten a second, or ten a minute of which each keeps four ready."""
    period_us, batch = (60 * SECOND, 4) if long else (SECOND, count)
    return Report(
        scope="s", count=count, period_us=period_us, batch=batch, long=long, held=held, returned=returned, need=need
    )


def test_who_is_alone_has_everything() -> None:
    """At once, and free; of a long period only what is to be at hand."""
    assert Holdings().settle("a", {"a"}, report(0), T0).granted == (0,) * 10
    assert Holdings().settle("a", {"a"}, report(0, long=True), T0).granted == (0,) * 4
    assert Holdings().settle("a", {"a"}, report(0, 7, long=True), T0).granted == (0,) * 7


def test_what_nobody_needs_stays_in_the_pool_by_half() -> None:
    """Four processes have one of ten each; the first needs five and has them at once."""
    shares, pods = Holdings(), set("abcd")
    for pod in sorted(pods):
        shares.held[pod] = 0
    assert [len(shares.settle(pod, pods, report(0), T0).granted) for pod in sorted(pods)] == [1] * 4
    assert len(shares.settle("a", pods, report(1, 5), T0).granted) == 5
    assert not shares.is_short(T0)


def test_who_has_too_much_hears_how_much_others_lack() -> None:
    """It hands that in, with the time when each place is free; the other one gets it with that time."""
    shares = Holdings()
    shares.settle("a", {"a"}, report(0), T0)
    grant = shares.settle("b", {"a", "b"}, report(0, 10), T0)
    assert (grant.granted, grant.target, grant.hot) == ((), 10, True)
    assert shares.excess("a", T0) == 10
    shares.settle("a", {"a", "b"}, report(7, returned=(0, 300_000, 700_000)), T0)
    grant = shares.settle("b", {"a", "b"}, report(0, 10), T0 + 100_000)
    assert grant.granted == (0, 200_000, 600_000)


def test_what_a_process_does_not_account_for_it_may_have_used_a_moment_ago() -> None:
    """A grant whose answer was lost; a report that was committed and repeated."""
    shares = Holdings()
    shares.settle("a", {"a"}, report(0), T0)
    grant = shares.settle("a", {"a"}, report(0), T0)
    assert grant.held == 0
    assert grant.granted == (SECOND,) * 10


def test_what_a_dead_process_held_is_free_a_period_after_its_burial() -> None:
    """It may have sent until it was buried."""
    shares = Holdings()
    shares.settle("a", {"a"}, report(0), T0)
    assert shares.settle("b", {"b"}, report(0), T0).granted == (SECOND,) * 10


def test_a_process_holds_no_more_than_it_was_given() -> None:
    """A journal that was put back knows nothing of its places."""
    grant = Holdings().settle("a", {"a"}, report(6), T0)
    assert (grant.held, len(grant.granted)) == (0, 10)


def test_who_leaves_last_leaves_everything_to_whoever_comes() -> None:
    """With the time when each place is free."""
    shares = Holdings()
    shares.settle("a", {"a"}, report(0), T0)
    leaving = replace(report(0, returned=(0,) * 8 + (400_000, 500_000)), leaving=True)
    assert shares.settle("a", {"a"}, leaving, T0).granted == ()
    assert shares.settle("b", {"b"}, report(0), T0 + 450_000).granted == (0,) * 9 + (50_000,)


def test_after_a_break_of_the_clock_nothing_is_free_before_a_period_is_over() -> None:
    """Another server is a minute ahead: what the pool says of times is too early."""
    shares = Holdings(pool={T0 + 500_000: 10}, count=10)
    later = T0 + 60 * SECOND
    assert shares.settle("a", {"a"}, report(0), later, since_us=later - 1000).granted == (SECOND - 1000,) * 10


def test_another_limit_adds_places_and_takes_them_away() -> None:
    """At the next report; those in use when they are handed in."""
    shares = Holdings()
    shares.settle("a", {"a"}, report(0), T0)
    assert len(shares.settle("a", {"a"}, report(10, count=12), T0).granted) == 2
    shares.settle("a", {"a"}, report(7, count=6, returned=(SECOND,) * 5), T0)
    assert shares.pool == {}
    assert shares.held == {"a": 7}


@given(needs=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 30), min_size=1), places=st.integers(0, 40))
def test_places_are_shared_out_by_need(needs: dict[str, int], places: int) -> None:
    """Nobody gets more than it needs; all is given as long as anybody needs it; who gets less gets an equal part."""
    given_out = shared_out(needs, places)
    assert sum(given_out.values()) == min(places, sum(needs.values()))
    assert all(given_out[pod] <= needs[pod] for pod in needs)
    short = [given_out[pod] for pod in needs if given_out[pod] < needs[pod]]
    assert not short or max(short) - min(short) <= 1
    assert not short or max(given_out.values()) <= max(short) + 1


STEP = st.tuples(
    st.sampled_from("abcd"), st.integers(0, 12), st.integers(0, 12), st.integers(0, 5), st.sets(st.sampled_from("abcd"))
)


@given(steps=st.lists(STEP, max_size=30), count=st.integers(1, 12), long=st.booleans())
def test_there_are_always_as_many_places_as_the_limit_says(
    steps: list[tuple[str, int, int, int, set[str]]], count: int, long: bool
) -> None:
    """Whatever processes report, and whichever die."""
    shares, now = Holdings(), T0
    for pod, held, need, returned, alive in steps:
        now += 100_000
        told = report(held, need, (1000,) * returned, count=count, long=long)
        grant = shares.settle(pod, alive | {pod}, told, now)
        assert sum(shares.held.values()) + sum(shares.pool.values()) == count
        assert shares.held[pod] == grant.held + len(grant.granted) <= max(grant.target, grant.held)
        assert min([*shares.pool.values(), *shares.held.values()], default=0) >= 0
