"""What the journal has numbered goes to the broker, in the order of its numbers.

Many publishes are in flight at once. When one is not confirmed, everything from it on is published again: a listener
may hear an event twice, under the same id and number, and never misses one. What does not fit into memory while the
broker is away stays in the journal and is read from there.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from router.errors import JournalUnavailable, LeaseLost, PublishFailed
from router.feeds.copies import Copies
from router.ports import Clock, EventJournal, EventPublisher
from router.records.event import StoredEvent
from schemas.events import FeedStatus

WINDOW: Final = 256
IN_MEMORY: Final = 10_000
PAGE: Final = 1_000
RETRY_S: Final = 0.5

_log = structlog.get_logger(__name__)


class EventRelay:
    """The events and statuses of one account on their way out. Starts where the last owner's confirmed ones end.

    `owned` says, by our own clock, whether the lease still holds.
    """

    def __init__(
        self,
        place: tuple[str, str],
        journal: EventJournal,
        publisher: EventPublisher,
        copies: Copies,
        *,
        clock: Clock,
        seq: int,
        published_seq: int,
        owned: Callable[[], bool],
    ) -> None:
        self.published_seq = published_seq
        """The last event that is confirmed together with all before it."""
        self._place = place
        self._journal = journal
        self._publisher = publisher
        self._copies = copies
        self._clock = clock
        self._owned = owned
        self._told_seq = seq
        self._loaded_seq = published_seq
        self._backlog: deque[StoredEvent | FeedStatus] = deque()
        self._window: deque[tuple[StoredEvent | FeedStatus, asyncio.Task[bool]]] = deque()
        self._width = WINDOW
        self._woken = asyncio.Event()
        self._moved = asyncio.Event()

    def put(self, item: StoredEvent | FeedStatus) -> None:
        """Publish an event that is stored, or a status, after everything before it."""
        if isinstance(item, StoredEvent):
            behind, self._told_seq = self._behind, item.event.seq
            if behind or len(self._backlog) >= IN_MEMORY:
                return
            self._loaded_seq = item.event.seq
        self._backlog.append(item)
        self._fill()
        self._woken.set()

    async def published(self, seq: int) -> None:
        """Wait until an event and all before it are confirmed."""
        while self.published_seq < seq:
            self._moved.clear()
            await self._moved.wait()

    async def emptied(self) -> None:
        """Wait until there is nothing left to publish on the topic."""
        while self._behind or self._backlog or self._window:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Publish until cancelled. Raises `LeaseLost`: what is left is the next owner's."""
        try:
            while True:
                if not self._owned():
                    raise LeaseLost("the lease has run out")
                await self._load()
                self._fill()
                if self._window:
                    await self._confirm()
                elif not self._behind:
                    self._woken.clear()
                    await self._woken.wait()
        finally:
            for _, task in self._window:
                task.cancel()

    @property
    def _behind(self) -> bool:
        """Whether the journal holds events that are not in memory."""
        return self._told_seq > self._loaded_seq

    async def _load(self) -> None:
        if not self._behind or len(self._backlog) > IN_MEMORY // 2:
            return
        try:
            found = await self._journal.stored_events(*self._place, self._loaded_seq, PAGE)
        except JournalUnavailable as error:
            _log.warning("events wait for the journal", error=str(error))
            await self._clock.sleep(RETRY_S)
            return
        if not found:  # retired meanwhile: there is nothing to publish under these numbers any more
            self.published_seq = self._loaded_seq = self._told_seq
        for item in found:
            self._loaded_seq = item.event.seq
            self._backlog.append(item)

    def _fill(self) -> None:
        while self._backlog and len(self._window) < self._width:
            item = self._backlog.popleft()
            self._window.append((item, asyncio.create_task(self._send(item))))

    async def _confirm(self) -> None:
        """Wait for the oldest publish; when it failed, take all of them back and begin again with it."""
        item, task = self._window[0]
        if await task:
            self._window.popleft()
            if isinstance(item, StoredEvent):
                self.published_seq = item.event.seq
            self._width = WINDOW
            self._moved.set()
            return
        self._width = 0
        await asyncio.wait([task for _, task in self._window])
        self._backlog.extendleft(item for item, _ in reversed(self._window))
        self._window.clear()
        await self._clock.sleep(RETRY_S)
        # One goes ahead to see whether the broker takes it: publishes in flight on a channel that dies can take the
        # whole connection with them, and results are on it as well.
        self._width = 1

    async def _send(self, item: StoredEvent | FeedStatus) -> bool:
        if not self._owned():
            return False  # a status would contradict what the next owner says
        try:
            if isinstance(item, StoredEvent):
                await self._publisher.publish_event(item)
                self._copies.put(item)
            else:
                await self._publisher.publish_status(item)
        except PublishFailed as error:
            _log.warning("an event waits for the broker", account="/".join(self._place), error=str(error))
            return False
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            _log.warning("an event waits for the broker", account="/".join(self._place), error="cancelled by a library")
            return False
        return True
