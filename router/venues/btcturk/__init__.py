"""BtcTurk, spot orders: the private REST API of api.btcturk.com, version 1.

Read 2026-11-21: https://docs.btcturk.com (Authentication V1, Cancel Order, Get Single Order, Open Orders, All Orders,
User Transactions, Errors, Error Handling for Order Operations, Rate Limits, Recent Changes; WebSocket Feed:
Authentication, Models), and issues 412, 503, 529, 569, 591, 604, 613 of github.com/BTCTrader/broker-api-docs.

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

Stream: login by message 114 with the key pair of the stream, then everything of the account comes unasked. Fills are
taken from 423, one per trade under the trade's own id; 441 tells the same fills under the order's id, so two equal
ones cannot be told from one that came twice: a sign of life only. 451 is on the book, 452 is off it; what 452 says is
left dates from when the cancel was queued and may be too much (issue 503), so no filled size is read off it. Frames
with id 0 name no order. Nothing is numbered, and 441, 451 and 452 are known to stop while the socket and 423 go on
(issues 577, 613, 615): nothing in the stream shows that, only a read does. At most 15 connections a minute.
`amount` of a trade is rounded, `preciseAmount` is exact; a sell's amount, fee and tax are negative.

unverified: the wording of the 401 messages but Invalid Nonce's (all that begin with "Unauthorized" count); the HTTP
status of "Order not found"; what of a pair under maintenance comes when (taken as retry after 30 s); the first page's
number of allOrders (read without one, then from 1) and its default time range; how soon a triggered stop's new order
is listed (taken as within 10 s); whether trades come in pages (read as one); whether a 452 ever means a full execution
with something left (only 0 left is taken as one), and whether the 452 and 451 of an order that was changed in the
venue's own app name the same order (taken as not: a 452 is the end of its order); what asset a buy's fee is in.
"""

import base64
import binascii
import datetime
import hashlib
import hmac
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Annotated, Any, ClassVar, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Meta, Struct
from msgspec.json import Decoder

from router.venue_protocol import (
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
    with_venue_words,
)
from router.venue_protocol.stream import Broken, Change, Changes, Connect, Fill, Known, Missed, Ready, Say, Stream, Want
from schemas.commands import Cancel, Close, Command
from schemas.fields import OrderType, Side
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
_LOGIN: Final = 114
_TRADE: Final = 423
_DELETED: Final = 452
_BOOKED: Final = frozenset({451, 452, 453})
_NONCE: Final = 15_000  # of a login: a small constant, which the venue's own library uses; not a time
_LOGIN_MS: Final = 10_000
_OVERLAP_MS: Final = 5_000
_SIDES: Final[dict[object, Side]] = {"buy": "buy", "sell": "sell", 0: "buy", 1: "sell"}
_ORDER_TYPES: Final[dict[object, OrderType]] = {
    "limit": "limit",
    "market": "market",
    "stoplimit": "stop",
    "stopmarket": "stop",
    0: "limit",
    1: "market",
    2: "stop",
}

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
    price: Any = None
    update_time: Any = msgspec.field(default=None, name="updatetime")


class _Trade(Struct, frozen=True, kw_only=True, rename="camel"):
    """Message 423, and a row of the transactions: the same object (issue 529)."""

    id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    order_id: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    timestamp: Any = None
    numerator_symbol: Any = None
    denominator_symbol: Any = None
    amount: Any = None
    precise_amount: Any = None
    fee: Any = None
    price: Any = None
    order_type: Any = None
    order_client_id: Any = None


class _Booked(Struct, frozen=True, kw_only=True, rename="camel"):
    """Messages 451, 452 and 453. Only the id decides anything, so only it must be readable."""

    id: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    symbol: Any = None
    method: Any = None
    order_type: Any = None
    price: Any = None
    amount: Any = None
    num_left: Any = None
    new_order_client_id: Any = None


