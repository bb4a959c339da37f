"""What became of an order, told to whom it concerns; and what an event proves about a command."""

import uuid
from decimal import Decimal

import pytest

from router.simulator.faults import Fault
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from tests.integration.feeds.listening import Feeding, only
from tests.sender import cancel, close, in_seconds

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick")]


def coinbase_close(**fields: object) -> dict[str, object]:
    """A close of the whole position of the Coinbase document."""
    return {
        "type": "close",
        "command_id": str(uuid.uuid4()),
        "venue": "coinbase",
        "account": "main",
        "symbol": "BIT-28JUL23-CDE",
        "not_after": in_seconds(20),
        **fields,
    }


async def test_events_of_a_close(feeding: Feeding) -> None:
    """A close's order is followed on the topic and on the reply queue, under the command's correlation id."""
    only(feeding.stack, "gmo_coin")
    gmo = feeding.simulators.venues["gmo_coin"]
    async with feeding.running():
        await feeding.live("gmo_coin")
        command = close()
        result = await feeding.sender.ask(command)
        for size in (Decimal(1), None):
            gmo.move(Move(do="fill", order_id=result["order_id"], size=size))
        await feeding.until(lambda: len(feeding.sender.events_of(command["command_id"])) == 3)
    told = feeding.sender.events_of(command["command_id"])
    assert [(event["status"], event["filled_size"]) for event in told] == [
        ("working", "0"),
        ("partially_filled", "1"),
        ("filled", "3.44"),
    ]
    assert {event["command_id"] for event in told} == {command["command_id"]}
    assert told[2]["last_fill"]["position_id"] == "1000342"
    assert [event["event_id"] for event in feeding.topic.of_order(result["order_id"])] == [
        event["event_id"] for event in told
    ]
    # The orders that stood there before are told first, without anybody having named their symbol.
    keys = [key for key in feeding.topic.keys if "BTC_JPY" in key]
    assert keys[-3:] == [f"gmo_coin.main.BTC_JPY.{event['status']}" for event in told]
    assert feeding.topic.statuses("gmo_coin") == ["gap", "live", "down"]
    feeding.topic.check()


@pytest.mark.faults
async def test_an_event_before_the_answer(feeding: Feeding) -> None:
    """Row 25: an event that beats the REST answer waits for it, and reaches the reply queue under its command."""
    only(feeding.stack, "gmo_coin")
    gmo = feeding.simulators.venues["gmo_coin"]
    async with feeding.running():
        await feeding.live("gmo_coin")
        gmo.inject(Fault(on="close", when="after", delay_s=1.0))
        command = close()
        result = await feeding.sender.ask(command)
        await feeding.until(lambda: feeding.sender.events_of(command["command_id"]))
    (event,) = feeding.topic.of_order(result["order_id"])
    assert event["command_id"] == command["command_id"]
    assert event["received_at"] < result["completed_at"]


async def test_orders_placed_elsewhere(feeding: Feeding) -> None:
    """Orders that no command placed, liquidations among them, are reported without a command, seconds after at most."""
    only(feeding.stack, "gmo_coin")
    gmo = feeding.simulators.venues["gmo_coin"]
    async with feeding.running():
        await feeding.live("gmo_coin")
        [order] = gmo.add_orders(OrderSeed(symbol="BTC_JPY", size=Decimal(1), price=Decimal(100)))
        gmo.move(Move(do="liquidate", position_id="1000342"))
        await feeding.until(lambda: len({event["order_id"] for event in feeding.topic.events("gmo_coin")}) == 2)
        await feeding.until(lambda: "filled" in [event["status"] for event in feeding.topic.events("gmo_coin")])
    assert {event["command_id"] for event in feeding.topic.events()} == {None}
    assert feeding.topic.of_order(order.order_id)[0]["status"] == "working"


