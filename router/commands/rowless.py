"""Answers that have no row: while one is under way its delivery keeps it safe, and a place in its lane.

So a reply queue that is slow or stuck holds only a few of them, and for some seconds at most. The others go to the
results queue.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from router.commands.reply_queue import STUCK_US, UNCONFIRMED, ReplyQueue
from router.ports import Clock, Publisher
from router.records.command import Reply
from schemas.results import Result

TICK_S: Final = 0.25
CROWD: Final = 32
"""How many answers without a row may be at one reply queue: each keeps its delivery from being acknowledged. More than
that wait a moment for their turn."""
TURN_US: Final = 100_000
"""How long that moment is at a queue that confirms nothing meanwhile."""
PATIENT: Final = 16
PATIENT_HERE: Final = 8
"""How many of these, in all and of one queue, wait longer than a moment for a queue that does not confirm."""
PATIENCE_US: Final = 10_000_000


class Wait:
    """An answer without a row that waits for its queue. `patient`: it has one of the places for a longer wait."""

    __slots__ = ("patient", "since_us")

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self.patient = False


class Queues(Protocol):
    """The reply queues of this process."""

    def queue(self, name: str) -> ReplyQueue:
        """Return what a reply queue is owed."""
        ...

    def begin(self, queue: ReplyQueue, key: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Have something under way to a queue."""
        ...

    async def to_queue(self, reply: Reply, result: Result, sender: str) -> str | None:
        """Publish to the reply queue. Returns why the answer has to go elsewhere, if it has."""
        ...

    def heard(self, queue: ReplyQueue, name: str, *, confirms: bool) -> None:
        """Go on with a queue that has just been done with one."""
        ...

    async def a_moment(self) -> None:
        """Wait until some queue has confirmed something, or a moment at most."""
        ...


class Rowless:
    """Those of this process. They count among what is under way to their queues."""

    def __init__(self, queues: Queues, publisher: Publisher, clock: Clock) -> None:
        self._queues = queues
        self._publisher = publisher
        self._clock = clock
        self._numbers = self._patient = 0

    async def publish(self, reply: Reply, result: Result, sender: str) -> str | None:
        """Publish to the reply queue; return why it has to go elsewhere, if it has. Raises `PublishFailed`."""
        queue = self._queues.queue(reply.reply_to)
        wait = Wait(self._clock.boot_us())
        while queue.crowd >= CROWD:  # many at once, as when a deadline is many commands', say nothing of the queue
            now = self._clock.boot_us()
            if queue.stuck or now - wait.since_us >= STUCK_US or now - max(wait.since_us, queue.heard_us) >= TURN_US:
                return "stuck"
            await self._queues.a_moment()
        queue.crowd += 1
        try:
            while queue.stuck or len(queue.under_way) >= UNCONFIRMED:
                if not self._waits_on(queue, wait):
                    return "stuck"
                await self._queues.a_moment()
            return await self._unrecorded(queue, reply, result, sender, wait)
        finally:
            queue.crowd -= 1
            if wait.patient:
                queue.patient -= 1
                self._patient -= 1

    async def _unrecorded(self, queue: ReplyQueue, reply: Reply, result: Result, sender: str, wait: Wait) -> str | None:
        self._numbers += 1
        key = f"no row {self._numbers}"
        publish = self._queues.begin(queue, key, self._queues.to_queue(reply, result, sender))
        publish.add_done_callback(lambda task: self._done(queue, reply.reply_to, key, task))
        while not publish.done():
            await asyncio.wait({publish}, timeout=TICK_S)
            if not publish.done() and not self._waits_on(queue, wait):
                return "stuck"
        return publish.result()  # type: ignore[no-any-return]  # it is `to_queue`'s

    def _waits_on(self, queue: ReplyQueue, wait: Wait) -> bool:
        """Say whether an answer without a row waits on. Only a few do for longer than a moment."""
        waited_us = self._clock.boot_us() - wait.since_us
        if self._publisher.blocked or (waited_us < STUCK_US and not queue.stuck):
            return True
        if not wait.patient and queue.patient < PATIENT_HERE and self._patient < PATIENT:
            wait.patient = True
            queue.patient += 1
            self._patient += 1
        return wait.patient and waited_us < PATIENCE_US

    def _done(self, queue: ReplyQueue, name: str, key: str, task: "asyncio.Task[Any]") -> None:
        queue.under_way.pop(key, None)
        if not task.cancelled() and task.exception() is None:
            self._queues.heard(queue, name, confirms=task.result() is None)
