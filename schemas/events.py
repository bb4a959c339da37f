"""What became of an order, and whether anybody may have missed it (contract, section 3).

The text below a field is its description in the JSON Schema.
"""

from typing import Any, Literal

from msgspec import Struct

from schemas.fields import OrderType, Side, Time, TimeInForce
from schemas.results import OrderStatus

Source = Literal["stream", "poll", "reconcile"]
FeedState = Literal["live", "gap", "down"]


class LastFill(Struct, frozen=True, kw_only=True):
    """The execution that led to an event, as far as the venue told. Sizes, prices and fees are decimal text."""

    execution_id: str | None = None
    """The venue's id of the execution."""
    price: str | None = None
    """The price of this execution."""
    size: str | None = None
    """How much this execution added."""
    fee: str | None = None
    """The fee of this execution, in `fee_asset`; negative for a rebate."""
    fee_asset: str | None = None
    """What the fee was paid in."""
    position_id: str | None = None
    """The venue's id of the position that was opened or closed."""


class OrderEvent(Struct, frozen=True, kw_only=True, tag_field="type", tag="order_event"):
    """One change of one order, whoever placed it.

    `symbol`, `side`, `order_type` and `size` are `null` only where neither the venue nor a command has said them.
    """

    event_id: str
    """The key to drop repeats by: the same change has the same id, whoever reports it."""
    venue: str
    """The venue."""
    account: str
    """The account at the venue."""
    seq: int
    """1, 2, … for each account, without holes on the topic exchange; a reply queue sees only its own orders."""
    order_id: str
    """The venue's id of the order."""
    client_order_id: str | None = None
    """Our id of the order, or that of another program, if the venue shows one."""
    command_id: str | None = None
    """The close that placed the order, else the last cancel that named it. In the copy on a command's reply queue it
    is that command's.
    """
    symbol: str | None
    """The venue's own symbol."""
    side: Side | None
    """The side of the order."""
    order_type: OrderType | None
    """The kind of order."""
    time_in_force: TimeInForce | None = None
    """How long the order works, if the venue says it."""
    status: OrderStatus
    """Where the order stands now. It never goes back."""
    price: str | None = None
    """The limit or stop price, as decimal text."""
    size: str | None
    """The size of the order, as decimal text."""
    filled_size: str
    """How much has been filled in all, as decimal text."""
    last_fill: LastFill | None = None
    """The execution that led to this event."""
    cancel_reason: str | None = None
    """Why the order was cancelled, in the venue's words."""
    venue_time: str | None = None
    """When the venue says that it happened."""
    received_at: Time
    """When the router heard of it."""
    source: Source
    """How the router heard of it: from the venue's stream, from polling, or from a reconciliation after a gap."""
    raw: Any = None
    """The venue's own object, as it came."""


class FeedStatus(Struct, frozen=True, kw_only=True, tag_field="type", tag="feed_status"):
    """Whether an account's events are complete."""

    venue: str
    """The venue."""
    account: str
    """The account at the venue."""
    status: FeedState
    """`gap`: since `since` something may be missing, and is being looked for. `live`: since `since` nothing is, and
    what the venue still shows of the gap has been published. `down`: as `gap`, and nobody is connected for now.
    """
    since: Time
    """Since when this holds."""
    reason: str = ""
    """What happened, for people."""
    orders: tuple[str, ...] = ()
    """Of a `gap` or a `down`: the ids of the orders that were open when they were last seen, the latest 1,000 of them.
    What has become of them since is not known.
    """
