"""Reply queues that are stuck, gone or refused, and a broker that takes nothing: nobody else waits.

Rows 9, 10, 33 and 45 of the fault table.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from router.errors import PublishFailed
from tests.unit.commands import promises
from tests.unit.commands.fake_broker import UNCONFIRMED, PublishFault
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World, coid

STUCK = "stuck.results"


def test_a_stuck_queue_costs_another_sender_nothing(world: World) -> None:
    """A hundred and thirty parked answers for it, and one parked command of somebody else at another venue."""
    world.broker.faults[STUCK] = "stuck"
    for number in range(130):
        world.acme.scripts[coid(f"b{number}")].append(Answer(kind="retry", after_s=3.0))
        world.publish(world.close(f"b{number}", ttl_s=200, position_id=f"b{number}"), reply_to=STUCK)
    world.run(10)
    world.echo.scripts[coid("good")].append(Answer(kind="retry", after_s=3.0))
    world.publish(world.close("good", ttl_s=60, venue="echo"))
    assert world.final("good", 10.0).outcome == "accepted"
    assert not world.broker.broken


def test_a_stuck_queue_gets_few_copies(world: World) -> None:
    """At most so many are unconfirmed, and none goes twice while its confirm may still come."""
    world.broker.faults[STUCK] = "stuck"
    for number in range(64):
        world.publish(world.close(f"b{number}", position_id=f"b{number}"), reply_to=STUCK)
    world.run(120)
    assert not world.broker.broken
    world.broker.heal(STUCK)
    world.run(130)
    counts = [len(world.results(f"b{number}")) for number in range(64)]
    assert min(counts) >= 1
    assert sum(counts) <= 64 + UNCONFIRMED


def test_a_queue_that_stays_stuck_has_its_answers_diverted(world: World) -> None:
    """After ten minutes they are in the results queue."""
    world.broker.faults[STUCK] = "stuck"
    for number in range(20):
        world.publish(world.close(f"b{number}", position_id=f"b{number}"), reply_to=STUCK)
    world.run(500)
    assert not world.broker.heard
    world.run(300)
    assert all(world.heard(f"b{number}")[0].diverted for number in range(20))


def test_a_crowd_of_answers_without_a_row_for_a_stuck_queue_delays_nobody(world: World) -> None:
    """Refusals that are not stored go out the same way."""
    world.broker.faults[STUCK] = "stuck"
    for _ in range(200):
        world.publish_raw(b"{", reply_to=STUCK, correlation_id="poison")
    world.run(5)
    world.publish(world.close("good", ttl_s=10))
    assert world.final("good", 5.0).outcome == "accepted"
    world.until(lambda: not world.broker.queue and all(message.settled for message in world.broker.messages))
    assert not world.broker.broken


@pytest.mark.parametrize("fault", ["gone", "refused", "confirm lost", "stuck"])
def test_one_queue_that_fails_delays_no_other(world: World, fault: PublishFault) -> None:
    """Everybody is answered, the failing queue's senders once it works again or from the results queue."""
    world.broker.faults[STUCK] = fault
    for number in range(10):
        world.publish(world.close(f"b{number}", position_id=f"b{number}"), reply_to=STUCK)
        world.publish(world.close(f"g{number}", position_id=f"g{number}", venue="echo"))
    world.run(2)
    assert all(world.results(f"g{number}") for number in range(10))
    world.run(5)
    world.broker.mend()
    world.until(lambda: not any(promises.owed(world, message) for message in world.broker.messages))
    promises.check(world)


@pytest.mark.parametrize("reply_to", ["", "orders.results", "orders.acme.commands", "amq.topic"])
def test_nothing_is_published_to_what_is_not_the_senders(world: World, reply_to: str) -> None:
    """Its answer goes to the results queue."""
    world.publish(world.close(), reply_to=reply_to)
    world.final("c1")
    assert world.heard("c1")[0].diverted
    promises.check(world)


@pytest.mark.parametrize("reply_to", ["amq.gen-Xk", "amq.rabbitmq.reply-to.g1"])
def test_names_that_the_broker_gave_are_as_good_as_any(world: World, reply_to: str) -> None:
    """Their senders asked for them."""
    world.publish(world.close(), reply_to=reply_to)
    world.final("c1")
    assert not world.heard("c1")[0].diverted


def test_an_alarm_lets_no_closes_pile_up(world: World) -> None:
    """While the broker takes no answers, few commands are sent; when it does, everybody is answered (row 9)."""
    world.broker.blocked = True
    for number in range(500):
        world.publish(world.close(f"c{number}", ttl_s=250, position_id=f"p{number}"))
    world.run(60)
    assert len(world.acme.arrivals) <= world.prefetch
    world.broker.unblock()
    world.until(lambda: all(message.settled for message in world.broker.messages))
    world.run(5)
    promises.check(world)


