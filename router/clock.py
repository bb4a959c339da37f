"""The system's clock."""

import asyncio
import time


class SystemClock:
    """Wall time, for deadlines that other machines set."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        """Return microseconds that nobody sets, since some moment."""
        return time.monotonic_ns() // 1000

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the loop."""
        await asyncio.sleep(seconds)
