"""The exchanges and queues of the contract, section 4: declared, or checked when declaring is not ours."""

from collections.abc import Iterable

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import AMQPError
from msgspec import Struct
from pamqp.common import FieldTable

from router.errors import BrokerUnavailable

QUORUM: FieldTable = {"x-queue-type": "quorum"}


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

    def lane(self, venue: str, lane: str) -> str:
        """The command queue of one venue's lane."""
        return f"{self.prefix}.commands.{venue}.{lane}"

    def ours(self, queue: str) -> bool:
        """Say whether a reply must not go to a queue of this name (contract, section 2)."""
        return queue.startswith((f"{self.prefix}.", "amq."))


def lane_arguments(names: Names) -> FieldTable:
    """Return the arguments of a command queue. Valid on RabbitMQ 3.10 and 4.x alike."""
    return {
        **QUORUM,
        "x-delivery-limit": 10,
        "x-dead-letter-exchange": names.dead,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


async def declare(channel: AbstractChannel, names: Names, lanes: Iterable[tuple[str, str]]) -> dict[str, AbstractQueue]:
    """Declare everything and return the queues to consume, by name.

    Raises `BrokerUnavailable` when the broker holds an object of such a name with other arguments.
    """
    try:
        topic, fanout = ExchangeType.TOPIC, ExchangeType.FANOUT
        await channel.declare_exchange(names.unrouted, fanout, durable=True)
        alternate: FieldTable = {"alternate-exchange": names.unrouted}
        await channel.declare_exchange(names.commands, topic, durable=True, arguments=alternate)
        for name in (names.results, names.events, names.dead):
            await channel.declare_exchange(name, topic, durable=True)
        for name in (names.results, names.dead):
            queue = await channel.declare_queue(name, durable=True, arguments=QUORUM)
            await queue.bind(name, "#")
        unrouted = await channel.declare_queue(names.unrouted_queue, durable=True, arguments=QUORUM)
        await unrouted.bind(names.unrouted, "")
        queues = {names.unrouted_queue: unrouted}
        for venue, lane in lanes:
            name = names.lane(venue, lane)
            queues[name] = await channel.declare_queue(name, durable=True, arguments=lane_arguments(names))
            for action in (lane, f"{lane}_all"):
                await queues[name].bind(names.commands, f"{venue}.*.{action}")
        return queues
    except (AMQPError, RuntimeError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"cannot declare the topology: {_text(error)}") from None


async def check(channel: AbstractChannel, names: Names, lanes: Iterable[tuple[str, str]]) -> dict[str, AbstractQueue]:
    """Find everything by name, declaring nothing, and return the queues to consume.

    Raises `BrokerUnavailable` naming the first object that is missing.
    """
    try:
        for exchange in (names.unrouted, names.commands, names.results, names.events, names.dead):
            await channel.get_exchange(exchange, ensure=True)
        for queue in (names.results, names.dead):
            await channel.get_queue(queue, ensure=True)
        consumed = [names.unrouted_queue, *(names.lane(venue, lane) for venue, lane in lanes)]
        return {name: await channel.get_queue(name, ensure=True) for name in consumed}
    except (AMQPError, RuntimeError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"the topology is not complete: {_text(error)}") from None


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
