"""Store the end of a turn, and what its sender hears. Whoever comes second stores nothing and answers nothing."""

from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from router.clock import to_us
from router.commands import answers
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Clock, CommandJournal
from router.records.command import AttemptEnd, CommandRecord, Outgoing
from router.telemetry import Metrics, doubted, final, needs_operator
from router.venue_protocol import Accepted, Done, Refused
from schemas.commands import Cancel
from schemas.results import Evidence, Result

WATCH_US = 1_000_000
JOURNAL_RETRY_S = 0.5

CANCEL_SHOWS_US: Final = 10_000_000
"""So soon after it was sent a cancel shows in the feed, if it worked."""

_log = structlog.get_logger(__name__)


class Concluded(Struct, frozen=True):
    """What a turn stored. `outgoing` is empty when the command was parked."""

    record: CommandRecord
    outgoing: tuple[Outgoing, ...] = ()
    result: Result | None = None


class Concluder:
    """Stores how commands end. `on_parked` hears when one is due again, `on_answered` that one has a result on disk."""

    def __init__(self, journal: CommandJournal, clock: Clock, metrics: Metrics) -> None:
        self.on_parked: Callable[[int], None] = lambda _: None
        self.on_answered: Callable[[CommandRecord], None] = lambda _: None
        self._journal = journal
        self._clock = clock
        self._metrics = metrics

    async def settle_by_event(self, record: CommandRecord, outcome: Accepted | Done | Refused) -> Concluded | None:
        """Settle a command in doubt, or a cancel that watches its order, by what the venue's feed told of the order.

        `None`: it is being sent, or somebody else was first; nothing was stored.
        """
        if record.state == "final":
            # An order that ends much later was ended by somebody else, which contradicts no refused cancel.
            long_ago = self._journal.latest_us() - (record.last_sent_us or 0) > CANCEL_SHOWS_US
            ended_by_others = isinstance(record.command, Cancel) and long_ago
            return None if ended_by_others else await self.contradicted(record, outcome)
        if record.state == "open" and record.step != "await":
            return None
        return await self.settle(record, outcome, "stream")

    async def settle(
        self,
        record: CommandRecord,
        outcome: Accepted | Done | Refused,
        evidence: Evidence,
        *,
        end: AttemptEnd | None = None,
    ) -> Concluded | None:
        """Answer for good; or, for a cancel that waits for proof, go on watching its order."""
        now = self._journal.latest_us()
        command = record.command
        awaits = isinstance(command, Cancel) and command.await_final and isinstance(outcome, Accepted)
        if awaits and now < to_us(command.not_after):
            record = replace(record, order=outcome.order or record.order, step="await")
            return await self.store(replace(record, next_us=min(now + WATCH_US, to_us(command.not_after))), end=end)
        record, result = answers.settled(record, outcome, evidence, now)
        if isinstance(outcome, Refused) and outcome.alert:
            needs_operator(self._metrics, result)
        return await self.store(record, end=end, result=result)

    async def settle_late(self, record: CommandRecord, outcome: Accepted | Done | Refused) -> Concluded | None:
        """Use an answer that came after somebody else took the command up, if the command is still in doubt.

        A refusal is used only if no other attempt was begun since: it speaks of its own request alone.
        """
        while True:
            known = await self._known(record)
            if known is None or (isinstance(outcome, Refused) and known.tries != record.tries):
                return None
            if known.state == "final":
                return await self.contradicted(known, outcome)
            sent = {"attempts": max(known.attempts, record.attempts), "first_sent_us": record.first_sent_us}
            concluded = await self.settle(replace(known, **sent), outcome, "response")
            if concluded is not None:
                return concluded

    async def contradicted(self, record: CommandRecord, outcome: Accepted | Done | Refused) -> Concluded | None:
        """Tell what contradicts a final answer: it was executed, and its sender heard `rejected`.

        One more result follows. `None`: there is no contradiction, or somebody else has told of it.
        """
        if record.state != "final" or record.outcome != "rejected" or not record.tries or isinstance(outcome, Refused):
            return None
        venue, account = record.command.venue, record.command.account
        _log.error("contradiction", venue=venue, account=account, command_id=record.command_id, sender=record.sender)
        record, result = answers.settled(record, outcome, "stream", self._journal.latest_us())
        concluded = await self.store(record, result=result)
        if concluded is not None:
            self._metrics.contradiction(venue)
            message = "it was executed, and its sender had heard `rejected`"
            self._metrics.alerts.raised("contradiction", venue, account, command_id=record.command_id, message=message)
        return concluded

    async def _known(self, record: CommandRecord) -> CommandRecord | None:
        while True:
            try:
                return await self._journal.load(record.sender, record.command_id)
            except UnreadableRow:
                return None
            except JournalUnavailable:
                await self._clock.sleep(JOURNAL_RETRY_S)

    async def store(
        self, record: CommandRecord, *, end: AttemptEnd | None = None, result: Result | None = None
    ) -> Concluded | None:
        """Store the end of a turn, however long the journal takes to come back. `None`: somebody else was first."""
        while True:
            try:
                saved = await self._journal.save(record, end=end, result=result)
                break
            except JournalUnavailable as error:
                _log.warning("an answer waits for the journal", command_id=record.command_id, error=str(error))
                await self._clock.sleep(JOURNAL_RETRY_S)
        if saved is None:
            return None
        stored = saved.record
        if stored.next_us is not None:
            self.on_parked(stored.next_us)
            if result is None and stored.step == "send":
                self._journal.note(record.sender, record.command_id, "parked", f"because of {stored.code or 'a limit'}")
        if result is not None:
            self.on_answered(stored)
            if result.final:
                final(self._metrics, result, record.sender)
            else:
                doubted(result, record.sender)
        return Concluded(stored, saved.outgoing, result)


def owes_doubt(record: CommandRecord, now: int) -> bool:
    """Return true if `in_doubt` must be published now: once, and not while the sender awaits the end."""
    command = record.command
    awaits = isinstance(command, Cancel) and command.await_final and now < to_us(command.not_after)
    return record.state == "open" and not awaits
