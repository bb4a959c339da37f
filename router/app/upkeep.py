"""What a process does beside its work: say that it is ready, measure itself, forget what is old."""

import asyncio
import gc
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from router.errors import JournalUnavailable, RouterError
from router.journal import Store
from router.telemetry import Metrics

LAG_EVERY_S: Final = 0.5
DOUBTS_EVERY_S: Final = 5.0
RETIRE_EVERY_S: Final = 600.0
LOOK_S: Final = 0.02

_log = structlog.get_logger(__name__)


async def once(holds: Callable[[], bool], begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin once the broker has the exchanges: a publish to one that is missing costs the whole connection."""
    while not holds():  # noqa: ASYNC110 - the consumer would have to know of the event
        await asyncio.sleep(LOOK_S)
    await begin()


async def announce(ready: Callable[[], Mapping[str, bool]], on_ready: Callable[[], None] | None) -> None:
    """Wait until everything holds, and say so."""
    while not all(ready().values()):  # noqa: ASYNC110 - three parts would each have to know of the event
        await asyncio.sleep(LOOK_S)
    # What is there now stays: no collection need look at it again.
    gc.collect()
    gc.freeze()
    _log.info("ready")
    if on_ready is not None:
        on_ready()


async def watch_lag(metrics: Metrics) -> None:
    """Measure how late the event loop is, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        metrics.loop_lag(max(loop.time() - due, 0.0))


async def watch_doubts(journal: Store, venues: Collection[str], metrics: Metrics) -> None:
    """Count the commands in doubt at each venue, for ever."""
    while True:
        with suppress(JournalUnavailable):
            doubts = await journal.doubts()
            for venue in venues:
                count, since_us = doubts.get(venue, (0, 0))
                metrics.doubts(venue, count, since_us / 1e6)
        await asyncio.sleep(DOUBTS_EVERY_S)


async def retire(journal: Store, days: int) -> None:
    """Delete what ended more than `days` ago, for ever."""
    while True:
        with suppress(RouterError):
            await journal.retire(days)
        await asyncio.sleep(RETIRE_EVERY_S)
