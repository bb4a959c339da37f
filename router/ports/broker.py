"""What the core needs of the broker."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from router.records.command import Reply
from router.records.delivery import Delivery
from router.records.event import Copy, StoredEvent
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result


class Publisher(Protocol):
    """Answers to the broker. Nothing that one reply queue does holds up another."""

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to its reply queue and return once that has it.

        Waits as long as the channel lives: while it does, the confirm may still come, and no second copy is needed.
        Raises `Unroutable` when the queue does not take it, `PublishFailed` when that is not known.
        """
        ...

    async def divert(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to the results queue instead. Raises `PublishFailed`, after some seconds at the latest."""
        ...

    def abandon(self, reply_to: str) -> None:
        """Give a reply queue up: what is under way to it raises `PublishFailed`."""
        ...

    def may_publish(self, reply_to: str) -> bool:
        """Say whether results may go to a queue of that name: not to ours, nor to the broker's own."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether the broker takes nothing now: an alarm of its own, or there is no connection."""
        ...


class DeadLetters(Protocol):
    """Where poison goes."""

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Publish a delivery unchanged with the reason. Raises `PublishFailed`."""
        ...


class EventPublisher(Protocol):
    """Order events to the broker."""

    async def publish_event(self, stored: StoredEvent) -> None:
        """Publish an event to the topic exchange; return once confirmed.

        Raises `PublishFailed`; the same event may be published again. Calls begun one after another reach the topic
        exchange in that order.
        """
        ...

    async def publish_copy(self, event: OrderEvent, copy: Copy) -> None:
        """Publish an event to one reply queue, and wait for its confirm as long as the channel lives.

        Raises `Unroutable` when the queue is gone, `PublishFailed`.
        """
        ...

    async def publish_status(self, status: FeedStatus) -> None:
        """Publish a feed's status to the topic exchange. Raises `PublishFailed`."""
        ...


class Mark(Struct, frozen=True):
    """What the witness keeps. `adopts`: an operator said that this journal takes the place of every earlier one."""

    journal_id: str
    id: str
    adopts: bool = False


class Witness(Protocol):
    """The stream of marks. Both methods raise `BrokerUnavailable`, after some seconds at the latest."""

    async def read(self, last: int) -> Sequence[Mark]:
        """Return the last marks, oldest first, and leave them there."""
        ...

    async def write(self, mark: Mark) -> None:
        """Add a mark and return once it is confirmed."""
        ...
