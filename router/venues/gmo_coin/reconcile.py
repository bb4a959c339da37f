"""Find what the stream may have missed: active orders and executions of every symbol, then single orders."""

import datetime
from collections.abc import Generator, Iterable
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from router.venue_protocol import Request, Response, Unknown
from router.venue_protocol.pages import Torn, glimpse
from router.venue_protocol.reading import converted, is_id, raw_object
from router.venue_protocol.stream import Change, Known, Missed
from router.venues.gmo_coin import requests
from router.venues.gmo_coin.codes import FORCES, ORDER_TYPES, SIDES
from router.venues.gmo_coin.reads import PLAIN, read_orders, read_pages, symbols_of
from router.venues.gmo_coin.rows import ExecutionRow, OrderRow, fill_of, status_of

_CLOCKS_MS: Final = 5_000
_DAY_MS: Final = 24 * 3_600_000  # what latestExecutions shows


def reconcile(known: Known) -> Generator[Request, Response, Missed]:
    """Read every symbol that the venue lists; with `known.everywhere` off those that are known.

    An order that nobody knew and that ended without an execution is shown nowhere. Not complete when `known.since_ms`
    is further back than executions are shown, a day; 0 claims nothing.
    """
    flow, late = _reconcile(known), False
    try:
        request = next(flow)
        while True:
            response = yield request
            if known.since_ms and request.endpoint == "latestExecutions":
                late = late or _date_ms(response) > known.since_ms + _DAY_MS
            request = flow.send(response)
    except StopIteration as stop:
        missed: Missed = stop.value
    return msgspec.structs.replace(missed, complete=missed.complete and not late)


def _reconcile(known: Known) -> Generator[Request, Response, Missed]:
    """Active orders are read before executions: an order that fills in between is seen twice, not missed."""
    found = _Found()
    symbols = {*known.symbols, *(symbol for _, symbol in known.open_orders if symbol)}
    if known.everywhere:
        listed = symbols_of((yield requests.symbols()))
        found.note(listed if isinstance(listed, Unknown) else None)
        symbols.update(() if isinstance(listed, Unknown) else listed)
    for symbol in sorted(symbols):
        for name in ("activeOrders", "latestExecutions"):
            if found.denied:
                return found.missed()
            rows = yield from read_pages(name, symbol, PLAIN)
            found.note(rows.doubt if isinstance(rows, Torn) else None)
            if name == "activeOrders":
                found.complete &= _take_orders(glimpse(rows), found.orders)
            else:
                found.complete &= _take_fills(glimpse(rows), known.since_ms, found.fills)
    wanted = {int(order_id) for order_id, _ in known.open_orders if is_id(order_id)} | found.fills.keys()
    if not found.denied:
        read = yield from read_orders(wanted, PLAIN, lambda row: row.get("orderId"))
        found.note(read.doubt if isinstance(read, Torn) else None)
        found.complete &= _take_orders(glimpse(read), found.orders)
    return found.missed()


class _Found:
    """What was read so far."""

    def __init__(self) -> None:
        self.orders: dict[int, Change] = {}
        self.fills: dict[int, ExecutionRow] = {}
        self.complete = True
        self.denied = False

    def note(self, doubt: Unknown | None) -> None:
        """Take notice of a read that was not whole."""
        self.complete &= doubt is None
        self.denied |= doubt is not None and doubt.denied

    def missed(self) -> Missed:
        """Tell every order that was seen.

        An execution's order is there, so a read that lacks it is stale. A known order may be forgotten for good.
        """
        complete = self.complete and self.fills.keys() <= self.orders.keys()
        changes = (_with_fill(change, self.fills.get(order_id)) for order_id, change in sorted(self.orders.items()))
        return Missed(changes=tuple(changes), complete=complete, denied=self.denied)


def _take_orders(rows: Iterable[dict[str, Any]], orders: dict[int, Change]) -> bool:
    """Note what rows of orders or activeOrders say; `False` when one cannot be read."""
    readable = True
    for row in rows:
        order = converted(row, OrderRow)
        if order is None:
            readable = False
            continue
        status = status_of(order.status, order.size, order.executed_size)
        orders[order.order_id] = Change(
            order_id=str(order.order_id),
            symbol=order.symbol,
            side=SIDES.get(order.side),
            order_type=ORDER_TYPES.get(order.execution_type),
            time_in_force=FORCES.get(order.time_in_force),
            status=status,
            price=order.price if Decimal(order.price) else None,
            size=order.size,
            filled_size=order.executed_size,
            cancel_reason=order.cancel_type if status in {"canceled", "expired"} else None,
            raw=raw_object(row),
        )
    return readable


def _take_fills(rows: Iterable[dict[str, Any]], since_ms: int, fills: dict[int, ExecutionRow]) -> bool:
    """Note the newest execution of each order since then; `False` when a row cannot be read."""
    readable = True
    for row in rows:
        fill = converted(row, ExecutionRow)
        if fill is None:
            readable = False
            continue
        newest = fills.get(fill.order_id, fill)
        late_enough = fill.time_ms >= since_ms - _CLOCKS_MS
        if late_enough and (fill.time_ms, fill.execution_id) >= (newest.time_ms, newest.execution_id):
            fills[fill.order_id] = fill
    return readable


def _with_fill(change: Change, found: ExecutionRow | None) -> Change:
    if found is None:
        return change
    fill = fill_of(found.execution_id, found.price, found.size, found.fee, found.position_id)
    by_fill = change.status in {"partially_filled", "filled"}
    time = found.timestamp.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.structs.replace(change, last_fill=fill, venue_time=time if by_fill else None)


def _date_ms(response: Response) -> int:
    """Read the venue's clock off the answer; 0 when it is not there."""
    try:
        return int(parsedate_to_datetime(response.headers.get("date", "")).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError, OSError):
        return 0
