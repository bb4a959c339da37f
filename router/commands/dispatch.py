"""Bring one command to its answer: send, decide; again, or look, or store the answer. The only importer of tenacity.

What is decided is `decision`, how one attempt is made `attempt`, how a look is made `lookup`. Here they are joined,
and every end of a turn is stored behind a compare-and-set on the command's version: whoever comes second stores nothing
and answers nothing.
"""

from collections.abc import Mapping

import structlog
import tenacity
from msgspec.structs import replace

from router import crash_points
from router.access.configured import Venue
from router.access.reads import Reader
from router.clock import to_us
from router.commands import answers
from router.commands.attempt import PARK_S, SEND_BY_US, Decided, Intent, Parked, Sending, TakenOver
from router.commands.conclude import Concluded, Concluder, owes_doubt
from router.commands.decision import (
    DENIED_LOOK_S,
    MAX_TRIES,
    STILL_WORKING,
    Again,
    Doubt,
    GiveUp,
    LookLater,
    LookNow,
    Settle,
    Times,
    after_look,
)
from router.commands.lookup import Sweep
from router.ports import CommandJournal
from router.records.command import CommandRecord, effective
from router.venue_protocol import Accepted, Done, LookOutcome, Refused, Request, Unknown, Working
from schemas.commands import Close
from schemas.results import Evidence

FIRST_LOOK_US = 500_000
LOOK_LEASE_US = 25_000_000
"""A command being looked at inline is left alone by others for this long."""
UNRESOLVED_LOOK_US = 300_000_000
AGAIN_US = 1_000_000
"""How long an accepted cancel may leave its order working before it goes again; twice as long each time."""
BUSY = "another close of this position is not settled"

_log = structlog.get_logger(__name__)


