"""The durable truth: every command, what was sent for it, and what its sender is owed.

    sqlite:///order-router.db       a file beside the working directory (embedded default)
    sqlite:////var/lib/x.db         a file by its full path
    postgresql://user@host/db       shared by pods on several machines

Both back ends run the same schema (`schema/`) and the same operations, which are generators that do no I/O.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from router.errors import ConfigError
from router.journal.operations.backlog import Backlog, Waiting
from router.journal.operations.listing import Filter, Unreadable
from router.journal.operations.refusals import Unstored
from router.journal.operations.timeline import Entry, Timeline
from router.journal.store import Store

__all__ = [
    "Backlog",
    "Entry",
    "Filter",
    "Store",
    "Timeline",
    "Unreadable",
    "Unstored",
    "Waiting",
    "file_of",
    "open_journal",
]


async def open_journal(url: str, *, on_commit: Callable[[float], None] | None = None, witnessed: bool = False) -> Store:
    """Open the journal that a URL names, its schema brought up to date.

    `on_commit` hears the seconds of every commit, in any thread. `witnessed`: nothing is changed until `certify`.
    Raises `ConfigError` when no journal can be there, `JournalUnavailable` when it cannot be reached or written now.
    """
    file = file_of(url)
    if file is not None:
        from router.journal.sqlite.database import SqliteJournal

        return await SqliteJournal.open(file, on_commit=on_commit, witnessed=witnessed)
    if url.startswith(("postgresql://", "postgres://")):
        from router.journal.postgres.database import PostgresJournal

        return await PostgresJournal.open(url, on_commit=on_commit, witnessed=witnessed)
    raise ConfigError(["journal.url: it begins with sqlite:/// or postgresql://"])


def file_of(url: str) -> Path | None:
    """Return the file that a SQLite URL names; `None` for another. Raises `ConfigError` for one that names none."""
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite":
        return None
    path = unquote(rest.removeprefix("/"))
    if not rest.startswith("/") or not path or path.startswith(":") or "?" in rest:
        raise ConfigError(["journal.url: a file is named sqlite:///relative.db or sqlite:////full/path.db"])
    return Path(path)
