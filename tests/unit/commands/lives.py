"""Run random lives: `python -m tests.unit.commands.lives --lives 100000 [--seed N] [--commands 2] [--story]`.

Each life is drawn from its own seed, so any of them can be lived again. Exit code 1 when one broke a promise.
"""

import argparse
import gc
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from tests.unit.commands.life import Life

MEMORY = Path("/dev/shm")
"""A file system without a disk, where there is one."""
CHUNK = 50
FIRST_SEED = 1


class Broken(NamedTuple):
    """A life that broke a promise."""

    seed: int
    why: str
    story: tuple[str, ...]


@contextmanager
def workplace() -> Iterator[Path]:
    """Return a directory for lives, without a disk if possible, and remove it."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="lives-") as directory:
        yield Path(directory)


def live(seed: int, directory: Path, faults: Counter[str], *, story: bool = False) -> Broken | None:
    """Live one life; return it if it broke a promise."""
    life = Life(seed, directory)
    try:
        life.run()
    except Exception as error:
        why = "".join(traceback.format_exception(error)) if story else f"{type(error).__name__}: {error}"
        return Broken(seed, why, tuple(life.story))
    finally:
        faults.update(life.faults)
        for left in directory.iterdir():
            left.unlink()
        if story:
            print("\n".join([*life.story, *life.epilogue()]))
    return None


def live_some(seeds: Sequence[int], *, story: bool = False) -> tuple[list[Broken], Counter[str], int]:
    """Live some lives in this process; return those that broke a promise, the faults met, and how many there were."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    faults: Counter[str] = Counter()
    with workplace() as directory:
        broken = [found for seed in seeds if (found := live(seed, directory, faults, story=story)) is not None]
    gc.collect()
    return broken, faults, len(seeds)


def run(seeds: range, jobs: int, *, story: bool) -> int:
    """Live all of them and tell what came of it."""
    began = time.monotonic()
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    broken: list[Broken] = []
    faults: Counter[str] = Counter()
    done = 0
    with multiprocessing.Pool(jobs) if jobs > 1 else _Here() as pool:
        work = (
            pool.imap_unordered(live_some, chunks) if jobs > 1 else (live_some(chunk, story=story) for chunk in chunks)
        )
        for found, met, lives in _told(work, len(seeds)):
            broken += found
            faults += met
            done += lives
    took_s = time.monotonic() - began
    for life in broken:
        print(f"seed {life.seed}: {life.why}")
    print(f"seeds {seeds[0]} to {seeds[-1]}: {done} lives, {len(broken)} broke a promise, {done / took_s:.0f} a second")
    print("faults met: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    if broken:
        print("seeds that broke a promise: " + " ".join(str(life.seed) for life in broken))
    return 1 if broken else 0


class _Here:
    """Stands in for a pool."""

    def __enter__(self) -> "_Here":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def imap_unordered(self, *_: object) -> Iterable[tuple[list[Broken], Counter[str], int]]:
        """Never called."""
        raise AssertionError


def _told(
    work: Iterable[tuple[list[Broken], Counter[str], int]], lives: int
) -> Iterator[tuple[list[Broken], Counter[str], int]]:
    done = 0
    told = time.monotonic()
    for result in work:
        done += result[2]
        for life in result[0]:
            print(f"broken: --seed {life.seed} --lives 1 --story: {life.why[:300]}", flush=True)
        if time.monotonic() - told > 30.0:
            told = time.monotonic()
            print(f"{done} of {lives}", file=sys.stderr, flush=True)
        yield result


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first life; the next has the next")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--story", action="store_true", help="tell what happens, in one process")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of names keep one order, so that a seed is one life
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.unit.commands.lives", *sys.argv[1:]])  # noqa: S606 - ourselves
    seeds = range(given.seed, given.seed + given.lives)
    return run(seeds, 1 if given.story else given.jobs, story=given.story)


if __name__ == "__main__":
    sys.exit(main())
