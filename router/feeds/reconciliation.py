"""What REST shows of an account that its stream may not have told."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from router.access.configured import Account, Venue
from router.access.reads import Reader, Reads
from router.errors import JournalUnavailable, SendError
from router.feeds.copies import Copies
from router.ports import EventJournal, EventPublisher, Settler
from router.records.event import Lease
from router.venue_protocol.stream import Change, Feed, Missed

PLACE_S: Final = 60.0
"""How long a reconciliation's read waits for its place: a venue may list more symbols than its limit reads a minute."""
OVERLAP_US: Final = 30_000_000
"""A reconciliation looks this much further back than what was complete: clocks differ, and reads lag behind."""
SHOWN_US: Final = 86_100_000_000
"""Just under a day. GMO Coin's latestExecutions, for one, shows no more (https://api.coin.z.com/docs/)."""

_log = structlog.get_logger(__name__)


class FedAccount(Struct, frozen=True, kw_only=True):
    """An account that can be fed."""

    venue: Venue
    account: Account
    feed: Feed
    secrets: Any


class FeedParts(Struct, frozen=True, kw_only=True):
    """What the feeds of all accounts share."""

    journal: EventJournal
    publisher: EventPublisher
    copies: Copies
    settler: Settler
    reader: Reader


class Reconciliation:
    """Reads of one account under one lease. `complete_us`: until then everything is known, by the journal's clock."""

    def __init__(self, lease: Lease, fed: FedAccount, parts: FeedParts) -> None:
        self.complete_us = 0
        self._lease = lease
        self._fed = fed
        self._journal = parts.journal
        self._reader = parts.reader
        self._place = (fed.venue.name, fed.account.name)

    async def missed(self, *, everywhere: bool) -> Missed | None:
        """Read what may have been missed since everything was known; `None` when that cannot be read now."""
        now_us = self._journal.earliest_us()
        # A venue whose clock is behind dates what happens by it.
        behind_us = max(now_us - self._fed.venue.earliest_ms(now_us, self._reader.clock) * 1000, 0)
        since_us = max(self.complete_us - OVERLAP_US, now_us - SHOWN_US) - behind_us
        try:
            known = await self._journal.known_orders(*self._place, since_us)
            flow = self._fed.feed.reconcile(replace(known, everywhere=everywhere))
            return await Reads(self._reader).run(self._fed.venue, self._fed.account, flow, wait_s=PLACE_S)
        except (SendError, JournalUnavailable) as error:
            _log.info("a reconciliation has failed", venue=self._place[0], account=self._place[1], error=str(error))
            return None

    async def news(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Return what of it the journal does not know."""
        try:
            return await self._journal.news(*self._place, changes)
        except JournalUnavailable:
            return ()

    async def complete(self, at_us: int) -> None:
        """Note that everything up to then is known."""
        with suppress(JournalUnavailable):
            await self._journal.feed_progress(self._lease, complete_us=at_us)
        self.complete_us = at_us

    async def busy(self) -> bool:
        """Say whether a command is open at the account."""
        try:
            return await self._journal.busy(*self._place)
        except JournalUnavailable:
            return False
