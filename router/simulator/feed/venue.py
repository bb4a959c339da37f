"""What the private feeds of all venues have in common: handshake, sockets, pings, faults, and what to publish when.

A venue's feed is told of every change of an order or a position of every account, and says it to the sockets that
listen. Each frame meets the scripted faults on its way out. There is no replay: a socket hears what happens while it
is open.
"""

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Struct

from router.simulator.book import Order, Position
from router.simulator.call import Account, Answer, Refusal, html_answer
from router.simulator.feed.faults import AT_ONCE, ArmedFeedFault, FeedFault, FeedFaults, Kind
from router.simulator.feed.load import STAMP
from router.simulator.feed.socket import CLOSE_S, Socket
from router.simulator.ledger import EntryKind, Origin, Subject

if TYPE_CHECKING:
    from router.simulator.venue import VenueSimulator

TICK_S: Final = 0.05
"""How often a socket is looked after: tokens, deadlines, heartbeats, pings."""
HOLD_S: Final = 1.0
"""How long a reordered event waits for another one to overtake it, unless the fault says."""
MISSED_PONGS: Final = 3

S = TypeVar("S", bound=Socket)


class Frame(Struct, frozen=True):
    """What a venue says, before it is numbered and written. `channel` is what faults call it by."""

    channel: str
    body: Any
    kind: Kind = "event"


