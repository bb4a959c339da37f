"""Take up every command that is due: parked waits, doubts, orders being watched, commands whose pod died.

Commands are claimed in the journal, for each account as many as there are free places, so that an account whose venue
answers nothing costs no other account anything. Looks have places of their own: however many requests wait to be sent,
doubts are settled. What needs no venue needs no venue's place. Of two that hold one, whoever saves first has it.
"""

import asyncio
import heapq
from collections import Counter
from contextlib import suppress
from typing import Final

import structlog
from msgspec.structs import replace

from router.clock import to_us
from router.commands import answers
from router.commands.conclude import Concluded
from router.commands.dispatch import UNRESOLVED_LOOK_US, Dispatcher
from router.commands.lookup import Sweep
from router.commands.relay import ResultRelay
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Journal
from router.records.command import CommandRecord, Kind, kind
from schemas.commands import Cancel, Close

POLL_S: Final = 1.0
AWAY_S: Final = 0.25
PLACES: Final[dict[Kind, int]] = {"act": 24, "look": 24, "own": 64}
"""How many due commands of one account are at work at a time in this process."""
AT_ONCE: Final = 256
"""How many are claimed at a time."""
CLAIM_US: Final[dict[Kind, int]] = {"act": 5_000_000, "own": 5_000_000, "look": 25_000_000}
"""What a pod that dies had taken up is due again after this long; a turn takes less, or extends it by its attempt."""
FIND_US: Final = 250_000
MAX_FIND_US: Final = 2_000_000
ORPHAN_US: Final = 5_000_000
SETTLED_ORPHAN_US: Final = 300_000_000
MAX_WAKES: Final = 100_000
"""Beyond that the poll finds what is due."""

_log = structlog.get_logger(__name__)


