"""One delivery: decode, authorise, admit, dispatch, publish, acknowledge.

Every command runs in a task of our own, keyed by sender and command id: a broker connection that dies cuts no request
to a venue, and a redelivery of what is running only changes which delivery is acknowledged in the end.

Nothing here decides what happened at a venue (`router.decision`) or remembers it (the journal).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog
from msgspec.structs import replace

from router import answers, crash
from router.config import Sender
from router.delivery import Delivery
from router.dispatch import Dispatcher
from router.errors import JournalUnavailable, PublishFailed
from router.intake import may_reply, unauthorized
from router.job import Admission, Admitted, Busy, Job, Joined, Outgoing, Repeat, Reply, Reused, TooLate, action
from router.outbox import Outbox
from router.plan import Plan, Planner, refuse
from router.ports import Clock, Journal, Publisher
from router.telemetry import Metrics
from schemas.codec import Echo, Undecodable, decode_command, digest
from schemas.commands import Cancel, Command
from schemas.ids import client_order_id
from schemas.results import ReasonCode, Result

MAX_DELIVERIES = 8
"""From here on a message has failed so often that sending for it is not safe to try (contract, section 4)."""
WORN_OUT = "delivered too often without an answer"
RETRY_S = 0.5

_log = structlog.get_logger(__name__)


class DeadLetters(Protocol):
    """Where poison goes."""

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Publish a delivery unchanged with the reason. Raises `PublishFailed`."""
        ...


class _Running:
    """A delivery at work in this process, and the redeliveries of its message since: all are settled together."""

    __slots__ = ("deliveries", "delivery", "reply")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.deliveries = [delivery]
        self.reply = delivery.reply(None)

    def is_again(self, delivery: Delivery, reply: Reply) -> bool:
        """Say whether a delivery is the same message once more."""
        return delivery.redelivered and reply == self.reply and delivery.body == self.delivery.body


