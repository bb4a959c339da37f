"""Keep every venue's published limits, per account and per IP, cancels first.

A limit is a sliding window: a request may leave when fewer than `count` left in the last `period_s`. Sliding, because
venues count in windows that start where they like; stretched a little, because the network squeezes what left evenly.
The windows live in this process.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from enum import IntEnum

from router.ports import Clock
from router.venue_protocol import Limit

STRETCH = 1.05
"""A window of a second is kept for 1.05 s."""


MAX_BLOCK_US = 120_000_000
"""Nobody is sent away for longer at a time, whatever a venue says; but for a ban."""
MAX_BAN_US = 3_600_000_000
BEHIND_US = 10_000
"""How soon to look again for one whose place is free but who stands behind another."""


class Priority(IntEnum):
    """Who goes first when a limit makes requests wait."""

    CANCEL = 0
    CLOSE = 1
    READ = 2


class _Window:
    """The last departures under one limit."""

    __slots__ = ("blocked_until", "cancels_only", "limit", "period", "sent", "tail")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit.count
        self.cancels_only = limit.cancels_only
        self.period = int(limit.period_s * STRETCH * 1e6)
        self.sent: deque[int] = deque(maxlen=limit.count)
        self.blocked_until = 0
        self.tail = 0
        """When the last parked request was told to come back."""

    def free_at(self, now: int, priority: Priority) -> int:
        """Return when a request of this priority may leave: `now`, or later."""
        count = self.limit if priority is Priority.CANCEL else self.limit - self.cancels_only
        if count <= 0:
            return now + self.period
        free = self.sent[-count] + self.period if len(self.sent) >= count else now
        return max(now, free, self.blocked_until)


class _Waiter:
    __slots__ = ("future", "priority", "windows")

    def __init__(self, windows: tuple[_Window, ...], priority: Priority, future: asyncio.Future[None]) -> None:
        self.windows = windows
        self.priority = priority
        self.future = future


class Limiter:
    """The limits of one venue in this process."""

    def __init__(self, limits: Iterable[Limit], clock: Clock) -> None:
        self._limits: dict[str, list[Limit]] = {}
        for limit in limits:
            self._limits.setdefault(limit.scope, []).append(limit)
        self._clock = clock
        self._windows: dict[tuple[str, tuple[str, ...]], tuple[_Window, ...]] = {}
        self._windows_of: dict[tuple[str | None, Limit], _Window] = {}
        self._waiting: list[tuple[Priority, int, _Waiter]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, account: str, scopes: tuple[str, ...], priority: Priority) -> bool:
        """Take a place now, if there is one and nobody of the same rank waits for it."""
        windows = self._of(account, scopes)
        if not windows:
            return True
        if self._waiting and any(rank <= priority and _meet(w.windows, windows) for rank, _, w in self._waiting):
            return False
        return self._take(windows, priority)

    async def wait(self, account: str, scopes: tuple[str, ...], priority: Priority, at_most_s: float) -> float:
        """Wait for a place. Returns 0.0 once it is taken, else the seconds after which to ask again, at once."""
        windows = self._of(account, scopes)
        now = self._clock.boot_us()
        if self._free_at(windows, now, priority) - now > at_most_s * 1e6:
            return self._come_back(windows, now, priority)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(windows, priority, future)
        heapq.heappush(self._waiting, (priority, next(self._order), waiter))
        self._serve()
        try:
            async with asyncio.timeout(at_most_s):
                await future
        except TimeoutError:
            if not future.done() or future.cancelled():
                return self._come_back(windows, self._clock.boot_us(), priority)
        finally:
            if not future.done() or future.cancelled():
                self._waiting = [entry for entry in self._waiting if entry[2] is not waiter]
                heapq.heapify(self._waiting)
        return 0.0

    def block(self, account: str, scopes: tuple[str, ...], seconds: float, *, ban: bool = False) -> None:
        """Let nothing leave for a while: the venue said that it was too much, or banned us."""
        now = self._clock.boot_us()
        until = now + min(int(seconds * 1e6), MAX_BAN_US if ban else MAX_BLOCK_US)
        for window in self._of(account, scopes):
            window.blocked_until = max(window.blocked_until, until)

    def _of(self, account: str, scopes: tuple[str, ...]) -> tuple[_Window, ...]:
        key = (account, scopes)
        found = self._windows.get(key)
        if found is None:
            limits = [limit for scope in scopes for limit in self._limits.get(scope, ())]
            found = self._windows[key] = tuple(self._window(account, limit) for limit in limits)
        return found

    def _window(self, account: str, limit: Limit) -> _Window:
        owner = None if limit.per == "ip" else account
        return self._windows_of.setdefault((owner, limit), _Window(limit))

    @staticmethod
    def _free_at(windows: tuple[_Window, ...], now: int, priority: Priority) -> int:
        return max((window.free_at(now, priority) for window in windows), default=now)

    def _take(self, windows: tuple[_Window, ...], priority: Priority) -> bool:
        now = self._clock.boot_us()
        if self._free_at(windows, now, priority) > now:
            return False
        for window in windows:
            window.sent.append(now)
        return True

    def _come_back(self, windows: tuple[_Window, ...], now: int, priority: Priority) -> float:
        """Spread those who are sent away over the places to come, so that they do not all return at once."""
        at = self._free_at(windows, now, priority)
        if priority is not Priority.CANCEL:
            latest = now + MAX_BLOCK_US
            at = max([at, *(min(window.tail + window.period // window.limit, latest) for window in windows)])
            for window in windows:
                window.tail = at
        return max((at - now) / 1e6, 0.05)

    def _serve(self) -> None:
        """Give every free place to the first in line for it, and set the clock for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left: list[tuple[Priority, int, _Waiter]] = []
        full: set[int] = set()
        while self._waiting:
            entry = heapq.heappop(self._waiting)
            waiter = entry[2]
            if waiter.future.done():
                continue
            if not full.isdisjoint(map(id, waiter.windows)) or not self._take(waiter.windows, waiter.priority):
                full.update(id(window) for window in waiter.windows)
                left.append(entry)
            else:
                waiter.future.set_result(None)
        self._waiting = left
        if left:
            now = self._clock.boot_us()
            times = [self._free_at(waiter.windows, now, waiter.priority) for _, _, waiter in left]
            at = min((at for at in times if at > now), default=now + BEHIND_US)
            self._timer = asyncio.get_running_loop().call_later((at - now) / 1e6, self._serve)


def _meet(one: tuple[_Window, ...], other: tuple[_Window, ...]) -> bool:
    return any(window is mine for window in one for mine in other)
