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
from enum import Enum
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

import structlog

from router.errors import JournalUnavailable
from router.job import Admitted
from router.journal import batch as together
from router.journal import file
from router.journal.later import Later
from router.journal.migrations import PROVE, SEEN, Epoch, open_epoch
from router.journal.statements import Operation, Params
from router.journal.witness import EVERY_S, Witness

_log = structlog.get_logger(__name__)

PROBE_S: Final = 1.0
"""How often a journal that failed is tried again."""
STUCK_S: Final = 10.0
"""A transaction that takes longer than that makes the journal not writable while it lasts: the disk hangs."""


class Signal(Enum):
    """What else the queue carries."""

    FLUSH = "flush"
    STOP = "stop"


class Waiting(NamedTuple):
    """An operation and whoever waits for its verdict."""

    operation: Operation[Any]
    verdict: asyncio.Future[Any]
    early: bool


class Answer(NamedTuple):
    """A verdict on its way back to the loop."""

    verdict: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None
    early: bool = False
    """It leaves before the commit: a new command that asked for it. Every other verdict must be on disk first."""


class Writer:
    """Runs operations in a thread of its own. Everything but `__init__`, `submit` and `join` happens there."""

    def __init__(
        self, path: Path, later: Later, *, busy_s: float, on_commit: Callable[[float], None] | None = None
    ) -> None:
        self._path = path
        self._later = later
        self._busy_s = busy_s
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Waiting | Signal] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._healthy = False
        self._began: float | None = None
        self._probe_at = 0.0
        self._inode = 0
        self._witness = Witness(path)
        self._witnessed = 0.0
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)  # until the file is open
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.epoch = Epoch(0, first=True)
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

    def join(self) -> None:
        """Wait for the thread after `Signal.STOP`."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._open()
        except Exception as error:
            self._connection.close()
            self._deliver([Answer(self.opened, error=file.refused(error))])
            return
        self._deliver([Answer(self.opened)])
        stop = False
        while not stop:
            batch, stop = self._take()
            if not self._healthy:
                self._deliver([Answer(waiting.verdict, error=file.unavailable(None)) for waiting in batch])
                batch = []
                if time.monotonic() >= self._probe_at:
                    self._probe()
            if self._healthy and (batch or self._later):
                self._commit(batch)
        self._healthy, self._probe_at = False, 0.0
        self._connection.close()
        batch, _ = self._take()
        self._deliver([Answer(waiting.verdict, error=file.unavailable(None)) for waiting in batch])

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

    def _commit(self, batch: list[Waiting]) -> None:
        marks, notes = self._later.take_marks(), self._later.take_notes()
        self._began = time.monotonic()
        try:
            answers = self._answers(batch, marks, notes)
            early = [answer for answer in answers if answer.early]
            self._deliver(early)
            if time.monotonic() - self._witnessed >= EVERY_S:
                self._connection.execute(file.numbered(PROVE))
                self._end()
                self._note()
            else:
                self._end()
        except Exception as error:
            self._later.put_back(marks, notes)
            self._fail(batch, error)
        else:
            self._deliver([answer for answer in answers if not answer.early])
        self._began = None

    def _answers(self, batch: list[Waiting], marks: list[Params], notes: list[Params]) -> list[Answer]:
        """Begin a transaction and run the operations. Raises what makes the whole transaction worthless.

        Savepoints cost as much as statements, so only when an operation failed are all run again with one each.
        """
        operations = [waiting.operation for waiting in batch]
        self._begin()
        try:
            values = file.drive(self._connection, lambda: together.run(operations, marks, notes))
            return [_answer(waiting, value) for waiting, value in zip(batch, values, strict=True)]
        except Exception as error:
            if file.broken(error):
                raise
        self._connection.execute("rollback")
        self._begin()
        file.drive(self._connection, lambda: together.run((), marks, notes))
        return [self._guarded(waiting) for waiting in batch]

    def _guarded(self, waiting: Waiting) -> Answer:
        self._connection.execute("savepoint operation")
        try:
            answer = _answer(waiting, file.drive(self._connection, waiting.operation))
        except Exception as error:
            if file.broken(error):
                raise
            self._connection.execute("rollback to operation")
            answer = Answer(waiting.verdict, error=error)
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
                if not file.busy(error) or time.monotonic() >= deadline:
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
        self._deliver([Answer(waiting.verdict, error=file.unavailable(error)) for waiting in batch])

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
        # A copy that was put back has another inode, or was written before the witness saw the last commit: what
        # happened since the copy was made is not in it.
        witnessed_us = self._witness.last_us()
        self.epoch = file.drive(self._connection, lambda: open_epoch(f"inode {self._inode}", witnessed_us))
        self._end()
        self._note()
        self.generation += 1
        self._healthy = True

    def _note(self) -> None:
        self._witnessed = time.monotonic()
        with contextlib.suppress(sqlite3.Error):  # what was committed stays committed
            self._witness.saw(int(self._connection.execute(SEEN).fetchone()[0]))

    def _deliver(self, answers: list[Answer]) -> None:
        if answers:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(_settle, answers)


def _answer(waiting: Waiting, value: Any) -> Answer:
    return Answer(waiting.verdict, value, early=waiting.early and isinstance(value, Admitted))


def _settle(answers: list[Answer]) -> None:
    for answer in answers:
        if answer.verdict.done():
            continue
        if answer.error is None:
            answer.verdict.set_result(answer.value)
        else:
            answer.verdict.set_exception(answer.error)
