"""Requests, what signs them, what comes back, and the limits that a venue counts them by."""

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Literal

from msgspec import Struct

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


Signer = Callable[[Request, Stamp], SignedRequest]


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
