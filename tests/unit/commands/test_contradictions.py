"""A venue takes its word back: evidence contradicts a final answer (row 41). One more result tells of it, once."""

import asyncio

import pytest

from router.commands.evidence import Settler
from router.records.event import Evidence
from router.records.order import OrderRecord
from router.venue_protocol import Done
from schemas.results import Result
from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import Core, World, contradictions


def _told(world: World, command_id: str) -> list[tuple[str, str | None, int, bool]]:
    return [_brief(result) for result in world.results(command_id)]


def _brief(result: Result) -> tuple[str, str | None, int, bool]:
    return result.outcome, result.evidence, result.seq, result.final


def test_a_refusal_that_was_executed_is_taken_back(world: World) -> None:
    """The sender hears `rejected`, then `accepted`, both final, the second with the feed as its evidence."""
    (core,) = world.cores
    before = contradictions("acme")
    world.acme.script.append(Answer(kind="refuse", executes=True))
    world.publish(world.close())
    assert world.final("c1").outcome == "rejected"
    world.feed(core, "c1")
    world.run(1)
    assert _told(world, "c1") == [("rejected", "response", 1, True), ("accepted", "stream", 2, True)]
    assert contradictions("acme") == before + 1
    promises.check(world)


def test_a_contradiction_is_told_once(world: World) -> None:
    """Two feeds see the same order, one of them twice; a repeat of the command hears what is true now."""
    world.start()
    before = contradictions("acme")
    world.acme.script.append(Answer(kind="refuse", executes=True))
    world.publish(world.close())
    world.final("c1")
    for core in (*world.cores, *world.cores):
        world.feed(core, "c1")
    world.run(1)
    assert len(_told(world, "c1")) == 2
    assert contradictions("acme") == before + 1
    world.publish(world.close(), reply_to="alpha.more")
    world.run(1)
    repeat = world.results("c1")[-1]
    assert (repeat.outcome, repeat.duplicate) == ("accepted", True)


def test_what_agrees_with_an_answer_is_no_contradiction(world: World) -> None:
    """The order of an accepted close is seen, again and again."""
    (core,) = world.cores
    before = contradictions("acme")
    world.publish(world.close())
    world.final("c1")
    world.feed(core, "c1")
    world.run(1)
    assert len(_told(world, "c1")) == 1
    assert contradictions("acme") == before


def test_an_order_that_somebody_else_ended_contradicts_no_refused_cancel(world: World) -> None:
    """The cancel was not executed: its key was refused; later the order is gone by another hand."""
    (core,) = world.cores
    before = contradictions("acme")
    world.acme.script.append(Answer(kind="refuse"))
    world.publish(world.cancel("x1"))
    assert world.final("x1").outcome == "rejected"

    world.run(20)

    async def ended_by_another_hand() -> None:
        record = await core.journal.load("alpha", "x1")
        assert record is not None
        assert await core.dispatcher.settle_by_event(record, Done(order_id="o1")) is None

    world.within(core, ended_by_another_hand())
    world.run(1)
    assert len(_told(world, "x1")) == 1
    assert contradictions("acme") == before


@pytest.mark.parametrize(
    ("status", "expected"), [("working", "accepted"), ("filled", "accepted"), ("rejected", None), ("unknown", None)]
)
def test_what_a_feed_tells_of_an_order(world: World, status: str, expected: str | None) -> None:
    """The way of an event: an order that works or is filled was placed; one that the venue rejected proves nothing."""
    (core,) = world.cores
    world.acme.script.append(Answer(kind="refuse", executes=True))
    world.publish(world.close())
    world.final("c1")
    _consider(world, core, "c1", OrderRecord(order_id="order-1", status=status))  # type: ignore[arg-type]
    assert [result.outcome for result in world.results("c1")[1:]] == ([] if expected is None else [expected])


def test_a_cancel_that_worked_after_all_is_taken_back(world: World) -> None:
    """The venue refuses a cancel, then shows the order as canceled."""
    (core,) = world.cores
    world.acme.rest("rest-1")
    world.acme.script.append(Answer(kind="refuse", executes=True))
    world.publish(world.cancel())
    assert world.final("x1").outcome == "rejected"
    _consider(world, core, "x1", OrderRecord(order_id="rest-1", status="canceled", order_type="limit"))
    assert [result.outcome for result in world.results("x1")] == ["rejected", "done"]


def _consider(world: World, core: Core, command_id: str, order: OrderRecord) -> None:
    """Let a feed's settler see an order of a command, for a second."""

    async def settle() -> None:
        record = await core.journal.load("alpha", command_id)
        assert record is not None
        settler = Settler(core.dispatcher, core.journal, core.relay, core.clock)
        running = asyncio.create_task(settler.run())
        settler.consider(Evidence(record=record, order=order))
        await asyncio.sleep(1.0)
        running.cancel()

    world.within(core, settle())
    world.run(1)
