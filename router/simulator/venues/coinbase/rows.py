"""Coinbase's words: orders, fills and positions."""

from datetime import UTC, datetime
from typing import Final

from router.simulator.book import Fill, Order, Position, plain

STATUSES: Final = {
    "waiting": "OPEN",
    "working": "OPEN",
    "modifying": "EDIT_QUEUED",
    "canceling": "CANCEL_QUEUED",
    "canceled": "CANCELLED",
    "filled": "FILLED",
    "expired": "EXPIRED",
    "failed": "FAILED",
}


def iso(at_ms: int) -> str:
    """Write a time as RFC 3339, microseconds, `Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def configuration(order: Order) -> dict[str, object]:
    """Return `order_configuration`: one key names the type, sizes are contracts."""
    if order.kind == "market":
        return {"market_market_ioc": {"base_size": plain(order.size)}}
    limit = {"base_size": plain(order.size), "limit_price": plain(order.price)}
    if order.kind == "limit":
        return {"limit_limit_gtc": {**limit, "post_only": False}}
    return {"stop_limit_stop_limit_gtc": {**limit, "stop_price": plain(order.stop_price)}}


def order_row(order: Order, fills: int) -> dict[str, object]:
    """Return an order as Get Order and List Orders show it."""
    done = order.filled / order.size * 100 if order.size else order.size
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "product_id": order.symbol,
        "product_type": "FUTURE",
        "side": order.side,
        "status": STATUSES[order.status],
        "order_type": {"market": "MARKET", "limit": "LIMIT"}.get(order.kind, "STOP_LIMIT"),
        "time_in_force": "IMMEDIATE_OR_CANCEL" if order.kind == "market" else "GOOD_UNTIL_CANCELLED",
        "order_configuration": configuration(order),
        "created_time": iso(order.created_ms),
        "last_update_time": iso(order.updated_ms),
        "completion_percentage": plain(round(done, 2)),
        "filled_size": plain(order.filled),
        "average_filled_price": plain(order.average_price),
        "filled_value": plain(order.cost),
        "number_of_fills": str(fills),
        "total_fees": "0",
        "pending_cancel": order.status == "canceling",
        "settled": order.status == "filled",
        "size_in_quote": False,
        "is_liquidation": order.forced,
        "order_placement_source": order.source or "RETAIL_ADVANCED",
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "reject_message": "",
        "cancel_message": order.reason,
        "outstanding_hold_amount": "0",
        "edit_history": [],
    }


def fill_row(fill: Fill) -> dict[str, object]:
    """Return a fill."""
    return {
        "entry_id": f"entry-{fill.fill_id}",
        "trade_id": f"trade-{fill.fill_id}",
        "order_id": fill.order_id,
        "trade_time": iso(fill.at_ms),
        "trade_type": "FILL",
        "price": plain(fill.price),
        "size": plain(fill.size),
        "commission": "0",
        "product_id": fill.symbol,
        "sequence_timestamp": iso(fill.at_ms),
        "liquidity_indicator": "TAKER",
        "size_in_quote": False,
        "side": fill.side,
    }


def position_row(position: Position) -> dict[str, object]:
    """Return a futures position; flat products have no row."""
    price = plain(position.price)
    return {
        "product_id": position.symbol,
        "expiration_time": "2030-12-20T16:00:00Z",
        "side": "LONG" if position.side == "BUY" else "SHORT",
        "number_of_contracts": plain(position.size),
        "current_price": price,
        "avg_entry_price": price,
        "unrealized_pnl": "0",
        "daily_realized_pnl": "0",
    }