class Resolver:
    """The loop that brings every open command to its final result."""

    def __init__(self, dispatcher: Dispatcher, journal: Journal, relay: ResultRelay, *, resolve_for_s: float) -> None:
        self._dispatcher = dispatcher
        self._journal = journal
        self._relay = relay
        self._resolve_for_us = int(resolve_for_s * 1e6)
        self._woken = asyncio.Event()
        self._wakes: list[int] = []
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._mine: set[tuple[str, str]] = set()
        self._busy: Counter[tuple[str, str, Kind]] = Counter()
        dispatcher.on_parked = self.wake

    def wake(self, at_us: int) -> None:
        """Hear when a command is due."""
        if len(self._wakes) < MAX_WAKES:
            heapq.heappush(self._wakes, at_us)
            if self._wakes[0] == at_us:
                self._woken.set()

    async def run(self) -> None:
        """Resolve until `drain`, or until cancelled."""
        while not self._stopping:
            try:
                if self._journal.writable:
                    await self._round()
            except JournalUnavailable as error:
                _log.warning("the resolver waits for the journal", error=str(error))
            await self._pause()

    async def drain(self, timeout_s: float) -> None:
        """Take nothing more up and finish what is under way; what is left, another pod takes up."""
        self._stopping = True
        self._woken.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _pause(self) -> None:
        """Wait until the next command of ours is due, or long enough to look for those of others."""
        ahead_s = POLL_S
        if self._wakes:
            ahead_s = min((self._wakes[0] - self._journal.earliest_us()) / 1e6, POLL_S)
        if not self._journal.writable:
            ahead_s = AWAY_S  # whatever is due: there is nothing to do but to wait
        self._woken.clear()
        if ahead_s > 0 and not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(ahead_s):
                    await self._woken.wait()

    async def _round(self) -> None:
        now = self._journal.earliest_us()
        while self._wakes and self._wakes[0] <= now:
            heapq.heappop(self._wakes)
        due = await self._journal.take_up(
            self._dispatcher.venues, places=PLACES, busy=self._busy, claim_us=CLAIM_US, limit=AT_ONCE
        )
        if len(due) == AT_ONCE:
            self.wake(now)  # there may be more
        sweep = self._dispatcher.sweep()
        for record in due:
            key = (record.sender, record.command_id)
            if key not in self._mine and key not in self._dispatcher.sending:
                self._begin(record, sweep, now)

    def _begin(self, record: CommandRecord, sweep: Sweep, now_us: int) -> None:
        place = (record.command.venue, record.command.account, kind(record, now_us))
        self._mine.add((record.sender, record.command_id))
        self._busy[place] += 1
        task = asyncio.create_task(self._take_up(record, sweep), name=f"resolve {record.command_id}")
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._mine.discard((record.sender, record.command_id))
            if self._busy[place] >= PLACES[place[2]]:
                self.wake(self._journal.earliest_us())  # others may wait for this place
            self._busy[place] -= 1
            if not self._busy[place]:
                del self._busy[place]

        task.add_done_callback(ended)

    async def _take_up(self, record: CommandRecord, sweep: Sweep) -> None:
        try:
            concluded = await self._go_on(record, sweep)
            if concluded is not None:
                self._relay.put(concluded.outgoing)
        except JournalUnavailable as error:
            _log.warning("a due command waits for the journal", command_id=record.command_id, error=str(error))
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise  # we are being drained; one that a library let slip is a defect like any other
            _log.exception("a due command failed", command_id=record.command_id, error=type(error).__name__)

    async def _go_on(self, record: CommandRecord, sweep: Sweep) -> Concluded | None:
        venue = self._dispatcher.venues.get(record.command.venue)
        if venue is None or record.command.account not in venue.accounts:
            return await self._orphaned(record)
        match record.step:
            case "send":
                return await self._dispatcher.send(record)
            case "look":
                return await self._dispatcher.look(record, sweep)
            case "await":
                return await self._dispatcher.watch(record, sweep)
            case "find":
                return await self._find(record)

    async def _orphaned(self, record: CommandRecord) -> Concluded | None:
        """Answer for an account that the configuration no longer has: nobody can look, so nobody can tell."""
        _log.error("no such account any more", venue=record.command.venue, account=record.command.account)
        now = self._journal.latest_us()
        if record.state == "open" and not record.attempts and not record.unanswered:
            record, result = answers.refused(record, "unknown_account", "the account is no longer configured", now)
            return await self._dispatcher.store(record, result=result)
        if record.state != "unresolved" and now >= (record.doubt_us or record.admitted_us) + self._resolve_for_us:
            record, result = answers.unresolved(record, "the account is no longer configured", now)
            return await self._dispatcher.store(replace(record, next_us=now + SETTLED_ORPHAN_US), result=result)
        pause_us = SETTLED_ORPHAN_US if record.state == "unresolved" else ORPHAN_US
        return await self._dispatcher.store(replace(record, next_us=now + pause_us))

    async def _untraced(self, record: CommandRecord, now_us: int) -> Concluded | None:
        """Answer for a cancel whose earlier sending a journal that was put back may have forgotten, with the order."""
        later = now_us + UNRESOLVED_LOOK_US
        if record.state == "unresolved":
            return await self._dispatcher.store(replace(record, next_us=later))
        record, result = answers.unresolved(
            record, "the journal was put back; no order of the targeted close is known", now_us
        )
        return await self._dispatcher.store(replace(record, next_us=later), result=result)

    async def _find(self, record: CommandRecord) -> Concluded | None:
        """Find the order that the targeted close placed; wait for it until the deadline."""
        command = record.command
        if not isinstance(command, Cancel) or command.target_command_id is None:
            raise AssertionError(command)
        try:
            target = await self._journal.load(record.sender, command.target_command_id)
        except UnreadableRow:
            target = None  # a newer version's: it may yet be answered by one
        now = self._journal.latest_us()
        if target is not None and not (
            isinstance(target.command, Close)
            and (target.command.venue, target.command.account) == (command.venue, command.account)
        ):
            text = f"target_command_id {command.target_command_id!r} is not a close of this account"
            record, result = answers.refused(record, "invalid_command", text, now)
            return await self._dispatcher.store(record, result=result)
        if command.dry_run and target is not None and target.order_id is not None:
            record, result = answers.dry(record, now)
            return await self._dispatcher.store(record, result=result)
        if target is not None and target.order_id is not None:
            known = replace(command, symbol=command.symbol or target.command.symbol)
            return await self._dispatcher.send(replace(record, order_id=target.order_id, command=known))
        hopeless = command.dry_run or (target is not None and target.state == "final")
        if hopeless or now >= to_us(command.not_after):
            if record.unanswered or self._dispatcher.is_older(record):
                return await self._untraced(record, now)
            if target is None and not command.dry_run:
                await self._journal.give_up_target(record.sender, command.target_command_id)
            record, result = answers.refused(record, "order_not_found", "no order of the targeted close is known", now)
            return await self._dispatcher.store(record, result=result)
        pause_us = min(max((now - record.admitted_us) // 2, FIND_US), MAX_FIND_US)
        return await self._dispatcher.store(replace(record, next_us=min(now + pause_us, to_us(command.not_after))))
