"""One order's history: what is known of it, and what one more report adds. Pure.

Reports repeat, overtake each other and overlap with what was read over REST. Whatever the order they come in:

    status       working → partially_filled → filled | canceled | expired | rejected, never back; the last four stay
    filled size  never goes down; a terminal order may still turn out to have been filled further
    event        one for each (status, filled size) that was not there before, so an event id never comes twice

A venue tells the cumulative filled size, or single fills, or both. Single fills are added up once per execution id.
Where both are mixed the larger one counts: which of the fills a cumulative size contains is not known, and a size
once said cannot be taken back. `Merged.doubtful` then says that a read should decide.
"""

from decimal import Decimal, InvalidOperation
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from router.venue_protocol.stream import Change, Fill
from schemas.commands import Close
from schemas.events import LastFill
from schemas.fields import OrderType, Side, TimeInForce
from schemas.ids import plain
from schemas.results import OrderState, OrderStatus

FINAL: Final[frozenset[OrderStatus]] = frozenset({"filled", "canceled", "expired", "rejected"})
MAX_EXECUTIONS: Final = 2000
"""How many execution ids of one order are remembered to tell repeats by."""

_RANK: Final[dict[OrderStatus, int]] = {"unknown": -1, "working": 0, "partially_filled": 1}
_ZERO: Final = Decimal()
_MAX_DIGITS: Final = 40


class OrderRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one order.

    `told_size` is the largest cumulative size the venue has told, `executed_size` the sum of the single fills it has
    told, `executions` their ids. `filled_size` is the larger one, in the venue's own text where it gave one.
    """

    order_id: str
    client_order_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    status: OrderStatus = "unknown"
    price: str | None = None
    size: str | None = None
    filled_size: str = "0"
    told_size: str = "0"
    executed_size: str = "0"
    executions: tuple[str, ...] = ()
    cancel_reason: str | None = None

    @property
    def final(self) -> bool:
        """Whether the order works no more."""
        return self.status in FINAL

    @property
    def state(self) -> OrderState:
        """What a result says of it."""
        return OrderState(status=self.status, size=self.size, filled_size=self.filled_size)


class Merged(Struct, frozen=True, kw_only=True):
    """A record after one more report.

    `news`: it says something that was not known, so it is an event. `doubtful`: the filled size may be too low.
    """

    record: OrderRecord
    news: bool
    fill: LastFill | None = None
    doubtful: bool = False


def merge(known: OrderRecord | None, change: Change, close: Close | None = None) -> Merged:
    """Add one report to what is known of its order, `close` being the command that placed it, if one did."""
    before = known or OrderRecord(order_id=change.order_id)
    if close is not None:
        before = _as_asked(before, close)
    counted = _counted(_described(before, change), change)
    record = replace(counted, status=_status(before, counted, change))
    more = _number(record.filled_size) - _number(before.filled_size)
    news = known is None or record.status != before.status or more > 0
    unexplained = amount(change.filled_size) is None and (
        (change.last_fill is not None and _number(before.told_size) > _number(before.executed_size))
        or (news and record.final and record.status != "filled")
    )
    return Merged(record=record, news=news, fill=_fill(change, more), doubtful=unexplained)


def _as_asked(record: OrderRecord, close: Close) -> OrderRecord:
    """Fill in what the venue has not said by what the close asked for."""
    return replace(
        record,
        symbol=record.symbol or close.symbol,
        side=record.side or close.side,
        order_type=record.order_type or close.order_type,
        time_in_force=record.time_in_force or close.time_in_force,
        price=record.price or close.price,
        size=record.size or close.size,
    )


def amount(text: str | None) -> Decimal | None:
    """Read a size; `None` for what is none."""
    if text is None or len(text) > _MAX_DIGITS:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 and abs(number.adjusted()) <= _MAX_DIGITS else None


def _number(text: str) -> Decimal:
    return amount(text) or _ZERO


def _described(record: OrderRecord, change: Change) -> OrderRecord:
    """Take over what the venue says of the order itself; what it does not say stays."""
    return replace(
        record,
        client_order_id=change.client_order_id or record.client_order_id,
        symbol=change.symbol or record.symbol,
        side=change.side or record.side,
        order_type=change.order_type or record.order_type,
        time_in_force=change.time_in_force or record.time_in_force,
        price=change.price or record.price,
        size=record.size if amount(change.size) is None else change.size,
        cancel_reason=change.cancel_reason or record.cancel_reason,
    )


def _counted(record: OrderRecord, change: Change) -> OrderRecord:
    """Count what was filled."""
    told, whole = amount(change.filled_size), amount(record.size)
    record = _executed(record, change)
    if told is not None and told > _number(record.told_size):
        record = replace(record, told_size=change.filled_size)
    if change.status == "filled" and told is None and whole is not None and whole > _number(record.told_size):
        record = replace(record, told_size=record.size)
    filled, executed = _number(record.told_size), _number(record.executed_size)
    if max(filled, executed) <= _number(record.filled_size):
        return record
    return replace(record, filled_size=record.told_size if filled >= executed else plain(executed))


def _executed(record: OrderRecord, change: Change) -> OrderRecord:
    """Add a single fill that was not told before."""
    fill = change.last_fill
    size = amount(fill.size) if fill is not None else None
    if fill is None or size is None or (fill.execution_id is None and change.filled_size is not None):
        return record
    execution = fill.execution_id or f"{change.venue_time}/{fill.price}/{fill.size}"
    if execution in record.executions:
        return record
    return replace(
        record,
        executed_size=plain(_number(record.executed_size) + size),
        executions=(*record.executions, execution)[-MAX_EXECUTIONS:],
    )


def _status(before: OrderRecord, counted: OrderRecord, change: Change) -> OrderStatus:
    if before.final:
        return before.status
    told = change.status or "unknown"
    status = told if _rank(told) > _rank(before.status) else before.status
    if status in FINAL:
        return status
    filled, whole = _number(counted.filled_size), amount(counted.size)
    if whole and filled >= whole:
        return "filled"
    return "partially_filled" if filled else status


def _rank(status: OrderStatus) -> int:
    return _RANK.get(status, 2)


def _fill(change: Change, more: Decimal) -> LastFill | None:
    """Return what an event says of its fill. A venue that tells only cumulative sizes leaves the difference."""
    told = change.last_fill or Fill()
    size = told.size if told.execution_id is not None else plain(more) if more > 0 else None
    if told == Fill() and size is None:
        return None
    return LastFill(
        execution_id=told.execution_id,
        price=told.price,
        size=size or told.size,
        fee=told.fee,
        fee_asset=told.fee_asset,
        position_id=told.position_id,
    )
