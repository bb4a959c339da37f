"""Take deliveries from the lanes, and come back whatever happens to the connection.

A consumer that comes back without consumers after a reconnect is known, so there is no self-healing connection here:
on any doubt the whole connection is dropped and opened again. Each queue has a channel of its own.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final

import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import MessageProcessError
from aiormq.abc import AbstractChannel, DeliveredMessage

from router.broker.connection import CALL_S, close, connect, named, open_channel, open_underlay
from router.broker.screen import DAMAGED
from router.broker.topology import Names, consumed, declare
from router.config import BrokerSettings
from router.errors import BrokerUnavailable, JournalUnavailable
from router.records.delivery import Delivery

WIDEST: Final = 32
"""How many times `prefetch` may be unacknowledged on one lane while the journal is away."""
RECONNECT_S: Final = (0.1, 0.5, 1.0, 2.0, 3.0)
WATCHDOG_S: Final = 5.0
STOP_S: Final = 2.0

_log = structlog.get_logger(__name__)


class Consumer:
    """One connection that consumes every lane, `prefetch` each.

    `handle` is called for every delivery and must return at once. `certify` is awaited before anything is consumed.
    """

    def __init__(
        self,
        config: BrokerSettings,
        lanes: Sequence[tuple[str, str]],
        handle: Callable[[Delivery], None],
        certify: Callable[[], Awaitable[None]],
    ) -> None:
        self._config = config
        self._lanes = lanes
        self._names = Names(config.prefix)
        self._handle = handle
        self._certify = certify
        self._connection: AbstractConnection | None = None
        self._consumers: dict[str, AbstractChannel] = {}
        self._channel: AbstractChannel | None = None
        self._broken = asyncio.Event()
        self._started = False
        self._stopping = False
        self._delivered_at = 0.0
        self._held: Counter[str] = Counter()
        self._widening: set[asyncio.Task[None]] = set()

    @property
    def consuming(self) -> bool:
        """Whether every lane has a consumer on an open connection."""
        return self._started and not self._broken.is_set() and not self._stopping

    async def run(self) -> None:
        """Consume until `stop` is called. Raises what `certify` raises, but for a broker or a journal that is away."""
        failures = 0
        while not self._stopping:
            try:
                await self._consume()
                failures = 0
                await self._watch()
                why = "the connection was lost"
            except (BrokerUnavailable, JournalUnavailable) as error:
                why = str(error)
            if not self._stopping:
                _log.warning("not consuming", error=why)
                self._started = False
                self._consumers.clear()
                self._held.clear()
                await self._drop()
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1

    async def stop(self) -> None:
        """Take nothing more. What was delivered may still be acknowledged until `close`."""
        self._stopping = True
        consumers, self._consumers = self._consumers, {}
        if consumers and not self._broken.is_set():
            await asyncio.gather(*(self._cancel(name, channel) for name, channel in consumers.items()))
        self._broken.set()

    async def close(self) -> None:
        """Close the connection; what was not acknowledged goes back to its queue."""
        if self._channel is not None and not self._channel.is_closed:
            # Frames leave in order: once the broker has answered, it has every acknowledgement before.
            with suppress(BrokerUnavailable), named("acknowledgements may be lost"):
                async with asyncio.timeout(STOP_S):
                    await self._channel.close()
        await self._drop()

    async def _cancel(self, name: str, channel: AbstractChannel) -> None:
        try:
            with named("cannot stop consuming"):
                async with asyncio.timeout(STOP_S):
                    await channel.basic_cancel(name)
        except BrokerUnavailable as error:
            _log.info("a lane was not stopped", queue=name, error=str(error))

    async def _consume(self) -> None:
        self._broken.clear()
        self._connection = await connect(self._config, "consume")
        broke = partial(self._broke, self._connection)
        self._connection.close_callbacks.add(broke)
        if self._config.declare:
            queues = await declare(await open_channel(self._connection), self._names, self._lanes)
        else:
            queues = consumed(self._names, self._lanes)
        await self._certify()
        for name in queues:
            with named(f"cannot consume {name}", "read"):
                async with asyncio.timeout(CALL_S):
                    await self._start(await open_underlay(self._connection), name, broke)
        if self._broken.is_set():
            raise BrokerUnavailable("the connection was lost before it consumed")
        self._started = True
        _log.info("consuming", queues=sorted(queues))

    async def _start(self, channel: AbstractChannel, name: str, broke: Callable[..., None], tag: str = "") -> None:
        """Consume one queue, under its own name as the consumer's tag unless one is given."""
        channel.closing.add_done_callback(broke)
        channel.on_consumer_cancel_callbacks.add(broke)
        await channel.basic_qos(prefetch_count=self._config.prefetch)
        venue = None if name == self._names.unrouted_queue else name.split(".")[-2]
        tag = tag or name
        await channel.basic_consume(name, partial(self._hear, venue, partial(self._hold, name)), consumer_tag=tag)
        self._consumers[tag] = self._channel = channel

    async def _hear(self, venue: str | None, hold: Callable[[], None], message: DeliveredMessage) -> None:
        """Hand a delivery over. aiormq cancels this when the connection ends: nothing of a command runs in it."""
        self._delivered_at = time.monotonic()
        self._handle(delivery(message, venue, hold))

    def _hold(self, name: str) -> None:
        """Consume a queue once more when what it has delivered is held for long, as much as may be unacknowledged."""
        self._held[name] += 1
        wide, more = divmod(self._held[name], self._config.prefetch)
        if not more and wide < WIDEST and self._connection is not None and self.consuming:
            task = asyncio.create_task(self._widen(self._connection, name, f"{name}#{wide}"), name=f"consume {name}")
            self._widening.add(task)
            task.add_done_callback(self._widening.discard)

    async def _widen(self, connection: AbstractConnection, name: str, tag: str) -> None:
        try:
            with named(f"cannot consume more of {name}"):
                async with asyncio.timeout(CALL_S):
                    await self._start(await open_underlay(connection), name, partial(self._broke, connection), tag)
        except BrokerUnavailable as error:
            _log.warning("a full lane stays full", queue=name, error=str(error))

    def _broke(self, connection: AbstractConnection, *_: object) -> None:
        if connection is self._connection:  # not one that we have dropped, and that comes to its end only now
            self._broken.set()

    async def _watch(self) -> None:
        """Return when deliveries are not possible any more. Queues that lost their consumer without a word count.

        A connection that delivers is left alone; one that is slow has as long as it takes to count as dead.
        """
        while not self._broken.is_set():
            try:
                async with asyncio.timeout(WATCHDOG_S):
                    await self._broken.wait()
            except TimeoutError:
                if time.monotonic() - self._delivered_at > WATCHDOG_S and self._connection is not None:
                    await self._look(self._connection)

    async def _look(self, connection: AbstractConnection) -> None:
        with named("the connection is not usable"):
            async with asyncio.timeout(max(2 * self._config.heartbeat_s, CALL_S)):
                channel = await connection.channel(publisher_confirms=False)
                for name in {tag.partition("#")[0] for tag in self._consumers}:
                    queue = await channel.declare_queue(name, passive=True)
                    if not queue.declaration_result.consumer_count and not self._stopping:
                        raise BrokerUnavailable(f"queue {name} has lost its consumer")
                await channel.close()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        await close(connection)


