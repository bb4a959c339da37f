"""The failure table (`commands.decision`), every row typed out: what follows from an attempt, and from a look."""

from itertools import pairwise
from typing import Any, get_args

import pytest

from router.clock import to_time
from router.commands.decision import (
    BACKOFF_S,
    FRESH_LOOKS,
    LATE_LOOK_S,
    LOOK_BACKOFF_S,
    MAX_BACKOFF_S,
    MAX_BLIND_SENDS,
    MAX_LOOK_BACKOFF_S,
    MAX_TRIES,
    STILL_WORKING,
    Again,
    Decision,
    Doubt,
    Finding,
    GiveUp,
    LookLater,
    LookNow,
    Settle,
    Times,
    after_look,
    after_send,
)
from router.errors import DeadlinePassed, MaybeSent, NotSent, SendError
from router.records.command import CommandRecord
from router.venue_protocol import Absent, Accepted, Done, Look, LookOutcome, Outcome, Refused, Retry, Unknown, Working
from schemas.commands import Cancel, Close
from schemas.results import OrderState

S = 1_000_000
NOW_US = 1_790_000_000 * S
NOT_AFTER_US = NOW_US + 30 * S
QUARANTINE_US = 60 * S
RESOLVE_FOR_US = 600 * S
WORKING = OrderState(status="working")

CLOSE = Close(command_id="c1", venue="acme", account="main", symbol="BTC", not_after=to_time(NOT_AFTER_US))
CANCEL = Cancel(command_id="x1", venue="acme", account="main", order_id="1", not_after=to_time(NOT_AFTER_US))


def record(command: Close | Cancel = CLOSE, **fields: Any) -> CommandRecord:
    """Return a command whose first attempt has just been made."""
    known = {"tries": 1, "last_sent_us": NOW_US, "first_sent_us": NOW_US}
    return CommandRecord(
        sender="alpha",
        command_id=command.command_id,
        command=command,
        client_order_id="coid",
        received_us=NOW_US,
        **{**known, **fields},
    )


def sent(
    seen: Outcome | SendError, *, repeatable: bool, at: CommandRecord | None = None, now_us: int = NOW_US
) -> Decision:
    """Decide after an attempt; `at.attempts` does not count it."""
    return after_send(at or record(), seen, repeatable=repeatable, not_after_us=NOT_AFTER_US, now_us=now_us)


def looked(seen: LookOutcome, at: CommandRecord, after_s: float) -> Finding:
    """Decide after a look that began so long after the last send."""
    times = Times(
        looked_us=NOW_US + round(after_s * S),
        sent_us=at.last_sent_us or 0,
        not_after_us=NOT_AFTER_US,
        quarantine_us=QUARANTINE_US,
        resolve_for_us=RESOLVE_FOR_US,
    )
    return after_look(at, seen, times)


ACCEPTED, DONE, REFUSED = Accepted(order_id="7"), Done(), Refused(code="insufficient_funds", venue_code="E1")
UNKNOWN, LOOK = Unknown(venue_code="E2", message="what?"), Look(venue_code="E3", message="hm")
RETRY = Retry(code="venue_maintenance", venue_code="E4", message="later", after_s=3.0)
LOST = MaybeSent("reset")
NOT_SENT = NotSent("refused")

