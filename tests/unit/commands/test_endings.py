"""Commands and workers that come to an end in unusual ways."""

from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import RESOLVE_FOR_S, World


def test_poison_waits_for_the_broker(world: World) -> None:
    """It is not acknowledged before it is answered and buried."""
    world.broker.fault = "refused"
    message = world.publish_raw(b"{", correlation_id="poison")
    world.run(10)
    assert (message.settled, world.broker.buried) == ("", [])
    world.broker.fault = None
    world.run(2)
    assert (message.settled, len(world.broker.buried), len(world.broker.heard)) == ("acked", 1, 1)


def test_the_resolver_drains(world: World) -> None:
    """It takes nothing more up; what is under way ends or is left as the journal says."""
    (core,) = world.cores
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())
    world.run(0.2)
    world.loop.run_until_complete(core.resolver.drain(1.0))
    world.run(30)
    assert [r.outcome for r in world.results("c1")] == ["in_doubt"]
    world.start()
    assert world.final("c1", 10).outcome == "accepted"


def orphaned(world: World) -> None:
    """Replace the worker by one that knows another account only."""
    world.kill(world.cores[0])
    world.accounts = ("other",)
    world.start()


def test_an_account_that_is_gone_ends_what_was_not_sent(world: World) -> None:
    """A parked close of it can be refused: nothing was sent."""
    world.acme.script.append(Answer(kind="retry", after_s=5))
    world.publish(world.close(ttl_s=60))
    world.run(1)
    orphaned(world)
    reason = world.final("c1", 30).reason
    assert reason is not None
    assert reason.code == "unknown_account"


def test_an_account_that_is_gone_leaves_a_doubt_unresolved(world: World) -> None:
    """Nobody can look, so nobody can tell, until the account is back."""
    world.acme.reads_fail = True
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())
    world.run(1)
    orphaned(world)
    given_up = world.final("c1", RESOLVE_FOR_S + 30)
    assert (given_up.outcome, given_up.final) == ("in_doubt", True)
    world.acme.reads_fail = False
    world.kill(world.cores[0])
    world.accounts = ("main", "other")
    world.start()
    world.run(700)
    assert world.results("c1")[-1].outcome == "accepted"
    promises.check(world)
