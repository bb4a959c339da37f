"""What an operator must know within a second (contract, section 8)."""

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

    One message per code, venue and account at most every 60 s; `count` says how often it happened since `since`, and
    `command_ids` names at most ten of the commands. `resolved` ends what an earlier alert of these three began.
    Several pods tell of one trouble under one `alert_id`: drop repeats by it.
    """

    alert_id: str
    code: AlertCode
    severity: Severity
    venue: str | None = None
    account: str | None = None
    command_ids: tuple[str, ...] = ()
    count: int = 1
    message: str = ""
    resolved: bool = False
    since: Time
    at: Time
