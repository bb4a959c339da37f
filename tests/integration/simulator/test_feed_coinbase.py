"""Coinbase's user endpoint in the simulator against the venue's documents."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from router.simulator.faults import Fault
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from tests.integration.simulator.clients import Coinbase
from tests.integration.simulator.listeners import coinbase_listener, coinbase_subscription, coinbase_token, connect

pytestmark = pytest.mark.integration

PRODUCT = "BIT-28JUL23-CDE"
ORDER = "11111-00000-000000"


def orders(frames: Any, kind: str = "update") -> list[dict[str, Any]]:
    """Return the orders of the `user` events of a kind."""
    events = [event for frame in frames if frame.get("channel") == "user" for event in frame["events"]]
    return [order for event in events if event["type"] == kind for order in event["orders"]]


async def test_one_number_over_all_channels(coinbase: Coinbase) -> None:
    """Acknowledgements, heartbeats, snapshot and updates are numbered together from 0, without a hole."""
    coinbase.simulator.behave(heartbeat_s=0.05)
    async with await coinbase_listener(coinbase) as listener:
        await listener.until(lambda frames: orders(frames, "snapshot"))
        await coinbase.cancel(ORDER)
        await listener.until(lambda frames: [row["status"] for row in orders(frames)][-1:] == ["CANCELLED"])
        await listener.until(lambda frames: len([row for row in frames if row["channel"] == "heartbeats"]) > 2)
        frames = listener.frames
    assert [frame["sequence_num"] for frame in frames] == list(range(len(frames)))
    assert {frame["channel"] for frame in frames} == {"subscriptions", "heartbeats", "user"}
    assert [row["status"] for row in orders(frames)] == ["CANCEL_QUEUED", "CANCELLED"]
    beats = [frame["events"][0]["heartbeat_counter"] for frame in frames if frame["channel"] == "heartbeats"]
    assert beats == list(range(len(beats)))


async def test_an_acknowledgement_lists_what_is_subscribed(coinbase: Coinbase) -> None:
    """Each subscription is acknowledged with all of them; unsubscribing, too."""
    coinbase.simulator.behave(heartbeat_s=60)
    async with await coinbase_listener(coinbase) as listener:
        await listener.say(coinbase_subscription(coinbase, "heartbeats") | {"type": "unsubscribe"})
        await listener.until(lambda frames: len([row for row in frames if row["channel"] == "subscriptions"]) == 3)
        acks = [frame for frame in listener.frames if frame["channel"] == "subscriptions"]
    assert [sorted(ack["events"][0]["subscriptions"]) for ack in acks] == [["heartbeats"], ["heartbeats", "user"],
                                                                          ["user"]]  # fmt: skip


@pytest.mark.parametrize(("count", "batches"), [(0, [0]), (49, [49]), (50, [50, 0]), (120, [50, 50, 20])])
async def test_a_snapshot_comes_in_batches(coinbase: Coinbase, count: int, batches: list[int]) -> None:
    """Fifty orders a batch, and the first that is not full ends it; orders that are not OPEN are not in it."""
    coinbase.simulator.move(Move(do="cancel", order_id=ORDER))
    if count:
        coinbase.simulator.add_orders(OrderSeed(symbol=PRODUCT, size=Decimal(1), price=Decimal(9), count=count))
    async with await coinbase_listener(coinbase, "user") as listener:
        frames = await listener.take(1 + len(batches))
    assert [len(frame["events"][0]["orders"]) for frame in frames[1:]] == batches
    assert len({row["order_id"] for row in orders(frames, "snapshot")}) == count


async def test_the_last_full_batch_may_be_the_end(coinbase: Coinbase) -> None:
    """What follows exactly fifty orders is not known: nothing, with the switch off."""
    coinbase.simulator.behave(empty_last_batch=False, late_ack=True)
    coinbase.simulator.add_orders(OrderSeed(symbol=PRODUCT, size=Decimal(1), price=Decimal(9), count=49))
    async with await coinbase_listener(coinbase, "user") as listener:
        snapshot, ack = await listener.take(2)
    assert (len(snapshot["events"][0]["orders"]), ack["channel"]) == (50, "subscriptions")


async def test_a_close_is_told_by_its_cumulative_quantity(coinbase: Coinbase) -> None:
    """A market close is PENDING, then FILLED: its quantity is cumulative, nothing is left, and no trade is named."""
    async with await coinbase_listener(coinbase, "user") as listener:
        await listener.take(2)
        await coinbase.close("c-9", size="3")
        pending, filled = orders(await listener.take(2))
    assert (pending["status"], pending["cumulative_quantity"], pending["leaves_quantity"]) == ("PENDING", "0", "3")
    assert (filled["status"], filled["cumulative_quantity"], filled["leaves_quantity"]) == ("FILLED", "3", "0")
    assert (filled["client_order_id"], filled["order_type"], filled["avg_price"]) == ("c-9", "Market", "29300")
    assert all(isinstance(value, str) for value in filled.values())


async def test_a_partial_ioc_is_cancelled_with_what_it_has(coinbase: Coinbase) -> None:
    """A close that trades in part ends CANCELLED with its quantity."""
    coinbase.simulator.inject(Fault(on="close", fill=Decimal("0.5")))
    async with await coinbase_listener(coinbase, "user") as listener:
        await listener.take(2)
        await coinbase.close(size="4")
        rows = orders(await listener.take(3))
    assert [(row["status"], row["cumulative_quantity"]) for row in rows] == [
        ("PENDING", "0"), ("OPEN", "2"), ("CANCELLED", "2"),
    ]  # fmt: skip


async def test_average_price_and_quantity_tell_every_fill(coinbase: Coinbase) -> None:
    """From two updates the fill between them can be told."""
    async with await coinbase_listener(coinbase, "user") as listener:
        await listener.take(2)
        for size, price in ((1, 31000), (2, 31300)):
            move = Move(do="fill", order_id=ORDER, size=Decimal(size), price=Decimal(price))
            coinbase.simulator.move(move)
        rows = orders(await listener.take(2))
    assert [(row["cumulative_quantity"], row["avg_price"], row["number_of_fills"]) for row in rows] == [
        ("1", "31000", "1"), ("3", "31200", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "claims",
    [{"uri": "GET /ws"}, {"exp": 1}, {"iss": "coinbase"}, {"sub": "someone"}],
    ids=lambda claims: next(iter(claims)),
)
async def test_a_bad_token_is_refused_in_another_shape(coinbase: Coinbase, claims: dict[str, object]) -> None:
    """A token with a `uri`, or wrong in any other way, is an error message without channel and number."""
    async with await connect(coinbase, "/ws") as listener:
        await listener.say({"type": "subscribe", "channel": "user", "jwt": coinbase_token(coinbase, **claims)})
        assert await listener.take(1) == [{"type": "error", "message": "authentication failure"}]
        await listener.say(coinbase_subscription(coinbase, "user"))
        assert [frame["sequence_num"] for frame in await listener.take(2)] == [0, 1]


async def test_a_token_counts_once(coinbase: Coinbase) -> None:
    """The same token a second time is refused, on any connection; an unknown channel is refused alike."""
    wish = coinbase_subscription(coinbase, "heartbeats")
    async with await connect(coinbase, "/ws") as first, await connect(coinbase, "/ws") as second:
        await first.say(wish)
        await first.take(1)
        for content in (wish, coinbase_subscription(coinbase, "fills"), {"channel": "user"}):
            await second.say(content)
        assert [frame["message"] for frame in await second.take(3)] == [
            "authentication failure", "authentication failure", "subscribe or unsubscribe required",
        ]  # fmt: skip


async def test_ed25519_keys_have_their_own_events(coinbase: Coinbase, coinbase_ed25519: Coinbase) -> None:
    """An EdDSA token is as good, and hears its own account alone."""
    async with await coinbase_listener(coinbase_ed25519, "user") as listener:
        assert orders(await listener.take(2), "snapshot") == []
        await coinbase.cancel(ORDER)
        coinbase.simulator.add_orders(OrderSeed(symbol=PRODUCT, size=Decimal(1), order_id="mine", account="ed25519"))
        assert [row["order_id"] for row in orders(await listener.take(1))] == ["mine"]


async def test_products_filter_the_channel(coinbase: Coinbase) -> None:
    """`product_ids` leaves out the others, in snapshot and updates."""
    async with await connect(coinbase, "/ws") as listener:
        await listener.say(coinbase_subscription(coinbase, "user", product_ids=["OTHER-CDE"]))
        assert orders(await listener.take(2), "snapshot") == []
        coinbase.simulator.move(Move(do="cancel", order_id=ORDER))
        coinbase.simulator.add_orders(OrderSeed(symbol="OTHER-CDE", size=Decimal(1)))
        assert [row["product_id"] for row in orders(await listener.take(1))] == ["OTHER-CDE"]


async def test_who_does_not_subscribe_in_time_is_dropped(coinbase: Coinbase) -> None:
    """The first subscription has five seconds; a refused one does not count."""
    coinbase.simulator.behave(subscribe_within_s=0.15)
    late, good = await connect(coinbase, "/ws"), await coinbase_listener(coinbase)
    async with late, good:
        await late.say({"type": "subscribe", "channel": "user", "jwt": "nonsense"})
        assert await late.ended() == 1000
        assert len(late.frames) == 1
        assert not good.ws.closed


async def test_who_has_subscribed_hears_every_connection(coinbase: Coinbase) -> None:
    """A liquidation is an order of the venue's own, and both connections of a user hear it."""
    async with await coinbase_listener(coinbase, "user") as one, await coinbase_listener(coinbase, "user") as two:
        await asyncio.gather(one.take(2), two.take(2))
        coinbase.simulator.move(Move(do="liquidate", position_id=PRODUCT, price=Decimal(1)))
        for listener in (one, two):
            assert [row["status"] for row in orders(await listener.take(2))] == ["PENDING", "FILLED"]