class Settlement:
    """How a delivery is settled, once: a second time would cost the channel. Nobody waits for the socket."""

    __slots__ = ("_message", "_settled")

    def __init__(self, message: DeliveredMessage) -> None:
        self._message = message
        self._settled = False

    async def ack(self) -> None:
        """Acknowledge. Raises `MessageProcessError` when that was done, or rejected, before."""
        await self._message.channel.basic_ack(self._tag(), wait=False)
        self._settled = True

    async def reject(self) -> None:
        """Reject, for the broker to dead-letter it. Raises as `ack` does."""
        await self._message.channel.basic_reject(self._tag(), requeue=False, wait=False)
        self._settled = True

    def _tag(self) -> int:
        if self._settled:
            raise MessageProcessError("a delivery is settled once", self._message)
        return self._message.delivery_tag or 0


def delivery(message: DeliveredMessage, venue: str | None, hold: Callable[[], None]) -> Delivery:
    """Return a delivery as the worker reads it."""
    properties = message.header.properties
    headers = properties.headers or {}
    settlement = Settlement(message)
    return Delivery(
        body=message.body,
        venue=venue,
        routing_key=message.routing_key or "",
        sender=properties.user_id or "",
        reply_to=properties.reply_to or "",
        correlation_id=properties.correlation_id or "",
        content_type=properties.content_type or "",
        content_encoding=properties.content_encoding or "",
        traceparent=_text(headers.get("traceparent")),
        redelivered=bool(message.redelivered),
        sent_us=_us(properties.timestamp),
        headers=headers,
        message_id=properties.message_id or "",
        damaged=_text(headers.get(DAMAGED)),
        ack=settlement.ack,
        reject=settlement.reject,
        hold=hold,
    )


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("ascii", "replace")
    return value[:128] if isinstance(value, str) else ""


def _us(timestamp: Any) -> int | None:
    return int(timestamp.timestamp()) * 1_000_000 if isinstance(timestamp, datetime) else None
