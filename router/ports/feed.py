"""What the feeds need of the journal, and of the commands whose orders they see."""

from collections.abc import Sequence
from typing import Protocol

from router.ports.journal import JournalClock
from router.records.event import Copy, Evidence, Holder, Lease, OrderReport, Position, Recorded, StoredEvent
from router.venue_protocol.stream import Change, Known


class Settler(Protocol):
    """Settles commands by what a feed saw of their orders."""

    def consider(self, evidence: Evidence) -> None:
        """Take what was seen of a command's order. Never waits."""
        ...

    def look(self) -> None:
        """Let the resolver look now: commands were made due."""
        ...

    async def run(self) -> None:
        """Settle until cancelled."""
        ...


class EventJournal(JournalClock, Protocol):
    """The part of the journal that order events are recorded in. Every method raises `JournalUnavailable`."""

    async def take_lease(self, venue: str, account: str, owner: str, valid_us: int) -> Lease | None:
        """Take an account's feed if nobody holds it, with a fence above that of every earlier owner."""
        ...

    async def renew_leases(self, owner: str, valid_us: int) -> tuple[Lease, ...]:
        """Renew everything an owner still holds, and return that. A lease that has run out is not renewed."""
        ...

    async def release_lease(self, lease: Lease) -> None:
        """Let go of a lease, if it is still held."""
        ...

    async def lease_holders(self) -> tuple[Holder, ...]:
        """Return who holds what, by the database's clock."""
        ...

    async def pace(self, venue: str, pace_us: int) -> int:
        """Take the next turn to send a paced frame to a venue, over all processes; return in how many microseconds."""
        ...

    async def record(self, lease: Lease, sightings: Sequence[OrderReport], *, published_seq: int = 0) -> Recorded:
        """Number and store what is news in some sightings, in their order; drop the rest.

        An order that is seen for the first time while a close is under way whose order it may be is left waiting,
        unless the sighting has `waited`. `published_seq` is the last event that the broker has confirmed with all
        before it. Raises `LeaseLost`: then nothing was stored.
        """
        ...

    async def feed_progress(self, lease: Lease, *, published_seq: int = 0, complete_us: int = 0) -> Position:
        """Move an account's marks ahead and return where it stands. Raises `LeaseLost`."""
        ...

    async def stored_events(self, venue: str, account: str, after_seq: int, limit: int) -> tuple[StoredEvent, ...]:
        """Return stored events after a number, in order."""
        ...

    async def copies_for(
        self, venue: str, account: str, orders: Sequence[tuple[str, str | None]]
    ) -> dict[str, tuple[Copy, ...]]:
        """Return who hears of each of some orders (order id, client order id), for those that anybody does."""
        ...

    async def news(self, venue: str, account: str, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Return those changes that would be events if they were recorded now."""
        ...

    async def known_orders(self, venue: str, account: str, since_us: int) -> Known:
        """Return what a reconciliation starts from: open orders, those of commands, the account's symbols."""
        ...

    async def busy(self, venue: str, account: str) -> bool:
        """Say whether a command is open, or was settled a moment ago and the end of its order is not recorded."""
        ...
