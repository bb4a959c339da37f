"""The system's clocks, and times as microseconds since 1970."""

import asyncio
import datetime
import time

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def to_time(us: int) -> datetime.datetime:
    """Return microseconds since 1970 as a UTC time, exactly."""
    return _EPOCH + datetime.timedelta(microseconds=us)


def to_us(time: datetime.datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly."""
    return (time - _EPOCH) // datetime.timedelta(microseconds=1)


class SystemClock:
    """Wall time to sign and for people; boot time to count by."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC. An operator may set it back or ahead at any moment."""
        return time.time_ns() // 1000

    def boot_us(self) -> int:
        """Return microseconds since some moment that nobody sets; they pass while the machine sleeps, too."""
        return time.clock_gettime_ns(_BOOT) // 1000

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the loop."""
        await asyncio.sleep(seconds)
