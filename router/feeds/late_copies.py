"""Copies for commands that the journal names only after an event about their order was numbered.

A close whose answer was lost has no order id on record until somebody has found its order, which can take longer than
its events are held. So a cancel has none that left while the journal was away. Such events are on the topic already;
the copies for the command's reply queue follow.
"""

from collections import deque
from collections.abc import Collection
from typing import Final

import structlog
from msgspec.structs import replace

from router.clock import to_us
from router.errors import JournalUnavailable
from router.feeds.copies import Copies
from router.ports import Clock, EventJournal
from router.records.event import StoredEvent

AFTER_US: Final = 1_000_000
HOPEFUL_US: Final = 120_000_000
"""How long the events of an order are kept that a close under way may have placed."""
AT_ONCE: Final = 200
KEPT: Final = 20_000
"""Beyond that the oldest go without: their copies are a courtesy, the topic has them."""
HOPEFUL: Final = 1_000

_log = structlog.get_logger(__name__)


class LateCopies:
    """The events of one account that nobody had claimed."""

    def __init__(self, place: tuple[str, str], journal: EventJournal, copies: Copies, clock: Clock) -> None:
        self._place = place
        self._journal = journal
        self._copies = copies
        self._clock = clock
        self._once: deque[tuple[int, StoredEvent]] = deque(maxlen=KEPT)
        self._kept_longer: dict[str, list[StoredEvent]] = {}
        self._kept_since_us: dict[str, int] = {}
        """Since when, by the boot clock."""

    def keep_longer(self, order_ids: Collection[str]) -> None:
        """Keep what is told of these orders for longer."""
        for order_id in order_ids:
            if len(self._kept_longer) < HOPEFUL and order_id not in self._kept_longer:
                self._kept_longer[order_id] = []
                self._kept_since_us[order_id] = self._clock.boot_us()

    def add(self, stored: StoredEvent) -> None:
        """Look at an event without copies once more, a little later. Counted by the boot clock."""
        hopeful = self._kept_longer.get(stored.event.order_id)
        if hopeful is not None:
            hopeful.append(stored)
        else:
            self._once.append((self._clock.boot_us() + AFTER_US, stored))

    async def run(self) -> None:
        """Publish what is claimed late, until cancelled."""
        while True:
            await self._clock.sleep(AFTER_US / 2e6)
            try:
                while due := self._due():
                    await self._copy_once(due)
                await self._copy_hopeful()
            except JournalUnavailable as error:
                _log.info("late copies were not published", account="/".join(self._place), error=str(error))

    async def _copy_once(self, due: list[StoredEvent]) -> None:
        try:
            await self._copy(due)
        except JournalUnavailable:
            self._once.extendleft((0, stored) for stored in reversed(due))
            raise

    def _due(self) -> list[StoredEvent]:
        now = self._clock.boot_us()
        due: list[StoredEvent] = []
        while self._once and self._once[0][0] <= now and len(due) < AT_ONCE:
            due.append(self._once.popleft()[1])
        return due

    async def _copy_hopeful(self) -> None:
        claimed = await self._copy([stored for events in self._kept_longer.values() for stored in events])
        over_us = self._clock.boot_us() - HOPEFUL_US
        for order_id in list(self._kept_longer):
            if order_id in claimed or self._kept_since_us[order_id] < over_us:
                del self._kept_longer[order_id], self._kept_since_us[order_id]

    async def _copy(self, due: list[StoredEvent]) -> Collection[str]:
        """Publish the copies of what is claimed by now; return the orders of that."""
        orders = {stored.event.order_id: stored.event.client_order_id for stored in due}
        if not orders:
            return ()
        copies = await self._journal.copies_for(*self._place, tuple(orders.items()))
        for stored in due:
            # A command that came after the event did not cause it, and begins to hear with the next one.
            seen_us = to_us(stored.event.received_at)
            earlier = tuple(copy for copy in copies.get(stored.event.order_id, ()) if copy.received_us <= seen_us)
            if earlier:
                self._copies.put(replace(stored, copies=earlier))
        return copies.keys()
