"""Latencies at a rate that waits for nobody: publish → request at the venue, and publish → result heard."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.bench.commands import LANES, lane
from tests.bench.contestants import Course
from tests.bench.course import Disk, arrivals, probe
from tests.bench.lineup import Contestant, rotated
from tests.bench.load import Sender, sender
from tests.bench.medians import quantile
from tests.bench.plan import Plan
from tests.bench.progress import Progress
from tests.bench.race import FIRST, numbers
from tests.bench.results import Run

RATES: Final = (100, 500)
WARM_UP: Final = 300
READY_LIMIT_S: Final = 60.0
ANSWER_LIMIT_S: Final = 200.0
START_S: Final = 6.0
SLOWEST: Final = 0.01


class Spread(Struct, frozen=True, kw_only=True):
    """How latencies were spread, in milliseconds. `slowest` is the slowest hundredth, all of it, slowest first."""

    count: int
    p50: float
    p99: float
    slowest: list[float]


class Pass(Struct, frozen=True, kw_only=True):
    """One contestant at one rate in one round.

    `wire`: publish → request at the venue, by lane. `trip`: publish → result heard. `late_p99_ms`: how much later than
    planned the sender itself published. `behind_ms`: from the last publish until everything was answered.
    """

    round: int
    contestant: str
    per_s: int
    wire: dict[str, Spread]
    trip: Spread
    late_p99_ms: float
    behind_ms: float


class Latency(Struct, frozen=True, kw_only=True):
    """All rounds. `disk` is looked at before each. `failures`: passes that did not count, and why."""

    run: Run
    seconds: float
    warm_up: int
    disk: list[Disk]
    passes: list[Pass]
    failures: list[str]


def spread(latencies_s: Sequence[float]) -> Spread:
    """Return how latencies are spread."""
    ordered = sorted(value * 1e3 for value in latencies_s)
    slowest = ordered[-max(round(len(ordered) * SLOWEST), 1) :]
    return Spread(
        count=len(ordered),
        p50=round(quantile(ordered, 0.5), 3),
        p99=round(quantile(ordered, 0.99), 3),
        slowest=[round(value, 2) for value in reversed(slowest)],
    )


def pooled(spreads: Sequence[Spread], share: float) -> float:
    """Return a quantile beyond the 99th hundredth of several passes taken as one, exactly."""
    slowest = sorted((value for one in spreads for value in one.slowest), reverse=True)
    return slowest[round((1 - share) * sum(one.count for one in spreads))]


async def ready(made: Sender, number: int) -> None:
    """Wait until a contestant answers."""
    made.publish(number)
    await made.hear(1, READY_LIMIT_S)


async def one_pass(course: Course, one: Contestant, per_s: int, seconds: float, number: int) -> Pass:
    """Publish to a contestant for some seconds at a rate and see when what arrives.

    Raises `AssertionError` unless every command reaches the venue once and is answered once, as accepted.
    """
    counted = numbers(round(per_s * seconds), FIRST + WARM_UP)
    await arrivals(course.venue)
    async with sender(course.broker, listen=True, wrap=one.wrap) as made, one.start(course, made.prefix):
        await ready(made, FIRST - 2)
        late = await made.pace(range(FIRST, counted.stop), per_s)
        await made.hear(1 + WARM_UP + len(counted), ANSWER_LIMIT_S)
        answers, arrived = made.answers(), await arrivals(course.venue)
    at_venue = dict(arrived)
    assert len(arrived) == len(at_venue) == len(answers) == 1 + WARM_UP + len(counted), "not each once"
    assert all(answer.outcome == "accepted" for answer in answers.values()), "not every command was accepted"
    sent = made.published
    return Pass(
        round=number,
        contestant=one.name,
        per_s=per_s,
        wire={name: spread([at_venue[n] - sent[n] for n in counted if lane(n) == name]) for name in LANES},
        trip=spread([answers[n].at_s - sent[n] for n in counted]),
        late_p99_ms=round(quantile(late[WARM_UP:], 0.99) * 1e3, 2),
        behind_ms=round((max(answer.at_s for answer in answers.values()) - sent[counted[-1]]) * 1e3, 1),
    )


def field(lineup: Sequence[Contestant], number: int) -> list[Contestant]:
    """Return who runs in a round, in order."""
    return rotated([one for one in lineup if number % one.paces == 0], number)


def pass_s(per_s: int, seconds: float) -> float:
    """Say how long a pass takes, roughly."""
    return WARM_UP / per_s + seconds + START_S


def expected_s(plan: Plan) -> float:
    """Say how long all passes take, roughly."""
    passes = sum(len(field(plan.lineup, number)) for number in range(plan.rounds))
    return passes * sum(pass_s(per_s, plan.latency_seconds) for per_s in RATES)


async def measure(course: Course, run: Run, progress: Progress, plan: Plan) -> Latency:
    """Run all rounds."""
    seconds = plan.latency_seconds
    made = Latency(run=run, seconds=seconds, warm_up=WARM_UP, disk=[], passes=[], failures=[])
    for number in range(plan.rounds):
        made.disk.append(probe(course.directory))
        for per_s in RATES:
            for one in field(plan.lineup, number):
                try:
                    found = await one_pass(course, one, per_s, seconds, number)
                except (AssertionError, TimeoutError) as error:
                    told = f"FAILED, {error!r}"
                    made.failures.append(f"round {number}, {one.name}, {per_s}/s: {error!r}"[:1000])
                else:
                    made.passes.append(found)
                    told = f"wire p50 {found.wire['cancel'].p50:.2f} and {found.wire['close'].p50:.2f} ms"
                    told += f", round trip p50 {found.trip.p50:.2f} ms, p99 {found.trip.p99:.2f} ms"
                step = f"latency {number + 1}/{plan.rounds}, {one.title} at {per_s}/s: {told}"
                progress.done(pass_s(per_s, seconds), step)
    return made
