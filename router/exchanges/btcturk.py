"""BtcTurk, spot orders: the private REST API of api.btcturk.com, version 1.

Read 2026-11-21: https://docs.btcturk.com (Authentication V1, Cancel Order, Get Single Order, Open Orders, All Orders,
Errors, Error Handling for Order Operations, Rate Limits, Recent Changes).

Commands: `cancel` is `DELETE /api/v1/order?id=`: since 2024-04-01 its success means "queued", a fill can still win.
`close` is refused: the venue is spot only and has no positions.
Signing: base64 HMAC-SHA256, keyed with the base64-decoded secret, of API key + stamp (ms); nothing else is signed.
Repeatability: a cancel yes, by the venue's own design; cancelling a cancelled order is a success.
Limits: DELETE 10 a second and 300 a minute, GET order 30 and 900, each per account and per IP; lists 300 a minute and
trades 120 a minute per IP. A breach blocks for one or sixty seconds.

Quirks: every stamp must differ from the one before. Errors are told by `message`: the codes have drifted. `success` can
be true in a refusal. Gateway errors are HTML. Keys and values of orders come in more than one capitalisation, and
`Cancelled` in two spellings. When a stop triggers, its order becomes Canceled and another order with the same
`orderClientId` executes: a canceled stop is only done when no such order is shown. `quantity` of that order may be
wrong, `amount` is right. `price` of an order is not its average.

unverified: the wording of the 401 messages but Invalid Nonce's (all that begin with "Unauthorized" count); the HTTP
status of "Order not found"; what of a pair under maintenance comes when (taken as retry after 30 s); the first page's
number of allOrders (read without one, then from 1) and its default time range; how soon a triggered stop's new order
is listed (taken as within 10 s).
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Generator, Mapping
from decimal import Context, Decimal
from typing import Annotated, Any, ClassVar, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Meta, Struct
from msgspec.json import Decoder

from router.exchange import (
    Accepted,
    Attempt,
    Done,
    Flow,
    Limit,
    Look,
    NoParams,
    Options,
    Outcome,
    Refused,
    Request,
    Response,
    Retry,
    Secrets,
    SignedRequest,
    Signer,
    Stamp,
    Unknown,
    Working,
    retry_after_s,
    told,
)
from schemas.commands import Cancel, Close, Command
from schemas.results import OrderState, OrderStatus

_MESSAGES: Final[dict[str, Outcome]] = {
    "ORDER_COULD_NOT_BE_CANCELED": Look(),  # closed, canceled, a market order, or "the operation fails"
    "NO_ORDER_MATCHES_YOUR_REQUEST": Look(),  # refused, but the order may be there: one read tells
    "ORDER_CANCEL_BLOCKED": Retry(code="venue_maintenance", after_s=30.0),
    "TOO_MANY_REQUESTS": Retry(code="rate_limited", after_s=1.0),
    "INTERNAL_ERROR": Unknown(),
    "ORDER NOT FOUND": Refused(code="order_not_found"),
}
_UNAUTHORIZED: Final[dict[str, Outcome]] = {
    "INVALID NONCE": Retry(code="auth_failed", tries=2),  # the stamp of another pod, or the clock
    "INVALID SIGNATURE": Refused(code="auth_failed", alert=True),
    "INVALID PUBLIC KEY": Refused(code="auth_failed", alert=True),
    "INVALID PRIVATE KEY": Refused(code="auth_failed", alert=True),
    "INVALID PUBLIC/PRIVATE KEY": Refused(code="auth_failed", alert=True),
    "HEADERS ARE MISSING": Refused(code="auth_failed", alert=True),
    "INVALID REQUEST": Refused(code="auth_failed", alert=True),
}
_STATUSES: Final[dict[int, Outcome]] = {
    404: Refused(code="venue_rejected", alert=True),  # an unknown order is 400: this is a wrong address
    405: Refused(code="venue_rejected", alert=True),
    415: Refused(code="venue_rejected", alert=True),
    429: Retry(code="rate_limited", after_s=1.0),
}
_ORDER_STATUSES: Final[dict[str, OrderStatus]] = {
    "untouched": "working",
    "partial": "partially_filled",
    "canceled": "canceled",
    "cancelled": "canceled",
    "closed": "filled",
}
_SUCCESS: Final = frozenset({"", "SUCCESS", "OK", "SUCCEEDED"})
_NOT_FOUND: Final = 1152
_NO_STOPS: Final = frozenset({"limit", "market"})
_STOP_LISTED_MS: Final = 10_000  # how long after our send a triggered stop's new order may not be listed yet
_UNREADABLE: Final = (ValueError, OverflowError, RecursionError)
_PAGE_ROWS: Final = 1000
_MAX_PAGES: Final = 10
_EXACT: Final = Context(prec=100)

T = TypeVar("T")
_Text = Annotated[str, Meta(pattern=r"\A[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
_Whole = Annotated[int, Meta(ge=0, le=10**18)]
_Number = Annotated[int, Meta(ge=-(2**31), le=2**31)]


class BtcTurkOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.btcturk]`: the venue's public endpoints, and its window of five seconds, unless told otherwise."""

    rest_url: str = "https://api.btcturk.com"
    ws_url: str = "wss://ws-feed-pro.btcturk.com"
    timestamp_window_s: float = 5.0


