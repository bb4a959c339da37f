"""Random trouble for a while; in the end the last word on every order is the simulator's truth."""

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest

from router.simulator.feed import FeedFault
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from tests.integration.feeds.listening import Feeding, truth
from tests.sender import close

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.usefixtures("quick")]

SYMBOLS = {
    "gmo_coin": ("BTC_JPY", "ETH_JPY"),
    "coinbase": ("BIT-28JUL23-CDE",),
    "btcturk": ("BTCTRY", "ETHTRY"),
    "nami": ("BTCUSDT",),
}
STREAMED = ("gmo_coin", "coinbase", "btcturk")
ENDED = {"canceled", "expired"}
CALM_S = 40.0


class Trouble:
    """What goes wrong, and what goes on meanwhile. The same seed makes the same trouble."""

    def __init__(self, feeding: Feeding, seed: int) -> None:
        self.feeding = feeding
        self.random = random.Random(seed)
        self.drops = 0

    def trade(self) -> None:
        """Place an order, or let one be filled, canceled or expired."""
        venue = self.random.choice(list(SYMBOLS))
        simulator = self.feeding.simulators.venues[venue]
        live = [order for order in simulator.truth().values() if order.status in {"working", "partially_filled"}]
        if not live or self.random.random() < 0.4:
            simulator.add_orders(
                OrderSeed(symbol=self.random.choice(SYMBOLS[venue]), size=Decimal(8), price=Decimal(100))
            )
            return
        order = self.random.choice(live)
        do: Any = self.random.choice(["fill", "fill", "fill", "cancel"])
        size = Decimal(self.random.choice([1, 2, 4])) if do == "fill" else None
        simulator.move(Move(do=do, order_id=order.order_id, size=size))

    def strike(self) -> None:
        """Spoil a stream."""
        venue = self.random.choice(STREAMED)
        fault = self.random.choice(
            [
                FeedFault(do="cut"),
                FeedFault(do="cut", how="close"),
                FeedFault(do="drop", times=2),
                FeedFault(do="stall", for_s=6.0),
                FeedFault(do="duplicate", times=3),
                FeedFault(do="reorder", times=2, delay_s=0.2),
                FeedFault(do="refuse", times=1),
            ]
        )
        self.drops += 1
        self.feeding.simulators.venues[venue].disturb(fault)

    def wrong(self) -> dict[str, Any]:
        """Return what is not told as it is: venue/order → told, true.

        No venue shows for sure an order that was placed by somebody else, ended without a fill, and did both in a gap.
        """
        found: dict[str, Any] = {}
        for venue in SYMBOLS:
            told = self.feeding.topic.last(venue)
            for order_id, state in truth(self.feeding.simulators.venues[venue].truth()).items():
                nothing = order_id not in told and state[0] in ENDED and not state[1]
                if told.get(order_id) != state and not nothing:
                    found[f"{venue}/{order_id}"] = (told.get(order_id), state)
        return found


async def soak(feeding: Feeding, seconds: float, seed: int) -> None:
    """Trade and strike for so long, then calm down and compare."""
    trouble = Trouble(feeding, seed)
    for venue, symbols in SYMBOLS.items():
        for symbol in symbols:
            feeding.simulators.venues[venue].add_orders(OrderSeed(symbol=symbol, size=Decimal(8), price=Decimal(100)))
    async with feeding.running():
        for venue in SYMBOLS:
            await feeding.live(venue)
        ends = asyncio.get_running_loop().time() + seconds
        step = 0
        while asyncio.get_running_loop().time() < ends:
            step += 1
            trouble.trade()
            if step % 12 == 0:
                trouble.strike()
            if step % 25 == 0:
                position = feeding.simulators.venues["gmo_coin"].accounts["main"].book.positions
                if "1000342" in position and step == 25:
                    await feeding.sender.publish(close())
            await asyncio.sleep(0.08)
        for venue in STREAMED:
            feed = feeding.simulators.venues[venue].feed
            assert feed is not None
            feed.faults.clear()
        try:
            await feeding.until(lambda: not trouble.wrong(), within_s=CALM_S)
        except TimeoutError:
            assert trouble.wrong() == {}
    feeding.topic.check()
    assert trouble.drops > seconds / 2
    assert sum(feeding.topic.statuses(venue).count("gap") for venue in STREAMED) > len(STREAMED)


async def test_soak(feeding: Feeding) -> None:
    """Rows 25 and 26: after a while of random trouble everything told is true."""
    await soak(feeding, 20.0, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_long_soak(feeding: Feeding) -> None:
    """The same for ten minutes."""
    await soak(feeding, 600.0, seed=2)
