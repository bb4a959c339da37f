"""The real SQLite journal on a temporary file, made repeatable: one operation at a time, with faults on request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from router.errors import JournalUnavailable
from router.job import Admission, Admitted, Job, Reply
from router.journal.sqlite import SqliteJournal
from router.journal.statements import Many, Operation, Statement, Steps, T
from router.journal.store import Key
from router.ports import Clock
from schemas.results import Result
from tests.unit.core.virtual_time import BEGAN_US, VirtualLoop

JournalFault = Literal["down", "unreadable", "answer lost", "early lost"]
"""down: nothing is read or written. unreadable: only reads fail. answer lost: a write is committed and reported as
failed. early lost: a row that was admitted early never reaches the disk."""


class SteadyJournal(SqliteJournal):
    """One worker's journal. `prepare` must follow `open`."""

    fault: JournalFault | None = None
    began_us = BEGAN_US - 3600 * 1_000_000
    """When this journal claims to have begun: long before anything in a test."""
    first = True

    def prepare(
        self,
        loop: VirtualLoop,
        clock: Clock,
        turn: asyncio.Lock,
        at: Callable[[str], Awaitable[None]],
        forgotten: set[str],
    ) -> None:
        """Say what time it is, whose turn it is, and what is called wherever the worker might die.

        The ids of commands whose early rows were lost are added to `forgotten`.
        """
        self._virtual, self._clock, self._turn, self.at = loop, clock, turn, at
        self._forgotten = forgotten

    @property
    def writable(self) -> bool:
        """See `Store.writable`."""
        return self.fault != "down" and super().writable

    @property
    def epoch_us(self) -> int:
        """See `Store.epoch_us`."""
        return self.began_us

    @property
    def first_epoch(self) -> bool:
        """See `Store.first_epoch`."""
        return self.first

    async def admit(
        self,
        job: Job,
        reply: Reply,
        digest: str,
        *,
        result: Result | None = None,
        early: bool = False,
    ) -> Admission:
        """See `Store.admit`."""
        if early and self.fault == "early lost" and await self.load(job.sender, job.command_id) is None:
            self._forgotten.add(job.command_id)
            return Admitted(job)
        return await super().admit(job, reply, digest, result=result, early=early)

    async def _write(self, operation: Operation[T], *, key: Key | None = None, early: bool = False) -> T:
        idle = operation is _nothing or key is None  # marks, and looking for results left behind
        await self.at("" if idle else "before write")
        if self.fault == "down":
            raise JournalUnavailable("down")
        async with self._turn:
            with self._virtual.thread_works():
                value = await super()._write(self._in_virtual_time(operation), key=key, early=early)
        await self.at("" if idle and not value else "after write")
        if self.fault == "answer lost":
            raise JournalUnavailable("the answer was lost")
        return value

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        await self.at("")
        if self.fault in {"down", "unreadable"}:
            raise JournalUnavailable("unreadable")
        async with self._turn:
            with self._virtual.thread_works():
                return await super()._read(operation, key=key)

    def _in_virtual_time(self, operation: Operation[T]) -> Operation[T]:
        """Let the database's clock, too, say what the test's says."""

        def operate() -> Steps[T]:
            now = str(self._clock.now_us())
            steps = operation()
            try:
                statement = next(steps)
                while True:
                    statement = steps.send((yield _at(statement, now)))
            except StopIteration as stop:
                value: T = stop.value
                return value

        return operate

    def _flush_later(self) -> None:
        self._flushing = asyncio.get_running_loop().create_task(self._flush_marks())

    async def _flush_marks(self) -> None:
        try:
            await self._write(_nothing)
        except JournalUnavailable:
            pass  # the marks ride on the next commit


def _at(statement: Statement, now: str) -> Statement:
    if isinstance(statement[0], Many):
        return statement[0]._replace(sql=statement[0].sql.replace("now_us()", now)), statement[1]
    return statement[0].replace("now_us()", now), statement[1]


def _nothing() -> Steps[None]:
    """Commit whatever rides on it."""
    yield "select 1", ()
