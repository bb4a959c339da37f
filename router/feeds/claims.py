"""Commands that the journal shows only after an event about their order was numbered.

A cancel by order id leaves before its row is committed (the router's README, "What a command pays for durability"), so
on a shared journal its order's event can be there first. Such an event is on the topic already; the copy for the
command's reply queue follows.
"""

from collections import deque
from typing import Final

import structlog
from msgspec.structs import replace

from router.answers import to_us
from router.errors import JournalUnavailable, PublishFailed
from router.events import StoredEvent
from router.ports import Clock, EventJournal, EventPublisher

AFTER_US: Final = 1_000_000
AT_ONCE: Final = 200
KEPT: Final = 20_000
"""Beyond that the oldest go without: their copies are a courtesy, the topic has them."""

_log = structlog.get_logger(__name__)


class LateClaims:
    """The events of one account that nobody had claimed."""

    def __init__(self, place: tuple[str, str], journal: EventJournal, publisher: EventPublisher, clock: Clock) -> None:
        self._place = place
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._unclaimed: deque[tuple[int, StoredEvent]] = deque(maxlen=KEPT)

    def add(self, stored: StoredEvent) -> None:
        """Look at an event without copies once more, a little later."""
        self._unclaimed.append((self._clock.now_us() + AFTER_US, stored))

    async def run(self) -> None:
        """Publish what is claimed late, until cancelled."""
        while True:
            await self._clock.sleep(AFTER_US / 2e6)
            try:
                while due := self._due():
                    await self._copy(due)
            except (JournalUnavailable, PublishFailed) as error:
                _log.info("late copies were not published", account="/".join(self._place), error=str(error))

    def _due(self) -> list[StoredEvent]:
        now = self._clock.now_us()
        due: list[StoredEvent] = []
        while self._unclaimed and self._unclaimed[0][0] <= now and len(due) < AT_ONCE:
            due.append(self._unclaimed.popleft()[1])
        return due

    async def _copy(self, due: list[StoredEvent]) -> None:
        orders = {stored.event.order_id: stored.event.client_order_id for stored in due}
        copies = await self._journal.copies_for(*self._place, tuple(orders.items()))
        for stored in due:
            # A command that came after the event did not cause it, and begins to hear with the next one.
            seen_us = to_us(stored.event.received_at)
            earlier = tuple(copy for copy in copies.get(stored.event.order_id, ()) if copy.received_us <= seen_us)
            if earlier:
                await self._publisher.publish_copies(replace(stored, copies=earlier))