def slowly(core: Any, seconds: float) -> None:
    """Let the queue `slow` take that long to confirm each answer."""
    publish = core.publisher.publish

    async def slow(reply: Any, result: Any, sender: str) -> None:
        if reply.reply_to == "slow":
            await asyncio.sleep(seconds)
        await publish(reply, result, sender)

    core.publisher.publish = slow


def test_the_backlog_of_a_slow_queue_holds_no_close(tmp_path: Path) -> None:
    """It confirms, so it is not stuck; what waits for it counts little for the room that everybody waits for."""
    with World(tmp_path) as world:
        core = world.start()
        world.run(2)
        slowly(core, 0.9)
        for second in range(15):
            for number in range(40):
                world.publish(world.cancel(f"x{second}-{number}", account="nobody"), reply_to="slow")
            world.run(1)
        published_us = world.clock.now_us()
        world.publish(world.close("c1", ttl_s=20))
        world.run(5)
        assert world.acme.arrivals[0].at_us - published_us < 2_000_000


def test_a_crowd_of_poison_for_a_slow_queue_holds_no_close(tmp_path: Path) -> None:
    """Its answers keep their deliveries; beyond a few they go to the results queue at once."""
    with World(tmp_path) as world:
        core = world.start()
        world.run(2)
        slowly(core, 0.9)
        for number in range(600):
            world.publish_raw(b"{", reply_to="slow", correlation_id=str(number))
        published_us = world.clock.now_us()
        world.publish(world.close("c1", ttl_s=20))
        world.run(20)
        assert world.acme.arrivals[0].at_us - published_us < 5_000_000


def test_dead_letters_that_nobody_takes_hold_no_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Poison that cannot be put there in a moment is rejected: the broker puts it there itself."""
    with World(tmp_path) as world:
        core = world.start()
        world.run(2)

        async def never(*_: object) -> None:
            await asyncio.sleep(10)
            raise PublishFailed("not confirmed")

        monkeypatch.setattr(core.publisher, "dead_letter", never)
        for number in range(64):
            world.publish_raw(b"{", reply_to="", correlation_id=str(number))
        published_us = world.clock.now_us()
        world.publish(world.close("c1", ttl_s=40))
        world.run(20)
        assert world.acme.arrivals[0].at_us - published_us < 5_000_000


def test_an_answer_without_a_row_waits_some_seconds_for_its_queue(tmp_path: Path) -> None:
    """A queue that has no leader for a moment gets its answers: they are not sent elsewhere for good."""
    with World(tmp_path) as world:
        world.start()
        world.run(2)
        close = world.close("c1")
        world.publish(close)
        world.final("c1")
        world.broker.faults["alpha.results"] = "stuck"
        world.publish(world.close("c2", position_id="p2"))
        world.run(2)
        message = world.publish(close, correlation_id="again")
        world.run(3)
        world.broker.heal("alpha.results")
        world.run(60)
        assert [heard.diverted for heard in world.heard_by(message)] == [False]


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_an_old_pause_is_not_counted(tmp_path: Path, how: str) -> None:
    """A queue that was stuck once and a hiccup an hour later are two troubles: nothing is diverted."""
    with World(tmp_path) as world:
        core = world.start()
        world.broker.faults["alpha.results"] = "stuck"
        world.publish(world.close("c1"))
        world.run(5)
        if how == "killed":
            world.kill(core)
            world.broker.faults.clear()
            core = world.start()
        else:
            core.reconnect()
            world.broker.faults.clear()
        world.final("c1", 60)
        world.run(900)
        world.broker.faults["alpha.results"] = "stuck"
        world.publish(world.close("c3", position_id="p3"))
        world.run(3)
        world.broker.heal("alpha.results")
        world.publish(world.close("c4", position_id="p4"))
        world.run(30)
        assert [heard for heard in world.broker.heard if heard.diverted] == []


def test_many_answers_without_a_row_at_once_reach_their_queue(tmp_path: Path) -> None:
    """As at one deadline of 64 commands with the journal away: a queue that confirms gets every answer."""
    with World(tmp_path) as world:
        core = world.start()
        world.run(2)
        slowly(core, 0.02)
        for number in range(64):
            world.publish_raw(b"{", reply_to="slow", correlation_id=str(number))
        world.run(5)
        assert len(world.broker.heard) == 64
        assert not [heard for heard in world.broker.heard if heard.diverted]
