"""GMO Coin, margin positions and orders: the private REST API of api.coin.z.com, version 1.

Read 2026-11-21: https://api.coin.z.com/docs/en/ (Authentication-Private, Close Order, Cancel Order, Orders,
Active Orders, Latest Executions, Open Positions, Error Codes; Private WebSocket API: Access Token, Order Events,
Execution Events, Position Events).

Commands: `close` is `POST /v1/closeOrder`: one position by id, wholly or in part. `cancel` is `POST
/v1/cancelOrder`: success means "being cancelled", a fill can still win. `time_in_force`: gtc FAS, ioc FAK, fok FOK,
post_only SOK (limit only). Left out, the venue's defaults hold: FAK for market and stop, FAS for limit.
`params.cancel_before` (market, ioc, sell only) cancels older orders when the size is not available.
Signing: lower-case hex HMAC-SHA256, keyed with the secret's own text, of timestamp (ms) + method + path + body;
never the query, never `/private`, and on PUT and DELETE /v1/ws-auth not the body that is sent.
Repeatability: a cancel yes, by its order id. A close never: there is no client order id (the one in GMO's FX
documents is another API's), and a second market close of a partial size closes more.
Limits: 20 GET and 20 POST per second and account (Tier 1; 30 and 30 in Tier 2), shared by all keys and pods.
A fifth of the POSTs is kept for cancels: closes would fill the second, and a cancel wait for its end.

Quirks: errors come as HTTP 200 with `status` other than 0, so `message_code` decides at any HTTP status; at 5xx only
the codes that say "not processed" are believed. A closing order's id is text, every other id a number. No rows:
`"data": {}`. Maintenance answers lack `responsetime`. It is `orderdSize`, not orderedSize. ERR-151 says "Service
Unavailable" and means an unknown order. Only executions tell which position an order closed, and only for a day.

Stream: a token (60 minutes, five at most, a sixth ends the one nearest its end) is part of the socket's address;
it is extended every 15 minutes and deleted at the end. One subscription a second and IP, never acknowledged; a refused
one leaves an error frame and a silent socket. Nothing is numbered, nothing is sent again after a reconnect, and an
account without orders is silent for days: the venue's ping, once a minute, is the only regular sign of life, and the
socket answers it. A full execution is told by executionEvents alone; the channels are not in step with each other.
orderEvents carry the time of the order, not of the event.

unverified: whether a token's end ends its open socket (the extension that fails then breaks the stream); what an
ERR-5003 frame refuses, as it names no channel (all three are said again); the timestamp window (taken as 60 s);
whether /v1/orders forgets old orders (an empty answer is `Absent`); whether a throttled close can exist (taken as
not, like the venue's words); ERR-5203 for a cancel; the order of latestExecutions (so it is always read to the end);
clock skew between venue and router (up to 1 s is allowed for, up to the timestamp window is left undecided); that
ERR-5106 can mean a position too young to close (taken as final); whether a request without an `Accept` header is
refused (the HTTP client sends one).
"""

import datetime
import hashlib
import hmac
import re
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.json import Decoder

from router.venue_protocol import (
    Absent,
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
    with_venue_words,
)
from router.venue_protocol.stream import (
    Ask,
    Broken,
    Change,
    Changes,
    Connect,
    Fill,
    Known,
    Missed,
    Ready,
    Say,
    Stream,
    Want,
)
from schemas.commands import Cancel, Close, Command
from schemas.fields import OrderType, Side, Symbol, TimeInForce
from schemas.results import OrderState, OrderStatus

