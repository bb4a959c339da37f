"""Bring one job to its answer: send, decide; again, or look, or store the answer. The only importer of tenacity.

What is decided is `decision`, how one attempt is made `attempt`, how a look is made `lookup`. Here they are joined,
and every end of a turn is stored behind a compare-and-set on the job's version: whoever comes second stores nothing
and answers nothing.
"""

from collections.abc import Callable, Mapping

import structlog
import tenacity
from msgspec import Struct
from msgspec.structs import replace

from router import crash_points
from router.access.configured import Venue
from router.access.reads import Reader
from router.clock import to_us
from router.commands import answers
from router.commands.attempt import PARK_S, SEND_BY_US, Decided, Lost, Parked, Sending
from router.commands.decision import MAX_TRIES, Again, Doubt, GiveUp, LookLater, LookNow, Settle, Times, after_look
from router.commands.lookup import Sweep
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Clock, JobJournal, Transport
from router.records.command import AttemptEnd, Job, Moment, Outgoing, effective
from router.telemetry import Metrics
from router.venue_protocol import Accepted, Done, Refused, Request, Sight, Working
from schemas.commands import Cancel, Close
from schemas.results import Evidence, Result

FIRST_LOOK_US = 500_000
LOOK_LEASE_US = 25_000_000
"""A job being looked at inline is left alone by others for this long."""
UNRESOLVED_LOOK_US = 300_000_000
WATCH_US = 1_000_000
AGAIN_US = 1_000_000
"""How long an accepted cancel may leave its order working before it goes again; twice as long each time."""
JOURNAL_RETRY_S = 0.5
BUSY = "another close of this position is not settled"

_log = structlog.get_logger(__name__)


class Concluded(Struct, frozen=True):
    """What a turn stored. `outgoing` is empty when the job was parked."""

    job: Job
    outgoing: tuple[Outgoing, ...] = ()
    result: Result | None = None


