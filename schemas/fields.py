"""The text types of the wire, each with the characters it may hold.

Every identifier ends up in a routing key, a log line, a URL or an SQL row, so none may carry a control
character. The patterns are Python's; `schemas.json_schema.portable` tells them to other languages, most of which know
neither `END` nor `NOT_ZERO`.
"""

import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta

END: Final = r"\Z"
"""The end of the text, and nothing after it: Python's `$` also matches before a trailing newline."""
NOT_ZERO: Final = "(?=.*[1-9])"
"""At least one digit that is not a zero."""

CommandId = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9._:-]{{1,64}}{END}")]
Venue = Annotated[str, Meta(pattern=rf"^[a-z][a-z0-9_]{{0,31}}{END}")]
Account = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_-]{{1,64}}{END}")]
Symbol = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9._:/-]{{1,64}}{END}")]
VenueId = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9._:-]{{1,64}}{END}")]
"""An order or position id of the venue; always text here, whatever the venue uses."""

PositiveDecimal = Annotated[str, Meta(pattern=rf"^{NOT_ZERO}[0-9]{{1,24}}(\.[0-9]{{1,24}})?{END}")]
"""A decimal above zero. It stays text: what the sender wrote is what the venue reads."""

_RFC_3339: Final = (
    r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
    rf"{END}"
)
Time = Annotated[datetime.datetime, Meta(tz=True, extra_json_schema={"pattern": _RFC_3339})]
"""RFC 3339 with an offset. The pattern is for schema validators, many of which do not check formats."""

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop"]
TimeInForce = Literal["gtc", "ioc", "fok", "post_only"]
Action = Literal["close", "cancel", "close_all", "cancel_all"]
