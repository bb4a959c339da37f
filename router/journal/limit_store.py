"""The journal's methods for shared limits. See `router.ports.LimitJournal`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial

from router.journal.operations import shares
from router.journal.operations.statements import Operation, T
from router.records.share import Grant, News, Report


class LimitStore(ABC):
    """Leases of processes, and what each holds of the limits. They need no witness: no command depends on them."""

    @abstractmethod
    async def _write(self, operation: Operation[T], *, key: tuple[str, str] | None = None) -> T:
        """Run in a transaction and return once it is committed. Raises `JournalUnavailable`."""

    async def _write_apart(self, operation: Operation[T]) -> T:
        """Do the same in a transaction in which no command waits."""
        return await self._write(operation)

    @abstractmethod
    async def _read(self, operation: Operation[T], *, key: tuple[str, str] | None = None) -> T:
        """Run without writing. Raises `JournalUnavailable`."""

    async def join_limits(self, pod: str, hold_us: int) -> None:
        """Begin a lease that holds nothing yet."""
        await self._write_apart(partial(shares.join, pod, hold_us))

    async def settle_limits(
        self, pod: str, hold_us: int, number: int, reports: Sequence[Report]
    ) -> Mapping[str, Grant] | None:
        """Renew a lease and settle shares. See `router.ports.LimitJournal`."""
        return await self._write_apart(partial(shares.settle, pod, hold_us, number, tuple(reports)))

    async def bury_pods(self, dead: Sequence[str], rest_us: int) -> int:
        """End leases of processes that are no more. See `router.ports.LimitJournal`."""
        return await self._write_apart(partial(shares.bury, tuple(dead), rest_us))

    async def limit_news(self) -> News:
        """Return what every process looks at."""
        return await self._read(shares.news)
