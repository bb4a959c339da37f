"""Nami Exchange: spot orders. Fact sheet, read 2026-11-21.

API       https://nami.exchange/api/v4/spot; "Close Order", "Get open orders", "Order history", "Error code" and
          "Authentication" at https://nami.gitbook.io/nami-exchange-api-docs.
Commands  cancel = DELETE order {symbol, displayingId, allowNotification}: the venue's "Close Order" cancels an order
          and answers with the order. There are no positions, so a close is refused.
Signing   HMAC-SHA256 in lower-case hex, keyed by the secret's own text, over the parameters as JavaScript's
          URLSearchParams writes them, in the order sent, `timestamp` (ms) last; `x-api-key` is the public key (the
          endpoint pages say "secret key", which must never be sent).
          unverified: whether a DELETE is checked in body or query; the pages contradict each other: `placement`.
          unverified: the tolerated age of a timestamp; taken as 60 s.
Repeats   a cancel is idempotent in effect. There are no client order ids.
Answers   the innermost `status` of the envelope decides; unverified: replies wrapped twice. HTTP 401 and 429 were not
          executed, 503 in JSON is maintenance; other 5xx, and whatever cannot be read, may have executed.
          Codes are matched by name: 1112 is used twice.
Looking   no read by id: open orders (unfiltered: the pages differ on the filter's form), then history, then open
          orders again, since an order moves from the first to the second. unverified: that history pages start at 1,
          so page 0 is asked for as well.
Events    unverified: no private stream that takes an API key, so orders are polled: open orders, then the history since
          the last poll, then trades if anything was filled; an open order that is in neither is sought further back.
          unverified: which time `timeFrom` means; nothing here depends on it. The pages show orders or executions
          under "Get Order Trades": rows without `orderId` are passed over.
Limits    unverified for v4: 60 calls a minute and address in v1, and a ban for an hour; we stay at 50, 20 for cancels.
Quirks    numbers are JSON floats, read as text. Orders are mirrored to a broker: BROKER_ERROR says nothing. Answers
          show whose order it is, so messages quote only a status word and a request id.
"""

import hmac
import re
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal
from urllib.parse import quote_plus

import msgspec
from msgspec import Struct

from router.venue_protocol import (
    Absent,
    Attempt,
    Done,
    Flow,
    Limit,
    Look,
    Options,
    Outcome,
    Refused,
    Request,
    Response,
    Retry,
    Secrets,
    Sight,
    SignedRequest,
    Signer,
    Stamp,
    Unknown,
    Working,
    retry_after_s,
    with_venue_words,
)
from router.venue_protocol.stream import Change, Fill, Known, Missed
from schemas.commands import Cancel, Close, Command
from schemas.fields import OrderType, Side
from schemas.results import OrderState, OrderStatus

_API: Final = "/api/v4/spot"
_PAGE_SIZE: Final = 100
_MAX_PAGES: Final = 10
_NO_ORDER: Final = frozenset({"NOT_FOUND_ORDER", "NO_SUCH_ORDER"})
_WHOLE_PAGE: Final = 10
_LAG_MS: Final = 60_000
_SKEW_MS: Final = 5_000
_NO_POSITIONS: Final = "Nami trades spot only: there is no position to close"

