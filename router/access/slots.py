"""Stamps that no other process makes: each process that shares the journal has a number of its own for a while.

Some venues refuse a stamp that they have seen, whichever process sent it. There a stamp is a time rounded to as many
milliseconds as there are numbers, plus the number (`configured.Account`). The number is leased in the journal; a
process without one, such as `check`, uses the last, which nobody is given.
"""

import uuid
from typing import Final

import structlog

from router.access.configured import SHARED_SLOT
from router.errors import JournalUnavailable
from router.ports import Clock, SlotJournal

HOLD_US: Final = 120_000_000
RENEW_S: Final = 30.0

_log = structlog.get_logger(__name__)


class Slots:
    """The number of this process, `SHARED_SLOT` while it has none."""

    def __init__(self, journal: SlotJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._process = uuid.uuid4().hex
        self._number = SHARED_SLOT
        self._until_us = 0

    @property
    def number(self) -> int:
        """The number to make stamps with now. A process that slept for longer than its lease has none."""
        return self._number if self._clock.boot_us() < self._until_us else SHARED_SLOT

    async def take(self) -> None:
        """Take a number, or keep the one that is ours."""
        asked_us = self._clock.boot_us()
        try:
            number = await self._journal.take_slot(self._process, SHARED_SLOT, HOLD_US)
        except JournalUnavailable as error:
            _log.info("the number for stamps is kept without the journal", error=str(error))
            if self.number != SHARED_SLOT:  # as others keep theirs
                self._until_us = asked_us + HOLD_US
            return
        if number is None and self.number == SHARED_SLOT:
            _log.warning("more processes than numbers for stamps", numbers=SHARED_SLOT)
        self._number = SHARED_SLOT if number is None else number
        self._until_us = asked_us + HOLD_US

    async def run(self) -> None:
        """Keep the number, until cancelled."""
        while True:
            await self._clock.sleep(RENEW_S)
            await self.take()

    async def release(self) -> None:
        """Let another process have the number, in some seconds."""
        self._until_us = 0
        try:
            await self._journal.release_slot(self._process)
        except JournalUnavailable as error:
            _log.info("a number for stamps stays taken for a while", error=str(error))
