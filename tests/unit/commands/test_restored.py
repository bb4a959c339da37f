"""The journal was put back to an earlier state: what it still shows may have gone on since (rows 37 and 47)."""

from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World


def test_a_parked_close_that_was_executed_since_is_not_called_rejected(world: World) -> None:
    """The copy shows it waiting for its next try; its venue recognises repeats, so nothing else would look first."""
    world.echo.script.append(Answer(kind="retry", after_s=4.0))
    world.publish(world.close(venue="echo", ttl_s=10))
    world.run(0.5)
    copy = world.copy()
    world.run(8)
    assert world.results("c1")[-1].outcome == "accepted"
    world.run(10)
    world.put_back(copy)
    world.run(60)
    assert [result.outcome for result in world.results("c1") if result.final and result.outcome != "accepted"] == []
    promises.check(world)


def test_a_targeted_cancel_that_waits_again_is_not_called_not_found(world: World) -> None:
    """The copy shows it waiting for its target; since then the target came, and its order was canceled."""
    world.publish(world.cancel(target_command_id="c1", ttl_s=15))
    world.run(1)
    copy = world.copy()
    world.publish(world.close())
    world.run(4)
    assert world.results("x1")[-1].outcome == "accepted"
    world.run(15)
    world.put_back(copy)
    world.run(30)
    assert "rejected" not in {result.outcome for result in world.results("x1")}
