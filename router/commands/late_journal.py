"""The journal as a cancel sees it that left before its row was committed.

A plain cancel reduces risk and may be sent twice, so a journal that is slow or away does not hold it (contract,
section 2). What becomes of its row is asked when there is something to store: if the row was committed meanwhile,
everything goes on as with any command; else the cancel is brought to its end in memory, and its answer is not recorded.
"""

import asyncio
from typing import Final

from msgspec.structs import replace

from router.errors import JournalUnavailable, RouterError, UnreadableRow
from router.ports import Clock, Journal
from router.records.command import Admission, Admitted, AttemptEnd, CommandRecord, Moment, Repeat, Saved
from schemas.commands import Close
from schemas.results import Result

LAST_CHANCE_S: Final = 1.0
"""How long a commit that is under way is waited for once the venue has answered."""
TICK_S: Final = 0.05


class Superseded(RouterError):
    """The command had a row before: answer from it. Cancels may be sent twice, so nothing is lost."""

    def __init__(self, admission: Admission) -> None:
        super().__init__(type(admission).__name__)
        self.admission = admission


class LateJournal:
    """What `Dispatcher` needs of a journal, for one cancel. `recorded` is `None` until it is known."""

    def __init__(self, journal: Journal, admitting: "asyncio.Future[Admission] | None", clock: Clock) -> None:
        self.recorded: bool | None = None if admitting is not None else False
        self._journal = journal
        self._admitting = admitting
        self._clock = clock

    async def save(
        self, record: CommandRecord, *, end: AttemptEnd | None = None, result: Result | None = None
    ) -> Saved | None:
        """Store, if the row is there and the journal can be written. Raises `Superseded`."""
        if self.recorded is None:
            self.recorded = await self._is_recorded(record)
        if self.recorded:
            try:
                return await self._journal.save(record, end=end, result=result)
            except JournalUnavailable:
                # It goes on without the row; whoever finds that later settles it, or sends once more.
                self.recorded = False
        at = Moment(self._clock.boot_us(), self._journal.latest_us())
        return Saved(replace(record, version=record.version + 1), (), at)

    async def load(self, sender: str, command_id: str) -> CommandRecord | None:
        """Return what is stored, if anything can be."""
        return await self._journal.load(sender, command_id) if self.recorded else None

    async def neighbours(self, record: CommandRecord) -> tuple[frozenset[str], tuple[Close, ...]]:
        """Return nothing: a cancel places no order."""
        return frozenset(), ()

    def note(self, sender: str, command_id: str, event: str, detail: str = "") -> None:
        """Append to the history of what is recorded. Of the rest the log tells."""
        if self.recorded:
            self._journal.note(sender, command_id, event, detail)

    def earliest_us(self) -> int:
        """Return the journal's time at least, as far as it is known."""
        return self._journal.earliest_us()

    def latest_us(self) -> int:
        """Return the journal's time at most, as far as it is known."""
        return self._journal.latest_us()

    @property
    def since_us(self) -> int:
        """Since when that has gone on without a break."""
        return self._journal.since_us

    @property
    def epoch_us(self) -> int:
        """When the journal's epoch began."""
        return self._journal.epoch_us

    @property
    def first_epoch(self) -> bool:
        """Whether it is the first."""
        return self._journal.first_epoch

    async def _is_recorded(self, record: CommandRecord) -> bool:
        """Say whether the row was committed. Raises `Superseded`.

        A cancel that may have left is brought to its own end, even if its id belongs to another command or to one that
        was refused: that one's answer would say that it was not executed.
        """
        admission = await self.admission(record)
        if admission is None or isinstance(admission, Admitted):
            return admission is not None
        worked = isinstance(admission, Repeat) and admission.result.outcome != "rejected"
        if worked or not (record.attempts or record.unanswered):
            raise Superseded(admission)
        return False

    async def admission(self, record: CommandRecord) -> Admission | None:
        """Return what became of the row. A commit that hangs is waited for a moment, while the journal works."""
        if self._admitting is None:
            return None
        ends_us = self._clock.boot_us() + int(LAST_CHANCE_S * 1e6)
        while not self._admitting.done():
            if not self._journal.writable or self._clock.boot_us() >= ends_us:
                # If it is too late to take it back, whoever finds the row later goes on with it.
                self._journal.withdraw(record.sender, record.command_id)
                return None
            await asyncio.wait({self._admitting}, timeout=TICK_S)
        try:
            return self._admitting.result()
        except (JournalUnavailable, UnreadableRow):
            return None
