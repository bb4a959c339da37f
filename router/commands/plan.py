"""Decide how a fresh command begins: refused, sent at once, waiting, or looked up first. Nothing is stored yet."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from router.access.configured import Venue
from router.clock import to_us
from router.commands import answers
from router.commands.attempt import SEND_BY_US, Intent, begin, priority
from router.commands.intake import objection
from router.ports import Clock, JournalClock
from router.records.command import CommandRecord
from router.records.delivery import Delivery
from router.venue_protocol import NoParams, Refused, read_params
from schemas.commands import Cancel, Close
from schemas.results import ReasonCode, Result

LEASE_US: Final = 5_000_000
"""How long an admitted command that waits for a turn under a limit is left to this process."""


class Plan(Struct, frozen=True, kw_only=True):
    """The command to admit. With `result` it is answered already, with `intent` its first attempt goes with it."""

    record: CommandRecord
    intent: Intent | None = None
    result: Result | None = None


def refuse(fresh: CommandRecord, code: ReasonCode, message: str, now_us: int) -> Plan:
    """Plan a refusal of our own."""
    record, result = answers.refused(fresh, code, message, now_us)
    return Plan(record=record, result=result)


def as_lost(plan: Plan, now_us: int) -> Plan:
    """Return the plan of a command that was sent, and whose row is gone: it begins with a look."""
    record = replace(
        plan.record,
        step="look",
        next_us=now_us,
        began_us=None,
        tries=max(plan.record.tries, 1),
        attempts=max(plan.record.attempts, 1),
        first_sent_us=plan.record.first_sent_us or now_us,
        last_sent_us=now_us,
        unanswered=True,
        admitted_us=now_us,
    )
    return Plan(record=record)


class Planner:
    """Plans by the venues as configured."""

    def __init__(
        self, venues: Mapping[str, Venue], journal: JournalClock, clock: Clock, *, max_horizon_s: float
    ) -> None:
        self._venues = venues
        self._journal = journal
        self._clock = clock
        self._max_horizon_us = int(max_horizon_s * 1e6)

    def plan(self, delivery: Delivery, fresh: CommandRecord, *, again: bool = False) -> Plan:
        """Plan a fresh command; a turn under the venue's limits is taken if there is one.

        `again`: a cancel of that id may have left before, so a refusal of this one says nothing of that one.
        """
        now = self._journal.latest_us()
        fresh = replace(fresh, admitted_us=now)
        command = fresh.command
        may_be_lost = not command.dry_run and self.may_be_lost()
        lost = may_be_lost and isinstance(command, Close)
        again = again or (may_be_lost and isinstance(command, Cancel))
        against = objection(delivery, command, self._venues, self._max_horizon_us, now)
        if against is not None and not ((lost or again) and against.code == "expired"):
            return refuse(fresh, against.code, against.message, now)
        venue = self._venues[command.venue]
        if again:
            first = delivery.sent_us or now
            fresh = replace(fresh, attempts=1, first_sent_us=first, last_sent_us=now, unanswered=True)
        if isinstance(command, Cancel) and command.order_id is None:
            return self._find(fresh, venue, now)
        request = venue.adapter.request(command, fresh.client_order_id)
        if isinstance(request, Refused):
            record, result = answers.settled(fresh, request, "router", now)
            return Plan(record=record, result=result)
        if command.dry_run:
            account = venue.accounts[command.account]
            account.sign(request, account.stamp(venue.time_us(self._clock)))
            record, result = answers.dry(fresh, now)
            return Plan(record=record, result=result)
        if isinstance(command, Close):
            fresh = replace(fresh, position=venue.adapter.position(command))
        if lost:
            return self._look(fresh, now)
        if again and against is not None:
            return Plan(record=replace(fresh, tries=1, step="look", next_us=now))
        turn = venue.limiter.take(command.account, request.scopes, priority(command))
        if turn is None:
            return Plan(record=replace(fresh, step="send", next_us=now + LEASE_US))
        record = begin(fresh, venue, now, venue.earliest_ms(now, self._clock))
        return Plan(record=record, intent=Intent(fresh, request, turn))

    def may_be_lost(self) -> bool:
        """Say whether a close without a row may have been sent all the same (router/README.md, section 6).

        A journal that was put back has forgotten what it admitted last. That has expired once the longest deadline of
        a command has passed since.
        """
        journal = self._journal
        return not journal.first_epoch and journal.earliest_us() < journal.epoch_us + self._max_horizon_us + SEND_BY_US

    def _find(self, fresh: CommandRecord, venue: Venue, now: int) -> Plan:
        """Begin by finding the order of the targeted close. `params` that the venue does not take are refused now."""
        params = read_params(fresh.command.params, venue.adapter.params_types.get("cancel", NoParams), "cancel")
        if isinstance(params, Refused):
            return refuse(fresh, params.code, params.message, now)
        return Plan(record=replace(fresh, step="find", next_us=now))

    def _look(self, fresh: CommandRecord, now: int) -> Plan:
        """Begin with a look: an earlier send may have been executed, at the latest right after the epoch began."""
        first = min(now, to_us(fresh.command.not_after)) - self._max_horizon_us
        record = replace(fresh, step="look", next_us=now, unanswered=True, sent_ms=first // 1000)
        return Plan(record=replace(record, first_sent_us=first, last_sent_us=self._journal.epoch_us + SEND_BY_US))
