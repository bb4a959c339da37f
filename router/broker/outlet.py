"""One publishing channel: messages go out in the order they were given, many under way, each until its confirm.

The channel is opened when there is something to publish, and again when it was lost. RabbitMQ counts the publishes of a
channel from 1 and confirms by that number; what no queue takes comes back first, and is recognised by its message id.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import takewhile
from typing import Final, NamedTuple

import msgspec

from router.broker import frames
from router.broker.frames import Content
from router.broker.wire import Owner, Wire
from router.errors import BrokerUnavailable, PublishFailed, Unroutable

CONFIRM_S: Final = 10.0
NOT_ALLOWED: Final = 403


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish. `message_id` is unique and is that in `properties`, which are those of `frames.properties`."""

    exchange: str
    key: str
    message_id: str
    properties: bytes
    body: bytes
    mandatory: bool


class Way(NamedTuple):
    """An open channel whose publishes are confirmed."""

    wire: Wire
    channel: int
    frame_max: int


class _UnderWay(NamedTuple):
    message: Message
    confirmed: asyncio.Future[None]
    due_at: float


class Outlet(Owner):
    """Publishes on a channel that `opened` gives, which raises `BrokerUnavailable`."""

    def __init__(self, opened: Callable[[], Awaitable[Way]]) -> None:
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._way: Way | None = None
        self._opening: asyncio.Task[None] | None = None
        self._waiting: deque[_UnderWay] = deque()
        self._written: dict[int, _UnderWay] = {}
        self._number = 0
        self._returned = Content()
        self._timer: asyncio.TimerHandle | None = None

    def publish(self, message: Message) -> asyncio.Future[None]:
        """Publish, in the order of calls. The future ends with the confirm.

        It raises `Unroutable` when no queue took the message, and `PublishFailed` when that is not known in time: a
        message without a confirm may have been taken.
        """
        due_at = self._loop.time() + CONFIRM_S
        under_way = _UnderWay(message, self._loop.create_future(), due_at)
        self._waiting.append(under_way)
        if self._timer is None:
            self._timer = self._loop.call_at(due_at, self._expire)
        self.go_on()
        return under_way.confirmed

    def go_on(self) -> None:
        """Write what waits, if the channel is open and socket and broker take it."""
        way = self._way
        if way is None:
            if self._waiting and self._opening is None:
                self._opening = self._loop.create_task(self._open())
            return
        while self._waiting and not way.wire.paused:
            under_way = self._waiting.popleft()
            if not under_way.confirmed.done():
                self._write(way, under_way)

    def take(self, kind: int, payload: bytes) -> bool:
        """Take confirms, and what comes back; the rest is aiormq's."""
        if kind != frames.METHOD:
            if self._returned.begun and self._returned.add(kind, payload):
                self._come_back(frames.read_properties(self._returned.header).message_id)
                self._returned.clear()
                return True
            return self._returned.begun
        method = payload[:4]
        if method == frames.ACK:
            self._settle(*frames.read_settled(payload), taken=True)
        elif method == frames.NACK:
            self._settle(*frames.read_settled(payload), taken=False)
        elif method == frames.RETURN:
            self._returned.begin(payload)
        else:
            return False
        return True

    def lost(self, code: int, why: str) -> None:
        """Fail everything, what is not written too: none may be published ahead of one that was asked for earlier."""
        self._way = None
        failed = [*self._written.values(), *self._waiting]
        self._written.clear()
        self._waiting.clear()
        self._returned.clear()
        for under_way in failed:
            if code == NOT_ALLOWED:
                _fail(under_way, Unroutable(f"writing to {under_way.message.key!r} is not allowed"))
            else:
                _fail(under_way, PublishFailed(f"not confirmed: {why}"))

    def close(self) -> None:
        """Publish nothing more."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None  # a task that had not begun would not do so
        if self._timer is not None:
            self._timer.cancel()
        self.lost(0, "closed")

    async def _open(self) -> None:
        try:
            self._way = way = await self._opened()
        except BrokerUnavailable as error:
            return self.lost(0, str(error))
        finally:
            self._opening = None
        self._number = 0
        way.wire.claim(way.channel, self)
        return self.go_on()

    def _write(self, way: Way, under_way: _UnderWay) -> None:
        message = under_way.message
        try:
            written = frames.publish(
                way.channel,
                message.exchange,
                message.key,
                message.properties,
                message.body,
                mandatory=message.mandatory,
                frame_max=way.frame_max,
            )
        except ValueError as error:
            return under_way.confirmed.set_exception(error)
        self._number += 1
        self._written[self._number] = under_way
        return way.wire.write(written)

    def _settle(self, number: int, multiple: bool, *, taken: bool) -> None:
        numbers = takewhile(number.__ge__, self._written) if multiple else (number,)
        for settled in tuple(numbers):
            under_way = self._written.pop(settled, None)
            if under_way is None or under_way.confirmed.done():
                continue  # it came back, or nobody waits any more
            if taken:
                under_way.confirmed.set_result(None)
            else:
                _fail(under_way, Unroutable(f"queue {under_way.message.key!r} refused the message"))

    def _come_back(self, message_id: str) -> None:
        # The number stays: what came back is confirmed as well.
        for under_way in self._written.values():
            if under_way.message.message_id == message_id:
                return _fail(under_way, Unroutable(f"queue {under_way.message.key!r} is gone"))
        return None

    def _expire(self) -> None:
        """Fail what has waited too long, and come back for the next."""
        now = self._loop.time()
        self._timer = None
        while self._waiting and self._waiting[0].due_at <= now:
            _fail(self._waiting.popleft(), PublishFailed(f"not sent within {CONFIRM_S} s"))
        for under_way in (*self._written.values(), *self._waiting):
            if under_way.confirmed.done():
                continue
            if under_way.due_at > now:
                self._timer = self._loop.call_at(under_way.due_at, self._expire)
                return
            _fail(under_way, PublishFailed(f"not confirmed within {CONFIRM_S} s"))


def _fail(under_way: _UnderWay, error: PublishFailed) -> None:
    if not under_way.confirmed.done():
        under_way.confirmed.set_exception(error)
