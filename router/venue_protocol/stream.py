"""The vocabulary of a venue's private order feed. Values in, values out: no I/O, no clock, no randomness.

A `Stream` is the protocol of one connection, as a state machine: it is told what happened (`begin`, `answered`,
`opened`, `heard`, `tick`, `end`) and returns what it wants done (`Ask`, `Connect`, `Say`) and what it found out
(`Changes`, `Ready`, `Broken`). After `Broken` it is thrown away and another one begins. The runner owns the sockets,
the pacing, the lease, the sequence numbers and every decision about what is new; a stream only translates.

`VenueAdapter.reconcile` is the other half: a flow of reads that finds what a stream may have missed.
"""

from collections.abc import Generator, Sequence
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from router.venue_protocol.request import Request, Response, Stamp
from schemas.fields import OrderType, Side, TimeInForce
from schemas.results import OrderStatus


class Fill(Struct, frozen=True, kw_only=True):
    """One execution. Decimal text as the venue gave it."""

    execution_id: str | None = None
    price: str | None = None
    size: str | None = None
    fee: str | None = None
    fee_asset: str | None = None
    position_id: str | None = None


class Change(Struct, frozen=True, kw_only=True):
    """What the venue says of one order now. What it does not say stays `None` and keeps its last known value.

    `filled_size` is cumulative. A venue that only tells single fills leaves it out and sets `last_fill`: the runner
    adds it up, once per `execution_id`. `status` may be left out too: the runner derives `partially_filled` and
    `filled` from the sizes. `raw` is the venue's own object, without secrets.
    """

    order_id: str
    client_order_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    status: OrderStatus | None = None
    price: str | None = None
    size: str | None = None
    filled_size: str | None = None
    last_fill: Fill | None = None
    cancel_reason: str | None = None
    venue_time: str | None = None
    raw: Any = None


class Ask(Struct, frozen=True):
    """Send a signed REST request; the answer comes back through `answered`, `None` when there was none."""

    request: Request


class Connect(Struct, frozen=True):
    """Open the socket. The URL may be a credential: it never prints."""

    url: str

    def __repr__(self) -> str:
        return "Connect(…)"


class Say(Struct, frozen=True):
    """Send a text frame, at least `pace_s` after the last paced frame from this IP to this venue, of any account."""

    text: str
    pace_s: float = 0.0

    def __repr__(self) -> str:
        return "Say(…)"


class Changes(Struct, frozen=True):
    """What the venue reported, in its order."""

    changes: tuple[Change, ...]


class Ready(Struct, frozen=True):
    """Subscribed: from here on changes arrive. What came before must be reconciled."""


class Broken(Struct, frozen=True):
    """The stream may have missed something. Drop the connection and begin again."""

    reason: str


Want = Ask | Connect | Say | Changes | Ready | Broken


class Stream(Protocol):
    """One connection's protocol. Never raises, whatever the bytes. Signs what it says itself."""

    def begin(self, stamp: Stamp) -> Sequence[Want]:
        """Begin: a token to ask for, or a socket to open."""
        ...

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Take the answer to an `Ask`."""
        ...

    def opened(self, stamp: Stamp) -> Sequence[Want]:
        """The socket is open."""
        ...

    def heard(self, frame: str | bytes, stamp: Stamp) -> Sequence[Want]:
        """Take one frame."""
        ...

    def tick(self, stamp: Stamp) -> Sequence[Want]:
        """Take notice of the time, about once a second: renew, check for silence."""
        ...

    def end(self, stamp: Stamp) -> Sequence[Want]:
        """Say goodbye: only `Ask`s are carried out."""
        ...


class Known(Struct, frozen=True, kw_only=True):
    """What a reconciliation starts from.

    `since_ms` is when everything was last known to be complete. `open_orders` are (order id, symbol) pairs whose last
    known state is not final; `symbols` the symbols that commands named. `everywhere`: read every symbol that the venue
    lists, as `live` claims; without it only those named here, which is enough to watch a stream that is complete.
    """

    since_ms: int
    open_orders: tuple[tuple[str, str | None], ...] = ()
    symbols: tuple[str, ...] = ()
    everywhere: bool = True


class Missed(Struct, frozen=True, kw_only=True):
    """What a reconciliation found: the present state of every order it could see. `complete` when every read worked.

    `denied`: the venue refused a read for this key or address (401, 403); no read followed, and whoever goes on asking
    may be blocked.
    """

    changes: tuple[Change, ...] = ()
    complete: bool = True
    denied: bool = False


class Feed(Protocol):
    """What a venue's class offers beside `VenueAdapter`: its stream, or what to poll, and what to read."""

    poll_s: ClassVar[tuple[float, float] | None]
    """Without a stream: seconds between two polls while nothing is open, and while a command is. Else `None`."""

    def stream(self, secrets: Any) -> Stream | None:
        """Begin the protocol of one connection, or `None` where orders have to be polled."""
        ...

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read what may have been missed since `known.since_ms`. Never raises, whatever the bytes."""
        ...
