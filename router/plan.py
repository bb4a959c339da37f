"""Decide how a fresh command begins: refused, sent at once, waiting, or looked up first. Nothing is stored yet."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from router import answers
from router.answers import to_us
from router.attempt import begin, priority
from router.decision import MAX_TRIES
from router.delivery import Delivery
from router.intake import objection
from router.job import Job
from router.ports import Clock, Journal
from router.venue import Venue
from router.venue_protocol import Refused, Request
from schemas.commands import Cancel, Close
from schemas.results import ReasonCode, Result

SENDER_CLOCK_US = 60_000_000
YOUNG_US = 1_500_000
"""A journal no older than this when we start was made by this start."""
LEASE_US = 5_000_000
"""How long an admitted command that waits for a place under a limit is left to this process."""


class Plan(Struct, frozen=True, kw_only=True):
    """The job to admit. With `result` it is answered already; with `before` its first attempt is admitted with it.

    `before` is the job as it was before that attempt, `request` what it sends. `early`: repeating it is harmless, so it
    need not wait for the disk.
    """

    job: Job
    before: Job | None = None
    request: Request | None = None
    result: Result | None = None
    early: bool = False


def refuse(fresh: Job, code: ReasonCode, message: str, now_us: int) -> Plan:
    """Plan a refusal of our own."""
    job, result = answers.refused(fresh, code, message, now_us)
    return Plan(job=job, result=result)


class Planner:
    """Plans by the venues as configured."""

    def __init__(self, venues: Mapping[str, Venue], journal: Journal, clock: Clock, *, max_horizon_s: float) -> None:
        self._venues = venues
        self._journal = journal
        self._clock = clock
        self._max_horizon_s = max_horizon_s
        self._began_us = clock.now_us()

    def plan(self, delivery: Delivery, fresh: Job) -> Plan:
        """Plan a fresh command; a place under the venue's limits is taken if there is one."""
        now = self._clock.now_us()
        command = fresh.command
        against = objection(delivery, command, self._venues, self._max_horizon_s, now)
        sent = self.may_have_been_sent(delivery, fresh)
        if against is not None and against.code == "expired" and (sent or fresh.attempts):
            return self._look(delivery, fresh, now)
        if against is not None:
            return refuse(fresh, against.code, against.message, now)
        venue = self._venues[command.venue]
        if isinstance(command, Cancel) and command.order_id is None:
            return Plan(job=replace(fresh, step="find", next_us=now))
        request = venue.exchange.request(command, fresh.client_order_id)
        if isinstance(request, Refused):
            job, result = answers.settled(fresh, request, "router", now)
            return Plan(job=job, result=result)
        if command.dry_run:
            account = venue.accounts[command.account]
            account.sign(request, account.stamp(now))
            job, result = answers.dry(fresh, now)
            return Plan(job=job, result=result)
        if isinstance(command, Close):
            fresh = replace(fresh, position=venue.exchange.position(command))
            if sent:
                return self._look(delivery, fresh, now)
        if venue.exchange.repeatable(command) and delivery.redelivered and not fresh.attempts:
            # An early send whose row was lost: a refusal of the repeat says nothing of the first.
            first = delivery.sent_us or now
            fresh = replace(fresh, attempts=1, first_sent_us=first, last_sent_us=now, unanswered=True)
        if fresh.tries >= MAX_TRIES:
            return self._look(delivery, fresh, now)
        return self._send(fresh, venue, request, now)

    def _look(self, delivery: Delivery, fresh: Job, now: int) -> Plan:
        """Begin with a look: an earlier send may have been executed."""
        issued_at = fresh.command.issued_at
        said = delivery.sent_us or (to_us(issued_at) if issued_at else now)
        # It was sent after its sender said it, by a clock that may be ahead of every other.
        first = fresh.first_sent_us or said - SENDER_CLOCK_US
        last = fresh.last_sent_us or now
        job = replace(fresh, step="look", next_us=now, first_sent_us=first, last_sent_us=last, unanswered=True)
        return Plan(job=job)

    def _send(self, fresh: Job, venue: Venue, request: Request, now: int) -> Plan:
        early = venue.exchange.repeatable(fresh.command)
        if not venue.limiter.take(fresh.command.account, request.scopes, priority(fresh.command)):
            return Plan(job=replace(fresh, step="send", next_us=now + LEASE_US), early=early)
        return Plan(job=begin(fresh, venue, now), before=fresh, request=request, early=early)

    def may_have_been_sent(self, delivery: Delivery, fresh: Job) -> bool:
        """Say whether a close without a row may have been sent under a journal that was lost (design, section 5)."""
        command = fresh.command
        if not isinstance(command, Close) or (self._journal.first_epoch and not delivery.redelivered):
            return False
        sent_us = delivery.sent_us or (to_us(command.issued_at) if command.issued_at else None)
        if sent_us is None:
            # Nobody says how old it is. Only a journal that began with this process can have missed it.
            return self._journal.epoch_us > self._began_us - YOUNG_US or not self._journal.first_epoch
        return sent_us < self._journal.epoch_us
