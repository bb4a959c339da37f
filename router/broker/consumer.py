"""Take deliveries from the lanes, and come back whatever happens to the connection.

The callback of a delivery only hands it over: aiormq cancels its callbacks when a connection dies, and a request to a
venue must not be cut in the middle by that. A consumer that comes back without consumers after a reconnect is known,
so there is no self-healing connection here: on any doubt the whole connection is dropped and opened again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError
from aiormq import spec
from aiormq.abc import AbstractChannel as Underlay
from aiormq.abc import DeliveredMessage

from router.answers import to_us
from router.broker.acks import Acks
from router.broker.connection import connect, open_channel, underlay
from router.broker.topology import Names, check, declare
from router.config import Broker
from router.delivery import Delivery
from router.errors import BrokerUnavailable

RECONNECT_S = (0.1, 0.5, 1.0, 2.0, 5.0)
WATCHDOG_S = 5.0
LEAVE_S = 1.0

_log = structlog.get_logger(__name__)


class Consumer:
    """One connection that consumes every lane, `prefetch` each.

    `handle` is called for every delivery and must return at once.
    """

    def __init__(self, config: Broker, lanes: Sequence[tuple[str, str]], handle: Callable[[Delivery], None]) -> None:
        self._config = config
        self._lanes = lanes
        self._names = Names(config.prefix)
        self._handle = handle
        self._connection: AbstractConnection | None = None
        self._channel: Underlay | None = None
        self._settling: Settling | None = None
        self._consumers: dict[str, str] = {}
        """Queue and consumer tag."""
        self._broken = asyncio.Event()
        self._started = False
        self._stopping = False

    @property
    def consuming(self) -> bool:
        """Whether every lane has a consumer on an open connection."""
        return self._started and not self._broken.is_set() and not self._stopping

    async def run(self) -> None:
        """Consume until `stop` is called."""
        failures = 0
        while not self._stopping:
            try:
                await self._consume()
                failures = 0
                await self._watch()
            except BrokerUnavailable as error:
                _log.warning("not consuming", error=str(error))
            if not self._stopping:
                self._started = False
                self._consumers.clear()
                await self._drop()
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1

    async def stop(self) -> None:
        """Take nothing more. What was delivered may still be acknowledged until `close`."""
        self._stopping = True
        for tag in self._consumers.values():
            with suppress(AMQPError, RuntimeError, OSError, TimeoutError):
                if self._channel is not None:
                    await self._channel.basic_cancel(tag, timeout=2)
        self._broken.set()

    async def close(self) -> None:
        """Close the connection; what was not acknowledged goes back to its queue."""
        await self._drop()

    async def _consume(self) -> None:
        self._broken.clear()
        self._connection = await connect(self._config, "consume")
        broke = partial(self._broke, self._connection)
        self._connection.close_callbacks.add(broke)
        channel = await open_channel(self._connection)
        channel.close_callbacks.add(broke)
        ready = declare if self._config.declare else check
        queues = await ready(channel, self._names, self._lanes)
        try:
            await self._start(channel, queues, broke)
        except (AMQPError, RuntimeError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(f"cannot consume: {type(error).__name__}") from None
        self._started = True
        _log.info("consuming", queues=sorted(queues))

    async def _start(self, channel: AbstractChannel, queues: Iterable[str], broke: Callable[..., None]) -> None:
        await channel.set_qos(prefetch_count=self._config.prefetch)
        self._channel = await underlay(channel)
        self._channel.on_consumer_cancel_callbacks.add(broke)
        settling = self._settling = Settling(self._channel)
        for name in queues:
            venue = None if name == self._names.unrouted_queue else name.split(".")[-2]
            consuming = await self._channel.basic_consume(name, self._callback(venue, settling))
            self._consumers[name] = consuming.consumer_tag or ""

    def _callback(
        self, venue: str | None, settling: "Settling"
    ) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
        async def take(message: DeliveredMessage) -> None:
            self._handle(settling.delivery(message, venue))

        return take

    def _broke(self, connection: AbstractConnection, *_: object) -> None:
        if connection is self._connection:  # not one that we have dropped, and that comes to its end only now
            self._broken.set()

    async def _watch(self) -> None:
        """Return when deliveries are not possible any more. Queues that lost their consumer without a word count."""
        while not self._broken.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCHDOG_S):
                    await self._broken.wait()
            if self._broken.is_set() or self._connection is None:
                return
            try:
                async with asyncio.timeout(WATCHDOG_S):
                    channel = await self._connection.channel(publisher_confirms=False)
                    for name in self._consumers:
                        queue = await channel.declare_queue(name, passive=True)
                        if not queue.declaration_result.consumer_count:
                            raise BrokerUnavailable(f"queue {name} has lost its consumer")
                    await channel.close()
            except (AMQPError, RuntimeError, OSError, TimeoutError) as error:
                raise BrokerUnavailable(f"the connection is not usable: {type(error).__name__}") from None

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if self._settling is not None:
            await self._settling.left()
        if connection is not None:
            with suppress(AMQPError, RuntimeError, OSError, TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(3):
                    await connection.close()


class Settling:
    """The deliveries of one channel. Acknowledgements asked for in one turn of the loop leave together."""

    def __init__(self, channel: Underlay) -> None:
        self._channel = channel
        self._acks = Acks()
        self._leaving: asyncio.Task[None] | None = None

    def delivery(self, message: DeliveredMessage, venue: str | None) -> Delivery:
        """Return what the router reads of a message."""
        frame, about = message.delivery, message.header.properties
        assert isinstance(frame, spec.Basic.Deliver)
        tag, redelivered = frame.delivery_tag or 0, bool(frame.redelivered)
        headers = about.headers or {}
        self._acks.delivered(tag)
        return Delivery(
            body=message.body,
            venue=venue,
            routing_key=frame.routing_key or "",
            sender=about.user_id or "",
            reply_to=about.reply_to or "",
            correlation_id=about.correlation_id or "",
            content_type=about.content_type or "",
            traceparent=_text(headers.get("traceparent")),
            redelivered=redelivered,
            # On a first delivery the header can only be the publisher's own.
            deliveries=_number(headers.get("x-delivery-count")) if redelivered else 0,
            content_encoding=about.content_encoding or "",
            sent_us=to_us(about.timestamp) if about.timestamp else None,
            headers=headers,
            ack=partial(self._ack, tag),
            requeue=partial(self._requeue, tag),
        )

    async def _ack(self, tag: int) -> None:
        """Acknowledge a delivery soon. There is no answer to that. Raises on a channel that is gone."""
        self._check()
        self._acks.ask(tag)
        if self._leaving is None:
            # In a task of its own, so that whoever asked may be cancelled meanwhile.
            self._leaving = asyncio.create_task(self._leave(), name="acks")

    async def _leave(self) -> None:
        try:
            while acks := self._acks.collect():
                for number, (tag, multiple) in enumerate(acks, 1):
                    # For the last one until it is written: a connection that is closed drops what is not.
                    await self._channel.basic_ack(tag, multiple=multiple, wait=number == len(acks))
        except (AMQPError, RuntimeError, OSError):
            pass  # the channel is gone: the broker delivers again
        finally:
            self._leaving = None

    async def left(self) -> None:
        """Wait until what was asked for is written, for a moment at most."""
        if self._leaving is not None:
            await asyncio.wait([self._leaving], timeout=LEAVE_S)

    async def _requeue(self, tag: int) -> None:
        self._check()
        self._acks.check(tag)
        # In this order: as long as it is outstanding here, no acknowledgement of many takes it along.
        await self._channel.basic_nack(tag, requeue=True, wait=False)
        self._acks.requeued(tag)

    def _check(self) -> None:
        if self._channel.is_closed:
            raise BrokerUnavailable("the channel of this delivery is gone")


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value[:128] if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
