"""Rate limits as the venues enforce them: what a window is differs from venue to venue.

sliding   at most `count` in any `period_s`: the strictest reading, where a venue does not say
first     the window starts with its first request (BtcTurk, rate-limits); a breach blocks for `block_s`
clock     the window starts with the period of the clock, such as the minute (Nami, API v1)
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

Shape = Literal["sliding", "first", "clock"]


class Rate(Struct, frozen=True, kw_only=True):
    """At most `count` requests of a scope per `period_s`, counted per account or per source address."""

    scope: str
    count: int
    period_s: float
    per: Literal["account", "ip"] = "account"
    shape: Shape = "sliding"
    block_s: float = 0.0


class Breach(Struct, frozen=True):
    """The limit that was exceeded, and in how many seconds it will admit a request again."""

    rate: Rate
    wait_s: float


class _Window:
    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._start_s = float("-inf")
        self._blocked_until_s = float("-inf")
        self._times_s: deque[float] = deque()

    def wait_s(self, now_s: float) -> float:
        """Return how long until a request is admitted; zero or less when it is now."""
        rate = self._rate
        self._forget(now_s)
        if now_s < self._blocked_until_s:
            return self._blocked_until_s - now_s
        if len(self._times_s) < rate.count:
            return 0.0
        self._blocked_until_s = now_s + rate.block_s
        start_s = self._times_s[0] if rate.shape == "sliding" else self._start_s
        return max(start_s + rate.period_s, self._blocked_until_s) - now_s

    def admit(self, now_s: float) -> None:
        """Count a request."""
        if self._rate.shape == "clock":
            self._start_s = now_s - now_s % self._rate.period_s
        elif not self._times_s:
            self._start_s = now_s
        self._times_s.append(now_s)

    def _forget(self, now_s: float) -> None:
        period_s = self._rate.period_s
        if self._rate.shape == "sliding":
            while self._times_s and self._times_s[0] <= now_s - period_s:
                self._times_s.popleft()
        elif now_s >= self._start_s + period_s:
            self._times_s.clear()


class Meter:
    """The windows of one venue."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        self._rates = rates
        self._windows: dict[tuple[int, str], _Window] = {}

    def take(self, scope: str, *, account: str, ip: str, now_s: float) -> Breach | None:
        """Count a request, or return the limit that refuses it; a refused request is not counted."""
        windows = list(self._of(scope, account, ip))
        for rate, window in windows:
            if (wait_s := window.wait_s(now_s)) > 0:
                return Breach(rate, wait_s)
        for _, window in windows:
            window.admit(now_s)
        return None

    def _of(self, scope: str, account: str, ip: str) -> Iterable[tuple[Rate, _Window]]:
        for index, rate in enumerate(self._rates):
            if rate.scope == scope:
                key = (index, account if rate.per == "account" else ip)
                window = self._windows.get(key)
                if window is None:
                    window = self._windows[key] = _Window(rate)
                yield rate, window