_Reading = Generator[Request, Response, T | Unknown]
_answer: Final[Decoder[_Answer]] = Decoder(_Answer, float_hook=str)
_frame: Final[Decoder[Any]] = Decoder(float_hook=str)


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
    poll_s: ClassVar[tuple[float, float] | None] = None

    def __init__(self, options: BtcTurkOptions) -> None:
        self._ws_url = options.ws_url
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

    def stream(self, secrets: BtcTurkSecrets) -> Stream | None:
        """Begin one connection; without the stream's own key pair it breaks at once and says so."""
        return _Stream(self._ws_url, secrets)

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read the account's trades, the open orders of each pair, and each other order that was open or traded.

        Needs the permissions "Trade" and "Account". An order that nobody knew and that ended without a trade is not
        looked for. Trades are read first: each of them is then in the sizes that are read after it.
        """
        complete = True
        trades: dict[int, list[_Trade]] = {}
        rows = (yield from _trades(known.since_ms)) if known.since_ms else []
        complete &= not isinstance(rows, Unknown)
        complete &= _take_trades([] if isinstance(rows, Unknown) else rows, trades)
        orders: dict[int, Change] = {}
        for pair in sorted({*known.symbols, *(pair for _, pair in known.open_orders if pair)}):
            rows = yield from _open_orders(pair)
            for row in [rows] if isinstance(rows, Unknown) else rows:
                complete &= _take_order(row, orders)
        opened = {int(order_id) for order_id, _ in known.open_orders if _is_id(order_id)}
        for order_id in sorted((opened | trades.keys()) - orders.keys()):
            response = yield _get(f"/api/v1/order/{order_id}", "order")
            answer = _decoded(response)
            if isinstance(answer, Unknown) or not answer.not_found:
                complete &= _take_order(answer if isinstance(answer, Unknown) else _data(response, answer), orders)
        # The order of a trade is there, so a read that lacks it is stale. A known order may be forgotten for good.
        complete &= trades.keys() <= orders.keys()
        changes = (_with_trades(change, trades.get(order_id, [])) for order_id, change in sorted(orders.items()))
        return Missed(changes=tuple(change for each in changes for change in each), complete=complete)


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
    return with_venue_words(outcome, code, message)


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


class _Stream:
    """One connection: a login, then messages until it breaks."""

    def __init__(self, ws_url: str, secrets: BtcTurkSecrets) -> None:
        self._ws_url = ws_url
        self._key = secrets.ws_api_key
        self._secret = secrets.ws_api_secret
        self._said_ms: int | None = None
        self._ready = False

    def begin(self, stamp: Stamp) -> Sequence[Want]:
        """Open the socket, if there is a key to log in with."""
        if _login(self._key, self._secret, stamp) is None:
            return (Broken("`ws_api_key` must be text and `ws_api_secret` base64: the stream takes its own key pair"),)
        return (Connect(self._ws_url),)

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Nothing is asked for."""
        return ()

    def opened(self, stamp: Stamp) -> Sequence[Want]:
        """Log in."""
        text = _login(self._key, self._secret, stamp)
        self._said_ms = stamp.now_ms
        return (Broken("the stream's keys cannot be used"),) if text is None else (Say(text),)

    def heard(self, frame: str | bytes, stamp: Stamp) -> Sequence[Want]:
        """Translate `[type, {…}]`. Types that are not known here are none of ours (WebSocket Feed, Models)."""
        try:
            said = _frame.decode(frame)
        except _UNREADABLE:
            return (Broken("a frame that cannot be read"),)
        if not isinstance(said, list) or len(said) < 2 or not isinstance(said[1], dict):
            return ()
        kind, body = said[0], said[1]
        if kind == _LOGIN:
            return self._logged_in(body)
        try:
            if kind == _TRADE:
                change = _traded(msgspec.convert(body, _Trade, strict=False), body)
            elif isinstance(kind, int) and kind in _BOOKED:
                change = _booked(msgspec.convert(body, _Booked, strict=False), kind == _DELETED, body)
            else:
                return ()
        except _UNREADABLE:
            return (Broken(f"{kind}: a message that cannot be read"),)
        return () if change is None else (Changes((change,)),)

    def tick(self, stamp: Stamp) -> Sequence[Want]:
        """Give up on a login that is not answered."""
        if self._ready or self._said_ms is None or stamp.now_ms - self._said_ms < _LOGIN_MS:
            return ()
        return (Broken("login: no answer"),)

    def end(self, stamp: Stamp) -> Sequence[Want]:
        """There is nothing to say."""
        return ()

    def _logged_in(self, body: dict[str, Any]) -> Sequence[Want]:
        if body.get("ok") is not True:
            message = body.get("message")
            return (Broken(f"login: {message[:80] if isinstance(message, str) else 'refused'}"),)
        if self._ready:
            return ()
        self._ready = True
        return (Ready(),)


