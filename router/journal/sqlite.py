"""The embedded journal: one SQLite file, any number of processes of one machine."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from router.errors import ConfigError, JournalUnavailable
from router.journal.checkpoints import Checkpoints
from router.journal.file import connect, drive
from router.journal.filesystem import refuse_network
from router.journal.migrations import Epoch
from router.journal.statements import Operation, T
from router.journal.store import Key, Store
from router.journal.writer import Signal, Waiting, Writer

BUSY_S: Final = 5.0
"""How long another process may hold the file before the journal counts as unavailable."""


class SqliteJournal(Store):
    """Writes in the writer's thread; reads in another one, which never waits for a sync."""

    def __init__(self, path: Path, *, busy_s: float, on_commit: Callable[[float], None] | None) -> None:
        super().__init__()
        self._path = path
        self._busy_s = busy_s
        self._writer = Writer(path, self._later, busy_s=busy_s, on_commit=on_commit)
        self._checkpoints = Checkpoints(path, lambda: self._writer.writable)
        self._reader = ThreadPoolExecutor(1, "journal-reader")
        self._connection: sqlite3.Connection | None = None
        self._generation = 0
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path, *, busy_s: float = BUSY_S, on_commit: Callable[[float], None] | None = None
    ) -> "SqliteJournal":
        """Open or create the file.

        `on_commit` hears the seconds of every commit, in the writer's thread. Raises `ConfigError` for a place
        where no journal can be, `JournalUnavailable` when it cannot be written now.
        """
        _refuse_place(path)
        journal = cls(path, busy_s=busy_s, on_commit=on_commit)
        try:
            await journal._writer.opened
        except BaseException:
            journal._reader.shutdown()
            raise
        journal._checkpoints.start()
        return journal

    @property
    def _epoch(self) -> Epoch:
        return self._writer.epoch

    @property
    def writable(self) -> bool:
        """Whether the last commit worked and the present one does not hang."""
        return self._writer.writable

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        if self._closed:
            return
        self._closed = True
        if self._flush is not None:
            self._flush.cancel()
        await asyncio.to_thread(self._checkpoints.stop)
        self._writer.submit(Signal.STOP)
        await asyncio.to_thread(self._writer.join)
        await self._loop.run_in_executor(self._reader, self._close_reader)
        self._reader.shutdown()

    async def _write(self, operation: Operation[T], *, key: Key | None = None, early: bool = False) -> T:
        if not self._writer.writable:
            raise JournalUnavailable("the journal cannot be written")
        verdict: asyncio.Future[T] = self._loop.create_future()
        self._writer.submit(Waiting(operation, verdict, early))
        return await verdict

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        return await self._loop.run_in_executor(self._reader, self._run, operation)

    def _flush_later(self) -> None:
        self._writer.submit(Signal.FLUSH)

    def _run(self, operation: Operation[T]) -> T:
        try:
            connection = self._open_reader()
            connection.execute("begin")
            try:
                return drive(connection, operation)
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
