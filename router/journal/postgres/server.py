"""What a PostgreSQL server must be to hold the journal, how a statement is put to it, and what its errors mean."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types

from router.errors import ConfigError, JournalUnavailable, RouterError
from router.journal.operations.statements import Many, Operation, T

SETTINGS: Final = {
    "application_name": "order-router",
    # The server's own limits come after ours: a commit that the server gives up waiting to replicate is reported as
    # done (https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION), one we give up is not.
    "statement_timeout": "15000",
    "lock_timeout": "300",
    # A frozen pod must not keep its rows.
    "idle_in_transaction_session_timeout": "10000",
    # Every statement of a command's life finds its rows by an index. A plan that was made while a table was small, and
    # is kept, must do so as well.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
PATIENT: Final = "set local lock_timeout = 5000"
"""For a transaction of one operation: a row that another pod keeps locked is worth waiting for."""
RACES: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""A transaction that lost such a race did nothing and may be run again."""
ROWS: Final = (*RACES, asyncpg.LockNotAvailableError)
"""What says that some rows are in other hands, and nothing of the server."""
_DURABLE: Final = """select name, setting from pg_settings
    where name in ('synchronous_commit', 'synchronous_standby_names', 'fsync')"""
# What two histories of one database differ in: a restored dump is in another cluster or another database, a
# promoted standby has another timeline, which is what the name of a WAL file begins with
# (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-BACKUP).
_HISTORY: Final = (
    "select system_identifier from pg_control_system()",
    "select oid from pg_database where datname = current_database()",
    "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
)
PRESENCE: Final = 72394501
"""Tells the locks of living processes from any other program's in the database."""
SETTLED_S: Final = 10
"""A server that has just started has no sessions yet: so long nobody counts as gone."""
_GONE: Final = re.compile(r"\bgone\(([\w.]+)\)")
_UUID: Final = re.compile(r"uuid_in\((\w+), '(\w+)'\)")
_JSON: Final = re.compile(r"json_text\((\w+), '(\w+)'\)")
NOW: Final = "cast(extract(epoch from statement_timestamp()) * 1000000 as bigint)"


POOLER: Final = (
    "journal.url: between us and PostgreSQL stands a pooler, such as pgbouncer, that keeps no session's settings; name "
    "PostgreSQL itself, or a pool in session mode that passes startup parameters on"
)


async def check(connection: Any) -> None:
    """Raise `ConfigError` when the server reports commits that it may lose, or our settings do not hold."""
    for name in ("lock_timeout", "idle_in_transaction_session_timeout", "enable_seqscan"):
        held = await connection.fetchval("select setting from pg_settings where name = $1", name)
        if held != SETTINGS[name]:
            raise ConfigError([POOLER])
    settings = dict(await connection.fetch(_DURABLE))
    commit = settings["synchronous_commit"]
    if commit == "off" or settings["fsync"] == "off":
        raise ConfigError(
            ["journal.url: this server reports commits early; set synchronous_commit = on and fsync = on"]
        )
    if commit == "local" and settings["synchronous_standby_names"]:
        raise ConfigError(["journal.url: this server's standby may lack commits; set synchronous_commit = on"])


async def timeline(connection: Any) -> str:
    """Return what tells this history of the database from another; what the role may not read is left out."""
    parts = []
    for query in _HISTORY:
        try:
            parts.append(str(await connection.fetchval(query)))
        except asyncpg.InsufficientPrivilegeError:
            parts.append("?")
    return "/".join(parts)


async def drive(connection: Any, operation: Operation[T], offset_us: int) -> T:
    """Run an operation's statements and return its verdict. `offset_us`: the journal's clock less the server's."""
    steps = operation()
    try:
        sql, params = next(steps)
        while True:
            if isinstance(sql, str):
                rows = await connection.fetch(numbered(sql, offset_us), *params)
            else:
                rows = await connection.fetch(arrays(sql, offset_us), *zip(*params, strict=True))
            sql, params = steps.send(rows)
    except StopIteration as stop:
        verdict: T = stop.value
        return verdict


@cache
def numbered(sql: str, offset_us: int) -> str:
    """Spell a statement as PostgreSQL does: `now_us()` is the time of the statement, so that an index can be used."""
    text = _JSON.sub(r"(\1::json ->> '\2')", sql).replace("now_us()", f"({NOW} + {offset_us})")
    text = _UUID.sub(r"""substring(\1 from '"\2":"([0-9a-f-]{36})"')""", text)
    return _GONE.sub(lambda found: _gone(found[1]), text)


def _gone(owner: str) -> str:
    """Return the condition that no living process holds the lock of the owner in a column (`presence`)."""
    key = f"((hashtext({owner})::bigint + 4294967296) % 4294967296)::oid"
    settled = f"pg_postmaster_start_time() < statement_timestamp() - interval '{SETTLED_S} s'"
    locks = f"locktype = 'advisory' and classid = {PRESENCE} and objid = {key} and objsubid = 2 and granted"
    here = "database = (select oid from pg_database where datname = current_database())"
    return f"({settled} and not exists (select 1 from pg_locks where {locks} and {here}))"  # noqa: S608 - our own words


@cache
def arrays(many: Many, offset_us: int) -> str:
    """Spell a statement on rows that come as an array for each column, so that one text does for any number."""
    given = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(many.types, 1))
    sql = f"with given ({', '.join(many.names)}) as (select * from unnest({given})) {many.sql}"  # noqa: S608 - our own words
    return numbered(sql, offset_us)


@contextmanager
def named() -> Generator[None]:
    """Raise `JournalUnavailable` for what says that the server cannot serve. Anything else is a defect of ours."""
    try:
        yield
    except Exception as error:
        if unavailable(error):
            raise JournalUnavailable(f"the journal cannot be used: {type(error).__name__}") from error
        raise


def unavailable(error: Exception) -> bool:
    """Say whether it is the server's failure. Classes 22, 23 and 42 are wrong data, constraints and statements.

    Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. A missing table is the server's: another
    database is there now. So is a permission that is missing.
    """
    if isinstance(error, RouterError | ValueError):
        return False
    state = getattr(error, "sqlstate", None) or ""
    if state[:2] in {"22", "23", "42"} and state not in {"42P01", "42501"}:
        return False
    return isinstance(error, OSError | asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError)
