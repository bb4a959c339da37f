"""Three times what a router can do: what becomes of memory, cancels, deadlines, and how soon it is over.

Closes come from a process of their own (`flood.py`); a modest stream of cancels, measured, is published from here.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Final

import msgspec
from msgspec import Struct

from router.broker import Names
from tests.bench.commands import VENUE, lane
from tests.bench.contestants import Course, Start, bare, router_limited
from tests.bench.course import arrivals
from tests.bench.latency import WARM_UP, Spread, ready, spread
from tests.bench.load import Answer, Sender, sender
from tests.bench.medians import quantile
from tests.bench.plan import Plan
from tests.bench.process import Process, running
from tests.bench.progress import Progress
from tests.bench.race import FIRST, backlog, backlog_s
from tests.bench.results import Run

TIMES: Final = 3
TTL_S: Final = 8.0
GRACE_S: Final = 1.0
"""How much later than its deadline the answer that a command has expired may be heard."""
CANCELS_PER_S: Final = 20
BACKLOG: Final = 3_000
GUESS_PER_S: Final = 180
CALM: Final = FIRST + WARM_UP
CANCELS: Final = 6_000_000
PROBES: Final = 8_000_001
PROBE_S: Final = 0.25
SETTLE_S: Final = 2.0
QUIET_S: Final = 5.0
"""How long the broker is left alone to clear away what it held for the one before."""
RECOVERY_LIMIT_S: Final = 300.0
RECOVERY_GUESS_S: Final = 60.0

Written = list[tuple[int, int, float]]


class Calm(Struct, frozen=True, kw_only=True):
    """Latencies of the router without load."""

    cancel_wire: Spread
    cancel_trip: Spread
    close_trip: Spread


class Cancels(Struct, frozen=True, kw_only=True):
    """Latencies of the cancels, without load and within it."""

    calm_wire: Spread
    calm_trip: Spread
    wire: Spread
    trip: Spread


class Second(Struct, frozen=True, kw_only=True):
    """One look at the router, `at_s` seconds after the load began: its memory, and the closes in the broker's queue."""

    at_s: float
    resident_mib: float
    waiting: int


class Late(Struct, frozen=True, kw_only=True):
    """Final results heard after their command's deadline: how many, how many by more than the grace, how late."""

    after_deadline: int
    after_grace: int
    p50_s: float
    max_s: float


class Overload(Struct, frozen=True, kw_only=True):
    """What was seen. `outcomes`: of the load's closes, by outcome and reason.

    `recovery_s`: from the last close of the load until everything was answered, and a new close within twice the
    unloaded p99; `None`: not within the limit. `unanswered`: commands without a final result by then. `bare_cancels`:
    those of the bare script under the same load, which is what the machine and the broker do to them.
    """

    run: Run
    seconds: float
    ttl_s: float
    sustainable_per_s: float
    offered_per_s: float
    cancels_per_s: int
    closes: int
    outcomes: dict[str, int]
    cancel_outcomes: dict[str, int]
    cancels: Cancels
    bare_cancels: Cancels
    calm_close_trip: Spread
    late: Late
    unanswered: int
    recovery_s: float | None
    curve: list[Second]


class Seen(Struct, frozen=True, kw_only=True):
    """One router through it all. `flood`: when the load was published; `ours`: when our cancels and probes were."""

    calm: Calm
    flood: dict[int, float]
    ours: dict[int, float]
    answers: dict[int, Answer]
    arrived: dict[int, float]
    recovery_s: float | None
    curve: list[Second]

    def cancels(self) -> dict[int, float]:
        """When the cancels were published that went with the load."""
        return {number: at_s for number, at_s in self.ours.items() if lane(number) == "cancel"}


async def calm(course: Course, made: Sender, seconds: float) -> Calm:
    """Measure a router that has little to do: as many closes as cancels."""
    counted = range(CALM, CALM + round(2 * CANCELS_PER_S * seconds))
    await made.pace(range(FIRST, CALM), 100)
    await made.pace(counted, 2 * CANCELS_PER_S)
    await made.hear(len(made.published), TTL_S)
    answers, arrived = made.answers(), dict(await arrivals(course.venue))
    trips = {n: answers[n].at_s - made.published[n] for n in counted}
    return Calm(
        cancel_wire=spread([arrived[n] - made.published[n] for n in counted if lane(n) == "cancel"]),
        cancel_trip=spread([trip for n, trip in trips.items() if lane(n) == "cancel"]),
        close_trip=spread([trip for n, trip in trips.items() if lane(n) == "close"]),
    )


async def sample(made: Sender, process: Process, curve: list[Second]) -> None:
    """Look at the router every second until told to stop."""
    queue, start = Names(made.prefix).lane(VENUE, "close"), time.monotonic()
    for number in count():
        await asyncio.sleep(start + number - time.monotonic())
        resident_mib = round(process.usage().resident_mib, 1)
        curve.append(
            Second(at_s=round(time.monotonic() - start, 1), resident_mib=resident_mib, waiting=await made.depth(queue))
        )


async def flooded(course: Course, made: Sender, per_s: float, seconds: float) -> Written:
    """Publish closes from a process of its own, and return what was published when."""
    out = course.directory / "flood.json"
    options = {"broker": course.broker, "prefix": made.prefix, "reply-to": made.reply_to}
    numbers = {"rate": per_s, "seconds": seconds, "ttl": TTL_S, "out": out}
    words = [f"--{name}={value}" for name, value in (options | numbers).items()]
    command = [sys.executable, "-m", "tests.bench.flood", *words]
    async with running(command, course.directory / "flood.log") as process:
        await process.ended()
    return msgspec.json.decode(out.read_bytes(), type=Written)


