"""Find out what became of a close or a cancel.

There is no client order id. A close is attributed by what ties an order to its position (executions), else by its
shape and its time, and only if it fits no other command. Active orders are read before executions: an order that
fills in between is then seen twice, not missed.
"""

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

import msgspec

from router.venue_protocol import Absent, Accepted, Attempt, Done, Flow, Refused, Unknown, Working
from router.venue_protocol.pages import Listing, Reading, Torn
from router.venue_protocol.reading import is_id
from router.venues.gmo_coin.codes import NO_ORDER, NO_POSITION
from router.venues.gmo_coin.reads import EXECUTIONS, ORDERS, POSITIONS, read_orders, read_pages
from router.venues.gmo_coin.rows import ExecutionRow, OrderRow, PositionRow, fits, state_of
from schemas.commands import Cancel, Close, Command

_SKEW_MS: Final = 1_000
_SHOWN_MS: Final = 23 * 3_600_000  # latestExecutions shows a day, less a margin


def lookup(command: Command, attempt: Attempt) -> Flow:
    """Look for what a close placed, or for the order that a cancel names."""
    if isinstance(command, Close) and command.position_id is not None:
        return (yield from _look_close(command, command.position_id, attempt))
    if isinstance(command, Cancel) and command.order_id is not None:
        return (yield from _look_cancel(command.order_id, attempt))
    return Unknown(message="the command names nothing to look for")


def _orders(ids: Iterable[int]) -> Listing[OrderRow]:
    return read_orders(set(ids), ORDERS, lambda order: order.order_id)


def _look_cancel(order_id: str, attempt: Attempt) -> Flow:
    listed = yield from _orders([int(order_id)] if is_id(order_id) else [])
    if isinstance(listed, Torn):
        return listed.doubt
    if not listed.rows:
        if attempt.venue_code in NO_ORDER:  # the venue's own word; the empty read alone proves nothing
            return Refused(code="order_not_found", venue_code=attempt.venue_code, order_id=order_id)
        return Absent(message=f"orders: {order_id} is not shown")
    order = listed.rows[0]
    state = state_of(order)
    if order.status == "CANCELLING":
        return Accepted(order_id=order_id, order=state)
    if state.status in {"working", "partially_filled"}:
        return Working(order_id=order_id, order=state)
    if state.status in {"canceled", "expired"}:
        return Done(order_id=order_id, order=state)
    if state.status == "filled":
        return Refused(code="too_late", message="the order was executed", order_id=order_id, order=state)
    return Unknown(message=f"orders: {order_id} has the unknown status {order.status[:32]}")


def _look_close(command: Close, position_id: str, attempt: Attempt) -> Flow:
    if attempt.order_id is not None:
        return (yield from _look_known(command, attempt.order_id, attempt))
    if attempt.venue_code in NO_POSITION and not attempt.unanswered:
        return (yield from _look_refused(command, position_id, attempt))
    active = yield from read_pages("activeOrders", command.symbol, ORDERS, shrinks=True)
    if isinstance(active, Torn):
        return _doubt(active.doubt, any(_is_ours(order, command, attempt) for order in active.glimpsed))
    executions = yield from read_pages("latestExecutions", command.symbol, EXECUTIONS)
    if isinstance(executions, Torn):
        return executions.doubt
    since_ms = _since_ms(attempt)
    closing = _closing(executions.rows, position_id)
    tied = {row.order_id for row in closing if row.time_ms >= since_ms}
    elsewhere = {row.order_id for row in executions.rows} - {row.order_id for row in closing}
    shaped = {order.order_id for order in active.rows if order.time_ms >= since_ms and fits(order, command)}
    wanted = tied | (shaped - elsewhere)
    orders = yield from _orders(wanted)
    seen = any(str(order_id) not in attempt.taken for order_id in wanted)
    if isinstance(orders, Torn):
        return _doubt(orders.doubt, seen)
    if {order.order_id for order in orders.rows} != wanted:
        return Unknown(message="orders does not show what executions or activeOrders show", seen=seen, whole=False)
    ours = [order for order in orders.rows if _is_ours(order, command, attempt)]
    if len(ours) > 1:
        return Unknown(message="ambiguous: more than one order fits", seen=True)
    closers = [order for order in orders.rows if order.order_id in tied and str(order.order_id) not in attempt.taken]
    if ours:
        return (yield from _adopt(ours[0], command, attempt, executions.rows, closers))
    return (yield from _closed_by_others(command, attempt, closers, active.rows))


