"""The failure table: what follows from one attempt, and from one look. One table for all venues, and pure.

    seen                                        repeatable            not repeatable
    NotSent                                     again                 again
    Retry: the venue did not process it         again after its hint  again after its hint
    MaybeSent, Unknown                          again, then look      in doubt
    Look                                        look                  look
    Refused after a send that may have arrived  look                  look
    tries or time used up                       in doubt if anything may have been sent, else refused

Nothing goes again after the deadline, and nothing is called refused while an earlier send may have been executed.
"""

from msgspec import Struct
from msgspec.structs import replace

from router.errors import DeadlinePassed, MaybeSent, NotSent, SendError
from router.records.command import CommandRecord
from router.venue_protocol import Absent, Accepted, Done, Look, LookOutcome, Outcome, Refused, Retry, Unknown, Working
from schemas.commands import Cancel, Close
from schemas.results import ReasonCode

MAX_TRIES = 10
STILL_WORKING = "still_working"
"""The reason of a cancel's tries that were taken and changed nothing."""
MAX_BLIND_SENDS = 3
"""A repeatable request goes out this often without an answer before a look is worth more than another send."""

BACKOFF_S = 0.2
MAX_BACKOFF_S = 15.0
LOOK_BACKOFF_S = 0.5
MAX_LOOK_BACKOFF_S = 30.0
FRESH_LOOKS = 2
"""Looks after quarantine that must see nothing before nothing is what happened, or fail before giving up."""

LATE_LOOK_S = 300.0
DENIED_LOOK_S = 30.0
"""How long a lookup waits that the venue refuses to answer with this key."""


class Settle(Struct, frozen=True):
    """Answer for good."""

    outcome: Accepted | Done | Refused


class Again(Struct, frozen=True):
    """Send again after `after_s`; `code`, `venue_code` and `message` are why."""

    after_s: float
    code: ReasonCode
    venue_code: str | None = None
    message: str = ""


class LookNow(Struct, frozen=True):
    """Only a read can tell."""

    venue_code: str | None = None
    message: str = ""


class Doubt(Struct, frozen=True):
    """Answer `in_doubt` and keep asking."""

    venue_code: str | None = None
    message: str = ""


class LookLater(Struct, frozen=True):
    """Nothing is proven yet. `fresh` when this look was after quarantine, `absent` when it then saw nothing.

    `seen` when it saw something that may be it.
    """

    at_us: int
    fresh: bool = False
    absent: bool = False
    seen: bool = False


class GiveUp(Struct, frozen=True):
    """The venue cannot tell either."""

    message: str


Decision = Settle | Again | LookNow | Doubt
Finding = Settle | Again | LookLater | GiveUp


def after_send(
    record: CommandRecord, seen: Outcome | SendError, *, repeatable: bool, not_after_us: int, now_us: int
) -> Decision:
    """Decide after an attempt. `record.attempts` does not count this attempt yet, `record.tries` does."""
    match seen:
        case Accepted() | Done():
            return Settle(seen)
        case Refused():
            # A refusal speaks of this request only. An earlier one may have been executed.
            return LookNow(seen.venue_code, seen.message) if record.attempts else Settle(seen)
        case Look():
            return LookNow(seen.venue_code, seen.message)
        case Retry():
            again = Again(max(seen.after_s, _backoff_s(record)), seen.code, seen.venue_code, seen.message)
            return or_end(record, again, not_after_us, now_us, tries=seen.tries)
        case DeadlinePassed():
            again = Again(0.0, record.code or "expired", record.venue_code, record.message or str(seen))
            return or_end(record, again, not_after_us, now_us, tries=0)
        case NotSent():
            again = Again(_backoff_s(record), "venue_unavailable", None, str(seen))
            return or_end(record, again, not_after_us, now_us, tries=MAX_TRIES - 1)
        case Unknown() | MaybeSent():
            code = seen.venue_code if isinstance(seen, Unknown) else None
            message = seen.message if isinstance(seen, Unknown) else str(seen)
            if not repeatable:
                return Doubt(code, message)
            if record.attempts + 1 >= MAX_BLIND_SENDS:
                return LookNow(code, message)
            again = Again(_backoff_s(record), "timeout", code, message)
            return or_end(
                replace(record, attempts=record.attempts + 1), again, not_after_us, now_us, tries=MAX_TRIES - 1
            )
        case _:
            return Doubt(None, type(seen).__name__)


def or_end(
    record: CommandRecord, again: Again, not_after_us: int, now_us: int, *, tries: int | None = None
) -> Again | Doubt | Settle:
    """Go again, unless time is used up, or the tries that this reason may cost: `tries` more than the first."""
    late = now_us + int(again.after_s * 1e6) >= not_after_us
    if not late and (tries is None or record.tried.get(again.code, 0) < tries):
        return again
    if record.attempts:
        return Doubt(again.venue_code, again.message)
    message = again.message or again.code
    if late and again.code != "expired":
        message = f"{message}; no time left before not_after"
    alert = again.code in {"auth_failed", "account_restricted", "clock_skew"}
    return Settle(Refused(code=again.code, venue_code=again.venue_code, message=message, alert=alert))


