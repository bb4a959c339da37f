"""A broker in memory: the queue of commands, unacknowledged deliveries, and everything that was published.

Every reply queue may fail in its own way, or take messages and never confirm them.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Literal

import msgspec
from msgspec import Struct

from router.errors import BrokerUnavailable, PublishFailed, Unroutable
from router.ports import Clock, Mark
from router.records.command import Reply
from router.records.delivery import Delivery
from schemas.results import Result

DELIVERY_LIMIT = 100
"""After so many the broker dead-letters a message by itself (contract, section 4)."""
UNCONFIRMED = 16
"""So many results may be unconfirmed per reply queue (contract, section 2)."""

PublishFault = Literal["refused", "confirm lost", "gone", "stuck"]
"""refused: nothing gets there. confirm lost: it does, and that is not told. gone: there is no such queue. stuck: it is
taken and neither delivered nor confirmed, for now."""
WitnessFault = Literal["unavailable", "late"]
"""late: a mark is taken some seconds after its writer was told that it was not."""

At = Callable[[str], Awaitable[None]]


class Message(Struct, kw_only=True, eq=False):
    """A published command and how often it was delivered before. `settled` is empty, `acked` or `dead`."""

    body: bytes
    routing_key: str
    venue: str | None
    sender: str
    reply_to: str
    correlation_id: str
    message_id: str = ""
    content_type: str = ""
    sent_us: int | None = None
    deliveries: int = 0
    redelivered: bool = False
    damaged: str = ""
    settled: str = ""


class Heard(Struct, frozen=True, kw_only=True):
    """One result as it came to a reply address, or to the results queue in its stead."""

    at_us: int
    reply: Reply
    result: Result
    sender: str
    diverted: bool = False


class Buried(Struct, frozen=True, kw_only=True):
    """One message given to the dead letters by the router."""

    message: Delivery
    reason: str
    detail: str


class Connection:
    """One worker's connection. A new one begins with nothing to acknowledge."""

    def __init__(self, broker: "FakeBroker", take: Callable[[Delivery], None], prefetch: int) -> None:
        self._broker = broker
        self._take = take
        self._prefetch = prefetch
        self.open = True
        self.unacked: list[Message] = []

    @property
    def full(self) -> bool:
        """Whether the broker delivers nothing more before something is acknowledged."""
        return len(self.unacked) >= self._prefetch

    def _hold(self) -> None:
        self._prefetch += 1
        self._broker.stirred.set()

    def deliver(self, message: Message, at: At) -> None:
        """Hand a message to the worker."""
        self.unacked.append(message)

        async def settle(how: Callable[[Message], None]) -> None:
            await at("settling")
            if not self.open or message not in self.unacked:
                raise RuntimeError("the channel is closed")
            self.unacked.remove(message)
            how(message)
            self._broker.stirred.set()
            await at("settled")

        self._take(
            Delivery(
                body=message.body,
                venue=message.venue,
                routing_key=message.routing_key,
                sender=message.sender,
                reply_to=message.reply_to,
                correlation_id=message.correlation_id,
                message_id=message.message_id,
                content_type=message.content_type,
                traceparent="",
                redelivered=message.redelivered,
                sent_us=message.sent_us,
                headers={},
                damaged=message.damaged,
                ack=lambda: settle(_acked),
                reject=lambda: settle(self._broker.bury),
                hold=self._hold,
            )
        )

    def cut(self) -> None:
        """Close it: what was not acknowledged goes back to the queue."""
        self.open = False
        for message in self.unacked:
            self._broker.put_back(message)
        self.unacked = []


