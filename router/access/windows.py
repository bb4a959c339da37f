"""One limit as this process keeps it, and turns: one place under each limit that counts a request."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from router.access.places import Place, Places
from router.ports import Clock
from router.venue_protocol import Limit

SOON_US: Final = 200_000
"""How soon another process may have handed on a place."""
PACE: Final = 0.8
"""Who waited in line follows the one before after this part of a place's time."""


class Priority(IntEnum):
    """Who goes first when a limit makes requests wait."""

    CANCEL = 0
    CLOSE = 1
    READ = 2


class Hold:
    """Until when this process may use its places, by this machine's boot clock."""

    __slots__ = ("until_us",)

    def __init__(self, until_us: float) -> None:
        self.until_us = until_us


ALWAYS: Final = Hold(float("inf"))


class Window:
    """One limit. Places of its `cancels` are out of reach for everything but cancels."""

    __slots__ = ("_next_us", "_unpaced", "blocked_until", "cancels", "everybody", "lease", "limit", "tail")

    def __init__(self, limit: Limit, lease: Hold) -> None:
        shared = lease is not ALWAYS
        kept = min(limit.cancels_only, limit.count)
        self.limit = limit
        self.lease = lease
        self.everybody = Places(limit.count - kept, limit.period_s, shared=shared)
        self.cancels = Places(kept, limit.period_s, shared=shared)
        self.blocked_until = 0
        self.tail = 0
        """When the last parked request was told to come back."""
        self._next_us = self._unpaced = 0

    def free_at(self, now: int, priority: Priority) -> int:
        """Return when a request of this priority may leave: `now`, or later."""
        kinds = (self.everybody, self.cancels) if priority is Priority.CANCEL else (self.everybody,)
        at = [at for places in kinds for at in self._times(places, now)]
        if not at:
            return max(now + self.everybody.period_us, self.blocked_until)
        return max(now, min(at), self.blocked_until)

    def _times(self, places: Places, now: int) -> Iterator[int]:
        if now < self.lease.until_us and (own := places.free_at(now)) is not None:
            yield own
        if places.elsewhere_us is not None and places.count:
            yield max(places.elsewhere_us, now + SOON_US)

    def has_place(self, now: int, priority: Priority) -> bool:
        """Say whether a request of this priority may leave now."""
        if now >= self.lease.until_us or now < self.blocked_until:
            return False
        return self.everybody.free_at(now) == now or (priority is Priority.CANCEL and self.cancels.free_at(now) == now)

    def take(self, now: int) -> tuple[Places, Place]:
        """Use a place; there must be one. Those for everybody first: the others stay for the next cancel."""
        place = self.everybody.take(now)
        if place is not None:
            return self.everybody, place
        place = self.cancels.take(now)
        assert place is not None
        return self.cancels, place

    @property
    def place_us(self) -> int:
        """How often a place for everybody is free, over all processes."""
        return self.everybody.period_us // max(self.everybody.count, 1)

    def likely_at(self, now: int, priority: Priority, ahead: int) -> int:
        """Return when a request may leave at the earliest if so many stand before it."""
        return self.free_at(now, priority) + max(ahead - self.everybody.fresh, 0) * self.place_us

    def due_at(self, now: int, priority: Priority) -> int:
        """Return when the next of a line may leave.

        One after the other, not all at once whenever a period is over: so a cancel finds the next place soon.
        """
        at = self.free_at(now, priority)
        return at if priority is Priority.CANCEL or self._unpaced else max(at, self._next_us)

    def left_line(self, now: int) -> None:
        """Let the next of the line wait a moment."""
        if self._unpaced:
            self._unpaced -= 1
        else:
            places = self.everybody
            self._next_us = now + (0 if places.long else int(places.period_us * PACE / max(places.held, 1)))

    def came(self, fresh: int) -> None:
        """Let so many of a line leave at once: places came from another process."""
        self._unpaced = min(self._unpaced + fresh, self.everybody.fresh)

    def refused(self, priority: Priority) -> None:
        """Note that somebody asked in vain."""
        self.everybody.refused += 1
        if priority is Priority.CANCEL:
            self.cancels.refused += 1


class Turn:
    """A place under each limit that counts a request."""

    __slots__ = ("_clock", "_taken", "_windows")

    def __init__(self, windows: tuple[Window, ...], taken: list[tuple[Places, Place]], clock: Clock) -> None:
        self._windows = windows
        self._taken = taken
        self._clock = clock

    def leave(self) -> bool:
        """Say that the request leaves now. `False`: it must not, the turn has passed."""
        now = self._clock.boot_us()
        for window in self._windows:
            if now >= window.lease.until_us:
                return False
        for number, (places, place) in enumerate(self._taken):
            used = places.leave(place, now)
            if used is None:
                return False
            self._taken[number] = (places, used)
        return True

    def answered(self) -> None:
        """Say that the venue has answered."""
        now = self._clock.boot_us()
        for places, place in self._taken:
            places.answered(place, now)

    def give_back(self) -> None:
        """Leave the turn to another: the request does not leave."""
        for places, place in self._taken:
            places.give_back(place)
