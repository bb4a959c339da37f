"""Sightings on their way into the journal, while the wall clock is set."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from router.feeds.recorder import HOLD_US, Recorder
from router.records.event import Lease, OrderReport, Recorded
from router.telemetry import Metrics
from tests.unit.feeds.scripted import change


class Clock:
    """One that a test sets."""

    def __init__(self) -> None:
        self.wall_us = 1_795_000_000_000_000
        self.boot = 5_000_000

    def now_us(self) -> int:
        """The wall clock."""
        return self.wall_us

    def boot_us(self) -> int:
        """The boot clock."""
        return self.boot

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Holding:
    """A journal that holds what has not waited, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    async def record(self, _: Lease, sightings: Sequence[OrderReport], *, published_seq: int = 0) -> Recorded:
        """Let everything wait that has not."""
        self.asked += [sighting.waited for sighting in sightings]
        return Recorded(waiting=tuple(sighting for sighting in sightings if not sighting.waited))

    async def feed_progress(self, *_: Any, **__: Any) -> None:
        """Keep no marks."""


class EventRelay:
    """Nothing is published."""

    published_seq = 0


async def times(condition: Any) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("step_s", [-300, 300])
async def test_a_clock_that_is_set_holds_no_sighting_longer_or_shorter(step_s: int) -> None:
    """An order that may be a close's waits three seconds for it: of the clock that nobody sets."""
    clock, journal = Clock(), Holding()
    relay: Any = EventRelay()
    lease = Lease(venue="gmo_coin", account="main", owner="me", fence=1)
    store: Any = journal
    recorder = Recorder(lease, store, relay, clock, metrics=Metrics(), owned=lambda: True, on_recorded=lambda _: None)
    task = asyncio.create_task(recorder.run())
    try:
        recorder.sight([change("1", "1")], "stream")
        await times(lambda: journal.asked)
        clock.wall_us += step_s * 1_000_000
        clock.boot += HOLD_US // 2
        asked = len(journal.asked)
        await times(lambda: len(journal.asked) > asked + 1)
        assert not any(journal.asked)
        clock.boot += HOLD_US
        await times(lambda: journal.asked[-1])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
