"""What a sender hears back (contract, section 2)."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from schemas.fields import Action, Time

Outcome = Literal["accepted", "done", "rejected", "in_doubt"]
Evidence = Literal["response", "stream", "query", "router"]
OrderStatus = Literal["working", "partially_filled", "filled", "canceled", "expired", "rejected", "unknown"]
ReasonCode = Literal[
    "invalid_command",
    "unsupported",
    "unknown_venue",
    "unknown_account",
    "unauthorized_sender",
    "command_id_reused",
    "expired",
    "halted",
    "busy",
    "too_late",
    "order_not_found",
    "position_not_found",
    "insufficient_position",
    "insufficient_funds",
    "invalid_price",
    "invalid_size",
    "market_closed",
    "clock_skew",
    "rate_limited",
    "venue_maintenance",
    "venue_unavailable",
    "auth_failed",
    "account_restricted",
    "venue_rejected",
    "timeout",
    "unresolved",
    "internal_error",
]


class Reason(Struct, frozen=True, kw_only=True):
    """Why: our code, the venue's own code when it gave one, and a sentence for people."""

    code: ReasonCode
    venue_code: str | None = None
    message: str = ""


class OrderState(Struct, frozen=True, kw_only=True):
    """The last state of the order that the venue showed, as proof. Sizes and prices are decimal text."""

    status: OrderStatus
    size: str | None = None
    filled_size: str | None = None
    average_price: str | None = None


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One target of a `*_all` command: exactly one of the three ids is set."""

    outcome: Outcome
    order_id: str | None = None
    position_id: str | None = None
    symbol: str | None = None
    reason: Reason | None = None
    order: OrderState | None = None


class Result(Struct, frozen=True, kw_only=True, tag_field="type", tag="result"):
    """One answer to one command. `result_id` is the key to drop repeats by.

    Echo fields are `None` only in the answer to a body that could not be decoded.
    """

    result_id: str
    seq: int
    final: bool
    command_id: str | None
    action: Action | None
    venue: str | None
    account: str | None
    outcome: Outcome
    reason: Reason | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    order: OrderState | None = None
    evidence: Evidence = "router"
    attempts: int = 0
    duplicate: bool = False
    dry_run: bool = False
    received_at: Time
    sent_at: Time | None = None
    completed_at: Time
    items: list[Item] | UnsetType = UNSET
