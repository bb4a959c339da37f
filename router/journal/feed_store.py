"""The journal's methods for the feeds. See `router.ports.EventJournal`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

from router.journal.operations import events, leases
from router.journal.operations import orders as order_rows
from router.journal.operations.statements import Operation, T
from router.records.event import Copy, Holder, Lease, OrderReport, Position, Recorded, StoredEvent
from router.venue_protocol.stream import Change, Known

Key = tuple[str, str]
"""Sender and command id."""


class FeedStore(ABC):
    """Leases, what is known of orders, and their numbered events."""

    @abstractmethod
    async def _change(self, operation: Operation[T], key: Key | None = None) -> T:
        """Write, if the journal may be. Raises `JournalUnavailable`."""

    @abstractmethod
    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        """Run without writing. Sees whatever this process has committed. Raises `JournalUnavailable`."""

    async def take_lease(self, venue: str, account: str, owner: str, valid_us: int) -> Lease | None:
        """Take an account's feed if nobody holds it. See `router.ports.EventJournal`."""
        return await self._change(partial(leases.take, venue, account, owner, valid_us))

    async def renew_leases(self, owner: str, valid_us: int) -> tuple[Lease, ...]:
        """Renew everything an owner still holds, and return that."""
        return await self._change(partial(leases.renew, owner, valid_us))

    async def release_lease(self, lease: Lease) -> None:
        """Let go of a lease, if it is still held."""
        await self._change(partial(leases.release, lease))

    async def lease_holders(self) -> tuple[Holder, ...]:
        """Return who holds what, by the database's clock."""
        return await self._read(leases.holders)

    async def pace(self, venue: str, pace_us: int) -> int:
        """Take the next turn to send a paced frame to a venue; return in how many microseconds it is."""
        return await self._change(partial(leases.pace, venue, pace_us))

    async def record(self, lease: Lease, sightings: Sequence[OrderReport], *, published_seq: int = 0) -> Recorded:
        """Number and store what is news in some sightings. See `router.ports.EventJournal`."""
        return await self._change(partial(events.record, lease, sightings, published_seq=published_seq))

    async def feed_progress(self, lease: Lease, *, published_seq: int = 0, complete_us: int = 0) -> Position:
        """Move an account's marks ahead and return where it stands. Raises `LeaseLost`."""
        return await self._change(partial(leases.progress, lease, published_seq=published_seq, complete_us=complete_us))

    async def stored_events(self, venue: str, account: str, after_seq: int, limit: int) -> tuple[StoredEvent, ...]:
        """Return stored events after a number, in order."""
        return await self._read(partial(order_rows.stored, venue, account, after_seq, limit))

    async def copies_for(
        self, venue: str, account: str, orders: Sequence[tuple[str, str | None]]
    ) -> dict[str, tuple[Copy, ...]]:
        """Return who hears of each of some orders, for those that anybody does."""
        return await self._read(partial(order_rows.copies_for, venue, account, orders))

    async def news(self, venue: str, account: str, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Return those changes that would be events if they were recorded now."""
        return await self._read(partial(order_rows.news, venue, account, changes))

    async def known_orders(self, venue: str, account: str, since_us: int) -> Known:
        """Return what a reconciliation starts from."""
        return await self._read(partial(order_rows.known, venue, account, since_us))

    async def busy(self, venue: str, account: str) -> bool:
        """Say whether a command is open, or was settled a moment ago and the end of its order is not recorded."""
        return await self._read(partial(order_rows.busy, venue, account))
