"""Coinbase's answers to what acts, and its errors."""

from collections.abc import Mapping
from typing import Any, Final

from router.simulator.book import Order
from router.simulator.call import Answer, json_answer

HTTP_CODES: Final = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "UNAVAILABLE": 503,
}


def created(order: Order, terms: dict[str, object], product: str = "") -> Answer:
    """Return a close that made, or had made, an order."""
    success = {
        "order_id": order.order_id,
        "product_id": product or order.symbol,
        "side": order.side,
        "client_order_id": order.client_order_id,
    }
    return json_answer(200, {"success": True, "success_response": success, "order_configuration": terms})


def rejected(code: str, body: Mapping[str, Any]) -> Answer:
    """Return HTTP 200 with the reason where the current API has it; the deprecated one keeps its placeholder."""
    error = {
        "error": code,
        "message": code.replace("_", " ").lower(),
        "error_details": "",
        "preview_failure_reason": "UNKNOWN_PREVIEW_FAILURE_REASON",
        "new_order_failure_reason": code,
    }
    terms = {"market_market_ioc": {"base_size": str(body.get("size", ""))}}
    return json_answer(200, {"success": False, "error_response": error, "order_configuration": terms})


def cancel_row(order_id: str, reason: str, *, success: bool = False) -> dict[str, object]:
    """Return one row of `batch_cancel`; a success has its placeholder reason too."""
    return {"success": success, "failure_reason": reason, "order_id": order_id}


def gateway_error(code: str, message: str = "") -> Answer:
    """Return the gateway's error envelope; a code without an HTTP status of its own is 400."""
    message = message or code.replace("_", " ").lower()
    return json_answer(
        HTTP_CODES.get(code, 400), {"error": code, "error_details": message, "message": message, "details": []}
    )


def proto_error(body: bytes, what: str, near: bytes) -> Answer:
    """Return what the Protobuf gateway says of a body it cannot read."""
    column = max(body.find(b'"' + near + b'"'), 0) + 1
    message = f"proto: (line 1:{column}): {what}"
    return json_answer(400, {"error": "unknown", "error_details": message, "message": message})


def unauthorized() -> Answer:
    """Return the plain text 401."""
    return Answer(401, b"Unauthorized", {"Content-Type": "text/plain"})
