"""The journal's methods, in terms of the two ways a back end runs an operation."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from router.events import Copy, Holder, Lease, Position, Recorded, Sighting, StoredEvent
from router.job import Admission, AttemptEnd, Job, Outgoing, Reply, State
from router.journal import admission, commands, feeds, outbox, retention, story
from router.journal.later import FLUSH_S, Later
from router.journal.migrations import Epoch
from router.journal.statements import Operation, T
from router.venue_protocol.stream import Change, Known
from schemas.commands import Close
from schemas.results import Result

Key = tuple[str, str]
"""Sender and command id."""

_DAY_US: Final = 24 * 3600 * 1_000_000


class Store(ABC):
    """What both back ends share: `router.ports.Journal`, and the operator's views."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._later = Later()
        self._flush: asyncio.TimerHandle | None = None

    @abstractmethod
    async def _write(self, operation: Operation[T], *, key: Key | None = None, early: bool = False) -> T:
        """Run in a transaction and return once it is committed, or with `early` once its statements are done.

        `key` names the command it is about. Raises `JournalUnavailable`.
        """

    @abstractmethod
    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        """Run without writing. Sees whatever this process has committed. Raises `JournalUnavailable`."""

    @abstractmethod
    def _flush_later(self) -> None:
        """Commit marks and notes that found nothing to ride on."""

    @property
    @abstractmethod
    def _epoch(self) -> Epoch: ...

    @property
    @abstractmethod
    def writable(self) -> bool:
        """Whether the last transaction was committed. While it is not, nothing may be sent."""

    @abstractmethod
    async def close(self) -> None:
        """Commit the marks and notes that wait, then let go of everything."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def admit(
        self,
        job: Job,
        reply: Reply,
        digest: str,
        *,
        result: Result | None = None,
        early: bool = False,
    ) -> Admission:
        """Store a new command, or say what is stored under its id. See `router.ports.Journal`."""
        operation = admission.Admit(job, reply, digest, result)
        return await self._write(operation, key=(job.sender, job.command_id), early=early and result is None)

    async def save(
        self,
        job: Job,
        *,
        end: AttemptEnd | None = None,
        result: Result | None = None,
    ) -> tuple[Job, tuple[Outgoing, ...]] | None:
        """Store `job` if its version is still the stored one. See `router.ports.Journal`."""
        return await self._write(commands.Save(job, end, result), key=(job.sender, job.command_id))

    async def load(self, sender: str, command_id: str) -> Job | None:
        """Return what is stored of a command."""
        return await self._read(partial(commands.load, sender, command_id), key=(sender, command_id))

    async def due(self, now_us: int, limit: int, venues: Collection[str]) -> Sequence[Job]:
        """Return jobs of these venues whose `next_us` has passed, oldest first."""
        return await self._read(partial(commands.due, now_us, limit, venues))

    async def doubts(self) -> Mapping[str, tuple[int, int]]:
        """Return per venue how many commands are in doubt or unresolved, and when the oldest of them came."""
        return await self._read(commands.doubts)

    async def neighbours(self, job: Job) -> tuple[frozenset[str], tuple[Close, ...]]:
        """Return the order ids of other closes, and the other closes without a settled result."""
        return await self._read(partial(commands.neighbours, job))

    async def give_up_target(self, sender: str, command_id: str) -> None:
        """Remember that a cancel stopped waiting for this close."""
        await self._write(partial(admission.give_up_target, sender, command_id), key=(sender, command_id))

    async def unpublished(self, older_than_us: int, limit: int) -> Sequence[Outgoing]:
        """Claim results that were completed before the instant `older_than_us` and are not confirmed."""
        return await self._write(partial(outbox.claim, older_than_us, limit))

    def published(self, outbox_ids: Iterable[str]) -> None:
        """Mark results as confirmed, with some later commit."""
        for outbox_id in outbox_ids:
            self._later.mark(outbox_id)
        self._remember()

    def note(self, sender: str, command_id: str, event: str, detail: str = "") -> None:
        """Append to a stored command's history, with some later commit."""
        self._later.note(sender, command_id, event, detail)
        self._remember()

    @property
    def epoch_us(self) -> int:
        """When this journal began; a command older than that may have been in one that was lost."""
        return self._epoch.began_us

    @property
    def first_epoch(self) -> bool:
        """Whether the journal has had no other epoch."""
        return self._epoch.first

    async def story(self, sender: str | None, command_id: str) -> Sequence[story.Story]:
        """Tell everything on record about a command, or about every sender's command of that id."""
        return await self._read(partial(story.story, sender, command_id))

    async def listing(self, state: State | None = None, limit: int = 50) -> Sequence[Job]:
        """Return commands for a person: what has no settled result first, oldest first, then the latest others."""
        return await self._read(partial(commands.listing, state, limit))

    async def retire(self, days: float) -> int:
        """Delete commands without any change for that long, settled and published; return how many.

        A command that is open, in doubt or unresolved stays, however old. Ended orders and published events of that
        age go as well.
        """
        retired = 0
        while count := await self._write(partial(retention.retire, int(days * _DAY_US))):
            retired += count
        while await self._write(partial(feeds.retire, int(days * _DAY_US))):
            pass
        return retired

    async def take_lease(self, venue: str, account: str, owner: str, valid_us: int) -> Lease | None:
        """Take an account's feed if nobody holds it. See `router.ports.EventJournal`."""
        return await self._write(partial(feeds.take, venue, account, owner, valid_us))

    async def renew_leases(self, owner: str, valid_us: int) -> tuple[Lease, ...]:
        """Renew everything an owner still holds, and return that."""
        return await self._write(partial(feeds.renew, owner, valid_us))

    async def release_lease(self, lease: Lease) -> None:
        """Let go of a lease, if it is still held."""
        await self._write(partial(feeds.release, lease))

    async def lease_holders(self) -> tuple[Holder, ...]:
        """Return who holds what, by the database's clock."""
        return await self._read(feeds.holders)

    async def pace(self, venue: str, pace_us: int) -> int:
        """Take the next turn to send a paced frame to a venue; return in how many microseconds it is."""
        return await self._write(partial(feeds.pace, venue, pace_us))

    async def record(self, lease: Lease, sightings: Sequence[Sighting], *, published_seq: int = 0) -> Recorded:
        """Number and store what is news in some sightings. See `router.ports.EventJournal`."""
        return await self._write(partial(feeds.record, lease, sightings, published_seq=published_seq))

    async def feed_progress(self, lease: Lease, *, published_seq: int = 0, complete_us: int = 0) -> Position:
        """Move an account's marks ahead and return where it stands. Raises `LeaseLost`."""
        return await self._write(partial(feeds.progress, lease, published_seq=published_seq, complete_us=complete_us))

    async def stored_events(self, venue: str, account: str, after_seq: int, limit: int) -> tuple[StoredEvent, ...]:
        """Return stored events after a number, in order."""
        return await self._read(partial(feeds.stored, venue, account, after_seq, limit))

    async def copies_for(
        self, venue: str, account: str, orders: Sequence[tuple[str, str | None]]
    ) -> dict[str, tuple[Copy, ...]]:
        """Return who hears of each of some orders, for those that anybody does."""
        return await self._read(partial(feeds.copies_for, venue, account, orders))

    async def news(self, venue: str, account: str, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Return those changes that would be events if they were recorded now."""
        return await self._read(partial(feeds.news, venue, account, changes))

    async def known_orders(self, venue: str, account: str, since_us: int) -> Known:
        """Return what a reconciliation starts from."""
        return await self._read(partial(feeds.known, venue, account, since_us))

    async def busy(self, venue: str, account: str) -> bool:
        """Say whether a command is open, or was settled a moment ago and the end of its order is not recorded."""
        return await self._read(partial(feeds.busy, venue, account))

    def _remember(self) -> None:
        if self._flush is None:
            self._flush = self._loop.call_later(FLUSH_S, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        if self._later:
            self._flush_later()
