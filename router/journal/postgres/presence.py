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
    """The locks of this process's owners on a connection of its own; they are taken again when that was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._owners: set[str] = set()
        self._held: set[str] = set()
        self._connection: Any = None
        self._taking = asyncio.Lock()

    async def hold(self, owner: str = "") -> None:
        """Return once an owner's lock is held, and those of all owners before it. Raises `JournalUnavailable`."""
        if owner:
            self._owners.add(owner)
        if self._holds():
            return
        async with self._taking:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._take()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self.release()
                raise JournalUnavailable(causes.in_words(error, self._url)) from error

    def release(self) -> None:
        """Let go of them."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.terminate()
            self._connection = None

    def _holds(self) -> bool:
        return not self._owners or (
            self._connection is not None and not self._connection.is_closed() and self._owners <= self._held
        )

    async def _take(self) -> None:
        if self._connection is None or self._connection.is_closed():
            self._held.clear()
            self._connection = await asyncpg.connect(self._url, server_settings=server.SETTINGS)
        for owner in self._owners - self._held:
            # Shared: the session that had it may not have ended yet, where the server has not noticed.
            lock = "select pg_advisory_lock_shared($1, hashtext($2))"
            await self._connection.execute(lock, server.PRESENCE, owner)
            self._held.add(owner)
