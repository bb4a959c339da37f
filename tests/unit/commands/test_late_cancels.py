"""A plain cancel and a journal that is slow, fails meanwhile, or was put back: its sender hears what the venue said."""

import pytest

from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World


@pytest.fixture
def calm(world: World) -> World:
    """A world in which the worker has consumed for a while, and orders rest at the venue."""
    for order_id in ("rest-1", "rest-2"):
        world.acme.rest(order_id)
    world.run(3)
    return world


def test_a_cancel_that_worked_under_a_used_id_is_told_so(calm: World) -> None:
    """It had left when the journal said that the id is another command's: it is not called `rejected`."""
    (core,) = calm.cores
    calm.publish(calm.cancel())
    calm.final("x1")
    core.journal.takes_s = 0.3
    message = calm.publish(calm.cancel(order_id="rest-2"), correlation_id="second")
    calm.run(10)
    (heard,) = calm.heard_by(message)
    assert calm.acme.status["rest-2"] == "canceled"
    assert (heard.result.outcome, heard.result.recorded) == ("accepted", False)


def test_a_repeat_that_worked_is_not_answered_with_the_refusal_before(calm: World) -> None:
    """The first was refused; the second left before the journal said so, and canceled the order."""
    (core,) = calm.cores
    calm.acme.script.append(Answer(kind="refuse"))
    calm.publish(calm.cancel())
    assert calm.final("x1").outcome == "rejected"
    core.journal.takes_s = 0.3
    message = calm.publish(calm.cancel(), correlation_id="second")
    calm.run(10)
    (heard,) = calm.heard_by(message)
    assert (heard.result.outcome, heard.result.recorded) == ("accepted", False)


def test_a_repeat_of_what_worked_gets_the_stored_answer(calm: World) -> None:
    """However late the journal says so, and whatever the venue said of the second request."""
    (core,) = calm.cores
    calm.publish(calm.cancel())
    first = calm.final("x1")
    core.journal.takes_s = 0.3
    calm.acme.script.append(Answer(kind="refuse"))
    message = calm.publish(calm.cancel(), correlation_id="second")
    calm.run(10)
    (heard,) = calm.heard_by(message)
    assert (heard.result.outcome, heard.result.result_id, heard.result.duplicate) == ("accepted", first.result_id, True)


def test_a_refused_cancel_is_stored_once_however_slow_the_journal(calm: World) -> None:
    """Its refusal was admitted with it: one answer, and no defect."""
    (core,) = calm.cores
    core.journal.takes_s = 0.3
    message = calm.publish(calm.cancel(account="nobody"))
    calm.run(10)
    (heard,) = calm.heard("x1")
    assert (heard.result.outcome, heard.result.duplicate, message.settled) == ("rejected", False, "acked")


@pytest.mark.parametrize("takes_s", [0.0, 0.2])
def test_the_venues_answer_does_not_wait_for_a_journal_that_fails(calm: World, takes_s: float) -> None:
    """The row was committed, in time or late, then the journal went: the answer is told, and stored once it is back."""
    (core,) = calm.cores
    core.journal.takes_s = takes_s
    calm.acme.script.append(Answer(takes_s=1.0))
    message = calm.publish(calm.cancel(ttl_s=200))
    calm.run(0.7)
    core.journal.takes_s = 0.0
    core.journal.fault = "down"
    calm.run(5)
    (heard,) = calm.heard("x1")
    assert (heard.result.outcome, heard.result.recorded, message.settled) == ("accepted", False, "acked")
    core.journal.fault = None
    calm.run(60)
    stored = calm.results("x1")[-1]
    assert (stored.outcome in {"accepted", "done"}, stored.seq) == (True, 1)
    assert len(calm.acme.arrivals) == 1


def test_a_cancel_whose_row_was_lost_meanwhile_is_answered(calm: World) -> None:
    """The journal was put back while the venue worked: there is no row to store the answer in."""
    copy = calm.copy()
    calm.publish(calm.close())
    calm.final("c1")
    calm.run(3)
    calm.acme.script.append(Answer(takes_s=1.5))
    message = calm.publish(calm.cancel(ttl_s=60))
    calm.run(0.5)
    calm.put_back(copy)
    calm.run(60)
    assert [(r.outcome, r.recorded) for r in calm.results("x1")] == [("accepted", False)]
    assert message.settled == "acked"


def test_a_row_of_another_command_is_not_settled_by_an_answer_without_a_row(calm: World) -> None:
    """Two commands share an id; the first waits for a place in the journal, the second was answered without a row."""
    (core,) = calm.cores
    calm.acme.script.append(Answer(kind="retry", after_s=20.0))
    calm.publish(calm.cancel(ttl_s=60))
    calm.run(2)
    core.journal.fault = "down"
    second = calm.publish(calm.cancel(order_id="rest-2", ttl_s=60), correlation_id="second")
    calm.run(5)
    assert [h.result.outcome for h in calm.heard_by(second)] == ["accepted"]
    core.journal.fault = None
    calm.run(5)
    assert not [h for h in calm.heard("x1") if h.reply.correlation_id == "x1"], "nothing was done for the first yet"
    calm.final("x1", 60)
    calm.run(30)
    assert calm.acme.status["rest-1"] == "canceled"


def test_a_cancel_that_waits_for_its_place_is_watched(calm: World) -> None:
    """It was parked in the journal, which then fails: at its deadline its sender hears that it is in doubt."""
    (core,) = calm.cores
    core.journal.takes_s = 0.2
    calm.acme.script.append(Answer(kind="retry", after_s=5.0))
    command = calm.cancel(ttl_s=10)
    message = calm.publish(command)
    calm.until(lambda: message.settled)
    core.journal.takes_s = 0.0
    core.journal.fault = "down"
    calm.run(15)
    (heard,) = calm.heard("x1")
    assert (heard.result.outcome, heard.result.recorded) == ("in_doubt", False)
    assert heard.at_us <= int(command.not_after.timestamp() * 1e6) + 1_000_000
    calm.journal_away(message.sent_us or 0, heard.at_us)
    core.journal.fault = None
    calm.run(60)
    promises.check(calm)
