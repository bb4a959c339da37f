"""BtcTurk's WebSocket: the server greets (991), the client logs in (114), and then hears of its account unasked.

The signature is over key and nonce alone. The nonce is a number of milliseconds that behaves like the window the
`timestamp` may be off; as a moment of time it is refused. One login a connection. Nothing is numbered, and the
messages of an order have no state of it.
unverified: whether a full fill deletes the order with a 452 (a switch), the words of a second login.
"""

import base64
import hashlib
import hmac
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from router.simulator.book import LIVE, Order
from router.simulator.call import Account, Refusal, with_headers
from router.simulator.feed import Frame, Socket, VenueFeed
from router.simulator.rates import Rate
from router.simulator.venues.btcturk import frames

if TYPE_CHECKING:
    from router.simulator.venues.btcturk.account import BtcTurk

CONNECT_RATE: Final = Rate(scope="connect", count=15, period_s=60, per="ip", shape="first", block_s=60)
NONCES: Final = range(100, 60_001)
"""What was found to be taken; below it is flaky at the venue."""

_encode = msgspec.json.Encoder().encode


class BtcTurkFeed(VenueFeed[Socket]):
    """Models 201, 423, 441, 451 and 452."""

    simulator: "BtcTurk"
    path = "/ws"
    socket_type = Socket

    def __init__(self, simulator: "BtcTurk") -> None:
        super().__init__(simulator)
        self._queued: dict[tuple[str, str], Decimal] = {}

    def reset(self) -> None:
        """Forget what was queued, too."""
        super().reset()
        self._queued.clear()

    def shake(self, http: web.Request) -> None:
        """Refuse the sixteenth connection of a minute, and all of the next minute."""
        breach = self.simulator.take(CONNECT_RATE.scope, account="", ip=http.remote or "")
        if breach is not None:
            wait = {"Retry-After": str(-int(-breach.wait_s // 1))}
            raise Refusal(with_headers(self.simulator.throttled(breach), wait), CONNECT_RATE.scope, "throttled")

    def opened(self, socket: Socket, http: web.Request) -> None:
        """Greet."""
        self.send(socket, Frame("991", frames.greeting(), "reply"))

    def heard(self, socket: Socket, content: object) -> None:
        """Take a login; whatever else is said is not answered."""
        kind, said = content if isinstance(content, list) and len(content) == 2 else (None, None)
        if kind != 114 or not isinstance(said, dict):
            return
        why, account = self._login(socket, said)
        self.record("feed", socket.account, f"login {why}".rstrip())
        if account is not None:
            self.join(socket, account.name)
        self.send(socket, Frame("114", frames.login_result(why), "reply"))

    def tick(self, socket: Socket) -> None:
        """Drop who has not logged in."""
        if not socket.account and time.monotonic() - socket.opened_s > self.simulator.behaviour.login_within_s:
            self.end(socket, "no login")

    def hears(self, socket: Socket, channel: str, row: dict[str, object]) -> bool:
        """Say yes: private models need no subscription."""
        return True

    def render(self, socket: Socket, frame: Frame) -> str:
        """Write the pair of type and object."""
        return _encode([int(frame.channel), frame.body]).decode()

    def order_changed(self, account: Account, before: Order | None, after: Order) -> None:
        """Publish what was put on the book, traded, and taken off it."""
        key = (account.name, after.order_id)
        if after.status == "canceling" and (before is None or before.status != "canceling"):
            self._queued[key] = after.left
        left = self._queued.pop(key, after.left) if after.status not in LIVE else after.left
        if before is None:
            if after.status in LIVE:
                self._publish(account, frames.insert(after))
            return
        if after.filled > before.filled:
            self._publish_fill(account, after)
        if after.status in LIVE:
            if after.price != before.price:
                self._publish(account, frames.delete(before, before.left))
                self._publish(account, frames.insert(after))
        elif before.status in LIVE and (after.status != "filled" or self.simulator.behaviour.filled_is_deleted):
            self._publish(account, frames.delete(after, left))

    def _publish(self, account: Account, row: dict[str, object]) -> None:
        self.publish(account, str(row["type"]), row)

    def _publish_fill(self, account: Account, order: Order) -> None:
        fill = account.book.fills_of(order.order_id)[0]
        for row in (frames.match(order, fill), frames.trade(order, fill), frames.balance(order)):
            self._publish(account, row)

    def _login(self, socket: Socket, said: dict[str, Any]) -> tuple[str, Account | None]:
        """Return what is wrong with a login, or whose it is."""
        key, nonce, stamp = str(said.get("publicKey")), said.get("nonce"), said.get("timestamp")
        holder = self.simulator.ws_login(key)
        if socket.account:
            return "Already logged in", None
        if holder is None:
            return "Unauthorized - Invalid Public Key", None
        if type(nonce) is not int or type(stamp) is not int or nonce not in NONCES:
            return "Unauthorized - Invalid Nonce", None
        if abs(stamp - self.simulator.now_ms()) > nonce:
            return "Unauthorized - Invalid Nonce", None
        account, secret = holder
        if not hmac.compare_digest(login_signature(key, secret, nonce).encode(), str(said.get("signature")).encode()):
            return "Unauthorized - Invalid Signature", None
        return "", account


def login_signature(key: str, secret: str, nonce: int) -> str:
    """Sign key and nonce, keyed with the bytes the secret encodes."""
    digest = hmac.new(base64.b64decode(secret), f"{key}{nonce}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
