"""What really became of an account's orders: what a test compares with what it was told."""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from router.simulator.book import LIVE, Book, Order, Status, plain

Ending = Literal["working", "partially_filled", "filled", "canceled", "expired", "rejected"]

ENDINGS: Final[Mapping[Status, Ending]] = {
    "filled": "filled", "canceled": "canceled", "expired": "expired", "failed": "rejected",
}  # fmt: skip
"""How a venue shows an order that has ended; a venue that has fewer words brings its own table."""


class Truth(Struct, frozen=True, kw_only=True):
    """One order as it is now. `status` is the best that the venue's own words allow to know."""

    order_id: str
    symbol: str
    status: Ending
    size: str
    filled_size: str
    created_ms: int
    updated_ms: int


def truth_of(book: Book, endings: Mapping[Status, Ending]) -> dict[str, Truth]:
    """Return every order of a book by its id."""
    return {order.order_id: _truth(order, endings) for order in book.orders.values()}


def _truth(order: Order, endings: Mapping[Status, Ending]) -> Truth:
    live: Ending = "partially_filled" if order.filled else "working"
    return Truth(
        order_id=order.order_id,
        symbol=order.symbol,
        status=live if order.status in LIVE else endings[order.status],
        size=plain(order.size),
        filled_size=plain(order.filled),
        created_ms=order.created_ms,
        updated_ms=order.updated_ms,
    )
