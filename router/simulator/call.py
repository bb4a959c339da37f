"""One request as a venue sees it, and one answer as it gives it."""

import hashlib
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from router.simulator.book import Book
from router.simulator.faults import Fault
from router.simulator.ledger import EntryKind, Origin

Action = Literal["close", "cancel", "read", "session"]

JSON: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "application/json"})
HTML: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "text/html; charset=UTF-8"})

_SIGNATURE: Final = re.compile(r"(?<![^&])signature=[^&]*&?")
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Answer(Struct, frozen=True):
    """An HTTP answer that is not written yet."""

    status: int
    body: bytes
    headers: Mapping[str, str] = JSON


def json_answer(status: int, content: object, headers: Mapping[str, str] = JSON) -> Answer:
    """Return `content` as a JSON answer."""
    return Answer(status, _encoder.encode(content), headers)


def html_answer(status: int) -> Answer:
    """Return what a gateway in front of the venue says."""
    title = _PHRASES.get(status, "Error")
    page = f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n"
    return Answer(status, page.encode(), HTML)


def with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """Return the answer with more headers."""
    return msgspec.structs.replace(answer, headers={**answer.headers, **headers}) if headers else answer


class Refusal(Exception):
    """Raised by a venue's own code to answer no. The pipeline records it as `kind` and sends the answer."""

    def __init__(self, answer: Answer, code: str, kind: EntryKind = "refused") -> None:
        super().__init__(code)
        self.answer = answer
        self.code = code
        self.kind = kind


class Account(Struct, kw_only=True):
    """One credential set. `permissions` are the actions its key may do."""

    name: str
    api_key: str
    api_secret: str
    permissions: frozenset[str] = frozenset({"close", "cancel", "read", "session"})
    book: Book

    def __repr__(self) -> str:
        return f"Account({self.name!r})"


class Call(Struct, kw_only=True):
    """One request under way. `now_ms` is the simulator's clock when the venue looks at it.

    `fault` bends the execution, `stale` replaces the book in reads.
    """

    endpoint: "Endpoint"
    method: str
    path: str
    host: str
    ip: str
    query: str
    params: Mapping[str, str]
    path_ids: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    account: Account
    origin: Origin
    now_ms: int
    fault: Fault | None = None
    stale: Book | None = None

    def object(self) -> dict[str, Any] | None:
        """Return the body as a JSON object, numbers with a fraction as `Decimal`; `None` when it is not one."""
        try:
            decoded = _decoder.decode(self.body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        return decoded if isinstance(decoded, dict) else None

    def all_params(self, name: str) -> list[str]:
        """Return every value of a repeated query parameter."""
        get_all: Callable[[str, list[str]], list[str]] = self.params.getall  # type: ignore[attr-defined]
        return get_all(name, [])


class Endpoint(Struct, frozen=True, kw_only=True):
    """One route of a venue. `scope` names the rate limits it draws from; `public` needs no key."""

    method: str
    path: str
    name: str
    action: Action
    handler: Callable[[Call], Answer]
    scope: str = ""
    public: bool = False


def read_call(endpoint: Endpoint, http: web.Request, body: bytes, account: Account) -> Call:
    """Return a request as the venue sees it."""
    return Call(
        endpoint=endpoint,
        method=http.method,
        path=http.rel_url.raw_path,
        host=http.host,
        ip=http.remote or "",
        query=http.rel_url.raw_query_string,
        params=http.query,
        path_ids=http.match_info,
        headers=http.headers,
        body=body,
        account=account,
        origin=origin_of(endpoint, http, body, account.name),
        now_ms=0,
    )


def origin_of(endpoint: Endpoint, http: web.Request, body: bytes, account: str) -> Origin:
    """Return what the ledger says of a request: no signature, and of the body only its digest."""
    return Origin(
        endpoint=endpoint.name,
        account=account,
        method=http.method,
        path=http.rel_url.raw_path,
        query=_SIGNATURE.sub("", http.rel_url.raw_query_string),
        body_sha256=hashlib.sha256(body).hexdigest(),
    )
