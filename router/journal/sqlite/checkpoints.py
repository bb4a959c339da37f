"""Copy what was committed from the log into the file, in a thread of its own, so that no commit waits for it.

SQLite otherwise does it within the commit that makes the log long: tens of milliseconds for whoever that is. A passive
checkpoint holds up nobody (https://www.sqlite.org/wal.html, "Checkpointing"); the log begins anew once it caught up.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

EVERY_S: Final = 0.5
ROUNDS: Final = 4
"""What is committed meanwhile is fetched by another round, a short one."""


class Checkpoints:
    """Runs from `start` to `stop`, while `healthy` says that the file is the journal."""

    def __init__(self, path: Path, healthy: Callable[[], bool]) -> None:
        self._path = path
        self._healthy = healthy
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the checkpoint that runs."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            if self._healthy():
                with contextlib.suppress(sqlite3.Error):  # the writer will say so, and it has a brake of its own
                    checkpoint(self._path)


def checkpoint(path: Path) -> bool:
    """Copy what the log of an existing file holds, and say whether that was all. Raises `sqlite3.Error`."""
    # A connection for each time: the file may be replaced, and one that is gone must not be made.
    with contextlib.closing(
        sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=0, isolation_level=None)
    ) as connection:
        for _ in range(ROUNDS):
            busy, logged, copied = connection.execute("pragma wal_checkpoint(passive)").fetchone()
            if busy or logged == copied:
                return bool(logged == copied)
    return False
