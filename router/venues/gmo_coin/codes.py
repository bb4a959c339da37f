"""What the venue's codes and words mean ("Error Codes"; "Orders" for states)."""

from collections.abc import Mapping
from typing import Final

from router.venue_protocol import Look, Outcome, Refused, Retry, Unknown
from router.venue_protocol.statuses import StatusRule
from schemas.fields import OrderType, Side, TimeInForce
from schemas.results import OrderStatus

BOTH: Final[Mapping[str, Outcome]] = {
    "ERR-682": Refused(code="account_restricted", alert=True),  # margin call
    "ERR-683": Refused(code="account_restricted", alert=True),  # margin call being processed
    "ERR-5003": Retry(code="rate_limited", after_s=1.0),  # refused before processing
    "ERR-5007": Refused(code="auth_failed", alert=True),  # timestamp header missing: our defect
    "ERR-5008": Retry(code="clock_skew", after_s=0.5, tries=2),  # signed later than the venue's clock
    "ERR-5009": Retry(code="clock_skew", after_s=0.5, tries=2),  # signed too long ago
    "ERR-5010": Refused(code="auth_failed", alert=True),  # signature
    "ERR-5011": Refused(code="auth_failed", alert=True),  # key missing
    "ERR-5012": Refused(code="auth_failed", alert=True),  # key, its permissions or its IP list
    "ERR-5014": Refused(code="account_restricted", alert=True),  # agreement pending
    "ERR-5106": Refused(code="invalid_command"),  # a parameter; the message names it
    "ERR-5125": Refused(code="account_restricted", alert=True),
    "ERR-5127": Refused(code="account_restricted", alert=True),
    "ERR-5201": Retry(code="venue_maintenance", after_s=15.0),
    "ERR-5202": Retry(code="venue_maintenance", after_s=15.0),
    "ERR-5203": Retry(code="venue_maintenance", after_s=5.0),  # pre-open
    "ERR-5204": Refused(code="venue_rejected", alert=True),  # path: our defect
}
CLOSE: Final[Mapping[str, Outcome]] = {
    **BOTH,
    "ERR-70": Refused(code="invalid_command"),  # the side does not close this position
    "ERR-151": Unknown(),
    "ERR-189": Refused(code="insufficient_position"),
    "ERR-200": Refused(code="insufficient_position"),  # other orders hold the size
    "ERR-201": Refused(code="insufficient_funds"),
    "ERR-208": Refused(code="insufficient_funds"),
    "ERR-254": Look(),  # no such position: closed already, or never there
    "ERR-422": Look(),
    "ERR-430": Refused(code="venue_rejected"),
    "ERR-554": Unknown(),  # server unavailable
    "ERR-626": Unknown(),  # server busy
    "ERR-635": Refused(code="venue_rejected"),  # too many active orders
    "ERR-5111": Refused(code="invalid_command"),  # time in force
    "ERR-5114": Refused(code="invalid_command"),  # too many decimals, in price or size
    "ERR-5118": Refused(code="venue_rejected"),  # losscut price
    "ERR-5121": Refused(code="invalid_price"),  # too far from the market
    "ERR-5126": Refused(code="invalid_size"),
    "ERR-5129": Refused(code="invalid_price"),  # a stop that would trigger at once
}
CANCEL: Final[Mapping[str, Outcome]] = {
    **BOTH,
    "ERR-151": Look(),
    "ERR-554": Unknown(),  # server unavailable: not said whether the cancel was taken
    "ERR-626": Unknown(),  # server busy
    "ERR-5122": Look(),  # changing, cancelling, canceled, executed or expired
    "ERR-5123": Refused(code="order_not_found"),
}
NO_POSITION: Final = frozenset({"ERR-254", "ERR-422"})
NO_ORDER: Final = frozenset({"ERR-151"})

LINES: Final[Mapping[int, StatusRule]] = {
    429: StatusRule(readable=Unknown(), unreadable=Unknown(), why="not documented: the throttle is ERR-5003 in a 200"),
}
"""Where this venue differs from `statuses.DEFAULTS`."""

STATUS: Final[Mapping[str, OrderStatus]] = {
    "WAITING": "working",
    "ORDERED": "working",
    "MODIFYING": "working",
    "CANCELLING": "working",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "EXECUTED": "filled",
}
SIDES: Final[Mapping[object, Side]] = {"BUY": "buy", "SELL": "sell"}
ORDER_TYPES: Final[Mapping[object, OrderType]] = {"MARKET": "market", "LIMIT": "limit", "STOP": "stop"}
FORCES: Final[Mapping[object, TimeInForce]] = {"FAS": "gtc", "FAK": "ioc", "FOK": "fok", "SOK": "post_only"}
