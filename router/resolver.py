"""Take up every job that is due: parked waits, doubts, orders being watched, jobs whose pod died.

Taking a job up is a compare-and-set that moves its `next_us` ahead; any pod may do it, and whoever comes second goes
on to the next one. What is due in the same round shares equal reads at a venue.
"""

import asyncio
import heapq
from contextlib import suppress

import structlog
from msgspec.structs import replace

from router import answers
from router.answers import to_us
from router.dispatch import Concluded, Dispatcher
from router.errors import JournalUnavailable
from router.job import Job
from router.lookup import Sweep
from router.outbox import Outbox
from router.ports import Clock, Journal
from schemas.commands import Cancel, Close

POLL_S = 1.0
AT_ONCE = 128
CLAIM_US = 60_000_000
"""A job taken up by a pod that dies is due again after this long."""
FIND_US = 250_000
TURN_S = 45.0
"""A turn that takes longer is given up while the claim still holds: two pods must not spoil each other's turns."""
MAX_WAKES = 100_000
"""Beyond that the poll finds what is due."""

_log = structlog.get_logger(__name__)


class Resolver:
    """The loop that brings every open command to its final result."""

    def __init__(self, dispatcher: Dispatcher, journal: Journal, outbox: Outbox, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._journal = journal
        self._outbox = outbox
        self._clock = clock
        self._woken = asyncio.Event()
        self._wakes: list[int] = []
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._mine: set[tuple[str, str]] = set()
        dispatcher.on_parked = self.wake

    def wake(self, at_us: int) -> None:
        """Hear when a job is due."""
        if len(self._wakes) < MAX_WAKES:
            heapq.heappush(self._wakes, at_us)
            if self._wakes[0] == at_us:
                self._woken.set()

    async def run(self) -> None:
        """Resolve until `drain`, or until cancelled."""
        while not self._stopping:
            try:
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
        """Wait until the next job of ours is due, or long enough to look for those of others."""
        ahead_s = POLL_S
        if self._wakes:
            ahead_s = min((self._wakes[0] - self._clock.now_us()) / 1e6, POLL_S)
        self._woken.clear()
        if ahead_s > 0 and not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(ahead_s):
                    await self._woken.wait()

    async def _round(self) -> None:
        room = AT_ONCE - len(self._tasks)
        if room <= 0:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            return
        now = self._clock.now_us()
        while self._wakes and self._wakes[0] <= now:
            heapq.heappop(self._wakes)
        due = await self._journal.due(now, room)
        if len(due) == room:
            self.wake(now)  # there may be more
        sweep = self._dispatcher.sweep()
        for job in due:
            key = (job.sender, job.command_id)
            if key not in self._mine:
                self._mine.add(key)
                task = asyncio.create_task(self._take_up(job, sweep), name=f"resolve {job.command_id}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _take_up(self, job: Job, sweep: Sweep) -> None:
        try:
            saved = await self._journal.save(replace(job, next_us=self._clock.now_us() + CLAIM_US))
            async with asyncio.timeout(TURN_S):
                concluded = None if saved is None else await self._go_on(saved[0], sweep)
            if concluded is not None:
                await self._outbox.deliver(concluded.outgoing)
        except JournalUnavailable as error:
            _log.warning("a due job waits for the journal", command_id=job.command_id, error=str(error))
        except Exception as error:
            _log.exception("a due job failed", command_id=job.command_id, error=type(error).__name__)
        finally:
            self._mine.discard((job.sender, job.command_id))

    async def _go_on(self, job: Job, sweep: Sweep) -> Concluded | None:
        venue = self._dispatcher.venues.get(job.command.venue)
        if venue is None or job.command.account not in venue.accounts:
            _log.error("no such account here", venue=job.command.venue, command_id=job.command_id)
            return None
        match job.step:
            case "send":
                return await self._dispatcher.send(job)
            case "look":
                return await self._dispatcher.look(job, sweep)
            case "await":
                return await self._dispatcher.watch(job, sweep)
            case "find":
                return await self._find(job)

    async def _find(self, job: Job) -> Concluded | None:
        """Find the order that the targeted close placed; wait for it until the deadline."""
        command = job.command
        if not isinstance(command, Cancel) or command.target_command_id is None:
            raise AssertionError(command)
        target = await self._journal.load(job.sender, command.target_command_id)
        now = self._clock.now_us()
        if target is not None and not (
            isinstance(target.command, Close)
            and (target.command.venue, target.command.account) == (command.venue, command.account)
        ):
            text = f"target_command_id {command.target_command_id!r} is not a close of this account"
            job, result = answers.refused(job, "invalid_command", text, now)
            return await self._dispatcher.store(job, result=result)
        if command.dry_run and target is not None and target.order_id is not None:
            job, result = answers.dry(job, now)
            return await self._dispatcher.store(job, result=result)
        if target is not None and target.order_id is not None:
            known = replace(command, symbol=command.symbol or target.command.symbol)
            return await self._dispatcher.send(replace(job, order_id=target.order_id, command=known))
        hopeless = command.dry_run or (target is not None and target.state == "final")
        if hopeless or now >= to_us(command.not_after):
            if target is None and not command.dry_run:
                await self._journal.give_up_target(job.sender, command.target_command_id)
            job, result = answers.refused(job, "order_not_found", "the targeted close placed no order", now)
            return await self._dispatcher.store(job, result=result)
        return await self._dispatcher.store(replace(job, next_us=min(now + FIND_US, to_us(command.not_after))))
