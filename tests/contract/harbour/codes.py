"""What the venue's words mean."""

from collections.abc import Mapping
from typing import Final

from router.venue_protocol import Look, Outcome, Refused, Unknown
from router.venue_protocol.statuses import StatusRule
from schemas.results import OrderStatus

CANCEL: Final[Mapping[str, Outcome]] = {"GONE": Look(), "NO_RIGHT": Refused(code="account_restricted", alert=True)}
LINES: Final[Mapping[int, StatusRule]] = {
    429: StatusRule(readable=Unknown(), unreadable=Unknown(), why="the document does not say whether it was processed"),
}
STATUSES: Final[Mapping[str, OrderStatus]] = {"open": "working", "canceled": "canceled", "filled": "filled"}
