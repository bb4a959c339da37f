"""GMO Coin's private WebSocket: `/ws/private/v1/{token}`, one subscription a second from an address.

A token stands for the account and for what its key may hear, as it was when the token was issued. A subscription is
never confirmed; one that is refused gets an error frame and leaves the socket open and silent.
unverified: what an unknown token's handshake is answered with, and whether the end of a token ends its open socket
(a switch).
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from router.simulator.book import ZERO, Order, Position
from router.simulator.call import Account, Refusal, json_answer
from router.simulator.feed import Frame, Socket, VenueFeed
from router.simulator.rates import Rate
from router.simulator.venues.gmo_coin.frames import (
    CHANNELS,
    PositionType,
    execution_event,
    message_type,
    order_event,
    position_event,
)

if TYPE_CHECKING:
    from router.simulator.venues.gmo_coin.account import GmoCoin

SUBSCRIBE_RATE: Final = Rate(scope="subscribe", count=1, period_s=1, per="ip")

_TOO_MANY: Final = "ERR-5003 Request too many."
_NOT_ALLOWED: Final = "ERR-5012 Unauthorized."
_INVALID: Final = "ERR-5106 Invalid request parameter."
_encode = msgspec.json.Encoder().encode


class GmoSocket(Socket):
    """A connection under a token."""

    token: str = ""
    ended: bool = False
    """Its token is no more, and the venue goes silent without a word (`expiry`)."""


class GmoFeed(VenueFeed[GmoSocket]):
    """orderEvents, executionEvents and positionEvents."""

    simulator: "GmoCoin"
    path = "/ws/private/v1/{token}"
    socket_type = GmoSocket

    def account_of(self, http: web.Request) -> str:
        """Return the token's account."""
        return self.simulator.tokens.owner(http.match_info["token"], self.simulator.now_ms()) or ""

    def shake(self, http: web.Request) -> None:
        """Refuse a token that is not valid."""
        if not self.account_of(http):
            raise Refusal(json_answer(401, {"error": "Unauthorized"}), "token", "bad_signature")

    def opened(self, socket: GmoSocket, http: web.Request) -> None:
        """Give the socket to the token's account."""
        socket.token = http.match_info["token"]
        self.join(socket, self.account_of(http))

    def heard(self, socket: GmoSocket, content: object) -> None:
        """Subscribe or unsubscribe; both count for the pace of the address, and only an error is answered."""
        said: dict[str, Any] = content if isinstance(content, dict) else {}
        command, channel = said.get("command"), said.get("channel")
        if self.simulator.take(SUBSCRIBE_RATE.scope, account=socket.account, ip=socket.ip) is not None:
            self._complain(socket, _TOO_MANY, channel)
        elif command not in {"subscribe", "unsubscribe"} or channel not in CHANNELS:
            self._complain(socket, _INVALID, channel)
        elif command == "unsubscribe":
            socket.channels.pop(str(channel), None)
        elif channel in self.simulator.tokens.denied(socket.token):
            self._complain(socket, _NOT_ALLOWED, channel)
        else:
            socket.channels[str(channel)] = None
            self.record("feed", socket.account, f"subscribed {channel}")

    def tick(self, socket: GmoSocket) -> None:
        """Notice that the token is no more."""
        how = self.simulator.behaviour.expiry
        if how == "ignore" or self.simulator.tokens.valid(socket.account, socket.token, self.simulator.now_ms()):
            return
        if how == "kick":
            self.end(socket, "token ended")
        elif not socket.ended:
            socket.ended = True
            self.record("feed", socket.account, "token ended")

    def end_tokens(self, account: Account, *, first_only: bool) -> None:
        """End the account's tokens."""
        if first_only:
            self.simulator.tokens.evict(account.name, self.simulator.now_ms())
        else:
            self.simulator.tokens.forget(account.name)

    def render(self, socket: GmoSocket, frame: Frame) -> str:
        """Write the row; nothing is numbered."""
        return _encode(frame.body).decode()

    def send(self, socket: GmoSocket, frame: Frame) -> None:
        """Send unless the socket has gone silent."""
        if not socket.ended:
            super().send(socket, frame)

    def order_changed(self, account: Account, before: Order | None, after: Order) -> None:
        """Publish a change of state to orderEvents, and a trade to executionEvents alone."""
        if not self.listeners(account.name):
            return
        kind = message_type(before, after)
        if kind is not None:
            self.publish(account, "orderEvents", order_event(after, kind))
        if before is not None and after.filled > before.filled:
            fill = account.book.fills_of(after.order_id)[0]
            self.publish(account, "executionEvents", execution_event(after, fill))

    def position_changed(self, account: Account, before: Position | None, after: Position | None) -> None:
        """Publish an opened, changed or closed position."""
        row = after or before
        if row is None or not self.listeners(account.name):
            return
        reserved = account.book.reserved().get(row.position_id, ZERO) if after else ZERO
        kind: PositionType = "CPR" if after is None else ("UPR" if before else "OPR")
        size = after.size if after else ZERO
        self.publish(account, "positionEvents", position_event(row, size, reserved, kind))

    def _complain(self, socket: GmoSocket, error: str, channel: object) -> None:
        self.record("feed", socket.account, f"{error.partition(' ')[0]} {channel}")
        self.send(socket, Frame("error", {"error": error}, "reply"))
