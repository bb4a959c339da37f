"""One venue as configured: its pure exchange code, its accounts' signers, its limits."""

import random
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec
from msgspec import Struct

from router.access.limiter import Limiter
from router.ports import Clock
from router.telemetry import Metrics
from router.venue_protocol import Options, Request, Response, SignedRequest, Signer, Stamp, VenueAdapter

QUARANTINE_MARGIN_S: Final = 5.0
MAX_AHEAD_MS: Final = 2_000
REMEMBERED: Final = 4_096
"""So many of the latest stamps are not made again when the clock goes back."""
SLOTS: Final = 16
SHARED_SLOT: Final = SLOTS - 1
"""The number of every process that was given none."""
MIN_SKEW_US: Final = 1_500_000
"""A smaller skew is not corrected: every venue allows for it, and a `Date` is no more exact."""
MAX_SKEW_US: Final = 86_400_000_000
"""A venue that is further off is not believed: that is a page from a cache, or of somebody between us."""
MAX_DRIFT_PPM: Final = 500
"""How fast two clocks may drift apart; ntpd and chrony slew by at most that."""


class Account:
    """One credential set. Its stamps strictly increase: some venues refuse a stamp they have seen.

    With `slot` no other process makes the same: it is the process's own number (`router.access.slots`), and a stamp is
    then a multiple of `SLOTS` milliseconds and that number.
    """

    def __init__(self, name: str, signer: Signer, slot: Callable[[], int] | None = None) -> None:
        self.name = name
        self._signer = signer
        self._slot = slot
        self._step_ms = 1 if slot is None else SLOTS
        self._clock_ms = self._last_ms = 0
        self._taken: frozenset[int] = frozenset()
        self._used: deque[int] = deque(maxlen=REMEMBERED)
        self._random = random.Random()

    def stamp(self, now_us: int) -> Stamp:
        """Return the next stamp: now, or just after the last one; and a nonce that no other process makes either.

        A clock that was set back by more than that starts anew: a stamp from the future would be refused for as long.
        """
        step_ms = self._step_ms
        now_ms = now_us // 1000
        if self._slot is not None:
            now_ms = now_ms - now_ms % step_ms + self._slot()
        if now_ms < self._clock_ms - MAX_AHEAD_MS:
            self._clock_ms, self._last_ms, self._taken = now_ms, now_ms - step_ms, frozenset(self._used)
        self._clock_ms = max(self._clock_ms, now_ms)
        if now_ms <= self._last_ms:
            now_ms += ((self._last_ms - now_ms) // step_ms + 1) * step_ms
        while now_ms in self._taken:
            now_ms += step_ms
        self._last_ms = now_ms
        self._used.append(now_ms)
        # 128 bits that need not be secret, from a generator that the system seeded: 30 times cheaper than its own.
        return Stamp(now_ms, f"{self._random.getrandbits(128):032x}")

    def sign(self, request: Request, stamp: Stamp) -> SignedRequest:
        """Sign one attempt."""
        return self._signer(request, stamp)


class _Seen(Struct, frozen=True):
    """Between what a venue's clock shows ahead of our boot clock, in microseconds, as of a moment of the boot clock."""

    low: int
    high: int
    at: int

    def later(self, boot_us: int) -> "_Seen":
        """Return the same as of now: quartzes drift apart, and whoever keeps time slews it by as much."""
        drift = max(boot_us - self.at, 0) * MAX_DRIFT_PPM // 1_000_000
        return _Seen(self.low - drift, self.high + drift, boot_us)

    def meet(self, other: "_Seen") -> "_Seen | None":
        """Return what both allow, if they do not contradict each other."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return _Seen(low, high, other.at) if low <= high else None


class VenueClock:
    """What a venue's clock shows, as far as the `Date` of its answers tells.

    A `Date` is whole seconds, cut off, written at some moment between our request and its answer (RFC 9110, section
    6.6.1). Those moments are taken by the boot clock, so the wall clock may be set meanwhile. Every answer narrows the
    range down. One that contradicts it is believed once the next one agrees with it; until then stamps follow it, and
    lookups reach back as far as either says.
    """

    def __init__(self) -> None:
        self._known: _Seen | None = None
        """What two answers agreed on."""
        self._news: _Seen | None = None
        """What the last answer said, when it agreed with nothing before it."""
        self._text = ""
        self._date_us = 0

    def saw(self, response: Response, asked_boot_us: int, answered_boot_us: int) -> None:
        """Learn from an answer. Both times are the boot clock's, in microseconds. Never raises."""
        text = response.headers.get("date", "")
        if text != self._text:
            self._text, self._date_us = text, _read_date(text)
        if not self._date_us or answered_boot_us < asked_boot_us:
            return
        date_us = self._date_us
        seen = _Seen(date_us - answered_boot_us, date_us + 1_000_000 - asked_boot_us, answered_boot_us)
        for before in (self._known, self._news):
            agreed = before.later(answered_boot_us).meet(seen) if before is not None else None
            if agreed is not None:
                self._known, self._news = agreed, None
                return
        self._news = seen

    def now_us(self, wall_us: int, boot_us: int) -> int:
        """Return what the venue's clock shows now; by the wall clock, where that is not clearly off."""
        skews = [_skew_us(seen, wall_us, boot_us) for seen in (self._news, self._known) if seen is not None]
        skew_us = next((skew_us for skew_us in skews if abs(skew_us) <= MAX_SKEW_US), 0)
        return wall_us + skew_us if abs(skew_us) >= MIN_SKEW_US else wall_us

    def skew_s(self, wall_us: int, boot_us: int) -> float | None:
        """Return how far ahead of the wall clock the venue's is; 0.0 while they may be the same, `None`: unknown."""
        seen = self._news or self._known
        return None if seen is None else _skew_us(seen, wall_us, boot_us) / 1e6

    def earliest_ms(self, wall_us: int, boot_us: int, journal_us: int) -> int:
        """Return what the venue's clock shows now at least, in milliseconds since 1970.

        Where its answers have not told, or say what cannot be, that is the earlier one of the two other clocks.
        """
        ours = min(wall_us, journal_us)
        told = [boot_us + seen.later(boot_us).low for seen in (self._known, self._news) if seen is not None]
        told = [us for us in told if min(abs(us - wall_us), abs(us - journal_us)) <= MAX_SKEW_US]
        if self._known is None or not told:
            told.append(ours)
        return min(told) // 1000


def _skew_us(seen: _Seen, wall_us: int, boot_us: int) -> int:
    now, ours = seen.later(boot_us), wall_us - boot_us
    return 0 if now.low <= ours <= now.high else (now.low + now.high) // 2 - ours


def _read_date(text: str) -> int:
    """Return a `Date` header in microseconds since 1970; 0 for what is none."""
    try:
        date = parsedate_to_datetime(text)
        # Without a zone it is UTC: HTTP knows no other.
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0


class Venue(Struct, frozen=True, kw_only=True):
    """What the router needs to talk to one venue."""

    name: str
    adapter: VenueAdapter
    options: Options
    accounts: Mapping[str, Account]
    limiter: Limiter
    clock: VenueClock = msgspec.field(default_factory=VenueClock)

    @property
    def quarantine_us(self) -> int:
        """How long after a send a negative answer proves nothing."""
        options = self.options
        if options.quarantine_s is not None:
            return int(options.quarantine_s * 1e6)
        return int((options.timeout_s + options.timestamp_window_s + QUARANTINE_MARGIN_S) * 1e6)

    def heard(self, answer: Response, asked_boot_us: int, clock: Clock, metrics: Metrics) -> None:
        """Learn the venue's clock from an answer that has just come in to a request written at `asked_boot_us`."""
        boot_us = clock.boot_us()
        self.clock.saw(answer, asked_boot_us, boot_us)
        skew_s = self.clock.skew_s(clock.now_us(), boot_us)
        if skew_s is not None:
            metrics.clock_skew(self.name, skew_s)

    def time_us(self, clock: Clock) -> int:
        """Return what this venue's clock shows now: what to sign with. Microseconds since 1970."""
        return self.clock.now_us(clock.now_us(), clock.boot_us())

    def earliest_ms(self, journal_us: int, clock: Clock) -> int:
        """Return the earliest that this venue's clock may show now, in milliseconds since 1970."""
        return self.clock.earliest_ms(clock.now_us(), clock.boot_us(), journal_us)
