"""Reply queues that are stuck, gone or refused, and a broker that takes nothing: nobody else waits.

Rows 9, 10, 33 and 45 of the fault table.
"""

import pytest

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
