"""The load on the order event feeds (`feed_load.py`) as a section of the whole benchmark."""

from argparse import Namespace
from typing import Final

import msgspec
from msgspec import Struct

from tests.bench import feed_load
from tests.bench.contestants import Course
from tests.bench.plan import Plan
from tests.bench.progress import Progress
from tests.bench.results import Run

RATE: Final = 1_000
SECONDS: Final = 20.0
WARM_UP: Final = 3.0
TRIES: Final = 2
AROUND_S: Final = 10.0


class Added(Struct, frozen=True, kw_only=True):
    """What the router adds to the venue's own stream, in milliseconds."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class Load(Struct, frozen=True, kw_only=True):
    """One try, as `feed_load` prints it."""

    events: int
    seconds: float
    events_per_s: int
    heard: int
    added_ms: Added
    feed_cpu_us_per_event: int


class Feed(Struct, frozen=True, kw_only=True):
    """All tries."""

    run: Run
    rate: int
    loads: list[Load]


def expected_s(_plan: Plan) -> float:
    """Say how long all tries take."""
    return TRIES * (SECONDS + WARM_UP + AROUND_S)


async def measure(course: Course, run: Run, progress: Progress, _plan: Plan) -> Feed:
    """Measure with the SQLite journal."""
    made = Feed(run=run, rate=RATE, loads=[])
    for number in range(TRIES):
        directory = course.directory / f"feed-{number}"
        directory.mkdir()
        options = Namespace(rate=RATE, seconds=SECONDS, warm_up=WARM_UP, broker=course.broker, journal="")
        load = msgspec.convert(await feed_load.measure(options, directory), Load)
        made.loads.append(load)
        told = f"added p50 {load.added_ms.p50} ms, p99 {load.added_ms.p99} ms"
        progress.done(SECONDS + WARM_UP + AROUND_S, f"feed {number + 1}/{TRIES}, {load.events_per_s} events/s: {told}")
    return made
