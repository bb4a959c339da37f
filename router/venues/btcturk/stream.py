"""The private order feed: one connection, a login, then messages until it breaks."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.json import Decoder

from router.venue_protocol import Request, Response, Stamp
from router.venue_protocol.reading import MAX_ID, UNREADABLE, ms_time, positive, raw_object, signed_decimal, text_of
from router.venue_protocol.stream import Broken, Change, Changes, Connect, Fill, Ready, Say, Want
from router.venues.btcturk.codes import order_type_of, side_of
from router.venues.btcturk.signing import LOGIN, BtcTurkSecrets, login
from schemas.results import OrderStatus

_TRADE: Final = 423
_DELETED: Final = 452
_BOOKED: Final = frozenset({451, 452, 453})
_LOGIN_MS: Final = 10_000
_frame: Final[Decoder[Any]] = Decoder(float_hook=str)


class Trade(Struct, frozen=True, kw_only=True, rename="camel"):
    """Message 423, and a row of the transactions: the same object (issue 529)."""

    id: Annotated[int, Meta(ge=1, le=MAX_ID)]
    order_id: Annotated[int, Meta(ge=0, le=MAX_ID)]
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

    id: Annotated[int, Meta(ge=0, le=MAX_ID)]
    symbol: Any = None
    method: Any = None
    order_type: Any = None
    price: Any = None
    amount: Any = None
    num_left: Any = None
    new_order_client_id: Any = None


class BtcTurkStream:
    """One connection: a login, then messages until it breaks."""

    def __init__(self, ws_url: str, secrets: BtcTurkSecrets) -> None:
        self._ws_url = ws_url
        self._key = secrets.ws_api_key
        self._secret = secrets.ws_api_secret
        self._said_ms: int | None = None
        self._ready = False

    def begin(self, stamp: Stamp) -> Sequence[Want]:
        """Open the socket, if there is a key to log in with."""
        if login(self._key, self._secret, stamp) is None:
            missing = [name for name, held in (("ws_api_key", self._key), ("ws_api_secret", self._secret)) if not held]
            lacks = f"{' and '.join(missing)} not configured" if missing else "ws_api_secret is no base64"
            return (Broken(f"{lacks}: the order stream takes a key pair of its own"),)
        return (Connect(self._ws_url),)

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Nothing is asked for."""
        return ()

    def opened(self, stamp: Stamp) -> Sequence[Want]:
        """Log in."""
        text = login(self._key, self._secret, stamp)
        self._said_ms = stamp.now_ms
        return (Broken("the stream's keys cannot be used"),) if text is None else (Say(text),)

    def heard(self, frame: str | bytes, stamp: Stamp) -> Sequence[Want]:
        """Translate `[type, {…}]`. Types that are not known here are none of ours (WebSocket Feed, Models)."""
        try:
            said = _frame.decode(frame)
        except UNREADABLE:
            return (Broken("a frame that cannot be read"),)
        if not isinstance(said, list) or len(said) < 2 or not isinstance(said[1], dict):
            return ()
        kind, body = said[0], said[1]
        if kind == LOGIN:
            return self._logged_in(body)
        try:
            if kind == _TRADE:
                change = _traded(msgspec.convert(body, Trade, strict=False), body)
            elif isinstance(kind, int) and kind in _BOOKED:
                change = _booked(msgspec.convert(body, _Booked, strict=False), kind == _DELETED, body)
            else:
                return ()
        except UNREADABLE:
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


def _traded(trade: Trade, raw: Any) -> Change | None:
    """One fill. Raises `ValueError` when its size cannot be read: the sum would be wrong from there on."""
    if not trade.order_id:
        return None
    fill = fill_of(trade)
    if fill.size is None:
        raise ValueError("a trade without a size")
    pair = f"{trade.numerator_symbol}{trade.denominator_symbol}"
    return Change(
        order_id=str(trade.order_id),
        client_order_id=text_of(trade.order_client_id, 64),
        symbol=pair if re.fullmatch(r"[A-Z0-9]{2,40}", pair) else None,
        side=side_of(trade.order_type),
        last_fill=fill,
        venue_time=ms_time(trade.timestamp),
        raw=raw_object(raw),
    )


def fill_of(trade: Trade) -> Fill:
    """Drop the sign that a sell's amounts carry. A sell's fee is in what it brought."""
    amount = signed_decimal(trade.precise_amount) or signed_decimal(trade.amount)
    fee, sold = signed_decimal(trade.fee), side_of(trade.order_type) == "sell"
    if fee is not None and amount is not None and amount.startswith("-"):
        fee = fee[1:] if fee.startswith("-") else f"-{fee}"
    return Fill(
        execution_id=str(trade.id),
        price=positive(trade.price),
        size=None if amount is None else amount.removeprefix("-"),
        fee=fee,
        fee_asset=text_of(trade.denominator_symbol, 64) if fee is not None and sold else None,
    )


def _booked(row: _Booked, deleted: bool, raw: Any) -> Change | None:
    """On the book, or off it: canceled, unless nothing was left of it."""
    if not row.id:
        return None
    size, left = positive(row.amount), signed_decimal(row.num_left)
    filled = deleted and size is not None and left is not None and not Decimal(left)
    gone: OrderStatus = "filled" if filled else "canceled"
    symbol = text_of(row.symbol, 64)
    return Change(
        order_id=str(row.id),
        client_order_id=text_of(row.new_order_client_id, 64),
        symbol=symbol if symbol and re.fullmatch(r"[A-Za-z0-9_]{2,40}", symbol) else None,
        side=side_of(row.order_type),
        order_type=order_type_of(row.method),
        status=gone if deleted else "working",
        price=positive(row.price),
        size=size,
        filled_size=size if filled else None,
        raw=raw_object(raw),
    )
