"""What shared limits need of the journal."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from router.records.share import Grant, News, Report


class LimitJournal(Protocol):
    """The part of the journal that shares the venues' limits out. Methods raise `JournalUnavailable`.

    What a call that raised has come to is not known; the next report says how it is.
    """

    async def join_limits(self, pod: str, hold_us: int) -> None:
        """Begin the lease of a process that nobody knows yet; it holds nothing."""
        ...

    async def settle_limits(
        self, pod: str, hold_us: int, number: int, reports: Sequence[Report]
    ) -> Mapping[str, Grant] | None:
        """Renew the lease, counted from now on, take reports on different scopes, and give what there is.

        `number` grows with every call of a process: one that hung is not done after a later one.
        `None`: the process was buried, and what it held is others' now. Nothing was done.
        """
        ...

    async def bury_pods(self, dead: Sequence[str], rest_us: int) -> int:
        """End the leases of these processes, and with `rest_us` above 0 those that have run out; return how many.

        None runs out within `rest_us` after the journal's clock had a break.
        """
        ...

    async def limit_news(self) -> News:
        """Return what every process looks at."""
        ...
