"""Messages that come again are handled one at a time, and only what has ended a process is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from router.errors import JournalUnavailable
from tests.unit.commands.world import Core, World


def journal_goes_at_the_note(core: Core, monkeypatch: pytest.MonkeyPatch, *, told: bool) -> None:
    """Let a worker's journal go right after the next message was noted; `told`: and that is heard."""
    suspect = core.journal.suspect

    async def noted(name: str) -> tuple[int, int]:
        monkeypatch.undo()
        found = await suspect(name)
        core.journal.fault = "down"
        if not told:
            raise JournalUnavailable("the answer was lost")
        return found

    monkeypatch.setattr(core.journal, "suspect", noted)


@pytest.mark.parametrize("told", [True, False])
def test_an_outage_between_the_note_and_the_row_is_no_death(
    world: World, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """Nobody died: once its journal is back the worker says so, and the close is handled by whoever gets it then."""
    (core,) = world.cores
    world.run(2)
    journal_goes_at_the_note(core, monkeypatch, told=told)
    message = world.publish(world.close(ttl_s=120))
    message.redelivered = True
    world.run(6)
    other = world.start()
    world.run(2)
    core.journal.fault = None
    core.disconnect()
    assert world.final("c1", 60).outcome == "accepted"
    world.run(5)
    assert (world.broker.buried, message.settled, other.alive) == ([], "acked", True)


@pytest.mark.parametrize("told", [True, False])
def test_what_was_noted_is_forgotten_once_the_journal_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """A note that stays would count as the end of a process when its message comes again."""
    (core,) = world.cores
    world.run(2)
    journal_goes_at_the_note(core, monkeypatch, told=told)
    message = world.publish(world.close(ttl_s=120))
    message.redelivered = True
    world.run(6)
    core.journal.fault = None
    assert world.final("c1", 60).outcome == "accepted"
    world.run(5)
    with closing(sqlite3.connect(world.path)) as journal:
        assert journal.execute("select message from suspects").fetchall() == []


def test_cancels_do_not_queue_behind_closes_that_wait_for_room(tmp_path: Path) -> None:
    """An alarm at the broker keeps closes waiting; nothing is handled alone meanwhile, and a cancel leaves at once."""
    with World(tmp_path, prefetch=200) as world:
        world.start()
        world.run(2)
        world.acme.rest("rest-1")
        world.broker.blocked = True
        for n in range(15):
            world.publish(world.close(f"c{n}", position_id=f"p{n}", ttl_s=60)).redelivered = True
        cancel = world.publish(world.cancel(ttl_s=20))
        cancel.redelivered = True
        world.run(3)
        assert [arrival.key for arrival in world.acme.arrivals] == ["x1"]
        world.broker.unblock()
        for n in range(15):
            assert world.final(f"c{n}", 30).outcome == "accepted"


def test_a_cancel_goes_before_closes_that_wait_to_be_handled_alone(tmp_path: Path) -> None:
    """Each of them takes its time at a slow journal: the cancel waits for one of them at most, and one that is next."""
    with World(tmp_path, prefetch=200) as world:
        core = world.start()
        world.run(2)
        world.acme.rest("rest-1")
        core.journal.takes_s = 1.5
        for n in range(15):
            world.publish(world.close(f"c{n}", position_id=f"p{n}", ttl_s=200)).redelivered = True
        world.publish(world.cancel(ttl_s=100)).redelivered = True
        world.run(10)
        assert "x1" in {arrival.key for arrival in world.acme.arrivals}
        core.journal.takes_s = 0.0
        for n in range(15):
            assert world.final(f"c{n}", 100).final
