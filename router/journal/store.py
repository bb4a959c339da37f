"""The journal's methods, in terms of the two ways a back end runs an operation."""

import asyncio
import secrets
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

import structlog

from router.errors import JournalUnavailable
from router.journal.feed_store import Key
from router.journal.limit_store import LimitStore
from router.journal.machine import Machine
from router.journal.operations import (
    admission,
    commands,
    marks,
    orders,
    refusals,
    results,
    retention,
    slots,
)
from router.journal.operations import places as claims
from router.journal.operations.deferred import FLUSH_S, Deferred
from router.journal.operations.statements import Operation, T
from router.journal.schema.migrations import Epoch
from router.journal.views import Views
from router.ports import Comparison
from router.records.command import (
    Admission,
    Admitted,
    AttemptEnd,
    CommandRecord,
    Kind,
    Moment,
    Outgoing,
    Reply,
    Saved,
)
from schemas.commands import Close
from schemas.results import Result

_log = structlog.get_logger(__name__)
_DAY_US: Final = 24 * 3600 * 1_000_000


class Store(Views, LimitStore):
    """What both back ends share: `router.ports.Journal`, and the operator's views."""

    def __init__(self, machine: Machine, *, witnessed: bool) -> None:
        self.on_unreadable: Callable[[str], None] = lambda _: None
        """Hears the venue of every row that is set aside."""
        self._machine = machine
        self._witnessed = witnessed
        self._certified = -1
        """Which opening of the journal was compared with its witness."""
        self._changes = self._marking = self._marked = 0
        self._mark = ""
        self._aside: set[Key] = set()
        self._pod = secrets.token_hex(8)
        self._loop = asyncio.get_running_loop()
        self._deferred = Deferred()
        self._flush: asyncio.TimerHandle | None = None

    @abstractmethod
    async def _write(self, operation: Operation[T], *, key: Key | None = None) -> T:
        """Run in a transaction and return once it is committed.

        `key` names the command it is about. Raises `JournalUnavailable`.
        """

    @abstractmethod
    def _flush_later(self) -> None:
        """Commit marks and notes that found nothing to ride on."""

    @property
    @abstractmethod
    def _epoch(self) -> Epoch: ...

    @abstractmethod
    def _began(self, epoch: Epoch) -> None:
        """Take note of the epoch."""

    @property
    @abstractmethod
    def _opened(self) -> int:
        """Return how often the journal was opened: after every loss it is another one, until that is disproved."""

    @property
    @abstractmethod
    def _timeline(self) -> str:
        """Return what this history of the database is told from others by."""

    @property
    @abstractmethod
    def _works(self) -> bool:
        """Return whether the last transaction was committed."""

    @property
    @abstractmethod
    def journal_id(self) -> str:
        """A name that no other journal has."""

    @property
    def certified(self) -> bool:
        """Whether it was compared with its witness since it was opened, or need not be."""
        return not self._witnessed or self._certified == self._opened

    @property
    def writable(self) -> bool:
        """Whether the last transaction was committed, and the journal is the right one."""
        return self._works and self.certified

    @abstractmethod
    def earliest_us(self) -> int:
        """Return what the journal's clock shows now at least."""

    @abstractmethod
    def latest_us(self) -> int:
        """Return what it shows now at most."""

    @property
    @abstractmethod
    def since_us(self) -> int:
        """Since when the clock has gone on without a break. See `router.ports.JournalClock`."""

    @abstractmethod
    def withdraw(self, sender: str, command_id: str) -> bool:
        """Take back what waits for a command. See `router.ports.Journal`."""

    @abstractmethod
    def _saw(self, at: Moment) -> None:
        """Learn of the journal's clock from a statement."""

    async def _change(self, operation: Operation[T], key: Key | None = None) -> T:
        """Write, if the journal is certified."""
        if not self.certified:
            raise JournalUnavailable("the journal is not compared with its witness yet")
        changed = await self._write(operation, key=key)
        self._changes += key is not None
        return changed

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
        self, record: CommandRecord, reply: Reply, digest: str, *, result: Result | None = None
    ) -> Admission:
        """Store a new command, or say what is stored under its id. See `router.ports.Journal`."""
        operation = admission.Admit(record, reply, digest, result, self._machine.boot_us())
        admitted = await self._change(operation, (record.sender, record.command_id))
        if isinstance(admitted, Admitted) and admitted.at is not None:
            self._saw(admitted.at)
        return admitted

    async def save(
        self, record: CommandRecord, *, end: AttemptEnd | None = None, result: Result | None = None
    ) -> Saved | None:
        """Store `record` if its version is still the stored one. See `router.ports.Journal`."""
        operation = commands.Save(record, end, result, self._machine.boot_us())
        saved = await self._change(operation, (record.sender, record.command_id))
        if saved is not None:
            self._saw(saved.at)
        return saved

    async def load(self, sender: str, command_id: str) -> CommandRecord | None:
        """Return what is stored of a command."""
        return await self._read(partial(commands.load, sender, command_id), key=(sender, command_id))

    async def take_up(
        self,
        venues: Collection[str],
        *,
        places: Mapping[Kind, int],
        busy: Mapping[tuple[str, str, Kind], int],
        claim_us: Mapping[Kind, int],
        limit: int,
    ) -> Sequence[CommandRecord]:
        """Claim what is due. See `router.ports.Journal`."""
        records, aside = await self._change(partial(claims.take_up, venues, places, dict(busy), claim_us, limit))
        for row in aside:
            self.on_unreadable(row.venue)
            if (row.sender, row.command_id) not in self._aside:
                self._aside.add((row.sender, row.command_id))
                _log.error("row_unreadable", venue=row.venue, command_id=row.command_id, sender=row.sender)
        return records

    async def neighbours(self, record: CommandRecord) -> tuple[frozenset[str], tuple[Close, ...]]:
        """Return the order ids of other closes, and the other closes without a settled result."""
        return await self._read(partial(commands.neighbours, record))

    async def give_up_target(self, sender: str, command_id: str) -> None:
        """Remember that a cancel stopped waiting for this close."""
        await self._change(partial(admission.give_up_target, sender, command_id), (sender, command_id))

    async def unpublished(self, *, room: Mapping[str, int], per_queue: int, limit: int) -> Sequence[Outgoing]:
        """Claim results that nobody publishes now. See `router.ports.ResultJournal`."""
        return await self._change(partial(results.claim, dict(room), per_queue, limit))

    async def renew(self, outbox_ids: Collection[str]) -> None:
        """Keep claims for some seconds more."""
        await self._change(partial(results.renew, tuple(outbox_ids), results.HOLD_US))

    async def release(self, outbox_ids: Collection[str]) -> None:
        """Let others have these results at once."""
        await self._change(partial(results.renew, tuple(outbox_ids), 0))

    async def pause(self, reply_to: str, for_us: int) -> int:
        """Keep a queue's results back, and return for how many microseconds it has taken none."""
        return await self._change(partial(results.pause, reply_to, for_us))

    async def resume(self, reply_to: str) -> None:
        """End a queue's pause: it takes results."""
        await self._change(partial(results.resume, reply_to))

    async def suspect(self, message: str) -> tuple[int, int]:
        """Note that this process handles a message alone. See `router.ports.Journal`."""
        return await self._change(partial(marks.suspect, message, self._pod))

    async def cleared(self, message: str) -> None:
        """Note that a suspect message was handled."""
        await self._change(partial(marks.cleared, message, self._pod))

    async def take_slot(self, process: str, count: int, hold_us: int) -> int | None:
        """Hold a number that no other process of this journal has. See `router.ports.SlotJournal`."""
        return await self._write(partial(slots.take, process, count, hold_us))

    async def release_slot(self, process: str) -> None:
        """Let go of the number."""
        await self._write(partial(slots.release, process))

    async def mark(self, *, always: bool = False) -> str | None:
        """Store a new mark if anything was changed since the last one, or `always`; return it."""
        changes = self._changes
        if changes == self._marked and not always:
            return None
        self._mark = await self._change(marks.mark)
        self._marking = changes
        return self._mark

    def witnessed(self) -> None:
        """Note that the witness has the last mark."""
        self._marked = self._marking

    async def verify(self) -> None:
        """Look whether the last mark is still stored. See `router.ports.MarkJournal`."""
        mark = self._mark
        if mark and self.certified and not await self._read(partial(marks.there, mark)):
            _log.error("the journal was put back under us", meaning="it is compared with its witness again")
            self._mark, self._certified = "", -1

    async def certify(self, known: Collection[str]) -> Comparison:
        """Compare with marks that a witness has seen stored. See `router.ports.MarkJournal`."""
        opened = self._opened
        epoch, found = await self._write(partial(marks.certify, tuple(known), self._timeline))
        if opened != self._opened:
            raise JournalUnavailable("the journal was lost meanwhile")
        self._began(epoch)
        self._certified = opened
        return found

    def published(self, outbox_ids: Iterable[str]) -> None:
        """Mark results as confirmed, with some later commit."""
        for outbox_id in outbox_ids:
            self._deferred.mark(outbox_id)
        self._remember()

    def note(self, sender: str, command_id: str, event: str, detail: str = "") -> None:
        """Append to a stored command's history, with some later commit."""
        self._deferred.note(sender, command_id, event, detail)
        self._remember()

    def refused(self, sender: str, command_id: str | None, *, why: tuple[str, str], reply: Reply, key: str) -> None:
        """Keep a refusal that is stored under no command for a day, with some later commit."""
        self._deferred.refused(sender, command_id, why=why, reply=reply, key=key)
        self._remember()

    @property
    def epoch_us(self) -> int:
        """When this journal began; a command older than that may have been in one that was lost."""
        return self._epoch.began_us

    @property
    def first_epoch(self) -> bool:
        """Whether the journal has had no other epoch."""
        return self._epoch.first

    async def retire(self, days: float) -> int:
        """Delete commands without any change for that long, settled and published; return how many.

        A command that is open, in doubt or unresolved stays, however old. Ended orders and published events of that
        age go as well.
        """
        retired = 0
        while count := await self._change(partial(retention.retire, int(days * _DAY_US))):
            retired += count
        while await self._change(partial(orders.retire, int(days * _DAY_US))):
            pass
        await self._change(marks.retire)
        await self._change(refusals.retire)
        return retired

    def _remember(self) -> None:
        if self._flush is None:
            self._flush = self._loop.call_later(FLUSH_S, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        if self._deferred:
            self._flush_later()
