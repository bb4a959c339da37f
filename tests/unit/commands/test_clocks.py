"""Clocks that are set while commands are under way, two that are apart, machines that sleep or are started again.

Rows 36 and 46 of the fault table: as if nothing had happened.
"""

from pathlib import Path

import pytest

from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World, coid

MINUTES_US = 300_000_000
SLOW = Answer(kind="taken", executes=True, late_s=1.8, takes_s=1.9)
"""An answer that comes in time, to a request that acts right before."""


def told(world: World, command_id: str = "c1") -> list[str]:
    """Return the outcomes that a command's sender heard."""
    return [result.outcome for result in world.results(command_id)]


@pytest.mark.parametrize("step_us", [-MINUTES_US, MINUTES_US])
def test_a_clock_set_while_the_venue_answers_changes_nothing(world: World, step_us: int) -> None:
    """The answer is what the sender hears, and the only thing."""
    world.acme.script.append(SLOW)
    world.publish(world.close(ttl_s=290))
    world.run(0.3)
    world.cores[0].clock.jump_us = step_us
    world.run(900)
    assert told(world) == ["accepted"]
    assert world.acme.executed[coid("c1")] == 1


@pytest.mark.parametrize("step_us", [-MINUTES_US, MINUTES_US])
def test_a_clock_set_during_quarantine_does_not_end_it(world: World, step_us: int) -> None:
    """Reads lag and the answer was lost: what a look does not show yet is not called refused."""
    world.acme.visible_after_s = 3.0
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close(ttl_s=290))
    world.run(0.3)
    world.cores[0].clock.jump_us = step_us
    assert world.final("c1").outcome == "accepted"
    promises.check(world)


@pytest.mark.parametrize("skew_s", [-300, -60, -20, 20, 60, 300])
def test_two_workers_whose_clocks_are_apart_agree(tmp_path: Path, skew_s: int) -> None:
    """The second takes nothing up that the first is sending, and calls nothing refused that it sent."""
    with World(tmp_path) as world:
        first, second = world.start(), world.start()
        second.clock.jump_us = skew_s * 1_000_000
        world.run(1)
        second.disconnect()
        world.acme.script.append(SLOW)
        world.publish(world.close(ttl_s=100))
        world.run(120)
        assert told(world) == ["accepted"]
        assert len(world.acme.arrivals) == 1
        assert first.alive


def test_a_clock_set_back_while_a_close_is_parked_does_not_prolong_it(world: World) -> None:
    """Nothing leaves after the deadline, whatever the clock says then."""
    world.acme.scripts[coid("c1")].extend([Answer(kind="retry", after_s=3.0)] * 20)
    world.publish(world.close(ttl_s=10))
    world.run(0.5)
    world.cores[0].clock.jump_us = -60_000_000
    assert world.final("c1").outcome == "rejected"
    assert len(world.acme.arrivals) > 1
    promises.check(world)


@pytest.mark.parametrize("step_us", [-MINUTES_US, MINUTES_US])
def test_a_journal_that_is_opened_again_while_the_clock_is_wrong_keeps_its_time(world: World, step_us: int) -> None:
    """A clock that goes on since the machine's start is right; the wall clock beside it is not asked again."""
    world.publish(world.close("c0"))
    world.run(30)
    core = world.cores[0]
    core.clock.jump_us = step_us
    core.journal.reopen()
    world.run(3)
    assert abs(core.journal.latest_us() - world.clock.now_us()) < 1_000_000


def test_a_worker_started_while_the_clock_is_set_back_sends_nothing_late(world: World) -> None:
    """The journal was idle for a minute; a close that has expired since is not sent."""
    world.publish(world.close("c0"))
    world.run(60)
    world.kill(world.cores[0])
    late = world.close("c1", ttl_s=5)
    world.run(10)
    world.publish(late)
    world.host.step_us = -MINUTES_US
    world.start()
    assert world.final("c1").outcome == "rejected"
    assert not world.acme.sent(coid("c1"))


@pytest.mark.parametrize("seconds", [1.5, 8.0, 60.0])
def test_a_machine_that_sleeps_while_a_request_waits_sends_nothing_late(world: World, seconds: float) -> None:
    """It slept between the intent and the send; the deadline passed meanwhile."""
    core = world.cores[0]
    frozen: list[str] = []

    async def sleeps(point: str) -> None:
        if point == "connect" and not frozen:
            frozen.append(point)
            core.freeze()
            world.loop.call_later(seconds, core.thaw, context=world.outside)

    core.transport.at = sleeps
    world.publish(world.close(ttl_s=1.0))
    world.final("c1")
    assert frozen
    promises.check(world)


def test_a_machine_that_is_started_again_forgets_no_quarantine(world: World) -> None:
    """Nobody knows for how long it was off: the doubt's quarantine counts from its start."""
    world.acme.script.append(Answer(kind="hang", executes=True))
    world.publish(world.close(ttl_s=60))
    world.run(0.5)
    world.acme.visible_after_s = 8.0
    world.reboot()
    world.start()
    assert world.final("c1").outcome == "accepted"
    promises.check(world)
