"""GMO Coin's words: rows of its lists, messages of its errors."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from router.simulator.book import Fill, Kind, Order, Position, plain

SYMBOLS: Final = [f"{coin}_JPY" for coin in
                   ("BTC", "ETH", "BCH", "LTC", "XRP", "DOT", "ATOM", "ADA", "LINK", "DOGE", "SOL")]  # fmt: skip
KINDS: Final[dict[str, Kind]] = {"MARKET": "market", "LIMIT": "limit", "STOP": "stop_market"}
WORDS: Final = {
    "ERR-70": "The closing side does not fit the position.",
    "ERR-151": "Service Unavailable",
    "ERR-189": "Exceeds the order quantity.",
    "ERR-200": "There are existing active orders and your order exceeds the maximum quantity that can be ordered.",
    "ERR-254": "The position you attempt to close does not exist.",
    "ERR-5003": "Requests are too many.",
    "ERR-5008": "Timestamp for this request is too late.",
    "ERR-5009": "Timestamp for this request is too early.",
    "ERR-5010": "The signature is invalid.",
    "ERR-5106": "Invalid request parameter.",
    "ERR-5122": "The request is invalid due to the status of the specified order.",
    "ERR-5201": "MAINTENANCE. Please wait for a while",
    "ERR-5204": "Request URL is not correct.",
}

_TYPES: Final[dict[str, str]] = {kind: name for name, kind in KINDS.items()}
_STATUSES: Final = {
    "waiting": "WAITING",
    "working": "ORDERED",
    "modifying": "MODIFYING",
    "canceling": "CANCELLING",
    "canceled": "CANCELED",
    "filled": "EXECUTED",
    "expired": "EXPIRED",
    "failed": "EXPIRED",
}


def iso(at_ms: int) -> str:
    """Write a time as the venue does: UTC, milliseconds, `Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def order_row(order: Order) -> dict[str, object]:
    """Return an order as `orders` and `activeOrders` show it; `cancelType` only where it was canceled or expired."""
    row: dict[str, object] = {
        "rootOrderId": int(order.order_id),
        "orderId": int(order.order_id),
        "symbol": order.symbol,
        "side": order.side,
        "orderType": "LOSSCUT" if order.forced else "NORMAL",
        "executionType": _TYPES[order.kind],
        "settleType": "CLOSE" if order.closes else "OPEN",
        "size": plain(order.size),
        "executedSize": plain(order.filled),
        "price": plain(order.price),
        "losscutPrice": "0",
        "status": _STATUSES[order.status],
        "timeInForce": order.time_in_force or "FAK",
        "timestamp": iso(order.created_ms),
    }
    if order.status in {"canceling", "canceled", "expired"}:
        row["cancelType"] = order.reason or "USER"
    return row


def fill_row(fill: Fill) -> dict[str, object]:
    """Return an execution; `positionId` only for a close."""
    row: dict[str, object] = {
        "executionId": fill.fill_id,
        "orderId": int(fill.order_id),
        "symbol": fill.symbol,
        "side": fill.side,
        "settleType": "CLOSE" if fill.closes else "OPEN",
        "size": plain(fill.size),
        "price": plain(fill.price),
        "lossGain": plain(fill.gain.quantize(Decimal(1))),
        "fee": "0",
        "timestamp": iso(fill.at_ms),
    }
    if fill.closes:
        row["positionId"] = int(fill.closes)
    return row


def position_row(position: Position, reserved: Decimal) -> dict[str, object]:
    """Return an open position; `orderdSize` is the venue's own spelling."""
    return {
        "positionId": int(position.position_id),
        "symbol": position.symbol,
        "side": position.side,
        "size": plain(position.size),
        "orderdSize": plain(reserved),
        "price": plain(position.price),
        "lossGain": "0",
        "leverage": "2",
        "losscutPrice": "0",
        "timestamp": iso(position.opened_ms),
    }
