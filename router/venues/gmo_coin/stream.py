"""The private order feed: a token, a socket, three subscriptions, then order and execution events.

https://api.coin.z.com/docs/en/ (Order Events, Execution Events). Of a frame only ids, sizes and an order's status are
needed; whatever else is missing or odd is left out.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from router.venue_protocol import Request, Response, Stamp
from router.venue_protocol.reading import UNREADABLE, positive, raw_object, text_of
from router.venue_protocol.stream import Broken, Change, Changes, Ready, Say, Want
from router.venues.gmo_coin.codes import FORCES, ORDER_TYPES, SIDES
from router.venues.gmo_coin.rows import fill_of, id_of, number, status_of
from router.venues.gmo_coin.token import Token

_CHANNELS: Final = ("orderEvents", "executionEvents", "positionEvents")
_PACE_S: Final = 1.3  # "once per second per IP"; a second exactly is refused now and then
_SETTLE_MS: Final = 5_400  # three subscriptions at that pace, and how long the last one's refusal may take to come
_ROUNDS: Final = 3
_frame: Final[Decoder[Any]] = Decoder()


class _Event(Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of orderEvents or executionEvents; what only the latter have comes last."""

    order_id: Any
    order_size: Any
    order_executed_size: Any
    order_status: str | None = None
    symbol: Any = None
    side: Any = None
    execution_type: Any = None
    order_price: Any = None
    time_in_force: Any = None
    cancel_type: Any = None
    execution_id: Any = None
    execution_price: Any = None
    execution_size: Any = None
    execution_timestamp: Any = None
    position_id: Any = None
    fee: Any = None


class GmoCoinStream:
    """One connection: token, socket, three subscriptions, a while without a refusal, then `Ready`.

    `Ready` stands in line behind the subscriptions. When other accounts make those wait, a refusal may still come
    after it; that breaks the stream, as any error does then.
    """

    def __init__(self, ws_url: str) -> None:
        self._token = Token(ws_url)
        self._settled_ms: int | None = None  # while subscribing
        self._refused = False
        self._rounds = 0

    def begin(self, stamp: Stamp) -> Sequence[Want]:
        """Ask for a token."""
        return (self._token.ask(),)

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Hand the answer to the token."""
        return self._token.answered(request, response, stamp)

    def opened(self, stamp: Stamp) -> Sequence[Want]:
        """Subscribe."""
        return self._subscribe(stamp)

    def heard(self, frame: str | bytes, stamp: Stamp) -> Sequence[Want]:
        """Translate an order or execution event; positions are only a sign of life."""
        try:
            said = _frame.decode(frame)
        except UNREADABLE:
            return (Broken("a frame that cannot be read"),)
        if not isinstance(said, dict):
            return ()
        if "error" in said:
            return self._complained(said["error"])
        channel = said.get("channel")
        if channel not in _CHANNELS[:2]:
            return ()
        try:
            change = _change(msgspec.convert(said, _Event), channel == "executionEvents", raw_object(said))
        except UNREADABLE as error:
            return (Broken(f"{channel}: an event that cannot be read: {error}"[:100]),)
        return (Changes((change,)),)

    def tick(self, stamp: Stamp) -> Sequence[Want]:
        """Become ready, or subscribe again what was refused; extend the token."""
        if self._settled_ms is not None and stamp.now_ms >= self._settled_ms:
            if self._refused:
                return self._subscribe(stamp)
            self._settled_ms = None
            return (Ready(),)
        return self._token.extend(stamp)

    def end(self, stamp: Stamp) -> Sequence[Want]:
        """Delete the token."""
        return self._token.delete()

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
        return (Broken(self._token.hidden(text)[:100]),)


def _change(event: _Event, execution: bool, raw: Any) -> Change:
    """Translate an event. Raises `ValueError` for one without the sizes, the status or the id that it is read for.

    `orderExecutedSize` is the venue's own sum, so nothing is added up here. `cancelType` of an order that goes on
    (SOK_TAKER, PRICE_LIMIT) is no reason of its end.
    """
    order_id, size, filled = id_of(event.order_id), number(event.order_size), number(event.order_executed_size)
    if order_id is None:
        raise ValueError("an order without an id")
    if size is None or filled is None:
        raise ValueError("an order without sizes")
    if not execution and not event.order_status:
        raise ValueError("an order without a status")
    fill, time = None, None
    if execution:
        execution_id, executed = id_of(event.execution_id), number(event.execution_size)
        if execution_id is None or executed is None:
            raise ValueError("an execution without id or size")
        fill = fill_of(execution_id, number(event.execution_price), executed, event.fee, event.position_id)
        time = text_of(event.execution_timestamp)
    status = status_of("ORDERED" if execution else event.order_status or "", size, filled)
    symbol = text_of(event.symbol, 64)
    return Change(
        order_id=str(order_id),
        symbol=symbol if symbol and re.fullmatch(r"[A-Za-z0-9._:/-]+", symbol) else None,
        side=SIDES.get(text_of(event.side)),
        order_type=ORDER_TYPES.get(text_of(event.execution_type)),
        time_in_force=FORCES.get(text_of(event.time_in_force)),
        status=status,
        price=positive(number(event.order_price)),
        size=size,
        filled_size=filled,
        cancel_reason=text_of(event.cancel_type) if status in {"canceled", "expired"} else None,
        last_fill=fill,
        venue_time=time,
        raw=raw,
    )
