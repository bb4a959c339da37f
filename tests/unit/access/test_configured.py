"""A venue's clock, as its answers tell it, and the stamps that are made by it."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.access.configured import MAX_AHEAD_MS, MAX_SKEW_US, SLOTS, Account, VenueClock
from router.venue_protocol import Request, Response, SignedRequest, Stamp

S = 1_000_000
NOON = 1_795_000_000 * S
BOOTED = 7 * S
"""What the boot clock shows at noon."""


def answer(date: str | None) -> Response:
    """Return an answer with that `Date`."""
    return Response(200, {} if date is None else {"date": date}, b"{}")


def dated(venue_us: int) -> Response:
    """Return an answer that a venue dates by its clock: whole seconds, cut off."""
    return answer(format_datetime(datetime.fromtimestamp(venue_us // S, UTC), usegmt=True))


def learn(clock: VenueClock, venue_us: int, boot_us: int, *, trip_us: int = 20_000) -> None:
    """Let an answer come in that the venue dated in the middle of the round trip."""
    clock.saw(dated(venue_us), boot_us - trip_us // 2, boot_us + trip_us // 2)


def signer(_: Request, __: Stamp) -> SignedRequest:
    """Sign nothing."""
    return SignedRequest("GET", "", {}, b"")


@pytest.mark.parametrize("step_s", [-300, 300])
def test_a_clock_that_is_set_between_two_stamps_changes_nothing(step_s: int) -> None:
    """The venue's time is counted by a clock that nobody sets: the first stamp after the step is right already."""
    clock, account = VenueClock(), Account("main", signer)
    for n in range(3):
        learn(clock, NOON + n * S, BOOTED + n * S)
    before = account.stamp(clock.now_us(NOON + 3 * S, BOOTED + 3 * S))
    after = account.stamp(clock.now_us(NOON + (4 + step_s) * S, BOOTED + 4 * S))
    assert before.now_ms < after.now_ms
    assert abs(after.now_ms * 1000 - (NOON + 4 * S)) <= S
    skew_s = clock.skew_s(NOON + (4 + step_s) * S, BOOTED + 4 * S)
    assert skew_s is not None
    assert abs(skew_s + step_s) <= 1


@pytest.mark.parametrize("off_s", [-3600, -300, -3, 3, 300, 3600])
def test_a_venue_that_is_really_off_is_followed(off_s: int) -> None:
    """It judges by its own clock: one answer is enough to sign by it."""
    clock = VenueClock()
    learn(clock, NOON + off_s * S, BOOTED)
    assert abs(clock.now_us(NOON, BOOTED) - (NOON + off_s * S)) <= S
    assert clock.earliest_ms(NOON, BOOTED, NOON) <= (NOON + off_s * S) // 1000


@pytest.mark.parametrize("off_ms", [-900, -400, 0, 400, 900])
def test_a_skew_that_a_date_cannot_show_is_left_alone(off_ms: int) -> None:
    """Below a second and a half our own clock is the better one."""
    clock = VenueClock()
    for n in range(5):
        learn(clock, NOON + off_ms * 1000 + n * 300_000, BOOTED + n * 300_000)
    assert clock.now_us(NOON + 2 * S, BOOTED + 2 * S) == NOON + 2 * S


def test_a_slow_answer_corrects_nothing() -> None:
    """Its `Date` may be as old as the whole wait, or as new."""
    clock = VenueClock()
    clock.saw(dated(NOON), BOOTED, BOOTED + 9 * S)
    assert clock.now_us(NOON + 9 * S, BOOTED + 9 * S) == NOON + 9 * S
    assert clock.earliest_ms(NOON + 9 * S, BOOTED + 9 * S, NOON + 9 * S) <= NOON // 1000


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 32 Nov 2026 10:00:00 GMT",
        "Thu, 26 Nov 99999 10:00:00 GMT",
        "Fri, 26 Nov 2010 10:00:00 GMT",
        "Wed, 26 Nov 2036 10:00:00 GMT",
        "\x00" * 5000,
        "Thu, 26 Nov 2026 10:00:00 +9999999999",
        "1795000000",
    ],
)
def test_a_date_that_is_none_or_years_off_changes_nothing(date: str | None) -> None:
    """However often it comes, and whether a good one came before."""
    for good in (False, True):
        clock = VenueClock()
        if good:
            learn(clock, NOON, BOOTED)
            learn(clock, NOON, BOOTED)
        for n in range(3):
            clock.saw(answer(date), BOOTED + n, BOOTED + n)
        assert clock.now_us(NOON, BOOTED) == NOON
        assert NOON - 2 * S <= clock.earliest_ms(NOON, BOOTED, NOON) * 1000 <= NOON


