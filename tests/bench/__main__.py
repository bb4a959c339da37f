"""Measure everything, side by side, and leave the raw rounds as JSON.

    python -m tests.bench [--rounds 20] [--backlog 10000] [--latency-seconds 8] [--overload-seconds 60]
                          [--only race,latency,…] [--contestants bare,router-sqlite,…] [--out DIR]

Starts a private RabbitMQ node, a private PostgreSQL and a bare venue on this machine; `TMPDIR` says on which disk.
Without --out the results go to tests/bench/results, and the README is rendered from them. Exit status 1: a bound does
not hold, or a heat failed.
"""

import argparse
import datetime
import gc
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop
from msgspec import Struct

from tests.bench import feed, footprint, growth, latency, overload, race
from tests.bench.contestants import PEERS, Course
from tests.bench.course import laid_out
from tests.bench.lineup import CELERY, FASTSTREAM, LINEUP
from tests.bench.plan import Plan
from tests.bench.progress import Progress
from tests.bench.report import render, verdict
from tests.bench.results import RESULTS, Run, describe, save


class Section(Struct, frozen=True):
    """A part of the benchmark."""

    expected_s: Callable[[Plan], float]
    measure: Callable[[Course, Run, Progress, Plan], Awaitable[Struct]]


SECTIONS: Final = {
    "footprint": Section(footprint.expected_s, footprint.measure),
    "latency": Section(latency.expected_s, latency.measure),
    "race": Section(race.expected_s, race.measure),
    "overload": Section(overload.expected_s, overload.measure),
    "growth": Section(growth.expected_s, growth.measure),
    "feed": Section(feed.expected_s, feed.measure),
}
COMPARING: Final = {"race", "latency"}


async def run(names: list[str], plan: Plan, out: Path) -> bool:
    """Measure some sections one after another, save each as soon as it is there, and say whether all went well.

    A section that fails leaves no results, not even those of an earlier run, and the others are measured all the same.
    """
    progress = Progress(sum(SECTIONS[name].expected_s(plan) for name in names))
    with tempfile.TemporaryDirectory(prefix="order-router-bench-") as directory:
        async with laid_out(Path(directory)) as course:
            for name in names:
                (out / f"{name}.json").unlink(missing_ok=True)
                date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                described = await describe(course, date)
                try:
                    save(out, name, await SECTIONS[name].measure(course, described, progress, plan))
                except (AssertionError, TimeoutError):
                    print(f"bench: {name} FAILED\n{traceback.format_exc()}", flush=True)
    return all((out / f"{name}.json").exists() for name in names)


def words(known: list[str]) -> Callable[[str], list[str]]:
    """Return a parser of known words with commas between them; the order is that of the known ones."""

    def parse(text: str) -> list[str]:
        given = set(text.split(","))
        if unknown := sorted(given - set(known)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return [word for word in known if word in given]

    return parse


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    everybody, everything, usual = [one.name for one in LINEUP], list(SECTIONS), Plan()
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=usual.rounds)
    made.add_argument("--backlog", type=int, default=usual.backlog)
    made.add_argument("--latency-seconds", type=float, default=usual.latency_seconds)
    made.add_argument("--overload-seconds", type=float, default=usual.overload_seconds)
    made.add_argument("--only", type=words(everything), default=everything, metavar=",".join(everything))
    made.add_argument("--contestants", type=words(everybody), default=everybody, metavar=",".join(everybody))
    made.add_argument("--out", type=Path, default=RESULTS)
    return made


def main() -> None:
    """Measure, save, render."""
    options = parser().parse_args()
    peers = {FASTSTREAM, CELERY} & set(options.contestants)
    if peers and COMPARING & set(options.only) and not (PEERS / "bin/python").exists():
        sys.exit(f"bench: {PEERS} is missing. `make bench` makes it; or leave them out with --contestants")
    plan = Plan(
        rounds=options.rounds,
        backlog=options.backlog,
        latency_seconds=options.latency_seconds,
        overload_seconds=options.overload_seconds,
        lineup=tuple(one for one in LINEUP if one.name in options.contestants),
    )
    gc.disable()  # a pause would be seen as a latency; Progress collects between the steps
    whole = uvloop.run(run(options.only, plan, options.out))
    if options.out.resolve() == RESULTS:
        render()
    sys.exit(verdict(options.out) or int(not whole))


if __name__ == "__main__":
    main()
