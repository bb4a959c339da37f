"""The one thread of a process that writes to its SQLite journal, many commands to a commit.

Whatever waits when a transaction begins rides on it. An operation that fails takes none of the others with it; an
error of the database itself fails the whole batch, and nothing is written until a trial transaction has been
committed again.
"""

import asyncio
import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import structlog

from router.errors import JournalUnavailable
from router.journal.machine import Machine
from router.journal.operations import batch as together
from router.journal.operations.deferred import Deferred, Later
from router.journal.operations.statements import Operation, Steps, T
from router.journal.schema.migrations import (
    PROVE,
    SEEN,
    Epoch,
    identify,
    migrate,
    open_epoch,
    read_clock,
    set_clock,
)
from router.journal.sqlite import causes, file
from router.journal.sqlite.handover import Signal, Verdict, Waiting, settle
from router.journal.sqlite.last_seen import EVERY_S, LastSeen

_log = structlog.get_logger(__name__)

PROBE_S: Final = 1.0
"""How often a journal that failed is tried again."""
STUCK_S: Final = 2.0
"""A transaction that takes longer than that makes the journal not writable while it lasts: the disk hangs."""
WRONG_US: Final = 1_000_000
"""A wall clock that is further off than this is worth a word: deadlines are judged by another one."""


class Writer:
    """Runs operations in a thread of its own. Everything but `__init__`, `submit` and `join` happens there."""

    def __init__(
        self,
        path: Path,
        later: Deferred,
        *,
        busy_s: float,
        machine: Machine,
        on_commit: Callable[[float], None] | None = None,
    ) -> None:
        self._path = path
        self._machine = machine
        self._deferred = later
        self._busy_s = busy_s
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Waiting | Signal] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._healthy = False
        self._began: float | None = None
        self._probe_at = 0.0
        self._inode = 0
        self._witness = LastSeen(path)
        self._witnessed = 0.0
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)  # until the file is open
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.epoch = Epoch(0, first=True)
        self.journal_id = self.timeline = ""
        self.offset_us = self.since_us = 0
        """The journal's clock less the machine's boot clock, and since when it has gone on without a break."""
        self._handover = threading.Lock()
        self.generation = 0
        """How often the file was opened; a reader with another number reads a file that may be gone."""
        self._thread.start()

    @property
    def writable(self) -> bool:
        """Whether the last commit worked and the present one does not hang."""
        began = self._began
        return self._healthy and (began is None or time.monotonic() - began < STUCK_S)

    def submit(self, item: Waiting | Signal) -> None:
        """Hand over an operation; its verdict arrives in its future."""
        self._queue.put(item)

    def withdraw(self, waiting: Waiting) -> bool:
        """Take an operation back, unless the thread has begun with it. Its verdict is that it cannot be written."""
        with self._handover:
            if waiting.taken:
                return False
            waiting.withdrawn = True
        return True

    def join(self) -> None:
        """Wait for the thread after `Signal.STOP`."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._open()
        except Exception as error:
            self._connection.close()
            self._deliver([Verdict(self.opened, error=causes.refused(error, self._path))])
            return
        self._deliver([Verdict(self.opened)])
        stop = False
        while not stop:
            batch, stop = self._take()
            batch = self._claimed(batch)
            try:
                self._turn(batch)
            except Exception as error:  # a defect, or a disk with errors of its own: nobody else could write
                _log.exception("the journal's writer failed", error=type(error).__name__)
                self._fail(batch, error)
                self._began = None
        self._healthy, self._probe_at = False, 0.0
        self._connection.close()
        batch, _ = self._take()
        self._deliver([Verdict(waiting.verdict, error=causes.unavailable(None)) for waiting in batch])

    def _turn(self, batch: list[Waiting]) -> None:
        if not self._healthy:
            self._deliver([Verdict(waiting.verdict, error=causes.unavailable(None)) for waiting in batch])
            batch = []
            if time.monotonic() >= self._probe_at:
                self._probe()
        if self._healthy and (batch or self._deferred):
            self._commit(batch)

    def _take(self) -> tuple[list[Waiting], bool]:
        """Wait for something to do; return all of it, and whether to stop afterwards."""
        batch: list[Waiting] = []
        try:
            timeout = None if self._healthy else max(self._probe_at - time.monotonic(), 0.0)
            item = self._queue.get(timeout=timeout)
            while True:
                if isinstance(item, Waiting):
                    batch.append(item)
                elif item is Signal.STOP:
                    return batch, True
                if len(batch) == together.ROWS:
                    break
                item = self._queue.get_nowait()
        except Empty:
            pass
        return batch, False

    def _claimed(self, batch: list[Waiting]) -> list[Waiting]:
        """Leave out what was taken back meanwhile; the rest cannot be any more."""
        with self._handover:
            kept = [waiting for waiting in batch if not waiting.withdrawn]
            for waiting in kept:
                waiting.taken = True
        return kept

    def _commit(self, batch: list[Waiting]) -> None:
        later = self._deferred.take()
        self._began = time.monotonic()
        try:
            answers = self._answers(batch, later)
            if time.monotonic() - self._witnessed >= EVERY_S:
                self._drive(lambda: _one(PROVE))
                self._end()
                self._note()
            else:
                self._end()
        except Exception as error:
            self._deferred.put_back(later)
            self._fail(batch, error)
        else:
            self._deliver(answers)
        self._began = None

    def _answers(self, batch: list[Waiting], later: Later) -> list[Verdict]:
        """Begin a transaction and run the operations. Raises what makes the whole transaction worthless.

        Savepoints cost as much as statements, so only when an operation failed are all run again with one each.
        """
        operations = [waiting.operation for waiting in batch]
        self._begin()
        try:
            values = self._drive(lambda: together.run(operations, later))
            return [Verdict(waiting.verdict, value) for waiting, value in zip(batch, values, strict=True)]
        except Exception as error:
            if causes.broken(error):
                raise
        self._connection.execute("rollback")
        self._begin()
        self._drive(lambda: together.run((), later))
        return [self._guarded(waiting) for waiting in batch]

    def _drive(self, operation: Operation[T]) -> T:
        return file.drive(self._connection, operation, self._machine.boot_us() + self.offset_us)

    def _guarded(self, waiting: Waiting) -> Verdict:
        self._connection.execute("savepoint operation")
        try:
            answer = Verdict(waiting.verdict, self._drive(waiting.operation))
        except Exception as error:
            if causes.broken(error):
                raise
            self._connection.execute("rollback to operation")
            answer = Verdict(waiting.verdict, error=error)
        self._connection.execute("release operation")
        return answer

    def _begin(self) -> None:
        """Take the lock."""
        # Another process may hold the lock for a commit or, frozen, for ever. The database's own waiting backs off
        # to a tenth of a second, which under load from two processes starves one of them.
        deadline = time.monotonic() + self._busy_s
        if os.stat(self._path).st_ino != self._inode:
            raise JournalUnavailable(f"{self._path} was replaced")
        while True:
            try:
                self._connection.execute("begin immediate")
                break
            except sqlite3.OperationalError as error:
                if not causes.busy(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(random.uniform(0.0003, 0.002))

    def _end(self) -> None:
        began = time.perf_counter()
        self._connection.execute("commit")
        if self._on_commit is not None:
            self._on_commit(time.perf_counter() - began)

    def _fail(self, batch: list[Waiting], error: Exception) -> None:
        self._healthy = False
        self._probe_at = time.monotonic() + PROBE_S
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("rollback")
        self._deliver([Verdict(waiting.verdict, error=causes.unavailable(error)) for waiting in batch])

    def _probe(self) -> None:
        """Open the file again and commit something: after an I/O error the old connection proves nothing."""
        self._connection.close()
        if not self._path.exists():
            # A new, empty file would know nothing of what was sent. Whoever took the file away puts it back, or
            # starts the process again on purpose.
            _log.error("the journal file is gone", path=str(self._path))
            self._probe_at = time.monotonic() + PROBE_S
            return
        try:
            self._open()
        except Exception:  # still unavailable, whatever the cause
            self._probe_at = time.monotonic() + PROBE_S

    def _open(self) -> None:
        self._connection = file.connect(self._path, self._busy_s)
        self._connection.execute("pragma busy_timeout = 0")  # _begin waits
        self._inode = os.stat(self._path).st_ino
        self._begin()
        self.offset_us = self._machine.now_us() - self._machine.boot_us()
        self._drive(migrate)
        self._set_clock()
        # A copy that was put back has another inode, or was written before the witness saw the last commit: what
        # happened since the copy was made is not in it.
        witnessed_us = self._witness.last_us()
        self.timeline = f"inode {self._inode}"
        self.epoch = self._drive(lambda: open_epoch(self.timeline, witnessed_us))
        self.journal_id = self._drive(identify)
        self._end()
        self._note()
        self.generation += 1
        self._healthy = True

    def _set_clock(self) -> None:
        """Go on with the clock that was begun on this start of the machine; on another start begin it.

        It never goes back behind what was seen, and no process ever sets it again: others count by it.
        """
        clock = self._drive(read_clock)
        boot_us, wall_us = self._machine.boot_us(), self._machine.now_us()
        if clock.boot_id == self._machine.boot_id:
            self.offset_us, self.since_us = clock.offset_us, clock.since_us
            off_us = wall_us - boot_us - self.offset_us
            if abs(off_us) > WRONG_US:
                _log.warning("the wall clock is not where the journal's is", off_s=round(off_us / 1e6, 1))
            return
        self.offset_us = max(wall_us, clock.seen_us) - boot_us
        self.since_us = boot_us + self.offset_us
        self._drive(lambda: set_clock(self._machine.boot_id, self.offset_us, self.since_us))

    def _note(self) -> None:
        self._witnessed = time.monotonic()
        with contextlib.suppress(sqlite3.Error):  # what was committed stays committed
            self._witness.saw(int(self._connection.execute(SEEN).fetchone()[0]))

    def _deliver(self, answers: list[Verdict]) -> None:
        if answers:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(settle, answers)


def _one(sql: str) -> Steps[Any]:
    """Run one statement without parameters and return its rows."""
    return (yield sql, ())
