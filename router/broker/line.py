"""One publishing connection, and a channel of its own for each reply queue that is in use.

On a channel whose queue does not confirm, one publish holds back every confirm of that channel; several hundred hold
the connection (measured, RabbitMQ 3.10). So no two reply queues share a channel at a time, and what hangs is counted.
Open channels are kept ready, so that a queue's first answer costs no round trip more.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq import Channel
from aiormq.exceptions import ChannelAccessRefused
from pamqp.commands import Basic

from router.broker.causes import in_words
from router.broker.connection import BROKEN, close, open_underlay
from router.broker.screen import Screen
from router.errors import BrokerUnavailable, PublishFailed, Unroutable

SPARE: Final = 4
"""How many open channels nobody uses are kept ready."""
CHANNELS: Final = 512
IDLE_S: Final = 10.0
"""How long a reply queue that is owed nothing keeps its channel."""
LATE_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Content(NamedTuple):
    """A message as AMQP carries it."""

    body: bytes
    properties: Basic.Properties


class Lane:
    """The channel of one reply queue or one exchange, and what is under way on it."""

    __slots__ = ("channel", "ready", "since", "under_way", "used")

    def __init__(self, channel: Channel | None) -> None:
        self.channel = channel
        self.ready: asyncio.Future[None] | None = None
        self.under_way = 0
        self.since = self.used = time.monotonic()
        """Since when something has been under way without any confirm."""


class Line:
    """A connection and its lanes. `on_refused` hears of an object that may not be written to."""

    def __init__(self, connection: AbstractConnection, screen: Screen, on_refused: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._screen = screen
        self._on_refused = on_refused
        self._spare: deque[Channel] = deque()
        self._lanes: dict[str, Lane] = {}

    @property
    def blocked(self) -> bool:
        """Whether an alarm at the broker keeps it from taking anything."""
        return self._screen.blocked

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        return self._connection.is_closed or not self._connection.connected.is_set()

    @property
    def under_way(self) -> int:
        """How much is not decided yet."""
        return sum(lane.under_way for lane in self._lanes.values())

    def late(self) -> int:
        """Return how much is under way on lanes that have confirmed nothing for a while."""
        over = time.monotonic() - LATE_S
        return sum(lane.under_way for lane in self._lanes.values() if lane.under_way and lane.since < over)

    async def refill(self) -> None:
        """Take channels back from queues that are owed nothing, and have some ready. Raises `BrokerUnavailable`."""
        over = time.monotonic() - IDLE_S
        for name, lane in list(self._lanes.items()):
            if not lane.under_way and lane.used < over:
                del self._lanes[name]
                if lane.channel is not None and not lane.channel.is_closed:
                    self._spare.append(lane.channel)
        while len(self._spare) > 2 * SPARE:
            await self._closed(self._spare.pop())
        while len(self._spare) < SPARE and len(self._lanes) < CHANNELS:
            self._spare.append(await open_underlay(self._connection))

    async def publish(self, lane_of: str, exchange: str, key: str, message: Content, *, mandatory: bool) -> None:
        """Publish, and return once the broker has confirmed it.

        `lane_of` names the lane: messages of one lane stay in order. Raises `Unroutable`, `PublishFailed`.
        """
        lane = self._lanes.get(lane_of)
        if lane is None or (lane.channel is not None and lane.channel.is_closed):
            lane = self._take(lane_of)
        if not lane.under_way:
            lane.since = time.monotonic()
        lane.under_way += 1
        try:
            if lane.channel is None:
                await self._opened(lane)
            await self._publish(lane, exchange, key, message, mandatory=mandatory)
        finally:
            lane.under_way -= 1
            lane.used = time.monotonic()

    def abandon(self, lane_of: str) -> "Awaitable[None] | None":
        """Close a lane's channel: what is under way on it fails."""
        lane = self._lanes.pop(lane_of, None)
        return None if lane is None or lane.channel is None else self._closed(lane.channel)

    async def close(self) -> None:
        """Close the connection."""
        await close(self._connection)

    def _take(self, lane_of: str) -> Lane:
        while self._spare and self._spare[0].is_closed:
            self._spare.popleft()
        lane = self._lanes[lane_of] = Lane(self._spare.popleft() if self._spare else None)
        return lane

    async def _opened(self, lane: Lane) -> None:
        """Open a lane's channel, once for all that wait for it."""
        if lane.ready is None:
            lane.ready = asyncio.ensure_future(self._open(lane))
        try:
            await asyncio.shield(lane.ready)
        except BrokerUnavailable as error:
            raise PublishFailed(str(error)) from None

    async def _open(self, lane: Lane) -> None:
        try:
            if len(self._lanes) > CHANNELS:
                raise BrokerUnavailable("there are too many reply queues at a time")
            lane.channel = await open_underlay(self._connection)
        finally:
            lane.ready = None

    async def _publish(self, lane: Lane, exchange: str, key: str, message: Content, *, mandatory: bool) -> None:
        channel = lane.channel
        if channel is None:
            raise PublishFailed("the channel is gone")
        try:
            # `wait` would hold the channel for everybody else until the socket has taken this message.
            await channel.basic_publish(
                message.body,
                exchange=exchange,
                routing_key=key,
                properties=message.properties,
                mandatory=mandatory,
                wait=False,
            )
        except PublishError:
            raise Unroutable(f"queue {key!r} is gone") from None
        except DeliveryError:
            raise Unroutable(f"queue {key!r} refused the message") from None
        except ChannelAccessRefused as error:
            what = f"exchange {exchange}" if exchange else f"queue {key}"
            self._on_refused(what, in_words(error, "write"))
            raise Unroutable(f"writing to {what} is not allowed") from None
        except BROKEN as error:
            raise PublishFailed(f"not confirmed: {in_words(error)}") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise PublishFailed("not confirmed: the connection ended") from None
        lane.since = time.monotonic()

    async def _closed(self, channel: Channel) -> None:
        try:
            async with asyncio.timeout(LATE_S):
                await channel.close()
        except BROKEN as error:
            _log.info("a channel did not close", error=in_words(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
