"""Tell operators on the broker, within a second, what they must know (contract, section 8), and find what stands.

What happens at one place is raised there, on the board of `Metrics`. What only shows from outside is watched here: a
journal that cannot be written, one that was put back, commands that stay in doubt.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from router.broker import Publisher
from router.clock import SystemClock
from router.errors import PublishFailed
from router.journal import Backlog, Store
from router.telemetry.alerts import AlertBoard
from schemas.alerts import Alert

EVERY_S: Final = 0.25
DOWN_S: Final = 0.5
"""How long the journal may be away without a word: a reconnect is no trouble."""
AGAIN_S: Final = 1.0
"""How long to wait after the broker has not taken an alert."""
START_S: Final = 10.0
"""How long it may take to come up."""
IN_DOUBT_S: Final = 60.0
RESTORED_US: Final = 600_000_000
"""How long ago a journal was put back that a process still tells of when it starts."""

_log = structlog.get_logger(__name__)


class Alarms:
    """Publishes what is due, and keeps what the broker has not taken until it has."""

    def __init__(self, board: AlertBoard, journal: Store, publisher: Publisher, clock: SystemClock) -> None:
        self._board = board
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._owed: dict[tuple[str, str | None, str | None, bool], Alert] = {}
        self._publishing: asyncio.Task[None] | None = None
        self._written_s: float | None = None
        self._epoch_told = 0

    async def run(self) -> None:
        """Watch and tell, for ever."""
        began_s = asyncio.get_running_loop().time()
        while True:
            self._watch_journal(began_s)
            self._take_due()
            await asyncio.sleep(EVERY_S)

    async def finish(self, timeout_s: float) -> None:
        """Tell what is due at the end."""
        self._take_due()
        if self._publishing is not None:
            await asyncio.wait({self._publishing}, timeout=timeout_s)
            self._publishing.cancel()

    def backlog(self, found: Backlog, venues: Mapping[str, object]) -> None:
        """Raise and clear what follows from the commands that are not settled."""
        for venue in venues:
            waiting = found.venues.get(venue)
            oldest_s = (waiting.oldest_us or 0) / 1e6 if waiting is not None else 0.0
            if waiting is not None and oldest_s > IN_DOUBT_S:
                message = f"{waiting.in_doubt} in doubt, the oldest for {oldest_s:.0f} s"
                self._board.raised("in_doubt_too_long", venue, message=message, standing=True)
            else:
                self._board.cleared("in_doubt_too_long", venue)

    def _watch_journal(self, began_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._journal.writable:
            self._written_s = now_s
            self._board.cleared("journal_down")
            self._watch_epoch()
        elif now_s > (began_s + START_S if self._written_s is None else self._written_s + DOWN_S):
            message = "the journal cannot be written: closes wait, only plain cancels leave"
            self._board.raised("journal_down", message=message, standing=True)

    def _watch_epoch(self) -> None:
        began_us = self._journal.epoch_us
        if self._journal.first_epoch or began_us == self._epoch_told:
            return
        self._epoch_told = began_us
        if self._journal.latest_us() - began_us < RESTORED_US:
            message = "the journal was put back or lost: closes are looked up before they are sent"
            self._board.raised("journal_restored", message=message)

    def _take_due(self) -> None:
        for alert in self._board.due(self._clock.now_us()):
            key = (alert.code, alert.venue, alert.account)
            if alert.resolved and self._owed.pop((*key, False), None) is not None:
                continue  # nobody heard that it began
            self._owed[(*key, alert.resolved)] = alert
        if self._owed and (self._publishing is None or self._publishing.done()):
            self._publishing = asyncio.create_task(self._publish(), name="publish alerts")

    async def _publish(self) -> None:
        for key, alert in list(self._owed.items()):
            try:
                await self._publisher.publish_alert(alert)
            except PublishFailed as error:
                _log.warning("an alert waits for the broker", code=alert.code, error=str(error))
                await asyncio.sleep(AGAIN_S)
                return
            if self._owed.get(key) is alert:
                del self._owed[key]
