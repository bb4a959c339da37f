"""What a trial's journal file says, read from outside."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.stack import Stack


def path(stack: Stack) -> Path:
    """Return the journal's file."""
    return Path(stack.journal_url.removeprefix("sqlite:///"))


def states(stack: Stack) -> dict[str, str]:
    """Return the state of every command on disk."""
    with closing(sqlite3.connect(f"file:{path(stack)}?mode=ro", uri=True, timeout=5)) as connection:
        return dict(connection.execute("select command_id, state from commands").fetchall())


def waiting(stack: Stack, command_id: str) -> bool:
    """Whether a command is parked: open, due later, and none of its attempts under way."""
    sql = """select count(*) from commands c where command_id = ? and state = 'open' and next_us is not null
        and json_extract(job, '$.tries') = (select max(number) from attempts a where a.command_id = c.command_id)"""
    with closing(sqlite3.connect(f"file:{path(stack)}?mode=ro", uri=True, timeout=5)) as connection:
        return bool(connection.execute(sql, (command_id,)).fetchone()[0])
