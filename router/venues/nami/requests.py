"""The one request that acts ("Close Order"), and the reads."""

from typing import Final

import msgspec
from msgspec import Struct

from router.venue_protocol import Refused, Request, read_params
from router.venue_protocol.reading import is_id, rfc3339
from schemas.commands import Cancel, Close, Command

API: Final = "/api/v4/spot"
PAGE_SIZE: Final = 100
_NO_POSITIONS: Final = 'type: there is no close at nami, which trades spot only; expected "cancel"'


class CancelParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Extras of a cancel."""

    allow_notification: bool = False
    """The venue notifies the account's owner."""


def request(command: Command) -> Request | Refused:
    """Build the DELETE of one order, or refuse what this venue cannot do."""
    if isinstance(command, Close):
        return Refused(code="unsupported", message=_NO_POSITIONS)
    if not isinstance(command, Cancel):
        return Refused(code="unsupported", message='type: expected "cancel" at nami, for each order by itself')
    params = read_params(command.params, CancelParams, "cancel")
    if isinstance(params, Refused):
        return params
    if command.symbol is None:
        return Refused(code="invalid_command", message="symbol: it is missing; a cancel at nami needs it")
    if command.order_id is None or not is_id(command.order_id):
        message = 'order_id: expected a whole number above zero in a string, such as "435372"'
        return Refused(code="invalid_command", message=message)
    parameters = {
        "symbol": command.symbol,
        "displayingId": command.order_id,
        "allowNotification": params.allow_notification,
    }
    body = msgspec.json.encode(parameters)
    return Request(method="DELETE", path=f"{API}/order", endpoint="cancel_order", body=body, scopes=("ip",))


def open_orders(endpoint: str = "open_orders") -> Request:
    """Read the open orders of all symbols. Another `endpoint` makes it another request, which shares no answer."""
    return _get("open", endpoint)


def history(symbol: str | None, since_ms: int | None, page: int) -> Request:
    """Read a page of ended orders."""
    return _get("history", "order_history", _window(symbol, since_ms, page))


def trades(since_ms: int | None, page: int = 1) -> Request:
    """Read a page of executions."""
    return _get("trade", "trades", _window(None, since_ms, page))


def _window(symbol: str | None, since_ms: int | None, page: int) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a page of history or trades, in the order of the documents' table."""
    since = None if since_ms is None else f"{rfc3339(since_ms)[:19]}Z"
    asked = (
        ("symbol", symbol),
        ("hideCanceled", "false"),
        ("pageSize", str(PAGE_SIZE)),
        ("page", str(page)),
        ("timeFrom", since),
    )
    return tuple((name, value) for name, value in asked if value is not None)


def _get(path: str, endpoint: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(method="GET", path=f"{API}/{path}", endpoint=endpoint, query=query, scopes=("ip",))