_CANCEL_CODES: Final[dict[str, Outcome]] = {
    "NOT_FOUND_ORDER": Look(),  # 6101: canceled, filled, or never there
    "NO_SUCH_ORDER": Look(),  # 2013: the broker's wording
    "BROKER_ERROR": Unknown(),  # 6104
    "UNKNOWN": Unknown(),  # 1000
    "UNKNOWN_ERROR": Unknown(),
    "BAD_SYMBOL": Refused(code="invalid_command"),  # 1112
    "INVALID_REQUEST_ID": Refused(code="invalid_command"),  # 1112 too
    "TRADE_NOT_ALLOWED": Refused(code="account_restricted", alert=True),  # 3004
    "ACCOUNT_BAN_TRADE": Refused(code="account_restricted", alert=True),  # 3005
    # Documented for creating orders only.
    "INVALID_ORDER_TYPE": Refused(code="invalid_command"),  # 1110
    "INVALID_SIDE": Refused(code="invalid_command"),  # 1111
    "NOT_ENOUGH_BASE_ASSET": Refused(code="insufficient_funds"),  # 6102
    "NOT_ENOUGH_QUOTE_ASSET": Refused(code="insufficient_funds"),  # 6103
    "NOT_ENOUGH_FEE_ASSET": Refused(code="insufficient_funds"),  # 6106
    "STOP_LIMIT_INVALID_STOP_PRICE": Refused(code="invalid_price"),  # 6107
    "STOP_LIMIT_UNKNOWN_LAST_PRICE": Retry(code="venue_unavailable", after_s=1.0),  # 6108
    "STOP_LIMIT_INVALID_MIN_TOTAL": Refused(code="invalid_size"),  # 6109
    "ORDER_TYPE_NOT_SUPPORT": Refused(code="unsupported"),  # 6110
    # Known from the venue's own web front end.
    "INVALID_USER": Refused(code="auth_failed", alert=True),
    "INVALID_INPUT": Refused(code="invalid_command"),
    "INVALID_SYMBOL": Refused(code="invalid_command"),
    "TOO_MUCH_ORDERS": Refused(code="venue_rejected"),
    "INVALID_QUANTITY": Refused(code="invalid_size"),
    "INVALID_PRICE": Refused(code="invalid_price"),
    "INVALID_TICK_SIZE": Refused(code="invalid_price"),
    "INVALID_STEP_SIZE": Refused(code="invalid_size"),
    "INVALID_MIN_NOTIONAL": Refused(code="invalid_size"),
    "INSTRUMENTS_DO_NOT_MATCH": Refused(code="invalid_command"),
    "INSTRUMENT_NOT_LISTED_FOR_TRADING_YET": Refused(code="venue_rejected"),
}
_HTTP_STATUSES: Final[dict[int, Outcome]] = {
    401: Retry(code="auth_failed", tries=1),
    418: Refused(code="account_restricted", alert=True, pause_s=3600.0),  # the address is banned for an hour
    429: Retry(code="rate_limited", after_s=60.0),  # the count starts again with the minute
    503: Retry(code="venue_maintenance", after_s=30.0),
}
_ORDER_STATUSES: Final[dict[str, OrderStatus]] = {
    "NEW": "working",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "FAILED": "rejected",
}
_SIDES: Final[dict[object, Side]] = {"BUY": "buy", "SELL": "sell"}
_ORDER_TYPES: Final[dict[object, OrderType]] = {"MARKET": "market", "LIMIT": "limit", "STOP_LIMIT": "stop"}


class NamiOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[venues.nami]` may set. `placement` says where a DELETE carries its parameters and signature."""

    rest_url: str = "https://nami.exchange"
    placement: Literal["body", "query", "both"] = "body"


class CancelParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `params` of a cancel: whether the venue notifies the account's owner."""

    allow_notification: bool = False


class Nami:
    """Nami Exchange, pure."""

    venue: ClassVar[str] = "nami"
    options_type: ClassVar[type[Options]] = NamiOptions
    secrets_type: ClassVar[type[Secrets]] = Secrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"cancel": CancelParams}
    limits: ClassVar[tuple[Limit, ...]] = (Limit("ip", 50, 60.0, "ip", cancels_only=20),)
    poll_s: ClassVar[tuple[float, float] | None] = (20.0, 3.0)

    def __init__(self, options: NamiOptions) -> None:
        self._placement = options.placement
        self._rest_url = options.rest_url.rstrip("/")

    def signer(self, secrets: Secrets) -> Signer:
        """Prepare the account's key once. Raises `ValueError` for a key no header or HMAC can carry."""
        key, secret = secrets.api_key, secrets.api_secret
        if not re.fullmatch(r"[!-~]+", key):
            raise ValueError("the API key is empty or has characters that no header can carry")
        if not secret or secret != secret.strip():
            raise ValueError("the API secret is empty or has white space around it")
        keyed = hmac.new(secret.encode(), digestmod="sha256")
        headers = {"x-api-key": key, "Content-Type": "application/json"}

        def sign(request: Request, stamp: Stamp) -> SignedRequest:
            mac = keyed.copy()
            pairs = (*request.query, *_pairs(request.body), ("timestamp", str(stamp.now_ms)))
            text = signed_text(pairs)
            mac.update(text.encode())
            signature = mac.hexdigest()
            in_query = not request.body or self._placement != "body"
            in_body = request.body and self._placement != "query"
            tail = f',"timestamp":{stamp.now_ms},"signature":"{signature}"}}'
            url = self._rest_url + request.path + (f"?{text}&signature={signature}" if in_query else "")
            return SignedRequest(
                request.method, url, dict(headers), request.body[:-1] + tail.encode() if in_body else b""
            )

        return sign

    def position(self, command: Close) -> str:
        """Name the symbol; there are no positions here."""
        return command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the DELETE of one order, or refuse; the venue has no use for a client order id."""
        if isinstance(command, Close):
            return Refused(code="unsupported", message=_NO_POSITIONS)
        if not isinstance(command, Cancel):
            return Refused(code="unsupported", message="cancel the orders one by one")
        try:
            params = msgspec.convert(command.params, CancelParams)
        except msgspec.ValidationError as error:
            return Refused(code="invalid_command", message=f"params: {error}")
        if command.symbol is None:
            return Refused(code="invalid_command", message="symbol: the venue needs it to cancel")
        if command.order_id is None or not _is_id(command.order_id):
            return Refused(code="invalid_command", message="order_id: the venue's ids are whole numbers above zero")
        parameters = {
            "symbol": command.symbol,
            "displayingId": command.order_id,
            "allowNotification": params.allow_notification,
        }
        body = msgspec.json.encode(parameters)
        return Request(method="DELETE", path=f"{_API}/order", endpoint="cancel_order", body=body, scopes=("ip",))

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to the DELETE."""
        reply = _decoded(response)
        status = _http_status(response, reply)
        if status in _HTTP_STATUSES and not (status == 503 and reply is None):
            return _by_http_status(status, response)
        if reply is None or status >= 500:
            return Unknown(venue_code=str(status), message="no answer of the venue's own")
        word, data = _peeled(reply)
        if word == "ok":
            return (
                _canceled(command, data) if status < 300 else Unknown(venue_code=str(status), message="ok and an error")
            )
        return with_venue_words(_CANCEL_CODES.get(word or "", Unknown()), word, _request_id(data))

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Find out by reads alone where the order stands."""
        if not isinstance(command, Cancel) or command.order_id is None or command.symbol is None:
            return Unknown(message="nothing to look for")
        open_sight = yield from _find_open(command.order_id, "open_orders")
        if not isinstance(open_sight, Absent):
            return open_sight
        past_sight = yield from _find_past(command.order_id, command.symbol, attempt)
        if not isinstance(past_sight, Absent):
            return past_sight
        # Another endpoint name makes this another request: a shared answer to the first read would defeat it.
        return (yield from _find_open(command.order_id, "open_orders_again"))

    def repeatable(self, command: Command) -> bool:
        """Say whether sending it twice is harmless: one cancel takes effect at most."""
        return isinstance(command, Cancel)

    def probe(self) -> Generator[Request, Response, Refused | None]:
        """Read the open orders."""
        response = yield _get("open", "open_orders")
        if _rows(response) is not None:
            return None
        status = _http_status(response, _decoded(response))
        if status == 401:
            return Refused(code="auth_failed", venue_code="401", message="key or signature is not taken", alert=True)
        if status == 418:
            return Refused(code="account_restricted", venue_code="418", message="this address is banned", alert=True)
        return Refused(code="venue_unavailable", venue_code=str(status), message="no readable answer")

    def stream(self, secrets: Secrets) -> None:
        """Return `None`: orders have to be polled."""
        return

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Poll: two reads when nothing happened, a third when something was filled, more for an order that vanished.

        Open orders come first: an order moves from there to the history. The history is asked for a minute more than
        was missed, because it may lag; an order in neither is sought again by the next poll. After a read that failed
        none follows: an address that goes on while it is refused is banned. Executions are detail: without them the
        poll is complete.
        """
        changes: dict[str, Change] = {}
        response = yield _get("open", "open_orders")
        complete = _collect(response, changes)
        if _rows(response) is None or not (yield from _past(changes, None, known.since_ms - _LAG_MS, set())):
            return Missed(changes=tuple(changes.values()), complete=False)
        vanished = {order_id: symbol for order_id, symbol in known.open_orders if order_id not in changes}
        if vanished:
            # `timeFrom` may mean when an order was made: one that is older and ended now is not in that history.
            symbols = set(vanished.values())
            complete &= yield from _past(changes, symbols.pop() if len(symbols) == 1 else None, None, set(vanished))
        if any(_is_fresh(change, known.since_ms - _SKEW_MS) for change in changes.values()):
            fills = _last_fills((yield _get("trade", "trades", _window(None, known.since_ms - _LAG_MS, 1))))
            for order_id in fills.keys() & changes.keys():
                changes[order_id] = msgspec.structs.replace(changes[order_id], last_fill=fills[order_id])
        return Missed(changes=tuple(changes.values()), complete=complete)


def signed_text(pairs: tuple[tuple[str, str], ...]) -> str:
    """Render parameters as JavaScript's `new URLSearchParams(params).toString()`.

    https://url.spec.whatwg.org/#concept-urlencoded-serializer: space is `+`, `*-._` stay, `~` becomes `%7E`.
    """
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def _pairs(body: bytes) -> Generator[tuple[str, str], None, None]:
    """Render our own body's values as JavaScript's `String()` does."""
    for name, value in (msgspec.json.decode(body) if body else {}).items():
        yield name, value if isinstance(value, str) else {True: "true", False: "false"}[value]


def _is_id(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,18}", text) is not None and int(text) < 2**63


def _get(path: str, endpoint: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(method="GET", path=f"{_API}/{path}", endpoint=endpoint, query=query, scopes=("ip",))


_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=str)  # str keeps the digits the venue wrote
_plain_decoder = msgspec.json.Decoder(dict[str, Any])


def _decoded(response: Response, decoder: msgspec.json.Decoder[dict[str, Any]] = _decoder) -> dict[str, Any] | None:
    try:
        return decoder.decode(response.body)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors, and so is broken UTF-8
        return None


def _peeled(reply: dict[str, Any]) -> tuple[str | None, Any]:
    """Return the status word and the data of the innermost envelope; no word where two envelopes disagree."""
    failed_outside = False
    data = reply.get("data")
    while isinstance(data, dict) and "status" in data and "data" in data:
        failed_outside |= reply.get("status") not in (None, "ok")
        reply, data = data, data["data"]
    word = reply.get("status")
    named = isinstance(word, str) and re.fullmatch(r"[A-Za-z0-9_]{1,64}", word)
    return (word if named and not failed_outside else None), data


def _http_status(response: Response, reply: dict[str, Any] | None) -> int:
    """Return the HTTP status, or the one that the gateway's own error body names under a milder one."""
    named = reply.get("statusCode") if reply else None
    return named if response.status < 500 and type(named) is int and named in _HTTP_STATUSES else response.status


def _by_http_status(status: int, response: Response) -> Outcome:
    outcome = _HTTP_STATUSES[status]
    if isinstance(outcome, Retry) and status != 401:
        outcome = msgspec.structs.replace(outcome, after_s=max(retry_after_s(response, outcome.after_s), 1.0))
    return with_venue_words(outcome, str(status), "")


def _request_id(data: object) -> str:
    found = data.get("requestId") if isinstance(data, dict) else None
    return f"request {found}" if isinstance(found, str) and re.fullmatch(r"[A-Za-z0-9-]{1,64}", found) else ""


def _canceled(command: Command, data: object) -> Outcome:
    """Believe an `ok` only when it shows our order canceled."""
    if not isinstance(data, dict) or "displayingId" not in data:
        request_id = _request_id(data)
        return Unknown(venue_code="ok", message=request_id) if request_id else Look(venue_code="ok")
    order_id = command.order_id if isinstance(command, Cancel) else None
    if data.get("status") == "CANCELED" and order_id is not None and _decimal(data["displayingId"]) == order_id:
        return Done(order_id=order_id, order=_state(data), venue_code="ok")
    return Look(venue_code="ok", message="the order shown is not ours or not canceled")


def _find_open(order_id: str, endpoint: str) -> Flow:
    rows = _rows((yield _get("open", endpoint)))
    return Unknown(message="spot/open cannot be read") if rows is None else _sight(order_id, rows)


def _find_past(order_id: str, symbol: str, attempt: Attempt) -> Flow:
    """Read the history to its end: until a page brings nothing that was not seen, for a page may be cut shorter.

    Page 0 comes last: should pages begin with it, it holds the newest orders. Where there is more history than is
    read, only the venue's own "no such order" makes an order that is not shown absent.
    """
    seen: set[str | None] = set()
    for page in range(1, _MAX_PAGES + 1):
        rows = _rows((yield _history(symbol, page)))
        if rows is None:
            return Unknown(message="spot/history cannot be read")
        sight = _sight(order_id, rows)
        ids = {_decimal(row.get("displayingId")) for row in rows}
        if not isinstance(sight, Absent):
            return sight
        if ids <= seen:
            break
        seen |= ids
    else:
        if attempt.venue_code not in _NO_ORDER:
            return Unknown(message=f"spot/history has more than {_MAX_PAGES} pages")
    response = yield _history(symbol, 0)
    rows = _rows(response)
    if rows is None and not _is_no_page(response):
        return Unknown(message="spot/history cannot be read")
    return _sight(order_id, rows or [])


def _history(symbol: str, page: int) -> Request:
    asked = (("symbol", symbol), ("hideCanceled", "false"), ("pageSize", str(_PAGE_SIZE)), ("page", str(page)))
    return _get("history", "order_history", asked)


def _is_no_page(response: Response) -> bool:
    """Say whether the venue itself refused to show a page: there is none of that number."""
    reply = _decoded(response)
    word = _peeled(reply)[0] if reply else None
    refused = word == "INVALID_INPUT" or _http_status(response, reply) in (400, 404, 422)
    return reply is not None and refused and not isinstance(_CANCEL_CODES.get(word or ""), Unknown)


def _window(symbol: str | None, since_ms: int | None, page: int) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a page of history or trades, in the order of the documents' table."""
    since = None if since_ms is None else f"{datetime.fromtimestamp(max(since_ms, 0) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    asked = (
        ("symbol", symbol),
        ("hideCanceled", "false"),
        ("pageSize", str(_PAGE_SIZE)),
        ("page", str(page)),
        ("timeFrom", since),
    )
    return tuple((name, value) for name, value in asked if value is not None)


def _past(
    changes: dict[str, Change], symbol: str | None, since_ms: int | None, wanted: set[str]
) -> Generator[Request, Response, bool]:
    """Add the history to `changes`: to its end, or until all that is wanted was seen. `False` when it was not whole.

    A page may be cut shorter than asked for, but hardly below the ten of the documents' example: so few end it.
    """
    seen: set[str] = set()
    for page in range(1, _MAX_PAGES + 1):
        response = yield _get("history", "order_history", _window(symbol, since_ms, page))
        found: dict[str, Change] = {}
        if not _collect(response, found):
            changes.update(found)
            return False
        # Further back there is only what was told long ago: of that, what was asked for.
        changes.update(found if since_ms is not None else {key: found[key] for key in wanted & found.keys()})
        if len(found) < _WHOLE_PAGE or found.keys() <= seen or (wanted and wanted <= changes.keys()):
            return True
        seen |= found.keys()
    return False


def _collect(response: Response, changes: dict[str, Change]) -> bool:
    """Add the orders of a read; what was read later replaces them. `False` when something could not be read."""
    rows = _rows(response)
    own = _rows(response, _plain_decoder) or rows or []
    found = [_change(row, raw) for row, raw in zip(rows or [], own, strict=True)]
    changes.update((change.order_id, change) for change in found if change is not None)
    return rows is not None and None not in found


def _change(row: dict[str, Any], raw: dict[str, Any]) -> Change | None:
    """Translate one order; `None` when it does not say which. `raw` is the same with its numbers as numbers."""
    order_id, state = _decimal(row.get("displayingId")), _state(row)
    if order_id is None:
        return None
    filled = state.filled_size if state.filled_size and state.filled_size.strip("0.") else None
    status = "partially_filled" if state.status == "working" and filled else state.status
    return Change(
        order_id=order_id,
        symbol=_text(row.get("symbol")),
        side=_SIDES.get(_text(row.get("side"))),
        order_type=_ORDER_TYPES.get(_text(row.get("type"))),
        status=None if status == "unknown" else status,
        price=_positive(row.get("price")),
        size=_positive(row.get("quantity")),
        filled_size=state.filled_size,
        venue_time=_text(row.get("updatedAt")) if _time_ms(row.get("updatedAt")) else None,
        raw=raw,
    )


def _is_fresh(change: Change, since_ms: int) -> bool:
    """Say whether executions of the order may be news: some of it is filled, and it changed since."""
    filled = _positive(change.filled_size) is not None
    return filled and (change.venue_time is None or _time_ms(change.venue_time) >= since_ms)


def _last_fills(response: Response) -> dict[str, Fill]:
    """Return the newest execution of each order. Without an answer the orders still say how much was filled."""
    newest: dict[str, dict[str, Any]] = {}
    for row in _rows(response) or []:
        order_id = _decimal(row.get("orderId"))
        if not order_id:
            continue
        held = newest.setdefault(order_id, row)  # of two in one instant the first: lists begin with the newest
        if _time_ms(row.get("createdAt")) > _time_ms(held.get("createdAt")):
            newest[order_id] = row
    return {order_id: _fill(row) for order_id, row in newest.items()}


def _fill(row: dict[str, Any]) -> Fill:
    """Translate one execution; its `displayingId` is its own."""
    fee = row.get("feeMetadata")
    charged = fee if isinstance(fee, dict) else {}
    return Fill(
        execution_id=_decimal(row.get("displayingId")),
        price=_positive(row.get("price")),
        size=_positive(row.get("baseQty")),
        fee=_decimal(charged.get("feeValue")),
        fee_asset=_text(charged.get("feeAsset")),
    )


def _positive(value: object) -> str | None:
    text = _decimal(value)
    return text if text and text.strip("0.") else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _time_ms(value: object) -> float:
    """Return a time of the venue in milliseconds since 1970; zero when there is none to read."""
    try:
        time = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return 0.0
    return max(time.timestamp() * 1000, 0.0) if time.tzinfo else 0.0


def _rows(response: Response, decoder: msgspec.json.Decoder[dict[str, Any]] = _decoder) -> list[dict[str, Any]] | None:
    """Return the orders of a read: `data` or `data.orders`; `None` when it is no such answer."""
    reply = _decoded(response, decoder)
    if reply is None or response.status != 200:
        return None
    word, data = _peeled(reply)
    rows = data.get("orders") if isinstance(data, dict) else data
    if word != "ok" or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows


def _sight(order_id: str, rows: list[dict[str, Any]]) -> Sight:
    """Say where the order stands by the row that shows it."""
    found = next((row for row in rows if _decimal(row.get("displayingId")) == order_id), None)
    if found is None:
        return Absent(message="neither open nor in the history")
    order = _state(found)
    if order.status in ("working", "partially_filled"):
        return Working(order_id=order_id, order=order)
    if order.status == "filled":
        return Refused(code="too_late", message="the order is filled", order_id=order_id, order=order)
    if order.status == "unknown":
        return Unknown(message="an order status that is not documented")
    return Done(order_id=order_id, order=order)


def _state(row: dict[str, Any]) -> OrderState:
    word, price = row.get("status"), _decimal(row.get("executedPrice"))
    return OrderState(
        status=_ORDER_STATUSES.get(word, "unknown") if isinstance(word, str) else "unknown",
        size=_decimal(row.get("quantity")),
        filled_size=_decimal(row.get("executedQty")),
        average_price=price if price and price.strip("0.") else None,
    )


def _decimal(value: object) -> str | None:
    """Return a number's text as the venue wrote it, an exponent such as 1e-7 written out; else `None`."""
    text = str(value) if isinstance(value, str | int) else ""
    if re.fullmatch(r"[0-9]{1,40}(\.[0-9]{1,40})?", text):
        return text
    if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?[eE][+-]?[0-9]{1,2}", text):
        return f"{Decimal(text):f}"
    return None


EXCHANGE = Nami
