"""The router's two ends at a real RabbitMQ, under a prefix of their own, and a sender's channel beside them."""

import asyncio
import datetime
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from router.broker import Consumer, Names, Publisher
from router.config import BrokerSettings
from router.records.command import Reply
from router.records.delivery import Delivery
from router.records.event import Copy, StoredEvent
from schemas.codec import JSON
from schemas.events import OrderEvent
from schemas.results import Result
from tests.bench import amqp
from tests.stack import until

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
LONG = bytes(range(256)) * 1200
"""More than two frames of 128 KiB."""


class Case:
    """A prefix of its own on the broker, a channel of a sender's, and the router's two ends."""

    def __init__(self, config: BrokerSettings, channel: AbstractChannel) -> None:
        self.config = config
        self.channel = channel
        self.names = Names(config.prefix)
        self.got: list[Delivery] = []
        self.publisher = Publisher(config)
        self.certified = 0
        self.consumer = Consumer(config, [("gmo_coin", "close")], self.got.append, self._certify)
        self._running: asyncio.Task[None] | None = None

    async def consume(self) -> None:
        """Begin to consume, and have everything declared."""
        self._running = asyncio.create_task(self.consumer.run())
        await until(lambda: self.consumer.consuming)

    async def _certify(self) -> None:
        assert not self.got, "nothing is consumed before"
        self.certified += 1

    async def end(self) -> None:
        """Consume no more: what is not acknowledged goes back."""
        await self.consumer.stop()
        await self.consumer.close()
        if self._running is not None:
            await self._running
        await self.publisher.close()

    async def send(self, *messages: aio_pika.Message) -> None:
        """Publish commands and wait until they are delivered."""
        exchange = await self.channel.get_exchange(self.names.commands, ensure=False)
        count = len(self.got) + len(messages)
        await asyncio.gather(*(exchange.publish(message, "gmo_coin.main.close") for message in messages))
        await until(lambda: len(self.got) == count)

    async def queue(self, **arguments: Any) -> AbstractQueue:
        """Declare a queue for replies."""
        return await self.channel.declare_queue(f"replies.{uuid.uuid4()}", exclusive=True, arguments=arguments)

    async def heard(self, queue: str) -> AbstractIncomingMessage:
        """Return the next message of a queue."""
        found = await self.channel.get_queue(queue, ensure=False)
        async with asyncio.timeout(30):
            while (message := await found.get(no_ack=True, fail=False)) is None:
                await asyncio.sleep(0.01)
        return message

    async def heard_raw(self, queue: str, count: int) -> list[bytes]:
        """Return the bodies of a queue's next messages, whatever their properties."""
        found: list[bytes] = []
        line = await amqp.connect(self.config.url, lambda _, body: found.append(body))
        await line.consume(queue)
        await until(lambda: len(found) == count)
        await line.close()
        return found

    async def delete(self) -> None:
        """Leave nothing behind."""
        names = self.names
        for queue in (names.lane("gmo_coin", "close"), names.results, names.dead, names.unrouted_queue, names.journal):
            await self.channel.queue_delete(queue)
        for exchange in (names.commands, names.unrouted, names.results, names.events, names.dead):
            await self.channel.exchange_delete(exchange)


@asynccontextmanager
async def case(url: str, **config: Any) -> AsyncIterator[Case]:
    """Make a case that consumes."""
    async with await aio_pika.connect(url) as connection:
        fields = {"url": url, "prefix": f"t{uuid.uuid4().hex[:8]}", "prefetch": 500, **config}
        made = Case(BrokerSettings(**fields), await connection.channel())
        try:
            await made.consume()
            yield made
        finally:
            await made.end()
            await made.delete()


def result(**fields: Any) -> Result:
    """Return an answer."""
    known = {
        "result_id": str(uuid.uuid4()),
        "seq": 1,
        "final": True,
        "command_id": "c-1",
        "action": "close",
        "venue": "gmo_coin",
        "account": "main",
        "outcome": "accepted",
        "received_at": NOW,
        "completed_at": NOW,
    }
    return Result(**{**known, **fields})


def event(copies: tuple[Copy, ...] = ()) -> StoredEvent:
    """Return an order event."""
    return StoredEvent(
        event=OrderEvent(
            event_id=str(uuid.uuid4()),
            venue="gmo_coin",
            account="main",
            seq=1,
            order_id="1",
            symbol="BTC_JPY",
            side="buy",
            order_type="limit",
            status="working",
            size="1",
            filled_size="0",
            received_at=NOW,
            source="stream",
        ),
        copies=copies,
    )


def reply(queue: str) -> Reply:
    """Return the address of a queue."""
    return Reply(reply_to=queue, correlation_id="c-1", content_type=JSON, traceparent="00-abc-01")