class Worker:
    """Turns deliveries into answered, acknowledged commands."""

    def __init__(
        self,
        planner: Planner,
        dispatcher: Dispatcher,
        journal: Journal,
        outbox: Outbox,
        publisher: Publisher,
        dead_letters: DeadLetters,
        clock: Clock,
        metrics: Metrics,
        senders: Mapping[str, Sender],
    ) -> None:
        self._planner = planner
        self._dispatcher = dispatcher
        self._journal = journal
        self._outbox = outbox
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._clock = clock
        self._metrics = metrics
        self._senders = senders
        self._running: dict[tuple[str, str], _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, delivery: Delivery) -> None:
        """Start on a delivery, in a task of our own."""
        task = asyncio.create_task(self._guard(_Running(delivery)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> int:
        """Finish what has begun and return how many were left unfinished; the journal knows where they stand."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    async def _guard(self, running: _Running) -> None:
        """Keep the worker alive: a defect costs this delivery one try, and the broker delivers it again."""
        try:
            await self._deliver(running)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise  # we are being drained; one that a library let slip is a defect like any other
            self._metrics.failed()
            deliveries = running.delivery.deliveries
            _log.exception("a delivery failed", error=type(error).__name__, deliveries=deliveries)
            await self._clock.sleep(min(0.1 * 2**deliveries, 5.0))
            for delivery in running.deliveries:
                await self._quietly(delivery.requeue)

    async def _deliver(self, mine: _Running) -> None:
        delivery = mine.delivery
        received_us = self._clock.now_us()
        crash.at("after_delivery")
        if delivery.redelivered:
            self._metrics.redelivered()
        try:
            command = decode_command(delivery.body, delivery.content_type, delivery.content_encoding)
        except Undecodable as error:
            return await self._poison(delivery, error)
        self._metrics.received()
        reply = mine.reply = delivery.reply(command.command_id)
        against = unauthorized(delivery, command, self._senders)
        if against is not None:
            if not may_reply(delivery, self._senders):
                reply = replace(reply, reply_to="")
            await self._refuse_unstored(delivery, echo(command), reply, "unauthorized_sender", against)
            return await self._quietly(delivery.ack)
        key = (delivery.sender, command.command_id)
        running = self._running.get(key)
        if running is not None and running.is_again(delivery, reply):
            return running.deliveries.append(delivery)
        self._running.setdefault(key, mine)
        try:
            await self._process(mine, command, received_us)
        finally:
            if self._running.get(key) is mine:
                del self._running[key]

    async def _process(self, running: _Running, command: Command, received_us: int) -> None:
        delivery = running.delivery
        fresh = Job(
            sender=delivery.sender,
            command_id=command.command_id,
            command=command,
            client_order_id=client_order_id(delivery.sender, command.command_id),
            received_us=received_us,
            order_id=command.order_id if isinstance(command, Cancel) else None,
        )
        todo = await self._try(running, fresh)
        while todo is not None:
            # Nothing is stored, so nothing was sent that could execute twice; without the journal nothing may be.
            await self._clock.sleep(RETRY_S)
            todo = await self._try(running, todo)
        crash.at("before_ack")
        for delivered in running.deliveries:  # one more may be appended while an ack is written
            await self._quietly(delivered.ack)

    async def _try(self, running: _Running, fresh: Job) -> Job | None:
        """Admit a command and bring it to an answer or a parked wait.

        Returns `None` when that is done, else the job to begin again with, because nothing of it is stored.
        """
        worn_out = running.delivery.deliveries >= MAX_DELIVERIES
        if worn_out and not self._planner.may_have_been_sent(running.delivery, fresh):
            # Nothing of the ordinary way is tried: it may be what fails.
            plan = refuse(fresh, "internal_error", WORN_OUT, self._clock.now_us())
        else:
            plan = self._planner.plan(running.delivery, fresh)
        try:
            admission, plan = await self._admit(running, fresh, plan)
            crash.at("after_admit")
            if worn_out:
                await self._bury(running, fresh, admission)
        except JournalUnavailable as error:
            _log.warning("a command waits for the journal", command_id=fresh.command_id, error=str(error))
            return fresh
        match admission:
            case Admitted(job, outgoing):
                return await self._go_on(job, outgoing, plan)
            case Repeat(result):
                self._metrics.duplicate(fresh.command.venue)
                await self._publish(running.reply, replace(result, duplicate=True), fresh.sender)
            case Reused():
                text = f"command_id {fresh.command_id!r} belongs to a command with other fields"
                await self._refuse_unstored(
                    running.delivery, echo(fresh.command), running.reply, "command_id_reused", text
                )
            case _:
                self._metrics.duplicate(fresh.command.venue)
        return None

    async def _admit(self, running: _Running, fresh: Job, plan: Plan) -> tuple[Admission, Plan]:
        """Admit as planned; what only the journal can object to is admitted as a refusal."""
        key = digest(fresh.command)
        admission = await self._journal.admit(plan.job, running.reply, key, result=plan.result, early=plan.early)
        if isinstance(admission, Busy):
            plan = refuse(fresh, "busy", "another close of this position is not settled", self._clock.now_us())
        elif isinstance(admission, TooLate):
            text = "a cancel of this close gave up waiting for it"
            plan = refuse(fresh, "too_late", text, self._clock.now_us())
        else:
            return admission, plan
        return await self._journal.admit(plan.job, running.reply, key, result=plan.result), plan

    async def _go_on(self, job: Job, outgoing: Sequence[Outgoing], plan: Plan) -> Job | None:
        """Bring a newly admitted job as far as it goes here. See `_try` for what it returns."""
        if plan.result is not None:
            self._metrics.command_final(plan.result)
            await self._answer(outgoing)
            return None
        if job.step in ("find", "look") and plan.before is None:
            self._dispatcher.on_parked(self._clock.now_us())
            return None
        concluded = await self._dispatcher.send(job, plan.before, plan.request)
        if concluded is None:
            # Somebody else took the job up, and answers this delivery's address, which is on record. But the row of an
            # early send may never have reached the disk, though the request may have left: that one begins again.
            return replace(job, version=0, step="send", next_us=None) if plan.early else None
        await self._answer(concluded.outgoing)
        return None

    async def _answer(self, outgoing: Sequence[Outgoing]) -> None:
        await self._outbox.deliver(outgoing)
        crash.at("after_confirm")

    async def _bury(self, running: _Running, fresh: Job, admission: Admission) -> None:
        """Dead-letter what was delivered too often, unless something was sent for it: that the resolver answers."""
        if isinstance(admission, Joined):
            job = await self._journal.load(fresh.sender, fresh.command_id)
            if job is None or job.state != "open" or job.tries or job.step == "look":
                return
            job, result = answers.refused(job, "internal_error", WORN_OUT, self._clock.now_us())
            concluded = await self._dispatcher.store(job, result=result)
            if concluded is None:
                return
            await self._answer(concluded.outgoing)
        elif not isinstance(admission, Admitted) or not admission.outgoing:
            return
        await self._dead_letter(running.delivery, "internal_error", WORN_OUT)

    async def _poison(self, delivery: Delivery, error: Undecodable) -> None:
        """Dead-letter what is no command, and say so if there is somebody to say it to."""
        self._metrics.received()
        if delivery.reply_to and may_reply(delivery, self._senders):
            reply = delivery.reply(error.echo.command_id)
            await self._refuse_unstored(delivery, error.echo, reply, "invalid_command", str(error))
        await self._dead_letter(delivery, "invalid_command", str(error))
        await self._quietly(delivery.ack)

    async def _dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        while True:
            try:
                await self._dead_letters.dead_letter(delivery, reason, detail)
                return self._metrics.dead_letter(reason)
            except PublishFailed as error:
                _log.warning("poison waits for the broker", error=str(error))
                await self._clock.sleep(RETRY_S)

    async def _refuse_unstored(
        self, delivery: Delivery, fields: Echo, reply: Reply, code: ReasonCode, message: str
    ) -> None:
        now = self._clock.now_us()
        result = answers.unrecorded(fields, delivery.sender, delivery.body, code, message, now)
        self._metrics.command_final(result)
        await self._publish(reply, result, delivery.sender)

    async def _publish(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish an answer that is not in the outbox. Until it is confirmed the delivery keeps it safe."""
        while True:
            try:
                return await self._publisher.publish(reply, result, sender)
            except PublishFailed as error:
                _log.warning("an answer waits for the broker", command_id=result.command_id, error=str(error))
                await self._clock.sleep(RETRY_S)

    async def _quietly(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Ack or requeue. On a channel that is gone it cannot be: the broker delivers again, the journal answers."""
        try:
            await settle()
        except Exception as error:  # whatever the library raises for a stale channel
            _log.info("a delivery could not be settled", error=type(error).__name__)


def echo(command: Command) -> Echo:
    """Return the fields that every answer repeats."""
    return Echo(
        command_id=command.command_id,
        action=action(command),  # type: ignore[arg-type]  # every command's tag is an Action
        venue=command.venue,
        account=command.account,
    )
