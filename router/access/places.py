"""Places under a limit: each lets one request leave, and is free again a period after that.

A limit of twenty a second is twenty places. Whoever holds a place uses it at most once in any period, so the venue
sees at most as many requests in any period as there are places, whichever processes hold them and however they are
handed on: what is handed on says when it is free.
"""

from collections import deque
from collections.abc import Collection, Iterable
from typing import Final

STRETCH: Final = 1.05
"""A period of a second is kept for 1.05 s: the network squeezes what left evenly ..."""
MOST_STRETCH_US: Final = 250_000
"""... but not by more than this."""
EXACT: Final = 1.001
"""An answered request was counted before its answer came, so from then on no stretch is needed, but for the drift of
two clocks."""
WRITE_WITHIN_US: Final = 2_500_000
"""A place that was taken longer ago than this is not used any more by a request that has not left."""
LATE_US: Final = 20_000
LONG_US: Final = 5_000_000
"""In a longer period a place that was used goes back to the journal, so that a crash leaves few unknown."""
FEW: Final = 8
BATCH_S: Final = 2.0


class Place:
    """One use of a place. `free_us`: when the place may be used again, by this machine's boot clock."""

    __slots__ = ("free_us", "held", "left", "taken_us")

    def __init__(self, now: int, free_us: int) -> None:
        self.taken_us = now
        self.free_us = free_us
        self.left = False
        """Whether the request has left."""
        self.held = True
        """Whether the place is still this use's: not used again since, not given up."""


class Places:
    """The places of one kind under one limit that this process holds.

    `count` is how many there are in all. A shared one begins with none. Times are microseconds of the boot clock.
    """

    __slots__ = ("count", "elsewhere_us", "exact_us", "fresh", "period_us", "refused", "used")

    def __init__(self, count: int, period_s: float, *, shared: bool) -> None:
        self.count = count
        self.period_us = int(period_s * 1e6) + min(int(period_s * (STRETCH - 1) * 1e6), MOST_STRETCH_US)
        self.exact_us = int(period_s * EXACT * 1e6)
        self.fresh = 0 if shared else count
        self.used: deque[Place] = deque()
        """In the order in which they are free again, but for some milliseconds."""
        self.elsewhere_us: int | None = 0 if shared else None
        """When another process may hand one on; `None`: never."""
        self.refused = 0
        """How many asked in vain since the journal was told."""

    @property
    def held(self) -> int:
        """How many places this process holds, in use or not."""
        return self.fresh + len(self.used)

    @property
    def long(self) -> bool:
        """Whether used places go back to the journal."""
        return self.period_us > LONG_US

    @property
    def batch(self) -> int:
        """How many places a process keeps ready at most, without need."""
        return max(FEW, int(self.count * BATCH_S * 1e6 / self.period_us)) if self.long else self.count

    def free_at(self, now: int) -> int | None:
        """Return when a place of this process is free; `None`: it holds none."""
        self.refresh(now)
        if self.fresh:
            return now
        return self.used[0].free_us if self.used else None

    def refresh(self, now: int) -> None:
        """Count what is free again as fresh."""
        while self.used and self.used[0].free_us <= now:
            self.used.popleft().held = False
            self.fresh += 1

    def take(self, now: int) -> Place | None:
        """Use a place, if one is free."""
        self.refresh(now)
        if not self.fresh:
            return None
        self.fresh -= 1
        place = Place(now, now + self.period_us)
        self.used.append(place)
        return place

    def leave(self, place: Place, now: int) -> Place | None:
        """Say that a request leaves now. Returns the place that it uses: another one if its own is gone; or none."""
        if not place.held:
            other = self.take(now)
            if other is None:
                return None
            place = other
        place.left = True
        place.free_us = now + self.period_us
        if now - place.taken_us > LATE_US and self.used[-1] is not place:
            self.used.remove(place)
            self.used.append(place)
        return place

    def answered(self, place: Place, now: int) -> None:
        """Say that the venue has answered: it has counted the request by now."""
        if place.held:
            place.free_us = min(place.free_us, now + self.exact_us)

    def give_back(self, place: Place) -> None:
        """Free a place that was taken for a request that does not leave."""
        if place.held and not place.left:
            place.held = False
            self.used.remove(place)
            self.fresh += 1

    def in_use(self, now: int) -> int:
        """Return how many places are used now."""
        self.refresh(now)
        return len(self.used)

    def add(self, left_us: Iterable[int], now: int) -> None:
        """Hold more places, each free in so many microseconds."""
        free = [now + left for left in left_us]
        self.fresh += sum(at <= now for at in free)
        came = [Place(now, at) for at in free if at > now]
        for place in came:
            place.left = True
        if came:
            self.used = deque(sorted((*self.used, *came), key=_free_us))

    def give_up(self, count: int, now: int) -> list[int]:
        """Let go of at most so many places, free ones first, and return in how many microseconds each is free.

        None that a request has taken which may yet leave.
        """
        self.refresh(now)
        unused = min(self.fresh, count)
        self.fresh -= unused
        settled = sorted((place for place in self.used if _is_settled(place, now)), key=_free_us)
        return [0] * unused + self._drop(settled[: count - unused], now)

    def give_up_used(self, now: int) -> list[int]:
        """Let go of every place that was used; else like `give_up`."""
        self.refresh(now)
        return self._drop([place for place in self.used if _is_settled(place, now)], now)

    def clear(self) -> None:
        """Hold nothing any more: others may."""
        for place in self.used:
            place.held = False
        self.used.clear()
        self.fresh = 0

    def _drop(self, dropped: Collection[Place], now: int) -> list[int]:
        if dropped:
            for place in dropped:
                place.held = False
            self.used = deque(place for place in self.used if place.held)
        return [max(place.free_us - now, 0) for place in dropped]


def _free_us(place: Place) -> int:
    return place.free_us


def _is_settled(place: Place, now: int) -> bool:
    return place.left or now - place.taken_us > WRITE_WITHIN_US
