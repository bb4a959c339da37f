"""What is told when the venue's answer does not come, or does not say."""

from itertools import pairwise

import pytest

from tests.unit.commands.fake_venue import Answer, Kind
from tests.unit.commands.world import QUARANTINE_S, RESOLVE_FOR_S, World, coid

UNTOLD: tuple[Kind, ...] = ("reset", "hang", "unknown", "look")


def test_a_close_is_sent_once_and_answered(world: World) -> None:
    """The ordinary way: one send, one final answer, one acknowledgement."""
    message = world.publish(world.close())
    result = world.final("c1", 1)
    world.run(30)
    assert (result.outcome, result.order_id, result.attempts, result.evidence) == ("accepted", "order-1", 1, "response")
    assert result.sent_at is not None
    assert result.received_at <= result.sent_at <= result.completed_at
    assert (len(world.acme.arrivals), message.settled) == (1, "acked")
    assert len(world.results("c1")) == 1


def test_a_cancel_is_sent_once_and_answered(world: World) -> None:
    """A cancel that is taken is `accepted`, under the order's own id."""
    world.acme.rest("rest-1")
    world.publish(world.cancel())
    result = world.final("x1", 1)
    assert (result.outcome, result.order_id, result.attempts) == ("accepted", "rest-1", 1)
    assert world.acme.status["rest-1"] == "canceled"


def test_a_refusal_of_the_first_send_is_final(world: World) -> None:
    """A definite refusal with nothing sent before it proves that nothing was executed."""
    world.acme.script.append(Answer(kind="refuse"))
    world.publish(world.close())
    result = world.final("c1", 1)
    assert result.outcome == "rejected"
    assert result.reason is not None
    assert (result.reason.code, result.reason.venue_code) == ("insufficient_position", "E-1")
    assert world.acme.reads == 0


@pytest.mark.parametrize("kind", UNTOLD)
def test_a_close_whose_answer_was_lost_is_never_sent_again(world: World, kind: Kind) -> None:
    """It was executed: a look finds it, and the one final answer says so."""
    world.acme.script.append(Answer(kind=kind, executes=True))
    message = world.publish(world.close())
    result = world.final("c1", 10)
    world.run(300)
    assert (result.outcome, result.order_id, result.evidence, result.attempts) == ("accepted", "order-1", "query", 1)
    assert (len(world.acme.arrivals), world.acme.executed[coid("c1")]) == (1, 1)
    assert [r.outcome for r in world.results("c1")] in (["in_doubt", "accepted"], ["accepted"])
    assert [r.seq for r in world.results("c1")] == list(range(1, len(world.results("c1")) + 1))
    assert message.settled == "acked"


@pytest.mark.parametrize("kind", UNTOLD)
def test_a_close_that_was_not_executed_is_refused_only_after_quarantine(world: World, kind: Kind) -> None:
    """Until then a negative answer proves nothing, and the sender hears `in_doubt`."""
    world.acme.script.append(Answer(kind=kind))
    world.publish(world.close())
    result = world.final("c1", 60)
    sent_us = world.acme.arrivals[0].at_us
    assert [r.outcome for r in world.results("c1")] == ["in_doubt", "rejected"]
    assert result.reason is not None
    assert (result.reason.code, result.evidence) == ("venue_unavailable", "query")
    assert world.heard("c1")[-1].at_us >= sent_us + QUARANTINE_S * 1e6
    assert len(world.acme.arrivals) == 1


def test_an_execution_that_comes_late_and_shows_late_is_found(world: World) -> None:
    """The venue may act within the time stamp's window, and its reads may lag behind."""
    world.acme.visible_after_s = 4.0
    world.acme.script.append(Answer(kind="hang", executes=True, late_s=3.9))
    world.publish(world.close())
    result = world.final("c1", 60)
    assert (result.outcome, result.order_id) == ("accepted", "order-1")
    assert [r.outcome for r in world.results("c1")] == ["in_doubt", "accepted"]


def test_a_doubt_is_told_once_and_at_once(world: World) -> None:
    """The sender knows within a moment that it must wait, and is not told twice."""
    world.acme.reads_fail = True
    world.acme.script.append(Answer(kind="unknown", executes=True))
    world.publish(world.close())
    world.run(30)
    (doubt,) = world.results("c1")
    assert (doubt.outcome, doubt.final, doubt.seq) == ("in_doubt", False, 1)
    assert doubt.reason is not None
    assert (doubt.reason.code, doubt.reason.venue_code) == ("timeout", "E-4")
    assert world.heard("c1")[0].at_us - world.acme.arrivals[0].at_us < 100_000
    world.acme.reads_fail = False
    assert world.final("c1", 60).outcome == "accepted"


def test_what_the_venue_cannot_tell_is_unresolved_and_late_evidence_settles_it(world: World) -> None:
    """Given up after `resolve_for_s`: final, `in_doubt`, `unresolved`; what shows later is one more result."""
    world.acme.reads_vague = True
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())
    given_up = world.final("c1", 200)
    assert (given_up.outcome, given_up.seq) == ("in_doubt", 2)
    assert given_up.reason is not None
    assert given_up.reason.code == "unresolved"
    assert (given_up.completed_at - given_up.received_at).total_seconds() >= RESOLVE_FOR_S
    world.publish(world.close("c2"))
    assert world.final("c2", 5).reason is not None, "the position is not settled"
    world.acme.reads_vague = False
    world.run(700)
    assert [(r.seq, r.outcome, r.final) for r in world.results("c1")] == [
        (1, "in_doubt", False),
        (2, "in_doubt", True),
        (3, "accepted", True),
    ]
    world.publish(world.close("c3"))
    assert world.final("c3", 5).outcome == "accepted", "the position is free again"


