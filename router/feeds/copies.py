"""Copies of order events for the reply queues of the commands they are about.

They are a courtesy: the topic has every event. So a reply queue that takes nothing holds up neither the topic nor any
other reply queue; what does not fit into memory for it is dropped, and said so.
"""

import asyncio
from collections import deque
from typing import Final

import structlog

from router.errors import PublishFailed, Unroutable
from router.ports import Clock, EventPublisher
from router.records.event import Copy, StoredEvent
from schemas.events import OrderEvent

UNCONFIRMED: Final = 16
WAITING: Final = 1_000
"""How many copies wait for one reply queue."""
WAITING_IN_ALL: Final = 20_000
RETRY_S: Final = 0.5
MAX_RETRY_S: Final = 15.0
TRIES: Final = 40
"""Ten minutes: so long a broker that is away may come back."""

_log = structlog.get_logger(__name__)


class _Queue:
    __slots__ = ("dropped", "tasks", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[OrderEvent, Copy]] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0


class Copies:
    """The copies of every account's events on their way."""

    def __init__(self, publisher: EventPublisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._queues: dict[str, _Queue] = {}
        self._waiting = 0

    def put(self, stored: StoredEvent) -> None:
        """Publish an event's copies, after those that wait for the same queues."""
        for copy in stored.copies:
            name = copy.reply.reply_to
            queue = self._queues.setdefault(name, _Queue())
            if len(queue.waiting) >= WAITING or self._waiting >= WAITING_IN_ALL:
                queue.dropped += 1
                if queue.dropped in {1, 10, 100} or queue.dropped % 1000 == 0:
                    _log.warning("copies of events are dropped: their queue takes none", dropped=queue.dropped)
                continue
            queue.waiting.append((stored.event, copy))
            self._waiting += 1
            self._go_on(name, queue)

    async def emptied(self) -> None:
        """Wait until nothing is left. A queue that takes nothing makes that wait for ever: bound it."""
        while tasks := [task for queue in self._queues.values() for task in queue.tasks]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Publish nothing more, and say what is left."""
        tasks = [task for queue in self._queues.values() for task in queue.tasks]
        if left := len(tasks) + self._waiting:
            _log.warning("copies of events were not published", left=left)
        self._waiting = 0
        self._queues.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go_on(self, name: str, queue: _Queue) -> None:
        while queue.waiting and len(queue.tasks) < UNCONFIRMED:
            event, copy = queue.waiting.popleft()
            self._waiting -= 1
            task = asyncio.create_task(self._publish(event, copy))
            queue.tasks.add(task)
            task.add_done_callback(lambda task: self._ended(name, queue, task))

    def _ended(self, name: str, queue: _Queue, task: "asyncio.Task[None]") -> None:
        queue.tasks.discard(task)
        if self._queues.get(name) is not queue:
            return
        if task.cancelled():  # not by us: `close` has taken the queue away
            _log.error("a copy of an event was lost: the library cancelled its publish")
        elif task.exception() is not None:
            _log.error("a copy of an event was lost", exc_info=task.exception())
        self._go_on(name, queue)
        if not queue.tasks and not queue.waiting:
            del self._queues[name]

    async def _publish(self, event: OrderEvent, copy: Copy) -> None:
        for tried in range(TRIES):
            try:
                await self._publisher.publish_copy(event, copy)
            except Unroutable:
                _log.debug("a copy of an event was dropped: its reply queue is gone", event_id=event.event_id)
            except PublishFailed as error:
                _log.info("a copy of an event waits for the broker", event_id=event.event_id, error=str(error))
                await self._clock.sleep(min(RETRY_S * 2.0**tried, MAX_RETRY_S))
                continue
            return
        _log.warning("a copy of an event was dropped: the broker did not take it", event_id=event.event_id)
