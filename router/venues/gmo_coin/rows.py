"""What a row of an order, an execution or a position says ("Orders", "Latest Executions", "Open Positions")."""

import datetime
from collections.abc import Collection
from decimal import Context, Decimal
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from router.venue_protocol.reading import EXACT, MAX_ID, decimal, is_id, signed_decimal
from router.venue_protocol.stream import Fill
from router.venues.gmo_coin.codes import STATUS
from schemas.commands import Close
from schemas.results import OrderState, OrderStatus

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_AVERAGE: Final = Context(prec=20)
Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Text = Annotated[str, Meta(pattern=r"\A[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
_Time = Annotated[datetime.datetime, Meta(tz=True)]


class _Row(Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: _Time

    @property
    def time_ms(self) -> int:
        """Its time in milliseconds since 1970."""
        return (self.timestamp - _EPOCH) // datetime.timedelta(milliseconds=1)


class OrderRow(_Row, frozen=True, kw_only=True, rename="camel"):
    """A row of orders or activeOrders."""

    order_id: Id
    symbol: str
    side: str
    order_type: str
    execution_type: str
    settle_type: str
    size: Text
    executed_size: Text
    price: Text = "0"
    status: str
    time_in_force: str | None = None
    cancel_type: str | None = None


class ExecutionRow(_Row, frozen=True, kw_only=True, rename="camel"):
    """A row of executions or latestExecutions."""

    execution_id: Id
    order_id: Id
    position_id: int | None = None
    symbol: str | None = None
    settle_type: str
    size: Text
    price: Text
    fee: Any = None  # nothing is decided on it, so whatever it is the row can be read


class PositionRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of openPositions."""

    position_id: Id
    symbol: str | None = None
    orderd_size: Text | None = None


class ListedSymbol(Struct, frozen=True, kw_only=True):
    """A symbol that the venue lists."""

    symbol: Annotated[str, Meta(min_length=1, max_length=40)]


def status_of(word: str, size: str, filled: str) -> OrderStatus | None:
    """Return our status; the sizes decide first: what is fully executed neither ended otherwise nor works any more."""
    known = STATUS.get(word)
    if Decimal(filled) >= Decimal(size) > 0:
        return "filled"
    return "partially_filled" if known == "working" and Decimal(filled) else known


def state_of(order: OrderRow, executions: Collection[ExecutionRow] = ()) -> OrderState:
    """Read where an order stands; with all its executions at hand also at what average price."""
    status = STATUS.get(order.status, "unknown")
    if status == "working" and Decimal(order.executed_size):
        status = "partially_filled"
    average = _average_price(order, executions)
    return OrderState(status=status, size=order.size, filled_size=order.executed_size, average_price=average)


def _average_price(order: OrderRow, executions: Collection[ExecutionRow]) -> str | None:
    """Average what was executed, only if every execution of the order is at hand."""
    fills = {row.execution_id: row for row in executions if row.order_id == order.order_id}
    size, value = Decimal(0), Decimal(0)
    for fill in fills.values():
        size = EXACT.add(size, Decimal(fill.size))
        value = EXACT.add(value, EXACT.multiply(Decimal(fill.price), Decimal(fill.size)))
    if not size or size != Decimal(order.executed_size):
        return None
    return format(_AVERAGE.divide(value, size), "f")


def fits(order: OrderRow, close: Close) -> bool:
    """Say whether an order has the shape that a close gives it."""
    return (
        (order.order_type, order.settle_type, order.symbol) == ("NORMAL", "CLOSE", close.symbol)
        and (order.side, order.execution_type) == ((close.side or "").upper(), close.order_type.upper())
        and Decimal(order.size) == Decimal(close.size or 0)
        and (close.price is None or Decimal(order.price) == Decimal(close.price))
    )


def number(value: object) -> str | None:
    """Return a number of zero or more; frames write most as text, and some as numbers."""
    return decimal(repr(value) if type(value) is float else value)


def id_of(value: object) -> int | None:
    """Return an id that came as a number or as text; else `None`."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if is_id(text) else None


def fill_of(execution_id: int, price: str | None, size: str | None, fee: object, position_id: object) -> Fill:
    """Translate one execution; its fee is in yen, and has come as a number."""
    charged = signed_decimal(repr(fee) if isinstance(fee, float) else fee)
    return Fill(
        execution_id=str(execution_id),
        price=price,
        size=size,
        fee=charged,
        fee_asset=None if charged is None else "JPY",
        position_id=None if position_id is None else str(position_id),
    )