async def recovery(made: Sender, expected: int, ended_s: float, limit_s: float) -> float | None:
    """Return how long after the load everything is answered, and a new close as fast as without load."""
    for index in count():
        number = PROBES + 2 * index
        made.publish(number, ttl_s=TTL_S)
        await asyncio.sleep(PROBE_S)
        at_s = made.answered_at(number)
        if at_s is not None and len(made.heard) > expected + index and at_s - made.published[number] <= limit_s:
            return round(at_s - ended_s, 2)
        if time.monotonic() - ended_s > RECOVERY_LIMIT_S:
            break
    return None


def cancels_of(seen: Seen) -> Cancels:
    """Return the latencies of a contestant's cancels."""
    sent, answers, arrived = seen.cancels(), seen.answers, seen.arrived
    return Cancels(
        calm_wire=seen.calm.cancel_wire,
        calm_trip=seen.calm.cancel_trip,
        wire=spread([arrived[n] - at_s for n, at_s in sent.items() if n in arrived]),
        trip=spread([answers[n].at_s - at_s for n, at_s in sent.items() if n in answers]),
    )


def late(answers: Mapping[int, Answer], published: Mapping[int, float]) -> Late:
    """Find the results that came after their deadline."""
    over = [answers[n].at_s - at_s - TTL_S for n, at_s in published.items() if n in answers]
    over = sorted(value for value in over if value > 0)
    return Late(
        after_deadline=len(over),
        after_grace=sum(value > GRACE_S for value in over),
        p50_s=round(quantile(over or [0.0], 0.5), 2),
        max_s=round(max(over, default=0.0), 2),
    )


def outcomes(answers: Mapping[int, Answer], numbers: Mapping[int, float]) -> dict[str, int]:
    """Count results by outcome and reason."""
    found = Counter(f"{a.outcome} {a.reason}".strip() for n in numbers if (a := answers.get(n)))
    return dict(sorted(found.items()))


async def observe(course: Course, progress: Progress, start: Start, per_s: float, seconds: float) -> Seen:
    """Let a contestant be calm and overloaded, and the router then be calm again."""
    async with sender(course.broker, listen=True) as made, start(course, made.prefix) as process:
        await ready(made, FIRST - 2)
        await asyncio.sleep(QUIET_S)
        before = await calm(course, made, seconds)
        progress.done(seconds, f"overload: without load a cancel takes {before.cancel_trip.p99:.1f} ms (p99)")
        earlier, curve = set(made.published), list[Second]()
        sampling = asyncio.create_task(sample(made, process, curve))
        cancels = range(CANCELS, CANCELS + 2 * round(CANCELS_PER_S * seconds), 2)
        written, _ = await asyncio.gather(
            flooded(course, made, per_s - CANCELS_PER_S, seconds),
            made.pace(cancels, CANCELS_PER_S, ttl_s=TTL_S),
        )
        flood = {first + 2 * index: at_s for first, many, at_s in written for index in range(many)}
        progress.done(seconds, f"overload: {len(flood)} closes published")
        expected, calm_s = len(earlier) + len(cancels) + len(flood), 2 * before.close_trip.p99 / 1e3
        took_s = None
        if start is router_limited:
            took_s = await recovery(made, expected, max(flood.values()), calm_s)
            progress.done(RECOVERY_GUESS_S, f"overload: recovered after {took_s} s")
        else:
            await asyncio.sleep(SETTLE_S)
        sampling.cancel()
        assert process.alive, process.log.read_text()
        return Seen(
            calm=before,
            flood=flood,
            ours={number: at_s for number, at_s in made.published.items() if number not in earlier},
            answers=made.answers(),
            arrived=dict(await arrivals(course.venue)),
            recovery_s=took_s,
            curve=curve,
        )


async def measure(course: Course, run: Run, progress: Progress, plan: Plan) -> Overload:
    """Find the sustainable rate, measure without load, then with three times that rate, then until it is over."""
    seconds = plan.overload_seconds
    closes = range(FIRST + 1, FIRST + 2 * BACKLOG, 2)
    able_per_s = (await backlog(course, router_limited, closes)).commands_per_s
    progress.done(backlog_s(BACKLOG, GUESS_PER_S), f"overload: {able_per_s:.0f} closes/s can be sustained")
    seen = await observe(course, progress, router_limited, TIMES * able_per_s, seconds)
    beside = await observe(course, progress, bare, TIMES * able_per_s, seconds)
    answers, everything = seen.answers, seen.flood | seen.ours
    lasted_s = max(seen.flood.values()) - min(seen.flood.values())
    return Overload(
        run=run,
        seconds=seconds,
        ttl_s=TTL_S,
        sustainable_per_s=round(able_per_s, 1),
        offered_per_s=round(len(seen.flood) / lasted_s + CANCELS_PER_S, 1),
        cancels_per_s=CANCELS_PER_S,
        closes=len(seen.flood),
        outcomes=outcomes(answers, seen.flood),
        cancel_outcomes=outcomes(answers, seen.cancels()),
        cancels=cancels_of(seen),
        bare_cancels=cancels_of(beside),
        calm_close_trip=seen.calm.close_trip,
        late=late(answers, everything),
        unanswered=sum(number not in answers for number in everything),
        recovery_s=seen.recovery_s,
        curve=seen.curve,
    )


def expected_s(plan: Plan) -> float:
    """Say how long all of it takes, roughly."""
    return backlog_s(BACKLOG, GUESS_PER_S) + 4 * plan.overload_seconds + RECOVERY_GUESS_S
