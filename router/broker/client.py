"""The sender's side: publish a command and hear its results and order events. For `order-router send` and the demo."""

import asyncio
import datetime
import uuid
from types import TracebackType
from typing import Self

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError, DeliveryError, PublishError

from router.broker.causes import in_words
from router.broker.connection import CALL_S, close, connect, named, open_channel
from router.broker.topology import Names
from router.config import BrokerSettings
from router.errors import BrokerUnavailable, PublishFailed
from schemas.codec import JSON, decode_event, decode_result, encode_command
from schemas.commands import Command
from schemas.events import OrderEvent
from schemas.results import Result


class CommandClient:
    """A connection with a reply queue of its own, which goes with it."""

    def __init__(self, config: BrokerSettings) -> None:
        self._config = config
        self._names = Names(config.prefix)
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._heard: asyncio.Queue[Result | OrderEvent] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._connection = await connect(self._config, "send")
        try:
            with named("cannot open a reply queue", "configure"):
                async with asyncio.timeout(CALL_S):
                    self._channel = await open_channel(self._connection)
                    name = f"reply.{uuid.uuid4()}"
                    self._queue = await self._channel.declare_queue(name, exclusive=True, auto_delete=True)
                    with named("cannot open a reply queue", "read"):
                        await self._queue.consume(self._hear, no_ack=True)
        except BaseException:
            await close(self._connection)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def publish(self, command: Command, content_type: str = JSON, user_id: str | None = None) -> None:
        """Publish one command under its own routing key. Raises `PublishFailed` when no queue took it."""
        if self._channel is None or self._queue is None:
            raise BrokerUnavailable("not connected")
        key = f"{command.venue}.{command.account}.{command.__struct_config__.tag}"
        message = Message(
            encode_command(command, content_type),
            content_type=content_type,
            correlation_id=command.command_id,
            reply_to=self._queue.name,
            user_id=user_id,
            message_id=uuid.uuid4().hex,
            timestamp=datetime.datetime.now(datetime.UTC),
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        try:
            exchange = await self._channel.get_exchange(self._names.commands, ensure=False)
            await exchange.publish(message, key, mandatory=True, timeout=10)
        except PublishError:
            raise PublishFailed(f"no queue is bound for {key}: has a worker been started on this broker?") from None
        except DeliveryError:
            raise PublishFailed(f"the broker refused {key}: is its queue full?") from None
        except (AMQPError, RuntimeError, OSError, TimeoutError) as error:
            raise PublishFailed(f"the command was not taken: {in_words(error, 'write')}") from None

    async def hear(self, timeout_s: float) -> Result | OrderEvent | None:
        """Return the next result or order event, of any command, in the order of arrival; `None` after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._heard.get()
        except TimeoutError:
            return None

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        if message.type == "order.result":
            self._heard.put_nowait(decode_result(message.body, message.content_type))
        elif message.type == "order.event":
            event = decode_event(message.body, message.content_type)
            if isinstance(event, OrderEvent):
                self._heard.put_nowait(event)