def _login(key: str, secret: str, stamp: Stamp) -> str | None:
    """Sign key and nonce; `timestamp` is sent and not signed (WebSocket Feed, Authentication)."""
    try:
        decoded = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not decoded or not re.fullmatch(r"[!-~]+", key):
        return None
    mac = hmac.new(decoded, f"{key}{_NONCE}".encode(), hashlib.sha256)
    body = {
        "type": _LOGIN,
        "publicKey": key,
        "timestamp": stamp.now_ms,
        "nonce": _NONCE,
        "signature": base64.b64encode(mac.digest()).decode(),
    }
    return msgspec.json.encode([_LOGIN, body]).decode()


def _traded(trade: _Trade, raw: Any) -> Change | None:
    """One fill. Raises `ValueError` when its size cannot be read: the sum would be wrong from there on."""
    if not trade.order_id:
        return None
    fill = _fill(trade)
    if fill.size is None:
        raise ValueError("a trade without a size")
    pair = f"{trade.numerator_symbol}{trade.denominator_symbol}"
    return Change(
        order_id=str(trade.order_id),
        client_order_id=_text(trade.order_client_id),
        symbol=pair if re.fullmatch(r"[A-Z0-9]{2,40}", pair) else None,
        side=_side(trade.order_type),
        last_fill=fill,
        venue_time=_time(trade.timestamp),
        raw=_raw(raw),
    )


def _fill(trade: _Trade) -> Fill:
    """Drop the sign that a sell's amounts carry. A sell's fee is in what it brought."""
    amount = _signed(trade.precise_amount) or _signed(trade.amount)
    fee, sold = _signed(trade.fee), _side(trade.order_type) == "sell"
    if fee is not None and amount is not None and amount.startswith("-"):
        fee = fee[1:] if fee.startswith("-") else f"-{fee}"
    return Fill(
        execution_id=str(trade.id),
        price=_positive(trade.price),
        size=None if amount is None else amount.removeprefix("-"),
        fee=fee,
        fee_asset=_text(trade.denominator_symbol) if fee is not None and sold else None,
    )


def _booked(row: _Booked, deleted: bool, raw: Any) -> Change | None:
    """On the book, or off it: canceled, unless nothing was left of it."""
    if not row.id:
        return None
    size, left = _positive(row.amount), _signed(row.num_left)
    filled = deleted and size is not None and left is not None and not Decimal(left)
    gone: OrderStatus = "filled" if filled else "canceled"
    symbol = _text(row.symbol)
    return Change(
        order_id=str(row.id),
        client_order_id=_text(row.new_order_client_id),
        symbol=symbol if symbol and re.fullmatch(r"[A-Za-z0-9_]{2,40}", symbol) else None,
        side=_side(row.order_type),
        order_type=_order_type(row.method),
        status=gone if deleted else "working",
        price=_positive(row.price),
        size=size,
        filled_size=size if filled else None,
        raw=_raw(raw),
    )


