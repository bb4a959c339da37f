"""Rows 25 and 26: whatever happens to a stream, the gap is announced and filled, and no history contradicts itself."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from router.simulator.faults import Fault
from router.simulator.feed import FeedFault
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from tests.integration.feeds.listening import Feeding, only, truth
from tests.sender import cancel, close

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.usefixtures("quick")]

SYMBOLS = {"gmo_coin": "BTC_JPY", "coinbase": "BIT-28JUL23-CDE", "btcturk": "BTCTRY"}


def place(feeding: Feeding, venue: str, count: int = 1) -> list[str]:
    """Put orders on a venue's book that no command placed."""
    seed = OrderSeed(symbol=SYMBOLS[venue], size=Decimal(2), price=Decimal(100), count=count)
    return [order.order_id for order in feeding.simulators.venues[venue].add_orders(seed)]


def move(feeding: Feeding, venue: str, order_id: str, do: str, size: str | None = None) -> None:
    """Let something happen to an order."""
    moved = Move(do=do, order_id=order_id, size=None if size is None else Decimal(size))  # type: ignore[arg-type]  # one of the words
    feeding.simulators.venues[venue].move(moved)


def told(feeding: Feeding, venue: str) -> Callable[[], bool]:
    """Return whether the last word on every order is the simulator's truth."""
    simulator = feeding.simulators.venues[venue]
    return lambda: feeding.topic.last(venue) == truth(simulator.truth())


@pytest.mark.parametrize("venue", SYMBOLS)
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_what_happens_while_disconnected(feeding: Feeding, venue: str, how: str) -> None:
    """Row 25: fills, ends and new orders of a gap are published between `gap` and `live`."""
    only(feeding.stack, venue)
    async with feeding.running(worker=False):
        await feeding.live(venue)
        first, second, third = place(feeding, venue, 3)
        await feeding.until(lambda: {first, second, third} <= feeding.topic.last(venue).keys())
        feeding.simulators.venues[venue].disturb(FeedFault(do="cut", how=how))  # type: ignore[arg-type]  # one of the two
        move(feeding, venue, first, "fill", "0.5")
        move(feeding, venue, second, "fill")
        move(feeding, venue, third, "cancel")
        place(feeding, venue)
        await feeding.live(venue, times=2)
        assert told(feeding, venue)()
    assert feeding.topic.statuses(venue) == ["gap", "live", "gap", "live", "down"]
    between = [message["type"] for message in feeding.topic.heard[feeding.topic.heard.index(gap(feeding, 1)) :]]
    assert between[0] == "feed_status"
    feeding.topic.check()


@pytest.mark.parametrize("venue", SYMBOLS)
async def test_a_gap_names_the_orders_that_are_uncertain(feeding: Feeding, venue: str) -> None:
    """Those that were open when they were last seen; also for a process that takes the account over."""
    only(feeding.stack, venue)
    async with feeding.running(worker=False):
        await feeding.live(venue)
        first, second = place(feeding, venue, 2)
        await feeding.until(lambda: {first, second} <= feeding.topic.last(venue).keys())
        move(feeding, venue, first, "cancel")
        await feeding.until(lambda: feeding.topic.last(venue)[first][0] == "canceled")
        feeding.simulators.venues[venue].disturb(FeedFault(do="cut", how="close"))
        await feeding.live(venue, times=2)
    async with feeding.running(worker=False):
        await feeding.live(venue, times=3)
    heard = [message for message in feeding.topic.heard if message["account"] == "main"]
    said = [message for message in heard if message["type"] == "feed_status"]
    gaps = [second in message["orders"] for message in said if message["status"] in {"gap", "down"}]
    assert gaps == [False, True, True, True, True]
    assert all(first not in message["orders"] for message in said)
    assert all(message["orders"] == [] for message in said if message["status"] == "live")


STRANGE = {"gmo_coin": "ETH_JPY", "coinbase": "BIP-20DEC30-CDE", "btcturk": "XTZBTC", "nami": "ETHUSDT"}


@pytest.mark.parametrize("venue", STRANGE)
async def test_live_means_every_symbol_that_the_venue_lists(feeding: Feeding, venue: str) -> None:
    """On a fresh journal an order is told before `live` that stands in a symbol which nobody ever named."""
    only(feeding.stack, venue)
    seed = OrderSeed(symbol=STRANGE[venue], size=Decimal(2), price=Decimal(100))
    (order,) = feeding.simulators.venues[venue].add_orders(seed)
    async with feeding.running(worker=False):
        await feeding.live(venue)
        before = feeding.topic.heard[: next(n for n, message in enumerate(feeding.topic.heard) if is_live(message))]
        assert order.order_id in {message.get("order_id") for message in before}
    feeding.topic.check()


def is_live(message: dict[str, object]) -> bool:
    """Say whether a message of the topic announces that a feed is complete."""
    return (message["type"], message.get("status")) == ("feed_status", "live")


def gap(feeding: Feeding, number: int) -> dict[str, object]:
    """Return the gap that was announced so-and-so-many-th, counted from 0."""
    return [message for message in feeding.topic.heard if message.get("status") == "gap"][number]


