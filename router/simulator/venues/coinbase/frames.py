"""Coinbase's words in the `user` channel (Advanced Trade WebSocket channels): what an order has come to, no trades."""

from collections.abc import Sequence
from typing import Final

from router.simulator.book import LIVE, Kind, Order, plain
from router.simulator.venues.coinbase.rows import STATUSES, iso

NO_TIME: Final = "0001-01-01T00:00:00Z"

_TYPES: Final[dict[Kind, str]] = {
    "market": "Market",
    "limit": "Limit",
    "stop_market": "Stop Limit",
    "stop_limit": "Stop Limit",
}


def status(order: Order) -> str:
    """Return the status; a market order is not open before it trades."""
    untouched = order.kind == "market" and order.status == "working" and not order.filled
    return "PENDING" if untouched else STATUSES[order.status]


def orders_event(kind: str, orders: Sequence[object]) -> dict[str, object]:
    """Return an event of orders; the positions of a `user` event are empty unless the venue has enabled them."""
    positions: dict[str, list[object]] = {"perpetual_futures_positions": [], "expiring_futures_positions": []}
    return {"type": kind, "orders": orders, "positions": positions}


def user_order(order: Order, fills: int) -> dict[str, object]:
    """Return an order; every number is text, and nothing is left of an order that has ended."""
    live, total = order.status in LIVE, plain(order.cost)
    done = order.filled / order.size * 100 if order.size else order.size
    return {
        "avg_price": plain(order.average_price),
        "cancel_reason": order.reason if order.status == "canceled" else "",
        "client_order_id": order.client_order_id,
        "completion_percentage": plain(round(done, 2)),
        "contract_expiry_type": "EXPIRING",
        "cumulative_quantity": plain(order.filled),
        "filled_value": total,
        "leaves_quantity": plain(order.left) if live else "0",
        "limit_price": plain(order.price),
        "number_of_fills": str(fills),
        "order_id": order.order_id,
        "order_side": order.side,
        "order_type": _TYPES[order.kind],
        "outstanding_hold_amount": "0",
        "post_only": "false",
        "product_id": order.symbol,
        "product_type": "FUTURE",
        "reject_reason": order.reason if order.status == "failed" else "",
        "retail_portfolio_id": "00000000-0000-0000-0000-000000000001",
        "risk_managed_by": "MANAGED_BY_FCM",
        "status": status(order),
        "stop_price": plain(order.stop_price) if order.stop_price else "",
        "time_in_force": "IMMEDIATE_OR_CANCEL" if order.kind == "market" else "GOOD_UNTIL_CANCELLED",
        "total_fees": "0",
        "total_value_after_fees": total,
        "trigger_status": "STOP_PENDING" if order.status == "waiting" else "INVALID_ORDER_TYPE",
        "creation_time": iso(order.created_ms),
        "end_time": NO_TIME,
        "start_time": NO_TIME,
    }