def _backoff_s(record: CommandRecord) -> float:
    return min(BACKOFF_S * 2.0 ** max(record.tries - 1, 0), MAX_BACKOFF_S)


class Times(Struct, frozen=True, kw_only=True):
    """What a look is judged by, microseconds of the journal's clock.

    `looked_us` is when it began at the earliest, `sent_us` when the last request may have left at the latest. Until
    `quarantine_us` later a negative answer proves nothing.
    """

    looked_us: int
    sent_us: int
    not_after_us: int
    quarantine_us: int
    resolve_for_us: int

    @property
    def fresh(self) -> bool:
        """Whether the look began after quarantine."""
        return self.looked_us >= self.sent_us + self.quarantine_us


def after_look(record: CommandRecord, seen: LookOutcome, times: Times) -> Finding:
    """Decide after a look."""
    whole = not isinstance(seen, Unknown) or seen.whole
    later = LookLater(_next_look_us(record, times), times.fresh and whole, seen=_saw(seen))
    proven = times.fresh and record.absences + 1 >= FRESH_LOOKS
    match seen:
        case Done() if isinstance(record.command, Close) and record.unanswered and not proven:
            # A position that one read shows as flat: the read may be stale, and our request still on its way.
            return replace(later, absent=times.fresh, seen=True)
        case Accepted() | Done():
            return Settle(seen)
        case Refused():
            # The venue's own words for the request, if it answered; not ours for an answer that was lost.
            words = seen.message or (record.message if record.venue_code else "") or "as the venue shows it"
            return Settle(replace(seen, message=words, venue_code=seen.venue_code or record.venue_code))
        case Working() if _may_cancel_again(record, times):
            return Again(0.0 if record.tries <= 1 else _backoff_s(record), "timeout", None, "the order still works")
        case Working() | Absent() if isinstance(seen, Working) or not (record.order or record.seen):
            if proven:
                untried = not record.tries and times.looked_us < times.not_after_us
                return Again(0.0, "timeout") if untried else Settle(_never(record, seen))
            return replace(later, absent=times.fresh)
        case _:
            # Unknown; or an order that was seen before and is not now: that it never was is no longer possible.
            if record.state == "unresolved":
                return LookLater(times.looked_us + int(LATE_LOOK_S * 1e6), seen=_saw(seen))
            denied = isinstance(seen, Unknown) and seen.denied
            over = times.looked_us >= _doubted_us(record) + times.resolve_for_us
            if over and (denied or record.looks >= FRESH_LOOKS):
                return GiveUp(getattr(seen, "message", "") or "the venue cannot tell")
            if denied:
                # The key is refused: asking again changes nothing before somebody mends it.
                return replace(later, at_us=max(later.at_us, times.looked_us + int(DENIED_LOOK_S * 1e6)))
            return later


def _may_cancel_again(record: CommandRecord, times: Times) -> bool:
    """Tries that other reasons have cost do not count."""
    in_time = isinstance(record.command, Cancel) and times.looked_us < times.not_after_us
    return in_time and record.tried.get(STILL_WORKING, 0) < MAX_TRIES - 1


def _saw(seen: LookOutcome) -> bool:
    return isinstance(seen, Unknown) and seen.seen


def _never(record: CommandRecord, seen: Absent | Working) -> Refused:
    """Nothing was seen after quarantine, often enough: it was not executed."""
    if isinstance(seen, Working):
        return Refused(code="venue_unavailable", message="the cancel did not take effect", order=seen.order)
    if isinstance(record.command, Cancel):
        return Refused(code="order_not_found", venue_code=record.venue_code, message=seen.message)
    return Refused(code="venue_unavailable", venue_code=record.venue_code, message=seen.message or "no trace of it")


def _doubted_us(record: CommandRecord) -> int:
    return record.doubt_us or record.last_sent_us or record.admitted_us


def _next_look_us(record: CommandRecord, times: Times) -> int:
    """Back off, but wake when quarantine ends, at the deadline, and when it is time to give up."""
    pause_s = min(LOOK_BACKOFF_S * 2.0 ** min(record.rounds, 10), MAX_LOOK_BACKOFF_S)
    give_up_us = _doubted_us(record) + times.resolve_for_us
    wakes = (times.sent_us + times.quarantine_us, give_up_us, times.not_after_us)
    return min([times.looked_us + int(pause_s * 1e6), *(wake for wake in wakes if wake > times.looked_us)])