class BtcTurkSecrets(Secrets, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The order stream takes a key pair of its own."""

    ws_api_key: str = ""
    ws_api_secret: str = ""

    __repr__ = Secrets.__repr__


class _Answer(Struct, frozen=True, kw_only=True):
    success: bool
    code: _Number | None = None
    message: str | None = None
    data: Any = None

    @property
    def said(self) -> str:
        return (self.message or "").strip().upper()

    @property
    def name(self) -> str | None:
        return self.said[:32] or None if self.code is None else str(self.code)

    @property
    def not_found(self) -> bool:
        return not self.success and (self.code == _NOT_FOUND or self.said == "ORDER NOT FOUND")


class _Order(Struct, frozen=True, kw_only=True):
    id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    status: str
    type: str = ""
    method: str = ""
    amount: _Text | _Whole | None = None
    left_amount: _Text | _Whole | None = msgspec.field(default=None, name="leftamount")
    pair_symbol: str = msgspec.field(default="", name="pairsymbol")
    client_id: str | None = msgspec.field(default=None, name="orderclientid")


_Reading = Generator[Request, Response, T | Unknown]
_answer: Final[Decoder[_Answer]] = Decoder(_Answer, float_hook=str)


class BtcTurk:
    """The venue `btcturk`."""

    venue: ClassVar[str] = "btcturk"
    options_type: ClassVar[type[Options]] = BtcTurkOptions
    secrets_type: ClassVar[type[Secrets]] = BtcTurkSecrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"cancel": NoParams}
    limits: ClassVar[tuple[Limit, ...]] = (
        Limit("delete", 10, 1.0),
        Limit("delete", 300, 60.0),
        Limit("delete", 10, 1.0, "ip"),
        Limit("delete", 300, 60.0, "ip"),
        Limit("order", 30, 1.0),
        Limit("order", 900, 60.0),
        Limit("order", 30, 1.0, "ip"),
        Limit("order", 900, 60.0, "ip"),
        Limit("open_orders", 300, 60.0, "ip"),
        Limit("all_orders", 300, 60.0, "ip"),
        Limit("trades", 120, 60.0, "ip"),
    )

    def __init__(self, options: BtcTurkOptions) -> None:
        self._rest_url = options.rest_url.rstrip("/")

    def signer(self, secrets: BtcTurkSecrets) -> Signer:
        """Key the HMAC and feed it the API key once; each request adds its stamp to a copy."""
        if not re.fullmatch(r"[!-~]+", secrets.api_key):
            raise ValueError("`api_key` must be printable ASCII without spaces")
        try:
            secret = base64.b64decode(secrets.api_secret, validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not secret:
            raise ValueError("`api_secret` must be base64")
        keyed = hmac.new(secret, secrets.api_key.encode(), hashlib.sha256)

        def sign(request: Request, stamp: Stamp) -> SignedRequest:
            now_ms = str(stamp.now_ms)
            mac = keyed.copy()
            mac.update(now_ms.encode())
            headers = {
                "X-PCK": secrets.api_key,
                "X-Stamp": now_ms,
                "X-Signature": base64.b64encode(mac.digest()).decode(),
                "Content-Type": "application/json",
            }
            query = f"?{urlencode(request.query)}" if request.query else ""
            return SignedRequest(request.method, f"{self._rest_url}{request.path}{query}", headers, request.body)

        return sign

    def position(self, command: Close) -> str:
        """Name the pair; it is never used, as there is nothing to close."""
        return command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the cancel. The id goes into the query: in a body the venue does not see it."""
        if isinstance(command, Close):
            return Refused(code="unsupported", message="`type`: there is no close, BtcTurk is spot only")
        if not isinstance(command, Cancel):
            return Refused(code="unsupported", message="`type`: only cancel is taken at btcturk")
        try:
            msgspec.convert(command.params, NoParams)
        except msgspec.ValidationError as error:
            return Refused(code="invalid_command", message=f"`params`: {error}")
        if command.order_id is None:
            return Refused(code="invalid_command", message="`order_id` is required")
        if not _is_id(command.order_id):
            return Refused(code="invalid_command", message="`order_id` is not a positive whole number")
        query = (("id", command.order_id),)
        return Request(method="DELETE", path="/api/v1/order", endpoint="cancel", query=query, scopes=("delete",))

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Decide on the message, then on the HTTP status (Errors; Cancel Order, Error Message)."""
        if not isinstance(command, Cancel):
            return Unknown(message="no such command is ever sent here")
        answer = _decoded(response)
        if isinstance(answer, Unknown):
            return _told(_STATUSES.get(response.status, answer), response, None, answer.message)
        if answer.success and answer.code == 0:
            if response.status == 200 and answer.said in _SUCCESS:
                return Accepted(order_id=command.order_id)
            return Unknown(venue_code="0", message=f"HTTP {response.status}, and a success that is none")
        outcome = _meaning(response.status, answer)
        if response.status >= 500 and not isinstance(outcome, Retry):
            outcome = Unknown()  # a gateway's error says nothing about the order, whatever its body repeats
        return _told(outcome, response, answer.name, answer.message or f"HTTP {response.status}")

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Read the order; for a canceled stop also the lists of its pair."""
        if not isinstance(command, Cancel) or command.order_id is None:
            return Unknown(message="the command names nothing to look for")
        response = yield _get(f"/api/v1/order/{command.order_id}", "order")
        answer = _decoded(response)
        if isinstance(answer, Unknown):
            return answer
        if answer.not_found and response.status in {200, 400, 404, 422}:
            return Refused(code="order_not_found", venue_code=answer.name, order_id=command.order_id)
        order = _order(_data(response, answer))
        if isinstance(order, Unknown):
            return order
        if str(order.id) != command.order_id:
            return Unknown(message="order: another order was shown")
        state = _state(order)
        if state.status in {"working", "partially_filled"}:
            return Working(order_id=command.order_id, order=state)
        if state.status == "filled":
            return Refused(code="too_late", message="the order is closed", order_id=command.order_id, order=state)
        if state.status != "canceled":
            return Unknown(message=f"order: the unknown status {order.status[:32]}")
        if order.method.lower() not in _NO_STOPS:
            return (yield from _look_triggered(order, state, order.pair_symbol or command.symbol, attempt))
        return Done(order_id=command.order_id, order=state)

    def repeatable(self, command: Command) -> bool:
        """A cancel may be repeated; nothing else is ever sent."""
        return isinstance(command, Cancel)

    def probe(self) -> Generator[Request, Response, Refused | None]:
        """Read the open orders of one pair: the key's "Trade" permission, which a lookup needs as well."""
        response = yield _get("/api/v1/openOrders", "open_orders", (("pairSymbol", "BTCTRY"),))
        answer = _decoded(response)
        outcome = answer if isinstance(answer, Unknown) else _meaning(response.status, answer)
        if not isinstance(answer, Unknown) and response.status == 200 and answer.success and answer.code == 0:
            return None
        message = answer.message or f"HTTP {response.status}"
        if isinstance(outcome, Refused | Retry):
            return Refused(code=outcome.code, message=message[:200], alert=outcome.code == "auth_failed")
        return Refused(code="venue_unavailable", message=message[:200])


def _is_id(text: str) -> bool:
    """Order ids are int64; only the canonical text of one is sent."""
    return re.fullmatch(r"[1-9][0-9]{0,18}", text) is not None and int(text) < 2**63


def _get(path: str, scope: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(method="GET", path=path, endpoint=scope, query=query, scopes=(scope,))


def _decoded(response: Response) -> _Answer | Unknown:
    try:
        return _answer.decode(response.body)
    except _UNREADABLE:
        return Unknown(message=f"HTTP {response.status} with an unreadable body")


def _meaning(status: int, answer: _Answer) -> Outcome:
    """Look the message up, then the status. An authentication message is known by its prefix or by the status 401."""
    said = answer.said
    if status == 401 or said.startswith("UNAUTHORIZED"):
        denied = Refused(code="auth_failed", alert=True) if said.startswith("UNAUTHORIZED") else Unknown()
        return _UNAUTHORIZED.get(said.removeprefix("UNAUTHORIZED").lstrip(" -"), denied)
    return _MESSAGES.get(said) or _STATUSES.get(status, Unknown())


def _told(outcome: Outcome, response: Response, code: str | None, message: str) -> Outcome:
    if isinstance(outcome, Retry) and outcome.code == "rate_limited":
        outcome = msgspec.structs.replace(outcome, after_s=max(retry_after_s(response, 1.0), 1.0))
    return told(outcome, code, message)


def _data(response: Response, answer: _Answer) -> Any:
    """Return what a successful read holds, else `Unknown`."""
    if response.status == 200 and answer.success and answer.code == 0:
        return answer.data
    message = f"HTTP {response.status}: {answer.message}"
    return Unknown(venue_code=answer.name, message=message[:200])


def _order(data: Any) -> _Order | Unknown:
    """Read an order whatever the capitalisation of its keys."""
    if isinstance(data, Unknown):
        return data
    try:
        return msgspec.convert({key.lower(): value for key, value in data.items()}, _Order)
    except (AttributeError, ValueError):
        return Unknown(message="an order that cannot be read")


def _state(order: _Order) -> OrderState:
    """`filled_size` is amount - leftAmount, exactly (Get Single Order); never from `quantity`."""
    status = _ORDER_STATUSES.get(order.status.lower(), "unknown")
    size = None if order.amount is None else str(order.amount)
    if size is None or order.left_amount is None:
        return OrderState(status=status, size=size)
    filled = _EXACT.subtract(Decimal(size), Decimal(order.left_amount))
    if filled < 0:
        return OrderState(status=status, size=size)
    if filled and status == "working":
        status = "partially_filled"
    return OrderState(status=status, size=size, filled_size=format(filled, "f"))


def _look_triggered(order: _Order, state: OrderState, pair: str | None, attempt: Attempt) -> Flow:
    """Look for the order that a triggered stop became: newer, of the same side and client id.

    The open orders are read first: one that fills in between is then seen in the history.
    """
    if not order.client_id or not pair:
        return Unknown(message="a canceled stop without client id or pair: it may have been triggered")
    rows = yield from _open_orders(pair)
    if isinstance(rows, Unknown):
        return rows
    history = yield from _all_orders(pair)
    if isinstance(history, Unknown):
        return history
    siblings: dict[int, _Order] = {}
    for row in rows + history:
        other = _order(row)
        if isinstance(other, Unknown):
            return other
        if (other.client_id, other.type.lower()) == (order.client_id, order.type.lower()) and other.id > order.id:
            siblings[other.id] = other
    if not siblings and attempt.now_ms - attempt.sent_ms < _STOP_LISTED_MS:
        return Unknown(message="a canceled stop: whether it was triggered may not be listed yet")
    if not siblings:
        return Done(order_id=str(order.id), order=state)
    if len(siblings) > 1:
        return Unknown(message="ambiguous: more than one newer order has the client id of the canceled stop")
    sibling = next(iter(siblings.values()))
    message = "the stop was triggered: another order executes it"
    return Refused(code="too_late", message=message, order_id=str(sibling.id), order=_state(sibling))


def _open_orders(pair: str) -> _Reading[list[Any]]:
    response = yield _get("/api/v1/openOrders", "open_orders", (("pairSymbol", pair),))
    answer = _decoded(response)
    data = answer if isinstance(answer, Unknown) else _data(response, answer)
    if isinstance(data, Unknown):
        return data
    try:
        return [*data["asks"], *data["bids"]]
    except (TypeError, KeyError):
        return Unknown(message="open_orders: no asks and bids")


def _all_orders(pair: str) -> _Reading[list[Any]]:
    """Read the history of a pair to its end: the newest page as the venue chooses it, then pages 1, 2, …"""
    rows: list[Any] = []
    for page in range(_MAX_PAGES):
        number = (("page", str(page)),) if page else ()
        query = (("pairSymbol", pair), ("limit", str(_PAGE_ROWS)), *number)
        response = yield _get("/api/v1/allOrders", "all_orders", query)
        answer = _decoded(response)
        data = answer if isinstance(answer, Unknown) else _data(response, answer)
        if isinstance(data, Unknown):
            return data
        if not isinstance(data, list):
            return Unknown(message="all_orders: no list")
        rows += data
        if len(data) < _PAGE_ROWS:
            return rows
    return Unknown(message=f"all_orders: more than {_MAX_PAGES} pages")


EXCHANGE = BtcTurk
