"""A lock that a process holds as long as it lives: a feed whose owner has died is free at once.

The server lets go of a session's locks as soon as the connection ends, and the kernel ends that of a process that is
killed. A lease is still what counts for an owner that is frozen, or cut off: its connection stands.
"""

import asyncio
import contextlib
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types

from router.errors import JournalUnavailable
from router.journal.postgres import causes, server

TIMEOUT_S: Final = 5.0


class Presence:
    """One lock on a connection of its own, taken when it is first needed and again when that was lost."""

    def __init__(self, url: str) -> None:
        self.owner = ""
        """Whose lock is held, or was before the connection was lost."""
        self._url = url
        self._connection: Any = None
        self._taking = asyncio.Lock()

    async def hold(self, owner: str) -> None:
        """Return once the lock is held. Raises `JournalUnavailable`."""
        if self._connection is not None and not self._connection.is_closed():
            return
        async with self._taking:
            if self._connection is not None and not self._connection.is_closed():
                return
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    connection = await asyncpg.connect(self._url, server_settings=server.SETTINGS)
                    # Shared: the session that had it may not have ended yet, where the server has not noticed.
                    await connection.execute("select pg_advisory_lock_shared($1, hashtext($2))", server.PRESENCE, owner)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise JournalUnavailable(causes.in_words(error, self._url)) from error
            self._connection, self.owner = connection, owner

    def release(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.terminate()
            self._connection = None
