"""The shared journal: PostgreSQL, for pods on several machines.

Whatever waits when a connection is free shares one transaction (`batch.py`); what cannot be done together is done
alone, in a transaction and on a connection of its own. Either is a task of ours, so a caller that is cancelled loses
nothing. Clocks of pods may differ; `now_us()` is the server's.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types

from router.errors import ConfigError, JournalUnavailable
from router.job import Admitted, AttemptEnd, Job, Outgoing
from router.journal import batch, outbox, server
from router.journal.migrations import Epoch, open_epoch
from router.journal.statements import Operation, T
from router.journal.store import Key, Store
from schemas.results import Result

CONNECTIONS: Final = 16
BATCHES: Final = 3
"""Transactions with many operations that run at a time: while one waits for the disk, the next is put together."""
TIMEOUT_S: Final = 8.0
"""How long a statement, a commit or the wait for a connection may take."""
PROBE_S: Final = 1.0
TRIES: Final = 4
"""How often a transaction that lost a race is run."""
_LOCK: Final = "select pg_advisory_xact_lock(7239450130)"


class Waiting(NamedTuple):
    """An operation and whoever waits for its verdict."""

    operation: Operation[Any]
    verdict: asyncio.Future[Any]
    key: Key | None
    early: bool


class PostgresJournal(Store):
    """Runs operations in transactions of a pool's connections."""

    def __init__(self, pool: Any, *, on_commit: Callable[[float], None] | None) -> None:
        super().__init__()
        self._pool = pool
        self._on_commit = on_commit
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[Waiting] = []
        self._batches = 0
        self._committing: dict[Key, asyncio.Future[None]] = {}
        self._flushing = asyncio.Lock()
        self._probing: asyncio.Task[None] | None = None
        self._healthy = False
        self._known = Epoch(0, first=True)

    @classmethod
    async def open(
        cls, url: str, *, timeout_s: float = TIMEOUT_S, on_commit: Callable[[float], None] | None = None
    ) -> "PostgresJournal":
        """Connect and check that a commit is durable.

        Raises `ConfigError` for a URL or a server that cannot serve, `JournalUnavailable` when there is none now.
        """
        pool = asyncpg.create_pool(
            url, min_size=0, max_size=CONNECTIONS, timeout=timeout_s, command_timeout=timeout_s,
            server_settings=server.SETTINGS, reset=_keep, statement_cache_size=500, max_cacheable_statement_size=0,
        )  # fmt: skip
        journal = cls(pool, on_commit=on_commit)
        try:
            with server.named():
                await pool
                await journal._begin()
        except BaseException as error:
            pool.terminate()
            cause = error.__cause__ or error
            if isinstance(cause, server.REFUSALS):
                # Without its words: they quote parts of a URL that cannot be read, passwords too.
                raise ConfigError([f"journal.url: refused ({type(cause).__name__})"]) from None
            raise
        return journal

    @property
    def _epoch(self) -> Epoch:
        return self._known

    @property
    def writable(self) -> bool:
        """Whether the last transaction was committed."""
        return self._healthy

    async def close(self) -> None:
        """Finish the transactions that run and the marks that wait, then disconnect."""
        if self._flush is not None:
            self._flush.cancel()
        if self._probing is not None:
            self._probing.cancel()
        while self._tasks:  # one may begin another
            await asyncio.wait(self._tasks)
        with contextlib.suppress(JournalUnavailable):
            await self._flush_marks()
        if self._healthy:
            await self._pool.close()
        else:
            self._pool.terminate()

    async def save(
        self,
        job: Job,
        *,
        end: AttemptEnd | None = None,
        result: Result | None = None,
    ) -> tuple[Job, tuple[Outgoing, ...]] | None:
        """Store `job` if its version is still the stored one. See `router.ports.Journal`."""
        if result is not None and result.seq > 1:
            await self._flush_marks()  # else it would wait for a result that is confirmed
        return await super().save(job, end=end, result=result)

    async def unpublished(self, older_than_us: int, limit: int) -> tuple[Outgoing, ...]:
        """Claim results that were completed before the instant `older_than_us` and are not confirmed."""
        await self._flush_marks()
        return await self._write(lambda: outbox.claim(older_than_us, limit))

    async def _write(self, operation: Operation[T], *, key: Key | None = None, early: bool = False) -> T:
        if not self._healthy:
            raise JournalUnavailable("the journal cannot be written")
        await self._settled(key)
        verdict: asyncio.Future[T] = self._loop.create_future()
        # Nobody listens any more when the caller was cancelled; an error then is not worth a warning.
        verdict.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waiting.append(Waiting(operation, verdict, key, early))
        if self._batches < BATCHES:
            self._batches += 1
            self._begin_task(self._run_batches())
        return await asyncio.shield(verdict)

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        await self._settled(key)
        with server.named():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                return await server.drive(connection, operation)

    async def _settled(self, key: Key | None) -> None:
        """Wait for the commit of a command that left early: until then other connections do not see it."""
        committing = self._committing.get(key) if key is not None else None
        if committing is not None:
            await asyncio.wait([committing])

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="journal")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_batches(self) -> None:
        """Take what waits, a transaction at a time, until nothing does."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting[: batch.ROWS], self._waiting[batch.ROWS :]
                if self._healthy:
                    await self._run_batch(waiting)
                else:  # lost since they came: each would wait for the server as long as the first did
                    _refuse(waiting, JournalUnavailable("the journal cannot be written"))
        finally:
            self._batches -= 1

    async def _run_batch(self, waiting: Sequence[Waiting]) -> None:
        """Run operations together; when that fails for what may be one's trouble, each alone."""
        committed: asyncio.Future[None] = self._loop.create_future()
        operations = [one.operation for one in waiting]

        def done(values: Sequence[Any]) -> None:
            for one, value in zip(waiting, values, strict=True):
                if one.early and isinstance(value, Admitted) and one.key is not None and not one.verdict.done():
                    self._committing[one.key] = committed
                    one.verdict.set_result(value)

        try:
            with server.named():
                values = await self._transact(lambda: batch.run(operations), done)
        except Exception as error:
            if isinstance(error, JournalUnavailable) and not isinstance(error.__cause__, server.ROWS):
                self._fail()
                return _refuse(waiting, error)
            for one in waiting:
                if not one.verdict.done():
                    self._begin_task(self._run_alone(one))
        else:
            for one, value in zip(waiting, values, strict=True):
                if not one.verdict.done():
                    one.verdict.set_result(value)
        finally:
            committed.set_result(None)
            self._committing = {key: other for key, other in self._committing.items() if other is not committed}

    async def _run_alone(self, one: Waiting) -> None:
        for left in reversed(range(TRIES)):
            try:
                with server.named():
                    value = await self._transact(one.operation, patient=True)
            except Exception as error:
                if left and isinstance(error.__cause__, server.RACES):
                    continue
                # A row that another pod keeps locked is that row's trouble, anything else the server's.
                if isinstance(error, JournalUnavailable) and not isinstance(error.__cause__, server.ROWS):
                    self._fail()
                if not one.verdict.done():
                    one.verdict.set_exception(error)
                return
            if not one.verdict.done():
                one.verdict.set_result(value)
            return

    async def _transact(
        self, operation: Operation[T], done: Callable[[T], None] | None = None, *, patient: bool = False
    ) -> T:
        """Run an operation and commit. `done` hears the verdict before the commit; `patient` waits for locked rows."""
        async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                if patient:
                    await connection.execute(server.PATIENT)
                value = await server.drive(connection, operation)
            except BaseException:
                await transaction.rollback()
                raise
            if done is not None:
                done(value)
            await self._commit(connection, transaction)
            return value

    async def _commit(self, connection: Any, transaction: Any) -> None:
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

    async def _begin(self) -> None:
        """Check the server, bring the schema up to date and find the epoch. Also how a lost server is tried again."""
        async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
            await server.check(connection)
            timeline = await server.timeline(connection)
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                await connection.execute(server.PATIENT)
                await connection.fetch(_LOCK)
                epoch = await server.drive(connection, lambda: open_epoch(timeline))
            except BaseException:
                await transaction.rollback()
                raise
            await self._commit(connection, transaction)
        self._known = epoch
        self._healthy = True

    def _fail(self) -> None:
        self._healthy = False
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe(), name="journal-probe")

    async def _probe(self) -> None:
        while not self._healthy:
            await asyncio.sleep(PROBE_S)
            with contextlib.suppress(Exception):  # still unavailable, whatever the cause; tried again in a second
                await self._pool.expire_connections()
                await self._begin()
        self._remember()

    def _flush_later(self) -> None:
        self._begin_task(self._flush_quietly())

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(JournalUnavailable):  # kept, and tried again once the journal is back
            await self._flush_marks()

    async def _flush_marks(self) -> None:
        async with self._flushing:
            if not self._later or not self._healthy:
                return
            marks, notes = self._later.take_marks(), self._later.take_notes()
            try:
                with server.named():
                    await self._transact(lambda: batch.run((), marks, notes))
            except JournalUnavailable as error:
                self._later.put_back(marks, notes)
                if isinstance(error.__cause__, server.ROWS):
                    self._remember()
                else:
                    self._fail()
                    raise


def _refuse(waiting: Sequence[Waiting], error: Exception) -> None:
    for one in waiting:
        if not one.verdict.done():
            one.verdict.set_exception(error)


async def _keep(connection: Any) -> None:
    """Replace the pool's reset, a round trip per operation: no operation changes its session."""