@pytest.mark.parametrize("do", ["duplicate", "reorder"])
async def test_repeats_and_disorder(feeding: Feeding, do: str) -> None:
    """Row 25: events that come twice or out of order make one history."""
    only(feeding.stack, "gmo_coin")
    async with feeding.running(worker=False):
        await feeding.live("gmo_coin")
        feeding.simulators.venues["gmo_coin"].disturb(FeedFault(do=do, times=None, chance=0.5, delay_s=0.1))  # type: ignore[arg-type]  # one of the words
        orders = place(feeding, "gmo_coin", 6)
        for order_id in orders:
            move(feeding, "gmo_coin", order_id, "fill", "0.5")
            move(feeding, "gmo_coin", order_id, "fill", "1")
            move(feeding, "gmo_coin", order_id, "fill" if int(order_id) % 2 else "cancel")
        await feeding.until(
            lambda: all(
                feeding.topic.last("gmo_coin").get(i) == truth(feeding.simulators.venues["gmo_coin"].truth())[i]
                for i in orders
            )
        )
    feeding.topic.check()


async def test_a_break_in_the_numbers(feeding: Feeding) -> None:
    """Row 25: a frame that is missing in Coinbase's sequence is a gap at once, and its content is found over REST."""
    only(feeding.stack, "coinbase")
    async with feeding.running(worker=False):
        await feeding.live("coinbase")
        feeding.simulators.venues["coinbase"].disturb(FeedFault(do="drop"))
        (order_id,) = place(feeding, "coinbase")
        move(feeding, "coinbase", order_id, "fill", "1")
        await feeding.live("coinbase", times=2)
        assert told(feeding, "coinbase")()
    feeding.topic.check()


@pytest.mark.parametrize("venue", SYMBOLS)
async def test_silent_while_alive(feeding: Feeding, venue: str) -> None:
    """Row 25: a socket that stays open and answers pings, but tells nothing, is noticed by what REST shows."""
    only(feeding.stack, venue)
    async with feeding.running(worker=False):
        await feeding.live(venue)
        (order_id,) = place(feeding, venue)
        await feeding.until(lambda: order_id in feeding.topic.last(venue))
        feeding.simulators.venues[venue].disturb(FeedFault(do="stall", times=None))
        move(feeding, venue, order_id, "fill", "1")
        await feeding.live(venue, times=2)
        assert told(feeding, venue)()
        move(feeding, venue, order_id, "cancel")
        await feeding.until(told(feeding, venue))
    feeding.topic.check()


@pytest.mark.parametrize("do", ["expire", "evict"])
async def test_a_token_that_is_gone(feeding: Feeding, do: str) -> None:
    """Row 26: when the token has expired or was evicted, a new one is asked for, all is subscribed, the gap filled."""
    only(feeding.stack, "gmo_coin")
    gmo = feeding.simulators.venues["gmo_coin"]
    async with feeding.running():
        await feeding.live("gmo_coin")
        result = await feeding.sender.ask(close())
        gmo.ledger.clear()
        gmo.disturb(FeedFault(do=do))  # type: ignore[arg-type]  # one of the two
        move(feeding, "gmo_coin", result["order_id"], "fill", "1")
        await feeding.live("gmo_coin", times=2)
        assert feeding.topic.last("gmo_coin")[result["order_id"]] == ("partially_filled", Decimal(1))
        move(feeding, "gmo_coin", result["order_id"], "fill")
        await feeding.until(lambda: feeding.topic.last("gmo_coin")[result["order_id"]][0] == "filled")
    asked = [entry.method for entry in gmo.ledger.select("request") if entry.path.endswith("/ws-auth")]
    assert asked.count("POST") == 1
    assert asked[-1] == "DELETE"
    feeding.topic.check()


async def test_a_sixth_token(feeding: Feeding) -> None:
    """Row 26: five tokens of somebody else push ours out; we are back with a new one, and miss nothing."""
    only(feeding.stack, "gmo_coin")
    gmo = feeding.simulators.venues["gmo_coin"]
    async with feeding.running():
        await feeding.live("gmo_coin")
        (order_id,) = place(feeding, "gmo_coin")
        await feeding.until(lambda: order_id in feeding.topic.last("gmo_coin"))
        for _ in range(5):
            gmo.tokens.issue("main", gmo.now_ms())  # type: ignore[attr-defined]  # only GMO Coin has tokens
        move(feeding, "gmo_coin", order_id, "cancel")
        await feeding.until(lambda: feeding.topic.last("gmo_coin")[order_id][0] == "canceled")
    feeding.topic.check()


async def test_the_venue_refuses_connections(feeding: Feeding) -> None:
    """Handshakes that are refused, and reads that fail, only delay the end of the gap."""
    only(feeding.stack, "coinbase")
    coinbase = feeding.simulators.venues["coinbase"]
    async with feeding.running(worker=False):
        await feeding.live("coinbase")
        (order_id,) = place(feeding, "coinbase")
        coinbase.disturb(FeedFault(do="refuse", times=2, status=503))
        coinbase.inject(Fault(on="read", what="status", status=502, times=2))
        coinbase.disturb(FeedFault(do="cut"))
        move(feeding, "coinbase", order_id, "fill", "1")
        await feeding.live("coinbase", times=2)
        assert told(feeding, "coinbase")()
    assert feeding.topic.statuses("coinbase") == ["gap", "live", "gap", "live", "down"]
    feeding.topic.check()


async def test_polled_orders(feeding: Feeding) -> None:
    """Nami has no stream: what a cancel does is polled, and told on topic and reply queue."""
    only(feeding.stack, "nami")
    async with feeding.running():
        await feeding.live("nami")
        command = cancel(venue="nami", order_id="435372", symbol="BTCUSDT")
        result = await feeding.sender.ask(command)
        assert result["outcome"] in {"accepted", "done"}
        await feeding.until(lambda: feeding.sender.events_of(command["command_id"]), within_s=30)
    (event,) = feeding.sender.events_of(command["command_id"])
    assert (event["status"], event["source"]) == ("canceled", "poll")
    assert [event["status"] for event in feeding.topic.of_order("435372")] == ["working", "canceled"]
    feeding.topic.check()
