"""Runs many cases side by side and lets every test await its own: most of a case is waiting for a deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Generic, TypeVar

Case = TypeVar("Case", bound=Hashable)


class Batch(Generic[Case]):
    """Starts all cases when the first is asked for, `at_once` at a time, in their order."""

    def __init__(self, cases: Iterable[Case], run: Callable[[Case], Awaitable[None]], *, at_once: int) -> None:
        self._cases = list(cases)
        self._run = run
        self._room = asyncio.Semaphore(at_once)
        self._tasks: dict[Case, asyncio.Task[None]] = {}

    async def ended(self, case: Case) -> None:
        """Return when a case has ended well; raise what it failed with."""
        if not self._tasks:
            self._tasks = {each: asyncio.create_task(self._in_turn(each), name=str(each)) for each in self._cases}
        await self._tasks[case]

    async def stop(self) -> None:
        """Cancel what nobody awaited."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _in_turn(self, case: Case) -> None:
        async with self._room:
            await self._run(case)
