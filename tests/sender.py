"""A sender that knows only the contract: plain AMQP, plain JSON, nothing of the router's."""

import asyncio
import datetime
import json
import uuid
from types import TracebackType
from typing import Any, Self

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

ANSWER_S = 30.0


def in_seconds(seconds: float) -> str:
    """Return a deadline this far ahead, as a sender writes it."""
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).isoformat()


def close(**fields: Any) -> dict[str, Any]:
    """Return the close of the GMO Coin document, changed by `fields`."""
    return {
        "type": "close",
        "command_id": str(uuid.uuid4()),
        "venue": "gmo_coin",
        "account": "main",
        "symbol": "BTC_JPY",
        "position_id": "1000342",
        "side": "buy",
        "size": "3.44",
        "order_type": "limit",
        "price": "85201",
        "time_in_force": "gtc",
        "not_after": in_seconds(20),
        **fields,
    }


def cancel(**fields: Any) -> dict[str, Any]:
    """Return a cancel of the GMO Coin simulator's resting order, changed by `fields`."""
    return {
        "type": "cancel",
        "command_id": str(uuid.uuid4()),
        "venue": "gmo_coin",
        "account": "main",
        "order_id": "637000",
        "not_after": in_seconds(20),
        **fields,
    }


class Sender:
    """Publishes commands and keeps every message that comes back, in order.

    `durable`: the reply queue outlives a connection and a restart of the broker.
    """

    def __init__(self, url: str, prefix: str, *, durable: bool = False) -> None:
        self._url = url
        self._prefix = prefix
        self._durable = durable
        self.reply_to = f"sender.{uuid.uuid4()}"
        self.heard: list[tuple[dict[str, Any], AbstractIncomingMessage]] = []
        self._more = asyncio.Condition()
        self._connection: AbstractConnection | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def connect(self) -> None:
        """Connect, or connect again, and listen."""
        if self._connection is not None:
            await self._connection.close()
        self._connection = await aio_pika.connect(self._url)
        self.channel: AbstractChannel = await self._connection.channel(on_return_raises=True)
        queue: AbstractQueue = await self.channel.declare_queue(
            self.reply_to, exclusive=not self._durable, durable=self._durable
        )
        await queue.consume(self._hear)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is None or self.lost:
            return
        if self._durable:
            channel = await self._connection.channel()  # the other one may be closed, or hold unsent acknowledgements
            await channel.queue_delete(self.reply_to)
        await self._connection.close()

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        # `is_closed` is only about a close of our own.
        return self._connection is None or not self._connection.connected.is_set()

    async def publish(self, command: dict[str, Any], *, key: str | None = None, **properties: Any) -> str:
        """Publish a command as JSON under its own routing key and return its id."""
        body = json.dumps(command).encode()
        key = key or f"{command['venue']}.{command['account']}.{command['type']}"
        await self.publish_raw(body, key, **{"correlation_id": command["command_id"], **properties})
        return str(command["command_id"])

    async def publish_raw(self, body: bytes, key: str, **properties: Any) -> None:
        """Publish any bytes."""
        message = aio_pika.Message(
            body, **{"reply_to": self.reply_to, "delivery_mode": 2, "message_id": uuid.uuid4().hex, **properties}
        )
        exchange = await self.channel.get_exchange(f"{self._prefix}.commands", ensure=False)
        await exchange.publish(message, key)

    def results_of(self, correlation_id: str) -> list[dict[str, Any]]:
        """Return the results heard so far with a correlation id."""
        return self._of(correlation_id, "order.result")

    def events_of(self, correlation_id: str) -> list[dict[str, Any]]:
        """Return the order events heard so far with a correlation id."""
        return self._of(correlation_id, "order.event")

    async def results(self, correlation_id: str, count: int = 1, timeout_s: float = ANSWER_S) -> list[dict[str, Any]]:
        """Wait until so many results with a correlation id are there, and return them all."""
        async with asyncio.timeout(timeout_s), self._more:
            await self._more.wait_for(lambda: len(self.results_of(correlation_id)) >= count)
        return self.results_of(correlation_id)

    async def final(self, correlation_id: str, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Wait for a final result and return it."""

        def found() -> dict[str, Any] | None:
            return next((result for result in self.results_of(correlation_id) if result["final"]), None)

        async with asyncio.timeout(timeout_s), self._more:
            await self._more.wait_for(lambda: found() is not None)
        result = found()
        assert result is not None
        return result

    async def ask(self, command: dict[str, Any], timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Publish a command and return its final result."""
        return await self.final(await self.publish(command), timeout_s)

    def _of(self, correlation_id: str, kind: str) -> list[dict[str, Any]]:
        return [
            content
            for content, message in self.heard
            if message.correlation_id == correlation_id and message.type == kind
        ]

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        async with self._more:
            packed = message.content_type == "application/msgpack"
            result = msgspec.msgpack.decode(message.body) if packed else json.loads(message.body)
            self.heard.append((result, message))
            self._more.notify_all()
        await message.ack()
