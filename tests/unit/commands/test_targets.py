"""Cancels that name a close instead of an order, cancels that wait for proof, and dry runs."""

import pytest

from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World, coid


def test_the_order_of_a_known_close_is_canceled(world: World) -> None:
    """The target's order id is found in the journal, and told in the result."""
    world.publish(world.close())
    world.final("c1")
    world.publish(world.cancel(target_command_id="c1"))
    result = world.final("x1", 2)
    assert (result.outcome, result.order_id) == ("accepted", "order-1")
    assert world.acme.status["order-1"] == "canceled"


def test_a_target_that_comes_later_is_waited_for(world: World) -> None:
    """The cancel overtook its close: it is acked, waits, and goes as soon as the order is known."""
    message = world.publish(world.cancel(target_command_id="c1"))
    world.run(2)
    assert (message.settled, world.results("x1")) == ("acked", [])
    world.publish(world.close())
    assert world.final("x1", 2).outcome == "accepted"
    assert world.acme.status["order-1"] == "canceled"


def test_a_target_in_doubt_is_waited_for(world: World) -> None:
    """Its order id may still be found."""
    world.acme.reads_fail = True
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())
    world.publish(world.cancel(target_command_id="c1"))
    world.run(5)
    assert world.results("x1") == []
    world.acme.reads_fail = False
    assert world.final("x1", 25).outcome == "accepted"


def test_a_target_that_never_comes_is_not_found_and_then_too_late(world: World) -> None:
    """`order_not_found` at the deadline; a close that arrives after that under that id is refused, unsent."""
    cancel = world.cancel(target_command_id="c1", ttl_s=4)
    world.publish(cancel)
    result = world.final("x1", 6)
    assert result.reason is not None
    assert (result.outcome, result.reason.code) == ("rejected", "order_not_found")
    assert result.completed_at >= cancel.not_after
    world.publish(world.close())
    late = world.final("c1", 2)
    assert late.reason is not None
    assert (late.outcome, late.reason.code, world.acme.arrivals) == ("rejected", "too_late", [])


def test_a_target_that_placed_no_order_is_not_found_at_once(world: World) -> None:
    """A refused close will never have an order."""
    world.acme.script.append(Answer(kind="refuse"))
    world.publish(world.close())
    world.final("c1")
    world.publish(world.cancel(target_command_id="c1"))
    reason = world.final("x1", 2).reason
    assert reason is not None
    assert reason.code == "order_not_found"


@pytest.mark.parametrize("target", ["x0", "c0"])
def test_what_is_no_close_of_this_account_is_no_target(world: World, target: str) -> None:
    """Another cancel, or another account's close: `invalid_command`."""
    world.acme.rest("rest-1")
    world.publish(world.cancel("x0"))
    world.publish(world.close("c0", account="other"))
    world.run(1)
    world.publish(world.cancel("x1", target_command_id=target))
    reason = world.final("x1", 2).reason
    assert reason is not None
    assert reason.code == "invalid_command"


def test_a_cancel_that_a_restored_journal_forgot_is_not_called_expired(world: World) -> None:
    """It was sent before, and worked. What came back after its deadline is looked up by the order of its target."""
    world.publish(world.close("c0", position_id="p0"))
    world.final("c0")
    copy = world.copy()
    world.run(1.5)
    cancel = world.cancel(target_command_id="c0", ttl_s=4)
    world.publish(cancel)
    assert world.final("x1", 2).outcome == "accepted"
    world.run(2)
    world.put_back(copy)
    world.run(6)
    world.publish(cancel)
    world.run(20)
    assert [result.outcome for result in world.results("x1")[1:] if result.final] == ["done"]


def test_a_cancel_is_in_doubt_if_its_target_was_forgotten_too(world: World) -> None:
    """Neither row is there any more: nobody can say that nothing was canceled."""
    world.publish(world.close("c0", position_id="p0"))
    world.final("c0")
    copy = world.copy()
    world.run(1.5)
    close, cancel = world.close(ttl_s=60), world.cancel(target_command_id="c1", ttl_s=4)
    world.publish(close)
    world.publish(cancel)
    assert world.final("x1", 2).outcome == "accepted"
    world.run(2)
    world.put_back(copy)
    world.run(6)
    world.publish(cancel)
    world.run(3)
    told = world.results("x1")[-1]
    assert (told.outcome, told.final, told.reason and told.reason.code) == ("in_doubt", True, "unresolved")
    world.publish(close)
    world.run(15)
    assert world.results("c1")[-1].outcome == "accepted"
    assert world.acme.executed[coid("c1")] == 1
    world.run(600)
    assert world.results("x1")[-1].outcome == "done"


def test_a_close_that_was_given_up_after_a_restore_is_looked_up(world: World) -> None:
    """Its cancel gave up waiting for it, because its row was lost: it was executed all the same."""
    cancel = world.cancel(target_command_id="c1", ttl_s=25)
    world.publish(cancel)
    world.run(1)
    copy = world.copy()
    world.run(1.5)
    close = world.close(ttl_s=120)
    world.acme.script.append(Answer(takes_s=1.9, kind="ok"))
    world.publish(close)
    world.until(lambda: world.acme.executed[coid("c1")], 5.0)
    world.run(3)
    world.put_back(copy)
    world.run(40)
    world.publish(close)
    world.run(20)
    assert world.results("c1")[-1].outcome == "accepted"
    assert world.acme.executed[coid("c1")] == 1