def _text(value: Any) -> str | None:
    return value[:64] if isinstance(value, str) and value else None


def _side(value: Any) -> Side | None:
    return _SIDES.get(value.lower() if isinstance(value, str) else value) if isinstance(value, str | int) else None


def _order_type(value: Any) -> OrderType | None:
    known = value.lower() if isinstance(value, str) else value
    return _ORDER_TYPES.get(known) if isinstance(known, str | int) else None


def _signed(value: Any) -> str | None:
    """Return a number's own text, without exponent; `None` for what is no number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    found = re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", str(value)[:100])
    if found is None:
        return None
    return format(_EXACT.create_decimal(found[0]), "f") if found[2] else found[0]


def _positive(value: Any) -> str | None:
    text = _signed(value)
    return text if text is not None and Decimal(text) > 0 else None


def _time(value: Any) -> str | None:
    """Return milliseconds, as number or text, as RFC 3339; 0 is no time."""
    try:
        at = datetime.datetime.fromtimestamp(int(value) / 1000, datetime.UTC) if value else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _raw(said: Any) -> Any:
    """Return the venue's own object, unless it holds what no codec of ours can carry on."""
    try:
        msgspec.msgpack.encode(said)
    except _UNREADABLE:
        return None
    return said


def _trades(since_ms: int) -> _Reading[list[Any]]:
    """Read the account's trades, whatever the pair, from a little before then (User Transactions)."""
    start = str(max(since_ms - _OVERLAP_MS, 1))
    response = yield _get("/api/v1/users/transactions/trade", "trades", (("startDate", start),))
    answer = _decoded(response)
    data = answer if isinstance(answer, Unknown) else _data(response, answer)
    if isinstance(data, Unknown):
        return data
    return data if isinstance(data, list) else Unknown(message="trades: no list")


def _take_trades(rows: Iterable[Any], trades: dict[int, list[_Trade]]) -> bool:
    """Note each trade under its order; `False` when one cannot be read."""
    readable = True
    for row in rows:
        try:
            trade = msgspec.convert(row, _Trade, strict=False)
        except _UNREADABLE:
            readable = False
            continue
        if trade.order_id:
            trades.setdefault(trade.order_id, []).append(trade)
    return readable


def _take_order(row: Any, orders: dict[int, Change]) -> bool:
    """Note what a row of an order says; `False` when it cannot be read."""
    order = _order(row)
    if isinstance(order, Unknown):
        return False
    state = _state(order)
    untouched = state.filled_size is not None and not Decimal(state.filled_size)
    orders[order.id] = Change(
        order_id=str(order.id),
        client_order_id=_text(order.client_id),
        symbol=order.pair_symbol or None,
        side=_side(order.type),
        order_type=_order_type(order.method),
        status=None if state.status == "unknown" else state.status,
        price=_positive(order.price) if untouched else None,  # once executed it is the price of the first part
        size=state.size,
        filled_size=state.filled_size,
        venue_time=_time(order.update_time),
        raw=_raw(row),
    )
    return True


def _with_trades(change: Change, trades: list[_Trade]) -> list[Change]:
    """Tell an order's way there trade by trade: what was filled after each, counted back from what is filled now.

    So every fill of the gap is told under its id, and one that the stream tells later is known.
    """
    if change.filled_size is None:
        return [change]
    left, told_of = Decimal(change.filled_size), list[Change]()
    for trade in sorted(trades, key=lambda each: each.id, reverse=True):
        fill = _fill(trade)
        if fill.size is None or left <= 0:
            return [change]
        status = change.status if not told_of else "partially_filled"
        filled = format(left, "f")
        told_of.append(msgspec.structs.replace(change, status=status, filled_size=filled, last_fill=fill))
        left = _EXACT.subtract(left, Decimal(fill.size))
    return told_of[::-1] if told_of and left >= 0 else [change]


ADAPTER = BtcTurk
