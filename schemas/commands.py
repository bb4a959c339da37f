"""What a sender may ask for. Strict: an unknown field is an error, never ignored (contract, section 1).

The text below a field is its description in the JSON Schema.
"""

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


class _AnyCommand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    command_id: CommandId
    """Your idempotency key, unique for you as a sender: a command under one id is executed at most once."""
    venue: Venue
    """The venue's name, such as `gmo_coin`. One that no worker serves is answered `unknown_venue`."""
    account: Account
    """The account at the venue, as the operator named it."""
    not_after: Time
    """The deadline: no close or cancel request leaves after it. It may lie at most 300 s ahead, unless the operator
    allows more (`worker.max_horizon_s`).
    """
    issued_at: Time | None = None
    """When you decided. More than 2 s in the future is refused."""
    dry_run: bool = False
    """Do everything but send; the answer is `accepted`, with `dry_run: true`."""
    params: dict[str, Any] = field(default_factory=dict)
    """What only this venue knows. What it may hold depends on `venue`."""


class Close(_AnyCommand, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="close"):
    """Close a position, whole or in part."""

    symbol: Symbol
    """The venue's own symbol, such as `BTC_JPY`."""
    position_id: VenueId | None = None
    """The venue's id of the position, where positions have ids."""
    side: Side | None = None
    """The side of the closing order, not of the position."""
    size: PositiveDecimal | None = None
    """How much to close, in the venue's unit (coins, contracts). Left out: all of it, where the venue can."""
    order_type: OrderType = "market"
    """The kind of order that closes the position."""
    price: PositiveDecimal | None = None
    """The price of a `limit` or `stop` order, which need one; its text reaches the venue unchanged."""
    time_in_force: TimeInForce | None = None
    """How long the order works. Left out: the venue's own default for that kind of order."""


class Cancel(_AnyCommand, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="cancel"):
    """Cancel one order, named by the venue's id or by the close command that placed it."""

    symbol: Symbol | None = None
    """The venue's own symbol, for venues that find no order without it."""
    order_id: VenueId | None = None
    """The venue's id of the order. Give this or `target_command_id`."""
    target_command_id: CommandId | None = None
    """The `command_id` of your close, on the same account, that placed the order. Give this or `order_id`."""
    await_final: bool = False
    """Answer only once the order is proven not to work any more, instead of when the venue has taken the cancel."""


class CloseAll(_AnyCommand, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="close_all"):
    """Close every position of an account that matches `symbol` and `side`, or all of them."""

    symbol: Symbol | None = None
    """Only positions of this symbol. Left out: of every symbol that the venue lists."""
    side: Side | None = None
    """Only positions that an order of this side closes. Left out: both."""


class CancelAll(_AnyCommand, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="cancel_all"):
    """Cancel every open order of an account that matches `symbol` and `side`, or all of them."""

    symbol: Symbol | None = None
    """Only orders of this symbol. Left out: of every symbol that the venue lists."""
    side: Side | None = None
    """Only orders of this side. Left out: both."""


Command = Close | Cancel | CloseAll | CancelAll
