"""What the core needs of the outside, as Protocols. `router/app.py` names the classes that fulfil them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from router.events import Copy, Holder, Lease, Position, Recorded, Sighting, StoredEvent
from router.job import Admission, AttemptEnd, Job, Outgoing, Reply
from router.venue_protocol import Response, SignedRequest
from router.venue_protocol.stream import Change, Known
from schemas.commands import Close
from schemas.events import FeedStatus
from schemas.results import Result


class Clock(Protocol):
    """Time. Tests move it."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""
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
    """Results to the broker."""

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result and return once the broker has confirmed it, wherever it was routed.

        Raises `PublishFailed`; the same result may be published again.
        """
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
        """Publish an event to the topic exchange and its copies to their reply queues; return once confirmed.

        A copy whose queue is gone is dropped. Raises `PublishFailed`; the same event may be published again.
        Calls begun one after another reach the topic exchange in that order.
        """
        ...

    async def publish_copies(self, stored: StoredEvent) -> None:
        """Publish only the copies. Raises `PublishFailed`."""
        ...

    async def publish_status(self, status: FeedStatus) -> None:
        """Publish a feed's status to the topic exchange. Raises `PublishFailed`."""
        ...


class Journal(Protocol):
    """The durable truth. Every method raises `JournalUnavailable` when it cannot promise what it says.

    A method returns when its transaction is committed, unless it says otherwise.
    """

    async def admit(
        self,
        job: Job,
        reply: Reply,
        digest: str,
        *,
        result: Result | None = None,
        early: bool = False,
    ) -> Admission:
        """Store a new command, or say what is stored under its id.

        With `result` it is stored as final with that refusal, which goes to the outbox. `early` returns once its row
        is inserted and checked, before the commit is on disk.
        The order of the checks: same id same digest (`Repeat`, `Joined`), other digest (`Reused`), a given-up
        target (`TooLate`, unless `result` is given), the position (`Busy`).
        """
        ...

    async def save(
        self,
        job: Job,
        *,
        end: AttemptEnd | None = None,
        result: Result | None = None,
    ) -> tuple[Job, tuple[Outgoing, ...]] | None:
        """Store `job` if its `version` is still the stored one, and return it with the next version.

        `end` stores what an attempt came to, unless that is known; `result` goes to the outbox once per reply address
        on record. All in one transaction. `None` when somebody else was first: nothing was stored then but `end`, as
        evidence.
        """
        ...

    async def load(self, sender: str, command_id: str) -> Job | None:
        """Return what is stored of a command."""
        ...

    async def due(self, now_us: int, limit: int, venues: Collection[str]) -> Sequence[Job]:
        """Return jobs of these venues whose `next_us` has passed, oldest first.

        Taking one up is a `save` with a later `next_us`.
        """
        ...

    async def neighbours(self, job: Job) -> tuple[frozenset[str], tuple[Close, ...]]:
        """Return the order ids of the account that belong to other commands, and the account's and symbol's other
        closes that are open, in doubt or unresolved."""
        ...

    async def give_up_target(self, sender: str, command_id: str) -> None:
        """Remember that a cancel stopped waiting for this close, so that it is `TooLate` when it arrives."""
        ...

    def published(self, outbox_ids: Iterable[str]) -> None:
        """Mark results as confirmed, with some later commit. A lost mark costs a repeat under the same id."""
        ...

    def note(self, sender: str, command_id: str, event: str, detail: str = "") -> None:
        """Append to a command's history, with some later commit."""
        ...

    async def unpublished(self, older_than_us: int, limit: int) -> Sequence[Outgoing]:
        """Return unconfirmed results completed before that instant, and hold them back from others for a while.

        They come in order per command, none ahead of an earlier one.
        """
        ...

    @property
    def epoch_us(self) -> int:
        """When this journal began; a command older than that may have been in one that was lost."""
        ...

    @property
    def first_epoch(self) -> bool:
        """Whether the journal has had no other epoch."""
        ...

    @property
    def writable(self) -> bool:
        """Whether the last transaction was committed. While it is not, nothing may be sent."""
        ...


class EventJournal(Protocol):
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

    async def record(self, lease: Lease, sightings: Sequence[Sighting], *, published_seq: int = 0) -> Recorded:
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
