"""What an error of SQLite's means, and in one sentence that names the file."""

import os
import sqlite3
import stat
from pathlib import Path
from typing import Final

from router.errors import ConfigError, JournalUnavailable, RouterError

# A failure of the statement's own values or keys; any other is the database's.
_OWN: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError)
_PLACE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


def broken(error: Exception) -> bool:
    """Say whether the database failed, and not just the statement."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, _OWN)


def busy(error: sqlite3.OperationalError) -> bool:
    """Say whether another connection holds the lock."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def unavailable(cause: Exception | None) -> RouterError:
    """Return what an operation raises when the database failed."""
    if isinstance(cause, RouterError):
        return cause
    told = JournalUnavailable(f"the journal cannot be written: {cause}" if cause else "the journal cannot be written")
    told.__cause__ = cause
    return told


def refused(cause: Exception, path: Path) -> RouterError:
    """Return what opening the file raises: some causes do not pass by themselves."""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return ConfigError([f"journal.url: {path} is not a SQLite database"])
    if code in _PLACE or isinstance(cause, PermissionError):
        return ConfigError([f"journal.url: {path} cannot be written by user {os.geteuid()}: {_modes(path)}"])
    if code == sqlite3.SQLITE_BUSY:
        return JournalUnavailable(f"the journal cannot be written: another process holds {path}")
    if code == sqlite3.SQLITE_FULL:
        return JournalUnavailable(f"the journal cannot be written: no space is left for {path}")
    return unavailable(cause)


def refuse_readable(path: Path) -> None:
    """Raise `ConfigError` for a file that everybody on the machine may read or write: it says who trades what."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # not there yet, or not for us to see: opening it will tell
    if mode & stat.S_IRWXO:
        raise ConfigError(
            [f"journal.url: {path} can be read or written by every user of this machine (mode {mode:04o}): chmod 600"]
        )


def _modes(path: Path) -> str:
    found = []
    for what, place in (("its folder", path.parent), ("the file", path)):
        try:
            status = place.stat()
        except OSError as error:
            found.append(f"{what}: {(error.strerror or 'unknown').lower()}")
        else:
            found.append(f"{what} has mode {stat.S_IMODE(status.st_mode):04o} and owner {status.st_uid}")
    return ", ".join(found)
