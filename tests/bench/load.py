"""The sender of the benchmarks: fills queues, or publishes at a rate, and counts what comes back."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel
from pamqp.commands import Queue

from router.broker import Names, declare
from tests.bench.amqp import Line, connect
from tests.bench.commands import LANES, TTL_S, VENUE, Patterns, Wrap, message
from tests.bench.process import Usage, Watched

POLL_S: Final = 0.02
COLLECT_LIMIT_S: Final = 60.0
READY_LIMIT_S: Final = 60.0


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


class Reason(msgspec.Struct, frozen=True):
    """Why."""

    code: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What every contestant answers, of what the router does."""

    command_id: str
    outcome: str
    reason: Reason | None = None
    final: bool = True


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """When a command's final result was first heard, monotonic seconds, what it says, and how often it came again."""

    at_s: float
    outcome: str
    reason: str = ""
    repeats: int = 0


_decode = msgspec.json.Decoder(Result).decode


class Sender:
    """Queues of its own under `prefix`, and a reply queue.

    Topology and depths go over aio-pika, commands and results over a line of our own.
    """

    def __init__(self, channel: AbstractChannel, prefix: str, wrap: Wrap) -> None:
        self.prefix = prefix
        self.reply_to = f"replies-{prefix}"
        self.published: dict[int, float] = {}
        """When each command was handed to the socket, monotonic seconds."""
        self.heard: list[tuple[float, bytes]] = []
        """When each result came, monotonic seconds, and its body."""
        self._channel = channel
        self._patterns = Patterns(prefix, self.reply_to, wrap)
        self._line: Line

    async def prepare(self, broker: str, *, listen: bool) -> None:
        """Declare the router's topology and the reply queue; with `listen` note when each result arrives."""
        await declare(self._channel, Names(self.prefix), [(VENUE, lane) for lane in LANES])
        await self._channel.declare_queue(self.reply_to, durable=True)
        self._line = await connect(broker, lambda at_s, body: self.heard.append((at_s, body)))
        if listen:
            await self._line.consume(self.reply_to)

    def publish(self, number: int, *, ttl_s: float = TTL_S, account: str = "main") -> None:
        """Publish one command."""
        made = self._patterns.publish(number, ttl_s=ttl_s, account=account)
        self.published[number] = time.monotonic()
        self._line.publish(made)

    async def fill(self, numbers: Sequence[int], accounts: Sequence[str] = ("main",)) -> None:
        """Publish commands, spread over the accounts, as fast as the broker takes them; return when it has them."""
        for number in numbers:
            # Two neighbours are a cancel and a close: both lanes see every account.
            self.publish(number, account=accounts[number // 2 % len(accounts)])
            await self._line.drained()
        await self._line.settled()

    async def pace(self, numbers: Sequence[int], per_s: float, *, ttl_s: float = TTL_S) -> list[float]:
        """Publish at a rate that waits for nobody, and return by how many seconds each was late."""
        start = time.monotonic() + POLL_S
        late = []
        for index, number in enumerate(numbers):
            due = start + index / per_s
            if (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            self.publish(number, ttl_s=ttl_s)
            late.append(self.published[number] - due)
        return late

    async def depth(self, queue: str | None = None) -> int:
        """Return how many messages wait in a queue, by default the reply queue."""
        return (await self._look(queue or self.reply_to)).message_count or 0

    async def served_by(self, workers: int) -> None:
        """Wait until so many workers consume from every lane. Raises `TimeoutError`."""
        names = Names(self.prefix)
        async with asyncio.timeout(READY_LIMIT_S):
            for lane in LANES:
                while (await self._look(names.lane(VENUE, lane))).consumer_count != workers:
                    await asyncio.sleep(POLL_S)

    async def watch(self, process: Watched, count: int, limit_s: float) -> Rate:
        """Wait until so many results are in the reply queue and return how fast they came."""
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
        """Take every result that waits and count them by outcome; one that came again counts as "repeated" too."""
        waiting = len(self.heard) + await self.depth()
        await self._line.consume(self.reply_to)
        await self.hear(waiting, COLLECT_LIMIT_S)
        found = Counter(answer.outcome for answer in self.answers().values())
        found["repeated"] = sum(answer.repeats for answer in self.answers().values())
        return dict(+found)

    async def hear(self, count: int, limit_s: float) -> None:
        """Wait until so many results came. Raises `TimeoutError`."""
        async with asyncio.timeout(limit_s):
            while len(self.heard) < count:
                await asyncio.sleep(POLL_S)

    def answers(self) -> dict[int, Answer]:
        """Return the final results heard so far, by number. Raises `AssertionError` when two differ for one command."""
        found: dict[int, Answer] = {}
        bodies: dict[int, bytes] = {}
        for at_s, body in self.heard:
            result = _decode(body)
            number = int(result.command_id.rpartition("-")[2])
            if number in found:
                assert bodies[number] == body, f"two answers: {bodies[number]!r} and {body!r}"
                found[number] = msgspec.structs.replace(found[number], repeats=found[number].repeats + 1)
            elif result.final:
                reason = result.reason.code if result.reason else ""
                found[number], bodies[number] = Answer(at_s=at_s, outcome=result.outcome, reason=reason), body
        return found

    def answered_at(self, number: int) -> float | None:
        """Return when a command's first result was heard; quick when that is not long ago."""
        named = f'-{number}"'.encode()
        return next((at_s for at_s, body in reversed(self.heard) if named in body), None)

    async def _look(self, queue: str) -> Queue.DeclareOk:
        return (await self._channel.declare_queue(queue, passive=True)).declaration_result

    async def delete(self) -> None:
        """Delete the queues and exchanges."""
        await self._line.close()
        names = Names(self.prefix)
        for lane in LANES:
            await self._channel.queue_delete(names.lane(VENUE, lane))
        for queue in (self.reply_to, names.results, names.dead, names.unrouted_queue):
            await self._channel.queue_delete(queue)
        for exchange in (names.commands, names.unrouted, names.results, names.events, names.dead):
            await self._channel.exchange_delete(exchange)


@asynccontextmanager
async def sender(broker: str, *, listen: bool = False, wrap: Wrap = message) -> AsyncIterator[Sender]:
    """Connect, with queues that go with the context."""
    connection = await aio_pika.connect(broker)
    try:
        made = Sender(await connection.channel(), f"b{uuid.uuid4().hex[:8]}", wrap)
        await made.prepare(broker, listen=listen)
        try:
            yield made
        finally:
            await made.delete()
    finally:
        await connection.close()
