"""A switch that was turned while a command was on its way."""

import pytest

from schemas.commands import Command
from tests.unit.commands.fake_venue import Answer, FakeAdapter
from tests.unit.commands.world import World


def test_a_close_that_may_be_repeated_no_more_is_looked_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod died while a repeat was allowed; the next one, where it is not, never sends the close again."""

    def repeatable(adapter: FakeAdapter, command: Command) -> bool:
        return True

    with monkeypatch.context() as allowed:
        allowed.setattr(FakeAdapter, "repeatable", repeatable)
        world.acme.script.append(Answer(kind="hang", executes=True))
        world.publish(world.close())
        world.until(lambda: world.acme.arrivals, 5)
        world.kill(world.cores[0])
    world.start()
    result = world.final("c1", 300)
    assert (result.outcome, result.order_id) == ("accepted", "order-1")
    assert len(world.acme.arrivals) == 1
