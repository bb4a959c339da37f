"""When a request goes again, when it waits, and what a deadline does to it."""

import pytest

from router.venue_protocol import Limit
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World, coid


def test_what_did_not_leave_goes_again(world: World) -> None:
    """No connection: nothing was sent, so even a close is tried again, and only what arrived counts."""
    world.acme.script.extend([Answer(kind="unsent"), Answer(kind="unsent")])
    world.publish(world.close())
    result = world.final("c1", 5)
    assert (result.outcome, result.attempts, len(world.acme.arrivals)) == ("accepted", 1, 1)


def test_without_any_connection_the_deadline_answers(world: World) -> None:
    """Nothing arrived, so it is safe to say `rejected`, with the last cause, in time."""
    world.acme.script.extend([Answer(kind="unsent") for _ in range(50)])
    world.publish(world.close(ttl_s=3))
    result = world.final("c1", 4)
    assert result.reason is not None
    assert (result.outcome, result.reason.code, result.attempts) == ("rejected", "venue_unavailable", 0)
    assert result.sent_at is None
    assert world.acme.arrivals == []


@pytest.mark.parametrize("after_s", [0.3, 0.9, 1.5, 7.0])
def test_the_venues_hint_is_honoured(world: World, after_s: float) -> None:
    """Not processed, so it goes again: not before the hint, not much after it, and signed afresh."""
    world.acme.script.append(Answer(kind="retry", after_s=after_s))
    message = world.publish(world.close())
    world.run(0.2)
    parked = after_s > 1
    assert message.settled == ("acked" if parked else ""), "a longer wait is the journal's, and the delivery is acked"
    result = world.final("c1", 20)
    first, second = world.acme.arrivals
    assert after_s <= (second.at_us - first.at_us) / 1e6 <= after_s + 0.2
    assert second.stamp_ms > first.stamp_ms
    assert (result.outcome, result.attempts) == ("accepted", 1)


def test_a_hint_beyond_the_deadline_is_answered_at_once(world: World) -> None:
    """There is nothing to wait for: the venue's reason, one request, and no delay."""
    world.acme.script.append(Answer(kind="retry", after_s=20))
    world.publish(world.close(ttl_s=10))
    result = world.final("c1", 0.5)
    assert result.reason is not None
    assert (result.outcome, result.reason.code, result.reason.venue_code) == ("rejected", "venue_maintenance", "E-2")


def test_hints_until_the_deadline_end_in_time(world: World) -> None:
    """However often the venue says later: nothing leaves after `not_after`, and the answer comes by then."""
    world.acme.script.extend([Answer(kind="retry", after_s=0.8) for _ in range(50)])
    command = world.close(ttl_s=5)
    world.publish(command)
    result = world.final("c1", 5.2)
    assert result.reason is not None
    assert (result.outcome, result.reason.code) == ("rejected", "venue_maintenance")
    assert 1 < len(world.acme.arrivals) <= 10


def test_a_deadline_that_passes_while_connecting_stops_the_request(world: World) -> None:
    """The clock is read again with the connection in hand; the first byte never leaves."""
    world.acme.script.append(Answer(kind="unsent", takes_s=1.9))
    world.publish(world.close(ttl_s=1))
    result = world.final("c1", 3)
    assert (result.outcome, world.acme.arrivals) == ("rejected", [])


def test_a_command_that_comes_too_late_is_not_tried(world: World) -> None:
    """`expired` only if nothing was tried."""
    message = world.publish(world.close(ttl_s=-600))
    result = world.final("c1", 1)
    assert result.reason is not None
    assert (result.outcome, result.reason.code, world.acme.arrivals) == ("rejected", "expired", [])
    assert message.settled == "acked"


def test_what_was_sent_before_it_expired_is_told_as_it_was(world: World) -> None:
    """A close dies with its worker after its bytes; the next worker gets it when `not_after` has passed."""
    (core,) = world.cores
    world.acme.script.append(Answer(kind="hang", executes=True))
    world.publish(world.close(ttl_s=3))
    world.run(0.1)
    world.kill(core)
    world.run(60)
    world.start()
    result = world.final("c1", 5)
    assert (result.outcome, result.evidence, world.acme.executed[coid("c1")]) == ("accepted", "query", 1)
    assert len(world.acme.arrivals) == 1


