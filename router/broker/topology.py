"""The exchanges and queues of the contract, section 4: declared, or checked when declaring is not ours."""

import asyncio
from collections.abc import Sequence

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel
from msgspec import Struct
from pamqp.common import FieldTable

from router.broker.connection import CALL_S, named

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


async def declare(channel: AbstractChannel, names: Names, lanes: Sequence[tuple[str, str]]) -> list[str]:
    """Declare everything and return the names of the queues to consume.

    Raises `BrokerUnavailable` when the broker holds an object of such a name with other arguments, or does not let us.
    """
    with named("cannot declare the topology"):
        async with asyncio.timeout(DECLARE_S):
            topic, fanout = ExchangeType.TOPIC, ExchangeType.FANOUT
            await channel.declare_exchange(names.unrouted, fanout, durable=True)
            alternate: FieldTable = {"alternate-exchange": names.unrouted}
            await channel.declare_exchange(names.commands, topic, durable=True, arguments=alternate)
            for name in (names.results, names.events, names.dead, names.alerts):
                await channel.declare_exchange(name, topic, durable=True)
            for name, bounds in ((names.results, {}), (names.dead, {}), (names.alerts, ALERTS)):
                queue = await channel.declare_queue(name, durable=True, arguments={**QUORUM, **bounds})
                await queue.bind(name, "#")
            await channel.declare_queue(names.journal, durable=True, arguments=STREAM)
            unrouted = await channel.declare_queue(names.unrouted_queue, durable=True, arguments=lane_arguments(names))
            await unrouted.bind(names.unrouted, "")
            for venue, lane in lanes:
                name = names.lane(venue, lane)
                queue = await channel.declare_queue(name, durable=True, arguments=lane_arguments(names))
                for action in (lane, f"{lane}_all"):
                    await queue.bind(names.commands, f"{venue}.*.{action}")
            return consumed(names, lanes)


def consumed(names: Names, lanes: Sequence[tuple[str, str]]) -> list[str]:
    """Return the names of the queues to consume, declaring nothing: what is missing shows when it is used.

    An exchange cannot be looked for without the right to configure it (RabbitMQ 4.3).
    """
    return [names.unrouted_queue, *(names.lane(venue, lane) for venue, lane in lanes)]


async def find(channel: AbstractChannel, names: Names, lanes: Sequence[tuple[str, str]]) -> None:
    """Look for every queue. Raises `BrokerUnavailable` naming the first that is missing."""
    for name in (names.results, names.dead, names.alerts, names.journal, *consumed(names, lanes)):
        with named(f"queue {name}"):
            async with asyncio.timeout(CALL_S):
                await channel.get_queue(name, ensure=True)
