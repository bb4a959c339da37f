"""Decide how a fresh command begins: refused, sent at once, waiting, or looked up first. Nothing is stored yet."""

import secrets
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from router import answers
from router.answers import to_us
from router.attempt import begin, priority
from router.delivery import Delivery
from router.exchange import Refused, Request
from router.intake import objection
from router.job import AttemptStart, Job
from router.ports import Clock, Journal
from router.venue import Venue
from schemas.commands import Cancel, Close
from schemas.results import ReasonCode, Result

LEASE_US = 5_000_000
"""How long an admitted command that waits for a place under a limit is left to this process."""


class Plan(Struct, frozen=True, kw_only=True):
    """The job to admit. With `result` it is answered already; with `start` its first attempt is admitted with it.

    `early`: repeating it is harmless, so it need not wait for the disk.
    """

    job: Job
    start: AttemptStart | None = None
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

    def plan(self, delivery: Delivery, fresh: Job, *, may_send: bool = True) -> Plan:
        """Plan a fresh command; a place under the venue's limits is taken if there is one and it may be sent."""
        now = self._clock.now_us()
        command = fresh.command
        against = objection(delivery, command, self._venues, self._max_horizon_s, now)
        lost = isinstance(command, Close) and self._may_be_known_to_a_lost_journal(delivery, command)
        if against is not None and against.code == "expired" and (lost or fresh.attempts):
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
            account.sign(request, account.stamp(now, secrets.token_hex(16)))
            job, result = answers.dry(fresh, now)
            return Plan(job=job, result=result)
        if isinstance(command, Close):
            fresh = replace(fresh, position=venue.exchange.position(command))
            if lost:
                return self._look(delivery, fresh, now)
        return self._send(fresh, venue, request, now) if may_send else Plan(job=fresh)

    def _look(self, delivery: Delivery, fresh: Job, now: int) -> Plan:
        """Begin with a look: an earlier send may have been executed."""
        issued_at = fresh.command.issued_at
        first = fresh.first_sent_us or delivery.sent_us or (to_us(issued_at) if issued_at else now)
        last = fresh.last_sent_us or now
        return Plan(job=replace(fresh, step="look", next_us=now, first_sent_us=first, last_sent_us=last))

    def _send(self, fresh: Job, venue: Venue, request: Request, now: int) -> Plan:
        early = venue.exchange.repeatable(fresh.command)
        if not venue.limiter.take(fresh.command.account, request.scopes, priority(fresh.command)):
            return Plan(job=replace(fresh, step="send", next_us=now + LEASE_US), early=early)
        job, start = begin(fresh, venue, now)
        return Plan(job=job, start=start, early=early)

    def _may_be_known_to_a_lost_journal(self, delivery: Delivery, command: Close) -> bool:
        """Say whether an earlier journal may have sent this close already (design, section 5)."""
        if self._journal.first_epoch and not delivery.redelivered:
            return False
        sent_us = delivery.sent_us or (to_us(command.issued_at) if command.issued_at else None)
        return sent_us is not None and sent_us < self._journal.epoch_us
