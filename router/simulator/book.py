"""What one account has at a venue: orders, positions and fills.

Rows are frozen and replaced, so a snapshot is three shallow copies: that is how a venue's reads can lag behind its
matching. Sizes and prices are `Decimal`, which keeps the text they were written with.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal

import msgspec
from msgspec import Struct

Side = Literal["BUY", "SELL"]
Kind = Literal["market", "limit", "stop_market", "stop_limit"]
Status = Literal["waiting", "working", "modifying", "canceling", "canceled", "filled", "expired", "failed"]

LIVE: Final = frozenset({"waiting", "working", "modifying", "canceling"})
ZERO: Final = Decimal(0)


def plain(number: Decimal) -> str:
    """Write a decimal without an exponent, every digit kept."""
    return format(number, "f")


def opposite(side: Side) -> Side:
    """Return the side that closes `side`."""
    return "SELL" if side == "BUY" else "BUY"


class Position(Struct, frozen=True, kw_only=True):
    """An open position. `side` is the side it was opened with."""

    position_id: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    opened_ms: int


class Order(Struct, frozen=True, kw_only=True):
    """An order in any state. `waiting` is a stop that was not triggered yet; `closes` names the position it closes.

    `forced` marks the venue's own liquidation orders. `cost` is the sum of price times size over its fills.
    """

    order_id: str
    symbol: str
    side: Side
    kind: Kind
    size: Decimal
    created_ms: int
    updated_ms: int
    status: Status = "working"
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    time_in_force: str = ""
    client_order_id: str = ""
    closes: str = ""
    reason: str = ""
    source: str = ""
    forced: bool = False

    @property
    def left(self) -> Decimal:
        """What is not filled yet."""
        return self.size - self.filled

    @property
    def average_price(self) -> Decimal:
        """The mean price of its fills; zero without one."""
        return self.cost / self.filled if self.filled else ZERO


class Fill(Struct, frozen=True, kw_only=True):
    """One trade of one order."""

    fill_id: int
    order_id: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    gain: Decimal
    at_ms: int
    closes: str = ""


OrderWatch = Callable[[Order | None, Order], None]
PositionWatch = Callable[[Position | None, Position | None], None]


class Book:
    """The rows of one account. Reads go through `view`, which leaves out what the venue does not show yet.

    `on_order` and `on_position` are called with the row before and after each change; `None` is no row.
    """

    def __init__(self, on_order: OrderWatch | None = None, on_position: PositionWatch | None = None) -> None:
        self._on_order = on_order
        self._on_position = on_position
        self.orders: dict[str, Order] = {}
        self.positions: dict[str, Position] = {}
        self.fills: list[Fill] = []
        self._live: dict[str, None] = {}
        self._fills_of: dict[str, list[Fill]] = {}
        self._hidden: dict[str, int] = {}

    def put(self, order: Order) -> Order:
        """Store an order, new or changed. Every change of an order passes here."""
        before = self.orders.get(order.order_id)
        self.orders[order.order_id] = order
        if order.status in LIVE:
            self._live[order.order_id] = None
        else:
            self._live.pop(order.order_id, None)
        if self._on_order is not None:
            self._on_order(before, order)
        return order

    def change(self, order: Order, **fields: object) -> Order:
        """Store `order` with other fields."""
        return self.put(msgspec.structs.replace(order, **fields))

    def live(self) -> list[Order]:
        """Return the orders that are not finished, oldest first."""
        return [self.orders[order_id] for order_id in self._live]

    def add_fill(self, fill: Fill) -> None:
        """Append a trade."""
        self.fills.append(fill)
        self._fills_of.setdefault(fill.order_id, []).append(fill)

    def fills_of(self, order_id: str) -> list[Fill]:
        """Return one order's fills, newest first."""
        return self._fills_of.get(order_id, [])[::-1]

    def reserved(self) -> dict[str, Decimal]:
        """Return how much of each position live orders already mean to close."""
        reserved: dict[str, Decimal] = {}
        for order in self.live():
            if order.closes:
                reserved[order.closes] = reserved.get(order.closes, ZERO) + order.left
        return reserved

    def open(self, position: Position) -> None:
        """Store a position, new or in place of the one under its id."""
        before = self.positions.get(position.position_id)
        self.positions[position.position_id] = position
        if self._on_position is not None:
            self._on_position(before, position)

    def shrink(self, position_id: str, size: Decimal) -> None:
        """Take `size` off a position; it goes when nothing is left."""
        position = self.positions[position_id]
        if size < position.size:
            self.open(msgspec.structs.replace(position, size=position.size - size))
            return
        del self.positions[position_id]
        if self._on_position is not None:
            self._on_position(position, None)

    def hide(self, order_id: str, until_ms: int) -> None:
        """Keep an order and its fills out of every view until a moment of the real clock."""
        self._hidden[order_id] = until_ms

    def reveal(self) -> None:
        """Show everything again."""
        self._hidden.clear()

    def snapshot(self) -> "Book":
        """Return a copy that later changes do not reach."""
        copy = Book()
        copy.orders, copy.positions, copy.fills = dict(self.orders), dict(self.positions), list(self.fills)
        copy._live, copy._hidden = dict(self._live), dict(self._hidden)
        copy._fills_of = {order_id: list(fills) for order_id, fills in self._fills_of.items()}
        return copy

    def view(self, real_ms: int) -> "Book":
        """Return what a read shows now: this very book unless orders are hidden."""
        self._hidden = {order_id: until for order_id, until in self._hidden.items() if until > real_ms}
        if not self._hidden:
            return self
        view = self.snapshot()
        view.fills = [fill for fill in view.fills if fill.order_id not in self._hidden]
        for order_id in self._hidden:
            view.orders.pop(order_id, None)
            view._live.pop(order_id, None)
            view._fills_of.pop(order_id, None)
        return view
