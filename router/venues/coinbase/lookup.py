"""Find out what became of a close or a cancel.

There is no lookup by client order id: orders since the send are listed and compared here, then fills lead to orders
that no list shows, and the position says last whether there is anything left to close.
"""

from typing import Final

import msgspec

from router.venue_protocol import Absent, Accepted, Attempt, Done, Flow, Refused, Request, Unknown, Working
from router.venue_protocol.pages import Listing, Torn, Whole
from router.venue_protocol.reading import decimal, is_positive, iso_ms
from router.venues.coinbase import requests
from router.venues.coinbase.reads import read_list, read_order, shown, typed
from router.venues.coinbase.requests import SOURCES, since
from router.venues.coinbase.rows import OrderRow, close_sight, state_of
from schemas.commands import Cancel, Close, Command

_MAX_ORDERS: Final = 20
_LOOK_BACK_MS: Final = 120_000  # beyond the window: a client id attributes, so looking far back costs nothing
_EXISTS: Final = "DUPLICATE_CLIENT_ORDER_ID"
_EXISTS_BACK_MS: Final = 7 * 86_400_000
_DENIED: Final = "UNKNOWN_CANCEL_ORDER"
_UNREADABLE_MS: Final = 5_000  # how long a new order may not be readable yet: clients report seconds


def lookup(command: Command, attempt: Attempt) -> Flow:
    """Look for what a close placed, or for the order that a cancel names."""
    if isinstance(command, Close):
        return (yield from _find_close(command, attempt))
    order_id = command.order_id if isinstance(command, Cancel) else None
    if order_id is None:
        return Unknown(message="no order id to look for")
    return (yield from _find_canceled(order_id, attempt))


def _read_rows(first: Request, product: str) -> Listing[OrderRow]:
    """Read a list of one product to its end; a row that cannot be read tears it."""
    listed = yield from read_list(first, product=product)
    rows = listed.rows if isinstance(listed, Whole) else listed.glimpsed
    orders = [typed(row, first.endpoint) for row in rows]
    readable = tuple(order for order in orders if isinstance(order, OrderRow))
    if isinstance(listed, Torn):
        return Torn(listed.doubt, readable)
    doubt = next((order for order in orders if isinstance(order, Unknown)), None)
    return Whole(readable) if doubt is None else Torn(doubt, readable)


def _find_close(command: Close, attempt: Attempt) -> Flow:
    """Find the order that carries our client id, wherever the venue shows it."""
    hidden = attempt.venue_code == _EXISTS  # the venue spoke of an order of ours: not seeing it proves nothing
    if attempt.order_id is not None:
        known = yield from read_order(attempt.order_id)
        if isinstance(known, Unknown):
            return msgspec.structs.replace(known, seen=True)
        if known is not None and known.client_order_id == attempt.client_order_id:
            return close_sight(known)
        hidden = True
    ours: dict[str, OrderRow] = {}
    nameless = False
    others: set[str] = set()
    back_ms = _EXISTS_BACK_MS if attempt.venue_code == _EXISTS else attempt.window_ms + _LOOK_BACK_MS
    query = (("product_ids", command.symbol), ("start_date", since(attempt.sent_ms - back_ms)))
    for source in SOURCES:
        listed = yield from _read_rows(requests.orders((*query, *source)), command.symbol)
        orders = listed.glimpsed if isinstance(listed, Torn) else listed.rows
        ours.update((order.order_id, order) for order in orders if order.client_order_id == attempt.client_order_id)
        nameless |= any(not order.client_order_id and order.order_id not in attempt.taken for order in orders)
        others.update(order.order_id for order in orders if order.client_order_id)
        if isinstance(listed, Torn):
            return msgspec.structs.replace(listed.doubt, seen=nameless or bool(ours))
    if len(ours) > 1:
        message = f"{len(ours)} orders carry this client order id: {', '.join(sorted(ours))}"
        return Unknown(message=message[:200], seen=True)
    for order in ours.values():
        return close_sight(order)
    sight = yield from _find_fill(command, attempt, others)
    if nameless and isinstance(sight, Absent | Unknown):
        whole = not isinstance(sight, Unknown) or sight.whole
        return Unknown(message="an order without a client id: it may be ours", seen=True, whole=whole)
    if hidden and isinstance(sight, Absent):
        return Unknown(message="the venue spoke of an order of ours that it does not show", seen=True)
    return sight