class Dispatcher(Concluder):
    """Runs commands at their venues. Holds no truth of its own: that is the journal's.

    `sending` are the commands that are being sent in this process now: nobody else in it may take them up.
    """

    def __init__(
        self,
        venues: Mapping[str, Venue],
        journal: CommandJournal,
        reader: Reader,
        *,
        resolve_for_s: float,
    ) -> None:
        self.venues = venues
        self.sending: set[tuple[str, str]] = set()
        super().__init__(journal, reader.clock, reader.metrics)
        self._reader = reader
        self._resolve_for_us = int(resolve_for_s * 1e6)

    def on(self, journal: CommandJournal) -> "Dispatcher":
        """Return a dispatcher to the same venues that stores elsewhere."""
        other = Dispatcher(self.venues, journal, self._reader, resolve_for_s=self._resolve_for_us / 1e6)
        other.sending, other.on_parked, other.on_answered = self.sending, self.on_parked, self.on_answered
        return other

    def sweep(self) -> Sweep:
        """Begin a round of looks."""
        return Sweep(self._journal, self._reader)

    async def send(
        self,
        record: CommandRecord,
        intent: Intent | None = None,
    ) -> Concluded | None:
        """Send until there is an answer, a doubt, or a wait that is parked.

        `intent`: a first attempt that is stored with the command already. Returns `None` when somebody else took the
        command up meanwhile.
        """
        key = (record.sender, record.command_id)
        self.sending.add(key)
        try:
            return await self._send(record, intent)
        finally:
            self.sending.discard(key)

    async def _send(self, record: CommandRecord, intent: Intent | None) -> Concluded | None:
        venue = self.venues[record.command.venue]
        before = intent.before if intent is not None else record
        if not venue.adapter.repeatable(record.command) and (before.attempts or self.is_older(record)):
            # Whatever the stored step says: the switch that allowed a repeat may have been turned since, and a journal
            # that was put back does not know what was sent.
            return await self.look(record, self.sweep())
        if intent is None and self.is_older(record):
            record = self._maybe_sent(record)
        if isinstance(record.command, Close) and record.position is None:
            return await self.settle(record, Refused(code="busy", message=BUSY), "router")
        request = intent.request if intent else venue.adapter.request(effective(record), record.client_order_id)
        if not isinstance(request, Request):
            return await self.settle(record, request, "router")
        turn = Sending(
            record,
            venue,
            request,
            intent,
            journal=self._journal,
            transport=self._reader.transport,
            clock=self._clock,
            metrics=self._metrics,
        )
        with self._metrics.in_flight(venue.name):
            decided = await turn.attempt()
            if _at_once(decided):
                decided = await self._retry(turn, decided)
        crash_points.at("before_conclude")
        concluded = await self._conclude(turn, decided)
        crash_points.at("after_conclude")
        return concluded

    def is_older(self, record: CommandRecord) -> bool:
        """Say whether a row was made before the journal's present epoch: what was sent since may be missing."""
        return not self._journal.first_epoch and record.admitted_us < self._journal.epoch_us

    def _maybe_sent(self, record: CommandRecord) -> CommandRecord:
        """Return a command of before the epoch with what may be lost of it: it may have left until right after then."""
        sent_us = max(record.last_sent_us or 0, self._journal.epoch_us + SEND_BY_US)
        first_us = record.first_sent_us or record.admitted_us
        return replace(
            record, attempts=max(record.attempts, 1), first_sent_us=first_us, last_sent_us=sent_us, unanswered=True
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
        record, now = turn.record, self._journal.latest_us()
        match decided:
            case TakenOver():
                return None
            case Parked(after_s) | Again(after_s):
                record = replace(record, step="send", next_us=now + int(after_s * 1e6))
                return await self.store(record, end=turn.end)
            case Settle(outcome):
                evidence: Evidence = "response" if turn.answered else "router"
                concluded = await self.settle(record, outcome, evidence, end=turn.end)
                return concluded or (await self.settle_late(record, outcome) if turn.answered else None)
            case Doubt(venue_code, message):
                record = replace(
                    record, venue_code=venue_code, message=message, step="look", next_us=now + FIRST_LOOK_US
                )
                if not owes_doubt(record, now):
                    return await self.store(record, end=turn.end)
                record, result = answers.doubted(record, now)
                return await self.store(record, end=turn.end, result=result)
            case LookNow(venue_code, message):
                record = replace(record, venue_code=venue_code, message=message, step="look")
                stored = await self.store(replace(record, next_us=now + LOOK_LEASE_US), end=turn.end)
                return stored and await self.look(stored.record, self.sweep())

    async def look(self, record: CommandRecord, sweep: Sweep) -> Concluded | None:
        """Look once, and store what follows. Returns `None` when somebody else was first."""
        venue = self.venues[record.command.venue]
        if self.is_older(record):
            record = self._maybe_sent(record)
        elif record.last_sent_us and record.last_sent_us < self._journal.since_us:
            # How long ago that was nobody knows: the clock had a break since.
            record = replace(record, last_sent_us=self._journal.since_us)
        seen = await sweep.look(venue, venue.accounts[record.command.account], record)
        self._noticed(record, seen)
        times = Times(
            looked_us=sweep.began_us,
            sent_us=record.last_sent_us or 0,
            not_after_us=to_us(record.command.not_after),
            quarantine_us=venue.quarantine_us,
            resolve_for_us=self._resolve_for_us,
        )
        finding = after_look(record, seen, times)
        now = self._journal.latest_us()
        record = replace(record, rounds=record.rounds + 1)
        if isinstance(seen, Working):
            record = replace(record, order=seen.order)
        match finding:
            case Settle(outcome):
                return await self.settle(record, outcome, "query")
            case Again(after_s):
                # Not later than the deadline: then its sender is to hear where it stands.
                next_us = min(now + int(after_s * 1e6), max(now, to_us(record.command.not_after)))
                record = replace(record, step="send", next_us=next_us, admitted_us=now)
                if isinstance(seen, Working):
                    record = _still_working(record)
                if not record.tries:  # proven: nothing was ever sent for it
                    record = replace(
                        record, attempts=0, sent_ms=None, first_sent_us=None, last_sent_us=None, unanswered=False
                    )
                return await self.store(record)
            case GiveUp(message):
                record, result = answers.unresolved(record, message, now)
                return await self.store(replace(record, step="look", next_us=now + UNRESOLVED_LOOK_US), result=result)
            case LookLater(at_us, fresh, absent, saw):
                record = replace(
                    record, step="look", next_us=at_us, looks=record.looks + fresh, seen=record.seen or saw
                )
                record = replace(record, absences=record.absences + 1 if absent else 0)
                if not owes_doubt(record, now):
                    return await self.store(record)
                record, result = answers.doubted(record, now)
                return await self.store(record, result=result)

    def _noticed(self, record: CommandRecord, seen: LookOutcome) -> None:
        what = " ".join(filter(None, (type(seen).__name__, getattr(seen, "message", ""))))
        self._journal.note(record.sender, record.command_id, "looked", what)
        _log.info("looked", venue=record.command.venue, command_id=record.command_id, seen=what)

    async def watch(self, record: CommandRecord, sweep: Sweep) -> Concluded | None:
        """Look whether the order of an accepted cancel works no more; at the deadline say what was seen last."""
        venue = self.venues[record.command.venue]
        seen = await sweep.look(venue, venue.accounts[record.command.account], record)
        self._noticed(record, seen)
        if isinstance(seen, Done | Refused):
            return await self.settle(record, seen, "query")
        record = replace(record, order=getattr(seen, "order", None) or record.order)
        now, not_after = self._journal.latest_us(), to_us(record.command.not_after)
        sent = record.tried.get(STILL_WORKING, 0) + 1
        idle = now - (record.last_sent_us or 0) > AGAIN_US * 2**sent
        if isinstance(seen, Working) and idle and sent < MAX_TRIES and now < not_after:
            return await self.store(replace(_still_working(record), step="send", next_us=now))
        if isinstance(seen, Unknown) and seen.denied and now < not_after:
            next_us = min(now + int(DENIED_LOOK_S * 1e6), not_after)
            return await self.store(replace(record, step="await", next_us=next_us))
        return await self.settle(record, Accepted(), "query")


def _still_working(record: CommandRecord) -> CommandRecord:
    """Count one more try of a cancel that was taken and changed nothing."""
    return replace(record, tried={**record.tried, STILL_WORKING: record.tried.get(STILL_WORKING, 0) + 1})


def _at_once(decided: Decided) -> bool:
    """Say whether to try again in this process: a longer wait is the journal's."""
    return isinstance(decided, Again) and decided.after_s <= PARK_S
