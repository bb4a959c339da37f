"""The real SQLite journal without its threads: repeatable, fast, and failing on request.

Its writer does in the loop what the real one does in a thread of its own, batch by batch; reads use the same
connection. What is slow or hangs here takes virtual time.
"""

import contextvars
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from router.errors import JournalUnavailable
from router.journal.feed_store import Key
from router.journal.operations.commands import Save
from router.journal.operations.statements import Operation, T
from router.journal.schema.migrations import migrate
from router.journal.sqlite import causes, file
from router.journal.sqlite.database import SqliteJournal
from router.journal.sqlite.handover import Signal, Verdict, Waiting
from router.journal.sqlite.writer import STUCK_S, Writer
from router.journal.store import Store
from router.records.command import CommandRecord
from tests.unit.commands.virtual_time import BEGAN_US, ProcessClock

JournalFault = Literal["down", "unreadable", "answer lost", "frozen"]
"""down: nothing is read or written, and the file has to be opened again. unreadable: only reads fail. answer lost: a
write is committed and reported as failed. frozen: no commit ends, and none is known to have failed."""

REOPEN_S = 0.5
_BUSY_S = 1.0


@cache
def blank() -> bytes:
    """Return a journal file with the schema and nothing else."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "blank.db"
        connection = file.connect(path, _BUSY_S)
        connection.execute("begin immediate")
        file.drive(connection, migrate, BEGAN_US)
        connection.execute("commit")
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
        return path.read_bytes()


class SteadyWriter(Writer):
    """The writer, in the loop. `takes_s` is how long a commit takes, `frozen` that none ends."""

    takes_s = 0.0
    frozen = False

    def __init__(self, path: Path, later: Any, machine: ProcessClock) -> None:
        self._waiting: list[Waiting] = []
        self._batch: list[Waiting] | None = None
        self._since_s: float | None = None
        self._context = contextvars.copy_context()
        super().__init__(path, later, busy_s=_BUSY_S, machine=machine)

    def _run(self) -> None:
        """Leave the thread without work."""

    @property
    def writable(self) -> bool:
        """See `Writer.writable`."""
        return self._healthy and (self._since_s is None or self._loop.time() - self._since_s < STUCK_S)

    def open(self) -> None:
        """Open the file."""
        self._open()
        self._connection.execute("pragma synchronous = off")  # nothing here loses its power

    def submit(self, item: Waiting | Signal) -> None:
        """See `Writer.submit`."""
        if isinstance(item, Waiting):
            self._waiting.append(item)
        self.go_on()

    def go_on(self) -> None:
        """Begin with what waits, unless a commit is under way."""
        if self._batch is None and not self.frozen:
            self._batch = []
            self._since_s = self._loop.time()
            self._loop.call_soon(self._begin_batch, context=self._context)
        elif self._batch is None and self._since_s is None:
            self._since_s = self._loop.time()

    def _begin_batch(self) -> None:
        batch, self._waiting = self._claimed(self._waiting), []
        self._batch = batch
        if self.takes_s:
            self._loop.call_later(self.takes_s, self._finish, context=self._context)
        else:
            self._finish()

    def _finish(self) -> None:
        if self.frozen or self._batch is None:
            return
        batch, self._batch, self._since_s = self._batch, None, None
        if not self._healthy:
            self._deliver([Verdict(waiting.verdict, error=causes.unavailable(None)) for waiting in batch])
        elif batch or self._deferred:
            self._commit(batch)
        if self._waiting:
            self.go_on()

    def freeze(self) -> None:
        """Let no commit end."""
        self.frozen = True

    def thaw(self) -> None:
        """Go on with the commit that hung."""
        if self.frozen:
            self.frozen = False
            if self._batch is None:
                self._since_s = None
                self.go_on()
            else:
                self._loop.call_soon(self._finish, context=self._context)

    def lose(self) -> None:
        """Find that the file cannot be written."""
        batch, self._batch, self._since_s = [*(self._batch or ()), *self._waiting], None, None
        self._waiting = []
        self._fail(batch, sqlite3.OperationalError("disk I/O error"))
        self._connection.close()

    def regain(self) -> None:
        """Find that it can be written again, as the next probe would."""
        self._loop.call_later(REOPEN_S, self._reopen, context=self._context)

    def _reopen(self) -> None:
        if not self._healthy and not self.closed:
            self.open()

    closed = False

    def close(self) -> None:
        """Let go of the file, as a killed process does."""
        self.closed, self._healthy = True, False
        self._connection.close()

    def _deliver(self, answers: list[Verdict]) -> None:
        for verdict, value, error in answers:
            if verdict.done():
                continue
            if error is None:
                verdict.set_result(value)
            else:
                verdict.set_exception(error)


class SteadyJournal(SqliteJournal):
    """One process's journal. `at` is called wherever the process might die, `settled` with every command
    that got its final result, and the earliest moment at which that was stored, by the loop's time."""

    def __init__(
        self,
        path: Path,
        machine: ProcessClock,
        at: Callable[[str], Awaitable[None]],
        settled: Callable[[CommandRecord, float], None],
        *,
        witnessed: bool,
    ) -> None:
        Store.__init__(self, machine, witnessed=witnessed)
        self._path = path
        self._at = at
        self._on_settled = settled
        self._fault: JournalFault | None = None
        self._writer: SteadyWriter = SteadyWriter(path, self._deferred, machine)
        self._pending = {}
        self._looking = None
        self._epoch_known = None
        self._closed = False
        self._writer.open()

    @property
    def fault(self) -> JournalFault | None:
        """What fails now."""
        return self._fault

    @fault.setter
    def fault(self, fault: JournalFault | None) -> None:
        before, self._fault = self._fault, fault
        if fault == before:
            return
        if before == "down":
            self._writer.regain()
        if before == "frozen":
            self._writer.thaw()
        if fault == "down":
            self._writer.lose()
        if fault == "frozen":
            self._writer.freeze()

    @property
    def takes_s(self) -> float:
        """How long a commit takes."""
        return self._writer.takes_s

    @takes_s.setter
    def takes_s(self, seconds: float) -> None:
        self._writer.takes_s = seconds

    def reopen(self) -> None:
        """Close the file and open it again: it may be another one by now."""
        self.fault = "down"
        self.fault = None

    async def _write(self, operation: Operation[T], *, key: Key | None = None) -> T:
        await self._at("before write" if key is not None else "")  # the others look for work, and mostly in vain
        began_s = self._loop.time()
        value = await super()._write(operation, key=key)
        if isinstance(operation, Save) and value is not None and operation.record.state == "final":
            self._on_settled(operation.record, began_s)
        await self._at("after write" if key is not None or _found(value) else "")
        if self._fault == "answer lost":
            raise JournalUnavailable("the answer was lost")
        return value

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        await self._at("")
        if self._fault in {"down", "unreadable"} or not self._writer._healthy:
            raise JournalUnavailable("unreadable")
        value: T = self._run(operation)
        return value

    def _open_reader(self) -> sqlite3.Connection:
        return self._writer._connection

    async def close(self) -> None:
        """Let go of the file at once."""
        self.kill()

    def kill(self) -> None:
        """Let go of the file as a killed process does."""
        self._closed = True
        for timer in (self._flush, self._looking):
            if timer is not None:
                timer.cancel()
        self._writer.close()


def _found(value: object) -> bool:
    """Say whether something was found that is to be done."""
    return any(value) if isinstance(value, tuple | list) else bool(value)
