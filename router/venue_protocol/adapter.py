"""What every venue offers: the Protocol `VenueAdapter`, and what it is configured with and asked with.

At every venue a close or a cancel is exactly one request that acts, so that is a value (`VenueAdapter.request`).
Finding out what is true takes several reads, so that is a flow: a generator that yields read requests and receives
responses (`VenueAdapter.lookup`). Waiting never happens inside a flow.
"""

from collections.abc import Generator, Mapping
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import msgspec
from msgspec import Struct

from router.venue_protocol.outcome import Flow, Outcome, Refused
from router.venue_protocol.request import Limit, Request, Response, Signer
from schemas.commands import Close, Command
from schemas.conditions import Conditions
from schemas.wording import mistakes

P = TypeVar("P", bound=Struct)


class Attempt(Struct, frozen=True, kw_only=True):
    """What is known about the sends of a command when it is looked up.

    `sent_ms` is the earliest that the first request that may have arrived can have left, `now_ms` when the look began,
    both by the venue's clock as estimated; it may be off by as much as the venue takes requests at all: `window_ms`.
    `venue_code` is what the last answer said, if there was one; `unanswered` whether any send got none. `taken` are
    the order ids that belong to other commands, `rivals` the other closes of the account and symbol that are open or
    in doubt: an order that fits two commands fits none.
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


def read_params(params: Mapping[str, Any], kind: type[P], action: str) -> P | Refused:
    """Read a command's `params` strictly, or refuse them in the sender's words."""
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError:
        return Refused(code="invalid_command", message=mistakes(kind, params, of=f"a {action} here", path="params."))


class NoParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `params` of a venue or action that has none."""


class VenueAdapter(Protocol):
    """One venue, pure. Constructed from its own `options_type`; found by listing `router/venues/`."""

    venue: ClassVar[str]
    options_type: ClassVar[type[Options]]
    secrets_type: ClassVar[type[Secrets]]
    params_types: ClassVar[Mapping[str, type[Struct]]]
    """Action → the strict struct of its `params`. An action that is not in here is refused."""
    conditions: ClassVar[Conditions]
    """Action → what the venue refuses besides, as JSON Schema: senders can know it before they send."""
    limits: ClassVar[tuple[Limit, ...]]
    read_pauses: ClassVar[Mapping[int, float]]
    """HTTP statuses of a read after which nothing leaves under its limits, and for how many seconds."""
    unique_stamps: ClassVar[bool]
    """Whether the venue refuses a stamp of the account that it has seen, whichever process sent it."""

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

    def probe(self) -> Generator[Request, Response, Refused | str]:
        """Read what lookups and the feed will need, with this account's key.

        Returns what was refused first, else what the venue tells of the key, which may be nothing.
        """
        ...