# seen, repeatable, attempts before this one -> what follows
SENT = [
    (ACCEPTED, True, 0, Settle(ACCEPTED)),
    (ACCEPTED, False, 0, Settle(ACCEPTED)),
    (ACCEPTED, True, 2, Settle(ACCEPTED)),
    (DONE, True, 0, Settle(DONE)),
    (DONE, False, 0, Settle(DONE)),
    # "refused on the first attempt, code on the list" -> rejected
    (REFUSED, True, 0, Settle(REFUSED)),
    (REFUSED, False, 0, Settle(REFUSED)),
    # after a maybe-sent attempt it speaks of this request only -> look
    (REFUSED, True, 1, LookNow("E1", "")),
    (REFUSED, False, 1, LookNow("E1", "")),
    # "unknown order", "already closed", and every code that does not say -> look
    (LOOK, True, 0, LookNow("E3", "hm")),
    (LOOK, False, 0, LookNow("E3", "hm")),
    (LOOK, True, 2, LookNow("E3", "hm")),
    # MaybeSent and Unknown, not repeatable -> stop, in doubt
    (LOST, False, 0, Doubt(None, "reset")),
    (UNKNOWN, False, 0, Doubt("E2", "what?")),
    # repeatable -> the same id again, and after three blind sends a look
    (LOST, True, 0, Again(BACKOFF_S, "timeout", None, "reset")),
    (UNKNOWN, True, 0, Again(BACKOFF_S, "timeout", "E2", "what?")),
    (LOST, True, 1, Again(BACKOFF_S, "timeout", None, "reset")),
    (LOST, True, MAX_BLIND_SENDS - 1, LookNow(None, "reset")),
    (UNKNOWN, True, MAX_BLIND_SENDS - 1, LookNow("E2", "what?")),
    # nothing left, or the venue proves that it did not process it -> again, whoever it is
    (NOT_SENT, True, 0, Again(BACKOFF_S, "venue_unavailable", None, "refused")),
    (NOT_SENT, False, 0, Again(BACKOFF_S, "venue_unavailable", None, "refused")),
    (NOT_SENT, True, 2, Again(BACKOFF_S, "venue_unavailable", None, "refused")),
    (RETRY, True, 0, Again(3.0, "venue_maintenance", "E4", "later")),
    (RETRY, False, 0, Again(3.0, "venue_maintenance", "E4", "later")),
    (RETRY, True, 2, Again(3.0, "venue_maintenance", "E4", "later")),
]


@pytest.mark.parametrize(("seen", "repeatable", "attempts", "expected"), SENT)
def test_after_an_attempt_with_time_left(
    seen: Outcome | SendError, repeatable: bool, attempts: int, expected: Decision
) -> None:
    """Design, section 5: what a failure means."""
    assert sent(seen, repeatable=repeatable, at=record(attempts=attempts)) == expected


def test_the_table_names_every_outcome() -> None:
    """A new outcome without a row here fails."""
    assert {type(seen) for seen, *_ in SENT} == {*get_args(Outcome), MaybeSent, NotSent}


@pytest.mark.parametrize("late_us", [NOT_AFTER_US - 1, NOT_AFTER_US, NOT_AFTER_US + 5 * S])
@pytest.mark.parametrize(
    ("seen", "code"),
    [(NOT_SENT, "venue_unavailable"), (RETRY, "venue_maintenance"), (DeadlinePassed("late"), "expired")],
)
@pytest.mark.parametrize("repeatable", [True, False])
def test_out_of_time(seen: Outcome | SendError, code: str, repeatable: bool, late_us: int) -> None:
    """Refused with the last cause if nothing may have been sent, else in doubt; never again."""
    refused = sent(seen, repeatable=repeatable, now_us=late_us)
    assert isinstance(refused, Settle)
    assert isinstance(refused.outcome, Refused)
    assert refused.outcome.code == code
    assert isinstance(sent(seen, repeatable=repeatable, at=record(attempts=1), now_us=late_us), Doubt)


@pytest.mark.parametrize("seen", [LOST, UNKNOWN])
def test_a_repeatable_send_without_an_answer_at_the_deadline_is_in_doubt(seen: Outcome | SendError) -> None:
    """Its own attempt may have arrived, although none before it did."""
    assert isinstance(sent(seen, repeatable=True, now_us=NOT_AFTER_US - 1), Doubt)


def test_a_hint_that_ends_after_the_deadline_is_not_waited_for() -> None:
    """The wait counts, not the present moment."""
    hint = Retry(code="rate_limited", after_s=30.0)
    assert isinstance(sent(hint, repeatable=False), Settle)
    assert isinstance(sent(Retry(code="rate_limited", after_s=29.0), repeatable=False), Again)


