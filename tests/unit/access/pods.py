"""Several processes that share limits through one journal, in virtual time.

The journal is the real one's statements on SQLite in memory. It may be slow, away, or lose its answers; processes may
be frozen and killed; a request may leave long after it took its turn. What left when is the venue's own record.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from typing import Final, Literal, TypeVar

from router.access.limiter import Limiter, Priority
from router.access.shares import Shares
from router.access.windows import Turn
from router.errors import JournalUnavailable
from router.journal.operations import shares
from router.journal.operations.statements import Operation
from router.journal.schema.migrations import migrate
from router.journal.sqlite.file import drive
from router.records.share import Grant, News, Report
from router.venue_protocol import Limit
from tests.unit.commands.virtual_time import BEGAN_US, VirtualClock, VirtualLoop, owner

T = TypeVar("T")
Fault = Literal["", "away", "hangs", "deaf", "late"]
ACT = ("act",)
LATE_S: Final = 2.0
"""How much later than others a transaction is made that waits for a lock."""


class SharedJournal:
    """The shares of one journal, as every process sees them. `takes_s`: how long a call takes, there and back."""

    def __init__(self, loop: VirtualLoop, *, takes_s: float = 0.004) -> None:
        self.takes_s = takes_s
        self.fault: Fault = ""
        self.calls = 0
        """How many transactions it has committed."""
        self.ahead_us = 0
        self._loop = loop
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        drive(self._connection, migrate, self.now_us)

    @property
    def now_us(self) -> int:
        """The journal's clock."""
        return BEGAN_US + round(self._loop.elapsed_s * 1e6) + self.ahead_us

    def set_ahead(self, seconds: float) -> None:
        """Let another server go on, whose clock is ahead."""
        self.ahead_us += int(seconds * 1e6)
        columns = "number, boot_id, offset_us, seen_us, since_us"
        self._connection.execute(f"insert into clock ({columns}) values (1, 'b', 0, ?1, ?1)", [self.now_us])

    def stored(self, scope: str) -> str:
        """Return what is stored of a scope."""
        return str(self._connection.execute("select shares from limit_shares where scope = ?", [scope]).fetchone()[0])

    def store(self, scope: str, shares: str) -> None:
        """Store something else."""
        self._connection.execute(
            "update limit_shares set shares = ?, hot_us = ? where scope = ?", [shares, 1 << 62, scope]
        )

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()

    async def run(self, operation: Operation[T]) -> T:
        """Run an operation as the journal does: whole or not at all; and whether or not anybody still waits for it."""
        if self.fault == "late" and self.calls % 2:
            self.calls += 1
            return await asyncio.shield(asyncio.ensure_future(self._run(operation, late_s=LATE_S)))
        return await self._run(operation)

    async def _run(self, operation: Operation[T], *, late_s: float = 0.0) -> T:
        await asyncio.sleep(late_s)
        await self._way()
        value = drive(self._connection, operation, self.now_us)
        self.calls += 1
        if self.fault == "deaf":
            raise JournalUnavailable("committed, and the answer was lost")
        await self._way()
        return value

    async def _way(self) -> None:
        await asyncio.sleep(self.takes_s / 2)
        if self.fault == "hangs":
            await asyncio.sleep(3600)
        if self.fault == "away":
            raise JournalUnavailable("away")


class OnePod:
    """The journal as one process reaches it. `fault` is that of its connection alone."""

    def __init__(self, journal: SharedJournal) -> None:
        self._journal = journal
        self.fault: Fault = ""

    async def _run(self, operation: Operation[T]) -> T:
        if self.fault:
            raise JournalUnavailable("cut off")
        return await self._journal.run(operation)

    async def join_limits(self, pod: str, hold_us: int) -> None:
        """See `router.ports.LimitJournal`."""
        await self._run(partial(shares.join, pod, hold_us))

    async def settle_limits(
        self, pod: str, hold_us: int, number: int, reports: Sequence[Report]
    ) -> Mapping[str, Grant] | None:
        """See `router.ports.LimitJournal`."""
        return await self._run(partial(shares.settle, pod, hold_us, number, reports))

    async def bury_pods(self, dead: Sequence[str], rest_us: int) -> int:
        """See `router.ports.LimitJournal`."""
        return await self._run(partial(shares.bury, dead, rest_us))

    async def limit_news(self) -> News:
        """See `router.ports.LimitJournal`."""
        return await self._run(shares.news)


