"""Time that passes only when nothing else is left to do, and processes that time may leave out.

The loop's clock stands still while anything can run, and jumps to the next timer when nothing can: minutes of waiting
cost nothing, and the same test always sees the same order of events. Its time is the true one: venues, senders and the
broker live in it. Processes see it through clocks of their own, and may be frozen: nothing of theirs runs then.
"""

import asyncio
import contextvars
import heapq
import selectors
from selectors import SelectorKey
from typing import Any

BEGAN_US = 1_790_000_000_000_000
"""What a right wall clock says when a test begins: some day in 2026."""
UPTIME_US = 100_000_000
"""For how long a machine has been up when its first process starts."""

owner: contextvars.ContextVar[object | None] = contextvars.ContextVar("owner", default=None)
"""Whose callbacks run in a context: a process's, or nobody's."""


class _Selector(selectors.SelectSelector):
    """Instead of waiting it moves the loop's clock on. No thread and no socket takes part."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout != 0:
            assert timeout is not None, "nothing is left to wait for"
            self.loop.elapsed_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is `elapsed_s`."""

    # What the base class keeps; typeshed does not say so.
    _ready: Any
    _scheduled: Any
    _timer_cancelled_count: int

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self._held: dict[object, tuple[list[asyncio.Handle], list[asyncio.TimerHandle]]] = {}
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed_s

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments to the callback
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        if self._held:
            whose = owner.get() if context is None else context.get(owner)
            if whose in self._held:
                handle = asyncio.Handle(callback, args, self, context)
                self._held[whose][0].append(handle)
                return handle
        return super().call_soon(callback, *args, context=context)

    def freeze(self, process: object) -> None:
        """Run nothing of a process until `thaw`. Time goes on for it like for everybody."""
        if process in self._held:
            return
        ready: list[asyncio.Handle] = []
        for _ in range(len(self._ready)):  # the loop may be counting them: their number stays
            handle = self._ready.popleft()
            if _belongs(handle, process):
                ready.append(handle)
                handle = asyncio.Handle(_nothing, (), self, contextvars.Context())
            self._ready.append(handle)
        timers: list[asyncio.TimerHandle] = []
        others: list[asyncio.TimerHandle] = []
        for timer in self._scheduled:
            (timers if _belongs(timer, process) else others).append(timer)
        for timer in timers:
            timer._scheduled = False  # type: ignore[attr-defined]  # the base class's own mark
            self._timer_cancelled_count -= timer.cancelled()
        self._scheduled[:] = others
        heapq.heapify(self._scheduled)
        self._held[process] = ready, timers

    def thaw(self, process: object) -> None:
        """Let a process go on: what has become due runs at once."""
        ready, timers = self._held.pop(process, ([], []))
        for timer in timers:
            if not timer.cancelled():
                timer._scheduled = True  # type: ignore[attr-defined]  # the base class's own mark
                heapq.heappush(self._scheduled, timer)
        self._ready.extend(ready)


def _belongs(handle: Any, process: object) -> bool:
    return handle._context is not None and handle._context.get(owner) is process


def _nothing() -> None:
    """Stand in for what is held."""


class VirtualClock:
    """The true time. `jump_us` is how far somebody has set a wall clock ahead."""

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


class Host:
    """The machine that every process of a world runs on."""

    def __init__(self) -> None:
        self.boots = 1
        self.booted_us = -UPTIME_US
        """When it was started, in microseconds of the loop's time."""
        self.step_us = 0
        """How far ahead its wall clock is for every process that is started from now on."""

    def reboot(self, now_us: int) -> None:
        """Start again: the boot clock begins anew, under another name."""
        self.boots += 1
        self.booted_us = now_us - 20_000_000


class ProcessClock(VirtualClock):
    """One process's clocks: a wall clock of its own, and its machine's boot clock. See `router.journal.machine`."""

    def __init__(self, loop: VirtualLoop, host: Host) -> None:
        super().__init__(loop)
        self.jump_us = host.step_us
        self.boot_id = f"boot {host.boots}"
        self._booted_us = host.booted_us

    def boot_us(self) -> int:
        """Return microseconds since the machine's start."""
        return round(self._loop.elapsed_s * 1e6) - self._booted_us
