"""The exchanges and queues of the contract, section 4: declared, or checked when declaring is not ours."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel
from msgspec import Struct
from pamqp.common import FieldTable

from router.broker.connection import named

QUORUM: FieldTable = {"x-queue-type": "quorum"}
ALERTS: FieldTable = {"x-max-length": 10_000, "x-overflow": "drop-head"}
"""The latest ones: whoever reads them late is not to read for ever."""
STREAM: FieldTable = {
    "x-queue-type": "stream",
    "x-max-length-bytes": 400_000,
    "x-stream-max-segment-size-bytes": 200_000,
}
"""Some thousand marks, a quarter of an hour or more."""
DECLARE_S = 20.0
DIRECT = "amq.rabbitmq.reply-to"


class Names(Struct, frozen=True):
    """The names under one prefix."""

    prefix: str

    @property
    def commands(self) -> str:
        """The topic exchange that senders publish to."""
        return f"{self.prefix}.commands"

    @property
    def unrouted(self) -> str:
        """The fanout exchange for commands that nobody is bound for."""
        return f"{self.prefix}.unrouted"

    @property
    def unrouted_queue(self) -> str:
        """Where those commands wait for their refusal."""
        return f"{self.prefix}.commands.unrouted"

    @property
    def results(self) -> str:
        """Exchange and queue of results without a reply queue."""
        return f"{self.prefix}.results"

    @property
    def events(self) -> str:
        """The topic exchange of order events."""
        return f"{self.prefix}.events"

    @property
    def dead(self) -> str:
        """Exchange and queue of poison."""
        return f"{self.prefix}.dead"

    @property
    def alerts(self) -> str:
        """Exchange and queue of what an operator must know."""
        return f"{self.prefix}.alerts"

    @property
    def journal(self) -> str:
        """The stream of the journal's marks."""
        return f"{self.prefix}.journal"

    def lane(self, venue: str, lane: str) -> str:
        """The command queue of one venue's lane."""
        return f"{self.prefix}.commands.{venue}.{lane}"

    def ours(self, queue: str) -> bool:
        """Say whether a reply must not go to a queue of this name (contract, section 2).

        Queues that the broker has named, and its pseudo-queue for direct replies, are as good as any.
        """
        return queue.startswith((f"{self.prefix}.", "amq.")) and not queue.startswith(("amq.gen-", DIRECT))


def lane_arguments(names: Names) -> FieldTable:
    """Return the arguments of a command queue. Valid on RabbitMQ 3.10 and 4.x alike."""
    return {
        **QUORUM,
        "x-delivery-limit": 100,
        "x-dead-letter-exchange": names.dead,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


class Declaration(Struct, frozen=True):
    """An exchange (`kind` is its type) or a queue (`kind` is `queue`), durable."""

    kind: Literal["topic", "fanout", "queue"]
    name: str
    arguments: FieldTable = {}

    @property
    def said(self) -> str:
        """What it is called in a sentence."""
        return f"queue {self.name}" if self.kind == "queue" else f"exchange {self.name}"


class Binding(Struct, frozen=True):
    """What leads messages of an exchange to a queue."""

    exchange: str
    queue: str
    key: str


def wanted(names: Names, lanes: Sequence[tuple[str, str]]) -> list[Declaration | Binding]:
    """Return the topology, each after what it needs."""
    found: list[Declaration | Binding] = [
        Declaration("fanout", names.unrouted),
        Declaration("topic", names.commands, {"alternate-exchange": names.unrouted}),
        *(Declaration("topic", name) for name in (names.results, names.events, names.dead, names.alerts)),
    ]
    for name, bounds in ((names.results, {}), (names.dead, {}), (names.alerts, ALERTS)):
        found += [Declaration("queue", name, {**QUORUM, **bounds}), Binding(name, name, "#")]
    found.append(Declaration("queue", names.journal, STREAM))
    found.append(Declaration("queue", names.unrouted_queue, lane_arguments(names)))
    found.append(Binding(names.unrouted, names.unrouted_queue, ""))
    for venue, lane in lanes:
        name = names.lane(venue, lane)
        found.append(Declaration("queue", name, lane_arguments(names)))
        found += [Binding(names.commands, name, f"{venue}.*.{action}") for action in (lane, f"{lane}_all")]
    return found


async def declare(channel: AbstractChannel, names: Names, lanes: Sequence[tuple[str, str]]) -> list[str]:
    """Declare everything and return the names of the queues to consume.

    Raises `BrokerUnavailable` when the broker holds an object of such a name with other arguments, or does not let us.
    """
    with named("cannot declare the topology", "configure"):
        async with asyncio.timeout(DECLARE_S):
            for one in wanted(names, lanes):
                if isinstance(one, Declaration):
                    await put(channel, one)
                else:
                    queue = await channel.get_queue(one.queue, ensure=False)
                    with named("cannot declare the topology", "bind"):
                        await queue.bind(one.exchange, one.key)
    return consumed(names, lanes)


async def put(channel: AbstractChannel, one: Declaration) -> None:
    """Declare an exchange or a queue. One that is there already stays as it is, or is refused as another one."""
    if one.kind == "queue":
        await channel.declare_queue(one.name, durable=True, arguments=one.arguments)
    else:
        await channel.declare_exchange(one.name, ExchangeType(one.kind), durable=True, arguments=one.arguments)


def consumed(names: Names, lanes: Sequence[tuple[str, str]]) -> list[str]:
    """Return the names of the queues to consume, declaring nothing: what is missing shows when it is used.

    An exchange cannot be looked for without the right to configure it (RabbitMQ 4.3).
    """
    return [names.unrouted_queue, *(names.lane(venue, lane) for venue, lane in lanes)]
