"""What the venue's messages mean ("Errors"; "Error Handling for Order Operations"; "Cancel Order, Error Message").

They are matched by their words in upper case, with `_` between them; the numbers have drifted (fact sheet).
"""

from collections.abc import Mapping
from typing import Final

from router.venue_protocol import Look, Outcome, Refused, Retry, Unknown
from router.venue_protocol.statuses import StatusRule
from schemas.fields import OrderType, Side
from schemas.results import OrderStatus

MESSAGES: Final[Mapping[str, Outcome]] = {
    "ORDER_COULD_NOT_BE_CANCELED": Look(),  # closed, canceled, a market order, or "the operation fails"
    "NO_ORDER_MATCHES_YOUR_REQUEST": Look(),  # refused, but the order may be there: one read tells
    "ORDER_CANCEL_BLOCKED": Retry(code="venue_maintenance", after_s=30.0),
    "TOO_MANY_REQUESTS": Retry(code="rate_limited", after_s=1.0),
    "INTERNAL_ERROR": Unknown(),
    "ORDER_NOT_FOUND": Refused(code="order_not_found"),
}
_WRONG_KEY: Final = Refused(code="auth_failed", alert=True)
UNAUTHORIZED: Final[Mapping[str, Outcome]] = {
    "INVALID_NONCE": Retry(code="clock_skew", tries=2),  # the stamp of another pod, or the clock
    "INVALID_SIGNATURE": _WRONG_KEY,
    "INVALID_PUBLIC_KEY": _WRONG_KEY,
    "INVALID_PRIVATE_KEY": _WRONG_KEY,
    "INVALID_PUBLIC/PRIVATE_KEY": _WRONG_KEY,
    "HEADERS_ARE_MISSING": _WRONG_KEY,
    "INVALID_REQUEST": _WRONG_KEY,
}
"""What may follow "Unauthorized". More words than these are our keys' fault all the same."""

_WRONG_ADDRESS: Final = Refused(code="venue_rejected", alert=True)
_WHY: Final = "an unknown order is 400, so this is a wrong address, whoever says so (Errors: JSON and HTML alike)"
LINES: Final[Mapping[int, StatusRule]] = {
    404: StatusRule(readable=_WRONG_ADDRESS, unreadable=_WRONG_ADDRESS, why=_WHY),
    405: StatusRule(readable=_WRONG_ADDRESS, unreadable=_WRONG_ADDRESS, why=_WHY),
    415: StatusRule(readable=_WRONG_ADDRESS, unreadable=_WRONG_ADDRESS, why=_WHY),
    422: StatusRule(readable=Unknown(), unreadable=Unknown(), why="only in the README of 2019, without a meaning"),
}
"""Where this venue differs from `statuses.DEFAULTS`."""

SUCCESS: Final = frozenset({"", "SUCCESS", "OK", "SUCCEEDED"})
NOT_FOUND: Final = 1152
ORDER_STATUSES: Final[Mapping[str, OrderStatus]] = {
    "untouched": "working",
    "partial": "partially_filled",
    "canceled": "canceled",
    "cancelled": "canceled",
    "closed": "filled",
}
_SIDES: Final[Mapping[object, Side]] = {"buy": "buy", "sell": "sell", 0: "buy", 1: "sell"}
_ORDER_TYPES: Final[Mapping[object, OrderType]] = {
    "limit": "limit",
    "market": "market",
    "stoplimit": "stop",
    "stopmarket": "stop",
    0: "limit",
    1: "market",
    2: "stop",
}


def side_of(value: object) -> Side | None:
    """Read a side: a word in any capitalisation, or the stream's number."""
    return _SIDES.get(value.lower() if isinstance(value, str) else value) if isinstance(value, str | int) else None


def order_type_of(value: object) -> OrderType | None:
    """Read a method: a word in any capitalisation, or the stream's number."""
    known = value.lower() if isinstance(value, str) else value
    return _ORDER_TYPES.get(known) if isinstance(known, str | int) else None
