"""What became of an order, and whether anybody may have missed it (contract, section 3)."""

from typing import Any, Literal

from msgspec import Struct

from schemas.fields import OrderType, Side, Time, TimeInForce
from schemas.results import OrderStatus

Source = Literal["stream", "poll", "reconcile"]
FeedState = Literal["live", "gap", "down"]


class LastFill(Struct, frozen=True, kw_only=True):
    """The execution that led to an event, as far as the venue told. Decimal text; `size` is what it added."""

    execution_id: str | None = None
    price: str | None = None
    size: str | None = None
    fee: str | None = None
    fee_asset: str | None = None
    position_id: str | None = None


class OrderEvent(Struct, frozen=True, kw_only=True, tag_field="type", tag="order_event"):
    """One change of one order. `event_id` is the key to drop repeats by; `seq` counts per account, without holes.

    `symbol`, `side`, `order_type` and `size` are `null` only where neither the venue nor a command has said them.
    `filled_size` is cumulative. `venue_time` is when the venue says that it happened, `raw` the venue's own object.
    `command_id` is the close that placed the order, else the last cancel that named it; in the copy on a command's
    reply queue it is that command's.
    """

    event_id: str
    venue: str
    account: str
    seq: int
    order_id: str
    client_order_id: str | None = None
    command_id: str | None = None
    symbol: str | None
    side: Side | None
    order_type: OrderType | None
    time_in_force: TimeInForce | None = None
    status: OrderStatus
    price: str | None = None
    size: str | None
    filled_size: str
    last_fill: LastFill | None = None
    cancel_reason: str | None = None
    venue_time: str | None = None
    received_at: Time
    source: Source
    raw: Any = None


class FeedStatus(Struct, frozen=True, kw_only=True, tag_field="type", tag="feed_status"):
    """Whether an account's events are complete.

    `gap`: since `since` something may be missing, and is being looked for. `live`: since `since` nothing is, and what
    the venue still shows of the gap has been published. `down`: as `gap`, and nobody is connected for now. `orders` of
    a `gap` or a `down` are the ids of the orders that were open when they were last seen, the latest 1,000 of them:
    what has become of them since is not known.
    """

    venue: str
    account: str
    status: FeedState
    since: Time
    reason: str = ""
    orders: tuple[str, ...] = ()