def test_tries_are_bounded() -> None:
    """After ten of them for one reason the last cause is told."""
    few, many = {"venue_unavailable": MAX_TRIES - 2}, {"venue_unavailable": MAX_TRIES - 1}
    assert isinstance(sent(NOT_SENT, repeatable=False, at=record(tried=few)), Again)
    assert isinstance(sent(NOT_SENT, repeatable=False, at=record(tried=many)), Settle)
    assert isinstance(sent(NOT_SENT, repeatable=True, at=record(tried=many, attempts=1)), Doubt)


def test_a_hint_is_followed_until_the_deadline() -> None:
    """What the venue asks to repeat later goes on inside not_after, however often."""
    assert isinstance(sent(Retry(code="venue_maintenance"), repeatable=False, at=record(tries=MAX_TRIES * 2)), Again)


def test_a_venues_own_bound_counts_too() -> None:
    """A code that is worth only one more try gets one more, and no second."""
    once = Retry(code="auth_failed", tries=1)
    assert isinstance(sent(once, repeatable=False, at=record()), Again)
    assert isinstance(sent(once, repeatable=False, at=record(tried={"auth_failed": 1})), Settle)


def test_tries_are_counted_for_each_reason() -> None:
    """What was tried for another reason takes none of the tries for this one."""
    before = {"rate_limited": 2, "venue_unavailable": MAX_TRIES - 2}
    assert isinstance(
        sent(Retry(code="auth_failed", tries=1), repeatable=False, at=record(tries=9, tried=before)), Again
    )


def test_waits_grow_and_are_bounded() -> None:
    """Twice as long each time; a hint that is longer wins, one that is shorter does not."""
    waits = []
    for tries in range(1, MAX_TRIES):
        again = after_send(
            record(tries=tries), NOT_SENT, repeatable=False, not_after_us=NOW_US + 300 * S, now_us=NOW_US
        )
        assert isinstance(again, Again)
        waits.append(again.after_s)
    assert waits[:3] == [BACKOFF_S, 2 * BACKOFF_S, 4 * BACKOFF_S]
    assert max(waits) == MAX_BACKOFF_S
    hinted = sent(Retry(code="rate_limited", after_s=0.1), repeatable=False, at=record(tries=3))
    assert isinstance(hinted, Again)
    assert hinted.after_s == 4 * BACKOFF_S


def test_expired_only_if_nothing_was_tried() -> None:
    """A deadline that passes after another cause tells that cause."""
    told = sent(
        DeadlinePassed("late"), repeatable=False, at=record(code="rate_limited", venue_code="E9", message="slow")
    )
    assert isinstance(told, Settle)
    assert isinstance(told.outcome, Refused)
    assert (told.outcome.code, told.outcome.venue_code) == ("rate_limited", "E9")
    assert told.outcome.message.startswith("slow")


SIGHTS = [Accepted(order_id="7", order=WORKING), Done(order_id="7"), Refused(code="too_late")]


@pytest.mark.parametrize("after_s", [0.0, 59.9, 60.0, 700.0])
@pytest.mark.parametrize("state", ["open", "in_doubt", "unresolved"])
@pytest.mark.parametrize("seen", SIGHTS)
def test_a_look_that_tells_settles(seen: LookOutcome, state: Any, after_s: float) -> None:
    """At any time, in any state."""
    found = looked(seen, record(state=state), after_s)
    assert isinstance(found, Settle)
    assert type(found.outcome) is type(seen)


def test_a_flat_position_is_believed_only_when_it_cannot_be_ours_to_come() -> None:
    """After a send without an answer one read may be stale, and the request on its way: twice, after quarantine."""
    lost = record(unanswered=True, attempts=1)
    assert looked(Done(), record(attempts=1), 1.0) == Settle(Done()), "every send was answered"
    early, first = looked(Done(), lost, 1.0), looked(Done(), lost, 60.0)
    assert isinstance(early, LookLater)
    assert isinstance(first, LookLater)
    assert (early.fresh, early.absent, first.fresh, first.absent) == (False, False, True, True)
    assert looked(Done(), record(unanswered=True, absences=FRESH_LOOKS - 1), 61.0) == Settle(Done())
    assert looked(Done(), record(CANCEL, unanswered=True), 1.0) == Settle(Done()), "an order that is gone stays gone"


