"""The vocabulary a venue is written in. Values in, values out: no I/O, no clock, no randomness.

At every venue a close or a cancel is exactly one request that acts, so that is a value (`VenueAdapter.request`).
Finding out what is true takes several reads, so that is a flow: a generator that yields read requests and
receives responses (`VenueAdapter.lookup`). Waiting never happens inside a flow.

What a venue's answer means for one attempt is an `Outcome`; what the sender hears is decided elsewhere:

    Accepted   the venue took it
    Done       the goal holds without it (order not working, position flat)
    Refused    proven not executed, for good
    Retry      proven not processed; again after `after_s`
    Look       the answer alone does not say: read, then decide
    Unknown    it may have been executed

A lookup ends with one of these, or with `Absent` (nothing seen, which proves nothing by itself) or
`Working` (a cancel's order is still on the book: cancel it again).
"""

from collections.abc import Callable, Generator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Literal, Protocol

import msgspec
from msgspec import Struct

from schemas.commands import Close, Command
from schemas.results import OrderState, ReasonCode

Per = Literal["account", "ip"]


class Limit(Struct, frozen=True):
    """At most `count` requests of a scope in any `period_s` seconds, counted by the venue per account or per IP.

    `cancels_only` of them are out of reach for everything but cancels.
    """

    scope: str
    count: int
    period_s: float
    per: Per = "account"
    cancels_only: int = 0


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request, not signed yet. Equal reads are equal values, so they can share an answer.

    `path` is below the venue's `rest_url` (or `public_url`). `endpoint` is its short name in metrics and logs.
    `scopes` are the limits it draws from.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    endpoint: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    scopes: tuple[str, ...] = ()
    public: bool = False


class Stamp(Struct, frozen=True):
    """What makes one signature differ from the next: strictly increasing per account, and a nonce."""

    now_ms: int
    nonce: str


class SignedRequest(Struct, frozen=True):
    """Ready for the wire. It is a bearer credential for some seconds, so it never prints itself."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"SignedRequest({self.method} …)"


class Response(Struct, frozen=True):
    """What came back. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


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
    """Proven not processed. Send again, signed afresh, after `after_s` seconds and at most `tries` times."""

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
    the order that the ambiguous answer named.
    """

    venue_code: str | None = None
    message: str = ""
    seen: bool = False
    order_id: str | None = None


class Absent(Struct, frozen=True, kw_only=True):
    """A lookup saw nothing of it. Proves nothing before quarantine, nor when read once."""

    message: str = ""


class Working(Struct, frozen=True, kw_only=True):
    """The order that a cancel names is still on the book."""

    order_id: str
    order: OrderState


Outcome = Accepted | Done | Refused | Retry | Look | Unknown
"""What one answer means. A venue's table maps its codes to such values without code and message."""
Sight = Accepted | Done | Refused | Absent | Working | Unknown
Flow = Generator[Request, Response, Sight]
Signer = Callable[[Request, Stamp], SignedRequest]


def told(outcome: Outcome, venue_code: str | None, message: str) -> Outcome:
    """Return a table's outcome with the venue's own words, cut to a length that fits a log line."""
    if isinstance(outcome, Accepted | Done):
        return msgspec.structs.replace(outcome, venue_code=venue_code)
    return msgspec.structs.replace(outcome, venue_code=venue_code, message=message[:200])


def retry_after_s(response: Response, default: float) -> float:
    """Read `Retry-After`, in seconds or as a date, the date measured against the answer's own `Date` header."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 9:
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(response.headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return default
    return max(wait.total_seconds(), 0.0)


class Attempt(Struct, frozen=True, kw_only=True):
    """What is known about the sends of a command when it is looked up.

    `sent_ms` is when the first request that may have arrived was written, `now_ms` when the look began, both by our
    clock; the venue's may differ by as much as it takes requests at all: `window_ms`. `venue_code` is what the last
    answer said, if there was one; `unanswered` whether any send got none. `taken` are the order ids that belong to
    other commands, `rivals` the other closes of the account and symbol that are open or in doubt: an order that fits
    two commands fits none.
    """

    client_order_id: str
    sent_ms: int
    now_ms: int
    window_ms: int = 60_000
    unanswered: bool = True
    order_id: str | None = None
    venue_code: str | None = None
    taken: frozenset[str] = frozenset()
    rivals: tuple[Close, ...] = ()


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[venues.<venue>]` may set. A venue subclasses it with its own defaults and extra keys.

    `limits` maps a scope to a rate such as `"20/1s"`, several joined by commas, or `"off"`; `limits = "off"`
    switches all of them off. `quarantine_s` is how long after a send a negative answer proves nothing; left out it
    is timeout + timestamp window + 5 s. `timestamp_window_s` is how stale a signed request the venue still takes.
    """

    rest_url: str
    public_url: str = ""
    ws_url: str = ""
    timeout_s: float = 5.0
    limits: dict[str, str] | Literal["off"] = msgspec.field(default_factory=dict)
    quarantine_s: float | None = None
    timestamp_window_s: float = 60.0


class Secrets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account's credentials as configured. Never prints them."""

    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class NoParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `params` of a venue or action that has none."""


class VenueAdapter(Protocol):
    """One venue, pure. Constructed from its own `options_type`; found by listing `router/venues/`."""

    venue: ClassVar[str]
    options_type: ClassVar[type[Options]]
    secrets_type: ClassVar[type[Secrets]]
    params_types: ClassVar[Mapping[str, type[Struct]]]
    """Action → the strict struct of its `params`."""
    limits: ClassVar[tuple[Limit, ...]]

    def __init__(self, options: Any) -> None: ...

    def signer(self, secrets: Any) -> Signer:
        """Prepare an account's keys once. Raises `ValueError` for a key that cannot be used, without quoting it."""
        ...

    def position(self, command: Close) -> str:
        """Name what only one close at a time may touch, within the account."""
        ...

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the one request that acts, or refuse what this venue cannot honour. Nothing was sent either way."""
        ...

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to that request. Never raises, whatever the bytes."""
        ...

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Find out by reads alone what is true now. Never raises, whatever the bytes."""
        ...

    def repeatable(self, command: Command) -> bool:
        """Say whether sending it twice is harmless."""
        ...

    def probe(self) -> Generator[Request, Response, Refused | None]:
        """Read something small that needs this account's key; `None` when the venue took it."""
        ...