def test_another_senders_close_is_unknown(world: World) -> None:
    """Ids belong to their sender: nobody cancels a stranger's order by guessing an id."""
    world.publish(world.close("c1"), sender="beta")
    world.run(1)
    world.publish(world.cancel(target_command_id="c1", ttl_s=2))
    reason = world.final("x1", 4).reason
    assert reason is not None
    assert reason.code == "order_not_found"
    assert world.acme.status["order-1"] == "working"


@pytest.mark.parametrize("kind", ["look", "reset", "unknown"])
def test_a_cancel_by_target_is_looked_up_by_the_order(world: World, kind: str) -> None:
    """What became known on the way is what the look asks for."""
    world.publish(world.close())
    world.final("c1")
    world.acme.scripts["x1"].extend([Answer(kind=kind, executes=True)] * 3)  # type: ignore[arg-type]  # from the list
    world.publish(world.cancel(target_command_id="c1"))
    result = world.final("x1", 5)
    assert (result.outcome, result.evidence, result.order_id) == ("done", "query", "order-1")


def test_await_final_answers_once_the_order_works_no_more(world: World) -> None:
    """No interim answer: parked, watched, and `done` with the order as proof."""
    world.acme.rest("rest-1")
    world.acme.script.append(Answer(kind="look"))
    world.acme.scripts["x1"].append(Answer(kind="ok"))
    message = world.publish(world.cancel(await_final=True))
    result = world.final("x1", 10)
    assert (result.outcome, result.evidence) == ("done", "query")
    assert result.order is not None
    assert result.order.status == "canceled"
    assert len(world.results("x1")) == 1
    assert message.settled == "acked"


def test_await_final_tells_a_race_that_was_lost(world: World) -> None:
    """The order fills while the accepted cancel is pending: `too_late`."""
    world.acme.rest("rest-1")
    world.publish(world.cancel(await_final=True))
    world.run(0.02)
    world.acme.rest("rest-1", "filled")
    reason = world.final("x1", 10).reason
    assert reason is not None
    assert reason.code == "too_late"


def test_await_final_ends_with_the_deadline(world: World) -> None:
    """`accepted`, with the last state that was seen."""
    world.acme.rest("rest-1")
    cancel = world.cancel(await_final=True, ttl_s=5)
    world.publish(cancel)
    world.run(0.02)
    world.acme.reads_fail = True
    result = world.final("x1", 6)
    assert (result.outcome, result.final) == ("accepted", True)
    assert abs((result.completed_at - cancel.not_after).total_seconds()) < 0.2
    assert len(world.results("x1")) == 1


def test_await_final_cancels_again_what_goes_on_working(world: World) -> None:
    """The venue takes the cancel and does nothing: it goes again, less and less often, until the order is gone."""
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind="taken")] * 3)
    world.publish(world.cancel(await_final=True, ttl_s=120))
    result = world.final("x1", 120)
    sent = [arrival.at_us for arrival in world.acme.arrivals]
    assert (result.outcome, len(sent), len(world.results("x1"))) == ("done", 4, 1)
    assert sent[1] - sent[0] < sent[2] - sent[1] < sent[3] - sent[2]


def test_await_final_does_not_cancel_for_ever(world: World) -> None:
    """Ten requests at most, and at the deadline the order as it was last seen."""
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind="taken")] * 100)
    world.publish(world.cancel(await_final=True, ttl_s=290))
    result = world.final("x1", 295)
    assert (result.outcome, result.order and result.order.status) == ("accepted", "working")
    assert len(world.acme.arrivals) <= 10


def test_await_final_by_target_is_watched_too(world: World) -> None:
    """Both ways of waiting in one command."""
    world.publish(world.cancel(target_command_id="c1", await_final=True))
    world.run(1)
    world.publish(world.close())
    result = world.final("x1", 10)
    assert (result.outcome, result.order_id) == ("done", "order-1")


def test_a_dry_run_sends_nothing(world: World) -> None:
    """Everything but the send, and the position stays free."""
    world.publish(world.close(dry_run=True))
    result = world.final("c1", 1)
    assert (result.outcome, result.dry_run, result.attempts, result.sent_at) == ("accepted", True, 0, None)
    world.publish(world.close("c2"))
    assert world.final("c2", 1).outcome == "accepted"
    assert [arrival.key for arrival in world.acme.arrivals] == [coid("c2")]


def test_a_dry_run_is_refused_as_the_real_one_would_be(world: World) -> None:
    """What the venue's code cannot honour, a dry run finds."""
    world.publish(world.close(dry_run=True, order_type="stop", price="1"))
    reason = world.final("c1", 1).reason
    assert reason is not None
    assert reason.code == "unsupported"


def test_a_dry_cancel_by_target_finds_its_order(world: World) -> None:
    """It does everything but send; what it does not find is told at once."""
    world.publish(world.close())
    world.final("c1")
    world.publish(world.cancel(target_command_id="c1", dry_run=True))
    world.publish(world.cancel("x2", target_command_id="c2", dry_run=True))
    result = world.final("x1", 2)
    assert (result.outcome, result.dry_run, world.acme.status["order-1"]) == ("accepted", True, "working")
    reason = world.final("x2", 2).reason
    assert reason is not None
    assert reason.code == "order_not_found"
    world.publish(world.close("c2"))
    assert world.final("c2", 2).outcome == "accepted", "a dry run leaves no mark"
