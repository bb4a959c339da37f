"""Coinbase's user endpoint: channels `heartbeats` and `user`, each subscribed with a token of its own.

A token is checked when it is used and never again; it has no `uri`. Every message of a connection has a number,
whatever its channel. A refusal is a message of another shape, without number, and leaves the socket open.
unverified: whether a token may be used twice, and what follows a snapshot of exactly fifty orders (both switches).
"""

import itertools
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from router.simulator.book import Order
from router.simulator.call import Account
from router.simulator.feed import Frame, Socket, VenueFeed
from router.simulator.venues.coinbase.frames import orders_event, status, user_order
from router.simulator.venues.coinbase.rows import iso

if TYPE_CHECKING:
    from router.simulator.venues.coinbase.account import Coinbase

BATCH: Final = 50
IDLE_S: Final = 90.0
"""A connection on which nothing was sent for so long is closed; heartbeats keep it open."""

_CHANNELS: Final = ("heartbeats", "user")
_encode = msgspec.json.Encoder().encode


class CoinbaseSocket(Socket):
    """A connection with its numbers. `products` empty means all."""

    def __init__(self, http: web.Request, ws: web.WebSocketResponse, number: int) -> None:
        super().__init__(http, ws, number)
        self.numbers = itertools.count()
        self.beats = itertools.count()
        self.beat_s = 0.0
        self.products: frozenset[str] = frozenset()


class CoinbaseFeed(VenueFeed[CoinbaseSocket]):
    """The `user` channel."""

    simulator: "Coinbase"
    path = "/ws"
    socket_type = CoinbaseSocket

    def __init__(self, simulator: "Coinbase") -> None:
        super().__init__(simulator)
        self._used: set[str] = set()

    def reset(self) -> None:
        """Forget the used tokens, too."""
        super().reset()
        self._used.clear()

    def heard(self, socket: CoinbaseSocket, content: object) -> None:
        """Subscribe or unsubscribe one channel."""
        said: dict[str, Any] = content if isinstance(content, dict) else {}
        wish, channel, token = said.get("type"), said.get("channel"), said.get("jwt")
        if wish not in {"subscribe", "unsubscribe"}:
            self._complain(socket, "subscribe or unsubscribe required")
            return
        account = self.simulator.holder(token) if isinstance(token, str) else None
        if account is None or channel not in _CHANNELS or not self._may(socket, account, str(token)):
            self._complain(socket, "authentication failure")
            return
        self._used.add(str(token))
        if not socket.account:
            self.join(socket, account.name)
        if wish == "unsubscribe":
            socket.channels.pop(channel, None)
            self._acknowledge(socket)
        else:
            self._subscribe(socket, account, channel, said.get("product_ids"))

    def tick(self, socket: CoinbaseSocket) -> None:
        """Send heartbeats; end who never subscribed and what nobody hears from."""
        now_s, behaviour = time.monotonic(), self.simulator.behaviour
        if not socket.account and now_s - socket.opened_s > behaviour.subscribe_within_s:
            self.end(socket, "no subscription")
        elif "heartbeats" not in socket.channels:
            if now_s - socket.pushed_s > IDLE_S:
                self.end(socket, "idle")
        elif now_s >= socket.beat_s:
            late_s = now_s - socket.beat_s
            socket.beat_s = (now_s if late_s > behaviour.heartbeat_s else socket.beat_s) + behaviour.heartbeat_s
            beat = {"current_time": iso(self.simulator.now_ms()), "heartbeat_counter": next(socket.beats)}
            self.send(socket, Frame("heartbeats", [beat], "heartbeat"))

    def render(self, socket: CoinbaseSocket, frame: Frame) -> str:
        """Put a message in its numbered envelope; production has no `client_id`. A refusal has none."""
        if frame.channel == "error":
            return _encode(frame.body).decode()
        events = frame.body if isinstance(frame.body, list) else [orders_event("update", [frame.body])]
        envelope = {
            "channel": frame.channel,
            "timestamp": iso(self.simulator.now_ms()),
            "sequence_num": next(socket.numbers),
            "events": events,
        }
        return _encode(envelope).decode()

    def order_changed(self, account: Account, before: Order | None, after: Order) -> None:
        """Publish the order as it is now."""
        if self.listeners(account.name):
            self.publish(account, "user", user_order(after, len(account.book.fills_of(after.order_id))))

    def hears(self, socket: CoinbaseSocket, channel: str, row: dict[str, object]) -> bool:
        """Say whether the channel is subscribed, for this product."""
        return super().hears(socket, channel, row) and (not socket.products or row["product_id"] in socket.products)

    def _may(self, socket: CoinbaseSocket, account: Account, token: str) -> bool:
        fresh = token not in self._used or not self.simulator.behaviour.fresh_jwt
        return fresh and "read" in account.permissions and socket.account in {"", account.name}

    def _subscribe(self, socket: CoinbaseSocket, account: Account, channel: str, products: object) -> None:
        socket.channels[channel] = None
        self.record("feed", account.name, f"subscribed {channel}")
        late = self.simulator.behaviour.late_ack
        if not late:
            self._acknowledge(socket)
        if channel == "user":
            socket.products = frozenset(map(str, products)) if isinstance(products, list) else frozenset()
            self._show(socket, account)
        if late:
            self._acknowledge(socket)

    def _show(self, socket: CoinbaseSocket, account: Account) -> None:
        """Send a snapshot of the orders that are OPEN, in batches; the first that is not full is the last."""
        rows = [
            user_order(order, len(account.book.fills_of(order.order_id)))
            for order in account.book.live()
            if status(order) == "OPEN" and (not socket.products or order.symbol in socket.products)
        ]
        batches = [rows[first : first + BATCH] for first in range(0, len(rows), BATCH)]
        if not batches or (len(batches[-1]) == BATCH and self.simulator.behaviour.empty_last_batch):
            batches.append([])
        for batch in batches:
            self.send(socket, Frame("user", [orders_event("snapshot", batch)]))

    def _acknowledge(self, socket: CoinbaseSocket) -> None:
        values = {"heartbeats": ["heartbeats"], "user": ["00000000-0000-0000-0000-000000000001"]}
        subscriptions = {channel: values[channel] for channel in socket.channels}
        self.send(socket, Frame("subscriptions", [{"subscriptions": subscriptions}], "reply"))

    def _complain(self, socket: CoinbaseSocket, message: str) -> None:
        self.record("feed", socket.account, message)
        self.send(socket, Frame("error", {"type": "error", "message": message}, "reply"))