def test_what_the_venue_does_not_answer_is_not_given_up(world: World) -> None:
    """Reads that fail say nothing, not even that the venue cannot tell: it stays in doubt until they are answered."""
    world.acme.reads_fail = True
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())
    world.run(10 * RESOLVE_FOR_S)
    assert [r.outcome for r in world.results("c1")] == ["in_doubt"]
    world.acme.reads_fail = False
    assert world.final("c1", 60).outcome == "accepted"


@pytest.mark.parametrize("kind", ["reset", "hang", "unknown"])
def test_a_cancel_whose_answer_was_lost_is_sent_again(world: World, kind: Kind) -> None:
    """Repeating it is harmless; its effect is that of one."""
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind=kind), Answer(kind=kind)])
    world.publish(world.cancel())
    result = world.final("x1", 20)
    assert (result.outcome, result.attempts) == ("accepted", 3)
    assert len({arrival.stamp_ms for arrival in world.acme.arrivals}) == 3, "each is signed afresh"
    assert [r.outcome for r in world.results("x1")] == ["accepted"]


def test_after_three_blind_cancels_a_look_decides(world: World) -> None:
    """A look is worth more than a fourth request, and says `done` when the order is gone."""
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind="unknown", executes=True), Answer(kind="unknown"), Answer(kind="unknown")])
    world.publish(world.cancel())
    result = world.final("x1", 20)
    assert (result.outcome, result.evidence, len(world.acme.arrivals)) == ("done", "query", 3)
    assert result.order is not None
    assert result.order.status == "canceled"


def test_a_refusal_after_a_cancel_that_may_have_arrived_is_looked_into(world: World) -> None:
    """The refusal speaks of the second request only: the first one did it."""
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind="reset", executes=True), Answer(kind="refuse")])
    world.publish(world.cancel())
    result = world.final("x1", 20)
    assert (result.outcome, result.evidence) == ("done", "query")


def test_a_cancel_that_lost_the_race_is_too_late(world: World) -> None:
    """`rejected` / `too_late`, with the filled order as proof."""
    world.acme.rest("rest-1", "filled")
    world.publish(world.cancel())
    result = world.final("x1", 20)
    assert result.reason is not None
    assert result.order is not None
    assert (result.outcome, result.reason.code, result.order.status) == ("rejected", "too_late", "filled")


def test_a_cancel_that_does_nothing_is_not_repeated_for_ever(world: World) -> None:
    """At most ten requests, further and further apart, and then the proof that the order still works."""
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind="look") for _ in range(50)])
    world.publish(world.cancel(ttl_s=250))
    result = world.final("x1", 400)
    sent = [arrival.at_us for arrival in world.acme.arrivals]
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert len(sent) <= 10
    assert gaps[-1] > 1_000_000
    assert result.outcome == "rejected"
    assert world.acme.status["rest-1"] == "working"


def test_a_close_the_venue_recognises_is_sent_again(world: World) -> None:
    """Where a repeat is harmless a lost answer costs a second request, not a doubt."""
    world.echo.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close(venue="echo"))
    result = world.final("c1", 10)
    assert (result.outcome, result.attempts, world.echo.executed[coid("c1")]) == ("accepted", 2, 1)
    assert [r.outcome for r in world.results("c1")] == ["accepted"]


def test_a_doubt_about_a_cancel_is_told_once(world: World) -> None:
    """Seen working it is sent again, in vain until the deadline: the second doubt is the first one still."""
    world.acme.rest("rest-1")
    world.acme.reads_fail = True
    world.acme.script.extend([Answer(kind="unknown")] * 3 + [Answer(kind="unsent")] * 50)
    world.publish(world.cancel(ttl_s=8))
    world.run(2)
    world.acme.reads_fail = False
    result = world.final("x1", 60)
    assert [(r.seq, r.outcome) for r in world.results("x1")] == [(1, "in_doubt"), (2, "rejected")]
    assert (result.evidence, world.acme.status["rest-1"]) == ("query", "working")


def test_absence_is_proven_by_two_looks_in_a_row(world: World) -> None:
    """A read that fails in between proves nothing, and what was seen before it does not count any more."""
    world.acme.script.append(Answer(kind="reset"))
    world.publish(world.close())
    world.run(QUARANTINE_S + 0.1)
    world.acme.reads_fail = True
    reads = world.acme.reads
    world.until(lambda: world.acme.reads > reads)
    world.acme.reads_fail = False
    reads = world.acme.reads
    assert world.final("c1", 120).outcome == "rejected"
    assert world.acme.reads - reads == 2


@pytest.mark.parametrize("executes", [True, False])
def test_a_position_that_looks_flat_may_still_be_closed_by_us(world: World, executes: bool) -> None:
    """Somebody else seems to have closed it, and our unanswered request is on its way: not `done` before quarantine."""
    world.acme.flat = True
    world.acme.script.append(Answer(kind="hang", executes=executes, late_s=4.0))
    world.publish(world.close())
    result = world.final("c1", 120)
    assert (result.outcome, result.order_id) == (("accepted", "order-1") if executes else ("done", None))
    assert world.heard("c1")[-1].at_us > world.acme.arrivals[0].at_us + 4_000_000


def test_a_position_that_is_flat_by_the_venues_own_word_is_done(world: World) -> None:
    """Our one request was answered, and a look shows why."""
    world.acme.flat = True
    world.acme.script.append(Answer(kind="look"))
    world.publish(world.close())
    result = world.final("c1", 2)
    assert (result.outcome, result.evidence) == ("done", "query")