def test_nothing_seen_before_quarantine_proves_nothing() -> None:
    """However often: look again, at the latest when quarantine ends."""
    for after_s in (0.0, 10.0, 59.0, 59.999):
        found = looked(Absent(), record(absences=5, looks=5), after_s)
        assert isinstance(found, LookLater)
        assert (found.fresh, found.absent) == (False, False)
        assert NOW_US + after_s * S < found.at_us <= NOW_US + QUARANTINE_US


@pytest.mark.parametrize(
    ("command", "code"), [(CLOSE, "venue_unavailable"), (CANCEL, "order_not_found")], ids=["close", "cancel"]
)
def test_nothing_seen_twice_after_quarantine_is_what_happened(command: Close | Cancel, code: str) -> None:
    """The first such look only counts; the second proves it. A cancel's order is then not to be found."""
    once = looked(Absent(), record(command), 60.0)
    assert isinstance(once, LookLater)
    assert (once.fresh, once.absent) == (True, True)
    twice = looked(Absent(message="nowhere"), record(command, absences=FRESH_LOOKS - 1, looks=FRESH_LOOKS - 1), 61.0)
    assert isinstance(twice, Settle)
    assert isinstance(twice.outcome, Refused)
    assert (twice.outcome.code, twice.outcome.message) == (code, "nowhere")


def test_an_order_seen_before_and_not_now_is_not_proof_of_anything() -> None:
    """It was there, so that it never was is no longer possible."""
    seen_once = record(CANCEL, order=WORKING, absences=5, looks=5)
    assert isinstance(looked(Absent(), seen_once, 61.0), LookLater)
    assert isinstance(looked(Absent(), seen_once, 600.0), GiveUp)


@pytest.mark.parametrize(("tries", "after_s"), [(1, 0.0), (2, 2 * BACKOFF_S), (4, 8 * BACKOFF_S)])
def test_an_order_that_still_works_is_canceled_again(tries: int, after_s: float) -> None:
    """At once the first time, then further and further apart."""
    found = looked(Working(order_id="1", order=WORKING), record(CANCEL, tries=tries, attempts=tries), 5.0)
    assert isinstance(found, Again)
    assert found.after_s == after_s


@pytest.mark.parametrize(
    ("fields", "after_s"),
    [({"tried": {STILL_WORKING: MAX_TRIES - 1}}, 5.0), ({}, 30.0), ({}, 45.0)],
    ids=["tries", "deadline", "later"],
)
def test_an_order_that_still_works_when_nothing_may_be_sent(fields: dict[str, Any], after_s: float) -> None:
    """Nothing leaves; only after quarantine does it prove that the cancel had no effect."""
    working = Working(order_id="1", order=WORKING)
    assert isinstance(looked(working, record(CANCEL, **fields), after_s), LookLater)
    ended = looked(working, record(CANCEL, absences=1, **fields), 60.0)
    assert isinstance(ended, Settle)
    assert isinstance(ended.outcome, Refused)
    assert (ended.outcome.code, ended.outcome.order) == ("venue_unavailable", WORKING)


def test_tries_for_other_reasons_are_not_counted_against_an_order_that_still_works() -> None:
    """Nine were throttled; the first that was taken and changed nothing is followed by another."""
    throttled = record(CANCEL, tries=MAX_TRIES, attempts=1, tried={"rate_limited": MAX_TRIES - 1})
    assert isinstance(looked(Working(order_id="1", order=WORKING), throttled, 5.0), Again)


