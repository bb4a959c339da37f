"""The system's clocks."""

import asyncio
import time

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


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
