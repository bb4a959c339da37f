"""Take deliveries from the lanes, and come back whatever happens to the connection.

A consumer that comes back without consumers after a reconnect is known, so there is no self-healing connection here:
on any doubt the whole connection is dropped and opened again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError
from aiormq.abc import AbstractChannel as Underlay
from aiormq.abc import DeliveredMessage

from router.broker.connection import connect_wire, open_channel, underlay
from router.broker.deliveries import Deliveries
from router.broker.topology import Names, check, declare
from router.broker.wire import Wire
from router.config import Broker
from router.delivery import Delivery
from router.errors import BrokerUnavailable

RECONNECT_S = (0.1, 0.5, 1.0, 2.0, 5.0)
WATCHDOG_S = 5.0

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
        self._wire: Wire | None = None
        self._channel: Underlay | None = None
        self._consumers: list[str] = []
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
        for name in self._consumers:
            with suppress(AMQPError, RuntimeError, OSError, TimeoutError):
                assert self._channel is not None
                await self._channel.basic_cancel(name, timeout=2)
        self._broken.set()

    async def close(self) -> None:
        """Close the connection; what was not acknowledged goes back to its queue."""
        await self._drop()

    async def _consume(self) -> None:
        self._broken.clear()
        self._connection, self._wire = await connect_wire(self._config, "consume")
        broke = partial(self._broke, self._connection)
        self._connection.close_callbacks.add(broke)
        channel = await open_channel(self._connection)
        channel.close_callbacks.add(broke)
        ready = declare if self._config.declare else check
        queues = await ready(channel, self._names, self._lanes)
        try:
            await self._start(channel, self._wire, queues, broke)
        except (AMQPError, RuntimeError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(f"cannot consume: {type(error).__name__}") from None
        self._started = True
        _log.info("consuming", queues=sorted(queues))

    async def _start(
        self, channel: AbstractChannel, wire: Wire, queues: Iterable[str], broke: Callable[..., None]
    ) -> None:
        """Consume every queue, under its own name as the consumer's tag."""
        await channel.set_qos(prefetch_count=self._config.prefetch)
        self._channel, number, _ = await underlay(channel)
        self._channel.on_consumer_cancel_callbacks.add(broke)
        deliveries = Deliveries(wire, number, self._handle, broke)
        for name in queues:
            deliveries.expect(name, None if name == self._names.unrouted_queue else name.split(".")[-2])
            await self._channel.basic_consume(name, _never, consumer_tag=name)
            self._consumers.append(name)

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
        if self._wire is not None:
            self._wire.flush()  # the last acknowledgements
        if connection is not None:
            with suppress(AMQPError, RuntimeError, OSError, TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(3):
                    await connection.close()


async def _never(_: DeliveredMessage) -> None:
    """Stand in for aiormq's callback: it never sees a delivery."""
