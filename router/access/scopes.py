"""What processes share of one limit, as this process sees it: what it reports, and what it is given."""

from typing import Final

from msgspec.structs import replace

from router.access.limiter import Limiter
from router.access.places import Places
from router.access.windows import Window
from router.records.share import Grant, Report

LOOK_S: Final = 0.2
"""How often the journal is asked what others lack; a need that grows is reported as often."""
PEAK_US: Final = 2_000_000
"""How long a need lasts that is over."""


class Scope:
    """Places that processes share: those of a limit for everybody, or those for cancels."""

    __slots__ = (
        "blocked_until",
        "is_cancels",
        "key",
        "limiter",
        "peak",
        "peak_us",
        "places",
        "reported",
        "reported_us",
        "window",
    )

    def __init__(self, key: str, limiter: Limiter, window: Window, *, is_cancels: bool) -> None:
        self.key = key
        self.limiter = limiter
        self.window = window
        self.is_cancels = is_cancels
        self.places: Places = window.cancels if is_cancels else window.everybody
        self.peak = self.peak_us = self.reported = self.reported_us = 0
        self.blocked_until = 0
        """What others know of the window's."""

    @property
    def is_blocked(self) -> bool:
        """Whether the venue wants to hear nothing for longer than others know."""
        return not self.is_cancels and self.window.blocked_until > self.blocked_until

    def is_short(self, now: int, *, new: bool) -> bool:
        """Say whether there is a need that the journal is to hear of now; `new`: it heard of none lately."""
        places = self.places
        if not places.refused or places.held >= places.count:
            return False
        more = places.refused + places.in_use(now) > self.peak and self.peak < places.count
        return new or (more and now - self.reported_us >= LOOK_S * 1e6)

    def is_news(self, now: int) -> bool:
        """Say once a second whether the journal is to hear of this scope, though nobody waits."""
        places = self.places
        if not places.count:
            return False
        if places.refused and places.held == places.count:
            self.need(now, (0, 0), 0)
        is_over = self.reported > 0 and now - self.peak_us > PEAK_US
        in_use = places.in_use(now)
        return is_over or bool((places.long and in_use) or places.refused) or not places.held

    def need(self, now: int, waiting: tuple[int, int], handed_in: int) -> int:
        """Return how many places would be used now if they were there, or were a moment ago."""
        used = self.places.in_use(now) + handed_in
        wanting = waiting[self.is_cancels] + self.places.refused + (0 < self.places.held <= used)
        need = used + (min(wanting, self.places.batch) if self.places.long else wanting)
        self.places.refused = 0
        if need >= self.peak or now - self.peak_us > PEAK_US:
            self.peak, self.peak_us = need, now
        return min(self.peak, self.places.count)

    def report(self, now: int, excess: int, *, waiting: tuple[int, int]) -> Report:
        """Hand in what is too much or used up, and say what is left and needed."""
        places = self.places
        returned = places.give_up_used(now) if places.long else []
        need = self.need(now, waiting, len(returned))
        returned += places.give_up(excess, now)
        blocked_us = 0 if self.is_cancels else max(self.window.blocked_until - now, 0)
        self.reported = need
        self.reported_us, self.blocked_until = now, self.window.blocked_until
        return Report(
            scope=self.key,
            count=places.count,
            period_us=places.period_us,
            batch=places.batch,
            long=places.long,
            held=places.held,
            returned=tuple(sorted(returned)),
            need=need,
            blocked_us=blocked_us,
        )

    def leave(self, now: int) -> Report:
        """Hand in everything."""
        report = self.report(now, self.places.count, waiting=(0, 0))
        self.places.clear()
        return replace(report, held=0, need=0, leaving=True)

    def take(self, grant: Grant, report: Report, now: int) -> None:
        """Hold what the journal gave."""
        places = self.places
        if grant.held < report.held:  # a journal that was put back gave nothing of that
            places.clear()
        places.add(grant.granted, now)
        if not self.is_cancels:
            self.window.came(grant.granted.count(0))
        if grant.next_us is not None:
            places.elsewhere_us = now + grant.next_us
        else:
            places.elsewhere_us = now if grant.hot or places.held < max(grant.target, 1) else None
        until = now + grant.blocked_us
        if grant.blocked_us and until > self.window.blocked_until:
            self.window.blocked_until = self.blocked_until = until