class FakeBroker:
    """The queue, the witness stream, and everything that was published to anybody."""

    def __init__(self, clock: Clock) -> None:
        self.queue: deque[Message] = deque()
        self.messages: list[Message] = []
        self.heard: list[Heard] = []
        self.answered: set[tuple[str, str, str]] = set()
        """Sender, reply queue and correlation id of every final result that was heard."""
        self.buried: list[Buried] = []
        self.rejected: list[Message] = []
        """What the router left to the broker to dead-letter."""
        self.stirred = asyncio.Event()
        """Set when there is something to deliver."""
        self.fault: PublishFault | None = None
        """What happens to every publish from now on."""
        self.faults: dict[str, PublishFault] = {}
        """What happens to those to one queue. The empty name is the results queue."""
        self.blocked = False
        """Whether an alarm holds back everything that is published."""
        self.marks: list[Mark] = []
        self.witness_fault: WitnessFault | None = None
        self.broken: list[str] = []
        """What the contract forbids and somebody did all the same."""
        self._clock = clock
        self._stuck: list[_Publish] = []

    def put(self, message: Message) -> Message:
        """Take a command in."""
        self.messages.append(message)
        self.queue.append(message)
        self.stirred.set()
        return message

    def put_back(self, message: Message) -> None:
        """Return a message to the head of the queue, or bury it after too many deliveries."""
        message.deliveries += 1
        message.redelivered = True
        if message.deliveries > DELIVERY_LIMIT:
            message.settled = "dead"
        else:
            self.queue.appendleft(message)
            self.stirred.set()

    def bury(self, message: Message) -> None:
        """Dead-letter a message that was rejected."""
        message.settled = "dead"
        self.rejected.append(message)

    def fault_of(self, reply_to: str) -> PublishFault | None:
        """Return what happens now to what is published to a queue."""
        return self.fault or self.faults.get(reply_to)

    def mend(self) -> None:
        """Let everything go through again, what is stuck included."""
        self.fault, self.faults, self.blocked, self.witness_fault = None, {}, False, None
        self.go_on()

    def heal(self, reply_to: str) -> None:
        """Let a queue work again."""
        self.faults.pop(reply_to, None)
        self.go_on()

    def unblock(self) -> None:
        """End the alarm."""
        self.blocked = False
        self.go_on()

    def go_on(self) -> None:
        """Do with what is stuck whatever is possible now."""
        waiting, self._stuck = self._stuck, []
        for publish in waiting:
            self._treat(publish)

    async def publish(self, publisher: object, reply: Reply, result: Result, sender: str, *, diverted: bool) -> None:
        """Take a result in, and return once it is confirmed."""
        publish = _Publish(publisher, reply, result, sender, diverted)
        if not diverted:
            self._count(publish)
        self._treat(publish)
        await publish.confirm

    def drop(self, publisher: object, reply_to: str | None = None) -> None:
        """Close the channel that a publisher has to a queue, or all of them: their confirms are lost."""
        for publish in self._stuck:
            ours = publish.publisher is publisher and not publish.diverted
            if (ours and publish.reply.reply_to == reply_to) or (publish.publisher is publisher and reply_to is None):
                publish.end(PublishFailed("the channel is closed"))

    def _count(self, publish: "_Publish") -> None:
        """Note what is published too often."""
        same = Counter(
            other.result.result_id
            for other in self._stuck
            if other.publisher is publish.publisher and other.reply == publish.reply and not other.confirm.done()
        )
        address = publish.reply.reply_to
        if same[publish.result.result_id] and _has_row(publish.result):
            self.broken.append(f"a second copy to {address!r} while the first is under way: {publish.result.result_id}")
        under_way = [
            other
            for other in self._stuck
            if other.publisher is publish.publisher and other.reply.reply_to == address and not other.confirm.done()
        ]
        if len(under_way) >= UNCONFIRMED:
            self.broken.append(f"more than {UNCONFIRMED} unconfirmed to {address!r}")

    def _treat(self, publish: "_Publish") -> None:
        address = "" if publish.diverted else publish.reply.reply_to
        fault = self.fault_of(address)
        if self.blocked:  # it lies in the socket
            if not publish.confirm.done():
                self._stuck.append(publish)
            return
        if fault == "stuck":
            self._stuck.append(publish)
        elif fault == "refused":
            publish.end(PublishFailed("no connection"))
        elif fault == "gone":
            publish.end(Unroutable("there is no such queue"))
        else:
            heard = Heard(
                at_us=self._clock.now_us(),
                reply=publish.reply,
                result=publish.result,
                sender=publish.sender,
                diverted=publish.diverted,
            )
            self.heard.append(heard)
            if heard.result.final:
                self.answered.add((heard.sender, heard.reply.reply_to, heard.reply.correlation_id))
            lost = PublishFailed("the connection was lost before the confirm") if fault == "confirm lost" else None
            publish.end(lost)


