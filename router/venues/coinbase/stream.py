"""The private order feed: the channels `heartbeats` and `user`, each subscribed with a token of its own.

https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec.json import Decoder

from router.venue_protocol import Request, Response, Stamp
from router.venue_protocol.reading import (
    UNREADABLE,
    decimal,
    iso_time,
    text_of,
    whole_number,
)
from router.venue_protocol.stream import Broken, Change, Changes, Connect, Ready, Say, Want
from router.venues.coinbase.rows import Progress, changed, fill_between, price_of, status_of, sum_of
from router.venues.coinbase.signing import BACKDATED_S, SigningKey, token

_SILENCE_MS: Final = 10_000
_BATCH: Final = 50
_BATCH_WAIT_MS: Final = 3_000
_frame: Final[Decoder[dict[str, Any]]] = Decoder(dict[str, Any], float_hook=str)


class CoinbaseStream:
    """One connection to the channels `heartbeats` and `user`.

    It breaks on a refusal, a hole in `sequence_num`, ten seconds without a heartbeat, and on what may be an order's
    report and cannot be read. A repeated number loses nothing, so it is no hole, nor is a count that begins again at 0:
    it is the connection's own, and breaking would go round in a loop. Frames of other kinds are ignored, as the
    documentation asks.
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
        self._orders: dict[str, Progress] = {}

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
            message = _frame.decode(frame)
        except UNREADABLE:
            return (Broken("a frame that cannot be read"),)
        if message.get("type") == "error":
            return (Broken(f"the venue says: {text_of(message.get('message')) or 'error'}"[:100]),)
        number = whole_number(message.get("sequence_num"))
        if number is not None:
            if self._sequence is not None and number not in {0, self._sequence, self._sequence + 1}:
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
        jws = token(self._key, self._key_name, None, now_ms // 1000 - BACKDATED_S, nonce)
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
            at = None if snapshot else iso_time(message.get("timestamp"))
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
        if not isinstance(row, dict) or not (order_id := text_of(row.get("order_id"))):
            return None
        filled, left = decimal(row.get("cumulative_quantity")), decimal(row.get("leaves_quantity"))
        status = status_of(row.get("status"), filled)
        before = self._orders.get(order_id)
        size = filled if status == "filled" else before.size if before else None
        if filled and left and status in {"working", "partially_filled"}:
            size = sum_of(filled, left)
        fees = decimal(row.get("total_fees"))
        now = Progress(
            size=size,
            filled=Decimal(filled) if filled else before.filled if before else Decimal(0),
            average=decimal(row.get("avg_price")),
            fees=Decimal(fees) if fees else None,
        )
        fill = fill_between(before, now, whole_number(row.get("number_of_fills"))) if filled else None
        if status in {"filled", "canceled", "expired", "rejected"}:
            self._orders.pop(order_id, None)
        elif before is None or now.filled >= before.filled:
            self._orders[order_id] = now
        price = price_of(row.get("limit_price"), row.get("stop_price"))
        return changed(row, status=status, price=price, size=size, filled_size=filled, last_fill=fill, venue_time=at)


def _names_user(events: object) -> bool:
    """Say whether an acknowledgement counts `user` among the subscriptions."""
    rows = (
        [event.get("subscriptions") for event in events if isinstance(event, dict)] if isinstance(events, list) else []
    )
    return any(isinstance(row, dict) and "user" in row for row in rows)
