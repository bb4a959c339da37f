"""What the core needs of the journal: each part of the program its own part of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, Protocol

from router.records.command import Admission, AttemptEnd, CommandRecord, Kind, Outgoing, Reply, Saved
from schemas.commands import Close
from schemas.results import Result


class JournalClock(Protocol):
    """The journal's clock: the one by which deadlines, quarantine and due times are judged, by every process alike.

    What this process knows of it has two ends. Permission to send goes by the later one, proof by the earlier one.
    """

    def earliest_us(self) -> int:
        """Return what the journal's clock shows now at least. Microseconds since 1970, UTC."""
        ...

    def latest_us(self) -> int:
        """Return what it shows now at most."""
        ...

    @property
    def since_us(self) -> int:
        """Since when this clock has gone on without a break: a machine's start, another server."""
        ...

    @property
    def epoch_us(self) -> int:
        """When this journal began to know everything; what was sent before may be missing from it."""
        ...

    @property
    def first_epoch(self) -> bool:
        """Whether that is since it was made."""
        ...


class CommandJournal(JournalClock, Protocol):
    """The part of the journal that a command under way needs. Methods raise `JournalUnavailable`."""

    async def save(
        self, record: CommandRecord, *, end: AttemptEnd | None = None, result: Result | None = None
    ) -> Saved | None:
        """Store `record` if its `version` is still the stored one, and return it with the next version.

        `end` stores what an attempt came to, unless that is known; `result` goes to the outbox once per reply address
        on record. All in one transaction. `None` when somebody else was first: nothing was stored then but `end`, as
        evidence.
        """
        ...

    async def load(self, sender: str, command_id: str) -> CommandRecord | None:
        """Return what is stored of a command. Raises `UnreadableRow` as well."""
        ...

    async def neighbours(self, record: CommandRecord) -> tuple[frozenset[str], tuple[Close, ...]]:
        """Return the order ids of the account that belong to other commands, and the account's and symbol's other
        closes that are open, in doubt or unresolved; all as of one moment. Raises `UnreadableRow` as well."""
        ...

    def note(self, sender: str, command_id: str, event: str, detail: str = "") -> None:
        """Append to a command's history, with some later commit."""
        ...


class Journal(CommandJournal, Protocol):
    """The durable truth. Every method raises `JournalUnavailable` when it cannot promise what it says.

    A method returns when its transaction is committed, unless it says otherwise.
    """

    async def admit(
        self, record: CommandRecord, reply: Reply, digest: str, *, result: Result | None = None
    ) -> Admission:
        """Store a new command, or say what is stored under its id.

        With `result` it is stored as final with that refusal, which goes to the outbox.
        The order of the checks: same id same digest (`Repeat`, `Joined`), other digest (`Reused`), a given-up
        target (`TooLate`, unless `result` is given), the position (`Busy`).
        """
        ...

    def withdraw(self, sender: str, command_id: str) -> bool:
        """Take back an admission that still waits in this process. `True`: it will not be written."""
        ...

    async def take_up(
        self,
        venues: Collection[str],
        *,
        places: Mapping[Kind, int],
        busy: Mapping[tuple[str, str, Kind], int],
        claim_us: Mapping[Kind, int],
        limit: int,
    ) -> Sequence[CommandRecord]:
        """Claim commands of these venues whose time has come, and return them.

        Of each account at most `places` of a kind, less those `busy`. Nobody else gets them for `claim_us`, and
        their version stays: whoever saves first has them. A row that cannot be read is left to others and logged.
        """
        ...

    async def give_up_target(self, sender: str, command_id: str) -> None:
        """Remember that a cancel stopped waiting for this close, so that it is `TooLate` when it arrives."""
        ...

    @property
    def certified(self) -> bool:
        """Whether it is known to be the right journal. Until then what it lacks proves nothing."""
        ...

    async def suspect(self, message: str) -> tuple[int, int]:
        """Note that this process handles a message alone that came again.

        Returns how many processes ended while they did so. With a second number that is not 0 nothing was noted: some
        process handles it, or has just ended; ask again within so many microseconds.
        """
        ...

    async def cleared(self, message: str) -> None:
        """Note that a message was handled by this process, which lives on."""
        ...

    @property
    def writable(self) -> bool:
        """Whether the last transaction was committed. While it is not, only a plain cancel may be sent."""
        ...


class ResultJournal(Protocol):
    """The part of the journal that answers wait in. Every method but `published` raises `JournalUnavailable`."""

    @property
    def writable(self) -> bool:
        """Whether the last transaction was committed."""
        ...

    async def unpublished(self, *, room: Mapping[str, int], per_queue: int, limit: int) -> Sequence[Outgoing]:
        """Claim results that nobody publishes now: per reply queue at most `per_queue`, or as `room` says.

        They come in order per command, none ahead of an earlier one, and none of a queue that is paused. A claim runs
        out after some seconds; one that was just stored is claimed by who stored it.
        """
        ...

    async def renew(self, outbox_ids: Collection[str]) -> None:
        """Keep claims for some seconds more."""
        ...

    async def release(self, outbox_ids: Collection[str]) -> None:
        """Let others have these results at once."""
        ...

    def published(self, outbox_ids: Iterable[str]) -> None:
        """Mark results as confirmed, with some later commit. A lost mark costs a repeat under the same id."""
        ...

    async def pause(self, reply_to: str, for_us: int) -> int:
        """Keep a queue's results back, in every process. Return for how many microseconds it has taken none."""
        ...

    async def resume(self, reply_to: str) -> None:
        """End a queue's pause: it takes results."""
        ...

    def note(self, sender: str, command_id: str, event: str, detail: str = "") -> None:
        """Append to a command's history, with some later commit."""
        ...


class RefusalJournal(Protocol):
    """The part of the journal that keeps what was refused without a row, for a day."""

    def refused(self, sender: str, command_id: str | None, *, why: tuple[str, str], reply: Reply, key: str) -> None:
        """Keep a refusal, with some later commit. `why` is code and message, `key` the routing key."""
        ...


Comparison = Literal["same", "put back", "unwitnessed"]


class MarkJournal(Protocol):
    """The part of the journal that a witness outside is compared with. Methods raise `JournalUnavailable`."""

    @property
    def journal_id(self) -> str:
        """A name that no other journal has."""
        ...

    @property
    def certified(self) -> bool:
        """Whether it was compared since it was opened. Until then it admits and saves nothing."""
        ...

    async def mark(self, *, always: bool = False) -> str | None:
        """Store a new mark if anything was committed since the last one, or `always`; return it."""
        ...

    def witnessed(self) -> None:
        """Note that the witness has the last mark."""
        ...

    async def verify(self) -> None:
        """Look whether the last mark is still stored.

        If it is not, the journal was put back while it was in use: then it is not certified any more.
        """
        ...

    async def certify(self, marks: Collection[str]) -> Comparison:
        """Compare with marks that a witness has seen stored, and go into use.

        One that is missing says that the journal was put back, or takes the place of another: it is stored now, and a
        new epoch begins. None at all, beside a journal that has some, say nothing.
        """
        ...


class SlotJournal(Protocol):
    """The part of the journal that tells its processes apart. Methods raise `JournalUnavailable`."""

    async def take_slot(self, process: str, count: int, hold_us: int) -> int | None:
        """Hold one of the numbers 0 to `count` - 1 for so long, the same as before if it is still ours.

        `None`: others hold all of them.
        """
        ...

    async def release_slot(self, process: str) -> None:
        """Let go of the number."""
        ...
