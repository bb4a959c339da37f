"""What an order says, in a list and in a frame: where it stands, and what changed."""

from decimal import Decimal, localcontext
from typing import Annotated, Any

from msgspec import Meta, Struct

from router.venue_protocol import Accepted, LookOutcome, Refused, Unknown
from router.venue_protocol.reading import EXACT, decimal, is_positive, plain, positive, raw_object, text_of, word_of
from router.venue_protocol.stream import Change, Fill
from router.venues.coinbase.codes import ORDER_STATUSES, ORDER_TYPES, REASON_FIELDS, SIDES, TIMES_IN_FORCE
from schemas.fields import TimeInForce
from schemas.results import OrderState, OrderStatus

Row = dict[str, Any]


class OrderRow(Struct, frozen=True, kw_only=True):
    """An order, or a fill: that has the same two ids, and a time."""

    order_id: Annotated[str, Meta(min_length=1)]
    product_id: str | None = None
    trade_time: str | None = None
    trade_type: str | None = None
    client_order_id: str | None = None
    status: str | None = None
    filled_size: Any = None
    average_filled_price: Any = None
    pending_cancel: bool | None = None
    order_configuration: Any = None


class PositionRow(Struct, frozen=True, kw_only=True):
    """A row of the positions."""

    product_id: str
    number_of_contracts: Any


def state_of(order: OrderRow) -> OrderState:
    """Read where an order stands; sizes are contracts."""
    filled = decimal(order.filled_size)
    status = ORDER_STATUSES.get(order.status or "", "unknown")
    if status == "working" and is_positive(filled):
        status = "partially_filled"
    average = positive(order.average_filled_price)
    size = configured(order, "base_size")
    return OrderState(status=status, size=size, filled_size=filled, average_price=average)


def configured(order: OrderRow, name: str) -> str | None:
    """Return a number of the configuration, which has one key, the kind of order."""
    kinds = order.order_configuration.values() if isinstance(order.order_configuration, dict) else ()
    found = [decimal(kind.get(name)) for kind in kinds if isinstance(kind, dict)]
    return found[0] if len(found) == 1 else None


def close_sight(order: OrderRow) -> LookOutcome:
    """Our order exists, so the close was taken; FAILED without a fill is the venue's late refusal."""
    state = state_of(order)
    if state.status != "rejected" or is_positive(state.filled_size):
        return Accepted(order_id=order.order_id, order=state)
    if state.filled_size is None and order.filled_size not in (None, ""):
        return Unknown(message="the order failed and its fills cannot be read")
    message = "the order was made and failed without a fill"
    return Refused(code="venue_rejected", message=message, order_id=order.order_id, order=state)


def status_of(word: object, filled: str | None) -> OrderStatus | None:
    """Return our status; a word that is not documented says nothing, and a read will tell."""
    status = ORDER_STATUSES.get(word_of(word))
    return "partially_filled" if status == "working" and is_positive(filled) else status


def price_of(limit: object, stop: object) -> str | None:
    """Return the price of an order, a stop's trigger without one."""
    return positive(limit) or positive(stop)


def changed(row: Row, *, status: OrderStatus | None, **fields: Any) -> Change:
    """Return what an order and a report of it word alike, and `fields`, where they differ."""
    tif: TimeInForce | None = TIMES_IN_FORCE.get(word_of(row.get("time_in_force")))
    named = REASON_FIELDS.get(status or "", ())
    reasons = (text_of(row.get(name)) for name in named)
    return Change(
        order_id=row["order_id"],
        client_order_id=text_of(row.get("client_order_id"), 1_000),
        symbol=text_of(row.get("product_id"), 1_000),
        side=SIDES.get(word_of(row.get("order_side") or row.get("side"))),
        order_type=ORDER_TYPES.get(word_of(row.get("order_type"))),
        time_in_force="post_only" if word_of(row.get("post_only")) == "TRUE" else tif,
        status=status,
        cancel_reason=next((why for why in reasons if why and why != "REJECT_REASON_UNSPECIFIED"), None),
        raw=raw_object(row),
        **fields,
    )


class Progress(Struct, frozen=True, kw_only=True):
    """How far an order has come, as one frame says it."""

    size: str | None = None
    filled: Decimal = Decimal(0)
    average: str | None = None
    fees: Decimal | None = Decimal(0)


def fill_between(before: Progress | None, now: Progress, fills: int | None) -> Fill | None:
    """Return what was filled between two reports of an order; the stream names no executions.

    Without an earlier report only a first fill can be told from a sum. The price is the average of what came
    between, rounded to 8 decimals, because averages are rounded, too.
    """
    if before is None and fills != 1:
        return None
    before = before or Progress()
    with localcontext(EXACT):
        size = now.filled - before.filled
        if size <= 0:
            return None
        price = now.average
        if before.filled:
            price = None
            if now.average is not None and before.average is not None:
                value = Decimal(now.average) * now.filled - Decimal(before.average) * before.filled
                price = plain((value / size).quantize(Decimal("1e-8")))
        fee = now.fees - before.fees if now.fees is not None and before.fees is not None else Decimal(-1)
        return Fill(price=price_of(price, None), size=plain(size), fee=plain(fee) if fee >= 0 else None)


def sum_of(first: str, second: str) -> str:
    """Add two sizes exactly."""
    with localcontext(EXACT):
        return plain(Decimal(first) + Decimal(second))


class CancelRow(Struct, frozen=True, kw_only=True):
    """A row of `results`: what became of one cancel."""

    order_id: str | None = None
    success: bool | None = None
    failure_reason: str | None = None
