"""Answer by the deadline whatever waits for the journal, saying no more than is known without it.

`expired` only if the journal can be read and shows no row: then nothing was sent, here or anywhere. Else it is in
doubt, and the recorded answer follows (contract, section 2).
"""

import asyncio
from typing import Final

import structlog
from msgspec.structs import replace

from router.clock import to_us
from router.commands import answers
from router.commands.overdue import JOURNAL_AWAY, READ_S, unrecorded
from router.commands.plan import Planner
from router.commands.relay import ResultRelay
from router.commands.running import Running
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Journal
from router.records.command import CommandRecord
from router.telemetry import Metrics, final
from schemas.results import Result

ANSWER_BY_US: Final = 300_000
"""How long after its deadline a command that waits for the journal is answered without it."""

_log = structlog.get_logger(__name__)


class WithoutJournal:
    """Tells senders what can be told. `tasks` are the answers under way."""

    def __init__(self, journal: Journal, planner: Planner, relay: ResultRelay, metrics: Metrics) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._journal = journal
        self._planner = planner
        self._relay = relay
        self._metrics = metrics

    async def tell_late(self, running: Running, fresh: CommandRecord) -> bool:
        """Answer once without the journal's writing. Returns whether for good: nothing was sent, or will be."""
        if running.told:
            return False
        running.told = True
        now = self._journal.latest_us()
        if running.uncertain or not await self._was_never_sent(fresh):
            _, result = answers.doubted(replace(fresh, message=JOURNAL_AWAY), now)
        else:
            _, result = answers.refused(fresh, "expired", "not_after passed while the journal was away", now)
            final(self._metrics, result, fresh.sender)
        await self.tell(running, fresh, result)
        return result.final

    async def _was_never_sent(self, fresh: CommandRecord) -> bool:
        """Say whether the journal can still be read, and shows no row: without one nothing has left, here or anywhere.

        The same command may have been published before, and handled by any process.
        """
        if not self._journal.certified or self._planner.may_be_lost():
            return False
        try:
            async with asyncio.timeout(READ_S):
                return await self._journal.load(fresh.sender, fresh.command_id) is None
        except (JournalUnavailable, UnreadableRow, TimeoutError):
            return False

    async def tell(self, running: Running, fresh: CommandRecord, result: Result) -> None:
        """Answer with what is not on record, and return once the broker has it."""
        _log.warning("answered without the journal", command_id=fresh.command_id, outcome=result.outcome)
        result = unrecorded(result, fresh.sender, running.delivery.message_id)
        await self._relay.answer(running.reply, result, fresh.sender)

    def by_deadline(self, running: Running, fresh: CommandRecord) -> asyncio.TimerHandle:
        """Tell the sender by its deadline that nothing is known, unless that is cancelled: should the journal hang."""
        left_us = to_us(fresh.command.not_after) + ANSWER_BY_US - self._journal.latest_us()
        loop = asyncio.get_running_loop()
        return loop.call_later(max(left_us, ANSWER_BY_US) / 1e6, self._tell_meanwhile, running, fresh)

    def _tell_meanwhile(self, running: Running, fresh: CommandRecord) -> None:
        running.uncertain = True  # its row may be stored yet
        task = asyncio.create_task(self._told(running, fresh), name=f"overdue {fresh.command_id}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _told(self, running: Running, fresh: CommandRecord) -> None:
        await self.tell_late(running, fresh)
