"""What a sender may ask for. Strict: an unknown field is an error, never ignored (contract, section 1)."""

from typing import Any

from msgspec import Struct, field

from schemas.fields import (
    Account,
    CommandId,
    OrderType,
    PositiveDecimal,
    Side,
    Symbol,
    Time,
    TimeInForce,
    Venue,
    VenueId,
)


class Close(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="close"):
    """Close a position, whole or in part.

    `side` is the side of the *closing* order. `price` reaches the venue as it was written.
    Which fields a venue needs or refuses is the venue's own rule (`router/venues/`).
    """

    command_id: CommandId
    venue: Venue
    account: Account
    symbol: Symbol
    not_after: Time
    issued_at: Time | None = None
    position_id: VenueId | None = None
    side: Side | None = None
    size: PositiveDecimal | None = None
    order_type: OrderType = "market"
    price: PositiveDecimal | None = None
    time_in_force: TimeInForce | None = None
    dry_run: bool = False
    params: dict[str, Any] = field(default_factory=dict)


class Cancel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="cancel"):
    """Cancel one order, named by the venue's id or by the close command that placed it."""

    command_id: CommandId
    venue: Venue
    account: Account
    not_after: Time
    symbol: Symbol | None = None
    issued_at: Time | None = None
    order_id: VenueId | None = None
    target_command_id: CommandId | None = None
    await_final: bool = False
    dry_run: bool = False
    params: dict[str, Any] = field(default_factory=dict)


class CloseAll(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="close_all"):
    """Close every position of an account that matches `symbol` and `side`, or all of them."""

    command_id: CommandId
    venue: Venue
    account: Account
    not_after: Time
    symbol: Symbol | None = None
    side: Side | None = None
    issued_at: Time | None = None
    dry_run: bool = False
    params: dict[str, Any] = field(default_factory=dict)


class CancelAll(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="cancel_all"):
    """Cancel every open order of an account that matches `symbol` and `side`, or all of them."""

    command_id: CommandId
    venue: Venue
    account: Account
    not_after: Time
    symbol: Symbol | None = None
    side: Side | None = None
    issued_at: Time | None = None
    dry_run: bool = False
    params: dict[str, Any] = field(default_factory=dict)


Command = Close | Cancel | CloseAll | CancelAll
