"""What is sighted goes to the journal, which says what of it is news; what is news goes out.

Sightings that arrive while a transaction runs share the next one. An order that nobody knows yet may be that of a
close whose answer is still on its way: its sightings are held a few seconds, then they go without a command.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec.structs import replace

from router.errors import JournalUnavailable, LeaseLost
from router.feeds.relay import EventRelay
from router.ports import Clock, EventJournal
from router.records.event import Lease, OrderReport, Recorded
from router.telemetry import Metrics
from router.venue_protocol.stream import Change
from schemas.events import Source

BATCH: Final = 256
ROOM: Final = 5_000
"""How many sightings may wait for the journal before the venue is made to wait."""
HOLD_US: Final = 3_000_000
HELD_AGAIN_S: Final = 0.1
MARK_S: Final = 1.0
RETRY_S: Final = 0.5

_log = structlog.get_logger(__name__)


class _Entry:
    __slots__ = ("came_us", "number", "sighting")

    def __init__(self, number: int, sighting: OrderReport, came_us: int) -> None:
        self.number = number
        self.sighting = sighting
        self.came_us = came_us
        """When it came, by the boot clock."""


class Recorder:
    """The way of one account's sightings into the journal.

    `owned` says, by this process's own clock, whether the lease still holds; `on_recorded` hears what came of it.
    """

    def __init__(
        self,
        lease: Lease,
        journal: EventJournal,
        relay: EventRelay,
        clock: Clock,
        *,
        metrics: Metrics,
        owned: Callable[[], bool],
        on_recorded: Callable[[Recorded], None],
    ) -> None:
        self._lease = lease
        self._journal = journal
        self._relay = relay
        self._clock = clock
        self._metrics = metrics
        self._owned = owned
        self._on_recorded = on_recorded
        self._queue: deque[_Entry] = deque()
        self._held: dict[str, list[_Entry]] = {}
        self._held_at = 0.0
        self._outstanding: dict[int, None] = {}
        self._number = 0
        self._last_seq = 0
        self._marked_seq = relay.published_seq
        self._woken = asyncio.Event()
        self._moved = asyncio.Event()

    def sight(self, changes: Sequence[Change], source: Source) -> None:
        """Take notice of what a venue reported."""
        now, came_us = self._clock.now_us(), self._clock.boot_us()
        for change in changes:
            self._number += 1
            self._outstanding[self._number] = None
            sighting = OrderReport(change=change, source=source, received_us=now)
            self._queue.append(_Entry(self._number, sighting, came_us))
        self._woken.set()

    async def room(self) -> None:
        """Wait while too much waits for the journal."""
        while len(self._queue) > ROOM:
            self._moved.clear()
            await self._moved.wait()

    async def settled(self) -> None:
        """Wait until everything sighted so far is recorded, and what of it was news is published."""
        target = self._number
        while self._outstanding and next(iter(self._outstanding)) <= target:
            self._moved.clear()
            await self._moved.wait()
        await self._relay.published(self._last_seq)

    async def run(self) -> None:
        """Record until cancelled. Raises `LeaseLost`."""
        while True:
            batch = self._due()
            if batch:
                await self._record(batch)
            else:
                await self._pause()

    def _due(self) -> list[_Entry]:
        """Return what to record now: held sightings once in a while, then those that are new."""
        batch: list[_Entry] = []
        loop_s = asyncio.get_running_loop().time()
        if self._held and loop_s >= self._held_at:
            over_us = self._clock.boot_us() - HOLD_US
            for entries in self._held.values():
                # When the first of an order has waited long enough, none of them waits any more.
                waited = entries[0].came_us <= over_us
                for entry in entries:
                    entry.sighting = replace(entry.sighting, waited=waited)
                    batch.append(entry)
            self._held.clear()
            self._held_at = loop_s + HELD_AGAIN_S
        while self._queue and len(batch) < BATCH:
            entry = self._queue.popleft()
            held = self._held.get(entry.sighting.change.order_id)
            if held is None:
                batch.append(entry)
            else:
                held.append(entry)
        return batch

    async def _record(self, batch: list[_Entry]) -> None:
        recorded = await self._stored([entry.sighting for entry in batch])
        waiting = {id(sighting) for sighting in recorded.waiting}
        for entry in batch:
            if id(entry.sighting) in waiting:
                self._held.setdefault(entry.sighting.change.order_id, []).append(entry)
            else:
                del self._outstanding[entry.number]
        for stored in recorded.events:
            self._last_seq = stored.event.seq
            self._metrics.order_event(self._lease.venue, stored.event.status)
            self._relay.put(stored)
        self._moved.set()
        self._on_recorded(recorded)

    async def _stored(self, sightings: Sequence[OrderReport]) -> Recorded:
        while True:
            if not self._owned():
                raise LeaseLost("the lease has run out")
            published_seq = self._relay.published_seq
            try:
                recorded = await self._journal.record(self._lease, sightings, published_seq=published_seq)
            except JournalUnavailable as error:
                _log.warning("order events wait for the journal", venue=self._lease.venue, error=str(error))
                await self._clock.sleep(RETRY_S)
            else:
                self._marked_seq = published_seq
                return recorded

    async def _pause(self) -> None:
        """Wait for something to record; use the time to say how far publishing has come."""
        self._woken.clear()
        try:
            async with asyncio.timeout(HELD_AGAIN_S if self._held else MARK_S):
                await self._woken.wait()
        except TimeoutError:
            await self.mark()

    async def mark(self) -> None:
        """Say in the journal how far publishing has come, if it does not know. Raises `LeaseLost`."""
        published_seq = self._relay.published_seq
        if published_seq > self._marked_seq:
            try:
                await self._journal.feed_progress(self._lease, published_seq=published_seq)
            except JournalUnavailable:
                return  # later: a lost mark costs a repeat
            self._marked_seq = published_seq
