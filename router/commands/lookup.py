"""Run a venue's lookup: send its reads, feed it the answers, return what it saw.

A `Sweep` is one round of looking. Commands looked up in the same sweep share equal reads, where a venue's read shows
a whole account at once; the next sweep reads afresh.
"""

import asyncio
from collections.abc import Generator
from typing import TypeVar

from msgspec.structs import replace

from router.access.configured import Account, Venue
from router.access.limiter import Priority
from router.commands.answers import clean
from router.errors import NotSent, SendError, UnreadableRow
from router.ports import Clock, JobJournal, Transport
from router.records.command import Job, effective
from router.telemetry import Metrics
from router.venue_protocol import Attempt, Request, Response, Sight, Unknown
from schemas.commands import Close

LOOK_S = 20.0
"""A look is given up while the resolver's claim still holds: two pods must not spoil each other's turns."""
READ_WAIT_S = 2.0
"""How long a read waits for its place under a limit. Reads come last."""


T = TypeVar("T")


class Sweep:
    """One round of looks. Every read in it began after the sweep did, which is at `began_us` at the earliest."""

    def __init__(self, journal: JobJournal, transport: Transport, clock: Clock, metrics: Metrics) -> None:
        self._journal = journal
        self._transport = transport
        self._clock = clock
        self._metrics = metrics
        self._reads: dict[tuple[str, str, Request], asyncio.Task[Response]] = {}
        self.began_us = journal.earliest_us()

    async def look(self, venue: Venue, account: Account, job: Job) -> Sight:
        """Find out what is true of a job now. A read that fails proves nothing: `Unknown`, and not whole."""
        try:
            async with asyncio.timeout(LOOK_S):
                return clean(await self._look(venue, account, job))
        except SendError as error:
            return Unknown(message=str(error), whole=False)
        except TimeoutError:
            return Unknown(message="the look took too long", whole=False)
        except UnreadableRow as error:
            return Unknown(message=str(error), whole=False)

    async def _look(self, venue: Venue, account: Account, job: Job) -> Sight:
        """Run the lookup until what it needed was read before what the journal says of other commands.

        An order that a read shows has had its attempt in the journal since before it left. So the journal is asked
        last, and the flow runs once more over the answers that are there already.
        """
        reads = -1
        while True:
            taken: frozenset[str] = frozenset()
            rivals: tuple[Close, ...] = ()
            if isinstance(job.command, Close):
                taken, rivals = await self._journal.neighbours(job)
            flow = venue.exchange.lookup(effective(job), self._attempt(venue, job, taken, rivals))
            answered: list[int] = []
            seen = await self.run(venue, account, flow, answered)
            if isinstance(seen, Unknown) and any(status >= 400 and status != 404 for status in answered):
                seen = replace(seen, whole=False)
            if not isinstance(job.command, Close) or reads == len(self._reads):
                return seen
            reads = len(self._reads)

    def _attempt(self, venue: Venue, job: Job, taken: frozenset[str], rivals: tuple[Close, ...]) -> Attempt:
        return Attempt(
            client_order_id=job.client_order_id,
            sent_ms=job.sent_ms or (job.first_sent_us or job.received_us) // 1000,
            now_ms=venue.time_us(self._clock) // 1000,
            window_ms=int(venue.options.timestamp_window_s * 1000),
            unanswered=job.unanswered,
            order_id=job.order_id if isinstance(job.command, Close) else None,
            venue_code=job.venue_code,
            taken=taken,
            rivals=rivals,
        )

    async def run(
        self,
        venue: Venue,
        account: Account,
        flow: Generator[Request, Response, T],
        answered: list[int] | None = None,
        *,
        wait_s: float = READ_WAIT_S,
    ) -> T:
        """Drive a flow of reads to its end; note the status of every answer. Raises `SendError` when one has none."""
        try:
            request = next(flow)
            while True:
                response = await self._read(venue, account, request, wait_s)
                if answered is not None:
                    answered.append(response.status)
                request = flow.send(response)
        except StopIteration as stop:
            found: T = stop.value
            return found

    async def _read(self, venue: Venue, account: Account, request: Request, wait_s: float) -> Response:
        key = (venue.name, account.name, request)
        if key not in self._reads:
            read = asyncio.create_task(self._send(venue, account, request, wait_s), name=f"read {request.endpoint}")
            read.add_done_callback(_taken_note_of)
            self._reads[key] = read
        return await asyncio.shield(self._reads[key])

    async def _send(self, venue: Venue, account: Account, request: Request, wait_s: float) -> Response:
        if not venue.limiter.take(account.name, request.scopes, Priority.READ):
            again_s = await venue.limiter.wait(account.name, request.scopes, Priority.READ, wait_s)
            if again_s:
                raise NotSent("no place under the rate limit for a read")
        boot_us = self._clock.boot_us()
        signed = account.sign(request, account.stamp(venue.time_us(self._clock)))
        timeout_s = venue.options.timeout_s
        with self._metrics.venue_request(venue.name, request.endpoint) as seen:
            answer = await self._transport.send(
                signed, timeout_s=timeout_s, connect_s=timeout_s, before_write=lambda: None
            )
            seen.status = answer.status
        venue.heard(answer, boot_us, self._clock, self._metrics)
        return answer


def _taken_note_of(read: "asyncio.Task[Response]") -> None:
    """Say nothing of a read that fails when nobody waits for it any more."""
    if not read.cancelled():
        read.exception()