_BOTH: Final[dict[str, Outcome]] = {
    "ERR-682": Refused(code="account_restricted", alert=True),  # margin call
    "ERR-683": Refused(code="account_restricted", alert=True),  # margin call being processed
    "ERR-5003": Retry(code="rate_limited", after_s=1.0),  # refused before processing
    "ERR-5007": Refused(code="auth_failed", alert=True),  # timestamp header missing: our defect
    "ERR-5008": Retry(code="auth_failed", after_s=0.5, tries=2),  # signed later than the venue's clock
    "ERR-5009": Retry(code="auth_failed", after_s=0.5, tries=2),  # signed too long ago
    "ERR-5010": Refused(code="auth_failed", alert=True),  # signature
    "ERR-5011": Refused(code="auth_failed", alert=True),  # key missing
    "ERR-5012": Refused(code="auth_failed", alert=True),  # key, its permissions or its IP list
    "ERR-5014": Refused(code="account_restricted", alert=True),  # agreement pending
    "ERR-5106": Refused(code="invalid_command"),  # a parameter; the message names it
    "ERR-5125": Refused(code="account_restricted", alert=True),
    "ERR-5127": Refused(code="account_restricted", alert=True),
    "ERR-5201": Retry(code="venue_maintenance", after_s=15.0),
    "ERR-5202": Retry(code="venue_maintenance", after_s=15.0),
    "ERR-5203": Retry(code="venue_maintenance", after_s=5.0),  # pre-open
    "ERR-5204": Refused(code="venue_rejected", alert=True),  # path: our defect
}
_CLOSE: Final[dict[str, Outcome]] = _BOTH | {
    "ERR-70": Refused(code="invalid_command"),  # the side does not close this position
    "ERR-151": Unknown(),
    "ERR-189": Refused(code="insufficient_position"),
    "ERR-200": Refused(code="insufficient_position"),  # other orders hold the size
    "ERR-201": Refused(code="insufficient_funds"),
    "ERR-208": Refused(code="insufficient_funds"),
    "ERR-254": Look(),  # no such position: closed already, or never there
    "ERR-422": Look(),
    "ERR-430": Refused(code="venue_rejected"),
    "ERR-554": Unknown(),  # server unavailable
    "ERR-626": Unknown(),  # server busy
    "ERR-635": Refused(code="venue_rejected"),  # too many active orders
    "ERR-5111": Refused(code="invalid_command"),  # time in force
    "ERR-5114": Refused(code="invalid_command"),  # too many decimals, in price or size
    "ERR-5118": Refused(code="venue_rejected"),  # losscut price
    "ERR-5121": Refused(code="invalid_price"),  # too far from the market
    "ERR-5126": Refused(code="invalid_size"),
    "ERR-5129": Refused(code="invalid_price"),  # a stop that would trigger at once
}
_CANCEL: Final[dict[str, Outcome]] = _BOTH | {
    "ERR-151": Look(),
    "ERR-554": Unknown(),  # server unavailable: not said whether the cancel was taken
    "ERR-626": Unknown(),  # server busy
    "ERR-5122": Look(),  # changing, cancelling, canceled, executed or expired
    "ERR-5123": Refused(code="order_not_found"),
}
_NO_POSITION: Final = frozenset({"ERR-254", "ERR-422"})
_NO_ORDER: Final = frozenset({"ERR-151"})
_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
_UNREADABLE: Final = (ValueError, OverflowError, RecursionError)
_TIME_IN_FORCE: Final = {"gtc": "FAS", "ioc": "FAK", "fok": "FOK", "post_only": "SOK"}
_STATUS: Final[dict[str, OrderStatus]] = {
    "WAITING": "working",
    "ORDERED": "working",
    "MODIFYING": "working",
    "CANCELLING": "working",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "EXECUTED": "filled",
}
_SIDES: Final[dict[str, Side]] = {"BUY": "buy", "SELL": "sell"}
_ORDER_TYPES: Final[dict[str, OrderType]] = {"MARKET": "market", "LIMIT": "limit", "STOP": "stop"}
_FORCES: Final[dict[str, TimeInForce]] = {"FAS": "gtc", "FAK": "ioc", "FOK": "fok", "SOK": "post_only"}
_CHANNELS: Final = ("orderEvents", "executionEvents", "positionEvents")
_PACE_S: Final = 1.3  # "once per second per IP"; a second exactly is refused now and then
_SETTLE_MS: Final = 5_400  # three subscriptions at that pace, and how long the last one's refusal may take to come
_ROUNDS: Final = 3
_CLOCKS_MS: Final = 5_000
_EXTEND_MS: Final = 15 * 60_000  # of the 60 minutes
_EXTEND_AGAIN_MS: Final = 60_000
_STALE_MS: Final = 45 * 60_000
_DAY_MS: Final = 24 * 3_600_000  # what latestExecutions shows
_SKEW_MS: Final = 1_000
_SHOWN_MS: Final = 23 * 3_600_000  # latestExecutions shows a day, less a margin
_PAGE_ROWS: Final = 100
_MAX_PAGES: Final = 50
_MAX_IDS: Final = 10  # of one GET /v1/orders
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EXACT: Final = Context(prec=200)
_AVERAGE: Final = Context(prec=20)

