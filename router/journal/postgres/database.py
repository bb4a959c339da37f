"""The shared journal: PostgreSQL, for pods on several machines.

Whatever waits when a connection is free shares one transaction (`batch.py`); what cannot be done together is done
alone, in a transaction and on a connection of its own. Either is a task of ours, so a caller that is cancelled loses
nothing. Clocks of pods may differ; `now_us()` is the server's.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import structlog

from router.errors import ConfigError, JournalUnavailable
from router.journal.bounds import STEP_US, Bounds
from router.journal.feed_store import Key
from router.journal.machine import Machine, ThisMachine
from router.journal.operations import batch
from router.journal.operations.statements import Operation, T
from router.journal.postgres import server
from router.journal.schema.migrations import Epoch, identify, migrate, open_epoch, read_clock, set_clock
from router.journal.store import Store
from router.records.command import AttemptEnd, CommandRecord, Moment, Outgoing, Saved
from schemas.results import Result

_log = structlog.get_logger(__name__)
CONNECTIONS: Final = 16
BATCHES: Final = 3
"""Transactions with many operations that run at a time: while one waits for the disk, the next is put together."""
TIMEOUT_S: Final = 8.0
"""How long a statement, a commit or the wait for a connection may take."""
PROBE_S: Final = 1.0
WATCH_S: Final = 1.0
WATCH_TIMEOUT_S: Final = 2.5
"""How long a server may take to say what time it is before it counts as lost."""
FLUSH_LIMIT_S: Final = 2.0
ALONE: Final = CONNECTIONS // 2
"""So many transactions may wait for rows that others have locked; the other connections are for everybody else."""
TRIES: Final = 4
"""How often a transaction that lost a race is run."""
_LOCK: Final = "select pg_advisory_xact_lock(7239450130)"


class Waiting(NamedTuple):
    """An operation and whoever waits for its verdict."""

    operation: Operation[Any]
    verdict: asyncio.Future[Any]
    key: Key | None


class PostgresJournal(Store):
    """Runs operations in transactions of a pool's connections."""

    def __init__(
        self, url: str, pool: Any, *, on_commit: Callable[[float], None] | None, machine: Machine, witnessed: bool
    ) -> None:
        super().__init__(machine, witnessed=witnessed)
        self._url = url
        self._pool = pool
        self._on_commit = on_commit
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[Waiting] = []
        self._asked: dict[asyncio.Future[Any], None] = {}
        self._batches = 0
        self._flushing = asyncio.Lock()
        self._patient = asyncio.Semaphore(ALONE)
        self._probing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._healthy = False
        self._known = Epoch(0, first=True)
        self._bounds = Bounds()
        self._offset_us = self._since_us = self._generation = 0
        self._name = self._history = ""

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        on_commit: Callable[[float], None] | None = None,
        machine: Machine | None = None,
        witnessed: bool = False,
    ) -> Self:
        """Connect and check that a commit is durable.

        Raises `ConfigError` for a URL or a server that cannot serve, `JournalUnavailable` when there is none now.
        """
        pool = asyncpg.create_pool(
            url, min_size=0, max_size=CONNECTIONS, timeout=timeout_s, command_timeout=timeout_s,
            server_settings=server.SETTINGS, reset=_keep, statement_cache_size=500, max_cacheable_statement_size=0,
        )  # fmt: skip
        journal = cls(url, pool, on_commit=on_commit, machine=machine or ThisMachine(), witnessed=witnessed)
        try:
            with server.named():
                await pool
                await journal._begin()
        except BaseException as error:
            pool.terminate()
            cause = error.__cause__ or error
            if isinstance(cause, asyncpg.ProtocolViolationError) and "startup parameter" in str(cause):
                raise ConfigError([server.POOLER]) from None
            if isinstance(cause, server.REFUSALS):
                # Without its words: they quote parts of a URL that cannot be read, passwords too.
                raise ConfigError([f"journal.url: refused ({type(cause).__name__})"]) from None
            raise
        journal._watching = asyncio.create_task(journal._watch(), name="journal-watch")
        return journal

    @property
    def _epoch(self) -> Epoch:
        return self._known

    def _began(self, epoch: Epoch) -> None:
        self._known = epoch

    @property
    def _opened(self) -> int:
        return self._generation

    @property
    def _timeline(self) -> str:
        return self._history

    @property
    def _works(self) -> bool:
        return self._healthy

    @property
    def journal_id(self) -> str:
        """See `router.ports.MarkJournal`."""
        return self._name

    def earliest_us(self) -> int:
        """Return what the server's clock shows now at least, as far as the last answers tell."""
        return self._bounds.earliest_us(self._machine.boot_us())

    def latest_us(self) -> int:
        """Return what it shows now at most."""
        return self._bounds.latest_us(self._machine.boot_us())

    @property
    def since_us(self) -> int:
        """See `router.ports.JournalClock`."""
        return self._since_us

    def _saw(self, at: Moment) -> None:
        if not self._bounds.saw(at.asked_us, at.now_us, self._machine.boot_us()):
            _log.error("the journal's clock was set", server="postgresql")
            self._fail()

    def withdraw(self, sender: str, command_id: str) -> bool:
        """Take back what waits for a command. See `router.ports.Journal`."""
        for number, one in enumerate(self._waiting):
            if one.key == (sender, command_id):
                del self._waiting[number]
                _refuse([one], JournalUnavailable("taken back"))
                return True
        return False

    async def close(self) -> None:
        """Finish the transactions that run and the marks that wait, then disconnect."""
        if self._flush is not None:
            self._flush.cancel()
        for task in (self._probing, self._watching):
            if task is not None:
                task.cancel()
        while self._tasks:  # one may begin another
            await asyncio.wait(self._tasks)
        with contextlib.suppress(JournalUnavailable, TimeoutError):  # what is left is published once more
            async with asyncio.timeout(FLUSH_LIMIT_S):
                await self._flush_marks()
        if self._healthy:
            await self._pool.close()
        else:
            self._pool.terminate()

    async def save(
        self,
        record: CommandRecord,
        *,
        end: AttemptEnd | None = None,
        result: Result | None = None,
    ) -> Saved | None:
        """Store `record` if its version is still the stored one. See `router.ports.Journal`."""
        if result is not None and result.seq > 1:
            await self._flush_marks()  # else it would wait for a result that is confirmed
        return await super().save(record, end=end, result=result)

    async def unpublished(self, *, room: Mapping[str, int], per_queue: int, limit: int) -> Sequence[Outgoing]:
        """Claim results that nobody publishes now. See `router.ports.ResultJournal`."""
        await self._flush_marks()
        return await super().unpublished(room=room, per_queue=per_queue, limit=limit)

    async def _write(self, operation: Operation[T], *, key: Key | None = None) -> T:
        if not self._healthy:
            raise JournalUnavailable("the journal cannot be written")
        verdict: asyncio.Future[T] = self._loop.create_future()
        # Nobody listens any more when the caller was cancelled; an error then is not worth a warning.
        verdict.add_done_callback(self._verdict)
        self._asked[verdict] = None
        self._waiting.append(Waiting(operation, verdict, key))
        if self._batches < BATCHES:
            self._batches += 1
            self._begin_task(self._run_batches())
        return await asyncio.shield(verdict)

    def _verdict(self, verdict: "asyncio.Future[Any]") -> None:
        self._asked.pop(verdict, None)
        if not verdict.cancelled():
            verdict.exception()

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        with server.named():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                return await server.drive(connection, operation, self._offset_us)

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
        operations = [one.operation for one in waiting]
        try:
            with server.named():
                values = await self._transact(lambda: batch.run(operations))
        except Exception as error:
            if isinstance(error, JournalUnavailable) and not isinstance(error.__cause__, server.ROWS):
                _refuse(waiting, error)
                return self._fail()
            for one in waiting:
                if not one.verdict.done():
                    self._begin_task(self._run_alone(one))
        else:
            for one, value in zip(waiting, values, strict=True):
                if not one.verdict.done():
                    one.verdict.set_result(value)

    async def _run_alone(self, one: Waiting) -> None:
        async with self._patient:
            await self._run_patiently(one)

    async def _run_patiently(self, one: Waiting) -> None:
        for left in reversed(range(TRIES)):
            try:
                with server.named():
                    value = await self._transact(one.operation, patient=True)
            except Exception as error:
                if left and isinstance(error.__cause__, server.RACES):
                    continue
                if not one.verdict.done():
                    one.verdict.set_exception(error)
                # A row that another pod keeps locked is that row's trouble, anything else the server's.
                if isinstance(error, JournalUnavailable) and not isinstance(error.__cause__, server.ROWS):
                    self._fail()
                return
            if not one.verdict.done():
                one.verdict.set_result(value)
            return

    async def _transact(self, operation: Operation[T], *, patient: bool = False) -> T:
        """Run an operation and commit. `patient` waits for locked rows."""
        async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                if patient:
                    await connection.execute(server.PATIENT)
                value = await server.drive(connection, operation, self._offset_us)
            except BaseException:
                await transaction.rollback()
                raise
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
            self._history = await server.timeline(connection)
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                await connection.execute(server.PATIENT)
                await connection.fetch(_LOCK)
                await server.drive(connection, migrate, self._offset_us)
                await self._set_clock(connection)
                epoch = await server.drive(connection, lambda: open_epoch(self._history), self._offset_us)
                self._name = await server.drive(connection, identify, self._offset_us)
            except BaseException:
                await transaction.rollback()
                raise
            await self._commit(connection, transaction)
        self._known = epoch
        self._generation += 1
        self._healthy = True

    async def _set_clock(self, connection: Any) -> None:
        """Go on with the clock as it is; on another server, or on one whose clock was set, let it go on without a step.

        It never goes back behind the highest time on disk, so a server that is behind revives nothing.
        """
        clock = await server.drive(connection, read_clock, 0)
        asked_us = self._machine.boot_us()
        raw_us = int(await connection.fetchval(f"select {server.NOW}"))
        offset_us, since_us = clock.offset_us, clock.since_us
        went_us = self._bounds.latest_us(asked_us) if self._bounds.known else 0
        same = clock.boot_id == self._history
        # However long ago the last look was: what clocks may have drifted since is no step.
        earliest_us = self._bounds.earliest_us(asked_us) - STEP_US
        set_since = bool(went_us) and not earliest_us <= raw_us + offset_us <= went_us + STEP_US
        if not same or set_since or raw_us + offset_us < clock.seen_us - STEP_US:
            # Where this process has counted on, that is what time it is; else the server's own clock says it.
            now_us = max(went_us or raw_us, clock.seen_us)
            offset_us, since_us = now_us - raw_us, clock.since_us if went_us else now_us
            if clock.boot_id:
                _log.warning("the journal's clock goes on", ahead_s=offset_us / 1e6, server="postgresql")
            await server.drive(connection, lambda: set_clock(self._history, offset_us, since_us), 0)
        self._offset_us, self._since_us = offset_us, since_us
        self._bounds.forget()
        self._bounds.saw(asked_us, raw_us + offset_us, self._machine.boot_us())

    async def _watch(self) -> None:
        """Ask the server what time it is: so that one that is gone is noticed, and a clock that was set.

        On a connection of its own: the others may all wait for rows that somebody has locked.
        """
        connection: Any = None
        try:
            while True:
                await asyncio.sleep(WATCH_S)
                if not self._healthy:
                    continue
                try:
                    async with asyncio.timeout(WATCH_TIMEOUT_S):
                        if connection is None:
                            connection = await asyncpg.connect(self._url, server_settings=server.SETTINGS)
                        asked_us = self._machine.boot_us()
                        now_us = int(await connection.fetchval(server.numbered("select now_us()", self._offset_us)))
                except Exception as error:  # whatever it is, this must not be the last look
                    _log.warning("the journal does not answer", error=type(error).__name__)
                    if connection is not None:
                        connection.terminate()
                    connection = None
                    self._fail()
                else:
                    self._saw(Moment(asked_us, now_us))
        finally:
            if connection is not None:
                connection.terminate()

    def _fail(self) -> None:
        """Take the server for lost. Nobody waits for it any more; what was asked of it may have happened."""
        self._healthy = False
        for verdict in list(self._asked):
            if not verdict.done():
                verdict.set_exception(JournalUnavailable("the journal was lost"))
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe(), name="journal-probe")

    async def _probe(self) -> None:
        while not self._healthy:
            await asyncio.sleep(PROBE_S)
            try:
                await self._pool.expire_connections()
                async with asyncio.timeout(TIMEOUT_S):
                    await self._begin()
            except Exception as error:  # still unavailable, whatever the cause; tried again in a second
                _log.info("the journal is not back yet", error=type(error).__name__)
        self._remember()

    def _flush_later(self) -> None:
        self._begin_task(self._flush_quietly())

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(JournalUnavailable):  # kept, and tried again once the journal is back
            await self._flush_marks()

    async def _flush_marks(self) -> None:
        async with self._flushing:
            if not self._deferred or not self._healthy:
                return
            marks, notes = self._deferred.take_marks(), self._deferred.take_notes()
            try:
                with server.named():
                    await self._transact(lambda: batch.run((), marks, notes))
            except JournalUnavailable as error:
                self._deferred.put_back(marks, notes)
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
