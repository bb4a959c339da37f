"""What an operator must know within a second (contract, section 8).

The text below a field is its description in the JSON Schema.
"""

from typing import Literal

from msgspec import Struct

from schemas.fields import Time

Severity = Literal["page", "ticket"]
AlertCode = Literal[
    "in_doubt_too_long",
    "unresolved",
    "contradiction",
    "auth_failed",
    "account_restricted",
    "clock_skew",
    "journal_down",
    "journal_restored",
    "feed_gap",
    "feed_down",
    "dead_letter",
    "result_diverted",
    "row_unreadable",
]


class Alert(Struct, frozen=True, kw_only=True, tag_field="type", tag="alert"):
    """Something is wrong, or no longer is.

    One message per code, venue and account at most every 60 s, and one when it is over.
    """

    alert_id: str
    """The key to drop repeats by: several processes tell of one trouble under one id."""
    code: AlertCode
    """What is wrong, as a word for programs."""
    severity: Severity
    """`page`: wake somebody. `ticket`: it can wait for the morning."""
    venue: str | None = None
    """The venue, if it is about one."""
    account: str | None = None
    """The account at the venue, if it is about one."""
    command_ids: tuple[str, ...] = ()
    """Commands that it is about, ten at most."""
    count: int = 1
    """How often it happened since `since`."""
    message: str = ""
    """What happened, for people."""
    resolved: bool = False
    """It is over: this ends what earlier alerts of the same code, venue and account began."""
    since: Time
    """When it began."""
    at: Time
    """When this was said."""
