"""The log is copied into the file beside the writer."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from router.journal.sqlite import file
from router.journal.sqlite.checkpoints import Checkpoints, checkpoint


def test_what_was_committed_is_copied_while_somebody_writes(tmp_path: Path) -> None:
    """A transaction that is open holds nothing up, and is not copied."""
    path = tmp_path / "journal.db"
    with closing(file.connect(path, 1.0)) as connection:
        connection.execute("create table t (a)")
        connection.execute("begin immediate")
        connection.execute("insert into t values (1)")
        assert checkpoint(path)
        connection.execute("commit")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select a from t").fetchall() == [(1,)]


def test_a_file_that_is_gone_is_not_made(tmp_path: Path) -> None:
    """Whoever took it away puts it back; an empty one in its place would be another journal."""
    with pytest.raises(sqlite3.OperationalError):
        checkpoint(tmp_path / "journal.db")
    assert list(tmp_path.iterdir()) == []


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """Nothing runs on after `stop`, whatever the file is like."""
    checkpoints = Checkpoints(tmp_path / "journal.db", lambda: True)
    checkpoints.start()
    checkpoints.stop()
    assert not checkpoints._thread.is_alive()
