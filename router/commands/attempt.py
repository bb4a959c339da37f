"""One command being sent: one attempt after another, each with its intent on disk first, signed afresh, under one id.

The order within an attempt is what keeps the promises:

1. wait for a turn under the venue's limits; a longer wait is parked in the journal instead;
2. store the attempt (the worker did that already for a first attempt that did not have to wait). The journal says what
   its clock showed meanwhile: that gives the permit, which runs out by a clock of this machine that nobody can set;
3. sign, with one reading of the clock;
4. with the connection in hand look at the permit again, and write only if it has not run out, and the signature is not
   older than a second by either clock.

A crash after 2 leaves an attempt that may have been sent: whoever finds it looks first, or repeats what may be.
"""

from msgspec import Struct
from msgspec.structs import replace

from router import crash_points
from router.access.configured import Account, Venue
from router.access.windows import Priority, Turn
from router.clock import to_us
from router.commands.decision import Again, Decision, after_send, or_end
from router.errors import DeadlinePassed, JournalUnavailable, MaybeSent, NotSent, SendError
from router.ports import Clock, CommandJournal, Transport
from router.records.command import ABANDONED, AttemptEnd, CommandRecord, Moment, action, effective
from router.telemetry import Metrics, clean
from router.telemetry.logs import POD
from router.venue_protocol import Accepted, Done, Outcome, Refused, Request, Retry, Unknown
from schemas.commands import Cancel, Command

SEND_BY_US = 2_000_000
"""An intent older than this sends nothing any more: somebody else may take the command up."""
SIGNATURE_US = 1_000_000
TAKE_UP_MARGIN_US = 3_000_000
STEP_US = 1_000_000
"""A clock that is further off than this from what it must show was set meanwhile."""
JOURNAL_RETRY_S = 0.5
LAST_TRY_S = 0.3
UNCLEAR = "unclear"
"""The reason of a venue's answer that says neither yes nor no."""
PARK_S = 1.0
"""A longer wait leaves the process for the journal."""


class Parked(Struct, frozen=True):
    """No turn under the limits for a while. Nothing was tried."""

    after_s: float


class TakenOver(Struct, frozen=True):
    """Somebody else has taken the command up. Send nothing."""


Decided = Decision | Parked | TakenOver


def priority(command: Command) -> Priority:
    """Cancels first."""
    return Priority.CANCEL if isinstance(command, Cancel) else Priority.CLOSE


class Permit(Struct, frozen=True):
    """Until when a request may leave, in microseconds of this machine's boot clock. `final`: its command's end."""

    ends_us: int
    final: bool


def permit(record: CommandRecord, at: Moment, boot_us: int) -> Permit:
    """Return the permit that a stored attempt gives. `at` is when it was stored, `boot_us` when that was known.

    Counted from before the statement was sent: however long it took, the permit ends in time. Where the journal's clock
    is not what we took it for, it was set or another server answers: then the stored times are wrong, and there is
    none. Attempts are stored again until they agree.
    """
    began_us = record.began_us or at.now_us
    if not -STEP_US <= at.now_us - began_us <= boot_us - at.asked_us + STEP_US:
        return Permit(0, final=False)
    not_after_us = to_us(record.command.not_after)
    send_by_us = record.last_sent_us or 0
    return Permit(at.asked_us + min(not_after_us, send_by_us) - at.now_us, final=not_after_us <= send_by_us)


def begin(record: CommandRecord, venue: Venue, now_us: int, sent_ms: int) -> CommandRecord:
    """Return the command with one more attempt begun. `now_us` is the latest that the journal's clock may show.

    It reads as if the request had been sent at the last moment it may be: that is what a crash must leave. `sent_ms`
    is the earliest that the venue's clock may show.
    """
    send_by = min(to_us(record.command.not_after), now_us + SEND_BY_US)
    return replace(
        record,
        tries=record.tries + 1,
        attempts=record.attempts + 1,
        began_us=now_us,
        began_by=POD,
        first_sent_us=record.first_sent_us or now_us,
        sent_ms=sent_ms if record.sent_ms is None else min(record.sent_ms, sent_ms),
        last_sent_us=send_by,
        step="send" if venue.adapter.repeatable(record.command) else "look",
        next_us=send_by + int(venue.options.timeout_s * 1e6) + TAKE_UP_MARGIN_US,
        venue_code=None,
        message="",
        unanswered=True,
        looks=0,
        absences=0,
    )


