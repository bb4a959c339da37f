"""What a command costs as things grow: the journal, the accounts, the workers, the venue's latency."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from router.journal import open_journal
from tests.bench.contestants import (
    PREFETCH,
    Course,
    Start,
    account_names,
    bare,
    database,
    router_postgresql,
    router_sqlite,
    run_router,
)
from tests.bench.course import arrivals, venue
from tests.bench.footprint import with_accounts
from tests.bench.lineup import BARE, POSTGRESQL, SQLITE, Item, rotated
from tests.bench.load import Rate, sender
from tests.bench.plan import Plan
from tests.bench.process import Process, Together
from tests.bench.progress import Progress
from tests.bench.race import backlog, backlog_s, check, numbers, watched
from tests.bench.results import Run
from tests.journal_place import Place

ROWS: Final = (0, 100_000, 1_000_000)
ACCOUNTS: Final = (1, 100, 1_000)
WORKERS: Final = (1, 2, 4)
LATENCIES_MS: Final = (0, 50, 500)
IN_FLIGHT: Final = 2 * PREFETCH
"""How many commands a worker holds at most: both lanes' prefetch."""
GUESS_PER_S: Final = 600
FILL_ROWS_PER_S: Final = 12_000


class Point(Struct, frozen=True, kw_only=True):
    """One backlog. `at` is where on the curve: rows, accounts, workers, or milliseconds of the venue.

    `repeats`: results that came again, which another worker on the same journal may cause.
    """

    curve: str
    contestant: str
    at: int
    round: int
    commands_per_s: float
    cpu_us: float
    peak_mib: float
    repeats: int = 0


class Growth(Struct, frozen=True, kw_only=True):
    """All points. `in_flight`: how many commands a worker may hold, which over the latency is a rate's ceiling."""

    run: Run
    backlog: int
    in_flight: int
    points: list[Point]


