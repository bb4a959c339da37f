"""Every sender hears, in time and never the wrong thing, while the journal is slow, hangs, goes or is put back."""

from pathlib import Path

import pytest

from router.venue_protocol import Limit
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World


def test_a_cancel_that_worked_is_not_called_reused(tmp_path: Path) -> None:
    """It left before the journal said that its id belongs to another: what the venue did is what its sender hears."""
    with World(tmp_path) as world:
        core = world.start()
        world.acme.rest("rest-1")
        world.acme.rest("rest-2")
        world.publish(world.cancel("x1"))
        world.final("x1")
        world.run(1)
        core.journal.takes_s = 0.3
        message = world.publish(world.cancel("x1", order_id="rest-2"), correlation_id="second")
        world.run(10)
        (heard,) = world.heard_by(message)
        assert world.acme.status["rest-2"] == "canceled"
        assert (heard.result.outcome, heard.result.recorded) == ("accepted", False)


def test_a_repeat_that_worked_is_not_answered_with_the_refusal_before(tmp_path: Path) -> None:
    """The first was refused, its repeat left before the journal said so, and worked."""
    with World(tmp_path) as world:
        core = world.start()
        world.acme.rest("rest-1")
        world.acme.script.append(Answer(kind="refuse"))
        world.publish(world.cancel("x1"))
        assert world.final("x1").outcome == "rejected"
        world.run(1)
        core.journal.takes_s = 0.3
        message = world.publish(world.cancel("x1"), correlation_id="second")
        world.run(10)
        (heard,) = world.heard_by(message)
        assert (heard.result.outcome, world.acme.status["rest-1"]) == ("accepted", "canceled")


def test_a_refusal_that_is_stored_slowly_is_stored_and_told_once(tmp_path: Path) -> None:
    """Its commit takes longer than a cancel waits, and it has nothing else to do."""
    with World(tmp_path) as world:
        core = world.start()
        core.journal.takes_s = 0.3
        world.publish(world.cancel("x1", account="nobody"))
        world.run(10)
        (heard,) = world.heard("x1")
        assert (heard.result.outcome, heard.result.recorded is False, heard.result.seq) == ("rejected", False, 1)


@pytest.mark.parametrize("kind", ["close", "cancel"])
def test_a_row_that_goes_while_the_venue_works_is_made_again(tmp_path: Path, kind: str) -> None:
    """The journal is put back during the request: the command is looked up, answered, and not sent again."""
    with World(tmp_path) as world:
        world.start()
        world.run(3)
        world.acme.rest("rest-1")
        copy = world.copy()
        world.publish(world.close("c0", position_id="p0"))
        world.final("c0")
        world.run(3)
        world.acme.script.append(Answer(takes_s=1.5))
        world.publish(world.close("c1", ttl_s=60) if kind == "close" else world.cancel("c1", ttl_s=60))
        world.run(0.5)
        world.put_back(copy)
        world.run(200)
        assert world.results("c1")[-1].outcome in {"accepted", "done"}
        assert all(count == 1 for count in world.acme.executed.values())