def _find_fill(command: Close, attempt: Attempt, others: set[str]) -> Flow:
    """Find our order through its fills; failing that, a position that somebody else's order made flat.

    The position is read last, so that flat is the newest thing seen. Flat alone proves nothing, nor does a fill from
    before the send: it may have opened the position that a stale list does not show yet. Nor does a row of the fills
    that is no execution. `others` are orders that were listed with a client id, and it is not ours: their fills need
    no further look.
    """
    after = since(attempt.sent_ms - attempt.window_ms)
    query = (("product_ids", command.symbol), ("start_sequence_timestamp", after))
    fills = yield from _read_rows(requests.fills(query), command.symbol)
    if isinstance(fills, Torn):
        return fills.doubt
    nobodys = {fill.order_id: None for fill in fills.rows if fill.order_id not in attempt.taken}
    executed = [fill for fill in fills.rows if fill.trade_type in {None, "", "FILL"}]
    later = {fill.order_id for fill in executed if iso_ms(fill.trade_time) >= attempt.sent_ms}
    unread = [order_id for order_id in nobodys if order_id not in others]
    if len(unread) > _MAX_ORDERS:
        return Unknown(message=f"{len(unread)} orders filled since the send: too many to read", whole=False)
    nameless = False
    for order_id in unread:
        order = yield from read_order(order_id)
        if isinstance(order, Unknown):
            return msgspec.structs.replace(order, seen=nameless)
        if order is None:
            return Unknown(message="the order of a fill cannot be read", seen=True)
        if order.client_order_id == attempt.client_order_id:
            return close_sight(order)
        nameless |= not order.client_order_id
    return (yield from _look_at_position(command, nameless, bool(later & nobodys.keys())))


def _look_at_position(command: Close, nameless: bool, closed_by_others: bool) -> Flow:
    reply = shown((yield requests.positions()), "list_positions")
    if isinstance(reply, Unknown):
        return msgspec.structs.replace(reply, seen=nameless)
    if reply.positions is None or reply.hides_rows():
        return Unknown(message="list_positions cannot be read", seen=nameless, whole=False)
    held = [decimal(row.number_of_contracts) for row in reply.positions if row.product_id == command.symbol]
    if None in held:
        return Unknown(message="a position of unreadable size", seen=nameless, whole=False)
    if not any(map(is_positive, held)):
        flat = Unknown(message="the position is not shown, nor what closed it", seen=True)
        return Done() if closed_by_others else flat
    if nameless:
        return Unknown(message="a filled order may be ours", seen=True)
    return Absent(message="no order carries our id, and the position is open")


def _find_canceled(order_id: str, attempt: Attempt) -> Flow:
    order = yield from read_order(order_id)
    if order is None and attempt.venue_code == _DENIED and attempt.now_ms - attempt.sent_ms >= _UNREADABLE_MS:
        # The venue denied it when it was asked to cancel, and again now: no new order would be hidden that long.
        order = yield from read_order(order_id, "get_order_again")
        if order is None:
            return Refused(code="order_not_found", venue_code=_DENIED, order_id=order_id)
    if isinstance(order, Unknown):
        return order
    if order is None:
        return Absent(message="the venue does not show this order")
    state = state_of(order)
    if state.status in {"working", "partially_filled"}:
        if order.pending_cancel or order.status == "CANCEL_QUEUED":
            return Accepted(order_id=order_id, order=state)
        return Working(order_id=order_id, order=state)
    if state.status == "filled":
        return Refused(code="too_late", message="the order is filled", order_id=order_id, order=state)
    if state.status == "unknown":
        return Unknown(venue_code=(order.status or "")[:100], message="an order status that is not documented")
    return Done(order_id=order_id, order=state)