class Pod:
    """One process: its limiter, its shares, and whoever sends through it."""

    def __init__(self, bench: "Bench", limits: Sequence[Limit], address: str) -> None:
        self.bench = bench
        self.journal = OnePod(bench.journal)
        self.shares = Shares(self.journal, bench.clock, address)
        self.limiter = Limiter(limits, bench.clock, self.shares.lease)
        self.shares.add("acme", self.limiter, ["main"])
        self.address = address
        self.tasks: set[asyncio.Task[None]] = set()
        self._context = copy_context()
        self._context.run(owner.set, self)
        self.begin(self.shares.run())

    def begin(self, work: "asyncio._CoroutineLike[None]") -> "asyncio.Task[None]":
        """Run something as a part of this process."""
        task = self.bench.loop.create_task(work, context=self._context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def kill(self) -> None:
        """End at once, as by `kill -9` on another machine: nothing is handed in."""
        self.shares.lease.until_us = 0
        for task in self.tasks:
            task.cancel()

    async def stop(self) -> None:
        """End as a drained process does."""
        for task in self.tasks:
            task.cancel()
        await self.shares.release()

    def send(
        self, priority: Priority = Priority.CLOSE, *, until_s: float, slow_s: float = 0.0, scopes: tuple[str, ...] = ACT
    ) -> "asyncio.Task[None]":
        """Send one request as `commands.attempt` does, until a time at the latest."""
        return self.begin(self._send(priority, until_s, slow_s, scopes))

    async def _send(self, priority: Priority, until_s: float, slow_s: float, scopes: tuple[str, ...]) -> None:
        loop, came_s = self.bench.loop, self.bench.loop.time()
        while loop.time() < until_s:
            turn: Turn | float | None = self.limiter.take("main", scopes, priority)
            if turn is None:
                turn = await self.limiter.wait("main", scopes, priority, 1.0, left_s=until_s - loop.time())
            if isinstance(turn, float):
                if turn > until_s - loop.time():
                    break
                await asyncio.sleep(turn)
                continue
            if slow_s:
                await asyncio.sleep(slow_s)
            if turn.leave():
                self.bench.left.append(Departure(loop.time(), came_s, priority, self))
                await asyncio.sleep(self.bench.round_trip_s)
                turn.answered()
                return
            await asyncio.sleep(0.01)
        self.bench.refused.append(loop.time() - came_s)


class Departure:
    """When a request left, and when it came."""

    def __init__(self, at_s: float, came_s: float, priority: Priority, pod: Pod) -> None:
        self.at_s = at_s
        self.waited_s = at_s - came_s
        self.priority = priority
        self.pod = pod


class Bench:
    """A journal, pods, and the time they live in."""

    def __init__(self, *limits: Limit, takes_s: float = 0.004, round_trip_s: float = 0.01) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.journal = SharedJournal(self.loop, takes_s=takes_s)
        self.round_trip_s = round_trip_s
        self.limits = limits
        self.pods: list[Pod] = []
        self.left: list[Departure] = []
        self.refused: list[float] = []
        """How long each waited that was told that there is no place before its deadline."""

    def start(self, pods: int = 1, address: str = "shared") -> None:
        """Start processes."""
        self.pods += [Pod(self, self.limits, address) for _ in range(pods)]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def at(self, after_s: float, what: Callable[[], object]) -> None:
        """Do something in a while."""
        self.loop.call_later(after_s, what)

    def close(self) -> None:
        """End everything."""
        for pod in self.pods:
            self.loop.thaw(pod)
            pod.kill()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.journal.close()
        self.loop.close()

    def times(self, *priorities: Priority, since_s: float = 0.0) -> list[float]:
        """Return when requests left."""
        return [d.at_s for d in self.left if d.at_s >= since_s and (not priorities or d.priority in priorities)]


def most_in(times: Sequence[float], period_s: float) -> int:
    """Return how many of these times lie in any period of that length, at most."""
    ordered = sorted(times)
    most = first = 0
    for last, time in enumerate(ordered):
        while ordered[first] <= time - period_s:
            first += 1
        most = max(most, last - first + 1)
    return most
