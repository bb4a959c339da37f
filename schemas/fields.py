"""The text types of the wire, each with the characters it may hold.

Every identifier ends up in a routing key, a log line, a URL or an SQL row, so none may carry a control
character. `$(?!\\n)` is deliberate: Python's `$` also matches before a trailing newline, ECMA's does not.
"""

import datetime
from typing import Annotated, Literal

from msgspec import Meta

CommandId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$(?!\n)")]
Venue = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$(?!\n)")]
Account = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)")]
Symbol = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:/-]{1,64}$(?!\n)")]
VenueId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$(?!\n)")]
"""An order or position id of the venue; always text here, whatever the venue uses."""

PositiveDecimal = Annotated[str, Meta(pattern=r"^(?=.*[1-9])[0-9]{1,24}(\.[0-9]{1,24})?$(?!\n)")]
"""A decimal above zero. It stays text: what the sender wrote is what the venue reads."""

Time = Annotated[datetime.datetime, Meta(tz=True)]
"""RFC 3339 with an offset."""

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop"]
TimeInForce = Literal["gtc", "ioc", "fok", "post_only"]
Action = Literal["close", "cancel", "close_all", "cancel_all"]