T = TypeVar("T")
_Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_Text = Annotated[str, Meta(pattern=r"\A[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
_Signed = Annotated[str, Meta(pattern=r"\A-?[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
_Number = Annotated[int, Meta(ge=-(2**31), le=2**31)]
_Time = Annotated[datetime.datetime, Meta(tz=True)]


class GmoCoinOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.gmo_coin]`: the venue's public endpoints unless told otherwise."""

    rest_url: str = "https://api.coin.z.com/private"
    public_url: str = "https://api.coin.z.com/public"
    ws_url: str = "wss://api.coin.z.com/ws/private"


class CloseParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Extras of a close. `cancel_before`: cancel the oldest orders first when the size is not available."""

    cancel_before: bool = False


class _Settle(Struct, frozen=True, kw_only=True, rename="camel"):
    position_id: int
    size: str


class _CloseOrder(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    symbol: str
    side: str
    execution_type: str
    time_in_force: str | None = None
    price: str | None = None
    settle_position: tuple[_Settle]
    cancel_before: bool = False


class _CancelOrder(Struct, frozen=True, kw_only=True, rename="camel"):
    order_id: int


class _Message(Struct, frozen=True, kw_only=True):
    message_code: str
    message_string: str = ""


class _Answer(Struct, Generic[T], frozen=True, kw_only=True):
    status: _Number
    data: T | UnsetType = UNSET
    messages: tuple[_Message, ...] = ()


class _Page(Struct, Generic[T], frozen=True, kw_only=True):
    rows: tuple[T, ...] = field(name="list", default=())


class _Row(Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: _Time

    @property
    def time_ms(self) -> int:
        return (self.timestamp - _EPOCH) // datetime.timedelta(milliseconds=1)


class _Order(_Row, frozen=True, kw_only=True, rename="camel"):
    order_id: _Id
    symbol: str
    side: str
    order_type: str
    execution_type: str
    settle_type: str
    size: _Text
    executed_size: _Text
    price: _Text = "0"
    status: str
    time_in_force: str | None = None
    cancel_type: str | None = None


class _Execution(_Row, frozen=True, kw_only=True, rename="camel"):
    execution_id: _Id
    order_id: _Id
    position_id: int | None = None
    settle_type: str
    size: _Text
    price: _Text
    fee: Any = None  # nothing is decided on it, so whatever it is the row can be read


class _Position(Struct, frozen=True, kw_only=True, rename="camel"):
    position_id: _Id
    orderd_size: _Text | None = None


class _Event(Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of orderEvents or executionEvents; what only the latter have comes last."""

    order_id: _Id
    symbol: Symbol
    side: str
    execution_type: str
    order_price: _Text
    order_size: _Text
    order_executed_size: _Text
    time_in_force: str
    order_status: str = ""
    cancel_type: str | None = None
    execution_id: _Id | None = None
    execution_price: _Text | None = None
    execution_size: _Text | None = None
    execution_timestamp: str | None = None
    position_id: _Id | None = None
    fee: _Signed | None = None


class _TokenRequest(Request, frozen=True, kw_only=True):
    """Extends or deletes a token, which is a bearer credential in the body: it never prints."""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path} …)"


_Reading = Generator[Request, Response, T | Unknown]
_any: Final[Decoder[_Answer[Any]]] = Decoder(_Answer[Any])
_orders: Final[Decoder[_Answer[_Page[_Order]]]] = Decoder(_Answer[_Page[_Order]])
_executions: Final[Decoder[_Answer[_Page[_Execution]]]] = Decoder(_Answer[_Page[_Execution]])
_rows: Final[Decoder[_Answer[_Page[dict[str, Any]]]]] = Decoder(_Answer[_Page[dict[str, Any]]])
_frame: Final[Decoder[Any]] = Decoder()
_positions: Final[Decoder[_Answer[_Page[_Position]]]] = Decoder(_Answer[_Page[_Position]])


class GmoCoin:
    """The venue `gmo_coin`."""

    venue: ClassVar[str] = "gmo_coin"
    options_type: ClassVar[type[Options]] = GmoCoinOptions
    secrets_type: ClassVar[type[Secrets]] = Secrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"close": CloseParams, "cancel": NoParams}
    limits: ClassVar[tuple[Limit, ...]] = (
        Limit("get", 20, 1.0),
        Limit("post", 20, 1.0, cancels_only=4),
    )
    poll_s: ClassVar[tuple[float, float] | None] = None

    def __init__(self, options: GmoCoinOptions) -> None:
        self._ws_url = options.ws_url.rstrip("/")
        self._rest_url = options.rest_url.rstrip("/")
        self._public_url = options.public_url.rstrip("/")

    def signer(self, secrets: Secrets) -> Signer:
        """Key the HMAC once; each request costs one copy of it."""
        for name, text in (("api_key", secrets.api_key), ("api_secret", secrets.api_secret)):
            if not re.fullmatch(r"[!-~]+", text):
                raise ValueError(f"`{name}` must be printable ASCII without spaces")
        keyed = hmac.new(secrets.api_secret.encode(), digestmod=hashlib.sha256)

        def sign(request: Request, stamp: Stamp) -> SignedRequest:
            query = f"?{urlencode(request.query, safe=',')}" if request.query else ""
            if request.public:
                return SignedRequest(request.method, f"{self._public_url}{request.path}{query}", {}, request.body)
            mac = keyed.copy()
            mac.update(f"{stamp.now_ms}{request.method}{request.path}".encode())
            if request.path != "/v1/ws-auth" or request.method == "POST":
                mac.update(request.body)
            headers = {
                "API-KEY": secrets.api_key,
                "API-TIMESTAMP": str(stamp.now_ms),
                "API-SIGN": mac.hexdigest(),
            }
            if request.body:
                headers["Content-Type"] = "application/json"
            return SignedRequest(request.method, f"{self._rest_url}{request.path}{query}", headers, request.body)

        return sign

    def position(self, command: Close) -> str:
        """Name the position: closes of different positions do not touch each other."""
        return command.position_id or ""

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build closeOrder or cancelOrder; the venue takes no id of ours."""
        if isinstance(command, Close):
            return _close_request(command)
        if isinstance(command, Cancel):
            return _cancel_request(command)
        return Refused(code="unsupported", message="`type`: only close and cancel are taken at gmo_coin")

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Decide on `status` and `message_code`, at any HTTP status (Error Codes)."""
        try:
            answer = _any.decode(response.body)
        except _UNREADABLE:
            return Unknown(message=f"HTTP {response.status} with an unreadable body")
        if answer.status == 0:
            return _success(command, response, answer)
        if not answer.messages or answer.data not in (UNSET, None, {}):
            message = f"HTTP {response.status}, status {answer.status} without a clear error"
            return Unknown(message=message, order_id=_named(command, answer))
        table = _CLOSE if isinstance(command, Close) else _CANCEL
        outcomes = [table.get(message.message_code, Unknown()) for message in answer.messages]
        doubt = next((n for n, outcome in enumerate(outcomes) if isinstance(outcome, Unknown)), 0)
        code, text = answer.messages[doubt].message_code[:32], answer.messages[doubt].message_string
        if response.status >= 500 and not isinstance(outcomes[doubt], Retry):
            return Unknown(venue_code=code, message=f"HTTP {response.status}: {text}"[:200])
        return with_venue_words(outcomes[doubt], code, text)

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Close: orders, executions, positions of the symbol. Cancel: the order itself."""
        if isinstance(command, Close) and command.position_id is not None:
            return (yield from _look_close(command, command.position_id, attempt))
        if isinstance(command, Cancel) and command.order_id is not None:
            return (yield from _look_cancel(command.order_id, attempt))
        return Unknown(message="the command names nothing to look for")

    def repeatable(self, command: Command) -> bool:
        """Only a cancel: an order is cancelled once, however often it is asked for."""
        return isinstance(command, Cancel)

    def probe(self) -> Generator[Request, Response, Refused | None]:
        """Read one page of active orders, as a lookup does."""
        query = (("symbol", "BTC_JPY"), ("page", "1"), ("count", "1"))
        read = yield from _read("/v1/activeOrders", query, _orders)
        if not isinstance(read, Unknown):
            return None
        known = _BOTH.get(read.venue_code or "")
        if isinstance(known, Refused | Retry):
            return Refused(code=known.code, venue_code=read.venue_code, message=read.message, alert=True)
        return Refused(code="venue_unavailable", venue_code=read.venue_code, message=read.message)

    def stream(self, secrets: Secrets) -> Stream | None:
        """Begin one connection under a token of its own."""
        return _Stream(self._ws_url)

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read active orders and executions of every symbol, then each order that was open or executed.

        An order that nobody knew and that ended without an execution is shown nowhere. Not complete when
        `known.since_ms` is further back than executions are shown, a day; 0 claims nothing.
        """
        flow, late = _reconcile(known), False
        try:
            request = next(flow)
            while True:
                response = yield request
                if known.since_ms and request.endpoint == "latestExecutions":
                    late = late or _date_ms(response) > known.since_ms + _DAY_MS
                request = flow.send(response)
        except StopIteration as stop:
            missed: Missed = stop.value
        return msgspec.structs.replace(missed, complete=missed.complete and not late)


def _close_request(command: Close) -> Request | Refused:
    position_id, side, size, force = command.position_id, command.side, command.size, command.time_in_force
    try:
        params = msgspec.convert(command.params, CloseParams)
    except msgspec.ValidationError as error:
        return _invalid(f"`params`: {error}")
    if position_id is None or side is None or size is None:
        missing = next(name for name in ("position_id", "side", "size") if getattr(command, name) is None)
        return _invalid(f"`{missing}` is required")
    if not _is_id(position_id):
        return _invalid("`position_id` is not a positive whole number")
    if (command.price is None) != (command.order_type == "market"):
        rule = "is not taken with" if command.price else "is required with"
        return _invalid(f"`price` {rule} order_type {command.order_type}")
    if force == "post_only" and command.order_type != "limit":
        return Refused(code="unsupported", message="`time_in_force` post_only needs order_type limit")
    fits = command.order_type == "market" and force in {None, "ioc"} and side == "sell"
    if params.cancel_before and not fits:
        return Refused(code="unsupported", message="`params.cancel_before` needs order_type market, ioc and sell")
    body = _CloseOrder(
        symbol=command.symbol,
        side=side.upper(),
        execution_type=command.order_type.upper(),
        time_in_force=_TIME_IN_FORCE[force] if force else None,
        price=command.price,
        settle_position=(_Settle(position_id=int(position_id), size=size),),
        cancel_before=params.cancel_before,
    )
    return _post("closeOrder", body)


def _cancel_request(command: Cancel) -> Request | Refused:
    try:
        msgspec.convert(command.params, NoParams)
    except msgspec.ValidationError as error:
        return _invalid(f"`params`: {error}")
    if command.order_id is None:
        return _invalid("`order_id` is required")
    if not _is_id(command.order_id):
        return _invalid("`order_id` is not a positive whole number")
    return _post("cancelOrder", _CancelOrder(order_id=int(command.order_id)))


def _post(name: str, body: Struct) -> Request:
    return Request(method="POST", path=f"/v1/{name}", endpoint=name, body=msgspec.json.encode(body), scopes=("post",))


def _invalid(message: str) -> Refused:
    return Refused(code="invalid_command", message=message)


def _is_id(text: str) -> bool:
    """Ids travel as JSON numbers: only the canonical text of an int64 comes out as it went in."""
    return _ID.fullmatch(text) is not None and int(text) < 2**63


def _success(command: Command, response: Response, answer: _Answer[Any]) -> Outcome:
    """A close is answered with its order's id as text, a cancel with no data at all; nothing else is success."""
    if response.status == 200 and not answer.messages:
        if isinstance(command, Close) and isinstance(answer.data, str) and _is_id(answer.data):
            return Accepted(order_id=answer.data)
        if isinstance(command, Cancel) and answer.data in (UNSET, None):
            return Accepted(order_id=command.order_id)
    message = f"HTTP {response.status}, status 0, but not the documented success"
    return Unknown(message=message, order_id=_named(command, answer))


def _named(command: Command, answer: _Answer[Any]) -> str | None:
    """Return the order that an answer to a close names, however odd the rest of it is."""
    data = answer.data
    return data if isinstance(command, Close) and isinstance(data, str) and _is_id(data) else None


def _read(path: str, query: tuple[tuple[str, str], ...], decoder: Decoder[_Answer[T]]) -> _Reading[T]:
    """Read once. Missing `data` is a failed read, never an empty list."""
    name = path.rpartition("/")[2]
    response = yield Request(method="GET", path=path, endpoint=name, query=query, scopes=("get",))
    try:
        answer = decoder.decode(response.body)
    except _UNREADABLE:
        return Unknown(message=f"{name}: HTTP {response.status} with an unreadable body")
    if answer.messages:
        said = answer.messages[0]
        return Unknown(venue_code=said.message_code[:32], message=f"{name}: {said.message_string}"[:200])
    if response.status != 200 or answer.status != 0 or isinstance(answer.data, UnsetType):
        return Unknown(message=f"{name}: HTTP {response.status}, status {answer.status} without data")
    return answer.data


def _pages(path: str, symbol: str, decoder: Decoder[_Answer[_Page[T]]]) -> _Reading[list[T]]:
    rows: list[T] = []
    for page in range(1, _MAX_PAGES + 1):
        query = (("symbol", symbol), ("page", str(page)), ("count", str(_PAGE_ROWS)))
        read = yield from _read(path, query, decoder)
        if isinstance(read, Unknown):
            return read
        rows += read.rows
        if len(read.rows) < _PAGE_ROWS:
            return rows
    return Unknown(message=f"{path}: more than {_MAX_PAGES} pages")


def _orders_by_id(ids: Collection[int]) -> _Reading[list[_Order]]:
    """Read GET /v1/orders for these ids; rows that were not asked for are dropped."""
    wanted, rows = sorted(ids), list[_Order]()
    for start in range(0, len(wanted), _MAX_IDS):
        csv = ",".join(map(str, wanted[start : start + _MAX_IDS]))
        read = yield from _read("/v1/orders", (("orderId", csv),), _orders)
        if isinstance(read, Unknown):
            return read
        rows += [order for order in read.rows if order.order_id in ids]
    return rows


def _look_cancel(order_id: str, attempt: Attempt) -> Flow:
    orders = yield from _orders_by_id({int(order_id)} if _is_id(order_id) else ())
    if isinstance(orders, Unknown):
        return orders
    if not orders:
        if attempt.venue_code in _NO_ORDER:  # the venue's own word; the empty read alone proves nothing
            return Refused(code="order_not_found", venue_code=attempt.venue_code, order_id=order_id)
        return Absent(message=f"orders: {order_id} is not shown")
    state = _state(orders[0], ())
    if orders[0].status == "CANCELLING":
        return Accepted(order_id=order_id, order=state)
    if state.status in {"working", "partially_filled"}:
        return Working(order_id=order_id, order=state)
    if state.status in {"canceled", "expired"}:
        return Done(order_id=order_id, order=state)
    if state.status == "filled":
        return Refused(code="too_late", message="the order was executed", order_id=order_id, order=state)
    return Unknown(message=f"orders: {order_id} has the unknown status {orders[0].status[:32]}")


def _look_close(command: Close, position_id: str, attempt: Attempt) -> Flow:
    """Attribute by what ties an order to the position (executions), else by its shape and its time.

    Active orders are read before executions: an order that fills in between is then seen twice, not missed.
    """
    if attempt.order_id is not None:
        return (yield from _look_known(command, attempt.order_id, attempt))
    if attempt.venue_code in _NO_POSITION and not attempt.unanswered:
        return (yield from _look_refused(command, position_id, attempt))
    active = yield from _pages("/v1/activeOrders", command.symbol, _orders)
    if isinstance(active, Unknown):
        return active
    executions = yield from _pages("/v1/latestExecutions", command.symbol, _executions)
    if isinstance(executions, Unknown):
        return executions
    since_ms = _since_ms(attempt)
    closing = _closing(executions, position_id)
    tied = {row.order_id for row in closing if row.time_ms >= since_ms}
    elsewhere = {row.order_id for row in executions} - {row.order_id for row in closing}
    shaped = {order.order_id for order in active if order.time_ms >= since_ms and _fits(order, command)}
    wanted = tied | (shaped - elsewhere)
    orders = yield from _orders_by_id(wanted)
    seen = any(str(order_id) not in attempt.taken for order_id in wanted)
    if isinstance(orders, Unknown):
        return msgspec.structs.replace(orders, seen=seen)
    if {order.order_id for order in orders} != wanted:
        return Unknown(message="orders does not show what executions or activeOrders show", seen=seen)
    ours = [o for o in orders if _fits(o, command) and o.time_ms >= since_ms and str(o.order_id) not in attempt.taken]
    if len(ours) > 1:
        return Unknown(message="ambiguous: more than one order fits", seen=True)
    closers = [order for order in orders if order.order_id in tied and str(order.order_id) not in attempt.taken]
    if ours:
        return (yield from _adopt(ours[0], command, attempt, executions, closers))
    return (yield from _closed_by_others(command, attempt, closers))


def _look_refused(command: Close, position_id: str, attempt: Attempt) -> Flow:
    """Every send was refused, so no order is ours; was the position there, and closed by somebody else?"""
    executions = yield from _pages("/v1/latestExecutions", command.symbol, _executions)
    if isinstance(executions, Unknown):
        return executions
    if _closing(executions, position_id):
        return Done(venue_code=attempt.venue_code)
    return Refused(code="position_not_found", venue_code=attempt.venue_code)


def _look_known(command: Close, order_id: str, attempt: Attempt) -> Flow:
    orders = yield from _orders_by_id({int(order_id)} if _is_id(order_id) else ())
    if isinstance(orders, Unknown):
        return msgspec.structs.replace(orders, seen=True)
    if not orders:  # the venue named this order, so not seeing it must never count towards "not executed"
        return Unknown(message=f"orders: {order_id} is not shown", seen=True)
    if order_id in attempt.taken or not _fits(orders[0], msgspec.structs.replace(command, price=None)):
        return Unknown(message=f"order {order_id} was named, but is not of this close", seen=True)
    return Accepted(order_id=order_id, order=_state(orders[0], ()))


def _adopt(
    order: _Order, command: Close, attempt: Attempt, executions: list[_Execution], closers: list[_Order]
) -> Flow:
    """Take the one order that fits, unless it may as well be somebody else's."""
    if order.time_ms < attempt.sent_ms - _SKEW_MS:
        return Unknown(message=f"ambiguous: order {order.order_id} fits, but its time is before the send", seen=True)
    if order not in closers:
        if any(_fits(order, rival) for rival in attempt.rivals):
            return Unknown(message=f"ambiguous: order {order.order_id} fits another close as well", seen=True)
        position = yield from _position(command)
        if isinstance(position, Unknown):
            return msgspec.structs.replace(position, seen=True)
        if position is None:
            return Unknown(message="an order is pending, but its position is not shown", seen=True)
        if position.orderd_size is not None and not Decimal(position.orderd_size):  # pending for another position
            return (yield from _closed_by_others(command, attempt, closers))
    return Accepted(order_id=str(order.order_id), order=_state(order, executions))


def _closed_by_others(command: Close, attempt: Attempt, closers: list[_Order]) -> Flow:
    """Tell a position that a losscut or another order closed from one that is still there.

    `closers` are the orders of no command of ours that closed some of it. Only a position that is shown makes an
    `Absent`: a row that vanished proves nothing, nor do executions that are not shown any more.
    """
    position = yield from _position(command)
    if position is None and closers:
        return Done()
    for order in closers:  # an order of ours whose price or size was changed would look like this
        if order.order_type != "NORMAL" or order.time_ms < _since_ms(attempt):
            continue
        if order.time_ms < attempt.sent_ms - _SKEW_MS or order.execution_type == command.order_type.upper():
            message = f"ambiguous: order {order.order_id} closes the position, but does not fit"
            return Unknown(message=message, seen=True)
    if isinstance(position, Unknown):
        return position
    if position is None:
        return Unknown(message="the position is not shown, nor what closed it", seen=True)
    if attempt.now_ms - attempt.sent_ms > _SHOWN_MS:
        return Unknown(message="executions of the time of the send are not shown any more")
    return Absent(message="no order of this close is shown, and its position is open")


def _since_ms(attempt: Attempt) -> int:
    """Return the earliest time, by the venue's clock, that an order of ours can have."""
    return attempt.sent_ms - max(attempt.window_ms, _SKEW_MS)


def _closing(executions: list[_Execution], position_id: str) -> list[_Execution]:
    return [row for row in executions if row.settle_type == "CLOSE" and str(row.position_id) == position_id]


def _position(command: Close) -> _Reading[_Position | None]:
    positions = yield from _pages("/v1/openPositions", command.symbol, _positions)
    if isinstance(positions, Unknown):
        return positions
    return next((row for row in positions if str(row.position_id) == command.position_id), None)


def _fits(order: _Order, close: Close) -> bool:
    return (
        (order.order_type, order.settle_type, order.symbol) == ("NORMAL", "CLOSE", close.symbol)
        and (order.side, order.execution_type) == ((close.side or "").upper(), close.order_type.upper())
        and Decimal(order.size) == Decimal(close.size or 0)
        and (close.price is None or Decimal(order.price) == Decimal(close.price))
    )


def _state(order: _Order, executions: Collection[_Execution]) -> OrderState:
    status = _STATUS.get(order.status, "unknown")
    if status == "working" and Decimal(order.executed_size):
        status = "partially_filled"
    average = _average_price(order, executions)
    return OrderState(status=status, size=order.size, filled_size=order.executed_size, average_price=average)


def _average_price(order: _Order, executions: Collection[_Execution]) -> str | None:
    """Average what was executed, only if every execution of the order is at hand."""
    fills = {row.execution_id: row for row in executions if row.order_id == order.order_id}
    size, value = Decimal(0), Decimal(0)
    for fill in fills.values():
        size = _EXACT.add(size, Decimal(fill.size))
        value = _EXACT.add(value, _EXACT.multiply(Decimal(fill.price), Decimal(fill.size)))
    if not size or size != Decimal(order.executed_size):
        return None
    return format(_AVERAGE.divide(value, size), "f")


class _Stream:
    """One connection: token, socket, three subscriptions, a while without a refusal, then `Ready`.

    `Ready` stands in line behind the subscriptions. When other accounts make those wait, a refusal may still come
    after it; that breaks the stream, as any error does then.
    """

    def __init__(self, ws_url: str) -> None:
        self._ws_url = ws_url
        self._token = ""
        self._extended_ms = 0
        self._extend_at_ms = 0
        self._settled_ms: int | None = None  # while subscribing
        self._refused = False
        self._rounds = 0

    def begin(self, stamp: Stamp) -> Sequence[Want]:
        """Ask for a token: a new one each time, as the last may have been evicted or have died in a maintenance."""
        return (Ask(Request(method="POST", path="/v1/ws-auth", endpoint="ws_auth", body=b"{}", scopes=("post",))),)

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Open the socket with the token; notice an extension that the venue refuses, or that takes too long."""
        if request.method == "DELETE":
            return ()
        answer, why, passing = _read_token_answer(response)
        if request.method == "POST":
            if answer is None or not isinstance(answer.data, str) or not re.fullmatch(r"[!-~]{1,1000}", answer.data):
                return (Broken(f"ws_auth: {why or 'no token'}"),)
            self._token = answer.data
            self._extended(stamp)
            return (Connect(f"{self._ws_url}/v1/{quote(self._token, safe='')}"),)
        if answer is not None:
            self._extended(stamp)
        elif not passing or stamp.now_ms - self._extended_ms >= _STALE_MS:
            return (Broken(f"ws_auth: the token was not extended: {why}"),)
        return ()

    def opened(self, stamp: Stamp) -> Sequence[Want]:
        """Subscribe."""
        return self._subscribe(stamp)

    def heard(self, frame: str | bytes, stamp: Stamp) -> Sequence[Want]:
        """Translate an order or execution event; positions are only a sign of life."""
        try:
            said = _frame.decode(frame)
        except _UNREADABLE:
            return (Broken("a frame that cannot be read"),)
        if not isinstance(said, dict):
            return ()
        if "error" in said:
            return self._complained(said["error"])
        channel = said.get("channel")
        if channel not in _CHANNELS[:2]:
            return ()
        try:
            event = msgspec.convert(said, _Event)
        except _UNREADABLE:
            return (Broken(f"{channel}: an event that cannot be read"),)
        if channel == "orderEvents":
            return (Changes((_order_event(event, _raw(said)),)),)
        if event.execution_id is None or event.execution_size is None:
            return (Broken("executionEvents: an execution without id or size"),)
        return (Changes((_execution_event(event, _raw(said)),)),)

    def tick(self, stamp: Stamp) -> Sequence[Want]:
        """Become ready, or subscribe again what was refused; extend the token."""
        if self._settled_ms is not None and stamp.now_ms >= self._settled_ms:
            if self._refused:
                return self._subscribe(stamp)
            self._settled_ms = None
            return (Ready(),)
        if self._token and stamp.now_ms >= self._extend_at_ms:
            self._extend_at_ms = stamp.now_ms + _EXTEND_AGAIN_MS
            return (Ask(self._token_request("PUT")),)
        return ()

    def end(self, stamp: Stamp) -> Sequence[Want]:
        """Delete the token: an account has five."""
        return (Ask(self._token_request("DELETE")),) if self._token else ()

    def _subscribe(self, stamp: Stamp) -> Sequence[Want]:
        if self._rounds >= _ROUNDS:
            return (Broken("subscriptions are refused: ERR-5003"),)
        self._rounds += 1
        self._settled_ms, self._refused = stamp.now_ms + _SETTLE_MS, False
        return tuple(Say(f'{{"command":"subscribe","channel":"{name}"}}', _PACE_S) for name in _CHANNELS)

    def _complained(self, error: object) -> Sequence[Want]:
        """The socket stays open after an error, and whatever was refused stays silent."""
        text = error if isinstance(error, str) else "an error"
        if text.startswith("ERR-5003") and self._settled_ms is not None:
            self._refused = True
            return ()
        shown = text.replace(self._token, "…") if self._token else text
        return (Broken(shown[:100]),)

    def _extended(self, stamp: Stamp) -> None:
        self._extended_ms = stamp.now_ms
        self._extend_at_ms = stamp.now_ms + _EXTEND_MS

    def _token_request(self, method: Literal["PUT", "DELETE"]) -> Request:
        body = msgspec.json.encode({"token": self._token})
        return _TokenRequest(method=method, path="/v1/ws-auth", endpoint="ws_auth", body=body, scopes=("post",))


def _read_token_answer(response: Response | None) -> tuple[_Answer[Any] | None, str, bool]:
    """Return the answer if it is a success, else why not and whether that may pass."""
    if response is None:
        return None, "no answer", True
    try:
        answer = _any.decode(response.body)
    except _UNREADABLE:
        return None, f"HTTP {response.status} with an unreadable body", True
    if answer.status == 0 and response.status == 200 and not answer.messages:
        return answer, "", False
    code = answer.messages[0].message_code[:32] if answer.messages else f"status {answer.status}"
    return None, code, response.status >= 500 or isinstance(_BOTH.get(code), Retry)


def _raw(said: Any) -> Any:
    """Return the venue's own object, unless it holds what no codec of ours can carry on."""
    try:
        msgspec.msgpack.encode(said)
    except _UNREADABLE:
        return None
    return said


def _reported(status: str, size: str, filled: str) -> OrderStatus | None:
    """The sizes decide first: what is fully executed was neither canceled nor does it work any more."""
    known = _STATUS.get(status)
    if Decimal(filled) >= Decimal(size) > 0:
        return "filled"
    return "partially_filled" if known == "working" and Decimal(filled) else known


def _order_event(event: _Event, raw: Any) -> Change:
    """`cancelType` of an order that goes on (SOK_TAKER, PRICE_LIMIT) is no reason of its end."""
    status = _reported(event.order_status, event.order_size, event.order_executed_size)
    return Change(
        order_id=str(event.order_id),
        symbol=event.symbol,
        side=_SIDES.get(event.side),
        order_type=_ORDER_TYPES.get(event.execution_type),
        time_in_force=_FORCES.get(event.time_in_force),
        status=status,
        price=event.order_price if Decimal(event.order_price) else None,
        size=event.order_size,
        filled_size=event.order_executed_size,
        cancel_reason=event.cancel_type if status in {"canceled", "expired"} else None,
        raw=raw,
    )


def _execution_event(event: _Event, raw: Any) -> Change:
    """`orderExecutedSize` is the venue's own sum, so nothing is added up here."""
    fill = Fill(
        execution_id=str(event.execution_id),
        price=event.execution_price,
        size=event.execution_size,
        fee=event.fee,
        fee_asset=None if event.fee is None else "JPY",
        position_id=None if event.position_id is None else str(event.position_id),
    )
    status = _reported("ORDERED", event.order_size, event.order_executed_size)
    change = _order_event(event, raw)
    return msgspec.structs.replace(change, status=status, last_fill=fill, venue_time=event.execution_timestamp)


def _reconcile(known: Known) -> Generator[Request, Response, Missed]:
    """Active orders are read before executions: an order that fills in between is seen twice, not missed."""
    orders: dict[int, Change] = {}
    fills: dict[int, _Execution] = {}
    complete = True
    for symbol in sorted({*known.symbols, *(symbol for _, symbol in known.open_orders if symbol)}):
        active = yield from _pages("/v1/activeOrders", symbol, _rows)
        latest = yield from _pages("/v1/latestExecutions", symbol, _rows)
        complete &= not isinstance(active, Unknown) and not isinstance(latest, Unknown)
        complete &= _take_orders([] if isinstance(active, Unknown) else active, orders)
        complete &= _take_fills([] if isinstance(latest, Unknown) else latest, known.since_ms, fills)
    wanted = sorted({int(order_id) for order_id, _ in known.open_orders if _is_id(order_id)} | fills.keys())
    for start in range(0, len(wanted), _MAX_IDS):
        csv = ",".join(map(str, wanted[start : start + _MAX_IDS]))
        read = yield from _read("/v1/orders", (("orderId", csv),), _rows)
        complete &= not isinstance(read, Unknown)
        complete &= _take_orders([] if isinstance(read, Unknown) else read.rows, orders)
    # An execution's order is there, so a read that lacks it is stale. A known order may be forgotten for good.
    complete &= fills.keys() <= orders.keys()
    changes = (_with_fill(change, fills.get(order_id)) for order_id, change in sorted(orders.items()))
    return Missed(changes=tuple(changes), complete=complete)


def _take_orders(rows: Iterable[dict[str, Any]], orders: dict[int, Change]) -> bool:
    """Note what rows of orders or activeOrders say; `False` when one cannot be read."""
    readable = True
    for row in rows:
        try:
            order = msgspec.convert(row, _Order)
        except _UNREADABLE:
            readable = False
            continue
        status = _reported(order.status, order.size, order.executed_size)
        orders[order.order_id] = Change(
            order_id=str(order.order_id),
            symbol=order.symbol,
            side=_SIDES.get(order.side),
            order_type=_ORDER_TYPES.get(order.execution_type),
            time_in_force=_FORCES.get(order.time_in_force or ""),
            status=status,
            price=order.price if Decimal(order.price) else None,
            size=order.size,
            filled_size=order.executed_size,
            cancel_reason=order.cancel_type if status in {"canceled", "expired"} else None,
            raw=_raw(row),
        )
    return readable


def _take_fills(rows: Iterable[dict[str, Any]], since_ms: int, fills: dict[int, _Execution]) -> bool:
    """Note the newest execution of each order since then; `False` when a row cannot be read."""
    readable = True
    for row in rows:
        try:
            fill = msgspec.convert(row, _Execution)
        except _UNREADABLE:
            readable = False
            continue
        newest = fills.get(fill.order_id, fill)
        late_enough = fill.time_ms >= since_ms - _CLOCKS_MS
        if late_enough and (fill.time_ms, fill.execution_id) >= (newest.time_ms, newest.execution_id):
            fills[fill.order_id] = fill
    return readable


def _with_fill(change: Change, found: _Execution | None) -> Change:
    if found is None:
        return change
    fee = found.fee if isinstance(found.fee, str) else None
    fill = Fill(
        execution_id=str(found.execution_id),
        price=found.price,
        size=found.size,
        fee=fee,
        fee_asset=None if fee is None else "JPY",
        position_id=None if found.position_id is None else str(found.position_id),
    )
    by_fill = change.status in {"partially_filled", "filled"}
    time = found.timestamp.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.structs.replace(change, last_fill=fill, venue_time=time if by_fill else None)


def _date_ms(response: Response) -> int:
    """Read the venue's clock off the answer; 0 when it is not there."""
    try:
        return int(parsedate_to_datetime(response.headers.get("date", "")).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError, OSError):
        return 0


ADAPTER = GmoCoin
