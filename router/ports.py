"""What the core needs of the outside, as Protocols. `router/app/` names the classes that fulfil them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from router.records.command import Admission, AttemptEnd, CommandRecord, Kind, Outgoing, Reply, Saved
from router.records.delivery import Delivery
from router.records.event import Copy, Evidence, Holder, Lease, OrderReport, Position, Recorded, StoredEvent
from router.venue_protocol import Response, SignedRequest
from router.venue_protocol.stream import Change, Known
from schemas.commands import Close
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result


class Clock(Protocol):
    """The time of this machine. Tests move it. What two processes compare is the journal's time."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC, as the machine has it: to sign, and for people. It may be set anew."""
        ...

    def boot_us(self) -> int:
        """Return microseconds since some moment that nobody sets; they pass while the machine sleeps, too."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Transport(Protocol):
    """One HTTP request to a venue; never repeated by itself."""

    async def send(
        self, request: SignedRequest, *, timeout_s: float, connect_s: float, before_write: Callable[[], None]
    ) -> Response:
        """Send and return the answer.

        `before_write` is called with the connection in hand, right before the first byte; what it raises stops the
        request (a `NotSent`). Waiting for a connection takes at most `connect_s`, the answer at most
        `timeout_s` from the first byte. Raises `NotSent` or `MaybeSent`.
        """
        ...


class Publisher(Protocol):
    """Answers to the broker. Nothing that one reply queue does holds up another."""

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to its reply queue and return once that has it.

        Waits as long as the channel lives: while it does, the confirm may still come, and no second copy is needed.
        Raises `Unroutable` when the queue does not take it, `PublishFailed` when that is not known.
        """
        ...

    async def divert(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to the results queue instead. Raises `PublishFailed`, after some seconds at the latest."""
        ...

    def abandon(self, reply_to: str) -> None:
        """Give a reply queue up: what is under way to it raises `PublishFailed`."""
        ...

    def may_publish(self, reply_to: str) -> bool:
        """Say whether results may go to a queue of that name: not to ours, nor to the broker's own."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether the broker takes nothing now: an alarm of its own, or there is no connection."""
        ...


class DeadLetters(Protocol):
    """Where poison goes."""

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Publish a delivery unchanged with the reason. Raises `PublishFailed`."""
        ...


class Socket(Protocol):
    """One WebSocket. Answers pings and notices a peer that answers none."""

    async def send(self, text: str) -> None:
        """Send a text frame. Raises `SocketClosed`."""
        ...

    async def receive(self) -> str | bytes:
        """Wait for the next frame. Raises `SocketClosed`."""
        ...

    async def close(self) -> None:
        """Close. Never raises."""
        ...


class Sockets(Protocol):
    """WebSockets to the venues."""

    async def open(self, url: str, *, timeout_s: float) -> Socket:
        """Connect. Raises `SocketClosed`, without the URL."""
        ...


class EventPublisher(Protocol):
    """Order events to the broker."""

    async def publish_event(self, stored: StoredEvent) -> None:
        """Publish an event to the topic exchange; return once confirmed.

        Raises `PublishFailed`; the same event may be published again. Calls begun one after another reach the topic
        exchange in that order.
        """
        ...

    async def publish_copy(self, event: OrderEvent, copy: Copy) -> None:
        """Publish an event to one reply queue, and wait for its confirm as long as the channel lives.

        Raises `Unroutable` when the queue is gone, `PublishFailed`.
        """
        ...

    async def publish_status(self, status: FeedStatus) -> None:
        """Publish a feed's status to the topic exchange. Raises `PublishFailed`."""
        ...


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
        """Note that a suspect message was handled, and ended nobody."""
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


class Mark(Struct, frozen=True):
    """What the witness keeps. `adopts`: an operator said that this journal takes the place of every earlier one."""

    journal_id: str
    id: str
    adopts: bool = False


class Witness(Protocol):
    """The stream of marks. Both methods raise `BrokerUnavailable`, after some seconds at the latest."""

    async def read(self, last: int) -> Sequence[Mark]:
        """Return the last marks, oldest first, and leave them there."""
        ...

    async def write(self, mark: Mark) -> None:
        """Add a mark and return once it is confirmed."""
        ...


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
