"""Find what the stream may have missed: open orders, those made since, fills, and single orders."""

from collections.abc import Generator
from typing import Final

import msgspec

from router.venue_protocol import Request, Response, Unknown
from router.venue_protocol.pages import Torn, glimpse
from router.venue_protocol.reading import decimal, iso_ms, iso_time, text_of
from router.venue_protocol.stream import Change, Fill, Known, Missed
from router.venues.coinbase import requests
from router.venues.coinbase.codes import QUEUED
from router.venues.coinbase.reads import read_list, read_order_row, typed
from router.venues.coinbase.requests import SOURCES, since
from router.venues.coinbase.rows import OrderRow, Row, changed, configured, price_of, state_of

_MAX_PAGES: Final = 100


def reconcile(known: Known) -> Generator[Request, Response, Missed]:
    """Read lists of every product at once.

    An order that the venue denies is left out: it shows nothing of it, and its next report is told as any other.
    """
    after = since(known.since_ms)
    changes: dict[str, Change] = {}
    complete = True
    # OPEN leaves out the others that still work (fact sheet); these may wait for days, for a session to begin.
    wanted = [(one, *source) for source in SOURCES for one in (("order_status", "OPEN"), ("start_date", after))]
    others = [(*(("order_status", status) for status in QUEUED), *source) for source in SOURCES]
    fills = requests.fills((("start_sequence_timestamp", after),))
    lists = [*map(requests.orders, wanted), fills, *map(requests.orders, others)]
    last: dict[str, Fill | None] = {}
    for first in lists:
        listed = yield from read_list(first, most_pages=_MAX_PAGES)
        if isinstance(listed, Torn) and listed.doubt.denied:
            return Missed(changes=tuple(changes.values()), complete=False, denied=True)
        complete &= not isinstance(listed, Torn)
        if first.endpoint == "list_orders":
            complete &= _collect(glimpse(listed), changes)
        else:
            last = _last_fills(glimpse(listed))
            complete &= all(text_of(row.get("order_id"), 1_000) for row in glimpse(listed))
    for order_id in dict.fromkeys([*(order_id for order_id, _ in known.open_orders), *last]):
        if order_id not in changes:
            row = yield from read_order_row(order_id)
            if isinstance(row, Unknown) and row.denied:
                return Missed(changes=tuple(changes.values()), complete=False, denied=True)
            complete &= not isinstance(row, Unknown) and _collect(() if row is None else (row,), changes)
            complete &= row is not None or order_id not in last  # its fill proves that it is there
    told_now = (msgspec.structs.replace(change, last_fill=last.get(change.order_id)) for change in changes.values())
    return Missed(changes=tuple(told_now), complete=complete)


def _collect(rows: tuple[Row, ...], changes: dict[str, Change]) -> bool:
    """Add what these rows say; whatever was read later replaces it. `False` when something could not be read."""
    orders = [(row, typed(row, "order")) for row in rows]
    for row, order in orders:
        if isinstance(order, OrderRow):
            state = state_of(order)
            changes[order.order_id] = changed(
                row,
                status=None if state.status == "unknown" else state.status,
                price=price_of(configured(order, "limit_price"), configured(order, "stop_price")),
                size=state.size,
                filled_size=state.filled_size,
                last_fill=None,
                venue_time=iso_time(row.get("last_update_time")),
            )
    return all(isinstance(order, OrderRow) for _, order in orders)


def _last_fills(rows: tuple[Row, ...]) -> dict[str, Fill | None]:
    """Return the newest execution of each order, `None` for one of which only other rows are shown.

    A reversal, a correction or a synthetic row is no execution. `commission` comes without its currency.
    """
    newest: dict[str, Row | None] = {}
    for row in rows:
        order_id = text_of(row.get("order_id"), 1_000)
        if not order_id:
            continue
        held = newest.setdefault(order_id, None)
        if row.get("trade_type") not in (None, "", "FILL"):
            continue
        # Of two in one instant the first: lists begin with the newest.
        if held is None or iso_ms(row.get("trade_time")) > iso_ms(held.get("trade_time")):
            newest[order_id] = row
    return {order_id: None if row is None else _fill(row) for order_id, row in newest.items()}


def _fill(row: Row) -> Fill:
    return Fill(
        execution_id=text_of(row.get("entry_id")) or text_of(row.get("trade_id")),
        price=decimal(row.get("price")),
        size=decimal(row.get("size")),
        fee=decimal(row.get("commission")),
    )
