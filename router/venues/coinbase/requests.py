"""The two requests that act ("Close Position", "Cancel Orders"), and the reads."""

from typing import Any, Final
from urllib.parse import quote

import msgspec

from router.venue_protocol import NoParams, Refused, Request, read_params
from router.venue_protocol.reading import rfc3339
from schemas.commands import Cancel, Close, Command

Query = tuple[tuple[str, str], ...]

_API: Final = "/api/v3/brokerage"
_CLOCKS_MS: Final = 5_000
SOURCES: Final[tuple[Query, ...]] = ((), (("order_placement_source", "RETAIL_SIMPLE"),))
"""List Orders hides whatever is not of one source, by default RETAIL_ADVANCED."""


def request(command: Command, client_order_id: str) -> Request | Refused:
    """Build the one request that acts, or refuse what this venue cannot honour."""
    if isinstance(command, Close):
        return _close(command, client_order_id)
    if isinstance(command, Cancel):
        return _cancel(command)
    return Refused(code="unsupported", message='type: expected "close" or "cancel" at coinbase')


def _close(command: Close, client_order_id: str) -> Request | Refused:
    unusable = {
        "position_id": command.position_id,
        "side": command.side,
        "order_type": None if command.order_type == "market" else command.order_type,
        "price": command.price,
        "time_in_force": command.time_in_force,
        "params": command.params or None,
    }
    for name, value in unusable.items():
        if value is not None:
            return Refused(
                code="unsupported", message=f"{name}: not taken; a close at coinbase takes only symbol and size"
            )
    if command.symbol.endswith("-PERP-INTX"):
        return Refused(
            code="unsupported", message="symbol: international perpetuals (…-PERP-INTX) are not served by this API"
        )
    if command.size is not None and not command.size.isdecimal():
        return Refused(
            code="unsupported", message='size: expected a whole number of contracts in a string, such as "3"'
        )
    body = {"client_order_id": client_order_id, "product_id": command.symbol}
    if command.size is not None:
        body["size"] = command.size
    return _post("/orders/close_position", "close_position", body)


def _cancel(command: Cancel) -> Request | Refused:
    params = read_params(command.params, NoParams, "cancel")
    if isinstance(params, Refused):
        return params
    if command.order_id is None or not is_path_segment(command.order_id):
        return Refused(code="invalid_command", message="order_id: expected the venue's order id in a string")
    return _post("/orders/batch_cancel", "batch_cancel", {"order_ids": [command.order_id]})


def is_path_segment(order_id: str) -> bool:
    """Say whether an id survives in a path: `.` and `..` are walked by every URL library."""
    return bool(order_id.strip("."))


def since(at_ms: float) -> str:
    """Write a time of ours less five seconds of clock difference, as RFC 3339."""
    return rfc3339(at_ms - _CLOCKS_MS)


def order(order_id: str, endpoint: str = "get_order") -> Request:
    """Read one order. Another `endpoint` makes it another request, which shares no answer."""
    return _get(f"/orders/historical/{quote(order_id, safe='')}", endpoint)


def orders(query: Query) -> Request:
    """Read a page of orders."""
    return _get("/orders/historical/batch", "list_orders", query)


def fills(query: Query) -> Request:
    """Read a page of fills."""
    return _get("/orders/historical/fills", "list_fills", query)


def positions() -> Request:
    """Read the open positions of US derivatives; flat products are left out."""
    return _get("/cfm/positions", "list_positions")


def key_permissions() -> Request:
    """Read what the key itself may do."""
    return _get("/key_permissions", "key_permissions")


def _post(path: str, endpoint: str, body: dict[str, Any]) -> Request:
    encoded = msgspec.json.encode(body)
    return Request(method="POST", path=_API + path, endpoint=endpoint, body=encoded, scopes=("private",))


def _get(path: str, endpoint: str, query: Query = ()) -> Request:
    return Request(method="GET", path=_API + path, endpoint=endpoint, query=query, scopes=("private",))
