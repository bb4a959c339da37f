"""A venue that answers nothing, with thousands of commands in doubt, costs nobody else anything (row 38)."""

from pathlib import Path

import pytest

from router.access.limiter import Priority
from router.venue_protocol import Limit
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World


@pytest.mark.parametrize("doubts", [0, 400])
def test_a_black_hole_costs_another_venue_nothing(tmp_path: Path, doubts: int) -> None:
    """Forty closes that wait for a limit go out as soon as without it."""
    with World(tmp_path, limits=(Limit("act", 5, 1.0),)) as world:
        core = world.start()
        core.venues["acme"].limiter._limits.clear()
        world.acme.hangs = True
        for number in range(doubts):
            world.publish(world.close(f"a{number}", ttl_s=250, position_id=f"p{number}"))
        world.run(30)
        began_us = world.clock.now_us()
        for number in range(40):
            world.publish(world.close(f"e{number}", ttl_s=20, venue="echo", position_id=f"q{number}"))
        world.run(25)
        assert [world.results(f"e{number}")[-1].outcome for number in range(40)] == ["accepted"] * 40
        assert (world.echo.arrivals[-1].at_us - began_us) / 1e6 < 12.0


def test_two_thousand_doubts_at_one_venue_slow_no_other(tmp_path: Path) -> None:
    """From their commands to their answers, 200 closes at a healthy venue take at most twice as long as without."""
    took: dict[int, float] = {}
    for doubts in (0, 2000):
        directory = tmp_path / str(doubts)
        directory.mkdir()
        with World(directory) as world:
            world.start()
            world.acme.hangs = True
            for number in range(doubts):
                world.publish(world.close(f"a{number}", ttl_s=250, position_id=f"p{number}"))
            world.until(lambda: len(world.broker.heard) == doubts, 120.0)  # noqa: B023 - it is over before the next
            for number in range(200):
                world.publish(world.close(f"e{number}", ttl_s=20, venue="echo", position_id=f"q{number}"))
                world.run(0.02)
            world.run(10)
            sent_us = {message.correlation_id: message.sent_us or 0 for message in world.broker.messages}
            waits = sorted(
                heard.at_us - sent_us[heard.result.command_id or ""]
                for number in range(200)
                for heard in world.heard(f"e{number}")[-1:]
            )
            assert len(waits) == 200
            took[doubts] = waits[197] / 1e6
    assert took[2000] <= 2 * took[0] + 0.01, took


def test_looks_are_made_however_many_requests_wait(tmp_path: Path) -> None:
    """A doubt is settled while a hundred closes of its account wait to be sent."""
    with World(tmp_path, limits=(Limit("act", 1, 5.0),), resolve_for_s=30.0) as world:
        world.start()
        world.acme.script.append(Answer(kind="reset", executes=True))
        world.publish(world.close("c0", ttl_s=60))
        for number in range(1, 100):
            world.publish(world.close(f"c{number}", ttl_s=250, position_id=f"p{number}"))
        assert world.final("c0", 15.0).outcome == "accepted"


def test_a_look_that_the_venue_never_saw_gives_nothing_up(tmp_path: Path) -> None:
    """No place under the read limit for an hour: nobody has asked the venue, so nobody may say that it cannot tell."""
    with World(tmp_path, limits=(Limit("read", 1, 7200.0),)) as world:
        core = world.start()
        turn = core.venues["acme"].limiter.take("main", ("read",), Priority.READ)
        assert turn is not None
        assert turn.leave()
        world.acme.script.append(Answer(kind="reset", executes=True))
        world.publish(world.close(ttl_s=30))
        world.run(200)
        assert not world.acme.reads
        assert [result.final for result in world.results("c1")] == [False]


def test_a_look_that_fails_gives_nothing_up(world: World) -> None:
    """A venue that answers every read with 503 has not been asked either."""
    world.acme.reads_fail = True
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close(ttl_s=30))
    world.run(200)
    assert [result.final for result in world.results("c1")] == [False]
    world.acme.reads_fail = False
    assert world.final("c1", 400.0).outcome == "accepted"


def test_a_busy_position_is_refused_at_once(world: World) -> None:
    """The second close of a position has no attempt, so there is nothing to look up."""
    world.acme.script.append(Answer(kind="hang", executes=True))
    world.publish(world.close("c1"))
    world.run(0.5)
    world.publish(world.close("c2"))
    world.run(0.5)
    assert [(result.outcome, result.reason and result.reason.code) for result in world.results("c2")] == [
        ("rejected", "busy")
    ]


def test_a_position_is_held_while_its_close_has_to_be_looked_up(world: World) -> None:
    """The journal was put back, so the first may have been executed; nobody closes its position meanwhile (row 43)."""
    world.publish(world.close("c0", position_id="p0"))
    world.run(3)
    copy = world.copy()
    world.publish(world.close("c1"))
    world.run(3)
    world.put_back(copy)
    world.acme.reads_fail = True
    world.run(3)
    world.publish(world.close("c1"))
    world.run(3)
    world.publish(world.close("c2", ttl_s=120))
    world.run(15)
    world.acme.reads_fail = False
    assert world.final("c1").outcome == "accepted"
    reason = world.final("c2").reason
    assert reason is not None
    assert reason.code == "busy"
    assert world.acme.executed.total() == 2


def test_a_doubt_whose_deadline_passed_before_anything_was_sent_is_settled(world: World) -> None:
    """A close that had to be looked up first and expired meanwhile needs its place for looks, and gets one."""
    world.publish(world.close("c0", position_id="p0"))
    world.run(3)
    copy = world.copy()
    world.publish(world.close("c0b", position_id="p1"))
    world.run(3)
    world.put_back(copy)
    world.run(3)
    world.publish(world.close("c1", ttl_s=3))
    assert world.final("c1", 60.0).outcome == "rejected"
