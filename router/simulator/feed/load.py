"""Many events on one account's feed, each with the moment it was sent: what a load figure is measured with."""

import asyncio
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from router.simulator.book import Book, Order
from router.simulator.seeds import OrderSeed

if TYPE_CHECKING:
    from router.simulator.venue import VenueSimulator

STAMP: Final = "simulator_sent_us"
"""The field that every event of a loaded account has beside the venue's own: microseconds since 1970."""
STEP_S: Final = 0.002


class Load(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`rate` events a second for `seconds`, evenly. `symbol` empty is one that the account has already."""

    account: str = "main"
    rate: int = 1000
    seconds: float = 10.0
    symbol: str = ""


class LoadReport(Struct, frozen=True, kw_only=True):
    """How many events were published, and how long it took: longer than asked for where the machine was too slow."""

    events: int
    seconds: float


async def run_load(simulator: "VenueSimulator", load: Load) -> LoadReport:
    """Publish a load to its end: each order that is put on the book is one event, and its cancel another.

    Raises `KeyError` for an account that is not there, `ValueError` where the venue has no feed or no symbol.
    """
    feed, account = simulator.feed, simulator.accounts[load.account]
    symbol = load.symbol or _symbol(account.book)
    if feed is None or not symbol:
        raise ValueError("no feed, or no symbol to trade")
    seed = OrderSeed(account=load.account, symbol=symbol, size=Decimal("0.01"), price=Decimal(1))
    wanted, sent, began_s = round(load.rate * load.seconds), 0, time.monotonic()
    order: Order | None = None
    feed.stamping.add(load.account)
    try:
        while sent < wanted:
            due = min(round((time.monotonic() - began_s) * load.rate), wanted)
            while sent < due:
                if order is None:
                    [order] = simulator.add_orders(seed)
                else:
                    simulator.market.end(account, order, "canceled", "USER")
                    order = None
                sent += 1
            await asyncio.sleep(STEP_S)
    finally:
        feed.stamping.discard(load.account)
    return LoadReport(events=sent, seconds=time.monotonic() - began_s)


def _symbol(book: Book) -> str:
    symbols = [order.symbol for order in book.orders.values()] or [row.symbol for row in book.positions.values()]
    return symbols[0] if symbols else ""
