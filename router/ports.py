"""What the core needs of the outside, as Protocols. `router/app.py` names the classes that fulfil them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from router.exchange import Response, SignedRequest
from router.job import Admission, AttemptEnd, AttemptStart, Job, Outgoing, Reply
from schemas.commands import Close
from schemas.results import Result


class Clock(Protocol):
    """Time. Tests move it."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""
        ...

    def monotonic_us(self) -> int:
        """Return microseconds that nobody sets, since some moment."""
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

        `before_write` is called once the connection is there, and again right before the first byte; what it raises
        stops the request (a `NotSent`). Waiting for a connection takes at most `connect_s`, the answer at most
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
        start: AttemptStart | None = None,
        result: Result | None = None,
        early: bool = False,
    ) -> Admission:
        """Store a new command, or say what is stored under its id.

        With `start` its first attempt is stored too; with `result` it is stored as final with that refusal, which
        goes to the outbox. `early` returns once the rows are inserted and checked, before the commit is on disk.
        The order of the checks: same id same digest (`Repeat`, `Joined`), other digest (`Reused`), a given-up
        target (`TooLate`, unless `result` is given), the position (`Busy`).
        """
        ...

    async def save(
        self,
        job: Job,
        *,
        start: AttemptStart | None = None,
        end: AttemptEnd | None = None,
        result: Result | None = None,
    ) -> tuple[Job, tuple[Outgoing, ...]] | None:
        """Store `job` if its `version` is still the stored one, and return it with the next version.

        `start` inserts an attempt, `end` closes it, `result` goes to the outbox once per reply address on record.
        All in one transaction. `None` when somebody else was first: nothing was stored then but `end`, as evidence.
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