class Curves:
    """The four curves, measured one after another, each in rounds."""

    def __init__(self, course: Course, progress: Progress, rounds: int, commands: int) -> None:
        self._course = course
        self._progress = progress
        self._rounds = rounds
        self._commands = commands
        # No number comes twice: a journal that is used again knows the earlier ones.
        self._firsts = count(1_000_000, max(WORKERS) * commands)
        self.points: list[Point] = []

    async def rows(self) -> None:
        """Cost over the finished commands in the journal."""
        async with AsyncExitStack() as stack:
            places = {
                (name, rows): await stack.enter_async_context(self._filled(name, rows))
                for name in (SQLITE, POSTGRESQL)
                for rows in ROWS
                if rows
            }
            starts: dict[tuple[str, int], Start] = {(SQLITE, 0): router_sqlite, (POSTGRESQL, 0): router_postgresql}
            starts |= {key: partial(run_router, journal=place.url) for key, place in places.items()}
            for number, (name, rows) in self._turns(sorted(starts)):
                rate = await backlog(self._course, starts[name, rows], self._numbers())
                self._add("rows", name, rows, number, rate)

    async def accounts(self) -> None:
        """Cost over the accounts that a worker serves, commands for all of them."""
        for number, accounts in self._turns(ACCOUNTS):
            start, names = partial(with_accounts, accounts), account_names(accounts)
            self._add(
                "accounts",
                SQLITE,
                accounts,
                number,
                await backlog(self._course, start, self._numbers(), accounts=names),
            )

    async def workers(self) -> None:
        """Cost over the workers on one PostgreSQL journal; they share the queues."""
        for number, workers in self._turns(WORKERS):
            self._add("workers", POSTGRESQL, workers, number, *await self._shared(workers))

    async def latencies(self) -> None:
        """Rate and cost over the venue's latency."""
        async with AsyncExitStack() as stack:
            urls = [await stack.enter_async_context(venue(self._course.directory, ms)) for ms in LATENCIES_MS]
            slow = dict(zip(LATENCIES_MS, urls, strict=True))
            starts = {BARE: bare, SQLITE: router_sqlite}
            for number, (name, ms) in self._turns([(name, ms) for ms in LATENCIES_MS for name in starts]):
                rate = await backlog(replace(self._course, venue=slow[ms]), starts[name], self._numbers())
                self._add("latency", name, ms, number, rate)

    def _turns(self, items: Sequence[Item]) -> Iterator[tuple[int, Item]]:
        for number in range(self._rounds):
            for item in rotated(items, number):
                yield number, item

    def _numbers(self) -> range:
        return numbers(self._commands, next(self._firsts))

    def _add(self, curve: str, name: str, at: int, number: int, rate: Rate, repeats: int = 0) -> None:
        self.points.append(
            Point(
                curve=curve,
                contestant=name,
                at=at,
                round=number,
                commands_per_s=round(rate.commands_per_s, 1),
                cpu_us=round(rate.cpu_us, 1),
                peak_mib=round(rate.peak_mib, 1),
                repeats=repeats,
            )
        )
        told = f"{rate.commands_per_s:.0f}/s, {rate.cpu_us:.0f} µs"
        step = f"growth {number + 1}/{self._rounds}, {curve} {at}, {name}: {told}"
        self._progress.done(step_s(self._commands, curve, at), step)

    @asynccontextmanager
    async def _filled(self, name: str, rows: int) -> AsyncIterator[Place]:
        """A journal that holds so many finished commands."""
        async with AsyncExitStack() as stack:
            if name == SQLITE:
                place = Place(f"sqlite:///{self._course.directory}/rows-{rows}.sqlite")
            else:
                place = Place(await stack.enter_async_context(database(self._course.postgresql)))
            async with await open_journal(place.url):
                pass
            await place.fill(rows, time.time_ns() // 1000)
            if not place.embedded:
                # What autovacuum would do some time later, in the middle of a measurement.
                await place.sql("vacuum analyze")
                await place.sql("checkpoint")
            self._progress.done(fill_s(rows), f"growth, {rows} rows in {name}")
            yield place
            for file in Path(self._course.directory).glob(f"rows-{rows}.sqlite*"):
                file.unlink()

    async def _shared(self, workers: int) -> tuple[Rate, int]:
        """Let several workers, all of them ready, share a backlog."""
        course, commands = self._course, numbers(workers * self._commands, next(self._firsts))
        await arrivals(course.venue)
        async with sender(course.broker) as made:
            async with database(course.postgresql) as url, several(course, made.prefix, url, workers) as processes:
                await made.served_by(workers)
                before = processes.usage()
                await made.fill(commands)
                rate = await watched(made, processes, len(commands))
                # All were ready before it began, so the whole backlog counts: many are in flight at its first tenth.
                used_s = processes.usage().cpu_s - before.cpu_s
                rate = replace(rate, cpu_us=used_s / len(commands) * 1e6)
            return rate, await check(course, made, commands, repeats=True)


@asynccontextmanager
async def several(course: Course, prefix: str, journal: str, workers: int) -> AsyncIterator[Together]:
    """Run so many workers on the same queues and journal."""
    async with AsyncExitStack() as stack:
        starts: list[AbstractAsyncContextManager[Process]] = [
            run_router(course, prefix, journal) for _ in range(workers)
        ]
        yield Together([await stack.enter_async_context(start) for start in starts])


def fill_s(rows: int) -> float:
    """Say how long filling a journal takes, roughly."""
    return 1 + rows / FILL_ROWS_PER_S


def step_s(commands: int, curve: str, at: int) -> float:
    """Say how long a point of a curve takes, roughly."""
    ceiling = IN_FLIGHT / (at / 1000) if curve == "latency" and at else GUESS_PER_S
    return backlog_s(commands * (at if curve == "workers" else 1), min(ceiling, GUESS_PER_S))


def expected_s(plan: Plan) -> float:
    """Say how long all curves take, roughly."""
    points = [("rows", rows) for rows in ROWS] * 2 + [("accounts", accounts) for accounts in ACCOUNTS]
    points += [("workers", workers) for workers in WORKERS] + [("latency", ms) for ms in LATENCIES_MS] * 2
    return 2 * sum(map(fill_s, ROWS)) + plan.fewer * sum(step_s(plan.growth_backlog, curve, at) for curve, at in points)


async def measure(course: Course, run: Run, progress: Progress, plan: Plan) -> Growth:
    """Measure all curves."""
    curves = Curves(course, progress, plan.fewer, plan.growth_backlog)
    for curve in (curves.accounts, curves.workers, curves.latencies, curves.rows):
        await curve()
    return Growth(run=run, backlog=plan.growth_backlog, in_flight=IN_FLIGHT, points=curves.points)
