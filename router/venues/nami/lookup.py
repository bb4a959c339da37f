"""Find out where an order stands: open orders, then the history, then open orders again.

An order moves from the first to the second, so one that both miss may have moved in between.
"""

from typing import Any

from router.venue_protocol import Absent, Done, Flow, LookOutcome, Refused, Response, Unknown, Working
from router.venue_protocol.pages import Torn, glimpse, read_all
from router.venue_protocol.reading import decimal
from router.venues.nami.reads import MAX_PAGES, HistoryPages, not_read, rows_of, state_of
from router.venues.nami.requests import open_orders
from schemas.commands import Cancel, Command


def lookup(command: Command) -> Flow:
    """Look for the order that a cancel names."""
    if not isinstance(command, Cancel) or command.order_id is None or command.symbol is None:
        return Unknown(message="nothing to look for")
    open_sight = yield from _find_open(command.order_id, "open_orders")
    if not isinstance(open_sight, Absent):
        return open_sight
    past_sight = yield from _find_past(command.order_id, command.symbol)
    if not isinstance(past_sight, Absent):
        return past_sight
    # Another endpoint name makes this another request: a shared answer to the first read would defeat it.
    return (yield from _find_open(command.order_id, "open_orders_again"))


def _find_open(order_id: str, endpoint: str) -> Flow:
    response = yield open_orders(endpoint)
    rows = rows_of(response)
    return not_read(response, "spot/open") if rows is None else _sight(order_id, rows)


def _find_past(order_id: str, symbol: str) -> Flow:
    """Read the history until the order is seen, or to its end: only the whole of it makes the order absent."""

    def shows(response: Response) -> bool:
        return any(decimal(row.get("displayingId")) == order_id for row in rows_of(response) or [])

    pages = HistoryPages(symbol, None, short_ends=False, and_page_0=True)
    listed = yield from read_all(pages.first(), pages, most_pages=MAX_PAGES, enough=shows)
    sight = _sight(order_id, [row for response in glimpse(listed) for row in rows_of(response) or []])
    return listed.doubt if isinstance(listed, Torn) and isinstance(sight, Absent) else sight


def _sight(order_id: str, rows: list[dict[str, Any]]) -> LookOutcome:
    """Say where the order stands by the row that shows it."""
    found = next((row for row in rows if decimal(row.get("displayingId")) == order_id), None)
    if found is None and any(decimal(row.get("displayingId")) is None for row in rows):
        return Unknown(message="a row without an id that can be read", whole=False)
    if found is None:
        return Absent(message="neither open nor in the history")
    order = state_of(found)
    if order.status in {"working", "partially_filled"}:
        return Working(order_id=order_id, order=order)
    if order.status == "filled":
        return Refused(code="too_late", message="the order is filled", order_id=order_id, order=order)
    if order.status == "unknown":
        return Unknown(message="an order status that is not documented")
    return Done(order_id=order_id, order=order)
