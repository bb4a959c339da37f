"""Time that passes only when nothing else is left to do.

The loop's clock stands still while anything can run, and jumps to the next timer when nothing can: minutes of waiting
cost nothing, and the same test always sees the same order of events. While a thread works for us (the journal's) the
loop waits for it in real time, and no virtual time passes.
"""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import SelectorKey

STUCK_S = 20.0
"""Real seconds after which a thread that does not answer is a failure."""

BEGAN_US = 1_790_000_000_000_000
"""What the wall clock says when a test begins: some day in 2026."""


class _Selector(selectors.SelectSelector):
    """Polls; instead of waiting it moves the loop's clock on."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.threads:
            ready = super().select(STUCK_S)
            assert ready, "a thread has not answered"
            return ready
        assert timeout is not None, "nothing is left to wait for"
        self.loop.elapsed_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is `elapsed_s`."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.threads = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed_s

    @contextmanager
    def thread_works(self) -> Iterator[None]:
        """Let no virtual time pass within the context."""
        self.threads += 1
        try:
            yield
        finally:
            self.threads -= 1


class VirtualClock:
    """The wall clock of the virtual loop. `jump_us` is how far somebody has set it ahead."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.jump_us = 0

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""
        return BEGAN_US + round(self._loop.elapsed_s * 1e6) + self.jump_us

    def boot_us(self) -> int:
        """Return microseconds that nobody sets."""
        return round(self._loop.elapsed_s * 1e6)

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(seconds)