class _Publish:
    """One result on its way."""

    __slots__ = ("confirm", "diverted", "publisher", "reply", "result", "sender")

    def __init__(self, publisher: object, reply: Reply, result: Result, sender: str, diverted: bool) -> None:
        self.publisher, self.reply, self.result, self.sender = publisher, reply, result, sender
        self.diverted = diverted
        self.confirm: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self, error: PublishFailed | None) -> None:
        """Tell whoever waits what it came to."""
        if self.confirm.done():
            return
        if error is None:
            self.confirm.set_result(None)
        else:
            self.confirm.set_exception(error)


class FakePublisher:
    """One worker's way of publishing. `at` is called wherever that worker might die."""

    def __init__(self, broker: FakeBroker, at: At) -> None:
        self._broker = broker
        self._at = at

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """See `router.ports.Publisher`."""
        await self._at("publishing")
        if not reply.reply_to or not self.may_publish(reply.reply_to):
            self._broker.broken.append(f"published to {reply.reply_to!r}, which is not the sender's")
        await self._broker.publish(self, reply, result, sender, diverted=False)
        await self._at("published")

    async def divert(self, reply: Reply, result: Result, sender: str) -> None:
        """See `router.ports.Publisher`."""
        await self._at("diverting")
        try:
            async with asyncio.timeout(10.0):
                await self._broker.publish(self, reply, result, sender, diverted=True)
        except TimeoutError:
            raise PublishFailed("not confirmed within 10 s") from None
        await self._at("diverted")

    def abandon(self, reply_to: str) -> None:
        """See `router.ports.Publisher`."""
        self._broker.drop(self, reply_to)

    def may_publish(self, reply_to: str) -> bool:
        """See `router.ports.Publisher`."""
        if reply_to.startswith(("amq.gen-", "amq.rabbitmq.reply-to")):
            return True
        return bool(reply_to) and not reply_to.startswith(("amq.", "orders."))

    @property
    def blocked(self) -> bool:
        """See `router.ports.Publisher`."""
        return self._broker.blocked

    def cut(self) -> None:
        """Lose the connection."""
        self._broker.drop(self)

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """See `router.ports.DeadLetters`."""
        await self._at("burying")
        if self._broker.fault is not None or self._broker.blocked:
            raise PublishFailed("no connection")
        self._broker.buried.append(Buried(message=delivery, reason=reason, detail=detail))
        await self._at("buried")


class FakeWitness:
    """The stream of marks as one worker sees it."""

    def __init__(self, broker: FakeBroker, at: At) -> None:
        self._broker = broker
        self._at = at

    async def read(self, last: int) -> Sequence[Mark]:
        """See `router.ports.Witness`."""
        await self._at("reading marks")
        if self._broker.witness_fault == "unavailable":
            raise BrokerUnavailable("no connection")
        return tuple(self._broker.marks[-last:])

    async def write(self, mark: Mark) -> None:
        """See `router.ports.Witness`."""
        await self._at("writing a mark")
        if self._broker.witness_fault == "late":
            asyncio.get_running_loop().call_later(5.0, self._broker.marks.append, mark, context=Context())
        if self._broker.witness_fault is not None:
            raise BrokerUnavailable("not confirmed within 10 s")
        self._broker.marks.append(mark)
        await self._at("a mark is written")


def _has_row(result: Result) -> bool:
    """Say whether a result is stored; the others are one for each delivery, and may share an id."""
    code = result.reason and result.reason.code
    refused = result.seq == 1 and code in {"invalid_command", "command_id_reused", "unauthorized_sender"}
    return result.recorded is not False and not result.duplicate and not refused


def _acked(message: Message) -> None:
    message.settled = "acked"


def same_answer(one: Result, other: Result) -> bool:
    """Say whether two results differ in nothing but `duplicate`."""
    return msgspec.structs.replace(one, duplicate=False) == msgspec.structs.replace(other, duplicate=False)


def by_sender(heard: Sequence[Heard]) -> dict[tuple[str, str | None], list[Heard]]:
    """Return results by sender and command id."""
    found = defaultdict(list)
    for each in heard:
        found[each.sender, each.result.command_id].append(each)
    return found
