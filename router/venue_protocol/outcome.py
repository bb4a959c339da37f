"""What a venue's answer means for one attempt, and what a look saw.

What the sender hears is decided elsewhere:

    Accepted   the venue took it
    Done       the goal holds without it (order not working, position flat)
    Refused    proven not executed, for good
    Retry      proven not processed; again after `after_s`
    Look       the answer alone does not say: read, then decide
    Unknown    it may have been executed

A lookup ends with one of these, or with `Absent` (nothing seen, which proves nothing by itself) or `Working` (a
cancel's order is still on the book: cancel it again). The journal stores the names of these classes.
"""

from collections.abc import Generator

import msgspec
from msgspec import Struct

from router.venue_protocol.request import Request, Response
from schemas.results import OrderState, ReasonCode


class Accepted(Struct, frozen=True, kw_only=True):
    """The venue took it: our close order exists, or the cancel is pending."""

    order_id: str | None = None
    order: OrderState | None = None
    venue_code: str | None = None


class Done(Struct, frozen=True, kw_only=True):
    """The goal is proven: the order does not work any more, or the position is flat."""

    order_id: str | None = None
    order: OrderState | None = None
    venue_code: str | None = None


class Refused(Struct, frozen=True, kw_only=True):
    """Proven not executed. `alert` marks what an operator must mend (keys, permissions, our own defects).

    `pause_s`: the venue wants no request at all for so long (a ban).
    """

    code: ReasonCode
    venue_code: str | None = None
    message: str = ""
    order_id: str | None = None
    order: OrderState | None = None
    alert: bool = False
    pause_s: float = 0.0


class Retry(Struct, frozen=True, kw_only=True):
    """Proven not processed. Send again, signed afresh, after `after_s` seconds.

    `tries`: at most so many more for this reason, whatever was tried before for others.
    """

    code: ReasonCode
    venue_code: str | None = None
    message: str = ""
    after_s: float = 0.0
    tries: int | None = None


class Look(Struct, frozen=True, kw_only=True):
    """The venue answered, and only a read can tell what the answer means."""

    venue_code: str | None = None
    message: str = ""


class Unknown(Struct, frozen=True, kw_only=True):
    """It may have been executed. The only outcome for whatever is not in a venue's tables.

    `seen`: a look saw something that may be it. What later looks do not see does not take that back. `order_id` is
    the order that the ambiguous answer named. `whole`: the venue answered every read of the look, and hid nothing;
    a look that was not whole proves nothing, not even that the venue cannot tell. `denied`: it refused the read itself
    (401, 403): to ask again with this key tells nothing, and an address that goes on asking may be blocked.
    """

    venue_code: str | None = None
    message: str = ""
    seen: bool = False
    order_id: str | None = None
    whole: bool = True
    denied: bool = False


class Absent(Struct, frozen=True, kw_only=True):
    """A lookup saw nothing of it. Proves nothing before quarantine, nor when read once."""

    message: str = ""


class Working(Struct, frozen=True, kw_only=True):
    """The order that a cancel names is still on the book."""

    order_id: str
    order: OrderState


Outcome = Accepted | Done | Refused | Retry | Look | Unknown
"""What one answer means. A venue's table maps its codes to such values without code and message."""


LookOutcome = Accepted | Done | Refused | Absent | Working | Unknown


Flow = Generator[Request, Response, LookOutcome]


def with_venue_words(outcome: Outcome, venue_code: str | None, message: str) -> Outcome:
    """Return a table's outcome with the venue's own words, cut to a length that fits a log line."""
    if isinstance(outcome, Accepted | Done):
        return msgspec.structs.replace(outcome, venue_code=venue_code)
    return msgspec.structs.replace(outcome, venue_code=venue_code, message=message[:200])
