"""What a process does beside its work: say that it is ready, measure itself, forget what is old."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from router.app.alarms import Alarms
from router.config import Config, masked
from router.errors import JournalUnavailable, RouterError
from router.journal import Store, Waiting
from router.telemetry import Metrics, tell_folded
from router.telemetry.series import program

LAG_EVERY_S: Final = 0.5
BACKLOG_EVERY_S: Final = 2.0
FOLDED_EVERY_S: Final = 1.0
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


async def watch_backlog(journal: Store, venues: Mapping[str, object], metrics: Metrics, alarms: Alarms) -> None:
    """Count what is not settled, for ever."""
    while True:
        with suppress(JournalUnavailable):
            found = await journal.backlog()
            for venue in venues:
                waiting = found.venues.get(venue, Waiting())
                metrics.backlog(
                    venue, in_doubt=waiting.in_doubt, oldest_s=_seconds(waiting.oldest_us), parked=waiting.parked
                )
            metrics.unconfirmed(found.unconfirmed, _seconds(found.unconfirmed_oldest_us))
            alarms.backlog(found, venues)
        await asyncio.sleep(BACKLOG_EVERY_S)


def say_what_starts(config: Config) -> None:
    """Log which program this is and what it works with. No URL is shown with its password."""
    number, commit = program()
    _log.info(
        "starting",
        version=number,
        commit=commit,
        accounts=[f"{venue}/{name}" for venue, named in config.accounts.items() for name in named],
        venues={name: config.venues[name].rest_url for name in config.accounts},
        journal=masked(config.journal.url),
        broker=masked(config.broker.url),
        prefix=config.broker.prefix,
        http=f"{config.http.host}:{config.http.port}",
        config=config.file or "none: defaults and environment",
    )


def say_what_was_done(metrics: Metrics, began_s: float) -> None:
    """Log the totals of this process, as the last thing it says."""
    tell_folded(all_of_them=True)
    _log.info("stopped", after_s=round(time.monotonic() - began_s, 1), **metrics.totals())


async def tell_folded_repeats() -> None:
    """Tell of log lines that were folded, for ever."""
    while True:
        await asyncio.sleep(FOLDED_EVERY_S)
        tell_folded()


def _seconds(us: int | None) -> float | None:
    return None if us is None else us / 1e6


async def retire(journal: Store, days: int) -> None:
    """Delete what ended more than `days` ago, for ever."""
    while True:
        with suppress(RouterError):
            await journal.retire(days)
        await asyncio.sleep(RETIRE_EVERY_S)