def test_a_key_that_stays_refused_ends_as_unresolved() -> None:
    """Each look was answered, with a refusal: asking on would never end."""
    denied = Unknown(venue_code="401", whole=False, denied=True)
    doubtful = record(CANCEL, attempts=1, unanswered=True)
    assert isinstance(looked(denied, doubtful, RESOLVE_FOR_US / S - 1), LookLater)
    assert isinstance(looked(denied, doubtful, RESOLVE_FOR_US / S + 1), GiveUp)


def test_a_close_is_never_sent_again_because_of_what_a_look_saw() -> None:
    """`Working` is a cancel's sight; for a close it proves nothing."""
    assert isinstance(looked(Working(order_id="1", order=WORKING), record(CLOSE, attempts=1), 5.0), LookLater)


def test_a_close_that_was_never_tried_goes_once_its_absence_is_proven() -> None:
    """Only what a lost journal may have sent is looked for before its first send; and only in time."""
    untried = record(tries=0, absences=FRESH_LOOKS - 1, last_sent_us=NOW_US - QUARANTINE_US)
    assert isinstance(looked(Absent(), untried, 5.0), Again)
    assert isinstance(looked(Absent(), untried, 31.0), Settle)


def test_reads_that_fail_prove_nothing() -> None:
    """In doubt until `resolve_for`, and until two looks after quarantine have failed."""
    for after_s in (0.0, 59.0, 100.0, 599.0):
        assert isinstance(looked(UNKNOWN, record(looks=9), after_s), LookLater)
    for looks in range(FRESH_LOOKS):
        assert isinstance(looked(UNKNOWN, record(looks=looks), 5000.0), LookLater)
    given_up = looked(UNKNOWN, record(looks=FRESH_LOOKS), 600.0)
    assert given_up == GiveUp("what?")


def test_the_time_to_give_up_counts_from_the_doubt() -> None:
    """Not from the send, which may be much earlier."""
    assert isinstance(looked(UNKNOWN, record(looks=9, doubt_us=NOW_US + 100 * S), 650.0), LookLater)


@pytest.mark.parametrize("seen", [UNKNOWN, Absent()])
def test_the_unresolved_are_looked_at_now_and_then(seen: LookOutcome) -> None:
    """Late evidence settles them; they are not given up twice."""
    found = looked(seen, record(state="unresolved", looks=9, order=WORKING), 5000.0)
    assert found == LookLater(NOW_US + round((5000.0 + LATE_LOOK_S) * S))


def test_looks_get_rarer_but_one_comes_when_quarantine_ends() -> None:
    """Half a second at first, half a minute at most, and never past the end of quarantine without a look."""
    times = [0.0]
    while times[-1] < 200:
        found = looked(UNKNOWN, record(doubt_us=NOW_US), times[-1])
        assert isinstance(found, LookLater)
        times.append((found.at_us - NOW_US) / S)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] == LOOK_BACKOFF_S
    assert max(gaps) <= MAX_LOOK_BACKOFF_S
    assert QUARANTINE_US / S in times


@pytest.mark.parametrize("repeatable", [True, False])
def test_an_answer_of_no_known_kind_is_a_doubt(repeatable: bool) -> None:
    """Whatever an exchange module returns by mistake, a close is not sent again for it."""
    assert isinstance(sent(SendError("?"), repeatable=repeatable), Doubt)


@pytest.mark.parametrize(
    ("venue_code", "message", "told"),
    [
        ("ERR-254", "The position does not exist.", "The position does not exist."),
        (None, "no answer within 5 s", "as the venue shows it"),
    ],
)
def test_a_refusal_that_a_look_shows_is_told_in_the_venues_words(
    venue_code: str | None, message: str, told: str
) -> None:
    """Those with which it refused the request; what we say of an answer that was lost is no reason."""
    found = looked(Refused(code="position_not_found"), record(venue_code=venue_code, message=message), 100.0)
    assert isinstance(found, Settle)
    assert isinstance(found.outcome, Refused)
    assert (found.outcome.code, found.outcome.venue_code) == ("position_not_found", venue_code)
    assert found.outcome.message == told
