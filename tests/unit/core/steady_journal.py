"""The real SQLite journal on a temporary file, made repeatable: one operation at a time, with faults on request."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Literal

from router.errors import JournalUnavailable
from router.job import Admission, Admitted, AttemptStart, Job, Reply
from router.journal.sqlite import SqliteJournal
from router.journal.statements import Operation, Statement, Steps, T
from router.journal.store import Key
from router.ports import Clock
from schemas.results import Result
from tests.unit.core.virtual_time import VirtualLoop

JournalFault = Literal["down", "unreadable", "answer lost", "early lost"]
"""down: nothing is read or written. unreadable: only reads fail. answer lost: a write is committed and reported as
failed. early lost: a row that was admitted early never reaches the disk."""


def virtual_time(clock: Clock) -> SimpleNamespace:
    """Return what stands in for `time` in the journal's modules: its wall clock follows the test's."""
    return SimpleNamespace(
        time_ns=lambda: clock.now_us() * 1000,
        monotonic=time.monotonic,
        perf_counter=time.perf_counter,
        sleep=time.sleep,
    )


class SteadyJournal(SqliteJournal):
    """One worker's journal. `prepare` must follow `open`."""

    fault: JournalFault | None = None
    _prepared = False

    def prepare(self, loop: VirtualLoop, turn: asyncio.Lock, at: Callable[[str], Awaitable[None]]) -> None:
        """Say whose turn it is, and what is called wherever the worker might die."""
        self._virtual, self._turn, self._at = loop, turn, at
        self._prepared = True

    @property
    def writable(self) -> bool:
        """See `Store.writable`."""
        return self.fault != "down" and super().writable

    async def admit(
        self,
        job: Job,
        reply: Reply,
        digest: str,
        *,
        start: AttemptStart | None = None,
        result: Result | None = None,
        early: bool = False,
    ) -> Admission:
        """See `Store.admit`."""
        if early and self.fault == "early lost":
            return Admitted(job)
        return await super().admit(job, reply, digest, start=start, result=result, early=early)

    async def _write(self, operation: Operation[T], *, key: Key | None = None, early: bool = False) -> T:
        if not self._prepared:
            return await super()._write(operation, key=key, early=early)
        async with self._alone("write"):
            value = await super()._write(operation, key=key, early=early)
        if self.fault == "answer lost":
            raise JournalUnavailable("the answer was lost")
        return value

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        async with self._alone("read"):
            if self.fault == "unreadable":
                raise JournalUnavailable("unreadable")
            return await super()._read(operation, key=key)

    @asynccontextmanager
    async def _alone(self, what: str) -> AsyncIterator[None]:
        await self._at(f"before {what}")
        if self.fault == "down":
            raise JournalUnavailable("down")
        async with self._turn:
            with self._virtual.thread_works():
                yield
        await self._at(f"after {what}")

    def _flush_later(self) -> None:
        self._flushing = asyncio.get_running_loop().create_task(self._flush_marks())

    async def _flush_marks(self) -> None:
        try:
            await self._write(_nothing)
        except JournalUnavailable:
            pass  # the marks ride on the next commit


def _nothing() -> Steps[None]:
    """Commit whatever rides on it."""
    none: list[Statement] = []
    yield from none  # type: ignore[misc]  # an operation without statements
