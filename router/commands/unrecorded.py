"""Plain cancels do not need the journal: they wait a moment for their commit, then leave (contract, section 2)."""

import asyncio
from collections import OrderedDict
from typing import Final

import structlog
from msgspec.structs import replace

from router.clock import to_us
from router.commands import answers
from router.commands.conclude import Concluded
from router.commands.dispatch import Dispatcher
from router.commands.late_journal import LateJournal, Superseded
from router.commands.plan import Plan
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Clock, Journal
from router.records.command import Admission, Admitted, CommandRecord, Moment
from router.records.delivery import Delivery
from schemas.codec import digest
from schemas.commands import Cancel, Command
from schemas.ids import result_id
from schemas.results import Result

_log = structlog.get_logger(__name__)
RETRY_S: Final = 1.0
KEPT: Final = 10_000
WAIT_S: Final = 0.05
"""How long a cancel waits for its commit."""

__all__ = ["Superseded", "Unrecorded"]


class Unrecorded:
    """The way of a cancel whose row is not on disk when it leaves."""

    def __init__(self, dispatcher: Dispatcher, journal: Journal, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._journal = journal
        self._clock = clock
        self._answered: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._settling: set[asyncio.Task[None]] = set()

    def may_have_sent(self, fresh: CommandRecord, delivery: Delivery) -> bool:
        """Say whether a cancel of that id may have left before without a row."""
        return delivery.redelivered or (fresh.sender, fresh.command_id) in self._answered

    def remember(self, concluded: Concluded) -> None:
        """Keep what was answered without a row; should there be one after all, it is settled by that."""
        record = concluded.record
        self._answered[record.sender, record.command_id] = None
        if len(self._answered) > KEPT:
            self._answered.popitem(last=False)
        key = (record.sender, record.command_id)
        task = asyncio.create_task(self._settle_row(concluded), name=f"settle {record.command_id}")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        # Its row, if it has one, is due: nobody here is to send it once more before it is settled.
        self._dispatcher.sending.add(key)
        task.add_done_callback(lambda _: self._dispatcher.sending.discard(key))

    async def _settle_row(self, concluded: Concluded) -> None:
        """Wait for the journal, and store the answer if an admission that was given up was committed all the same."""
        record, result = concluded.record, concluded.result
        while result is not None:
            try:
                known = await self._journal.load(record.sender, record.command_id) if self._journal.writable else record
            except (JournalUnavailable, UnreadableRow) as error:
                _log.info("a row is not settled yet", command_id=record.command_id, error=str(error))
                known = record
            if known is not record:
                if known is not None and known.state == "open" and digest(known.command) == digest(record.command):
                    seq = known.seq + 1
                    answer = replace(result, seq=seq, result_id=result_id(record.sender, record.command_id, seq))
                    settled = replace(record, version=known.version, received_us=known.received_us, seq=seq)
                    await self._dispatcher.store(settled, result=answer)
                return
            await self._clock.sleep(RETRY_S)

    def suits(self, command: Command) -> bool:
        """Say whether a command is a plain cancel: by order id, and answered as soon as the venue has answered."""
        return (
            isinstance(command, Cancel)
            and command.order_id is not None
            and not command.await_final
            and not command.dry_run
        )

    async def committed(self, admitting: "asyncio.Task[Admission]") -> bool:
        """Wait a moment for a commit, and say whether it was made. One that fails later is nobody's concern."""
        admitting.add_done_callback(lambda task: task.cancelled() or task.exception())
        if not (await asyncio.wait({admitting}, timeout=WAIT_S))[0]:
            return False
        error = admitting.exception()
        if error is not None and not isinstance(error, JournalUnavailable | UnreadableRow):
            raise error
        return error is None

    async def run(self, plan: Plan, admitting: "asyncio.Task[Admission] | None") -> Concluded | None:
        """Send a cancel and return its answer: stored, or if it has no `outgoing`, for its sender alone to hear.

        Raises `Superseded` when it turns out to have a row from before. `None`: somebody else goes on with its row.
        """
        late = LateJournal(self._journal, admitting, self._clock)
        dispatcher = self._dispatcher.on(late)
        concluded: Concluded | None
        if plan.result is not None:
            concluded = await self._refuse(plan.record, plan.result, late)
        elif plan.intent is None and plan.record.step == "look":
            concluded = await dispatcher.look(plan.record, dispatcher.sweep())
        else:
            at = Moment(self._clock.boot_us(), self._journal.latest_us())
            concluded = await dispatcher.send(plan.record, plan.intent and replace(plan.intent, at=at))
        while concluded is not None and not late.recorded:
            if _is_unproven(concluded, plan):
                concluded = await self._look(dispatcher, concluded.record)
            elif _is_final(concluded):
                break
            else:
                concluded = await self._go_on(dispatcher, concluded.record)
        return concluded

    async def _refuse(self, record: CommandRecord, result: Result, late: LateJournal) -> Concluded:
        """Return a refusal: as it was stored with the row, or for its sender alone. Raises `Superseded`."""
        admission = await late.admission(record)
        if admission is not None and not isinstance(admission, Admitted):
            raise Superseded(admission)
        late.recorded = admission is not None
        return Concluded(admission.record, admission.outgoing, result) if admission else Concluded(record, (), result)

    async def _look(self, dispatcher: Dispatcher, record: CommandRecord) -> Concluded | None:
        """Look before a cancel without a row is refused: the same may have been published before, and have worked."""
        now = self._journal.latest_us()
        sent = {
            "attempts": max(record.attempts, 1),
            "tries": max(record.tries, 1),
            "last_sent_us": record.last_sent_us or now,
        }
        open_again = replace(record, state="open", step="look", outcome=None, unanswered=True, seq=0, **sent)
        return await dispatcher.look(open_again, dispatcher.sweep())

    async def _go_on(self, dispatcher: Dispatcher, record: CommandRecord) -> Concluded | None:
        """Make the next turn of a cancel that has no row. At its deadline it is given up."""
        now = self._journal.latest_us()
        left_us = to_us(record.command.not_after) - now
        if left_us <= 0:
            if record.attempts or record.unanswered:
                record, result = answers.unresolved(record, record.message or "the venue has not answered", now)
            else:
                record, result = answers.refused(record, record.code or "expired", "not_after has passed", now)
            return await dispatcher.store(record, result=result)
        await self._clock.sleep(max(min((record.next_us or now) - now, left_us), 0) / 1e6)
        if record.step == "look":
            return await dispatcher.look(record, dispatcher.sweep())
        return await dispatcher.send(record)


def _is_unproven(concluded: Concluded, plan: Plan) -> bool:
    """Say whether a refusal may speak of a cancel that has worked already: no look has shown its order."""
    result = concluded.result
    if result is None or result.outcome != "rejected" or result.evidence == "query":
        return False
    return plan.result is None or (result.reason is not None and result.reason.code == "expired")


def _is_final(concluded: Concluded) -> bool:
    return concluded.result is not None and concluded.result.final
