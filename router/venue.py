"""One venue as configured: its pure exchange code, its accounts' signers, its limits."""

import random
from collections.abc import Mapping

from msgspec import Struct

from router.limiter import Limiter
from router.venue_protocol import Options, Request, SignedRequest, Signer, Stamp, VenueAdapter

QUARANTINE_MARGIN_S = 5.0
MAX_AHEAD_MS = 2_000


class Account:
    """One credential set. Its stamps strictly increase: some venues refuse a stamp they have seen."""

    def __init__(self, name: str, signer: Signer) -> None:
        self.name = name
        self._signer = signer
        self._last_ms = 0
        self._random = random.Random()

    def stamp(self, now_us: int) -> Stamp:
        """Return the next stamp: now, or just after the last one; and a nonce that no other process makes either.

        A clock that was set back by more than that starts anew: a stamp from the future would be refused for as long.
        """
        now_ms = now_us // 1000
        ahead = self._last_ms - now_ms
        self._last_ms = now_ms if ahead > MAX_AHEAD_MS else max(now_ms, self._last_ms + 1)
        # 128 bits that need not be secret, from a generator that the system seeded: 30 times cheaper than its own.
        return Stamp(self._last_ms, f"{self._random.getrandbits(128):032x}")

    def sign(self, request: Request, stamp: Stamp) -> SignedRequest:
        """Sign one attempt."""
        return self._signer(request, stamp)


class Venue(Struct, frozen=True, kw_only=True):
    """What the router needs to talk to one venue."""

    name: str
    exchange: VenueAdapter
    options: Options
    accounts: Mapping[str, Account]
    limiter: Limiter

    @property
    def quarantine_us(self) -> int:
        """How long after a send a negative answer proves nothing."""
        options = self.options
        if options.quarantine_s is not None:
            return int(options.quarantine_s * 1e6)
        return int((options.timeout_s + options.timestamp_window_s + QUARANTINE_MARGIN_S) * 1e6)
