"""Keep every venue's published limits, per account and per address, cancels first.

A limit is a sliding window: a request may leave when fewer than `count` left in the last `period_s`. Sliding, because
venues count in windows that start where they like. It is kept as places (`router.access.places`). A turn is one place
under each limit that counts the request; what counts is when the request leaves, not when it took its turn.

Alone, a limiter holds all places for ever. Where processes share the limits (`router.access.shares`), it holds those
that the journal gave it, as long as its `Hold` lasts.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Final

from router.access.windows import ALWAYS, Hold, Priority, Turn, Window
from router.ports import Clock
from router.venue_protocol import Limit

__all__ = ["MAX_BLOCK_US", "Hold", "Limiter", "Priority", "Turn", "Window"]

MAX_BLOCK_US: Final = 120_000_000
"""Nobody is sent away for longer at a time, whatever a venue says; but for a ban."""
MAX_BAN_US: Final = 3_600_000_000
EARLY: Final = 0.9
"""Those who were sent away come back a little faster than places are free, so that none stays unused."""
BEHIND_US: Final = 10_000
"""How soon to look again for one whose place is free but who stands behind another."""


class _Waiter:
    __slots__ = ("future", "priority", "windows")

    def __init__(self, windows: tuple[Window, ...], priority: Priority, future: asyncio.Future[Turn]) -> None:
        self.windows = windows
        self.priority = priority
        self.future = future


class Limiter:
    """The limits of one venue. With a `lease` their places are shared with other processes."""

    def __init__(self, limits: Iterable[Limit], clock: Clock, lease: Hold = ALWAYS) -> None:
        self.on_short: Callable[[tuple[Window, ...]], None] = _nobody
        """Called when somebody asks in vain, or the venue says that it was too much."""
        self._limits: dict[str, list[Limit]] = {}
        for limit in limits:
            self._limits.setdefault(limit.scope, []).append(limit)
        self._clock = clock
        self._lease = lease
        self._windows: dict[tuple[str, tuple[str, ...]], tuple[Window, ...]] = {}
        self._windows_of: dict[tuple[str | None, Limit], Window] = {}
        self._waiting: list[tuple[Priority, int, _Waiter]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, account: str, scopes: tuple[str, ...], priority: Priority) -> Turn | None:
        """Take a turn now, if there is one and nobody of the same rank waits for it."""
        windows = self._of(account, scopes)
        waits = self._waiting and any(rank <= priority and _meet(w.windows, windows) for rank, _, w in self._waiting)
        turn = None if waits else self._take(windows, priority)
        if turn is None:
            self._short(windows, priority)
        return turn

    async def wait(
        self,
        account: str,
        scopes: tuple[str, ...],
        priority: Priority,
        at_most_s: float,
        *,
        left_s: float = float("inf"),
    ) -> Turn | float:
        """Wait for a turn. Returns it, or else the seconds after which to ask again, at once.

        What it returns is above `left_s` where there is no turn before that.
        """
        windows = self._of(account, scopes)
        now = self._clock.boot_us()
        at_most_s = min(at_most_s, left_s)
        if self._likely_at(windows, now, priority) - now > at_most_s * 1e6:
            return self._come_back(windows, now, priority, left_s)
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(windows, priority, future)
        heapq.heappush(self._waiting, (priority, next(self._order), waiter))
        self.serve()
        try:
            async with asyncio.timeout(at_most_s):
                return await future
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()
            return self._come_back(windows, self._clock.boot_us(), priority, left_s - at_most_s)
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.result().give_back()
            raise
        finally:
            if not future.done() or future.cancelled():
                self._waiting = [entry for entry in self._waiting if entry[2] is not waiter]
                heapq.heapify(self._waiting)

    def block(self, account: str, scopes: tuple[str, ...], seconds: float, *, ban: bool = False) -> None:
        """Let nothing leave for a while: the venue said that it was too much, or banned us."""
        now = self._clock.boot_us()
        until = now + min(int(seconds * 1e6), MAX_BAN_US if ban else MAX_BLOCK_US)
        for window in self._of(account, scopes):
            window.blocked_until = max(window.blocked_until, until)
        self.on_short(self._of(account, scopes))

    def windows(self, accounts: Iterable[str]) -> dict[tuple[str | None, Limit], Window]:
        """Return the windows of some accounts, by account (`None`: of the address) and limit."""
        for account in accounts:
            self._of(account, tuple(self._limits))
        return self._windows_of

    def waiting(self) -> dict[int, tuple[int, int]]:
        """Return how many wait in each window that anybody waits in, by its `id`: all of them, and cancels."""
        found: dict[int, tuple[int, int]] = {}
        for rank, _, waiter in self._waiting:
            for window in waiter.windows:
                everybody, cancels = found.get(id(window), (0, 0))
                found[id(window)] = everybody + 1, cancels + (rank is Priority.CANCEL)
        return found

    def _of(self, account: str, scopes: tuple[str, ...]) -> tuple[Window, ...]:
        key = (account, scopes)
        found = self._windows.get(key)
        if found is None:
            limits = [limit for scope in scopes for limit in self._limits.get(scope, ())]
            found = self._windows[key] = tuple(self._window(account, limit) for limit in limits)
        return found

    def _window(self, account: str, limit: Limit) -> Window:
        owner = None if limit.per == "ip" else account
        window = self._windows_of.get((owner, limit))
        if window is None:
            window = self._windows_of[owner, limit] = Window(limit, self._lease)
        return window

    def _short(self, windows: tuple[Window, ...], priority: Priority) -> None:
        now = self._clock.boot_us()
        for window in windows:
            if not window.has_place(now, priority):
                window.refused(priority)
        self.on_short(windows)

    @staticmethod
    def _free_at(windows: tuple[Window, ...], now: int, priority: Priority) -> int:
        return max((window.free_at(now, priority) for window in windows), default=now)

    def _likely_at(self, windows: tuple[Window, ...], now: int, priority: Priority) -> int:
        """Return when a place is free at the earliest for somebody who stands at the end of the line."""
        ahead = sum(rank <= priority and _meet(waiter.windows, windows) for rank, _, waiter in self._waiting)
        return max((window.likely_at(now, priority, ahead) for window in windows), default=now)

    def _take(self, windows: tuple[Window, ...], priority: Priority) -> Turn | None:
        now = self._clock.boot_us()
        for window in windows:
            if not window.has_place(now, priority):
                return None
        return Turn(windows, [window.take(now) for window in windows], self._clock)

    def _come_back(self, windows: tuple[Window, ...], now: int, priority: Priority, left_s: float) -> float:
        """Spread those who are sent away over the places to come, so that they do not all return at once."""
        at = self._free_at(windows, now, priority)
        if priority is not Priority.CANCEL and windows:
            latest = now + MAX_BLOCK_US
            full = [window for window in windows if window.due_at(now, priority) > now] or [min(windows, key=_period)]
            paces = [min(window.tail + int(window.place_us * EARLY), latest) for window in full]
            at = max([at, *paces])
            if at - now <= left_s * 1e6:
                for window in full:
                    window.tail = at
        self._short(windows, priority)
        return max((at - now) / 1e6, 0.05)

    def serve(self) -> None:
        """Give every free place to the first in line for it, and set the clock for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left: list[tuple[Priority, int, _Waiter]] = []
        full: set[int] = set()
        now = self._clock.boot_us()
        while self._waiting:
            entry = heapq.heappop(self._waiting)
            waiter = entry[2]
            if waiter.future.done():
                continue
            turn = None
            if full.isdisjoint(map(id, waiter.windows)) and _due_at(waiter, now) <= now:
                turn = self._take(waiter.windows, waiter.priority)
            if turn is None:
                full.update(id(window) for window in waiter.windows)
                left.append(entry)
                continue
            waiter.future.set_result(turn)
            if waiter.priority is not Priority.CANCEL:
                for window in waiter.windows:
                    window.left_line(now)
        self._waiting = left
        if left:
            times = [_due_at(waiter, now) for _, _, waiter in left]
            at = min((at for at in times if at > now), default=now + BEHIND_US)
            self._timer = asyncio.get_running_loop().call_later((at - now) / 1e6, self.serve)


def _period(window: Window) -> int:
    return window.everybody.period_us


def _due_at(waiter: _Waiter, now: int) -> int:
    return max((window.due_at(now, waiter.priority) for window in waiter.windows), default=now)


def _nobody(_: tuple[Window, ...]) -> None:
    """Tell nobody: this process has all places."""


def _meet(one: tuple[Window, ...], other: tuple[Window, ...]) -> bool:
    return any(window is mine for window in one for mine in other)
