"""What happens when the venue's answer does not come."""

from tests.unit.core.fake_venue import Answer
from tests.unit.core.world import World, coid


def test_a_close_is_sent_once_and_answered(world: World) -> None:
    """The ordinary way: one send, one final answer, one acknowledgement."""
    message = world.publish(world.close())
    result = world.final("c1", 1)
    world.run(1)
    assert (result.outcome, result.order_id, result.attempts, result.evidence) == ("accepted", "order-1", 1, "response")
    assert len(world.acme.arrivals) == 1
    assert message.settled == "acked"
    assert len(world.results("c1")) == 1


def test_lost(world: World) -> None:
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())
    result = world.final("c1")
    assert [r.outcome for r in world.results("c1")] == ["in_doubt", "accepted"]
    assert result.seq == 2
    assert world.acme.executed[coid("c1")] == 1
    assert len(world.acme.arrivals) == 1
