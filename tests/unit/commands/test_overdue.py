"""Answers by the deadline while the journal is away, hangs, or goes just then."""

from pathlib import Path

import pytest

from router.clock import to_us
from router.venue_protocol import Limit
from tests.unit.commands.fake_broker import Message
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.steady_journal import JournalFault
from tests.unit.commands.world import World

SLOW = {"limits": (Limit("act", 1, 20.0),)}


def told_in_doubt(world: World, message: Message) -> None:
    """Assert that a message was told so once, for want of a journal."""
    (heard,) = world.heard_by(message)
    assert (heard.result.outcome, heard.result.final, heard.result.recorded) == ("in_doubt", False, False)


def answered_once_it_is_back(world: World, command_id: str = "c1") -> None:
    """Mend the journals, and assert that the recorded answer follows."""
    for core in world.cores:
        core.journal.fault = None
    assert world.final(command_id, 120).seq > 0


@pytest.mark.parametrize("ttl_s", [2.0, 0.5])
@pytest.mark.parametrize("fault", ["frozen", "down"])
def test_a_journal_that_goes_around_the_deadline_silences_nobody(
    world: World, fault: JournalFault, ttl_s: float
) -> None:
    """The close is in flight at its deadline; the journal fails, or hangs and that is noticed only afterwards."""
    (core,) = world.cores
    world.run(2)
    world.acme.script.append(Answer(takes_s=1.8))
    message = world.publish(world.close(ttl_s=ttl_s))
    world.run(1.2)
    core.journal.fault = fault
    world.run(10)
    told_in_doubt(world, message)
    answered_once_it_is_back(world)
    assert len(world.acme.arrivals) == 1


def test_an_admission_that_hangs_delays_no_answer(world: World) -> None:
    """The close came as the journal began to hang: in doubt by its deadline, and never sent after it."""
    (core,) = world.cores
    world.run(2)
    core.journal.fault = "frozen"
    close = world.close(ttl_s=0.5)
    message = world.publish(close)
    world.run(10)
    told_in_doubt(world, message)
    (heard,) = world.heard_by(message)
    assert heard.at_us <= to_us(close.not_after) + 1_000_000
    answered_once_it_is_back(world)
    world.run(60)
    assert world.acme.arrivals == []
    assert (world.results("c1")[-1].outcome, message.settled) == ("rejected", "acked")


def test_a_close_that_comes_late_is_refused_by_the_journal_as_ever(world: World) -> None:
    """Its deadline has passed before it came: nobody is told of a doubt before the commit had its time."""
    message = world.publish(world.close(ttl_s=-1.0))
    world.run(2)
    (heard,) = world.heard_by(message)
    assert (heard.result.outcome, heard.result.recorded is False) == ("rejected", False)


@pytest.mark.parametrize("limited", [SLOW], indirect=True)
def test_every_delivery_of_a_command_is_told_at_its_own_address(limited: World) -> None:
    """The second joined the first, which waits for its place; then the journal goes."""
    world = limited
    (core,) = world.cores
    world.publish(world.close("c0", position_id="p0"))
    world.final("c0")
    close = world.close(ttl_s=25)
    first = world.publish(close)
    world.run(1)
    second = world.publish(close, reply_to="alpha.second", correlation_id="second")
    world.run(2)
    core.journal.fault = "down"
    world.run(30)
    told_in_doubt(world, first)
    told_in_doubt(world, second)
    answered_once_it_is_back(world)
    world.run(5)
    assert [world.heard_by(message)[-1].result.final for message in (first, second)] == [True, True]


@pytest.mark.parametrize("limited", [SLOW], indirect=True)
def test_no_doubt_is_told_of_what_another_process_has_answered(limited: World) -> None:
    """This one cannot write at the deadline, but it can read."""
    world = limited
    (core,) = world.cores
    world.publish(world.close("c0", position_id="p0"))
    world.final("c0")
    message = world.publish(world.close(ttl_s=60))
    world.run(0.5)
    core.freeze()
    world.start()
    world.until(lambda: world.results("c1"), 50)
    core.thaw()
    world.run(2)
    core.journal.fault = "frozen"
    world.run(60)
    assert [heard.result.outcome for heard in world.heard_by(message)] == ["accepted"]


def test_what_was_lost_to_another_process_is_not_watched_any_more(tmp_path: Path) -> None:
    """It slept over its turn, found that the other has answered, and later cannot read: it tells nothing."""
    with World(tmp_path) as world:
        core = world.start()
        world.run(2)
        world.acme.script.append(Answer(takes_s=1.0))
        message = world.publish(world.close(ttl_s=60))
        world.run(0.5)
        core.freeze()
        world.start()
        world.until(lambda: world.results("c1") and world.results("c1")[-1].final, 50)
        core.thaw()
        world.run(5)
        core.journal.fault = "down"
        world.run(90)
        heard = world.heard_by(message)
        assert heard
        assert all(each.result.recorded is not False for each in heard)


def test_what_waits_for_the_journal_keeps_no_place_from_those_behind(tmp_path: Path) -> None:
    """More closes than the lane has places; the last ones hear by their deadline, too, and all go once it is back."""
    with World(tmp_path, prefetch=4) as world:
        core = world.start()
        world.run(2)
        core.journal.fault = "down"
        soon = [world.publish(world.close(f"c{n}", ttl_s=5, position_id=f"p{n}")) for n in range(20)]
        late = [world.publish(world.close(f"d{n}", ttl_s=300, position_id=f"q{n}")) for n in range(20)]
        last = world.publish(world.close("e", ttl_s=5, position_id="r"))
        world.run(7)
        for message in (*soon, last):
            told_in_doubt(world, message)
        core.reconnect()
        world.run(2)
        core.journal.fault = None
        for n in range(20):
            assert world.final(f"d{n}", 30).outcome == "accepted"
        world.run(30)
        assert [message.settled for message in (*soon, *late, last)] == ["acked"] * 41
        assert [arrival.kind for arrival in world.acme.arrivals] == ["ok"] * 20
