"""What a sender hears back (contract, section 2). The text below a field is its description in the JSON Schema."""

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
    """Why a command was refused, or is in doubt."""

    code: ReasonCode
    """The cause, as a word for programs; schemas/README.md says what each means."""
    venue_code: str | None = None
    """The venue's own code, if it gave one."""
    message: str = ""
    """The cause in a sentence for people: which field, what was expected, or the venue's own words."""


class OrderState(Struct, frozen=True, kw_only=True):
    """The last state of the order that the venue showed, as proof. Sizes and prices are decimal text."""

    status: OrderStatus
    """Where the order stands. `unknown`: the venue did not say it in words that the router knows."""
    size: str | None = None
    """The size of the order, in the venue's unit."""
    filled_size: str | None = None
    """How much of it has been filled."""
    average_price: str | None = None
    """The average price of what has been filled."""


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One target of a `*_all` command: exactly one of the three ids is set."""

    outcome: Outcome
    """What became of this target."""
    order_id: str | None = None
    """The venue's id of the order."""
    position_id: str | None = None
    """The venue's id of the position."""
    symbol: str | None = None
    """The symbol, where a position has no other id."""
    reason: Reason | None = None
    """Why, unless it was accepted or done."""
    order: OrderState | None = None
    """The last state of the order that was seen."""


class Result(Struct, frozen=True, kw_only=True, tag_field="type", tag="result"):
    """One answer to one command."""

    result_id: str
    """The key to drop repeats by: a result may come more than once, always with the same id."""
    seq: int
    """1, 2, … for each command; 0 in an answer that was given without the journal."""
    final: bool
    """No other result follows, except one that settles `unresolved` or contradicts what the venue said."""
    command_id: str | None
    """Your command's. `null` if the body did not yield it."""
    action: Action | None
    """Your command's `type`. `null` if the body did not yield it."""
    venue: str | None
    """Your command's. `null` if the body did not yield it."""
    account: str | None
    """Your command's. `null` if the body did not yield it."""
    outcome: Outcome
    """`accepted`: the venue took it. `done`: the goal is proven without it. `rejected`: proven not executed.
    `in_doubt`: it may have been executed, and nobody can say yet.
    """
    reason: Reason | None = None
    """Why, unless it was accepted or done."""
    order_id: str | None = None
    """The venue's id of the order, once it is known."""
    client_order_id: str | None = None
    """Our id of the order, which you can compute: UUIDv5 of `{sender}/{command_id}`."""
    order: OrderState | None = None
    """The last state of the order that was seen, as proof."""
    evidence: Evidence = "router"
    """How it is known: from the venue's answer, its stream or its records, or by the router itself."""
    attempts: int = 0
    """How many requests may have reached the venue."""
    duplicate: bool = False
    """A stored answer is repeated; nothing was sent this time."""
    dry_run: bool = False
    """Nothing was sent at all, as you asked."""
    recorded: bool | UnsetType = UNSET
    """`false`: the answer was given while the journal could not be written. Left out otherwise."""
    received_at: Time
    """When the command came."""
    sent_at: Time | None = None
    """When the first request left that may have reached the venue."""
    completed_at: Time
    """When the answer was known."""
    items: list[Item] | UnsetType = UNSET
    """The targets of a `*_all` command, one by one."""
