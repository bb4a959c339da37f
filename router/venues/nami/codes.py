"""What the venue's words mean ("Error code"; the framework's by their HTTP status)."""

from collections.abc import Mapping
from typing import Final

from router.venue_protocol import Look, Outcome, Refused, Retry, Unknown
from router.venue_protocol.statuses import StatusRule
from schemas.fields import OrderType, Side
from schemas.results import OrderStatus

CANCEL: Final[Mapping[str, Outcome]] = {
    "NOT_FOUND_ORDER": Look(),  # 6101: canceled, filled, or never there
    "NO_SUCH_ORDER": Look(),  # 2013: the broker's wording
    "BROKER_ERROR": Unknown(),  # 6104
    "UNKNOWN": Unknown(),  # 1000
    "UNKNOWN_ERROR": Unknown(),
    "BAD_SYMBOL": Refused(code="invalid_command"),  # 1112
    "INVALID_REQUEST_ID": Refused(code="invalid_command"),  # 1112 too
    "TRADE_NOT_ALLOWED": Refused(code="account_restricted", alert=True),  # 3004
    "ACCOUNT_BAN_TRADE": Refused(code="account_restricted", alert=True),  # 3005
    # Documented for creating orders only.
    "INVALID_ORDER_TYPE": Refused(code="invalid_command"),  # 1110
    "INVALID_SIDE": Refused(code="invalid_command"),  # 1111
    "NOT_ENOUGH_BASE_ASSET": Refused(code="insufficient_funds"),  # 6102
    "NOT_ENOUGH_QUOTE_ASSET": Refused(code="insufficient_funds"),  # 6103
    "NOT_ENOUGH_FEE_ASSET": Refused(code="insufficient_funds"),  # 6106
    "STOP_LIMIT_INVALID_STOP_PRICE": Refused(code="invalid_price"),  # 6107
    "STOP_LIMIT_UNKNOWN_LAST_PRICE": Retry(code="venue_unavailable", after_s=1.0),  # 6108
    "STOP_LIMIT_INVALID_MIN_TOTAL": Refused(code="invalid_size"),  # 6109
    "ORDER_TYPE_NOT_SUPPORT": Refused(code="unsupported"),  # 6110
    # Known from the venue's own web front end.
    "INVALID_USER": Refused(code="auth_failed", alert=True),
    "INVALID_INPUT": Refused(code="invalid_command"),
    "INVALID_SYMBOL": Refused(code="invalid_command"),
    "TOO_MUCH_ORDERS": Refused(code="venue_rejected"),
    "INVALID_QUANTITY": Refused(code="invalid_size"),
    "INVALID_PRICE": Refused(code="invalid_price"),
    "INVALID_TICK_SIZE": Refused(code="invalid_price"),
    "INVALID_STEP_SIZE": Refused(code="invalid_size"),
    "INVALID_MIN_NOTIONAL": Refused(code="invalid_size"),
    "INSTRUMENTS_DO_NOT_MATCH": Refused(code="invalid_command"),
    "INSTRUMENT_NOT_LISTED_FOR_TRADING_YET": Refused(code="venue_rejected"),
}

_ONCE_MORE: Final = Retry(code="auth_failed", tries=1)
_BAD: Final = Refused(code="invalid_command")
_BANNED: Final = Refused(code="account_restricted", alert=True, pause_s=3600.0)
_THROTTLED: Final = Retry(code="rate_limited", after_s=60.0)
_MAINTENANCE: Final = Retry(code="venue_maintenance", after_s=30.0)

LINES: Final[Mapping[int, StatusRule]] = {
    400: StatusRule(readable=_BAD, unreadable=Unknown(), why="the framework's own, before anything is processed"),
    401: StatusRule(
        readable=_ONCE_MORE, unreadable=_ONCE_MORE, why="few calls a minute, and a ban for who goes on: one try"
    ),
    418: StatusRule(readable=_BANNED, unreadable=_BANNED, why="v1 documents it as a ban of the address for an hour"),
    429: StatusRule(readable=_THROTTLED, unreadable=_THROTTLED, why="the count starts again with the minute"),
    503: StatusRule(
        readable=_MAINTENANCE, unreadable=Unknown(), why="v1 documents it; without JSON it is some gateway's"
    ),
}
"""Where this venue differs from `statuses.DEFAULTS`."""

FRAMEWORK: Final = frozenset({400, 401, 403, 404, 405, 415, 418, 422, 429, 503})
"""Statuses that the framework's own body may name under a milder one of the answer."""

ORDER_STATUSES: Final[Mapping[str, OrderStatus]] = {
    "NEW": "working",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "FAILED": "rejected",
}
SIDES: Final[Mapping[object, Side]] = {"BUY": "buy", "SELL": "sell"}
ORDER_TYPES: Final[Mapping[object, OrderType]] = {"MARKET": "market", "LIMIT": "limit", "STOP_LIMIT": "stop"}
