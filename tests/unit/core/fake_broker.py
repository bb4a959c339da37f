"""A broker in memory: one queue of commands, unacknowledged deliveries, and every result that was published."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from router.delivery import Delivery
from router.errors import PublishFailed
from router.job import Reply
from router.ports import Clock
from schemas.results import Result

DELIVERY_LIMIT = 10
"""After so many the broker dead-letters a message by itself (contract, section 4)."""

PublishFault = Literal["refused", "confirm lost"]


class Message(Struct, kw_only=True):
    """A published command and how often it was delivered before. `settled` says how it ended, if it did."""

    body: bytes
    routing_key: str
    venue: str | None
    sender: str
    reply_to: str
    correlation_id: str
    content_type: str = ""
    sent_us: int | None = None
    deliveries: int = 0
    redelivered: bool = False
    settled: Literal["", "acked", "dead"] = ""


class Heard(Struct, frozen=True, kw_only=True):
    """One result as it came to a reply address."""

    at_us: int
    reply: Reply
    result: Result
    sender: str


class Buried(Struct, frozen=True, kw_only=True):
    """One message given to the dead letters by the router."""

    message: Delivery
    reason: str
    detail: str


class Connection:
    """One worker's connection. A new one begins with nothing to acknowledge."""

    def __init__(self, broker: "FakeBroker", take: Callable[[Delivery], None]) -> None:
        self._broker = broker
        self._take = take
        self.open = True
        self.unacked: list[Message] = []

    def deliver(self, message: Message, at: Callable[[str], Awaitable[None]]) -> None:
        """Hand a message to the worker."""
        self.unacked.append(message)

        async def settle(how: Callable[[Message], None]) -> None:
            await at("settling")
            if not self.open or message not in self.unacked:
                raise RuntimeError("the channel is closed")
            self.unacked.remove(message)
            how(message)
            await at("settled")

        self._take(
            Delivery(
                body=message.body,
                venue=message.venue,
                routing_key=message.routing_key,
                sender=message.sender,
                reply_to=message.reply_to,
                correlation_id=message.correlation_id,
                content_type=message.content_type,
                traceparent="",
                redelivered=message.redelivered,
                deliveries=message.deliveries,
                sent_us=message.sent_us,
                headers={},
                ack=lambda: settle(_acked),
                requeue=lambda: settle(self._broker.put_back),
            )
        )

    def cut(self) -> None:
        """Close it: what was not acknowledged goes back to the queue."""
        self.open = False
        for message in self.unacked:
            self._broker.put_back(message)
        self.unacked = []


class FakeBroker:
    """The queue, and everything that was published to anybody."""

    def __init__(self, clock: Clock) -> None:
        self.queue: deque[Message] = deque()
        self.messages: list[Message] = []
        self.heard: list[Heard] = []
        self.buried: list[Buried] = []
        self.fault: PublishFault | None = None
        """What happens to every publish from now on."""
        self._clock = clock

    def put(self, message: Message) -> Message:
        """Take a command in."""
        self.messages.append(message)
        self.queue.append(message)
        return message

    def put_back(self, message: Message) -> None:
        """Return a message to the head of the queue, or bury it after too many deliveries."""
        message.deliveries += 1
        message.redelivered = True
        if message.deliveries > DELIVERY_LIMIT:
            message.settled = "dead"
        else:
            self.queue.appendleft(message)

    def hear(self, reply: Reply, result: Result, sender: str) -> None:
        """Take a result in, and confirm it unless a fault says otherwise."""
        if self.fault == "refused":
            raise PublishFailed("no connection")
        self.heard.append(Heard(at_us=self._clock.now_us(), reply=reply, result=result, sender=sender))
        if self.fault == "confirm lost":
            raise PublishFailed("the connection was lost before the confirm")


class FakePublisher:
    """One worker's way of publishing. `at` is called wherever that worker might die."""

    def __init__(self, broker: FakeBroker, at: Callable[[str], Any]) -> None:
        self._broker = broker
        self._at = at

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """See `router.ports.Publisher`."""
        await self._at("publishing")
        self._broker.hear(reply, result, sender)
        await self._at("published")

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """See `router.worker.DeadLetters`."""
        await self._at("burying")
        if self._broker.fault is not None:
            raise PublishFailed("no connection")
        self._broker.buried.append(Buried(message=delivery, reason=reason, detail=detail))
        await self._at("buried")


def _acked(message: Message) -> None:
    message.settled = "acked"


def same_answer(one: Result, other: Result) -> bool:
    """Say whether two results differ in nothing but `duplicate`."""
    return msgspec.structs.replace(one, duplicate=False) == msgspec.structs.replace(other, duplicate=False)
