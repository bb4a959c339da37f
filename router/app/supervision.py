"""Parts that must run, watched: whichever way one of them ends, the process ends with it and says so.

A part may return, raise, or be cancelled by a library underneath. None of that may go unnoticed: a process that looks
healthy and does nothing is worse than none.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import structlog

from router.errors import ConfigError, RouterError

_log = structlog.get_logger(__name__)


class Supervision:
    """Runs parts by name. Use as an async context manager; leaving it cancels them.

    Leaving raises `ConfigError` when a part ended with one, and `RouterError` when any ended otherwise.
    """

    def __init__(self, parts: Mapping[str, Coroutine[Any, Any, None]]) -> None:
        self.draining = False
        """Whether parts may end now."""
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._cause: BaseException | None = None
        self._leaving = False

    async def until(self, stop: asyncio.Event) -> None:
        """Wait until `stop` is set, or a part ends."""
        stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        ended: asyncio.Future[Any] = self._ended
        await asyncio.wait([stopping, ended], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping

    async def __aenter__(self) -> Self:
        for name, work in self._parts.items():
            task = asyncio.create_task(work, name=name)
            task.add_done_callback(self._note)
            self._tasks.append(task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if isinstance(self._cause, ConfigError):
            raise self._cause
        if self._ended.done():
            raise RouterError(f"{self._ended.result()} has ended")
        self._ended.cancel()

    def _note(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if self._leaving or (self.draining and error is None):
            return
        how = "was cancelled" if task.cancelled() else "returned" if error is None else type(error).__name__
        _log.error("a part has ended", part=task.get_name(), how=how, exc_info=error)
        if not self._ended.done():
            self._cause = error
            self._ended.set_result(task.get_name())
