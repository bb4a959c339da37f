"""Publish closes at a rate, whoever can keep up: the load generator of the overload benchmark, a process of its own.

    python -m tests.bench.flood --broker URL --prefix PREFIX --reply-to QUEUE --rate N --seconds N --ttl N --out FILE

Writes every due command at once, a hundred times a second, and waits for no confirm until the end. Then FILE holds
`[[first number, count, monotonic seconds], …]`, an item for each write; the numbers are odd and follow one another.
"""

import argparse
import asyncio
import gc
import time
from pathlib import Path

import msgspec
import uvloop

from tests.bench.amqp import connect
from tests.bench.commands import Patterns

FIRST = 2_000_001
TICK_S = 0.01


async def flood(options: argparse.Namespace) -> list[tuple[int, int, float]]:
    """Publish, and return what was written when."""
    patterns = Patterns(options.prefix, options.reply_to)
    line = await connect(options.broker)
    written: list[tuple[int, int, float]] = []
    total, done, start = int(options.rate * options.seconds), 0, time.monotonic()
    while done < total:
        await asyncio.sleep(TICK_S - (time.monotonic() - start) % TICK_S)
        await line.drained()
        now = time.monotonic()
        due = min(int((now - start) * options.rate), total)
        for index in range(done, due):
            line.publish(patterns.publish(FIRST + 2 * index, ttl_s=options.ttl))
        if due > done:
            written.append((FIRST + 2 * done, due - done, now))
        done = due
    await line.settled()
    await line.close()
    return written


def main() -> None:
    """Publish and write down what was published."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("broker", "prefix", "reply-to"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("rate", "seconds", "ttl"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    gc.disable()  # a pause would be seen as a burst
    options.out.write_bytes(msgspec.json.encode(uvloop.run(flood(options))))


if __name__ == "__main__":
    main()
