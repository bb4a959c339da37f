"""Plain cancels do not need the journal: they wait a moment for their commit, then leave (contract, section 2)."""

import asyncio
from typing import Final

from router import answers
from router.clock import to_us
from router.dispatch import Concluded, Dispatcher
from router.errors import JournalUnavailable
from router.job import Admission, Job, Moment
from router.late_journal import LateJournal, Superseded
from router.plan import Plan
from router.ports import Clock, Journal
from schemas.commands import Cancel, Command

WAIT_S: Final = 0.05
"""How long a cancel waits for its commit."""

__all__ = ["Superseded", "Unrecorded"]


class Unrecorded:
    """The way of a cancel whose row is not on disk when it leaves."""

    def __init__(self, dispatcher: Dispatcher, journal: Journal, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._journal = journal
        self._clock = clock

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
        if error is not None and not isinstance(error, JournalUnavailable):
            raise error
        return error is None

    async def run(self, plan: Plan, admitting: "asyncio.Task[Admission] | None") -> Concluded | None:
        """Send a cancel and return its answer: stored, or if it has no `outgoing`, for its sender alone to hear.

        Raises `Superseded` when it turns out to have a row from before. `None`: somebody else goes on with its row.
        """
        late = LateJournal(self._journal, admitting, self._clock)
        dispatcher = self._dispatcher.on(late)
        if plan.result is not None:
            return await dispatcher.store(plan.job, result=plan.result)
        at = Moment(self._clock.boot_us(), self._journal.latest_us())
        concluded = await dispatcher.send(plan.job, plan.before, plan.request, at)
        while concluded is not None and not late.recorded and not _is_final(concluded):
            concluded = await self._go_on(dispatcher, concluded.job)
        return concluded

    async def _go_on(self, dispatcher: Dispatcher, job: Job) -> Concluded | None:
        """Make the next turn of a cancel that has no row. At its deadline it is given up."""
        now = self._journal.latest_us()
        left_us = to_us(job.command.not_after) - now
        if left_us <= 0:
            if job.attempts or job.unanswered:
                job, result = answers.unresolved(job, job.message or "the venue has not answered", now)
            else:
                job, result = answers.refused(job, job.code or "expired", "not_after has passed", now)
            return await dispatcher.store(job, result=result)
        await self._clock.sleep(max(min((job.next_us or now) - now, left_us), 0) / 1e6)
        if job.step == "look":
            return await dispatcher.look(job, dispatcher.sweep())
        return await dispatcher.send(job)


def _is_final(concluded: Concluded) -> bool:
    return concluded.result is not None and concluded.result.final
