"""One delivery: decode, authorise, admit, dispatch, acknowledge; the answer is on disk by then and goes its own way.

Every command runs in a task of our own, keyed by sender and command id: a broker connection that dies cuts no request
to a venue, and a redelivery of what is running only changes which delivery is acknowledged in the end.

Nothing here decides what happened at a venue (`router.commands.decision`) or remembers it (the journal).
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog
from msgspec.structs import replace

from router import crash_points
from router.clock import to_us
from router.commands import answers
from router.commands.dispatch import BUSY, Dispatcher
from router.commands.intake import fresh_record, may_reply, unauthorized
from router.commands.late_journal import Superseded
from router.commands.overdue import Overdue
from router.commands.plan import Plan, Planner, as_lost, refuse
from router.commands.refusals import Refusals, echo, quietly
from router.commands.relay import ResultRelay
from router.commands.running import Running
from router.commands.suspects import Suspects
from router.commands.unrecorded import Unrecorded
from router.commands.without_journal import ANSWER_BY_US, WithoutJournal
from router.config import SenderPolicy
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Clock, Journal
from router.records.command import (
    Admission,
    Admitted,
    Busy,
    CommandRecord,
    Joined,
    Repeat,
    Reused,
    TooLate,
    action,
)
from router.records.delivery import Delivery
from router.telemetry import Metrics, final
from schemas.codec import Undecodable, decode_command, digest

DEFECTS: Final = 3
"""So often a message is tried whose handling raises; then it is refused and dead-lettered (contract, section 4)."""
DEFECTIVE: Final = "the router failed over this message too often"
RETRY_S: Final = 0.5
CANCELS: Final = (".cancel", ".cancel_all")

_log = structlog.get_logger(__name__)


class Worker:
    """Turns deliveries into answered, acknowledged commands."""

    def __init__(
        self,
        *,
        planner: Planner,
        dispatcher: Dispatcher,
        journal: Journal,
        relay: ResultRelay,
        overdue: Overdue,
        suspects: Suspects,
        refusals: Refusals,
        clock: Clock,
        metrics: Metrics,
        senders: Mapping[str, SenderPolicy],
        cancel_without_journal: bool = True,
    ) -> None:
        self._planner = planner
        self._dispatcher = dispatcher
        self._journal = journal
        self._relay = relay
        self._overdue = overdue
        self._suspects = suspects
        self._refusals = refusals
        self._clock = clock
        self._metrics = metrics
        self._senders = senders
        self._unrecorded = Unrecorded(dispatcher, journal, clock) if cancel_without_journal else None
        self._without_journal = WithoutJournal(journal, planner, relay, metrics)
        self._running: dict[tuple[str, str], Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        dispatcher.on_answered = overdue.answered

    def take(self, delivery: Delivery) -> None:
        """Start on a delivery, in a task of our own."""
        task = asyncio.create_task(self._guard(Running(delivery)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> int:
        """Finish what has begun and return how many were left unfinished; the journal knows where they stand."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = [*self._tasks, *self._without_journal.tasks]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    async def _guard(self, running: Running) -> None:
        """Keep the worker alive: a defect costs this message one of its tries, and nobody else anything."""
        for number in range(1, DEFECTS + 1):
            try:
                return await self._deliver(running, refused=number == DEFECTS)
            except (Exception, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                    raise  # we are being drained; one that a library let slip is a defect like any other
                self._metrics.failed()
                _log.exception("a delivery failed", error=type(error).__name__, tries=number)
            await self._clock.sleep(0.1 * 2**number)
        _log.error("a message cannot even be refused: the broker dead-letters it")
        for delivery in running.deliveries:
            self._refusals.buried("internal_error", delivery, DEFECTIVE)
            await quietly(delivery.reject)
        return None

    async def _deliver(self, mine: Running, *, refused: bool) -> None:
        if mine.delivery.damaged:
            return await self._refusals.damaged(mine.delivery)
        urgent = mine.delivery.routing_key.endswith(CANCELS)
        if not urgent:  # a cancel reduces risk
            await self._relay.room()  # before anything that others wait for
        suspicion = mine.suspicion = await self._suspects.enter(mine.delivery, urgent=urgent)
        try:
            await self._read(mine, refused=refused or (suspicion is not None and suspicion.ended_others))
        finally:
            mine.unsuspect()

    async def _read(self, mine: Running, *, refused: bool) -> None:
        delivery = mine.delivery
        received_us = self._clock.now_us()
        crash_points.at("after_delivery")
        if delivery.redelivered:
            self._metrics.redelivered()
        try:
            command = decode_command(delivery.body, delivery.content_type, delivery.content_encoding)
        except Undecodable as error:
            mine.unsuspect()
            return await self._refusals.poison(delivery, error)
        self._metrics.received()
        if delivery.sent_us is not None and not delivery.redelivered:
            self._metrics.queued(command.venue, action(command), (received_us - delivery.sent_us) / 1e6)
        reply = mine.reply = delivery.reply(command.command_id)
        against = unauthorized(delivery, command, self._senders)
        if against is not None:
            mine.unsuspect()
            if not may_reply(delivery, self._senders):
                reply = replace(reply, reply_to="")
            await self._refusals.refuse(delivery, echo(command), reply, "unauthorized_sender", against)
            return await quietly(delivery.ack)
        key = (delivery.sender, command.command_id)
        running = self._running.get(key)
        if running is not None and running is not mine and running.is_again(delivery, reply):
            return running.deliveries.append(delivery)
        self._running.setdefault(key, mine)
        try:
            await self._process(mine, fresh_record(delivery.sender, command, received_us), refused=refused)
        finally:
            if self._running.get(key) is mine:
                del self._running[key]

    async def _process(self, running: Running, fresh: CommandRecord, *, refused: bool) -> None:
        """Bring a command to an answer or a parked wait, then acknowledge it."""
        if self._unrecorded is not None and not refused and self._unrecorded.suits(fresh.command):
            await self._cancel(running, fresh, self._unrecorded)
        else:
            await self._with_journal(running, fresh, refused=refused)
        crash_points.at("before_ack")
        for delivered in running.deliveries:  # one more may be appended while an ack is written
            await quietly(delivered.reject if running.unburied else delivered.ack)

    async def _with_journal(self, running: Running, fresh: CommandRecord, *, refused: bool) -> None:
        """Bring a command as far as it goes here; while the journal is away wait, and answer at the deadline."""
        answer_by_us = to_us(fresh.command.not_after) + ANSWER_BY_US
        while True:
            if self._journal.writable:
                try:
                    return await self._begin(running, fresh, refused=refused)
                except (JournalUnavailable, UnreadableRow) as error:
                    # What a newer version has answered, a pod of that version repeats once this one is gone.
                    running.uncertain = True
                    _log.warning("a command waits for the journal", command_id=fresh.command_id, error=str(error))
            running.hold()
            left_us = answer_by_us - self._journal.latest_us()
            if left_us <= 0 and await self._without_journal.tell_late(running, fresh):
                return None
            await self._clock.sleep(min(RETRY_S, left_us / 1e6) if left_us > 0 else RETRY_S)

    async def _cancel(self, running: Running, fresh: CommandRecord, way: Unrecorded) -> None:
        """Bring a plain cancel to its answer. It waits a moment for its commit, then leaves (contract, section 2)."""
        plan = self._planner.plan(running.delivery, fresh, again=way.may_have_sent(fresh, running.delivery))
        admitting: asyncio.Task[Admission] | None = None
        if self._journal.writable:
            work = self._journal.admit(plan.record, running.reply, digest(fresh.command), result=plan.result)
            admitting = asyncio.create_task(work)
            if await way.committed(admitting):
                running.unsuspect()
                crash_points.at("after_admit")
                admission = admitting.result()
                if plan.intent is None or not isinstance(admission, Admitted):
                    return await self._admitted(running, fresh, admission, plan)
        running.unsuspect()
        self._overdue.watch(plan.record, running.reply, running.delivery.message_id)
        try:
            concluded = await way.run(plan, admitting)
        except Superseded as known:
            return await self._admitted(running, fresh, known.admission, plan)
        if concluded is None:
            return await self._taken_over(running, fresh, plan)
        self._relay.put(concluded.outgoing)
        if plan.result is not None:
            final(self._metrics, plan.result, fresh.sender)
        if concluded.result is not None and not concluded.outgoing:
            self._overdue.answered(concluded.record)
            await self._without_journal.tell(running, fresh, concluded.result)
            way.remember(concluded)
        return None

    async def _taken_over(self, running: Running, fresh: CommandRecord, plan: Plan) -> None:
        """Leave a command to whoever goes on with its row; without a row it goes on as one that may have been sent.

        A row that is gone was lost when the journal was put back, and with it where the answer goes.
        """
        while True:
            try:
                known = await self._journal.load(fresh.sender, fresh.command_id)
                if known is not None:
                    return None if known.state == "open" else self._overdue.answered(known)
                admission, again = await self._admit(running, fresh, as_lost(plan, self._journal.latest_us()))
                break
            except UnreadableRow:
                return None
            except JournalUnavailable:
                await self._clock.sleep(RETRY_S)
        _log.error("a row was gone: the journal was put back", command_id=fresh.command_id, sender=fresh.sender)
        return await self._admitted(running, fresh, admission, again)

    async def _begin(self, running: Running, fresh: CommandRecord, *, refused: bool) -> None:
        """Admit a command and bring it to an answer or a parked wait."""
        if refused:
            # Nothing of the ordinary way is tried: it may be what fails.
            plan = refuse(fresh, "internal_error", DEFECTIVE, self._journal.latest_us())
        else:
            plan = self._planner.plan(running.delivery, fresh)
        telling = self._without_journal.by_deadline(running, fresh)
        try:
            admission, plan = await self._admit(running, fresh, plan)
        finally:
            telling.cancel()
        running.unsuspect()
        crash_points.at("after_admit")
        if refused and not await self._bury(running, fresh, admission):
            running.unburied = True
        await self._admitted(running, fresh, admission, plan)

    async def _admit(self, running: Running, fresh: CommandRecord, plan: Plan) -> tuple[Admission, Plan]:
        """Admit as planned; what only the journal can object to is admitted as a refusal."""
        key = digest(fresh.command)
        admission = await self._journal.admit(plan.record, running.reply, key, result=plan.result)
        looks = plan.intent is None and plan.record.step == "look"
        if isinstance(admission, Busy) and looks:
            # It may have been executed, so it cannot be refused: it is looked up, and refused if that finds nothing.
            plan = Plan(record=replace(plan.record, position=None))
        elif isinstance(admission, TooLate) and looks:
            plan = Plan(record=replace(plan.record, tries=1))  # the same; and it is not sent any more
        elif isinstance(admission, Busy):
            plan = refuse(fresh, "busy", BUSY, self._journal.latest_us())
        elif isinstance(admission, TooLate):
            text = "a cancel of this close gave up waiting for it"
            plan = refuse(fresh, "too_late", text, self._journal.latest_us())
        else:
            return admission, plan
        return await self._journal.admit(plan.record, running.reply, key, result=plan.result), plan

    async def _admitted(self, running: Running, fresh: CommandRecord, admission: Admission, plan: Plan) -> None:
        if plan.intent is not None and not isinstance(admission, Admitted):
            plan.intent.turn.give_back()
        match admission:
            case Admitted(record, outgoing, at) if plan.result is not None:
                final(self._metrics, plan.result, fresh.sender)
                self._relay.put(outgoing)
            case Admitted(record, _, at):
                self._overdue.watch(record, running.reply, running.delivery.message_id)
                if record.step in {"find", "look"} and plan.intent is None:
                    return self._dispatcher.on_parked(self._journal.earliest_us())
                concluded = await self._dispatcher.send(record, plan.intent and replace(plan.intent, at=at))
                if concluded is None:
                    return await self._taken_over(running, fresh, plan)
                self._relay.put(concluded.outgoing)
            case Repeat(result):
                self._metrics.duplicate(fresh.command.venue)
                await self._relay.answer(running.reply, replace(result, duplicate=True), fresh.sender)
            case Reused():
                text = f"command_id {fresh.command_id!r} belongs to a command with other fields"
                await self._refusals.refuse(
                    running.delivery, echo(fresh.command), running.reply, "command_id_reused", text
                )
            case _:
                self._metrics.duplicate(fresh.command.venue)
                self._overdue.watch(fresh, running.reply, running.delivery.message_id)
        return None

    async def _bury(self, running: Running, fresh: CommandRecord, admission: Admission) -> bool:
        """Dead-letter what cannot be handled, unless something was sent for it: that the resolver answers.

        `False`: it is in no dead letters yet, and the broker is to put it there.
        """
        if isinstance(admission, Joined):
            try:
                record = await self._journal.load(fresh.sender, fresh.command_id)
            except UnreadableRow:
                return True
            if record is None or record.state != "open" or record.tries or record.step == "look":
                return True
            record, result = answers.refused(record, "internal_error", DEFECTIVE, self._journal.latest_us())
            concluded = await self._dispatcher.store(record, result=result)
            if concluded is None:
                return True
            self._relay.put(concluded.outgoing)
        elif not isinstance(admission, Admitted) or not admission.outgoing:
            return True
        return await self._refusals.dead_letter(running.delivery, "internal_error", DEFECTIVE)