def _look_refused(command: Close, position_id: str, attempt: Attempt) -> Flow:
    """Every send was refused, so no order is ours; was the position there, and closed by somebody else?"""
    executions = yield from read_pages("latestExecutions", command.symbol, EXECUTIONS)
    if isinstance(executions, Torn):
        return executions.doubt
    if _closing(executions.rows, position_id):
        return Done(venue_code=attempt.venue_code)
    return Refused(code="position_not_found", venue_code=attempt.venue_code)


def _look_known(command: Close, order_id: str, attempt: Attempt) -> Flow:
    orders = yield from _orders([int(order_id)] if is_id(order_id) else [])
    if isinstance(orders, Torn):
        return _doubt(orders.doubt, seen=True)
    if not orders.rows:  # the venue named this order, so not seeing it must never count towards "not executed"
        return Unknown(message=f"orders: {order_id} is not shown", seen=True)
    if order_id in attempt.taken or not fits(orders.rows[0], msgspec.structs.replace(command, price=None)):
        return Unknown(message=f"order {order_id} was named, but is not of this close", seen=True)
    return Accepted(order_id=order_id, order=state_of(orders.rows[0]))


def _adopt(
    order: OrderRow, command: Close, attempt: Attempt, executions: Collection[ExecutionRow], closers: list[OrderRow]
) -> Flow:
    """Take the one order that fits, unless it may as well be somebody else's."""
    if order.time_ms < attempt.sent_ms - _SKEW_MS:
        return Unknown(message=f"ambiguous: order {order.order_id} fits, but its time is before the send", seen=True)
    if order not in closers:
        if any(fits(order, rival) for rival in attempt.rivals):
            return Unknown(message=f"ambiguous: order {order.order_id} fits another close as well", seen=True)
        position = yield from _position(command)
        if isinstance(position, Unknown):
            return _doubt(position, seen=True)
        if position is None:
            return Unknown(message="an order is pending, but its position is not shown", seen=True)
        if position.orderd_size is not None and not Decimal(position.orderd_size):  # pending for another position
            return (yield from _closed_by_others(command, attempt, closers, ()))
    return Accepted(order_id=str(order.order_id), order=state_of(order, executions))


def _closed_by_others(command: Close, attempt: Attempt, closers: list[OrderRow], active: Collection[OrderRow]) -> Flow:
    """Tell a position that a losscut or another order closed from one that is still there.

    `closers` are the orders of no command of ours that closed some of it, `active` those that are working. Only a
    position that is shown makes an `Absent`: a row that vanished proves nothing, nor do executions that are not shown
    any more, nor a position of which more is ordered than the working orders say.
    """
    position = yield from _position(command)
    if position is None and closers:
        return Done()
    for order in closers:  # an order of ours whose price or size was changed would look like this
        if order.order_type != "NORMAL" or order.time_ms < _since_ms(attempt):
            continue
        if order.time_ms < attempt.sent_ms - _SKEW_MS or order.execution_type == command.order_type.upper():
            message = f"ambiguous: order {order.order_id} closes the position, but does not fit"
            return Unknown(message=message, seen=True)
    if isinstance(position, Unknown):
        return position
    if position is None:
        return Unknown(message="the position is not shown, nor what closed it", seen=True)
    if attempt.now_ms - attempt.sent_ms > _SHOWN_MS:
        return Unknown(message="executions of the time of the send are not shown any more")
    working = sum(
        (Decimal(one.size) - Decimal(one.executed_size) for one in active if one.settle_type == "CLOSE"), Decimal()
    )
    if Decimal(position.orderd_size or 0) > working:
        return Unknown(message="some of the position is ordered, and the order is not shown", seen=True)
    return Absent(message="no order of this close is shown, and its position is open")


def _doubt(read: Unknown, seen: bool) -> Unknown:
    return msgspec.structs.replace(read, seen=seen)


def _since_ms(attempt: Attempt) -> int:
    """Return the earliest time, by the venue's clock, that an order of ours can have."""
    return attempt.sent_ms - max(attempt.window_ms, _SKEW_MS)


def _closing(executions: Iterable[ExecutionRow], position_id: str) -> list[ExecutionRow]:
    return [row for row in executions if row.settle_type == "CLOSE" and str(row.position_id) == position_id]


def _position(command: Close) -> Reading[PositionRow | None]:
    positions = yield from read_pages("openPositions", command.symbol, POSITIONS, shrinks=True)
    if isinstance(positions, Torn):
        return positions.doubt
    return next((row for row in positions.rows if str(row.position_id) == command.position_id), None)


def _is_ours(order: OrderRow, command: Close, attempt: Attempt) -> bool:
    return fits(order, command) and order.time_ms >= _since_ms(attempt) and str(order.order_id) not in attempt.taken