async def test_a_cancel_of_an_order_placed_elsewhere(feeding: Feeding) -> None:
    """Who cancels an order hears of it on the reply queue, whoever placed it."""
    only(feeding.stack, "gmo_coin")
    async with feeding.running():
        await feeding.live("gmo_coin")
        command = cancel()
        await feeding.sender.ask(command)
        await feeding.until(lambda: feeding.sender.events_of(command["command_id"]))
    (event,) = feeding.sender.events_of(command["command_id"])
    assert (event["order_id"], event["status"], event["cancel_reason"]) == ("637000", "canceled", "USER")


async def test_an_event_answers_a_cancel_that_awaits_its_end(feeding: Feeding) -> None:
    """A cancel with `await_final` is answered by the event that ends its order, before anything is polled."""
    only(feeding.stack, "gmo_coin")
    gmo = feeding.simulators.venues["gmo_coin"]
    gmo.behave(cancel_delay_s=0.3)
    async with feeding.running():
        await feeding.live("gmo_coin")
        gmo.ledger.clear()
        result = await feeding.sender.ask(cancel(await_final=True))
        reads = [entry for entry in gmo.ledger.select("request") if entry.method == "GET"]
    assert (result["outcome"], result["evidence"], result["order"]["status"]) == ("done", "stream", "canceled")
    assert reads == []


async def test_an_event_settles_a_doubt(feeding: Feeding) -> None:
    """A close whose answer was lost is settled by the event that carries its client order id."""
    only(feeding.stack, "coinbase")
    feeding.stack.change("venues.coinbase", timeout_s=1.0)
    coinbase = feeding.simulators.venues["coinbase"]
    async with feeding.running():
        await feeding.live("coinbase")
        coinbase.inject(Fault(on="close", when="after", what="hang"))
        coinbase.inject(Fault(on="read", what="status", status=503, times=None))
        command = coinbase_close()
        command_id = await feeding.sender.publish(command)
        result = await feeding.sender.final(command_id)
        coinbase.faults.clear()
    outcomes = [(item["outcome"], item["evidence"]) for item in feeding.sender.results_of(command_id)]
    assert outcomes[-1] == ("accepted", "stream")
    assert outcomes[0][0] == "in_doubt"
    assert result["order_id"] in {event["order_id"] for event in feeding.sender.events_of(command_id)}


async def test_events_of_a_close_that_is_found_late(feeding: Feeding) -> None:
    """The events of a close whose answer is lost, and whose order is found long after, reach its reply queue then."""
    only(feeding.stack, "gmo_coin")
    gmo = feeding.simulators.venues["gmo_coin"]
    async with feeding.running():
        await feeding.live("gmo_coin")
        stood = len(feeding.topic.events("gmo_coin"))
        gmo.inject(Fault(on="close", when="after", what="hang"))
        command_id = await feeding.sender.publish(close())
        await feeding.until(lambda: len(feeding.topic.events("gmo_coin")) > stood)
        order_id = feeding.topic.events("gmo_coin")[stood]["order_id"]
        gmo.move(Move(do="fill", order_id=order_id))
        result = await feeding.sender.final(command_id)
        await feeding.until(lambda: len(feeding.sender.events_of(command_id)) == 2)
    assert result["outcome"] == "accepted"
    assert [event["status"] for event in feeding.sender.events_of(command_id)] == ["working", "filled"]
    assert {event["command_id"] for event in feeding.sender.events_of(command_id)} == {command_id}


async def test_an_event_makes_the_resolver_look(feeding: Feeding) -> None:
    """A GMO Coin close in doubt, whose order an event shows, is looked up at once and accepted."""
    only(feeding.stack, "gmo_coin")
    feeding.stack.change("venues.gmo_coin", timeout_s=1.0)
    gmo = feeding.simulators.venues["gmo_coin"]
    async with feeding.running():
        await feeding.live("gmo_coin")
        gmo.inject(Fault(on="close", when="after", what="hang"))
        command_id = await feeding.sender.publish(close())
        result = await feeding.sender.final(command_id)
        await feeding.until(lambda: feeding.sender.events_of(command_id))
    assert result["outcome"] == "accepted"
