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
