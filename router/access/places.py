"""Places under a limit: each lets one request leave, and is free again a period after that.

A limit of twenty a second is twenty places. Whoever holds a place uses it at most once in any period, so the venue
sees at most as many requests in any period as there are places, whichever processes hold them and however they are
handed on: what is handed on says when it is free.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Literal

STRETCH: Final = 1.05
"""A period of a second is kept for 1.05 s: the network squeezes what left evenly ..."""
MOST_STRETCH_US: Final = 250_000
"""... but not by more than this."""
EXACT: Final = 1.001
"""An answered request was counted before its answer came, so from then on no stretch is needed, but for the drift of
two clocks."""
WRITE_WITHIN_US: Final = 2_500_000
"""So long a place is kept for a request that took it and has not left."""
State = Literal["taken", "used", "gone"]
"""What has become of a use: taken for a request; the request has left; free again, or handed on."""
LONG_US: Final = 5_000_000
"""In a longer period a place that was used goes back to the journal, so that a crash leaves few unknown."""
FEW: Final = 8
READY: Final = 0.1
"""Of a long period a process keeps so many places ready without need, or this part of them: what a crash locks."""


class Place:
    """One use of a place. `free_us`: when it may be used again, or is kept no longer, by this machine's boot clock."""

    __slots__ = ("free_us", "state")

    def __init__(self, free_us: int, state: "State" = "taken") -> None:
        self.free_us = free_us
        self.state: State = state


class Places:
    """The places of one kind under one limit that this process holds.

    `count` is how many there are in all. A shared one begins with none. Times are microseconds of the boot clock.
    """

    __slots__ = ("count", "elsewhere_us", "exact_us", "fresh", "period_us", "refused", "taken", "used")

    def __init__(self, count: int, period_s: float, *, shared: bool) -> None:
        self.count = count
        self.period_us = int(period_s * 1e6) + min(int(period_s * (STRETCH - 1) * 1e6), MOST_STRETCH_US)
        self.exact_us = int(period_s * EXACT * 1e6)
        self.fresh = 0 if shared else count
        self.taken: dict[Place, None] = {}
        self.used: deque[Place] = deque()
        """In the order in which they are free again, but for some milliseconds."""
        self.elsewhere_us: int | None = 0 if shared else None
        """When another process may hand one on; `None`: never."""
        self.refused = 0
        """How many asked in vain since the journal was told."""

    @property
    def held(self) -> int:
        """How many places this process holds, in use or not."""
        return self.fresh + len(self.taken) + len(self.used)

    @property
    def long(self) -> bool:
        """Whether used places go back to the journal."""
        return self.period_us > LONG_US

    @property
    def batch(self) -> int:
        """How many places a process keeps ready at most, without need."""
        return max(FEW, int(self.count * READY)) if self.long else self.count

    def free_at(self, now: int) -> int | None:
        """Return when a place of this process is free; `None`: it holds none."""
        self.refresh(now)
        if self.fresh:
            return now
        first = self.used[0] if self.used else next(iter(self.taken), None)
        return None if first is None else first.free_us

    def refresh(self, now: int) -> None:
        """Count what is free again as fresh."""
        while self.used and self.used[0].free_us <= now:
            self.used.popleft().state = "gone"
            self.fresh += 1
        while self.taken and (first := next(iter(self.taken))).free_us <= now:
            self._free(first)

    def take(self, now: int) -> Place | None:
        """Take a place for a request that is about to leave, if one is free."""
        self.refresh(now)
        if not self.fresh:
            return None
        self.fresh -= 1
        place = Place(now + WRITE_WITHIN_US)
        self.taken[place] = None
        return place

    def leave(self, place: Place, now: int) -> Place | None:
        """Say that a request leaves now. Returns the place that it uses: another one if its own is gone; or none."""
        if place.state == "gone":
            other = self.take(now)
            if other is None:
                return None
            place = other
        if place.state == "taken":
            del self.taken[place]
        else:  # it leaves once more
            self.used.remove(place)
        place.state, place.free_us = "used", now + self.period_us
        self.used.append(place)
        return place

    def answered(self, place: Place, now: int) -> None:
        """Say that the venue has answered: it has counted the request by now."""
        if place.state == "used":
            place.free_us = min(place.free_us, now + self.exact_us)

    def give_back(self, place: Place) -> None:
        """Free a place that was taken for a request that does not leave."""
        if place.state == "taken":
            self._free(place)

    def _free(self, place: Place) -> None:
        del self.taken[place]
        place.state = "gone"
        self.fresh += 1

    def in_use(self, now: int) -> int:
        """Return how many places are used now."""
        self.refresh(now)
        return len(self.taken) + len(self.used)

    def add(self, left_us: Iterable[int], now: int) -> None:
        """Hold more places, each free in so many microseconds."""
        free = [now + left for left in left_us]
        self.fresh += sum(at <= now for at in free)
        came = [Place(at, "used") for at in free if at > now]
        if came:
            self.used = deque(sorted((*self.used, *came), key=_free_us))

    def give_up(self, count: int, now: int) -> list[int]:
        """Let go of at most so many places, free ones first, and return in how many microseconds each is free.

        None that a request has taken which has not left.
        """
        self.refresh(now)
        unused = min(self.fresh, count)
        self.fresh -= unused
        first = sorted(self.used, key=_free_us)[: count - unused]
        for place in first:
            place.state = "gone"
        self.used = deque(place for place in self.used if place.state == "used")
        return [0] * unused + [max(place.free_us - now, 0) for place in first]

    def give_up_used(self, now: int) -> list[int]:
        """Let go of every place that was used; else like `give_up`."""
        self.refresh(now)
        fresh, self.fresh = self.fresh, 0
        given_up = self.give_up(len(self.used), now)
        self.fresh = fresh
        return given_up

    def clear(self) -> None:
        """Hold nothing any more: others may."""
        for place in (*self.taken, *self.used):
            place.state = "gone"
        self.taken.clear()
        self.used.clear()
        self.fresh = 0


def _free_us(place: Place) -> int:
    return place.free_us