class VenueFeed(ABC, Generic[S]):
    """One venue's private feed."""

    path: ClassVar[str]
    socket_type: type[S]

    def __init__(self, simulator: "VenueSimulator") -> None:
        self.simulator = simulator
        self.faults = FeedFaults()
        self.sockets: list[S] = []
        self.stamping: set[str] = set()
        self._numbers = itertools.count(1)
        self._newest = 0
        self._listeners: dict[str, list[S]] = {}
        self._held: dict[int, list[Callable[[], str]]] = {}

    # What a venue says for itself.

    @abstractmethod
    def render(self, socket: S, frame: Frame) -> str:
        """Write a frame, with its number where the venue has one."""

    @abstractmethod
    def heard(self, socket: S, content: object) -> None:
        """Take a client's message: decoded JSON, or `None` when it was none. Never raises."""

    @abstractmethod
    def order_changed(self, account: Account, before: Order | None, after: Order) -> None:
        """Publish what a change of an order means to the account's listeners. `before` is `None` for a new one."""

    def position_changed(self, account: Account, before: Position | None, after: Position | None) -> None:
        """Publish a change of a position; `None` is none."""

    def account_of(self, http: web.Request) -> str:
        """Return the account that a handshake names, empty when it names none."""
        return ""

    def shake(self, http: web.Request) -> None:
        """Raise `Refusal` for a handshake the venue does not take."""

    def opened(self, socket: S, http: web.Request) -> None:
        """Begin with a new connection."""

    def hears(self, socket: S, channel: str, row: dict[str, object]) -> bool:
        """Say whether a socket of the account wants an event."""
        return channel in socket.channels

    def tick(self, socket: S) -> None:
        """Look after an open socket, every `TICK_S`."""

    def end_tokens(self, account: Account, *, first_only: bool) -> None:
        """End the account's tokens: all of them, or with `first_only` the one that would end first."""
        raise ValueError(f"{self.simulator.venue} has no tokens")

    # What tests and the control routes do.

    def inject(self, fault: FeedFault) -> ArmedFeedFault:
        """Script a fault, or do what is to happen now. The answer's `struck` counts what it has hit.

        Raises `ValueError` for what the venue does not have.
        """
        armed = ArmedFeedFault(fault, newest=self._newest, now_s=time.monotonic())
        if fault.do in {"expire", "evict"}:
            for account in self.simulator.accounts.values():
                if fault.account in {"", account.name}:
                    self.end_tokens(account, first_only=fault.do == "evict")
        elif fault.do not in AT_ONCE and (fault.do != "cut" or fault.at):
            self.faults.add(armed)
            return armed
        for socket in tuple(self.sockets):
            if socket.open and fault.concerns(socket.account):
                armed.struck += 1
                self._at_once(socket, fault)
        return armed

    def reset(self) -> None:
        """Disarm every fault and drop every connection."""
        self.faults.clear()
        self.stamping.clear()
        self.hang_up()

    def hang_up(self) -> None:
        """End every connection at once."""
        for socket in tuple(self.sockets):
            socket.cut("close")

    def state(self) -> dict[str, object]:
        """Return the sockets that are open and the faults that wait."""
        sockets = [
            {"number": socket.number, "account": socket.account, "channels": list(socket.channels), "sent": socket.sent}
            for socket in self.sockets
        ]
        faults = [{"fault": armed.fault, "struck": armed.struck} for armed in self.faults.armed]
        return {"sockets": sockets, "faults": faults}

    # What venues use.

    def join(self, socket: S, account: str) -> None:
        """Let a socket belong to an account from now on."""
        socket.account = account
        self._listeners.setdefault(account, []).append(socket)

    def listeners(self, account: str) -> list[S]:
        """Return the sockets of an account."""
        return self._listeners.get(account, [])

    def publish(self, account: Account, channel: str, row: dict[str, object]) -> None:
        """Send an event to every socket of the account that wants it."""
        if account.name in self.stamping:
            row = {**row, STAMP: time.time_ns() // 1000}
        for socket in tuple(self.listeners(account.name)):
            if self.hears(socket, channel, row):
                self.send(socket, Frame(channel, row))

    def send(self, socket: S, frame: Frame) -> None:
        """Send a frame, or do to it what the next fault says."""
        now_s = time.monotonic()
        if self.faults.stalled(socket.number, socket.account, frame.channel, frame.kind, now_s):
            return
        fault = self.faults.take(socket.account, frame.channel, frame.kind, now_s)
        if fault is None:
            socket.push(self.render(socket, frame))
        else:
            self.record("fault", socket.account, f"{fault.do} {frame.channel}")
            self._spoil(socket, frame, fault)
        if frame.kind == "event" and (fault is None or fault.do != "reorder"):
            self._release(socket)

    def record(self, kind: EntryKind, account: str, note: str) -> None:
        """Write a ledger entry about the feed."""
        origin = Origin(endpoint="feed", account=account)
        self.simulator.ledger.add(kind, origin, Subject(), at_ms=self.simulator.now_ms(), note=note)

    def end(self, socket: S, why: str) -> None:
        """End a connection in order."""
        if socket.open:
            self.record("feed", socket.account, why)
            socket.end("close")

    # The life of a connection.

    async def connect(self, http: web.Request) -> web.StreamResponse:
        """Serve one client from handshake to end."""
        account = self.account_of(http)
        try:
            await self._admit(http, account)
        except Refusal as refusal:
            self.record(refusal.kind, account, refusal.code)
            return _response(refusal.answer)
        ws = web.WebSocketResponse(autoping=False, timeout=CLOSE_S, compress=False)
        await ws.prepare(http)
        self._newest = next(self._numbers)
        socket = self.socket_type(http, ws, self._newest)
        self.sockets.append(socket)
        self.record("feed", account, "connected")
        tasks = [asyncio.create_task(socket.write()), asyncio.create_task(self._look_after(socket))]
        for task in tasks:
            task.add_done_callback(lambda _: socket.cut("close") if not ws.closed else None)
        try:
            self.opened(socket, http)
            await self._listen(socket, ws)
        finally:
            await self._closed(socket, tasks)
        return ws

    async def _admit(self, http: web.Request, account: str) -> None:
        fault = self.faults.refusal(account, time.monotonic())
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
            raise Refusal(html_answer(fault.status), f"refuse {fault.status}", "fault")
        if self.simulator.behaviour.maintenance:
            raise Refusal(html_answer(503), "maintenance")
        self.shake(http)

    async def _listen(self, socket: S, ws: web.WebSocketResponse) -> None:
        try:
            async for message in ws:
                if message.type is WSMsgType.PONG:
                    socket.unanswered = 0
                elif message.type is WSMsgType.PING:
                    if not self._stalled(socket, "pong"):
                        await ws.pong(message.data)
                elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    self.heard(socket, _decoded(message.data))
                else:
                    return
        except ConnectionError:
            return  # the client is gone

    async def _look_after(self, socket: S) -> None:
        while socket.open:
            await asyncio.sleep(TICK_S)
            if time.monotonic() - socket.pinged_s >= self.simulator.behaviour.ping_s:
                if socket.unanswered >= MISSED_PONGS:
                    self.end(socket, "no pong")
                elif self._stalled(socket, "ping"):
                    socket.pinged_s = time.monotonic()
                else:
                    socket.ping()
            self.tick(socket)
        await asyncio.sleep(CLOSE_S)  # the writer says goodbye in the meantime

    async def _closed(self, socket: S, tasks: list["asyncio.Task[None]"]) -> None:
        socket.open = False
        self.sockets.remove(socket)
        if socket in self.listeners(socket.account):
            self._listeners[socket.account].remove(socket)
        self._held.pop(socket.number, None)
        self.record("feed", socket.account, "disconnected")
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def _stalled(self, socket: S, channel: str) -> bool:
        return self.faults.stalled(socket.number, socket.account, channel, "heartbeat", time.monotonic())

    def _at_once(self, socket: S, fault: FeedFault) -> None:
        if fault.do == "say":
            socket.push(fault.text)
        elif fault.do == "cut":
            self.record("fault", socket.account, "cut")
            if fault.how == "reset":
                socket.cut()
            else:
                self.end(socket, "cut")

    def _spoil(self, socket: S, frame: Frame, fault: FeedFault) -> None:
        if fault.do == "cut":
            socket.end(fault.how)
        elif fault.do == "reorder":
            self._hold(socket, frame, fault)
        else:
            text = self.render(socket, frame)
            if fault.do != "drop":
                socket.push(text, fault.delay_s)
            if fault.do == "duplicate":
                socket.push(text)

    def _hold(self, socket: S, frame: Frame, fault: FeedFault) -> None:
        """Keep an event until the next one was sent, or for its time."""
        if fault.renumbered:
            late = partial(self.render, socket, frame)
        else:
            text = self.render(socket, frame)
            late = partial(str, text)
        self._held.setdefault(socket.number, []).append(late)
        asyncio.get_running_loop().call_later(fault.delay_s or HOLD_S, self._release, socket)

    def _release(self, socket: S) -> None:
        for late in self._held.pop(socket.number, []):
            socket.push(late())


def _decoded(data: str | bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
