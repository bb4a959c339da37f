"""Two workers on one journal, frozen processes, lost journals, and many commands at once."""

import asyncio
from contextvars import Context
from pathlib import Path

import pytest

from router.venue_protocol import Limit
from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import Core, World, coid


def freeze(world: World, core: Core, point: str, seconds: float) -> None:
    """Freeze a worker at a place for a while, once."""
    frozen: list[str] = []

    async def at(here: str) -> None:
        await core.at(here)
        if here == point and not frozen and world.broker.messages and not world.broker.queue:
            frozen.append(here)
            world.loop.call_later(seconds, core.thaw, context=Context())
            core.freeze()
            await asyncio.sleep(0)

    core.transport.at = core.journal._at = at


@pytest.mark.parametrize("seconds", [1.5, 3.0, 30.0])
def test_an_intent_that_went_stale_sends_nothing(world: World, seconds: float) -> None:
    """A worker that wakes up between its intent and its first byte signs again, or leaves the command to others."""
    freeze(world, world.cores[0], "connect", seconds)
    world.publish(world.close(ttl_s=60))
    world.run(0)
    world.start()
    result = world.final("c1", 120)
    world.run(30)
    taken_up = seconds > 10
    assert (result.outcome, len(world.acme.arrivals)) == (("rejected", 0) if taken_up else ("accepted", 1))
    promises.check(world)


@pytest.mark.parametrize("seconds", [3.0, 8.0, 30.0])
def test_an_intent_that_went_stale_before_it_was_signed_sends_nothing(world: World, seconds: float) -> None:
    """Frozen right after the intent is stored: its signature would be fresh, but others may have taken it for sent."""
    freeze(world, world.cores[0], "after write", seconds)
    world.publish(world.close(ttl_s=60))
    world.run(0)
    world.start()
    result = world.final("c1", 120)
    world.run(30)
    taken_up = seconds > 7
    assert (result.outcome, len(world.acme.arrivals)) == (("rejected", 0) if taken_up else ("accepted", 1))
    promises.check(world)


def test_a_late_acceptance_settles_the_doubt(world: World) -> None:
    """The worker with the venue's answer cannot store it in time, and the one that took over cannot see it."""
    first = world.cores[0]
    world.publish(world.close())
    first.journal.fault = None
    world.acme.script.append(Answer(takes_s=1.0))
    world.acme.reads_fail = True
    world.run(0.5)
    first.journal.fault = "down"
    world.start()
    world.run(15)
    assert [r.outcome for r in world.results("c1")] == ["in_doubt"]
    first.journal.fault = None
    result = world.final("c1", 5)
    assert (result.outcome, result.evidence, result.order_id) == ("accepted", "response", "order-1")
    world.run(30)
    promises.check(world)


def test_a_late_refusal_is_used(world: World) -> None:
    """Nobody has sent anything since: the venue's own word says more than that nothing was seen."""
    first = world.cores[0]
    world.acme.script.append(Answer(kind="refuse", takes_s=1.0))
    world.publish(world.close())
    world.run(0.5)
    first.journal.fault = "down"
    world.start()
    world.run(9)
    first.journal.fault = None
    result = world.final("c1", 60)
    assert (result.outcome, result.evidence) == ("rejected", "response")
    promises.check(world)


def test_a_partitioned_broker_gives_the_command_to_both(world: World) -> None:
    """The first worker is cut off in the middle; the second gets the delivery, sends nothing, and hears the answer."""
    first = world.cores[0]
    second = world.start()
    world.acme.script.append(Answer(takes_s=1.5))
    message = world.publish(world.close())
    world.run(0.2)
    first.disconnect()
    while world.broker.queue:
        world.loop.call_soon(second.deliver, world.broker.queue.popleft())
    world.run(5)
    assert (len(world.acme.arrivals), message.settled) == (1, "acked")
    promises.check(world)


