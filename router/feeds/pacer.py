"""Turns to speak: some venues count what is said per address, over all accounts and connections."""

import asyncio
import time

import structlog

from router.errors import JournalUnavailable
from router.ports import Clock, EventJournal

_log = structlog.get_logger(__name__)


class Pacer:
    """The turns of one venue. The journal gives them out, so that all processes that share it keep the pace."""

    def __init__(self, venue: str, journal: EventJournal, clock: Clock) -> None:
        self._venue = venue
        self._journal = journal
        self._clock = clock
        self._speaking = asyncio.Lock()
        self._last_s: float | None = None

    async def turn(self, pace_s: float) -> None:
        """Wait until at least `pace_s` have passed since the last paced frame."""
        async with self._speaking:
            try:
                ahead_s = await self._journal.pace(self._venue, int(pace_s * 1e6)) / 1e6
            except JournalUnavailable as error:
                _log.warning("the pace is kept by this process alone", venue=self._venue, error=str(error))
                ahead_s = 0.0
            if self._last_s is not None:
                # Turns are given by the database's clock, and a commit may come late: two must not come too close.
                ahead_s = max(ahead_s, self._last_s + pace_s - time.monotonic())
            if ahead_s > 0:
                await self._clock.sleep(ahead_s)
            self._last_s = time.monotonic()
