"""The sender of the benchmarks: fills queues, or publishes at a rate, and counts what comes back."""

import asyncio
import datetime
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from router.broker import Names, declare
from tests.bench.process import Process, Usage

VENUE: Final = "gmo_coin"
LANES: Final = ("cancel", "close")
POLL_S: Final = 0.02
CHUNK: Final = 500

_encode = msgspec.json.Encoder().encode


def command(number: int, *, ttl_s: float = 240.0, account: str = "main") -> dict[str, Any]:
    """Return the command of a number: an odd one closes that position, an even one cancels that order."""
    deadline = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ttl_s)
    fields: dict[str, Any] = {"command_id": f"c-{number}", "venue": VENUE, "account": account, "symbol": "BTC_JPY"}
    fields["not_after"] = deadline.isoformat()
    if number % 2:
        return fields | {"type": "close", "position_id": str(number), "side": "buy", "size": "0.01"}
    return fields | {"type": "cancel", "order_id": str(number)}


class Sample(msgspec.Struct, frozen=True):
    """One look at a running contestant."""

    at_s: float
    answered: int
    usage: Usage


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What a backlog came to, between its first tenth and its end."""

    commands_per_s: float
    cpu_us: float
    peak_mib: float


class Sender:
    """Queues of its own under `prefix`, and a reply queue."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel, prefix: str) -> None:
        self.prefix = prefix
        self.reply_to = f"replies-{prefix}"
        self.published: dict[int, float] = {}
        """When each command was handed to the socket, monotonic seconds."""
        self.heard: dict[int, float] = {}
        self.results: list[bytes] = []
        self._connection = connection
        self._channel = channel
        self._commands: Any = None

    async def prepare(self, *, listen: bool) -> None:
        """Declare the router's topology and the reply queue; with `listen` note when each result arrives."""
        await declare(self._channel, Names(self.prefix), [(VENUE, lane) for lane in LANES])
        self._commands = await self._channel.get_exchange(f"{self.prefix}.commands", ensure=False)
        queue = await self._channel.declare_queue(self.reply_to, durable=True)
        if listen:
            await queue.consume(self._hear, no_ack=True)

    async def publish(self, number: int, fields: dict[str, Any]) -> None:
        """Publish one command and wait for its confirm."""
        key = f"{VENUE}.{fields['account']}.{fields['type']}"
        message = self.message(number, _encode(fields))
        self.published[number] = time.monotonic()
        await self._commands.publish(message, key, mandatory=True)

    def message(self, number: int, body: bytes) -> aio_pika.Message:
        """Return a command as a sender would publish it."""
        return aio_pika.Message(
            body,
            content_type="application/json",
            correlation_id=f"c-{number}",
            message_id=f"m-{number}",
            reply_to=self.reply_to,
            timestamp=datetime.datetime.now(datetime.UTC),
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )

    async def fill(self, numbers: Sequence[int]) -> None:
        """Publish commands as fast as the broker takes them."""
        for start in range(0, len(numbers), CHUNK):
            await asyncio.gather(*(self.publish(n, command(n)) for n in numbers[start : start + CHUNK]))

    async def depth(self) -> int:
        """Return how many results wait in the reply queue."""
        queue = await self._channel.declare_queue(self.reply_to, passive=True)
        return queue.declaration_result.message_count or 0

    async def watch(self, process: Process, count: int, limit_s: float) -> Rate:
        """Wait until so many results are there and return how fast they came."""
        first: Sample | None = None
        async with asyncio.timeout(limit_s):
            while True:
                seen = Sample(time.monotonic(), await self.depth(), process.usage())
                if first is None and seen.answered >= count // 10:
                    first = seen
                if seen.answered >= count and first is not None:
                    break
                assert process.alive, process.log.read_text()
                await asyncio.sleep(POLL_S)
        done = seen.answered - first.answered
        return Rate(
            commands_per_s=done / (seen.at_s - first.at_s),
            cpu_us=(seen.usage.cpu_s - first.usage.cpu_s) / done * 1e6,
            peak_mib=seen.usage.peak_mib,
        )

    async def collect(self) -> dict[str, int]:
        """Take every result that waits and count them by outcome; raises when a command was answered twice."""
        queue = await self._channel.get_queue(self.reply_to, ensure=False)
        ids, outcomes = set(), dict[str, int]()
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            result = msgspec.json.decode(message.body)
            assert result["command_id"] not in ids, f"{result['command_id']} was answered twice"
            ids.add(result["command_id"])
            outcomes[result["outcome"]] = outcomes.get(result["outcome"], 0) + 1
        return outcomes

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        self.heard.setdefault(int((message.correlation_id or "0").removeprefix("c-")), time.monotonic())
        self.results.append(message.body)

    async def delete(self) -> None:
        """Delete the queues and exchanges."""
        names = Names(self.prefix)
        for lane in LANES:
            await self._channel.queue_delete(names.lane(VENUE, lane))
        for queue in (self.reply_to, names.results, names.dead, names.unrouted_queue):
            await self._channel.queue_delete(queue)
        for exchange in (names.commands, names.unrouted, names.results, names.events, names.dead):
            await self._channel.exchange_delete(exchange)


@asynccontextmanager
async def sender(broker: str, *, listen: bool = False) -> AsyncIterator[Sender]:
    """Connect, with queues that go with the context."""
    connection = await aio_pika.connect(broker)
    try:
        made = Sender(connection, await connection.channel(), f"b{uuid.uuid4().hex[:8]}")
        await made.prepare(listen=listen)
        try:
            yield made
        finally:
            await made.delete()
    finally:
        await connection.close()
