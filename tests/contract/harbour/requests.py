"""The request that acts, and the reads."""

import msgspec

from router.venue_protocol import Refused, Request
from schemas.commands import Cancel, Command


def request(command: Command) -> Request | Refused:
    """Build the cancel, or refuse."""
    if not isinstance(command, Cancel):
        return Refused(code="unsupported", message="`type`: only cancel is taken at harbour")
    if command.order_id is None:
        return Refused(code="invalid_command", message="`order_id` is required")
    body = msgspec.json.encode({"id": command.order_id})
    return Request(method="POST", path="/v1/cancel", endpoint="cancel", body=body, scopes=("all",))


def orders(page: int) -> Request:
    """Read a page of orders."""
    return Request(method="GET", path="/v1/orders", endpoint="orders", query=(("page", str(page)),), scopes=("all",))
