"""Backlogs, side by side: how fast each contestant works off a full queue, and what a command costs it."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.bench.commands import TTL_S, Wrap, message
from tests.bench.contestants import PREFETCH, Course, Start
from tests.bench.course import Disk, arrivals, probe
from tests.bench.lineup import Contestant, rotated
from tests.bench.load import Rate, Sender, sender
from tests.bench.plan import Plan
from tests.bench.process import Watched
from tests.bench.progress import Progress
from tests.bench.results import Run

FIRST: Final = 1_000_000
"""The number of a backlog's first command. They all have seven digits."""
FILL_PER_S: Final = 5_000
START_S: Final = 6.0
"""Roughly, for the estimate: filling the queue, and starting and ending everybody."""


class Heat(Struct, frozen=True, kw_only=True):
    """One contestant's backlog in one round."""

    round: int
    contestant: str
    commands_per_s: float
    cpu_us: float
    peak_mib: float


class Race(Struct, frozen=True, kw_only=True):
    """All rounds. `disk` is looked at before each. `failures`: heats that did not count, and why."""

    run: Run
    backlog: int
    prefetch: int
    disk: list[Disk]
    heats: list[Heat]
    failures: list[str]


def numbers(count: int, first: int = FIRST) -> range:
    """Return the numbers of a backlog, half of them cancels, half closes."""
    return range(first, first + count)


async def backlog(
    course: Course,
    start: Start,
    commands: Sequence[int],
    *,
    wrap: Wrap = message,
    accounts: Sequence[str] = ("main",),
) -> Rate:
    """Let a contestant work off a queue that is full when it starts.

    Raises `AssertionError` unless every command reaches the venue once and is answered once, as accepted.
    """
    await arrivals(course.venue)
    async with sender(course.broker, wrap=wrap) as made:
        await made.fill(commands, accounts)
        async with start(course, made.prefix) as process:
            rate = await watched(made, process, len(commands))
        # Now that it has ended nothing can be added to what it said.
        await check(course, made, commands)
    for file in course.directory.glob(f"{made.prefix}.*"):
        file.unlink()
    return rate


async def watched(made: Sender, process: Watched, count: int) -> Rate:
    """Measure a backlog while it shrinks. Beyond the commands' deadline nothing can be accepted."""
    return await made.watch(process, count, TTL_S)


async def check(course: Course, made: Sender, commands: Sequence[int], *, repeats: bool = False) -> int:
    """Hold that every command arrived once and was answered once, as accepted.

    With `repeats` the same result may come again, as the contract allows; returns how many did.
    """
    outcomes = await made.collect()
    repeated = outcomes.pop("repeated", 0)
    assert outcomes == {"accepted": len(commands)}, f"not every command was accepted: {outcomes}"
    assert repeats or not repeated, f"{repeated} results came again"
    arrived = sorted(number for number, _ in await arrivals(course.venue))
    assert arrived == list(commands), f"{len(commands)} commands, {len(arrived)} requests"
    return repeated


def backlog_s(count: int, per_s: float) -> float:
    """Say how long a backlog takes, roughly, with all around it."""
    return count / per_s + 2 * count / FILL_PER_S + START_S


def field(lineup: Sequence[Contestant], number: int) -> list[Contestant]:
    """Return who runs in a round, in order."""
    return rotated([one for one in lineup if number % one.races == 0], number)


def expected_s(plan: Plan) -> float:
    """Say how long the race takes, roughly."""
    heats = (one for number in range(plan.rounds) for one in field(plan.lineup, number))
    return sum(backlog_s(plan.backlog, one.guess_per_s) for one in heats)


async def measure(course: Course, run: Run, progress: Progress, plan: Plan) -> Race:
    """Run all rounds."""
    count = plan.backlog
    made = Race(run=run, backlog=count, prefetch=PREFETCH, disk=[], heats=[], failures=[])
    for number in range(plan.rounds):
        made.disk.append(probe(course.directory))
        for one in field(plan.lineup, number):
            try:
                rate = await backlog(course, one.start, numbers(count), wrap=one.wrap)
            except (AssertionError, TimeoutError) as error:
                told = f"FAILED, {error!r}"
                made.failures.append(f"round {number}, {one.name}: {error!r}"[:1000])
            else:
                told = f"{rate.commands_per_s:.0f}/s, {rate.cpu_us:.0f} µs, {rate.peak_mib:.0f} MiB"
                made.heats.append(heat(number, one.name, rate))
            progress.done(backlog_s(count, one.guess_per_s), f"race {number + 1}/{plan.rounds}, {one.title}: {told}")
    return made


def heat(number: int, contestant: str, rate: Rate) -> Heat:
    """Return a heat, rounded to what can be measured."""
    return Heat(
        round=number,
        contestant=contestant,
        commands_per_s=round(rate.commands_per_s, 1),
        cpu_us=round(rate.cpu_us, 1),
        peak_mib=round(rate.peak_mib, 1),
    )
