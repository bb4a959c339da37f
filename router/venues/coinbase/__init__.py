"""Coinbase Advanced Trade: US derivatives (`*-CDE`). Fact sheet, read 2026-11-21.

API       https://api.coinbase.com/api/v3/brokerage; "Close Position", "Cancel Orders", "Get Order", "List Orders",
          "List Fills", "List Futures Positions" at https://docs.cdp.coinbase.com/api-reference/advanced-trade-api.
Commands  close = POST orders/close_position {client_order_id, product_id, size?}: the venue derives the side, `size`
          counts contracts, without it the whole position goes. cancel = POST orders/batch_cancel with one id.
          An unknown body field is a 400, so nothing private is added. `*-PERP-INTX` left this API on 2026-10-01.
Signing   Authorization: Bearer <JWT>, ES256 or EdDSA, bound to method, host and path but not to query or body;
          a new one per request, valid for at most 120 s.
Repeats   a cancel is idempotent. Create Order hands back the order that owns a client id; Close Position does not say
          so (unverified: its replay), so a close is not repeated unless `resend_close` is set.
Answers   a refusal is HTTP 200 with success = false. A cancel's success only means that it was submitted.
          401, 403 and 429 are decided before the order is looked at; 408, 425, 5xx and whatever cannot be read may
          have executed. HTTP 400 and 404 count only with a JSON body: a gateway in between may write its own.
Looking   there is no lookup by client id: orders since the send are listed and compared here, once for the default
          placement source and once for RETAIL_SIMPLE (unverified: which one a close carries); then fills and position.
          A new order may be unreadable for seconds: a 404 proves nothing.
Events    wss://advanced-trade-ws-user.coinbase.com, channels heartbeats and user, each subscribed with a token of its
          own (no `uri`) within 5 s; "WebSocket Channels" in the same documentation. A refusal is a frame of another
          shape and may leave the socket open. Orders come whole, with cumulative quantities and no executions; first
          those that are OPEN, in batches of 50, the first smaller one being the last: what ended meanwhile is never
          shown, so it is read. unverified: what follows a batch of exactly 50; that `sequence_num` counts per
          connection ("per product" in the text), as clients measured; that OPEN may be asked for beside other statuses.
Limits    30 requests a second per user (unverified: from a retired page, still what clients use).
          A fifth is kept for cancels.
Quirks    the close is a market order, immediate or cancel (unverified): it may fill partly and end CANCELLED; accepted
          does not mean flat. A 401 may be plain text. A token dated a second ahead was refused once: ours is backdated.
          unverified: size above the position, a spot product, resting brackets; all left to the venue to refuse.
"""

import base64
import binascii
import re
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal, localcontext
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Meta, Struct

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
    Sight,
    SignedRequest,
    Signer,
    Stamp,
    Unknown,
    Working,
    retry_after_s,
    with_venue_words,
)
from router.venue_protocol.stream import Broken, Change, Changes, Connect, Fill, Known, Missed, Ready, Say, Want
from schemas.commands import Cancel, Close, Command
from schemas.fields import OrderType, Side, TimeInForce
from schemas.results import OrderState, OrderStatus

SigningKey = EllipticCurvePrivateKey | Ed25519PrivateKey

_API: Final = "/api/v3/brokerage"
_LIFETIME_S: Final = 120
_BACKDATED_S: Final = 5
_MAX_PAGES: Final = 20
_MAX_GAP_PAGES: Final = 100
_MAX_ORDERS: Final = 20
_LOOK_BACK_MS: Final = 120_000  # beyond the window: a client id attributes, so looking far back costs nothing
_EXISTS: Final = "DUPLICATE_CLIENT_ORDER_ID"
_EXISTS_BACK_MS: Final = 7 * 86_400_000
_LIST_ORDERS: Final = "/orders/historical/batch"
_LIST_FILLS: Final = "/orders/historical/fills"
_SOURCES: Final[tuple[tuple[tuple[str, str], ...], ...]] = ((), (("order_placement_source", "RETAIL_SIMPLE"),))
_SILENCE_MS: Final = 10_000
_BATCH: Final = 50
_BATCH_WAIT_MS: Final = 3_000


class CoinbaseOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[venues.coinbase]` may set.

    `resend_close` lets a close whose fate is unknown be sent again under the same client order id. It is off because
    Close Position does not document what a repeated id does there; a supervised one-contract trial has to show first
    that the venue creates no second order.
    """

    rest_url: str = "https://api.coinbase.com"
    ws_url: str = "wss://advanced-trade-ws-user.coinbase.com"
    timestamp_window_s: float = float(_LIFETIME_S)
    resend_close: bool = False


class Coinbase:
    """Coinbase Advanced Trade, pure."""

    venue: ClassVar[str] = "coinbase"
    options_type: ClassVar[type[Options]] = CoinbaseOptions
    secrets_type: ClassVar[type[Secrets]] = Secrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"close": NoParams, "cancel": NoParams}
    limits: ClassVar[tuple[Limit, ...]] = (Limit("private", 30, 1.0, cancels_only=6),)
    poll_s: ClassVar[tuple[float, float] | None] = None

    def __init__(self, options: CoinbaseOptions) -> None:
        self._resend_close = options.resend_close
        self._ws_url = options.ws_url
        self._rest_url = options.rest_url.rstrip("/")
        called = urlsplit(self._rest_url)
        self._called = called.netloc.rpartition("@")[2] + called.path

    def signer(self, secrets: Secrets) -> Signer:
        """Parse the key once. Raises `ValueError`, without quoting it, for a key that cannot be used."""
        key, name = signing_key(secrets.api_secret), secrets.api_key
        if not name:
            raise ValueError("the key's name is empty")

        def sign(request: Request, stamp: Stamp) -> SignedRequest:
            uri = f"{request.method} {self._called}{request.path}"
            jws = token(key, name, uri, stamp.now_ms // 1000 - _BACKDATED_S, stamp.nonce)
            headers = {"Authorization": f"Bearer {jws}", "Accept": "application/json"}
            if request.body:
                headers["Content-Type"] = "application/json"
            url = self._rest_url + request.path + (f"?{urlencode(request.query)}" if request.query else "")
            return SignedRequest(request.method, url, headers, request.body)

        return sign

    def position(self, command: Close) -> str:
        """Name the position: one per product, netted."""
        return command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the one request that acts, or refuse what this venue cannot honour."""
        if isinstance(command, Close):
            return _close_request(command, client_order_id)
        if isinstance(command, Cancel):
            return _cancel_request(command)
        return Refused(code="unsupported", message="Coinbase has no request for all orders or positions at once")

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to that request."""
        reply = _decoded(response)
        named = reply if isinstance(command, Close) else None
        if response.status in _BEFORE_PROCESSING:
            if reply is not None and reply.claims_success():
                return _doubt(response, "a refused request that claims success", named)
            return _by_status(response, reply or _Reply())
        if reply is None or response.status not in (200, 400, 404):
            return _doubt(response, "no answer of the venue's own", named)
        if isinstance(command, Close):
            return _close_verdict(command, response, reply)
        return _cancel_verdict(command, response, reply)

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Find out by reads alone what became of the order."""
        if isinstance(command, Close):
            return (yield from _find_close(command, attempt))
        order_id = command.order_id if isinstance(command, Cancel) else None
        if order_id is None:
            return Unknown(message="no order id to look for")
        return (yield from _find_canceled(order_id))

    def repeatable(self, command: Command) -> bool:
        """Say whether sending it twice is harmless: a cancel, and a close only by `resend_close`."""
        return isinstance(command, Cancel) or (isinstance(command, Close) and self._resend_close)

    def probe(self) -> Generator[Request, Response, Refused | None]:
        """Read the key's own permissions."""
        response = yield _get("/key_permissions", "key_permissions")
        allowed = _decoded(response) if response.status == 200 else None
        if allowed is not None and allowed.can_trade is not None:
            if allowed.can_trade:
                return None
            return Refused(code="account_restricted", message="the key has no trade permission", alert=True)
        if response.status == 401:
            return Refused(code="auth_failed", venue_code="401", message="the key is not taken", alert=True)
        if response.status == 403:
            return Refused(code="account_restricted", venue_code="403", message="the key may not read", alert=True)
        return Refused(code="venue_unavailable", venue_code=str(response.status), message="no readable answer")

    def stream(self, secrets: Secrets) -> "CoinbaseStream":
        """Begin the protocol of one connection. Raises `ValueError` for a key that cannot be used."""
        return CoinbaseStream(self._ws_url, signing_key(secrets.api_secret), secrets.api_key)

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read the open orders, those made since, what was filled since, and each open one that these do not show.

        An order that the venue denies is left out: it shows nothing of it, and its next report is told as any other.
        """
        since = _rfc3339(known.since_ms)
        changes: dict[str, Change] = {}
        complete = True
        for source in _SOURCES:
            # OPEN is asked for alone (see above): what is PENDING or QUEUED is new, and found by its date.
            for wanted in (("order_status", "OPEN"), ("start_date", since)):
                orders = yield from _listed("orders", _LIST_ORDERS, (wanted, *source), _MAX_GAP_PAGES)
                complete &= _collect(orders, changes)
        fills = yield from _listed("fills", _LIST_FILLS, (("start_sequence_timestamp", since),), _MAX_GAP_PAGES)
        complete &= not isinstance(fills, Unknown)
        last = _last_fills(fills)
        for order_id in dict.fromkeys([*(order_id for order_id, _ in known.open_orders), *last]):
            if order_id not in changes:
                row = yield from _order_row(order_id)
                complete &= row is None or _collect([row] if isinstance(row, dict) else row, changes)
        told_now = (msgspec.structs.replace(change, last_fill=last.get(change.order_id)) for change in changes.values())
        return Missed(changes=tuple(told_now), complete=complete)


class _Progress(Struct, frozen=True, kw_only=True):
    """How far an order has come, as one frame says it."""

    size: str | None = None
    filled: Decimal = Decimal(0)
    average: str | None = None
    fees: Decimal | None = Decimal(0)


class CoinbaseStream:
    """One connection to the channels `heartbeats` and `user`.

    https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
    It breaks on a refusal, a hole in `sequence_num`, ten seconds without a heartbeat, and on what may be an order's
    report and cannot be read. A repeated number loses nothing, so it is no hole; frames of other kinds are ignored,
    as the documentation asks.
    """

    def __init__(self, url: str, key: SigningKey, key_name: str) -> None:
        self._url = url
        self._key = key
        self._key_name = key_name
        self._opened_ms: int | None = None
        self._beat_ms = 0
        self._asked_ms: int | None = None
        self._sequence: int | None = None
        self._ready = False
        self._orders: dict[str, _Progress] = {}

    def begin(self, stamp: Stamp) -> Sequence[Want]:
        """Open the socket: its address is no secret here."""
        return (Connect(self._url),)

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Nothing is asked over REST."""
        return ()

    def opened(self, stamp: Stamp) -> Sequence[Want]:
        """Subscribe both channels at once: whoever says nothing for 5 s is disconnected."""
        self._opened_ms = self._beat_ms = stamp.now_ms
        # Two tokens of one stamp differ by the nonce alone, and each message needs one of its own.
        return (
            self._subscribe("heartbeats", stamp.now_ms, stamp.nonce),
            self._subscribe("user", stamp.now_ms, f"{stamp.nonce}1"),
        )

    def heard(self, frame: str | bytes, stamp: Stamp) -> Sequence[Want]:
        """Take a frame: check its number, then read it by its channel."""
        try:
            message = _frame_decoder.decode(frame)
        except (ValueError, RecursionError):
            return (Broken("a frame that cannot be read"),)
        if message.get("type") == "error":
            return (Broken(f"the venue says: {_text(message.get('message')) or 'error'}"[:100]),)
        number = _whole(message.get("sequence_num"))
        if number is not None:
            if self._sequence is not None and number not in {self._sequence, self._sequence + 1}:
                return (Broken(f"message {self._sequence} was followed by {number}"),)
            self._sequence = number
        channel = message.get("channel")
        if channel == "user":
            return self._user(message, stamp.now_ms)
        if channel == "heartbeats":
            self._beat_ms = stamp.now_ms
        elif channel == "subscriptions" and self._asked_ms is None and _names_user(message.get("events")):
            self._asked_ms = stamp.now_ms
        return ()

    def tick(self, stamp: Stamp) -> Sequence[Want]:
        """Check for silence, and stop waiting for a snapshot that does not go on.

        A last batch of exactly 50 may have no successor, and what is missing is read by the reconciliation anyway.
        """
        if self._opened_ms is None:
            return ()
        if stamp.now_ms - self._beat_ms > _SILENCE_MS:
            return (Broken("no heartbeat for 10 s"),)
        if self._asked_ms is not None and stamp.now_ms - self._asked_ms >= _BATCH_WAIT_MS:
            return self._begun()
        if not self._ready and stamp.now_ms - self._opened_ms > _SILENCE_MS:
            return (Broken("the user channel does not answer"),)
        return ()

    def end(self, stamp: Stamp) -> Sequence[Want]:
        """Closing the socket is all there is to say."""
        return ()

    def _subscribe(self, channel: str, now_ms: int, nonce: str) -> Say:
        jws = token(self._key, self._key_name, None, now_ms // 1000 - _BACKDATED_S, nonce)
        return Say(msgspec.json.encode({"type": "subscribe", "channel": channel, "jwt": jws}).decode())

    def _begun(self) -> Sequence[Want]:
        if self._ready:
            return ()
        self._ready = True
        return (Ready(),)

    def _user(self, message: dict[str, Any], now_ms: int) -> Sequence[Want]:
        """Read orders; a kind of event that is no snapshot is an update, and the first of these ends the snapshot."""
        wants: list[Want] = []
        events = message.get("events")
        for event in events if isinstance(events, list) else [None]:
            rows = (event.get("orders") or []) if isinstance(event, dict) else None
            snapshot = isinstance(event, dict) and event.get("type") == "snapshot"
            at = None if snapshot else _time(message.get("timestamp"))
            changes = [self._change(row, at) for row in rows] if isinstance(rows, list) else [None]
            readable = tuple(change for change in changes if change is not None)
            if readable:
                wants.append(Changes(readable))
            if len(readable) < len(changes):
                return (*wants, Broken("an order that cannot be read"))
            if snapshot and len(changes) >= _BATCH:
                self._asked_ms = now_ms
            else:
                wants += self._begun()
        return wants

    def _change(self, row: Any, at: str | None) -> Change | None:
        """Translate one order; what it still has to fill is zeroed at its end, so its size is remembered."""
        if not isinstance(row, dict) or not (order_id := _text(row.get("order_id"))):
            return None
        filled, left = _decimal(row.get("cumulative_quantity")), _decimal(row.get("leaves_quantity"))
        status = _status(row.get("status"), filled)
        before = self._orders.get(order_id)
        size = filled if status == "filled" else before.size if before else None
        if filled and left and status in {"working", "partially_filled"}:
            size = _sum(filled, left)
        fees = _decimal(row.get("total_fees"))
        now = _Progress(
            size=size,
            filled=Decimal(filled) if filled else before.filled if before else Decimal(0),
            average=_decimal(row.get("avg_price")),
            fees=Decimal(fees) if fees else None,
        )
        fill = _fill_between(before, now, _whole(row.get("number_of_fills"))) if filled else None
        if status in {"filled", "canceled", "expired", "rejected"}:
            self._orders.pop(order_id, None)
        elif before is None or now.filled >= before.filled:
            self._orders[order_id] = now
        price = _price(row.get("limit_price"), row.get("stop_price"))
        return _changed(row, status=status, price=price, size=size, filled_size=filled, last_fill=fill, venue_time=at)


def signing_key(secret: str) -> SigningKey:
    """Read a P-256 or Ed25519 private key: PEM (also with literal `\\n`), or base64 of an Ed25519 seed or key pair.

    Raises `ValueError` that never quotes the key.
    """
    text = secret.replace("\\n", "\n").strip()
    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.encode(), password=None)
            if isinstance(key, Ed25519PrivateKey):
                return key
            if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
                return key
        else:
            raw = base64.b64decode("".join(text.split()), validate=True)
            seed = Ed25519PrivateKey.from_private_bytes(raw[:32])
            if raw[32:] in (b"", seed.public_key().public_bytes_raw()):
                return seed
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        # The cause may quote what it failed on.
        raise ValueError("the private key is neither a PEM nor the base64 of an Ed25519 key") from None
    raise ValueError("the private key is neither P-256 nor Ed25519, or its public half does not belong to it")


def token(key: SigningKey, key_name: str, uri: str | None, nbf_s: int, nonce: str) -> str:
    """Return the JWT of one request, valid for 120 s from `nbf_s`; `uri` is `None` for the WebSocket.

    https://docs.cdp.coinbase.com/coinbase-app/authentication-authorization/api-key-authentication
    """
    claims = {"sub": key_name, "iss": "cdp", "nbf": nbf_s, "exp": nbf_s + _LIFETIME_S}
    if uri is not None:
        claims["uri"] = uri
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
    return jwt.encode(claims, key, algorithm, headers={"kid": key_name, "nonce": nonce}, sort_headers=True)


def _close_request(command: Close, client_order_id: str) -> Request | Refused:
    unusable = {
        "position_id": command.position_id,
        "side": command.side,
        "order_type": None if command.order_type == "market" else command.order_type,
        "price": command.price,
        "time_in_force": command.time_in_force,
        "params": command.params or None,
    }
    for name, value in unusable.items():
        if value is not None:
            return Refused(code="unsupported", message=f"{name}: a close takes only symbol and size here")
    if command.symbol.endswith("-PERP-INTX"):
        return Refused(code="unsupported", message="symbol: international perpetuals are not served by this API")
    if command.size is not None and not command.size.isdecimal():
        return Refused(code="unsupported", message="size: contracts are whole numbers")
    body = {"client_order_id": client_order_id, "product_id": command.symbol}
    if command.size is not None:
        body["size"] = command.size
    return _post("/orders/close_position", "close_position", body)


def _cancel_request(command: Cancel) -> Request | Refused:
    try:
        msgspec.convert(command.params, NoParams)
    except msgspec.ValidationError as error:
        return Refused(code="invalid_command", message=f"params: {error}")
    if command.order_id is None or not _is_path_segment(command.order_id):
        return Refused(code="invalid_command", message="order_id: the venue's order id is needed")
    return _post("/orders/batch_cancel", "batch_cancel", {"order_ids": [command.order_id]})


def _post(path: str, endpoint: str, body: dict[str, Any]) -> Request:
    encoded = msgspec.json.encode(body)
    return Request(method="POST", path=_API + path, endpoint=endpoint, body=encoded, scopes=("private",))


def _get(path: str, endpoint: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(method="GET", path=_API + path, endpoint=endpoint, query=query, scopes=("private",))


def _is_path_segment(order_id: str) -> bool:
    """Say whether an id survives in a path: `.` and `..` are walked by every URL library."""
    return bool(order_id.strip("."))


class _Made(Struct, frozen=True, kw_only=True):
    order_id: str | None = None
    product_id: str | None = None


class _Fault(Struct, frozen=True, kw_only=True):
    error: str | None = None
    message: str | None = None
    error_details: str | None = None
    preview_failure_reason: str | None = None
    new_order_failure_reason: str | None = None

    def reasons(self) -> tuple[str, ...]:
        """Return what it names, the most authoritative first; the last two are deprecated."""
        return tuple(filter(None, (self.new_order_failure_reason, self.error, self.preview_failure_reason)))


class _CancelRow(Struct, frozen=True, kw_only=True):
    order_id: str | None = None
    success: bool | None = None
    failure_reason: str | None = None


class _Order(Struct, frozen=True, kw_only=True):
    """An order, or a fill: that has the same two ids, and a time."""

    order_id: Annotated[str, Meta(min_length=1)]
    product_id: str | None = None
    trade_time: str | None = None
    client_order_id: str | None = None
    status: str | None = None
    filled_size: Any = None
    average_filled_price: Any = None
    pending_cancel: bool | None = None
    order_configuration: Any = None


class _Position(Struct, frozen=True, kw_only=True):
    product_id: str
    number_of_contracts: Any


class _Reply(Struct, frozen=True, kw_only=True):
    """Any answer of this API; each endpoint fills some of it. `error` to `error_details` are the generic error body."""

    success: bool | None = None
    success_response: _Made | None = None
    error_response: _Fault | None = None
    results: tuple[_CancelRow, ...] | None = None
    order_id: str | None = None
    failure_reason: str | None = None
    error: str | None = None
    message: str | None = None
    error_details: str | None = None
    order: dict[str, Any] | None = None
    positions: tuple[_Position, ...] | None = None
    can_trade: bool | None = None

    def made_id(self) -> str | None:
        """Return the id of the order that it says was made; older replies carry it at the top too."""
        return (self.success_response.order_id if self.success_response else None) or self.order_id

    def claims_success(self) -> bool:
        """Say whether anything in it speaks of an order made or a cancel taken."""
        return bool(self.success or self.made_id() or any(row.success for row in self.results or ()))


class _Page(Struct, frozen=True, kw_only=True):
    """A page of a list: of orders or of fills."""

    orders: tuple[dict[str, Any], ...] | None = None
    fills: tuple[dict[str, Any], ...] | None = None
    has_next: bool | None = None
    cursor: str | None = None


# A number where a string is due keeps its text.
_decoder = msgspec.json.Decoder(_Reply, float_hook=str)
_page_decoder = msgspec.json.Decoder(_Page, float_hook=str)
_frame_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=str)


def _decoded(response: Response) -> _Reply | None:
    try:
        return _decoder.decode(response.body)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors, and so is broken UTF-8
        return None


def _doubt(response: Response, message: str, reply: _Reply | None = None) -> Unknown:
    """Return what proves nothing; with the order that the reply to a close names, if it can be asked for."""
    made = reply.made_id() if reply else None
    named = made if made and len(made) <= 100 and _is_path_segment(made) else None
    return Unknown(venue_code=str(response.status), message=message, order_id=named)


def _said(outcome: Outcome, reason: str | None, text: str | None) -> Outcome:
    return with_venue_words(outcome, reason and reason[:100], text or "")


def _by_status(response: Response, reply: _Reply) -> Outcome:
    """Classify what the HTTP status alone decides."""
    outcome = _STATUSES[response.status]
    if isinstance(outcome, Retry) and outcome.code == "rate_limited":
        outcome = msgspec.structs.replace(outcome, after_s=_wait_s(response))
    return _said(outcome, reply.error or str(response.status), reply.error_details or reply.message)


def _wait_s(response: Response) -> float:
    """Return the venue's hint, at least a second. unverified: whether it sends `Retry-After` at all."""
    return max(retry_after_s(response, 1.0), 1.0)


def _close_verdict(command: Close, response: Response, reply: _Reply) -> Outcome:
    fault = reply.error_response or _Fault()
    specific = [reason for reason in fault.reasons() if reason not in _PLACEHOLDERS]
    text = fault.error_details or fault.message
    if reply.success:
        made = reply.success_response or _Made()
        other = {made.order_id or reply.order_id, reply.order_id or made.order_id}
        another = len(other) > 1 or made.product_id not in (None, "", command.symbol)
        failed = reply.error_response is not None or reply.failure_reason not in (None, "", *_PLACEHOLDERS)
        if another or failed or response.status != 200 or not reply.made_id():
            named = reply if len(other) == 1 else None
            return _doubt(response, "success and something that contradicts it", named)
        return Accepted(order_id=reply.made_id())
    if reply.made_id():
        return _doubt(response, "a failure that names an order", reply)
    if reply.success is None:
        return _generic_verdict(command, response, reply)
    reason = next(iter((*specific, *fault.reasons())), None)
    return _said(_CLOSE_REASONS.get(reason or "", Unknown()), reason, text)


def _cancel_verdict(command: Command, response: Response, reply: _Reply) -> Outcome:
    if reply.results is None and not reply.claims_success():
        return _generic_verdict(command, response, reply)
    order_id = command.order_id if isinstance(command, Cancel) else None
    rows = [row for row in reply.results or () if row.order_id == order_id]
    if len(rows) != 1 or response.status != 200:
        return _doubt(response, "not one row for this order")
    reason = rows[0].failure_reason
    if rows[0].success is False:
        return _said(_CANCEL_REASONS.get(reason or "", Unknown()), reason, None)
    if rows[0].success and reason in (None, "", "UNKNOWN_CANCEL_FAILURE_REASON"):
        return Accepted(order_id=order_id)
    return _doubt(response, "success and a reason for failure")


def _generic_verdict(command: Command, response: Response, reply: _Reply) -> Outcome:
    """Classify an answer that lacks what this action's answer has: only an error status says what it means."""
    if response.status == 200 or reply.error_response is not None or reply.results is not None:
        return _doubt(response, "no result")
    reasons = _CLOSE_REASONS if isinstance(command, Close) else _CANCEL_REASONS
    if reply.error in reasons:
        return _said(reasons[reply.error], reply.error, reply.error_details or reply.message)
    return _by_status(response, reply)


def _find_close(command: Close, attempt: Attempt) -> Flow:
    """Find the order that carries our client id, wherever the venue shows it."""
    hidden = attempt.venue_code == _EXISTS  # the venue spoke of an order of ours: not seeing it proves nothing
    if attempt.order_id is not None:
        known = yield from _order(attempt.order_id)
        if isinstance(known, Unknown):
            return msgspec.structs.replace(known, seen=True)
        if known is not None and known.client_order_id == attempt.client_order_id:
            return _close_sight(known)
        hidden = True
    ours: dict[str, _Order] = {}
    nameless = False
    others: set[str] = set()
    back_ms = _EXISTS_BACK_MS if attempt.venue_code == _EXISTS else attempt.window_ms + _LOOK_BACK_MS
    query = (("product_ids", command.symbol), ("start_date", _rfc3339(attempt.sent_ms - back_ms)))
    for source in _SOURCES:
        orders = yield from _rows("orders", _LIST_ORDERS, (*query, *source))
        if isinstance(orders, Unknown):
            return msgspec.structs.replace(orders, seen=nameless or bool(ours))
        ours.update((order.order_id, order) for order in orders if order.client_order_id == attempt.client_order_id)
        nameless |= any(not order.client_order_id and order.order_id not in attempt.taken for order in orders)
        others.update(order.order_id for order in orders if order.client_order_id)
    if len(ours) > 1:
        message = f"{len(ours)} orders carry this client order id: {', '.join(sorted(ours))}"
        return Unknown(message=message[:200], seen=True)
    for order in ours.values():
        return _close_sight(order)
    sight = yield from _find_fill(command, attempt, others)
    if nameless and isinstance(sight, Absent | Unknown):
        return Unknown(message="an order without a client id: it may be ours", seen=True)
    if hidden and isinstance(sight, Absent):
        return Unknown(message="the venue spoke of an order of ours that it does not show", seen=True)
    return sight


def _find_fill(command: Close, attempt: Attempt, others: set[str]) -> Flow:
    """Find our order through its fills; failing that, a position that somebody else's order made flat.

    The position is read last, so that flat is the newest thing seen. Flat alone proves nothing, nor does a fill from
    before the send: it may have opened the position that a stale list does not show yet. `others` are orders that
    were listed with a client id, and it is not ours: their fills need no further look.
    """
    since_ms = attempt.sent_ms - attempt.window_ms
    query = (("product_ids", command.symbol), ("start_sequence_timestamp", _rfc3339(since_ms)))
    fills = yield from _rows("fills", _LIST_FILLS, query)
    if isinstance(fills, Unknown):
        return fills
    here = [fill for fill in fills if fill.product_id in (None, "", command.symbol)]
    nobodys = {fill.order_id: None for fill in here if fill.order_id not in attempt.taken}
    since = {fill.order_id for fill in here if _time_ms(fill.trade_time) >= attempt.sent_ms}
    unread = [order_id for order_id in nobodys if order_id not in others]
    if len(unread) > _MAX_ORDERS:
        return Unknown(message=f"{len(unread)} orders filled since the send: too many to read")
    nameless = False
    for order_id in unread:
        order = yield from _order(order_id)
        if isinstance(order, Unknown):
            return msgspec.structs.replace(order, seen=nameless)
        if order is None:
            return Unknown(message="the order of a fill cannot be read", seen=True)
        if order.client_order_id == attempt.client_order_id:
            return _close_sight(order)
        nameless |= not order.client_order_id
    response = yield _get("/cfm/positions", "list_positions")
    reply = _decoded(response) if response.status == 200 else None
    if reply is None or reply.positions is None:
        return msgspec.structs.replace(_doubt(response, "list_positions cannot be read"), seen=nameless)
    held = [_decimal(row.number_of_contracts) for row in reply.positions if row.product_id == command.symbol]
    if None in held:
        return Unknown(message="a position of unreadable size", seen=nameless)
    if not any(map(_positive, held)):
        flat = Unknown(message="the position is not shown, nor what closed it", seen=True)
        return Done() if since & nobodys.keys() else flat
    if nameless:
        return Unknown(message="a filled order may be ours", seen=True)
    return Absent(message="no order carries our id, and the position is open")


def _find_canceled(order_id: str) -> Flow:
    order = yield from _order(order_id)
    if isinstance(order, Unknown):
        return order
    if order is None:
        return Absent(message="the venue does not show this order")
    state = _state(order)
    if state.status in ("working", "partially_filled"):
        if order.pending_cancel or order.status == "CANCEL_QUEUED":
            return Accepted(order_id=order_id, order=state)
        return Working(order_id=order_id, order=state)
    if state.status == "filled":
        return Refused(code="too_late", message="the order is filled", order_id=order_id, order=state)
    if state.status == "unknown":
        return Unknown(venue_code=(order.status or "")[:100], message="an order status that is not documented")
    return Done(order_id=order_id, order=state)


def _order(order_id: str) -> Generator[Request, Response, _Order | Unknown | None]:
    row = yield from _order_row(order_id)
    return _typed(row, "get_order") if isinstance(row, dict) else row


def _typed(row: dict[str, Any], kind: str) -> _Order | Unknown:
    try:
        return msgspec.convert(row, _Order)
    except msgspec.ValidationError:
        return Unknown(venue_code="200", message=f"{kind} cannot be read")


def _order_row(order_id: str) -> Generator[Request, Response, dict[str, Any] | Unknown | None]:
    """Read one order; `None` when the venue does not know it, which proves nothing in its first seconds."""
    if not _is_path_segment(order_id):
        return Unknown(message="an order id that cannot be asked for")
    response = yield _get(f"/orders/historical/{quote(order_id, safe='')}", "get_order")
    reply = _decoded(response)
    if response.status == 404 and not response.body.lstrip().startswith(b"<"):  # a gateway's page is not the venue
        return None
    if response.status == 400 and reply is not None and reply.error == "INVALID_ARGUMENT":  # no order has such an id
        return None
    order = reply.order if reply is not None and response.status == 200 else None
    if order is None or order.get("order_id") != order_id:
        return _doubt(response, "get_order cannot be read")
    return order


def _rows(
    kind: Literal["orders", "fills"], path: str, query: tuple[tuple[str, str], ...]
) -> Generator[Request, Response, list[_Order] | Unknown]:
    """Read a list to its end, or say that it or one of its rows could not be read."""
    rows = yield from _listed(kind, path, query)
    if isinstance(rows, Unknown):
        return rows
    orders: list[_Order] = []
    for row in rows:
        order = _typed(row, f"list_{kind}")
        if isinstance(order, Unknown):
            return order
        orders.append(order)
    return orders


def _listed(
    kind: Literal["orders", "fills"], path: str, query: tuple[tuple[str, str], ...], most_pages: int = _MAX_PAGES
) -> Generator[Request, Response, list[dict[str, Any]] | Unknown]:
    """Read a list to its end, or say that it could not be read whole."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(most_pages):
        response = yield _get(path, f"list_{kind}", (*query, ("cursor", cursor)) if cursor else query)
        reply = _page(response)
        page = reply.orders if kind == "orders" else reply.fills
        if page is None:
            return _doubt(response, f"list_{kind} cannot be read")
        rows += page
        # Fills come without `has_next`: there the cursor alone says that more follows.
        more = reply.has_next if reply.has_next is not None else bool(reply.cursor and page)
        if not more:
            return rows
        if not reply.cursor or reply.cursor == cursor:
            return Unknown(message=f"list_{kind} has more but names no next page")
        cursor = reply.cursor
    return Unknown(message=f"list_{kind} has more than {most_pages} pages")


def _page(response: Response) -> _Page:
    try:
        return _page_decoder.decode(response.body) if response.status == 200 else _Page()
    except (ValueError, RecursionError):
        return _Page()


def _collect(rows: list[dict[str, Any]] | Unknown, changes: dict[str, Change]) -> bool:
    """Add what these rows say; whatever was read later replaces it. `False` when something could not be read."""
    orders = [] if isinstance(rows, Unknown) else [(row, _typed(row, "order")) for row in rows]
    for row, order in orders:
        if isinstance(order, _Order):
            state = _state(order)
            changes[order.order_id] = _changed(
                row,
                status=None if state.status == "unknown" else state.status,
                price=_price(_configured(order, "limit_price"), _configured(order, "stop_price")),
                size=state.size,
                filled_size=state.filled_size,
                last_fill=None,
                venue_time=_time(row.get("last_update_time")),
            )
    return not isinstance(rows, Unknown) and all(isinstance(order, _Order) for _, order in orders)


def _last_fills(rows: list[dict[str, Any]] | Unknown) -> dict[str, Fill]:
    """Return the newest execution of each order. `commission` comes without its currency."""
    newest: dict[str, dict[str, Any]] = {}
    for row in [] if isinstance(rows, Unknown) else rows:
        order_id = _text(row.get("order_id"))
        if not order_id:
            continue
        held = newest.setdefault(order_id, row)  # of two in one instant the first: lists begin with the newest
        if _time_ms(row.get("trade_time")) > _time_ms(held.get("trade_time")):
            newest[order_id] = row
    return {
        order_id: Fill(
            execution_id=_text(row.get("trade_id")),
            price=_decimal(row.get("price")),
            size=_decimal(row.get("size")),
            fee=_decimal(row.get("commission")),
        )
        for order_id, row in newest.items()
    }


def _changed(row: dict[str, Any], *, status: OrderStatus | None, **fields: Any) -> Change:
    """Return what an order and a report of it word alike, and `fields`, where they differ."""
    tif: TimeInForce | None = _TIMES_IN_FORCE.get(_word(row.get("time_in_force")))
    named = _REASON_FIELDS.get(status or "", ())
    reasons = (_text(row.get(name)) for name in named)
    return Change(
        order_id=row["order_id"],
        client_order_id=_text(row.get("client_order_id")),
        symbol=_text(row.get("product_id")),
        side=_SIDES.get(_word(row.get("order_side") or row.get("side"))),
        order_type=_ORDER_TYPES.get(_word(row.get("order_type"))),
        time_in_force="post_only" if _word(row.get("post_only")) == "TRUE" else tif,
        status=status,
        cancel_reason=next((why[:200] for why in reasons if why and why != "REJECT_REASON_UNSPECIFIED"), None),
        raw=row,
        **fields,
    )


def _fill_between(before: _Progress | None, now: _Progress, fills: int | None) -> Fill | None:
    """Return what was filled between two reports of an order; the stream names no executions.

    Without an earlier report only a first fill can be told from a sum. The price is the average of what came
    between, rounded to 8 decimals, because averages are rounded, too.
    """
    if before is None and fills != 1:
        return None
    before = before or _Progress()
    with localcontext(_EXACT):
        size = now.filled - before.filled
        if size <= 0:
            return None
        price = now.average
        if before.filled:
            price = None
            if now.average is not None and before.average is not None:
                value = Decimal(now.average) * now.filled - Decimal(before.average) * before.filled
                price = _plain((value / size).quantize(Decimal("1e-8")))
        fee = now.fees - before.fees if now.fees is not None and before.fees is not None else Decimal(-1)
        return Fill(price=_price(price, None), size=_plain(size), fee=_plain(fee) if fee >= 0 else None)


def _sum(first: str, second: str) -> str:
    with localcontext(_EXACT):
        return _plain(Decimal(first) + Decimal(second))


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _status(word: object, filled: str | None) -> OrderStatus | None:
    """Return our status; a word that is not documented says nothing, and a read will tell."""
    status = _ORDER_STATUSES.get(_word(word))
    return "partially_filled" if status == "working" and _positive(filled) else status


def _price(limit: object, stop: object) -> str | None:
    return next((price for price in (_decimal(limit), _decimal(stop)) if _positive(price)), None)


def _names_user(events: object) -> bool:
    """Say whether an acknowledgement counts `user` among the subscriptions."""
    rows = (
        [event.get("subscriptions") for event in events if isinstance(event, dict)] if isinstance(events, list) else []
    )
    return any(isinstance(row, dict) and "user" in row for row in rows)


def _word(value: object) -> str:
    """Return an enumeration's name: frames write `Stop Limit` for STOP_LIMIT."""
    return str(value).upper().replace(" ", "_") if isinstance(value, str | bool) else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    text = str(value) if type(value) in {int, str} else ""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _time(value: object) -> str | None:
    """Return a time of the venue; year 1 stands for none."""
    return value if isinstance(value, str) and _time_ms(value) > 0 else None


def _rfc3339(at_ms: int) -> str:
    """Return a time of ours less five seconds of clock difference, as RFC 3339."""
    at = datetime.fromtimestamp(max(at_ms / 1000 - 5, 0), UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _time_ms(text: object) -> float:
    """Return a time of the venue in milliseconds since 1970; zero when there is none to read."""
    try:
        time = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        return 0.0
    return time.timestamp() * 1000 if time.tzinfo else 0.0


def _close_sight(order: _Order) -> Sight:
    """Our order exists, so the close was taken; FAILED without a fill is the venue's late refusal."""
    state = _state(order)
    if state.status != "rejected" or _positive(state.filled_size):
        return Accepted(order_id=order.order_id, order=state)
    if state.filled_size is None and order.filled_size not in (None, ""):
        return Unknown(message="the order failed and its fills cannot be read")
    message = "the order was made and failed without a fill"
    return Refused(code="venue_rejected", message=message, order_id=order.order_id, order=state)


def _state(order: _Order) -> OrderState:
    filled, price = _decimal(order.filled_size), _decimal(order.average_filled_price)
    status = _ORDER_STATUSES.get(order.status or "", "unknown")
    if status == "working" and _positive(filled):
        status = "partially_filled"
    average = price if _positive(price) else None
    return OrderState(status=status, size=_ordered_size(order), filled_size=filled, average_price=average)


def _ordered_size(order: _Order) -> str | None:
    """Return the contracts asked for; the configuration has one key, the kind of order."""
    return _configured(order, "base_size")


def _configured(order: _Order, name: str) -> str | None:
    kinds = order.order_configuration.values() if isinstance(order.order_configuration, dict) else ()
    found = [_decimal(kind.get(name)) for kind in kinds if isinstance(kind, dict)]
    return found[0] if len(found) == 1 else None


def _decimal(value: object) -> str | None:
    text = str(value) if isinstance(value, str | int) else ""
    return text if re.fullmatch(r"[0-9]{1,40}(\.[0-9]{1,40})?", text) else None


def _positive(text: str | None) -> bool:
    return bool(text and text.strip("0."))


# What a reason means for a close. The venue publishes names only ("Close Position": 123 for a new order, 151 for its
# preview); the classes are our judgement, and a name that is not here proves nothing.
_CLASSES: Final[dict[str, Outcome]] = {
    "done": Done(),
    "exists": Look(),
    "busy": Retry(code="busy", after_s=1.0),  # another close is being worked
    "rate_limited": Retry(code="rate_limited", after_s=1.0),
    "venue_unavailable": Retry(code="venue_unavailable", after_s=1.0),
    "market_closed": Refused(code="market_closed"),
    "insufficient_position": Refused(code="insufficient_position"),
    "insufficient_funds": Refused(code="insufficient_funds"),
    "invalid_size": Refused(code="invalid_size"),
    "invalid_price": Refused(code="invalid_price"),
    "invalid_command": Refused(code="invalid_command"),
    "account_restricted": Refused(code="account_restricted", alert=True),
    "venue_rejected": Refused(code="venue_rejected"),
    "unknown": Unknown(),
}
# `NAME+` stands for NAME and PREVIEW_NAME.
_REASONS: Final = """
done: CANNOT_CLOSE_ZERO_POSITION
exists: DUPLICATE_CLIENT_ORDER_ID
busy: MODIFY_POSITION_WORKFLOW_ALREADY_RUNNING
rate_limited: RFQ_RATE_LIMITED
venue_unavailable: INVALID_NO_LIQUIDITY+ MISSING_MARKET_TRADE_DATA+ TOO_MANY_PENDING_REPLACES+ NBBO_NOT_PROVIDED+
  INVALID_NBBO_BID_PRICE+ INVALID_NBBO_ASK_PRICE+ RFQ_QUOTE_EXPIRED RFQ_TOO_MANY_OPEN_QUOTES
  PREVIEW_MISSING_COMMISSION_RATE PREVIEW_MISSING_PRODUCT_PRICE_BOOK PREVIEW_RISK_PROXY_FAILURE
market_closed: ORDER_ENTRY_DISABLED INVALID_FCM_TRADING_SESSION+ FUTURES_AFTER_HOUR_INVALID_ORDER_TYPE+
  FUTURES_AFTER_HOUR_INVALID_TIME_IN_FORCE+ PRODUCT_TRADING_HALTED+ TRADING_DISABLED+
  MARKET_ORDERS_PROHIBITED_DURING_NON_CORE_SESSION+ NOTIONAL_ORDERS_PROHIBITED_DURING_NON_CORE_SESSION+
  INVALID_EQUITY_TRADING_SESSION+ PREVIEW_NOT_ALLOWED_BY_MARKET_STATE
insufficient_position: POSITION_SIZE_INCREASE_REJECT+ REDUCE_ONLY_INCREASED_POSITION_SIZE+
  PREVIEW_BRACKET_ORDER_SIZE_EXCEEDS_POSITION PREVIEW_ORDER_SIZE_EXCEEDS_BRACKETED_POSITION
insufficient_funds: INSUFFICIENT_FUND+ INVALID_LEDGER_BALANCE+ INSUFFICIENT_FUNDS PREVIEW_INSUFFICIENT_LEDGER_BALANCE
  PREVIEW_INSUFFICIENT_FUNDS_FOR_FUTURES PREVIEW_INVALID_MARGIN_HEALTH
invalid_size: INVALID_SIZE_PRECISION+ INVALID_ATTACHED_TAKE_PROFIT_SIZE_BELOW_MIN+ BUCKET_SIZE_SMALLER_THAN_QUOTE_MIN+
  BUCKET_SIZE_SMALLER_THAN_BASE_MIN+ INVALID_RFQ_BASE_SIZE_TOO_SMALL+ INVALID_RFQ_BASE_SIZE_TOO_LARGE+
  INVALID_RFQ_QUOTE_SIZE_TOO_SMALL+ INVALID_RFQ_QUOTE_SIZE_TOO_LARGE+ SCALED_MIN_ORDER_VIOLATION+
  SCALED_MAX_ORDER_VIOLATION+ NOTIONAL_SIZE_BREACHES_FRACTIONAL_MINIMUM+ PREVIEW_INVALID_BASE_SIZE_TOO_LARGE
  PREVIEW_INVALID_BASE_SIZE_TOO_SMALL PREVIEW_INVALID_QUOTE_SIZE_PRECISION PREVIEW_INVALID_QUOTE_SIZE_TOO_LARGE
  PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL PREVIEW_BELOW_MIN_SIZE_FOR_DURATION PREVIEW_NON_NUMERIC_ORDER_SIZE
  PREVIEW_PREDICTIONS_QUOTE_SIZE_BELOW_MIN_CONTRACT_PRICE
invalid_price: INVALID_PRICE_PRECISION+ INVALID_LIMIT_PRICE_POST_ONLY+ INVALID_LIMIT_PRICE+ INVALID_BRACKET_PRICES+
  INVALID_BRACKET_LIMIT_PRICE+ INVALID_BRACKET_STOP_TRIGGER_PRICE+ BRACKET_LIMIT_PRICE_OUT_OF_BOUNDS+
  STOP_TRIGGER_PRICE_OUT_OF_BOUNDS+ LIMIT_PRICE_TOO_FAR_FROM_MARKET+ INVALID_ATTACHED_TAKE_PROFIT_PRICE+
  INVALID_ATTACHED_STOP_LOSS_PRICE+ INVALID_ATTACHED_TAKE_PROFIT_PRICE_PRECISION+
  INVALID_ATTACHED_STOP_LOSS_PRICE_PRECISION+ INVALID_ATTACHED_TAKE_PROFIT_PRICE_OUT_OF_BOUNDS+
  INVALID_ATTACHED_STOP_LOSS_PRICE_OUT_OF_BOUNDS+
  INVALID_ATTACHED_TAKE_PROFIT_PRICE_EXCEEDS_MAX_DISTANCE_FROM_ORIGINATING_PRICE+
  ATTACHED_ORDER_MUST_HAVE_POSITIVE_PRICES+ LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY+
  LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_SELL+ INVALID_ATTACHED_TAKE_PROFIT_PRICE_OUT_OF_BOUNDS_ON_AGGRESSIVE_ORDER+
  INVALID_ATTACHED_STOP_LOSS_PRICE_OUT_OF_BOUNDS_ON_AGGRESSIVE_ORDER+ STOP_LOSS_PRICE_TOO_LOW+
  ATTACHED_STOP_LOSS_PRICE_TOO_LOW+ STOP_LOSS_PRICE_TOO_HIGH+ ATTACHED_STOP_LOSS_PRICE_TOO_HIGH+
  TAKE_PROFIT_PRICE_TOO_HIGH+ ATTACHED_TAKE_PROFIT_PRICE_TOO_HIGH+ TAKE_PROFIT_PRICE_TOO_LOW+
  ATTACHED_TAKE_PROFIT_PRICE_TOO_LOW+ PREVIEW_INVALID_STOP_PRICE PREVIEW_INVALID_PRICE_TOO_LARGE
  PREVIEW_BREACHED_PRICE_LIMIT PREVIEW_INVALID_STOP_PRICE_PRECISION PREVIEW_STOP_PRICE_ABOVE_LIMIT_PRICE
  PREVIEW_STOP_PRICE_BELOW_LIMIT_PRICE PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE
  PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE PREVIEW_INVALID_LIMIT_PRICE_PRECISION
  PREVIEW_INVALID_STOP_TRIGGER_PRICE_PRECISION PREVIEW_INVALID_BRACKET_LIMIT_PRICE_PRECISION
invalid_command: UNSUPPORTED_ORDER_CONFIGURATION INVALID_SIDE+ INVALID_PRODUCT_ID+ INVALID_REQUEST INVALID_MARGIN_TYPE+
  INVALID_LEVERAGE+ INVALID_UNSUPPORTED_INSTRUMENT+ QUOTE_SIZE_NOT_ALLOWED_FOR_BRACKET+ BRACKET_ORDER_NOT_SUPPORTED+
  FOK_ONLY_ALLOWED_ON_LIMIT_ORDERS+ POST_ONLY_NOT_ALLOWED_WITH_FOK+ END_TIME_TOO_FAR_IN_FUTURE+
  ATTACHED_ORDER_SIZE_MUST_BE_NIL+ INVALID_SETTLEMENT_CURRENCY+ DURATION_TOO_SMALL+
  INTX_FOK_ONLY_ALLOWED_ON_LIMIT_AND_MARKET_ORDERS+ END_TIME_AFTER_CONTRACT_EXPIRATION+ START_TIME_MUST_BE_SPECIFIED+
  ICEBERG_ORDERS_NOT_SUPPORTED+ END_TIME_IS_IN_THE_PAST+ GTD_ORDERS_MUST_HAVE_END_TIME+
  INVALID_ORDER_SIDE_FOR_ATTACHED_TPSL+ ATTACHED_ORDERS_ONLY_ALLOWED_ON_MARKET_LIMIT+ INVALID_ORDER_TYPE_FOR_ATTACHED+
  PRICE_NOT_ALLOWED_FOR_MARKET_ORDERS+ REDUCE_ONLY_NOT_ALLOWED_ON_VENUE+ DURATION_TOO_LARGE+
  REDUCE_ONLY_NOT_ALLOWED_ON_SPOT_PRODUCTS+ REPLACE_NOT_SUPPORTED+ SCALED_PARAM_INFEASIBLE+
  POST_ONLY_NOT_ALLOWED_WITH_PEG+ INVALID_PEG_OFFSET+ INVALID_PEG_WIG_LEVEL+ INVALID_PEG_VENUE_OPTIONS+
  PEG_INVALID_ORDER_TYPE+ SINGLE_LEGGED_TPSL_NOT_ALLOWED+ FRACTIONAL_ORDERS_NOT_ALLOWED_FOR_PRODUCT+
  QUOTE_ORDERS_NOT_ALLOWED_FOR_PRODUCT+ SCALED_PARAM_DISCREPANCY+ RFQ_INVALID_COMBO_LEGS PREVIEW_INVALID_ORDER_CONFIG
  PREVIEW_INVALID_END_TIME PREVIEW_INVALID_BRACKET_ORDER_SIDE PREVIEW_INVALID_INTX_CLIENT_ORDER_ID
account_restricted: IN_LIQUIDATION+ GEOFENCING_RESTRICTION+ PREVIEW_UNTRADABLE_FCM_ACCOUNT_STATUS
  PREVIEW_COMPLIANCE_PURCHASE_LIMIT_EXCEEDED
venue_rejected: INELIGIBLE_PAIR UNTRADABLE_PRODUCT+ OPEN_BRACKET_ORDERS BREACHED_RISK_LIMIT+ FOK_DISABLED+
  UBO_HIGH_LEVERAGE_QUANTITY_BREACHED+ STOP_ALREADY_TRIGGERED ORDER_IS_PENDING_CANCEL+ ASSET_BALANCE_INCREASE_REJECT+
  MAX_NOTIONAL_PER_ORDER_BREACHED_15C35_CHECK+ MAX_SHARES_PER_ORDER_BREACHED_15C35_CHECK+ RFQ_VALIDATION_FAILURE
  PREVIEW_INVALID_COMMISSION_CONFIGURATION PREVIEW_BREACHED_ACCOUNT_POSITION_LIMIT
  PREVIEW_BREACHED_COMPANY_POSITION_LIMIT PREVIEW_BREACHED_OPEN_INTEREST_LIMIT PREVIEW_OPPOSITE_MARGIN_TYPE_EXISTS
  PREVIEW_ECOSYSTEM_LEVERAGE_UTILIZATION_BREACHED PREVIEW_CLOSE_ONLY_FAILURE
  PREVIEW_UBO_HIGH_LEVERAGE_NOTIONAL_BREACHED PREVIEW_MAX_DAILY_VOLUME_NOTIONAL_BREACHED PREVIEW_STOP_TRIGGERED
  PREVIEW_PREDICTIONS_HIGH_PRICE_CONTRACTS_BLOCKED
unknown: UNKNOWN_FAILURE_REASON COMMANDER_REJECTED_NEW_ORDER RFQ_VENUE_REJECTED UNKNOWN_PREVIEW_FAILURE_REASON
"""


def _read_reasons() -> Generator[tuple[str, Outcome], None, None]:
    outcome: Outcome = Unknown()
    for word in _REASONS.split():
        if word.endswith(":"):
            outcome = _CLASSES[word[:-1]]
            continue
        yield word.rstrip("+"), outcome
        if word.endswith("+"):
            yield f"PREVIEW_{word[:-1]}", outcome


_CLOSE_REASONS: Final = dict(_read_reasons())
_PLACEHOLDERS: Final = ("UNKNOWN_FAILURE_REASON", "UNKNOWN_PREVIEW_FAILURE_REASON")

_CANCEL_REASONS: Final[dict[str, Outcome]] = {
    "UNKNOWN_CANCEL_FAILURE_REASON": Unknown(),
    "INVALID_CANCEL_REQUEST": Look(),  # seen for orders that are already gone
    "UNKNOWN_CANCEL_ORDER": Look(),
    "COMMANDER_REJECTED_CANCEL_ORDER": Look(),  # the order is normally still live: a look sends the cancel again
    "DUPLICATE_CANCEL_REQUEST": Look(),  # a cancel is pending
    "INVALID_CANCEL_PRODUCT_ID": Refused(code="invalid_command"),
    "INVALID_CANCEL_FCM_TRADING_SESSION": Retry(code="market_closed", after_s=10.0),
    "NOT_ALLOWED_TO_CANCEL": Refused(code="venue_rejected"),
    "ORDER_IS_FULLY_FILLED": Look(),
    "ORDER_IS_BEING_REPLACED": Retry(code="venue_rejected", after_s=1.0),
}

_BEFORE_PROCESSING: Final = (401, 403, 429)
_STATUSES: Final[dict[int, Outcome]] = {
    400: Refused(code="invalid_command"),
    401: Retry(code="auth_failed", after_s=0.5, tries=2),  # valid tokens are refused now and then
    403: Refused(code="account_restricted", alert=True),
    404: Refused(code="venue_rejected", alert=True),  # our own path, or a wrong `rest_url`
    429: Retry(code="rate_limited", after_s=1.0),
}

_ORDER_STATUSES: Final[dict[str, OrderStatus]] = {
    "PENDING": "working",
    "OPEN": "working",
    "QUEUED": "working",
    "EDIT_QUEUED": "working",
    "CANCEL_QUEUED": "working",
    "FILLED": "filled",
    "CANCELLED": "canceled",
    "EXPIRED": "expired",
    "FAILED": "rejected",
}

_SIDES: Final[dict[str, Side]] = {"BUY": "buy", "SELL": "sell"}
_ORDER_TYPES: Final[dict[str, OrderType]] = {"MARKET": "market", "LIMIT": "limit", "STOP": "stop", "STOP_LIMIT": "stop"}
_TIMES_IN_FORCE: Final[dict[str, TimeInForce]] = {
    "GOOD_UNTIL_CANCELLED": "gtc",
    "IMMEDIATE_OR_CANCEL": "ioc",
    "FILL_OR_KILL": "fok",
}
# The first of each pair is a report's, the others an order's; one table in the documentation writes `reject_Reason`.
_REASON_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "canceled": ("cancel_reason", "cancel_message"),
    "rejected": ("reject_reason", "reject_Reason", "reject_message"),
}
_EXACT: Final = Context(prec=200)  # quantities have at most 80 digits, their products 160

ADAPTER = Coinbase
