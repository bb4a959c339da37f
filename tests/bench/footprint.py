"""How soon a router answers after its start, and what it holds in memory with a thousand accounts."""

import time
from contextlib import AbstractAsyncContextManager
from typing import Final

from msgspec import Struct

from tests.bench.contestants import Course, account_names, run_router
from tests.bench.course import arrivals
from tests.bench.lineup import BARE, SQLITE, Contestant
from tests.bench.load import sender
from tests.bench.plan import Plan
from tests.bench.process import Process
from tests.bench.progress import Progress
from tests.bench.race import FIRST, backlog_s, check, numbers, watched
from tests.bench.results import Run

ACCOUNTS: Final = 1_000
BACKLOGS: Final = 3
"""How much it works before its memory is looked at, in backlogs of a race: caches must be as full as they get."""
MEMORY_TRIES: Final = 2
FIRST_LIMIT_S: Final = 60.0
START_S: Final = 4.0
GUESS_PER_S: Final = 500


class FirstResult(Struct, frozen=True, kw_only=True):
    """From the start of a contestant's process until its first result was heard; the command waited in the queue."""

    round: int
    contestant: str
    seconds: float


class Memory(Struct, frozen=True, kw_only=True):
    """Resident memory of a router after a backlog spread over its accounts, and its peak."""

    round: int
    resident_mib: float
    peak_mib: float


class Footprint(Struct, frozen=True, kw_only=True):
    """All tries."""

    run: Run
    accounts: int
    commands: int
    starts: list[FirstResult]
    memory: list[Memory]


def with_accounts(count: int, course: Course, prefix: str) -> AbstractAsyncContextManager[Process]:
    """Run the router on a new SQLite journal with so many accounts."""
    return run_router(course, prefix, f"sqlite:///{course.directory}/{prefix}.db", accounts=count)


async def first_result_s(course: Course, one: Contestant) -> float:
    """Return how long a contestant takes from its start to its first result."""
    async with sender(course.broker, listen=True, wrap=one.wrap) as made:
        await made.fill([FIRST])
        began = time.monotonic()
        async with one.start(course, made.prefix):
            await made.hear(1, FIRST_LIMIT_S)
        return made.answers()[FIRST].at_s - began


async def memory(course: Course, number: int, count: int) -> Memory:
    """Let a router with many accounts work for all of them and look at its memory."""
    commands = numbers(count)
    await arrivals(course.venue)
    async with sender(course.broker) as made:
        await made.fill(commands, account_names(ACCOUNTS))
        async with with_accounts(ACCOUNTS, course, made.prefix) as process:
            await watched(made, process, len(commands))
            usage = process.usage()
        await check(course, made, commands)
    return Memory(round=number, resident_mib=round(usage.resident_mib, 1), peak_mib=round(usage.peak_mib, 1))


def expected_s(plan: Plan) -> float:
    """Say how long all tries take, roughly."""
    return 2 * (plan.rounds + 1) * START_S + MEMORY_TRIES * backlog_s(BACKLOGS * plan.backlog, GUESS_PER_S)


async def measure(course: Course, run: Run, progress: Progress, plan: Plan) -> Footprint:
    """Start the router and the bare script in turn, then look at the memory. The first start of each is not counted."""
    count = BACKLOGS * plan.backlog
    made = Footprint(run=run, accounts=ACCOUNTS, commands=count, starts=[], memory=[])
    for number in range(-1, plan.rounds):
        for one in (one for one in plan.lineup if one.name in {BARE, SQLITE}):
            seconds = await first_result_s(course, one)
            if number >= 0:
                made.starts.append(FirstResult(round=number, contestant=one.name, seconds=round(seconds, 3)))
            progress.done(START_S, f"start {number + 1}/{plan.rounds}, {one.title}: first result after {seconds:.2f} s")
    for number in range(MEMORY_TRIES):
        found = await memory(course, number, count)
        made.memory.append(found)
        told = f"memory, {ACCOUNTS} accounts: {found.resident_mib} MiB, peak {found.peak_mib} MiB"
        progress.done(backlog_s(count, GUESS_PER_S), told)
    return made