def test_a_switch_that_is_turned_off_stops_repeats_at_once(world: World) -> None:
    """A repeatable close was parked after a lost answer; the next worker may not repeat it, whatever was stored."""
    world.echo.script.extend([Answer(kind="reset", executes=True), Answer(kind="retry", after_s=4)])
    world.publish(world.close(venue="echo", ttl_s=60))
    world.run(1)
    world.kill(world.cores[0])
    world.recognises_repeats = set()
    world.start()
    result = world.final("c1", 30)
    assert (result.outcome, result.evidence, len(world.echo.arrivals)) == ("accepted", "query", 2)


def put_back(world: World, answer: Answer, ttl_s: float) -> None:
    """Let the worker die with a close under way, and put its journal back to before that."""
    (core,) = [world.start()]
    world.run(5)
    copy = world.copy()
    world.publish(world.cancel("x0", order_id="nobody"))
    world.run(5)
    assert world.noticed(copy)
    world.acme.script.append(answer)
    world.publish(world.close(ttl_s=ttl_s))
    world.run(0.5)
    world.kill(core)
    world.put_back(copy)
    world.run(1)
    world.start()


@pytest.mark.parametrize("ttl_s", [1.2, 200.0])
def test_a_close_that_a_journal_that_was_put_back_has_sent_is_found(tmp_path: Path, ttl_s: float) -> None:
    """Row 37: it is looked for before it is sent, and is not called expired."""
    with World(tmp_path) as world:
        put_back(world, Answer(kind="hang", executes=True), ttl_s)
        result = world.final("c1", 60)
        assert (result.outcome, result.evidence) == ("accepted", "query")
        assert (world.acme.executed[coid("c1")], len(world.acme.sent(coid("c1")))) == (1, 1)


def test_a_close_that_a_journal_that_was_put_back_has_not_sent_goes_then(tmp_path: Path) -> None:
    """Its absence is proven after quarantine, and there is time left: it is sent, once."""
    with World(tmp_path) as world:
        put_back(world, Answer(kind="unsent", takes_s=0.4), 200)
        result = world.final("c1", 120)
        assert (result.outcome, world.acme.executed[coid("c1")]) == ("accepted", 1)


def test_after_the_longest_deadline_a_journal_that_was_put_back_is_trusted_again(tmp_path: Path) -> None:
    """Whatever it may have admitted has expired."""
    with World(tmp_path) as world:
        put_back(world, Answer(), 10)
        world.run(1)
        world.publish(world.close("c2", position_id="p2", ttl_s=200))
        world.run(1)
        assert world.acme.sent(coid("c2")) == [], "it is looked up first"
        world.run(310)
        world.publish(world.close("c3", position_id="p3"))
        assert world.final("c3", 1).outcome == "accepted"


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 20, 1.0), Limit("read", 20, 1.0))}], indirect=True)
def test_everybody_is_answered_while_the_venue_is_away(limited: World) -> None:
    """Three hundred closes and no connection: the tries are bounded, and every deadline is kept."""
    world = limited
    world.acme.script.extend([Answer(kind="unsent") for _ in range(5000)])
    for n in range(300):
        world.publish(world.close(f"c{n}", position_id=f"p{n}", ttl_s=20))
    world.run(30)
    assert world.acme.arrivals == []
    promises.check(world)
    promises.in_time(world)


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 20, 1.0), Limit("read", 20, 1.0))}], indirect=True)
def test_many_doubts_are_settled(limited: World) -> None:
    """A hundred closes whose answers were lost, half of them executed: each is told the truth, and sent once."""
    world = limited
    for n in range(100):
        world.acme.scripts[coid(f"c{n}")].append(Answer(kind="unknown", executes=n % 2 == 0))
        world.publish(world.close(f"c{n}", position_id=f"p{n}", ttl_s=60))
    world.until(lambda: all(any(r.final for r in world.results(f"c{n}")) for n in range(100)), 120)
    world.run(5)
    outcomes = [world.final(f"c{n}").outcome for n in range(100)]
    assert outcomes == ["accepted", "rejected"] * 50
    assert len(world.acme.arrivals) == 100
    promises.check(world)
