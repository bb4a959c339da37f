"""How a SQLite file is opened, and how a statement is put to it. What its errors mean: `causes`."""

import os
import re
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

from router.errors import ConfigError
from router.journal.operations.statements import Many, Operation, Params, Statement, T
from router.journal.sqlite import causes

_GONE: Final = re.compile(r"\bgone\([\w.]+\)")
_UUID: Final = re.compile(r"uuid_in\((\w+), '(\w+)'\)")
_JSON: Final = re.compile(r"json_text\((\w+), '(\w+)'\)")


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """Open the file in WAL mode with a full sync at every commit. A new one is its owner's alone, and so is its log."""
    # Never one that is there: closing it would drop every lock that this process has on it, and then another process
    # takes the log away.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        _wal(connection, time.monotonic() + busy_s)
    except BaseException:
        connection.close()
        raise
    connection.execute("pragma synchronous = full")
    connection.execute("pragma cache_size = -16384")
    connection.execute("pragma wal_autocheckpoint = 65536")  # a brake: `checkpoints.py` does it long before
    connection.execute("pragma journal_size_limit = 67108864")
    return connection


def drive(connection: sqlite3.Connection, operation: Operation[T], now_us: int) -> T:
    """Run an operation's statements and return its verdict. `now_us` is what the journal's clock shows meanwhile."""
    steps = operation()
    try:
        statement = next(steps)
        while True:
            statement = steps.send(connection.execute(*_spelled(statement, now_us)).fetchall())
    except StopIteration as stop:
        verdict: T = stop.value
        return verdict


def _spelled(statement: Statement, now_us: int) -> tuple[str, Params]:
    sql, params = statement
    if isinstance(sql, str):
        text, timed = numbered(sql, len(params))
        return text, (*params, now_us) if timed else params  # type: ignore[return-value]  # rows come with a `Many` only
    rows: Sequence[Any] = params
    size = 1 << (len(rows) - 1).bit_length()  # so that few texts have to be prepared
    nulls = (None,) * len(rows[0])
    text, timed = values(sql, size)
    given = chain(*rows, *(nulls for _ in range(size - len(rows))))
    return text, (*given, now_us) if timed else tuple(given)


@cache
def values(many: Many, size: int) -> tuple[str, bool]:
    """Spell a statement on `size` rows. See `numbered`."""
    width = len(many.names)
    # The first row says the types of all.
    first = ", ".join(f"cast(${number} as {kind})" for number, kind in enumerate(many.types, 1))
    rows = [", ".join(f"${row * width + column}" for column in range(1, width + 1)) for row in range(1, size)]
    given = ", ".join(f"({row})" for row in [first, *rows])
    return numbered(f"with given ({', '.join(many.names)}) as (values {given}) {many.sql}", size * width)


@cache
def numbered(sql: str, params: int) -> tuple[str, bool]:
    """Spell a statement as SQLite does, and say whether the time is one parameter more, the last."""
    text = sql.replace("$", "?").replace("now_us()", f"?{params + 1}").replace(" for update skip locked", "")
    text = _UUID.sub(_uuid_in, text)
    return _GONE.sub("(0 = 1)", _JSON.sub(r"json_extract(\1, '$.\2')", text)), "now_us()" in sql


def _uuid_in(found: re.Match[str]) -> str:
    column, name = found.groups()
    before = f'"{name}":"'
    at = f"instr({column}, '{before}')"
    return f"case when {at} > 0 then substr({column}, {at} + {len(before)}, 36) end"


def _wal(connection: sqlite3.Connection, deadline: float) -> None:
    # Turning WAL on needs the file alone and does not wait for it; two processes may start at once.
    while True:
        try:
            mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not causes.busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.005)
            continue
        if mode != "wal":
            raise ConfigError(["journal.url: this file system cannot hold a SQLite journal in WAL mode"])
        return