def abandoned(record: CommandRecord, now_us: int) -> AttemptEnd | None:
    """Return the end of the latest attempt, for when the process that made it did not live to store one."""
    if record.began_us is None:
        return None
    return AttemptEnd(
        number=record.tries, began_us=record.began_us, at_us=now_us, outcome=ABANDONED, pod=record.began_by
    )


class Intent(Struct, frozen=True):
    """An attempt that is stored before it is made: what it sends and in which turn, the command without it, and when
    it was stored.
    """

    before: CommandRecord
    request: Request
    turn: Turn
    at: Moment | None = None


class Sending:
    """The attempts of one command in this process, until something other than trying again at once is decided.

    `record` is the command as stored last, then as the latest attempt left it. `end` is what that attempt came to, not
    stored yet: it goes into the journal together with whatever follows from it.
    """

    def __init__(
        self,
        record: CommandRecord,
        venue: Venue,
        request: Request,
        intent: Intent | None,
        *,
        journal: CommandJournal,
        transport: Transport,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.record = record
        self.venue = venue
        self.account: Account = venue.accounts[record.command.account]
        self.end: AttemptEnd | None = None
        self.answered = False
        """Whether the venue has answered any attempt of this turn."""
        self._before = intent.before if intent is not None else None
        """The command before the attempt that is stored but not sent yet."""
        self._at = intent.at if intent is not None else None
        self._turn = intent.turn if intent is not None else None
        self._request = request
        self._journal = journal
        self._transport = transport
        self._clock = clock
        self._metrics = metrics
        self._not_after = to_us(record.command.not_after)
        self._repeatable = venue.adapter.repeatable(record.command)
        self._permit = Permit(0, final=False)
        self._sent_us: int | None = None
        self._wrote_us = 0
        self._status: int | None = None

    async def attempt(self) -> Decided:
        """Make one attempt and decide what follows. The command and `end` are updated, not stored."""
        if self._before is None:
            blocked = await self._store_start()
            if blocked is not None:
                self._give_back_turn()
                return blocked
        before, self._before = self._before or self.record, None
        if self._at is not None:
            self._permit = permit(self.record, self._at, self._clock.boot_us())
        crash_points.at("before_send")
        seen = await self._send()
        self._give_back_turn()
        crash_points.at("after_send")
        if self._sent_us is not None:
            waited_s = (self._sent_us - self.record.received_us) / 1e6
            self._metrics.dispatched(self.venue.name, action(self.record.command), waited_s)
        return self._conclude(before, seen)

    def _give_back_turn(self) -> None:
        """Let another have the turn, unless a request left in it."""
        if self._turn is not None:
            self._turn.give_back()
            self._turn = None

    async def _store_start(self) -> Decided | None:
        """Get a turn under the limits and the intent onto the disk; or say why not."""
        limiter, scopes, rank = self.venue.limiter, self._request.scopes, priority(self.record.command)
        turn: Turn | float | None = limiter.take(self.account.name, scopes, rank)
        if turn is None:
            began = self._clock.boot_us()
            left_s = (self._not_after - self._journal.latest_us()) / 1e6
            turn = await limiter.wait(self.account.name, scopes, rank, PARK_S, left_s=left_s)
            self._metrics.rate_limit_wait(self.venue.name, (self._clock.boot_us() - began) / 1e6)
        if isinstance(turn, float):
            return self._park(turn)
        self._turn = turn
        now = self._journal.latest_us()
        if now >= self._not_after:
            return self._decide(self.record, DeadlinePassed("not_after has passed"))
        begun = begin(self.record, self.venue, now, self.venue.earliest_ms(now, self._clock))
        try:
            saved = await self._journal.save(begun, end=self.end or abandoned(self.record, now))
        except JournalUnavailable:
            again = Again(JOURNAL_RETRY_S, "internal_error", None, "the journal cannot be written")
            return or_end(self.record, again, self._not_after, now)
        if saved is None:
            return TakenOver()
        self._before, self.record, self._at, self.end = self.record, saved.record, saved.at, None
        return None

    def _park(self, again_s: float) -> Decided:
        """Come back when a place is likely, with a last try shortly before the deadline; if it is after that, end."""
        now = self._journal.latest_us()
        left_s = (self._not_after - now) / 1e6
        last_s = left_s - LAST_TRY_S
        if again_s < left_s and min(again_s, last_s) > 0:
            return Parked(min(again_s, last_s))
        again = Again(again_s, "rate_limited", None, "the venue's published limit")
        return or_end(self.record, again, self._not_after, now, tries=0)

    async def _send(self) -> Outcome | SendError:
        wall_us, boot_us = self._clock.now_us(), self._clock.boot_us()
        self._sent_us = self._status = None
        ends, turn = self._permit, self._turn

        def before_write() -> None:
            wall, boot = self._clock.now_us(), self._clock.boot_us()
            if boot >= ends.ends_us:
                raise DeadlinePassed("not_after has passed") if ends.final else NotSent("the intent to send is stale")
            if boot - boot_us > SIGNATURE_US or abs(wall - wall_us - (boot - boot_us)) > STEP_US:
                raise NotSent("the signature is stale")
            if turn is not None and not turn.leave():
                raise NotSent("the turn under the rate limit has passed")
            self._sent_us, self._wrote_us = self._journal.latest_us(), boot

        stamp = self.account.stamp(self.venue.clock.now_us(wall_us, boot_us))
        signed = self.account.sign(self._request, stamp)
        connect_s = max((ends.ends_us - boot_us) / 1e6, 0.001)
        with self._metrics.venue_request(self.venue.name, self._request.endpoint) as seen:
            try:
                response = await self._transport.send(
                    signed, timeout_s=self.venue.options.timeout_s, connect_s=connect_s, before_write=before_write
                )
            except SendError as error:
                seen.failed(error)
                self._metrics.venue_error(self.venue.name, self._request.endpoint, seen.code_class)
                if isinstance(error, NotSent):
                    self._sent_us = None
                return error
            seen.status = response.status
        self.answered = True
        if turn is not None:
            turn.answered()
        self._status = response.status
        self.venue.heard(response, self._wrote_us, self._clock, self._metrics)
        verdict = clean(self.venue.adapter.verdict(effective(self.record), response))
        if not isinstance(verdict, Accepted | Done):
            code = verdict.code if isinstance(verdict, Refused | Retry) else UNCLEAR
            self._metrics.venue_error(self.venue.name, self._request.endpoint, code)
        return verdict

    def _conclude(self, before: CommandRecord, seen: Outcome | SendError) -> Decided:
        """Note what the attempt came to. What proves that nothing was processed takes the attempt back."""
        now = self._journal.latest_us()
        venue_code = getattr(seen, "venue_code", None)
        message = str(seen) if isinstance(seen, SendError) else getattr(seen, "message", "")
        self.end = AttemptEnd(
            number=self.record.tries,
            began_us=self.record.began_us or now,
            at_us=now,
            outcome=type(seen).__name__,
            venue_code=venue_code,
            message=message,
            sent_us=self._sent_us,
            endpoint=self._request.endpoint,
            status=self._status,
        )
        if isinstance(seen, Retry) and seen.code == "rate_limited":
            self.venue.limiter.block(self.account.name, self._request.scopes, seen.after_s)
        if isinstance(seen, Refused) and seen.pause_s:
            self.venue.limiter.block(self.account.name, self._request.scopes, seen.pause_s, ban=True)
        if isinstance(seen, DeadlinePassed):  # says nothing of the venue: the cause before it stands
            venue_code, message = before.venue_code, before.message
        earlier = replace(
            self.record,
            attempts=before.attempts,
            venue_code=venue_code,
            message=message,
            unanswered=before.unanswered or isinstance(seen, MaybeSent | Unknown),
            order_id=self.record.order_id or (seen.order_id if isinstance(seen, Unknown) else None),
        )
        if isinstance(seen, NotSent | Retry) or self._sent_us is None:
            sent = {"first_sent_us": before.first_sent_us, "last_sent_us": before.last_sent_us}
            self.record = replace(earlier, **sent, sent_ms=before.sent_ms)
        else:
            first = before.first_sent_us or self._sent_us
            self.record = replace(
                earlier, attempts=before.attempts + 1, first_sent_us=first, last_sent_us=self._sent_us
            )
        decided = self._decide(earlier, seen)
        if isinstance(decided, Again):
            tried = {**self.record.tried, decided.code: self.record.tried.get(decided.code, 0) + 1}
            self.record = replace(self.record, code=decided.code, tried=tried)
        return decided

    def _decide(self, record: CommandRecord, seen: Outcome | SendError) -> Decision:
        return after_send(
            record, seen, repeatable=self._repeatable, not_after_us=self._not_after, now_us=self._journal.latest_us()
        )