def test_a_clock_that_jumps_while_a_request_is_signed_stops_it(world: World) -> None:
    """Its signature is stale by the clock; it is signed again and sent once."""
    world.acme.script.append(Answer())
    world.publish(world.close(ttl_s=300))
    core = world.cores[0]

    async def jump(point: str) -> None:
        if point == "connect" and not core.clock.jump_us:
            core.clock.jump_us = 1_500_000

    core.transport.at = jump
    result = world.final("c1", 5)
    (arrival,) = world.acme.arrivals
    assert result.outcome == "accepted"
    assert abs(arrival.stamp_ms - arrival.at_us // 1000 - 1500) <= 1000, "by the clock as it is now"


def test_a_clock_that_is_set_back_does_not_extend_a_deadline(world: World) -> None:
    """`not_after` is a moment, and a second is a second, whatever the wall clock says meanwhile."""
    world.acme.script.extend([Answer(kind="retry", after_s=0.8) for _ in range(5)])
    world.publish(world.close(ttl_s=1))
    world.run(0.5)
    world.clock.jump_us = -100_000_000
    world.run(5)
    assert len(world.acme.arrivals) == 2
    assert [r.outcome for r in world.results("c1")] == ["rejected"]


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 2, 1.0),)}], indirect=True)
def test_what_exceeds_a_limit_waits_and_is_parked(limited: World) -> None:
    """Never more than the limit in any period; every command is answered; nobody holds a delivery for it."""
    world = limited
    messages = [world.publish(world.close(f"c{n}", position_id=f"p{n}")) for n in range(12)]
    world.run(1.2)
    assert all(message.settled == "acked" for message in messages)
    for n in range(12):
        assert world.final(f"c{n}", 20).outcome == "accepted"
    sent = [arrival.at_us for arrival in world.acme.arrivals]
    assert all(later - earlier > 1_000_000 for earlier, later in zip(sent, sent[2:], strict=False))
    assert sent[-1] - sent[0] < 9_000_000, "the limit is used"


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 4, 10.0),)}], indirect=True)
def test_a_limit_that_frees_too_late_is_told_in_time(limited: World) -> None:
    """A place that comes after the deadline is no use: `rate_limited`, before `not_after`."""
    world = limited
    for n in range(4):
        world.publish(world.close(f"c{n}", position_id=f"p{n}"))
    command = world.close("late", position_id="late", ttl_s=5)
    world.publish(command)
    result = world.final("late", 6)
    assert result.reason is not None
    assert (result.outcome, result.reason.code, len(world.acme.arrivals)) == ("rejected", "rate_limited", 4)
    assert result.completed_at <= command.not_after


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 4, 10.0),)}], indirect=True)
def test_cancels_pass_parked_closes(limited: World) -> None:
    """However many closes are parked before it, a cancel leaves as soon as places come free."""
    world = limited
    world.acme.rest("rest-1")
    for n in range(40):
        world.publish(world.close(f"c{n}", position_id=f"p{n}", ttl_s=200))
    world.run(2)
    world.publish(world.cancel(ttl_s=60))
    result = world.final("x1", 10)
    assert result.outcome == "accepted"
    assert world.acme.sent("x1")[0].at_us - world.acme.arrivals[0].at_us < 11_000_000


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 100, 1.0),)}], indirect=True)
def test_a_throttle_holds_back_everybody(limited: World) -> None:
    """The venue said too much to one: nobody of the account goes before its hint, other accounts do."""
    world = limited
    world.acme.script.append(Answer(kind="throttle", after_s=3))
    world.publish(world.close("c1", position_id="p1"))
    world.run(0.5)
    world.publish(world.close("c2", position_id="p2"))
    world.publish(world.close("c3", account="other"))
    assert world.final("c3", 0.5).outcome == "accepted"
    for command_id in ("c1", "c2"):
        assert world.final(command_id, 10).outcome == "accepted"
        assert world.acme.sent(coid(command_id))[-1].at_us >= world.acme.arrivals[0].at_us + 3_000_000


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 100, 1.0),)}], indirect=True)
def test_a_ban_is_not_argued_with(limited: World) -> None:
    """Every request would make it longer: what cannot wait is refused unsent."""
    world = limited
    world.acme.script.append(Answer(kind="ban", after_s=600))
    world.publish(world.close("c1", position_id="p1"))
    assert world.final("c1", 1).outcome == "rejected"
    world.publish(world.close("c2", position_id="p2", ttl_s=20))
    result = world.final("c2", 25)
    assert (result.outcome, result.attempts, len(world.acme.arrivals)) == ("rejected", 0, 1)


def test_a_journal_that_goes_between_two_tries_ends_in_a_refusal(world: World) -> None:
    """The first was not processed and the second cannot be stored: nothing leaves, and the cause is ours."""
    world.acme.script.append(Answer(kind="retry", after_s=0.8))
    world.publish(world.close(ttl_s=5))
    world.run(0.4)
    world.cores[0].journal.fault = "down"
    world.run(4.8)
    world.cores[0].journal.fault = None
    result = world.final("c1", 20)
    assert result.reason is not None
    assert (result.outcome, len(world.acme.arrivals)) == ("rejected", 1)


def test_a_cancel_that_goes_again_is_told_of_by_its_deadline(world: World) -> None:
    """A look shows its order working, and by the wait that is due the next try would come after the deadline."""
    world.acme.rest("rest-1")
    world.acme.script.extend(Answer(kind=kind) for kind in ("retry", "reset", "retry", "reset"))
    message = world.publish(world.cancel(ttl_s=2.9, await_final=True))
    world.until(lambda: world.results("x1"), 30.0)
    (heard, *_) = world.heard_by(message)
    assert heard.result.outcome == "in_doubt"
    assert (heard.at_us - (message.sent_us or 0)) / 1e6 <= 2.9 + 0.3


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 2, 20.0),)}], indirect=True)
def test_what_finds_no_place_before_its_deadline_hears_so_at_once(limited: World) -> None:
    """It can be sent elsewhere, or not at all, while there is still time."""
    world = limited
    for n in range(2):
        world.publish(world.close(f"c{n}", position_id=f"p{n}"))
        assert world.final(f"c{n}").outcome == "accepted"
    world.publish(world.close("late", position_id="p2", ttl_s=15))
    answer = world.final("late", 1.0)
    assert (answer.outcome, answer.reason and answer.reason.code) == ("rejected", "rate_limited")
    world.publish(world.close("patient", position_id="p3", ttl_s=40))
    assert world.final("patient", 30.0).outcome == "accepted"
    assert len(world.acme.arrivals) == 3