class Dispatcher:
    """Runs jobs at their venues. Holds no truth of its own: that is the journal's.

    `on_parked` hears when a job is due again, `on_answered` that a job has a result on disk. `sending` are the
    jobs that are being sent in this process now: nobody else in it may take them up.
    """

    def __init__(
        self,
        venues: Mapping[str, Venue],
        journal: JobJournal,
        transport: Transport,
        clock: Clock,
        metrics: Metrics,
        *,
        resolve_for_s: float,
    ) -> None:
        self.venues = venues
        self.on_parked: Callable[[int], None] = lambda _: None
        self.on_answered: Callable[[Job], None] = lambda _: None
        self.sending: set[tuple[str, str]] = set()
        self._journal = journal
        self._transport = transport
        self._clock = clock
        self._metrics = metrics
        self._resolve_for_us = int(resolve_for_s * 1e6)

    def on(self, journal: JobJournal) -> "Dispatcher":
        """Return a dispatcher to the same venues that stores elsewhere."""
        other = Dispatcher(
            self.venues, journal, self._transport, self._clock, self._metrics, resolve_for_s=self._resolve_for_us / 1e6
        )
        other.sending, other.on_parked, other.on_answered = self.sending, self.on_parked, self.on_answered
        return other

    def sweep(self) -> Sweep:
        """Begin a round of looks."""
        return Sweep(self._journal, Reader(self._transport, self._clock, self._metrics))

    async def send(
        self, job: Job, before: Job | None = None, planned: Request | None = None, at: Moment | None = None
    ) -> Concluded | None:
        """Send until there is an answer, a doubt, or a wait that is parked.

        `before` is the job as it was when its first attempt is stored already, `at` when that was, `planned` what it
        sends. Returns `None` when somebody else took the job up meanwhile.
        """
        key = (job.sender, job.command_id)
        self.sending.add(key)
        try:
            return await self._send(job, before, planned, at)
        finally:
            self.sending.discard(key)

    async def _send(self, job: Job, before: Job | None, planned: Request | None, at: Moment | None) -> Concluded | None:
        venue = self.venues[job.command.venue]
        if not venue.exchange.repeatable(job.command) and ((before or job).attempts or self.is_older(job)):
            # Whatever the stored step says: the switch that allowed a repeat may have been turned since, and a journal
            # that was put back does not know what was sent.
            return await self.look(job, self.sweep())
        if before is None and self.is_older(job):
            job = self._maybe_sent(job)
        if isinstance(job.command, Close) and job.position is None:
            return await self._settle(job, Refused(code="busy", message=BUSY), "router")
        request = planned or venue.exchange.request(effective(job), job.client_order_id)
        if not isinstance(request, Request):
            return await self._settle(job, request, "router")
        turn = Sending(job, venue, request, self._journal, self._transport, self._clock, self._metrics, before, at)
        with self._metrics.in_flight(venue.name):
            decided = await turn.attempt()
            if _at_once(decided):
                decided = await self._retry(turn, decided)
        crash_points.at("before_conclude")
        concluded = await self._conclude(turn, decided)
        crash_points.at("after_conclude")
        return concluded

    def is_older(self, job: Job) -> bool:
        """Say whether a job's row was made before the journal's present epoch: what was sent since may be missing."""
        return not self._journal.first_epoch and job.admitted_us < self._journal.epoch_us

    def _maybe_sent(self, job: Job) -> Job:
        """Return a job of before the epoch with what may be lost of it: it may have left until right after then."""
        sent_us = max(job.last_sent_us or 0, self._journal.epoch_us + SEND_BY_US)
        first_us = job.first_sent_us or job.admitted_us
        return replace(
            job, attempts=max(job.attempts, 1), first_sent_us=first_us, last_sent_us=sent_us, unanswered=True
        )

    async def _retry(self, turn: Sending, decided: Decided) -> Decided:
        """Go on after a first `Again`, until something else is decided or the wait is one to park."""
        first: Decided | None = decided

        async def attempt() -> Decided:
            nonlocal first
            if first is not None:
                seen, first = first, None
                return seen
            return await turn.attempt()

        def pause(state: tenacity.RetryCallState) -> float:
            again = state.outcome.result() if state.outcome else None
            if not isinstance(again, Again):
                return 0.0
            self._metrics.retry(turn.venue.name, again.code)
            return again.after_s

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(_at_once),
            wait=tenacity.wait_combine(pause, tenacity.wait_random(0, 0.05)),
            sleep=self._clock.sleep,
        )
        return await retrying(attempt)

    async def _conclude(self, turn: Sending, decided: Decided) -> Concluded | None:
        """Store what a turn ended with."""
        job, now = turn.job, self._journal.latest_us()
        match decided:
            case Lost():
                return None
            case Parked(after_s) | Again(after_s):
                job = replace(job, step="send", next_us=now + int(after_s * 1e6))
                return await self.store(job, end=turn.end)
            case Settle(outcome):
                evidence: Evidence = "response" if turn.answered else "router"
                concluded = await self._settle(job, outcome, evidence, end=turn.end)
                return concluded or (await self._settle_late(job, outcome) if turn.answered else None)
            case Doubt(venue_code, message):
                job = replace(job, venue_code=venue_code, message=message, step="look", next_us=now + FIRST_LOOK_US)
                if not _owes_doubt(job, now):
                    return await self.store(job, end=turn.end)
                job, result = answers.doubted(job, now)
                return await self.store(job, end=turn.end, result=result)
            case LookNow(venue_code, message):
                job = replace(job, venue_code=venue_code, message=message, step="look")
                stored = await self.store(replace(job, next_us=now + LOOK_LEASE_US), end=turn.end)
                return stored and await self.look(stored.job, self.sweep())

    async def _settle_late(self, job: Job, outcome: Accepted | Done | Refused) -> Concluded | None:
        """Use an answer that came after somebody else took the job up, if the command is still in doubt.

        A refusal is used only if no other attempt was begun since: it speaks of its own request alone.
        """
        while True:
            known = await self._known(job)
            if known is None or (isinstance(outcome, Refused) and known.tries != job.tries):
                return None
            if known.state == "final":
                return await self.contradicted(known, outcome)
            sent = {"attempts": max(known.attempts, job.attempts), "first_sent_us": job.first_sent_us}
            concluded = await self._settle(replace(known, **sent), outcome, "response")
            if concluded is not None:
                return concluded

    async def contradicted(self, job: Job, outcome: Accepted | Done | Refused) -> Concluded | None:
        """Tell what contradicts a final answer: it was executed, and its sender heard `rejected`.

        One more result follows. `None`: there is no contradiction, or somebody else has told of it.
        """
        if job.state != "final" or job.outcome != "rejected" or not job.tries or isinstance(outcome, Refused):
            return None
        venue, account = job.command.venue, job.command.account
        _log.error("contradiction", venue=venue, account=account, command_id=job.command_id, sender=job.sender)
        job, result = answers.settled(job, outcome, "stream", self._journal.latest_us())
        concluded = await self.store(job, result=result)
        if concluded is not None:
            self._metrics.contradiction(venue)
        return concluded

    async def _known(self, job: Job) -> Job | None:
        while True:
            try:
                return await self._journal.load(job.sender, job.command_id)
            except UnreadableRow:
                return None
            except JournalUnavailable:
                await self._clock.sleep(JOURNAL_RETRY_S)

    async def look(self, job: Job, sweep: Sweep) -> Concluded | None:
        """Look once, and store what follows. Returns `None` when somebody else was first."""
        venue = self.venues[job.command.venue]
        if self.is_older(job):
            job = self._maybe_sent(job)
        elif job.last_sent_us and job.last_sent_us < self._journal.since_us:
            # How long ago that was nobody knows: the clock had a break since.
            job = replace(job, last_sent_us=self._journal.since_us)
        seen = await sweep.look(venue, venue.accounts[job.command.account], job)
        self._noticed(job, seen)
        times = Times(
            looked_us=sweep.began_us,
            sent_us=job.last_sent_us or 0,
            not_after_us=to_us(job.command.not_after),
            quarantine_us=venue.quarantine_us,
            resolve_for_us=self._resolve_for_us,
        )
        finding = after_look(job, seen, times)
        now = self._journal.latest_us()
        job = replace(job, rounds=job.rounds + 1)
        if isinstance(seen, Working):
            job = replace(job, order=seen.order)
        match finding:
            case Settle(outcome):
                return await self._settle(job, outcome, "query")
            case Again(after_s):
                # Not later than the deadline: then its sender is to hear where it stands.
                next_us = min(now + int(after_s * 1e6), max(now, to_us(job.command.not_after)))
                job = replace(job, step="send", next_us=next_us, admitted_us=now)
                if not job.tries:  # proven: nothing was ever sent for it
                    job = replace(
                        job, attempts=0, sent_ms=None, first_sent_us=None, last_sent_us=None, unanswered=False
                    )
                return await self.store(job)
            case GiveUp(message):
                job, result = answers.unresolved(job, message, now)
                return await self.store(replace(job, step="look", next_us=now + UNRESOLVED_LOOK_US), result=result)
            case LookLater(at_us, fresh, absent, saw):
                job = replace(job, step="look", next_us=at_us, looks=job.looks + fresh, seen=job.seen or saw)
                job = replace(job, absences=job.absences + 1 if absent else 0)
                if not _owes_doubt(job, now):
                    return await self.store(job)
                job, result = answers.doubted(job, now)
                return await self.store(job, result=result)

    def _noticed(self, job: Job, seen: Sight) -> None:
        what = " ".join(filter(None, (type(seen).__name__, getattr(seen, "message", ""))))
        self._journal.note(job.sender, job.command_id, "looked", what)
        _log.info("looked", venue=job.command.venue, command_id=job.command_id, seen=what)

    async def watch(self, job: Job, sweep: Sweep) -> Concluded | None:
        """Look whether the order of an accepted cancel works no more; at the deadline say what was seen last."""
        venue = self.venues[job.command.venue]
        seen = await sweep.look(venue, venue.accounts[job.command.account], job)
        self._noticed(job, seen)
        if isinstance(seen, Done | Refused):
            return await self._settle(job, seen, "query")
        job = replace(job, order=getattr(seen, "order", None) or job.order)
        now, not_after = self._journal.latest_us(), to_us(job.command.not_after)
        idle = now - (job.last_sent_us or 0) > AGAIN_US * 2**job.tries
        if isinstance(seen, Working) and idle and job.tries < MAX_TRIES and now < not_after:
            return await self.store(replace(job, step="send", next_us=now))
        return await self._settle(job, Accepted(), "query")

    async def settle_by_event(self, job: Job, outcome: Accepted | Done | Refused) -> Concluded | None:
        """Settle a command in doubt, or a cancel that watches its order, by what the venue's feed told of the order.

        `None`: it is being sent, or somebody else was first; nothing was stored.
        """
        if job.state == "final":
            return await self.contradicted(job, outcome)
        if job.state == "open" and job.step != "await":
            return None
        return await self._settle(job, outcome, "stream")

    async def _settle(
        self, job: Job, outcome: Accepted | Done | Refused, evidence: Evidence, *, end: AttemptEnd | None = None
    ) -> Concluded | None:
        """Answer for good; or, for a cancel that waits for proof, go on watching its order."""
        now = self._journal.latest_us()
        command = job.command
        awaits = isinstance(command, Cancel) and command.await_final and isinstance(outcome, Accepted)
        if awaits and now < to_us(command.not_after):
            job = replace(job, order=outcome.order or job.order, step="await")
            return await self.store(replace(job, next_us=min(now + WATCH_US, to_us(command.not_after))), end=end)
        if isinstance(outcome, Refused) and outcome.alert:
            _log.error("needs an operator", venue=command.venue, account=command.account, code=outcome.venue_code)
        job, result = answers.settled(job, outcome, evidence, now)
        return await self.store(job, end=end, result=result)

    async def store(self, job: Job, *, end: AttemptEnd | None = None, result: Result | None = None) -> Concluded | None:
        """Store the end of a turn, however long the journal takes to come back. `None`: somebody else was first."""
        while True:
            try:
                saved = await self._journal.save(job, end=end, result=result)
                break
            except JournalUnavailable as error:
                _log.warning("an answer waits for the journal", command_id=job.command_id, error=str(error))
                await self._clock.sleep(JOURNAL_RETRY_S)
        if saved is None:
            return None
        stored = saved.job
        if stored.next_us is not None:
            self.on_parked(stored.next_us)
            if result is None and stored.step == "send":
                self._journal.note(job.sender, job.command_id, "parked", f"because of {stored.code or 'a limit'}")
        if result is not None:
            self.on_answered(stored)
            if result.final:
                self._metrics.command_final(result)
        return Concluded(stored, saved.outgoing, result)


def _owes_doubt(job: Job, now: int) -> bool:
    """Return true if `in_doubt` must be published now: once, and not while the sender awaits the end."""
    command = job.command
    awaits = isinstance(command, Cancel) and command.await_final and now < to_us(command.not_after)
    return job.state == "open" and not awaits


def _at_once(decided: Decided) -> bool:
    """Say whether to try again in this process: a longer wait is the journal's."""
    return isinstance(decided, Again) and decided.after_s <= PARK_S
