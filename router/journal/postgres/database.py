"""The shared journal: PostgreSQL, for pods on several machines.

Clocks of pods may differ; `now_us()` is the server's, with an offset that is stored once its clock was set.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import structlog

from router.errors import ConfigError, JournalUnavailable, RouterError
from router.journal.bounds import STEP_US, Bounds
from router.journal.feed_store import Key
from router.journal.machine import Machine, ThisMachine
from router.journal.operations import batch
from router.journal.operations.statements import Operation, T
from router.journal.postgres import causes, server
from router.journal.postgres.presence import Presence
from router.journal.postgres.transactions import CONNECTIONS, TIMEOUT_S, Transactions
from router.journal.schema.migrations import Epoch, identify, migrate, open_epoch, read_clock, set_clock
from router.journal.store import Store
from router.records.command import AttemptEnd, CommandRecord, Moment, Outgoing, Saved
from router.records.event import Holder, Lease
from schemas.results import Result

_log = structlog.get_logger(__name__)
PROBE_S: Final = 1.0
WATCH_S: Final = 1.0
WATCH_TIMEOUT_S: Final = 2.5
"""How long a server may take to say what time it is before it counts as lost."""
FLUSH_LIMIT_S: Final = 2.0
_LOCK: Final = "select pg_advisory_xact_lock(7239450130)"


class PostgresJournal(Store):
    """Runs operations in transactions of a pool's connections."""

    def __init__(
        self, url: str, pool: Any, *, on_commit: Callable[[float], None] | None, machine: Machine, witnessed: bool
    ) -> None:
        super().__init__(machine, witnessed=witnessed)
        self._url = url
        self._pool = pool
        self._run = Transactions(pool, on_commit=on_commit, on_lost=self._fail)
        self._flushing = asyncio.Lock()
        self._probing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._presence = Presence(url)
        self._known = Epoch(0, first=True)
        self._bounds = Bounds()
        self._since_us = self._generation = 0
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
        if (fault := causes.file_fault(url)) is not None:
            raise ConfigError([fault])
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
            passing = isinstance(cause, causes.PASSING)
            if isinstance(cause, causes.REFUSALS) and not passing:
                raise ConfigError([causes.refusal(cause, url)]) from None
            if passing or (isinstance(error, JournalUnavailable) and error.__cause__ is not None):
                words = causes.in_words(cause, url, timeout_s)
                raise JournalUnavailable(f"the journal cannot be used: {words}") from cause
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
        return self._run.healthy

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
        return self._run.withdraw((sender, command_id))

    async def close(self) -> None:
        """Finish the transactions that run and the marks that wait, then disconnect."""
        self._presence.release()
        if self._flush is not None:
            self._flush.cancel()
        for task in (self._probing, self._watching):
            if task is not None:
                task.cancel()
        while self._run.tasks:  # one may begin another
            await asyncio.wait(self._run.tasks)
        with contextlib.suppress(JournalUnavailable, TimeoutError):  # what is left is published once more
            async with asyncio.timeout(FLUSH_LIMIT_S):
                await self._flush_marks()
        if self._run.healthy:
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

    async def take_lease(self, venue: str, account: str, owner: str, valid_us: int) -> Lease | None:
        """Take an account's feed if nobody holds it, or its owner has died. See `router.ports.EventJournal`."""
        await self._presence.hold(owner)
        return await super().take_lease(venue, account, owner, valid_us)

    async def lease_holders(self) -> tuple[Holder, ...]:
        """Return who holds what; nothing is left of a lease whose owner has died."""
        await self._presence.hold()
        return await super().lease_holders()

    async def _write(self, operation: Operation[T], *, key: Key | None = None) -> T:
        return await self._run.write(operation, key)

    async def _write_apart(self, operation: Operation[T]) -> T:
        return await self._run.write(operation, None, apart=True)

    async def _read(self, operation: Operation[T], *, key: Key | None = None) -> T:
        with server.named():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                return await server.drive(connection, operation, self._run.offset_us)

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
                await server.drive(connection, migrate, self._run.offset_us)
                await self._set_clock(connection)
                epoch = await server.drive(connection, lambda: open_epoch(self._history), self._run.offset_us)
                self._name = await server.drive(connection, identify, self._run.offset_us)
            except BaseException:
                await transaction.rollback()
                raise
            await self._run.commit(connection, transaction)
        self._known = epoch
        self._generation += 1
        self._run.healthy = True

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
        self._run.offset_us, self._since_us = offset_us, since_us
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
                if not self._run.healthy:
                    continue
                try:
                    async with asyncio.timeout(WATCH_TIMEOUT_S):
                        if connection is None:
                            connection = await asyncpg.connect(self._url, server_settings=server.SETTINGS)
                        asked_us = self._machine.boot_us()
                        now_us = int(await connection.fetchval(server.numbered("select now_us()", self._run.offset_us)))
                except Exception as error:  # whatever it is, this must not be the last look
                    _log.warning("the journal does not answer", error=causes.in_words(error, self._url))
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
        self._run.lose()
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe(), name="journal-probe")

    async def _probe(self) -> None:
        while not self._run.healthy:
            await asyncio.sleep(PROBE_S)
            try:
                await self._pool.expire_connections()
                async with asyncio.timeout(TIMEOUT_S):
                    await self._begin()
            except Exception as error:  # still unavailable, whatever the cause; tried again in a second
                _log.info("the journal is not back yet", error=_words(error, self._url))
        self._remember()

    def _flush_later(self) -> None:
        self._run.begin(self._flush_quietly())

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(JournalUnavailable):  # kept, and tried again once the journal is back
            await self._flush_marks()

    async def _flush_marks(self) -> None:
        async with self._flushing:
            if not self._deferred or not self._run.healthy:
                return
            later = self._deferred.take()
            try:
                with server.named():
                    await self._run.transact(lambda: batch.run((), later))
            except JournalUnavailable as error:
                self._deferred.put_back(later)
                if isinstance(error.__cause__, server.ROWS):
                    self._remember()
                else:
                    self._fail()
                    raise


def _words(error: Exception, url: str) -> str:
    return str(error) if isinstance(error, RouterError) else causes.in_words(error, url)


async def _keep(connection: Any) -> None:
    """Replace the pool's reset, a round trip per operation: no operation changes its session."""
