"""The embedded journal: one SQLite file, any number of processes of one machine."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

from router.errors import ConfigError, JournalUnavailable
from router.journal.feed_store import Key
from router.journal.machine import Machine, ThisMachine
from router.journal.operations.statements import Operation, T
from router.journal.schema.migrations import Epoch
from router.journal.sqlite.causes import refuse_readable
from router.journal.sqlite.checkpoints import Checkpoints
from router.journal.sqlite.file import connect, drive
from router.journal.sqlite.filesystem import refuse_network
from router.journal.sqlite.handover import Signal, Waiting
from router.journal.sqlite.writer import Writer
from router.journal.store import Store
from router.records.command import Moment

BUSY_S: Final = 5.0
"""How long another process may hold the file before the journal counts as unavailable."""
LOOK_S: Final = 0.5
"""How often it is looked whether the writer hangs, while anybody waits for it."""


class SqliteJournal(Store):
    """Writes in the writer's thread; reads in another one, which never waits for a sync."""

    def __init__(
        self,
        path: Path,
        *,
        busy_s: float,
        on_commit: Callable[[float], None] | None,
        machine: Machine,
        witnessed: bool,
    ) -> None:
        super().__init__(machine, witnessed=witnessed)
        self._path = path
        self._busy_s = busy_s
        self._writer = Writer(path, self._deferred, busy_s=busy_s, machine=machine, on_commit=on_commit)
        self._checkpoints = Checkpoints(path, lambda: self._writer.writable)
        self._reader = ThreadPoolExecutor(1, "journal-reader")
        self._connection: sqlite3.Connection | None = None
        self._generation = 0
        self._closed = False
        self._pending: dict[asyncio.Future[Any], tuple[Key | None, Waiting]] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._epoch_known: tuple[int, Epoch] | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        busy_s: float = BUSY_S,
        on_commit: Callable[[float], None] | None = None,
        machine: Machine | None = None,
        witnessed: bool = False,
    ) -> Self:
        """Open or create the file.

        `on_commit` hears the seconds of every commit, in the writer's thread. Raises `ConfigError` for a place
        where no journal can be, `JournalUnavailable` when it cannot be written now.
        """
        _refuse_place(path)
        journal = cls(path, busy_s=busy_s, on_commit=on_commit, machine=machine or ThisMachine(), witnessed=witnessed)
        try:
            await journal._writer.opened
        except BaseException:
            journal._reader.shutdown()
            raise
        journal._checkpoints.start()
        return journal

    def earliest_us(self) -> int:
        """Return what the journal's clock shows now. It is exact: the machine's own, and an offset."""
        return self._machine.boot_us() + self._writer.offset_us

    def latest_us(self) -> int:
        """Return the same."""
        return self._machine.boot_us() + self._writer.offset_us

    def _saw(self, at: Moment) -> None:
        """Learn nothing: the clock is known exactly."""

    @property
    def since_us(self) -> int:
        """See `router.ports.JournalClock`."""
        return self._writer.since_us

    @property
    def journal_id(self) -> str:
        """See `router.ports.MarkJournal`."""
        return self._writer.journal_id

    @property
    def _epoch(self) -> Epoch:
        known = self._epoch_known
        return known[1] if known is not None and known[0] == self._writer.generation else self._writer.epoch

    def _began(self, epoch: Epoch) -> None:
        self._epoch_known = (self._writer.generation, epoch)

    @property
    def _opened(self) -> int:
        return self._writer.generation

    @property
    def _timeline(self) -> str:
        return self._writer.timeline

    @property
    def _works(self) -> bool:
        return self._writer.writable

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        if self._closed:
            return
        self._closed = True
        if self._flush is not None:
            self._flush.cancel()
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.to_thread(self._checkpoints.stop)
        self._writer.submit(Signal.STOP)
        await asyncio.to_thread(self._writer.join)
        await self._loop.run_in_executor(self._reader, self._close_reader)
        self._reader.shutdown()

    async def _write(self, operation: Operation[T], *, key: Key | None = None) -> T:
        if not self._writer.writable:
            raise JournalUnavailable("the journal cannot be written")
        verdict: asyncio.Future[T] = self._loop.create_future()
        waiting = Waiting(operation, verdict)
        self._pending[verdict] = (key, waiting)
        if self._looking is None:
            self._looking = self._loop.call_later(LOOK_S, self._look)
        self._writer.submit(waiting)
        try:
            return await verdict
        finally:
            del self._pending[verdict]

    def _look(self) -> None:
        """Let nobody wait for a disk, or for another process's lock, that hangs: what it comes to is not known."""
        self._looking = None
        if self._pending:
            if not self._writer.writable:
                for verdict in self._pending:
                    if not verdict.done():
                        verdict.set_exception(JournalUnavailable("the journal hangs"))
            self._looking = self._loop.call_later(LOOK_S, self._look)

    def withdraw(self, sender: str, command_id: str) -> bool:
        """Take back what waits for a command. See `router.ports.Journal`."""
        for verdict, (key, waiting) in self._pending.items():
            if key == (sender, command_id) and self._writer.withdraw(waiting):
                if not verdict.done():
                    verdict.set_exception(JournalUnavailable("taken back"))
                return True
        return False

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        return await self._loop.run_in_executor(self._reader, self._run, operation)

    def _flush_later(self) -> None:
        self._writer.submit(Signal.FLUSH)

    def _run(self, operation: Operation[T]) -> T:
        try:
            connection = self._open_reader()
            connection.execute("begin")
            try:
                return drive(connection, operation, self._machine.boot_us() + self._writer.offset_us)
            finally:
                connection.execute("rollback")
        except (sqlite3.Error, OSError) as error:
            raise JournalUnavailable(f"the journal cannot be read: {error}") from error

    def _open_reader(self) -> sqlite3.Connection:
        generation = self._writer.generation
        if self._connection is None or generation != self._generation:
            self._close_reader()
            self._connection = connect(self._path, self._busy_s)
            self._connection.execute("pragma query_only = on")
            self._generation = generation
        return self._connection

    def _close_reader(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _refuse_place(path: Path) -> None:
    path = path.resolve()
    if not path.parent.is_dir():
        raise ConfigError([f"journal.url: there is no folder {path.parent}"])
    if path.is_dir():
        raise ConfigError([f"journal.url: {path} is a folder"])
    refuse_network(path)
    refuse_readable(path)
