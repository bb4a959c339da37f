"""The shared journal: PostgreSQL, for pods on several machines. The only importer of asyncpg.

Every operation is a task of its own with a connection of its own, so a caller that is cancelled loses nothing.
Group commit is the server's. Clocks of pods may differ; `now_us()` is the server's.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types

from router.errors import ConfigError, JournalUnavailable, RouterError
from router.job import Admitted, AttemptEnd, AttemptStart, Job, Outgoing
from router.journal import outbox, story
from router.journal.migrations import Epoch, open_epoch
from router.journal.statements import Operation, T
from router.journal.store import Key, Store
from schemas.results import Result

CONNECTIONS: Final = 16
TIMEOUT_S: Final = 8.0
"""How long a statement, a commit or the wait for a connection may take."""
PROBE_S: Final = 1.0
TRIES: Final = 4
"""How often a transaction that lost a deadlock or a serialization race is run."""

_SETTINGS: Final = {
    "application_name": "order-router",
    # The server's own limits come after ours: a commit that the server gives up waiting to replicate is reported as
    # done (https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION), one we give up is not.
    "statement_timeout": "15000",
    "lock_timeout": "5000",
    # A frozen pod must not keep its rows.
    "idle_in_transaction_session_timeout": "10000",
}
_LOCK: Final = "select pg_advisory_xact_lock(7239450130)"
# What two histories of one database differ in: a promoted standby has another timeline, a restored dump another
# cluster or another database.
_TIMELINE: Final = """select (select system_identifier from pg_control_system()) || '/'
    || (select oid from pg_database where datname = current_database()) || '/'
    || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"""
_DURABLE: Final = """select name, setting from pg_settings
    where name in ('synchronous_commit', 'synchronous_standby_names', 'fsync')"""
_NOW: Final = "cast(extract(epoch from statement_timestamp()) * 1000000 as bigint)"


class PostgresJournal(Store):
    """Runs operations in transactions of a pool's connections."""

    def __init__(self, pool: Any, *, on_commit: Callable[[float], None] | None) -> None:
        super().__init__()
        self._pool = pool
        self._on_commit = on_commit
        self._tasks: set[asyncio.Task[None]] = set()
        self._committing: dict[Key, asyncio.Task[None]] = {}
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
            server_settings=_SETTINGS, reset=_keep,
        )  # fmt: skip
        journal = cls(pool, on_commit=on_commit)
        try:
            await pool
            await journal._begin()
        except (ValueError, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            pool.terminate()
            # Without the cause and its words: they quote parts of a URL that cannot be read, passwords too.
            raise ConfigError([f"journal.url: refused ({type(error).__name__})"]) from None
        except BaseException as error:
            pool.terminate()
            raise _named(error) from error
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
        if self._tasks:
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
        start: AttemptStart | None = None,
        end: AttemptEnd | None = None,
        result: Result | None = None,
    ) -> tuple[Job, tuple[Outgoing, ...]] | None:
        """Store `job` if its version is still the stored one. See `router.ports.Journal`."""
        if result is not None and result.seq > 1:
            await self._flush_marks()  # else it would wait for a result that is confirmed
        return await super().save(job, start=start, end=end, result=result)

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
        task = asyncio.create_task(self._decide(operation, verdict, early), name="journal")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if early and key is not None:
            self._committing[key] = task
            task.add_done_callback(lambda _: self._committing.pop(key, None))
        return await asyncio.shield(verdict)

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        await self._settled(key)
        try:
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                return await _drive(connection, operation)
        except Exception as error:
            raise _named(error) from error

    async def _settled(self, key: Key | None) -> None:
        """Wait for the commit of a command that left early: until then other connections do not see it."""
        task = self._committing.get(key) if key is not None else None
        if task is not None:
            await asyncio.wait([task])

    async def _decide(self, operation: Operation[T], verdict: asyncio.Future[T], early: bool) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                value = await self._transact(operation, verdict if early else None)
            except Exception as error:
                again = isinstance(error, asyncpg.SerializationError | asyncpg.DeadlockDetectedError)
                if again and attempt < TRIES and not verdict.done():
                    continue
                told = _named(error)
                if isinstance(told, JournalUnavailable) and not isinstance(error, asyncpg.LockNotAvailableError):
                    self._fail()
                if not verdict.done():
                    verdict.set_exception(told)
                return
            if not verdict.done():
                verdict.set_result(value)
            return

    async def _transact(self, operation: Operation[T], early: asyncio.Future[T] | None) -> T:
        async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                value = await _drive(connection, operation)
            except BaseException:
                await transaction.rollback()
                raise
            if early is not None and isinstance(value, Admitted) and not early.done():
                early.set_result(value)
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
            _check(dict(await connection.fetch(_DURABLE)))
            timeline = await connection.fetchval(_TIMELINE)
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                await connection.fetch(_LOCK)
                epoch = await _drive(connection, lambda: open_epoch(timeline))
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
        task = asyncio.create_task(self._flush_quietly(), name="journal-flush")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(JournalUnavailable):  # kept, and tried again once the journal is back
            await self._flush_marks()

    async def _flush_marks(self) -> None:
        async with self._flushing:
            if not self._later or not self._healthy:
                return
            marks, notes = self._later.take_marks(), self._later.take_notes()
            try:
                async with self._pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                    await connection.executemany(numbered(outbox.CONFIRM), marks)
                    await connection.executemany(numbered(story.NOTE), notes)
            except Exception as error:
                self._later.put_back(marks, notes)
                self._fail()
                raise _named(error) from error


async def _drive(connection: Any, operation: Operation[T]) -> T:
    steps = operation()
    try:
        sql, params = next(steps)
        while True:
            sql, params = steps.send(await connection.fetch(numbered(sql), *params))
    except StopIteration as stop:
        verdict: T = stop.value
        return verdict


@cache
def numbered(sql: str) -> str:
    """Spell `now_us()` as PostgreSQL does: the time of the statement, so that an index on it can be used."""
    return sql.replace("now_us()", _NOW)


async def _keep(connection: Any) -> None:
    """Replace the pool's reset, a round trip per operation: no operation changes its session."""


def _check(settings: dict[str, str]) -> None:
    commit, standbys = settings["synchronous_commit"], settings["synchronous_standby_names"]
    if commit == "off" or settings["fsync"] == "off":
        raise ConfigError(
            ["journal.url: this server reports commits before they are on disk; set synchronous_commit and fsync on"]
        )
    if commit == "local" and standbys:
        raise ConfigError(
            ["journal.url: synchronous_commit is local, so a standby may lack what was committed; set it on"]
        )


def _named(error: BaseException) -> BaseException:
    """Return ours for an exception that says the server cannot serve, and any other, a defect, as it is."""
    if isinstance(error, RouterError) or not isinstance(error, Exception) or isinstance(error, ValueError):
        return error
    state = getattr(error, "sqlstate", None) or ""
    # Classes of https://www.postgresql.org/docs/current/errcodes-appendix.html: data, constraint, statement. A table
    # that is missing means another database is there now.
    if state[:2] in {"22", "23", "42"} and state != "42P01":
        return error
    if isinstance(error, OSError | asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return JournalUnavailable(f"the journal cannot be used: {type(error).__name__}")
    return error
