"""Answer by the deadline what the journal keeps from being answered.

While the journal cannot be written no result can be stored. Whoever waits for one is told at the deadline that the
command is in doubt; the recorded answer follows when the journal is back (contract, section 2).
"""

import asyncio
import heapq
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from router.clock import to_us
from router.commands import answers
from router.commands.relay import ResultRelay
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Clock, Journal
from router.records.command import CommandRecord, Reply
from schemas.ids import unrecorded_id
from schemas.results import Result

GRACE_US: Final = 300_000
"""How long after its deadline a command is left to the ordinary way: that may be just about to answer."""
JOURNAL_AWAY: Final = "the journal is away; the recorded answer follows"
READ_S: Final = 0.3
TICK_S: Final = 0.25
TICK_US: Final = 250_000
WATCHED_US: Final = 30_000_000
"""How long after its deadline a command without an answer is watched: somebody else may have answered it."""
KEPT: Final = 100_000

_log = structlog.get_logger(__name__)

Key = tuple[str, str]


def unrecorded(result: Result, sender: str, message_id: str) -> Result:
    """Return a result as it is told while the journal cannot be written."""
    result_id = unrecorded_id(sender, result.command_id or "", message_id)
    return replace(result, result_id=result_id, seq=0, recorded=False)


class _Waiting(Struct, frozen=True):
    """Who waits for the answer of a command, and until when that is looked at, by the boot clock."""

    record: CommandRecord
    reply: Reply
    message_id: str
    until_us: int


class Overdue:
    """The open commands of this process, by their deadlines."""

    def __init__(self, journal: Journal, relay: ResultRelay, clock: Clock) -> None:
        self._journal = journal
        self._relay = relay
        self._clock = clock
        self._open: dict[Key, list[_Waiting]] = {}
        self._due: list[tuple[int, Key]] = []
        self._telling: set[asyncio.Task[None]] = set()

    def watch(self, record: CommandRecord, reply: Reply, message_id: str) -> None:
        """Take a command that was admitted, or may have been, or that somebody else brings to its answer."""
        key = (record.sender, record.command_id)
        if len(self._open) >= KEPT:
            _log.warning("a command is not watched over: there are too many", command_id=record.command_id)
            return
        left_us = to_us(record.command.not_after) - self._journal.latest_us()
        due_us = self._clock.boot_us() + left_us + GRACE_US
        self._open.setdefault(key, []).append(_Waiting(record, reply, message_id, due_us + WATCHED_US))
        heapq.heappush(self._due, (due_us, key))

    def answered(self, record: CommandRecord) -> None:
        """Forget a command that has an answer on disk."""
        self._open.pop((record.sender, record.command_id), None)

    async def run(self) -> None:
        """Answer what is overdue while the journal is away, until cancelled.

        What is overdue while the journal works may be just about to be answered, or the journal about to go: it is
        looked at again.
        """
        while True:
            await self._clock.sleep(TICK_S)
            now = self._clock.boot_us()
            while self._due and self._due[0][0] <= now:
                _, key = heapq.heappop(self._due)
                waiting = self._open.get(key, [])
                if not self._journal.writable:
                    self._open.pop(key, None)
                    if waiting:
                        task = asyncio.create_task(self._tell(waiting), name=f"overdue {key[1]}")
                        self._telling.add(task)
                        task.add_done_callback(self._telling.discard)
                elif any(one.until_us > now for one in waiting):
                    heapq.heappush(self._due, (now + TICK_US, key))
                else:
                    self._open.pop(key, None)

    async def _tell(self, waiting: Sequence[_Waiting]) -> None:
        """Tell everybody who waits for a command that it is in doubt, unless somebody else has answered it."""
        record = waiting[0].record
        if await self._is_answered(record):
            return
        _log.warning("answered without the journal", command_id=record.command_id, venue=record.command.venue)
        _, result = answers.doubted(replace(record, message=JOURNAL_AWAY), self._journal.latest_us())
        told = [
            self._relay.answer(one.reply, unrecorded(result, record.sender, one.message_id), record.sender)
            for one in waiting
        ]
        await asyncio.gather(*told)

    async def _is_answered(self, record: CommandRecord) -> bool:
        """Say whether the journal can be read, though not written, and shows an answer."""
        try:
            async with asyncio.timeout(READ_S):
                known = await self._journal.load(record.sender, record.command_id)
        except (JournalUnavailable, UnreadableRow, TimeoutError):
            return False
        return known is not None and known.state != "open"
