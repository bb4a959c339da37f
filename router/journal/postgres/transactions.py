"""Transactions on a pool's connections: what waits together is committed together.

Whatever waits when a connection is free shares one transaction (`batch.py`); what cannot be done together is done
alone, in a transaction and on a connection of its own. Either is a task of ours, so a caller that is cancelled loses
nothing.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

from router.errors import JournalUnavailable
from router.journal.feed_store import Key
from router.journal.operations import batch
from router.journal.operations.statements import Operation, T
from router.journal.postgres import server

CONNECTIONS: Final = 16
BATCHES: Final = 3
"""Transactions with many operations that run at a time: while one waits for the disk, the next is put together."""
TIMEOUT_S: Final = 8.0
"""How long a statement, a commit or the wait for a connection may take."""
ALONE: Final = CONNECTIONS // 2
"""So many transactions may wait for rows that others have locked; the other connections are for everybody else."""
TRIES: Final = 4
"""How often a transaction that lost a race is run."""


class Waiting(NamedTuple):
    """An operation and whoever waits for its verdict."""

    operation: Operation[Any]
    verdict: asyncio.Future[Any]
    key: Key | None


class Transactions:
    """Those of one process. `on_lost` hears that the server counts as lost; `offset_us` is the journal's clock less
    the server's.
    """

    def __init__(self, pool: Any, *, on_commit: Callable[[float], None] | None, on_lost: Callable[[], None]) -> None:
        self.pool = pool
        self.healthy = False
        self.offset_us = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.patient = asyncio.Semaphore(ALONE)
        self._on_commit = on_commit
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Waiting] = []
        self._asked: dict[asyncio.Future[Any], None] = {}
        self._batches = 0

    def withdraw(self, key: Key) -> bool:
        """Take back what waits for a command, if it still does."""
        for number, one in enumerate(self._waiting):
            if one.key == key:
                del self._waiting[number]
                _refuse([one], JournalUnavailable("taken back"))
                return True
        return False

    def lose(self) -> None:
        """Let nobody wait for the server any more; what was asked of it may have happened."""
        self.healthy = False
        for verdict in list(self._asked):
            if not verdict.done():
                verdict.set_exception(JournalUnavailable("the journal was lost"))

    async def write(self, operation: Operation[T], key: Key | None, *, apart: bool = False) -> T:
        """Run an operation, shared with others or alone, and return its verdict once it is committed.

        `apart`: alone in any case, as it may have to wait for rows that another pod keeps locked.
        """
        if not self.healthy:
            raise JournalUnavailable("the journal cannot be written")
        verdict: asyncio.Future[T] = self._loop.create_future()
        # Nobody listens any more when the caller was cancelled; an error then is not worth a warning.
        verdict.add_done_callback(self._verdict)
        self._asked[verdict] = None
        if apart:
            self.begin(self._run_alone(Waiting(operation, verdict, key)))
            return await asyncio.shield(verdict)
        self._waiting.append(Waiting(operation, verdict, key))
        if self._batches < BATCHES:
            self._batches += 1
            self.begin(self._run_batches())
        return await asyncio.shield(verdict)

    def _verdict(self, verdict: "asyncio.Future[Any]") -> None:
        self._asked.pop(verdict, None)
        if not verdict.cancelled():
            verdict.exception()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that `close` waits for."""
        task = asyncio.create_task(work, name="journal")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run_batches(self) -> None:
        """Take what waits, a transaction at a time, until nothing does."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting[: batch.ROWS], self._waiting[batch.ROWS :]
                if self.healthy:
                    await self._run_batch(waiting)
                else:  # lost since they came: each would wait for the server as long as the first did
                    _refuse(waiting, JournalUnavailable("the journal cannot be written"))
        finally:
            self._batches -= 1

    async def _run_batch(self, waiting: Sequence[Waiting]) -> None:
        """Run operations together; when that fails for what may be one's trouble, each alone."""
        operations = [one.operation for one in waiting]
        try:
            with server.named():
                values = await self.transact(lambda: batch.run(operations))
        except Exception as error:
            if isinstance(error, JournalUnavailable) and not isinstance(error.__cause__, server.ROWS):
                _refuse(waiting, error)
                return self._on_lost()
            for one in waiting:
                if not one.verdict.done():
                    self.begin(self._run_alone(one))
        else:
            for one, value in zip(waiting, values, strict=True):
                if not one.verdict.done():
                    one.verdict.set_result(value)

    async def _run_alone(self, one: Waiting) -> None:
        async with self.patient:
            await self._run_patiently(one)

    async def _run_patiently(self, one: Waiting) -> None:
        for left in reversed(range(TRIES)):
            try:
                with server.named():
                    value = await self.transact(one.operation, patient=True)
            except Exception as error:
                if left and isinstance(error.__cause__, server.RACES):
                    continue
                if not one.verdict.done():
                    one.verdict.set_exception(error)
                # A row that another pod keeps locked is that row's trouble, anything else the server's.
                if isinstance(error, JournalUnavailable) and not isinstance(error.__cause__, server.ROWS):
                    self._on_lost()
                return
            if not one.verdict.done():
                one.verdict.set_result(value)
            return

    async def transact(self, operation: Operation[T], *, patient: bool = False) -> T:
        """Run an operation and commit. `patient` waits for locked rows."""
        async with self.pool.acquire(timeout=TIMEOUT_S) as connection:
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                if patient:
                    await connection.execute(server.PATIENT)
                value = await server.drive(connection, operation, self.offset_us)
            except BaseException:
                await transaction.rollback()
                raise
            await self.commit(connection, transaction)
            return value

    async def commit(self, connection: Any, transaction: Any) -> None:
        """Commit, and raise `JournalUnavailable` when the server may lose that."""
        warnings: list[str] = []

        def listen(_: object, message: Any) -> None:
            # "canceling wait for synchronous replication": committed here, and lost if this server is.
            if message.severity_en == "WARNING":
                warnings.append(message.message)

        began = time.perf_counter()
        connection.add_log_listener(listen)
        try:
            await transaction.commit()
        finally:
            connection.remove_log_listener(listen)
        if warnings:
            raise JournalUnavailable(f"the commit is not safe: {warnings[0]}")
        if self._on_commit is not None:
            self._on_commit(time.perf_counter() - began)


def _refuse(waiting: Sequence[Waiting], error: Exception) -> None:
    for one in waiting:
        if not one.verdict.done():
            one.verdict.set_exception(error)
