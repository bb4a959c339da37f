"""The stream of the journal's marks, `<prefix>.journal`: written once a second at most, read at every connect.

A stream is read without being consumed, by any number of readers. Where it ends only a message of one's own can tell: a
reader writes a mark that means nothing, and reads until it comes.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from router.broker.connection import CALL_S, close, connect, named, open_channel
from router.broker.topology import Names
from router.config import BrokerSettings
from router.errors import BrokerUnavailable
from router.ports import Mark

PREFETCH: Final = 200
READ_S: Final = 20.0

_decode: msgspec.json.Decoder[Mark] = msgspec.json.Decoder(Mark)


class MarkStream:
    """Reads and writes the stream. See `router.ports.Witness`."""

    def __init__(self, config: BrokerSettings) -> None:
        self._config = config
        self._queue = Names(config.prefix).journal
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._using = asyncio.Lock()

    async def read(self, last: int) -> Sequence[Mark]:
        """Return the last marks, oldest first, and leave them there. Raises `BrokerUnavailable`."""
        connection = await connect(self._config, "witness")
        try:
            with named(f"cannot read {self._queue}", "read"):
                async with asyncio.timeout(READ_S):
                    return await self._read(await open_channel(connection), last)
        finally:
            await close(connection)

    async def write(self, mark: Mark) -> None:
        """Add a mark and return once it is confirmed. Raises `BrokerUnavailable`."""
        async with self._using:
            try:
                with named(f"cannot write to {self._queue}", "write"):
                    async with asyncio.timeout(CALL_S):
                        if self._connection is None or self._connection.is_closed or self._channel is None:
                            self._connection = await connect(self._config, "witness")
                            self._channel = await open_channel(self._connection)
                        await self._publish(self._channel, mark)
            except BaseException:
                await self._drop()
                raise

    async def close(self) -> None:
        """Close the connection."""
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        await close(connection)

    async def _publish(self, channel: AbstractChannel, mark: Mark) -> None:
        message = Message(msgspec.json.encode(mark), message_id=uuid.uuid4().hex, delivery_mode=DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, self._queue, mandatory=True)

    async def _read(self, channel: AbstractChannel, last: int) -> Sequence[Mark]:
        end = Mark(journal_id="", id=uuid.uuid4().hex)
        with named(f"cannot write to {self._queue}", "write"):
            await self._publish(channel, end)
        found: deque[Mark] = deque(maxlen=last)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def lost(*_: object) -> None:
            if not ended.done():
                ended.set_exception(BrokerUnavailable(f"{self._queue}: the channel was lost"))

        async def hear(message: AbstractIncomingMessage) -> None:
            await message.ack()
            try:
                mark = _decode.decode(message.body)
            except msgspec.DecodeError:
                return  # nobody's mark
            if mark.id == end.id and not ended.done():
                ended.set_result(None)
            elif mark.journal_id and not ended.done():
                found.append(mark)

        channel.close_callbacks.add(lost)
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(self._queue, ensure=False)
        await queue.consume(hear, arguments={"x-stream-offset": "first"})
        await ended
        return tuple(found)