def test_a_journal_that_hangs_right_at_the_deadline_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It is not known to hang when the deadline is looked at: that is looked at again."""
    with World(tmp_path) as world:
        core = world.start()
        world.acme.script.append(Answer(takes_s=1.5))
        world.publish(world.close("c1", ttl_s=2.0))
        world.run(1.2)
        core.journal.fault = "frozen"
        world.run(60)
        assert [(heard.result.outcome, heard.result.recorded) for heard in world.heard("c1")] == [("in_doubt", False)]


def test_a_journal_that_goes_after_the_deadline_keeps_nobody_waiting(tmp_path: Path) -> None:
    """The request is still at the venue when its deadline passes, and the journal goes a moment later."""
    with World(tmp_path) as world:
        core = world.start()
        world.acme.script.append(Answer(takes_s=1.8))
        world.publish(world.close("c1", ttl_s=0.5))
        world.run(1.2)
        core.journal.fault = "down"
        world.run(60)
        assert [(heard.result.outcome, heard.result.recorded) for heard in world.heard("c1")] == [("in_doubt", False)]


@pytest.mark.parametrize("takes_s", [0.0, 0.2])
def test_a_cancel_hears_what_the_venue_said_though_its_row_cannot_be_written(tmp_path: Path, takes_s: float) -> None:
    """Its row was committed, in time or late; then the journal went: it needs no journal to be answered."""
    with World(tmp_path) as world:
        core = world.start()
        world.acme.rest("rest-1")
        core.journal.takes_s = takes_s
        world.acme.script.append(Answer(takes_s=1.0))
        world.publish(world.cancel("x1", ttl_s=200))
        world.run(0.7)
        core.journal.takes_s = 0.0
        core.journal.fault = "down"
        world.run(10)
        (heard,) = world.heard("x1")
        assert (heard.result.outcome, heard.result.recorded) == ("accepted", False)
        core.journal.fault = None
        world.run(60)
        assert world.results("x1")[-1].outcome in {"accepted", "done"}


def test_a_commit_that_hangs_does_not_outlast_the_deadline(tmp_path: Path) -> None:
    """The journal hangs under a close of half a second: it is answered within a second of its deadline."""
    with World(tmp_path) as world:
        core = world.start()
        world.run(2)
        core.journal.fault = "frozen"
        published_us = world.clock.now_us()
        world.publish(world.close("c1", ttl_s=0.5))
        world.run(60)
        heard = world.heard("c1")
        assert [one.result.recorded for one in heard] == [False]
        assert heard[0].at_us - published_us < 1_500_000


def test_who_joined_is_told_at_the_deadline_too(tmp_path: Path) -> None:
    """A second delivery of a command that waits has an address of its own."""
    with World(tmp_path, limits=(Limit("act", 1, 20.0),)) as world:
        core = world.start()
        world.publish(world.close("c0", position_id="p0"))
        world.final("c0")
        close = world.close("c1", ttl_s=25)
        first = world.publish(close)
        world.run(1)
        second = world.publish(close, reply_to="alpha.second", correlation_id="second")
        world.run(2)
        core.journal.fault = "down"
        world.run(60)
        assert [heard.result.outcome for heard in world.heard_by(first)] == ["in_doubt"]
        assert [heard.result.outcome for heard in world.heard_by(second)] == ["in_doubt"]


def test_a_cancel_is_not_held_by_closes_that_wait_for_room(tmp_path: Path) -> None:
    """After a reconnect under an alarm every delivery comes again: closes wait before they are handled alone."""
    with World(tmp_path, prefetch=200) as world:
        world.start()
        world.run(2)
        world.acme.rest("rest-1")
        world.broker.blocked = True
        for number in range(15):
            world.publish(world.close(f"c{number}", position_id=f"p{number}", ttl_s=60)).redelivered = True
        world.publish(world.cancel("x1", ttl_s=20)).redelivered = True
        published_us = world.clock.now_us()
        world.run(3)
        (arrival,) = [arrival for arrival in world.acme.arrivals if arrival.key == "x1"]
        assert arrival.at_us - published_us < 2_000_000


def test_a_cancel_is_not_held_by_poison_that_nobody_hears_of(tmp_path: Path) -> None:
    """What cannot be decoded has ended nobody once that is known: its answer may take as long as it likes."""
    with World(tmp_path, prefetch=200) as world:
        world.start()
        world.run(2)
        world.acme.rest("rest-1")
        world.broker.faults["mallory"] = "stuck"
        for number in range(30):
            world.publish_raw(b"{", reply_to="mallory", correlation_id=str(number)).redelivered = True
        world.publish(world.cancel("x1", ttl_s=20)).redelivered = True
        published_us = world.clock.now_us()
        world.run(10)
        assert world.acme.arrivals[0].at_us - published_us < 500_000


def test_a_lane_full_of_closes_in_doubt_keeps_nobody_waiting(tmp_path: Path) -> None:
    """While the journal is away those told of their doubt keep their deliveries; who stands behind is told in time."""
    with World(tmp_path, prefetch=8) as world:
        core = world.start()
        world.run(2)
        core.journal.fault = "down"
        for number in range(50):
            world.publish(world.close(f"c{number}", ttl_s=5, position_id=f"p{number}"))
        world.run(120)
        heard = [world.heard(f"c{number}") for number in range(50)]
        assert [len(answers) for answers in heard] == [1] * 50
        assert [answers[0].result.outcome for answers in heard] == ["in_doubt"] * 50
        core.journal.fault = None
        world.run(60)
        assert {world.results(f"c{number}")[-1].outcome for number in range(50)} == {"rejected"}
        assert world.acme.executed == {}
