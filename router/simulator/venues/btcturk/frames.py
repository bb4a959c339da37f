"""BtcTurk's private models (websocket-feed/models): arrays of a type and an object.

451 and 452 have no time and no state: an order that is inserted, an order that is deleted. 452 pads its numbers to
sixteen places. unverified: the number of a stop-market order, and the sign of a sale's amount in 423, which is
written here as the trades of the REST interface are.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from router.simulator.book import Fill, Kind, Order, plain
from router.simulator.venues.btcturk.rows import split

USER_ID: Final = 18

_METHODS: Final[dict[Kind, int]] = {"limit": 0, "market": 1, "stop_limit": 2, "stop_market": 3}
_PAIRS: Final = {"BTCTRY": 1, "XLMTRY": 31, "HNTUSDT": 317}


def greeting() -> dict[str, object]:
    """Return what the server says first (991)."""
    return {"type": 991, "current": "6.0.0", "min": "2.3.0"}


def login_result(why: str) -> dict[str, object]:
    """Return the result of a login (114); an empty reason is success."""
    return {"type": 114, "id": 0 if why else USER_ID, "ok": not why, "message": why or None}


def balance(order: Order) -> dict[str, object]:
    """Return that some balance has changed (201)."""
    return {"type": 201, "userId": USER_ID, "payload": {"asset": split(order.symbol)[1]}}


def trade(order: Order, fill: Fill) -> dict[str, object]:
    """Return one fill (423)."""
    numerator, denominator = split(fill.symbol)
    amount = fill.size if fill.side == "BUY" else -fill.size
    return {
        "type": 423,
        "id": fill.fill_id,
        "orderId": int(order.order_id),
        "timestamp": fill.at_ms,
        "numeratorSymbol": numerator,
        "denominatorSymbol": denominator,
        "amount": plain(amount),
        "preciseAmount": float(amount),
        "fee": "0",
        "tax": "0",
        "price": plain(fill.price),
        "orderType": fill.side.lower(),
        "orderClientId": order.client_order_id,
    }


def match(order: Order, fill: Fill) -> dict[str, object]:
    """Return one fill as the matching engine tells it (441): the id is the order's, the amount this fill's."""
    return {
        "type": 441,
        "id": int(order.order_id),
        "user": USER_ID,
        "isBid": order.side == "BUY",
        "method": _METHODS[order.kind],
        "pair": _PAIRS.get(order.symbol, 0),
        "symbol": order.symbol,
        "amount": plain(fill.size),
        "price": plain(fill.price),
        "clientId": order.client_order_id,
        "timestamp": fill.at_ms,
    }


def insert(order: Order) -> dict[str, object]:
    """Return an order that was put on the book (451)."""
    return _order(order, 451, order.left, plain)


def delete(order: Order, left: Decimal) -> dict[str, object]:
    """Return an order that was taken off the book (452), with what was left of it when that was queued."""
    return _order(order, 452, left, _padded)


def _order(order: Order, number: int, left: Decimal, written: Callable[[Decimal], str]) -> dict[str, object]:
    return {
        "type": number,
        "pairId": _PAIRS.get(order.symbol, 0),
        "symbol": order.symbol,
        "id": int(order.order_id),
        "method": _METHODS[order.kind],
        "userId": USER_ID,
        "orderType": 0 if order.side == "BUY" else 1,
        "price": written(order.price),
        "amount": written(order.size),
        "numLeft": written(left),
        "denomLeft": written(left * order.price),
        "newOrderClientId": order.client_order_id,
    }


def _padded(number: Decimal) -> str:
    return f"{number:.16f}"
