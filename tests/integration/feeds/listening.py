"""A listener on the topic exchange, and the router's feeds in the test's own process beside the simulators."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from router.app.feed import run_feed
from router.app.worker import run_worker
from router.config import load
from router.simulator.truth import Truth
from tests.sender import Sender
from tests.stack import Stack

READY_S = 30.0


class Topic:
    """Everything that is published to the events exchange, in order."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._exchange = f"{prefix}.events"
        self._connection: AbstractConnection | None = None
        self.heard: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.kinds: list[str | None] = []

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._url)
        channel = await self._connection.channel()
        exchange = await channel.declare_exchange(self._exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "#")
        await queue.consume(self._hear, no_ack=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        self.heard.append(json.loads(message.body))
        self.keys.append(str(message.routing_key))
        self.kinds.append(message.type)

    def events(self, venue: str = "", account: str = "main") -> list[dict[str, Any]]:
        """Return the order events, of one account or of all."""
        return [
            message
            for message in self.heard
            if message["type"] == "order_event"
            and (not venue or (message["venue"], message["account"]) == (venue, account))
        ]

    def of_order(self, order_id: str) -> list[dict[str, Any]]:
        """Return the events of one order, each once."""
        found = {event["event_id"]: event for event in self.events() if event["order_id"] == order_id}
        return list(found.values())

    def statuses(self, venue: str, account: str = "main") -> list[str]:
        """Return what was said of an account's feed."""
        return [
            message["status"]
            for message in self.heard
            if message["type"] == "feed_status" and (message["venue"], message["account"]) == (venue, account)
        ]

    def last(self, venue: str, account: str = "main") -> dict[str, tuple[str, Decimal]]:
        """Return the last status and filled size of every order of an account, events taken in their order."""
        ordered = sorted(self.events(venue, account), key=lambda event: event["seq"])
        return {event["order_id"]: (event["status"], Decimal(event["filled_size"])) for event in ordered}

    def check(self) -> None:
        """Assert what holds of every history: one event per number and id, no holes, nothing backwards."""
        rank = {"unknown": -1, "working": 0, "partially_filled": 1}
        for venue, account in {(event["venue"], event["account"]) for event in self.events()}:
            events = self.events(venue, account)
            by_seq = {event["seq"]: event["event_id"] for event in events}
            assert all(by_seq[event["seq"]] == event["event_id"] for event in events)
            assert len(set(by_seq.values())) == len(by_seq)
            assert sorted(by_seq) == list(range(1, len(by_seq) + 1))
            state: dict[str, tuple[int, Decimal]] = {}
            for event in sorted({event["seq"]: event for event in events}.values(), key=lambda event: event["seq"]):
                now = (rank.get(event["status"], 2), Decimal(event["filled_size"]))
                before = state.get(event["order_id"], (-2, Decimal(-1)))
                assert now[0] >= before[0]
                assert now[1] >= before[1]
                assert now != before
                state[event["order_id"]] = now


def truth(orders: dict[str, Truth]) -> dict[str, tuple[str, Decimal]]:
    """Return a simulator's truth in the same form as `Topic.last`."""
    return {order_id: (order.status, Decimal(order.filled_size)) for order_id, order in orders.items()}


class Feeding:
    """The simulators, a topic listener, a sender, and a worker with its feeds in this process."""

    def __init__(self, stack: Stack, topic: Topic, sender: Sender) -> None:
        self.stack = stack
        self.topic = topic
        self.sender = sender
        self.simulators = stack.simulators

    async def until(self, holds: Callable[[], object], within_s: float = 15.0) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.01)

    async def live(self, venue: str, times: int = 1, within_s: float = READY_S) -> None:
        """Wait until an account's feed has been announced live so often."""
        await self.until(lambda: self.topic.statuses(venue).count("live") >= times, within_s)

    @asynccontextmanager
    async def running(self, *, worker: bool = True) -> AsyncIterator[None]:
        """Run a worker with its feeds, or the feeds alone, as long as the context lasts."""
        config = load(self.stack.write_config(), {})
        stop, ready = asyncio.Event(), asyncio.Event()
        if worker:
            task = asyncio.create_task(run_worker(config, stop=stop, on_ready=ready.set, feed=True))
        else:
            task = asyncio.create_task(run_feed(config, stop=stop, on_ready=ready.set))
        try:
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=READY_S)
            waiting.cancel()
            if task.done():
                task.result()
            yield
        finally:
            stop.set()
            await task


def only(stack: Stack, *venues: str) -> None:
    """Leave only some venues' accounts in the configuration."""
    stack.config["accounts"] = {name: stack.config["accounts"][name] for name in venues}
