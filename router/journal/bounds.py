"""What a process knows of the journal's clock between two looks at it."""

from typing import Final

STEP_US: Final = 1_000_000
"""A look that is further off than this from all that is known says that the clock was set."""
DRIFT: Final = 0.0005
"""How far two clocks may part while nobody looks, of the time that passes: what an NTP daemon slews at most."""


class Bounds:
    """Two ends between which the journal's clock less our boot clock lies, in microseconds.

    A statement that was sent at `asked_us` and answered at `answered_us` by our clock read the journal's in between.
    """

    def __init__(self) -> None:
        self._low = self._high = self._at_us = 0
        self.known = False

    def set(self, offset_us: int) -> None:
        """Know the offset exactly."""
        self._low = self._high = offset_us
        self._at_us, self.known = 0, True

    def forget(self) -> None:
        """Take the next look for the whole truth."""
        self.known = False

    def saw(self, asked_us: int, now_us: int, answered_us: int) -> bool:
        """Learn from a look. `False`: it contradicts what is known, so the journal's clock was set; learn nothing."""
        low, high = now_us - answered_us, now_us - asked_us
        if self.known:
            known_low, known_high = self._widened(answered_us)
            if low > known_high + STEP_US or high < known_low - STEP_US:
                return False
            if low <= known_high and known_low <= high:
                low, high = max(low, known_low), min(high, known_high)
        self._low, self._high, self._at_us, self.known = low, high, answered_us, True
        return True

    def earliest_us(self, boot_us: int) -> int:
        """Return what the journal's clock shows at least."""
        return boot_us + self._widened(boot_us)[0]

    def latest_us(self, boot_us: int) -> int:
        """Return what it shows at most."""
        return boot_us + self._widened(boot_us)[1]

    def _widened(self, boot_us: int) -> tuple[int, int]:
        drift = int((boot_us - self._at_us) * DRIFT) if self._at_us else 0
        return self._low - drift, self._high + drift
