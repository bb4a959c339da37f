"""The journal's witness: marks that are stored first and then kept by the broker.

A database cannot know that it was put back to an earlier state. So once a second a process that has committed
anything stores a random mark, and publishes it after that commit to a stream that nobody consumes. A mark that the
stream shows and the journal lacks says that the journal was put back: a new epoch begins (router/README.md, section
6). What was lost within the last second goes unnoticed, and so does a broker put back with the journal.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from router.errors import BrokerUnavailable, ConfigError, JournalUnavailable
from router.ports import Clock, Mark, MarkJournal, Witness

EVERY_S: Final = 1.0
LAST: Final = 100
OTHER_JOURNAL: Final = (
    "journal.url: this is not the journal that was used on this broker before. If it names the wrong one, name the "
    "right one. If that one is lost, say so with `order-router journal adopt`: closes are then looked up before they "
    "are sent, until everything that it may have sent has expired"
)

_log = structlog.get_logger(__name__)


class Marks:
    """Keeps the journal certified: compared with its witness since it was opened."""

    def __init__(self, journal: MarkJournal, witness: Witness, clock: Clock) -> None:
        self._journal = journal
        self._witness = witness
        self._clock = clock

    async def certify(self) -> None:
        """Compare the journal with its witness.

        Raises `ConfigError` when the witness knows another journal, `BrokerUnavailable`, `JournalUnavailable`.
        """
        if self._journal.certified:
            return
        marks = current(await self._witness.read(LAST))
        others = {mark.journal_id for mark in marks} - {self._journal.journal_id}
        if others:
            raise ConfigError([OTHER_JOURNAL])
        found = await self._journal.certify([mark.id for mark in marks])
        if found == "put back":
            _log.error("journal_restored", marks=len(marks), meaning="closes are looked up before they are sent")
        elif found == "unwitnessed":
            _log.error(
                "journal_unwitnessed", meaning="the stream of marks is empty: nobody knows of a restored journal"
            )
        await self._write(always=True)  # before the first send: the stream must know this journal from then on

    async def run(self) -> None:
        """Certify whenever that is due, and write marks, until cancelled. Raises `ConfigError` as `certify` does."""
        while True:
            await self._clock.sleep(EVERY_S)
            try:
                await self._journal.verify()
                if not self._journal.certified:
                    await self.certify()
                await self._write()
            except (BrokerUnavailable, JournalUnavailable) as error:
                _log.info("no mark was written", error=str(error))

    async def _write(self, *, always: bool = False) -> None:
        mark = await self._journal.mark(always=always)
        if mark is not None:
            await self._witness.write(Mark(self._journal.journal_id, mark))
            self._journal.witnessed()


def current(marks: Sequence[Mark]) -> Sequence[Mark]:
    """Return the marks since the last time that an operator said which journal is the right one."""
    adopting = [number for number, mark in enumerate(marks) if mark.adopts]
    return marks[adopting[-1] :] if adopting else marks
