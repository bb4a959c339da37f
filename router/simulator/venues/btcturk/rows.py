"""BtcTurk's words in the REST interface: orders and trades."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from router.simulator.book import Fill, Kind, Order, plain

_STATUSES: Final = {"canceled": "Canceled", "filled": "Closed", "expired": "Canceled", "failed": "Canceled"}
_METHODS: Final[dict[Kind, str]] = {
    "market": "market",
    "limit": "limit",
    "stop_market": "stopmarket",
    "stop_limit": "stoplimit",
}
_PAIR: Final = re.compile(r"(\w+?)_?(TRY|USDT|BTC)")


def order_row(order: Order) -> dict[str, object]:
    """Return an order; what is filled is `amount` less `leftAmount`."""
    return {
        "id": int(order.order_id),
        "price": plain(order.price),
        "amount": plain(order.size),
        "quantity": plain(order.size),
        "stopPrice": plain(order.stop_price),
        "leftAmount": plain(order.left),
        "pairSymbol": order.symbol,
        "pairSymbolNormalized": "_".join(split(order.symbol)),
        "type": order.side.lower(),
        "method": _METHODS[order.kind],
        "orderClientId": order.client_order_id,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "status": _STATUSES.get(order.status) or ("Partial" if order.filled else "Untouched"),
    }


def trade_rows(fills: Iterable[Fill], orders: Mapping[str, Order]) -> Iterable[dict[str, object]]:
    """Yield fills as the trades of an account; the amount of a sale is negative."""
    for fill in fills:
        numerator, denominator = split(fill.symbol)
        amount = fill.size if fill.side == "BUY" else -fill.size
        yield {
            "id": fill.fill_id,
            "timestamp": fill.at_ms,
            "amount": plain(amount),
            "preciseAmount": float(amount),
            "price": plain(fill.price),
            "fee": "0",
            "tax": "0",
            "numeratorSymbol": numerator,
            "denominatorSymbol": denominator,
            "orderType": fill.side.lower(),
            "orderId": int(fill.order_id),
            "orderClientId": orders[fill.order_id].client_order_id,
        }


def split(symbol: str) -> tuple[str, str]:
    """Return a symbol's two currencies."""
    pair = _PAIR.fullmatch(symbol)
    return (pair[1], pair[2]) if pair else (symbol, "")
