"""Two workers on one journal, frozen processes, lost journals, and many commands at once."""

from pathlib import Path

import pytest

from router.venue_protocol import Limit
from tests.unit.core import promises
from tests.unit.core.fake_venue import Answer
from tests.unit.core.steady_journal import SteadyJournal
from tests.unit.core.virtual_time import BEGAN_US
from tests.unit.core.world import Core, World, coid


def freeze(core: Core, point: str, seconds: float) -> None:
    """Stop a worker at a place for a while, once, as a frozen process would."""
    frozen: list[str] = []

    async def at(here: str) -> None:
        await core.at(here)
        if here == point and not frozen:
            frozen.append(here)
            await core.clock.sleep(seconds)

    core.transport.at = core.journal.at = at


@pytest.mark.parametrize("seconds", [1.5, 3.0, 30.0])
def test_an_intent_that_went_stale_sends_nothing(world: World, seconds: float) -> None:
    """A worker that wakes up between its intent and its first byte signs again, or leaves the command to others."""
    freeze(world.cores[0], "connect", seconds)
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
    freeze(world.cores[0], "after write", seconds)
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


def test_a_late_refusal_does_not_settle_it(world: World) -> None:
    """It may speak of another request than the one in doubt: the venue is asked instead."""
    first = world.cores[0]
    world.acme.script.append(Answer(kind="refuse", takes_s=1.0))
    world.publish(world.close())
    world.run(0.5)
    first.journal.fault = "down"
    world.start()
    world.run(9)
    first.journal.fault = None
    result = world.final("c1", 60)
    assert (result.outcome, result.evidence) == ("rejected", "query")
    assert result.reason is not None
    assert result.reason.code == "venue_unavailable"
    promises.check(world)


def test_a_partitioned_broker_gives_the_command_to_both(world: World) -> None:
    """The first worker is cut off in the middle; the second gets the delivery, sends nothing, and hears the answer."""
    first = world.cores[0]
    second = world.start()
    world.acme.script.append(Answer(takes_s=1.5))
    message = world.publish(world.close())
    world.run(0.2)
    first.connection.cut()
    while world.broker.queue:
        second.deliver(world.broker.queue.popleft())
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


def lost(tmp_path: Path, answer: Answer, ttl_s: float) -> World:
    """Return a world whose worker died with a close under way, and whose journal went with it."""
    world = World(tmp_path)
    (core,) = [world.start()]
    world.acme.script.append(answer)
    world.publish(world.close(ttl_s=ttl_s))
    world.run(0.5)
    world.kill(core)
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    world.run(1)
    core = world.start()
    core.journal.began_us = world.clock.now_us()
    return world


@pytest.mark.parametrize("ttl_s", [1.2, 200.0])
def test_a_close_that_a_lost_journal_sent_is_found(tmp_path: Path, ttl_s: float) -> None:
    """Older than the journal, and redelivered: it is looked for before it is sent, and is not called expired."""
    with lost(tmp_path, Answer(kind="hang", executes=True), ttl_s) as world:
        result = world.final("c1", 60)
        assert (result.outcome, world.acme.executed[coid("c1")], len(world.acme.arrivals)) == ("accepted", 1, 1)


def test_a_close_that_a_lost_journal_did_not_send_goes_then(tmp_path: Path) -> None:
    """Its absence is proven after quarantine, and there is time left: it is sent, once."""
    with lost(tmp_path, Answer(kind="unsent", takes_s=0.4), 200) as world:
        result = world.final("c1", 120)
        assert (result.outcome, world.acme.executed[coid("c1")], len(world.acme.arrivals)) == ("accepted", 1, 1)


def test_a_journal_of_a_later_epoch_trusts_no_older_command(tmp_path: Path) -> None:
    """A restored copy may lack what was sent: even a first delivery is looked up, if it is older than the copy."""
    with World(tmp_path) as world:
        old = world.publish(world.close())
        world.run(5)
        core = world.start()
        core.journal.began_us, core.journal.first = BEGAN_US + 3_000_000, False
        world.run(0.1)
        assert (old.settled, world.acme.arrivals) == ("acked", [])
        assert world.acme.reads == 1
        world.publish(world.close("c2", position_id="p2"))
        assert world.final("c2", 1).outcome == "accepted"
        assert SteadyJournal.first


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