def test_a_date_years_off_hides_nothing_that_was_known() -> None:
    """What the good answers told still corrects a clock of ours that is set."""
    clock = VenueClock()
    for n in range(2):
        learn(clock, NOON + n, BOOTED + n)
    clock.saw(answer("Wed, 26 Nov 2036 10:00:00 GMT"), BOOTED + 9, BOOTED + 9)
    assert abs(clock.now_us(NOON + 300 * S, BOOTED + 9) - NOON) <= S


def test_one_stray_date_moves_no_lookup_ahead() -> None:
    """Stamps follow it, for the venue may have been set; until a second one agrees, lookups reach back to both."""
    clock = VenueClock()
    for n in range(3):
        learn(clock, NOON + n * S, BOOTED + n * S)
    learn(clock, NOON + 600 * S, BOOTED + 3 * S)
    assert abs(clock.now_us(NOON + 3 * S, BOOTED + 3 * S) - (NOON + 600 * S)) <= S
    assert clock.earliest_ms(NOON + 3 * S, BOOTED + 3 * S, NOON + 3 * S) <= (NOON + 3 * S) // 1000
    learn(clock, NOON + 4 * S, BOOTED + 4 * S)
    assert clock.now_us(NOON + 5 * S, BOOTED + 5 * S) == NOON + 5 * S


def test_a_venue_that_was_set_is_believed_at_the_second_answer() -> None:
    """Then lookups begin by its new clock."""
    clock = VenueClock()
    learn(clock, NOON, BOOTED)
    for n in range(1, 3):
        learn(clock, NOON + 600 * S + n * S, BOOTED + n * S)
    assert clock.earliest_ms(NOON + 2 * S, BOOTED + 2 * S, NOON + 2 * S) > (NOON + 590 * S) // 1000


def test_unknown_is_the_earlier_of_the_clocks_at_hand() -> None:
    """Before any answer nobody knows which of them is wrong."""
    clock = VenueClock()
    assert clock.skew_s(NOON, BOOTED) is None
    assert clock.earliest_ms(NOON, BOOTED, NOON - 9 * S) == (NOON - 9 * S) // 1000
    assert clock.earliest_ms(NOON - 9 * S, BOOTED, NOON) == (NOON - 9 * S) // 1000


def test_a_machine_that_slept_knows_no_less() -> None:
    """The boot clock goes on meanwhile; only the drift of an hour is allowed for."""
    clock = VenueClock()
    learn(clock, NOON + 60 * S, BOOTED)
    learn(clock, NOON + 61 * S, BOOTED + S)
    later = 3600 * S
    assert abs(clock.now_us(NOON + later, BOOTED + later) - (NOON + later + 60 * S)) <= S
    assert clock.earliest_ms(NOON + later, BOOTED + later, NOON) <= (NOON + later + 60 * S) // 1000


@given(
    off_us=st.integers(-MAX_SKEW_US // 2, MAX_SKEW_US // 2),
    answers=st.lists(
        st.tuples(st.integers(0, 60 * S), st.integers(0, 5 * S), st.floats(0, 1)), min_size=1, max_size=20
    ),
    wall_off_us=st.integers(-300 * S, 300 * S),
)
def test_the_lower_bound_is_one_and_narrow(
    off_us: int, answers: list[tuple[int, int, float]], wall_off_us: int
) -> None:
    """Whatever the venue's clock, the trips and the wall clock: never later than the truth; never far before both."""
    clock, boot_us = VenueClock(), BOOTED
    for gap_us, trip_us, part in answers:
        asked_us = boot_us + gap_us
        dated_us = asked_us + int(trip_us * part)
        boot_us = asked_us + trip_us
        clock.saw(dated(NOON + off_us + dated_us), asked_us, boot_us)
    truth_us, wall_us = NOON + off_us + boot_us, NOON + boot_us + wall_off_us
    bound_us = clock.earliest_ms(wall_us, boot_us, NOON + boot_us) * 1000
    assert bound_us <= truth_us
    assert bound_us >= min(truth_us - 7 * S, NOON + boot_us + min(wall_off_us, 0) - S)


@given(st.lists(st.integers(-10_000_000, 10_000_000), min_size=1, max_size=200), st.booleans())
def test_no_stamp_is_made_twice(steps_us: list[int], shared: bool) -> None:
    """However the clock is set; and none is far from what it shows."""
    account, now_us = Account("main", signer, (lambda: 3) if shared else None), NOON
    made = []
    for step_us in steps_us:
        now_us += step_us
        made.append(account.stamp(now_us).now_ms)
        assert -SLOTS <= made[-1] - now_us // 1000 <= MAX_AHEAD_MS + len(steps_us) * SLOTS
    assert len(set(made)) == len(made)
    assert not shared or {ms % SLOTS for ms in made} == {3}
