"""The one request that acts ("Cancel Order"), and the reads."""

from typing import Final

from router.venue_protocol import NoParams, Refused, Request, read_params
from router.venue_protocol.reading import is_id
from schemas.commands import Cancel, Close, Command

PAGE_ROWS: Final = 1000
_OVERLAP_MS: Final = 5_000


def request(command: Command) -> Request | Refused:
    """Build the cancel. The id goes into the query: in a body the venue does not see it (issue 299)."""
    if isinstance(command, Close):
        return Refused(
            code="unsupported", message='type: there is no close at btcturk, which is spot only; expected "cancel"'
        )
    if not isinstance(command, Cancel):
        return Refused(code="unsupported", message='type: expected "cancel" at btcturk')
    params = read_params(command.params, NoParams, "cancel")
    if isinstance(params, Refused):
        return params
    if command.order_id is None or not is_id(command.order_id):
        message = 'order_id: expected a whole number above zero in a string, such as "123456789"'
        return Refused(code="invalid_command", message=message)
    query = (("id", command.order_id),)
    return Request(method="DELETE", path="/api/v1/order", endpoint="cancel", query=query, scopes=("delete",))


def order(order_id: str | int) -> Request:
    """Read one order ("Get Single Order")."""
    return _get(f"/api/v1/order/{order_id}", "order")


def open_orders(pair: str) -> Request:
    """Read what is open in a pair: the page says that the venue needs one ("Open Orders")."""
    return _get("/api/v1/openOrders", "open_orders", (("pairSymbol", pair),))


def all_orders(pair: str, page: int) -> Request:
    """Read a page of a pair's history; page 0 is the one that the venue chooses when asked for none."""
    number = (("page", str(page)),) if page else ()
    return _get("/api/v1/allOrders", "all_orders", (("pairSymbol", pair), ("limit", str(PAGE_ROWS)), *number))


def trades(since_ms: int) -> Request:
    """Read the account's trades, whatever the pair, from a little before then ("User Transactions")."""
    start = str(max(since_ms - _OVERLAP_MS, 1))
    return _get("/api/v1/users/transactions/trade", "trades", (("startDate", start),))


def exchange_info() -> Request:
    """Read every pair that the venue lists ("Exchange Info")."""
    path = "/api/v2/server/exchangeinfo"
    return Request(method="GET", path=path, endpoint="exchange_info", scopes=("exchange_info",), public=True)


def _get(path: str, scope: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(method="GET", path=path, endpoint=scope, query=query, scopes=(scope,))
