"""Which accounts this process feeds. One owner per account, across all processes that share the journal.

A lease is a row with an end. The owner renews it at a third of `lease_s`; it ends after four fifths of that, so that
another process has taken over within `lease_s` of a death. A process that was frozen finds by its own clock that its
lease has run out, before it numbers anything; if it did not, the journal would refuse it by the fence.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog

from router.errors import JournalUnavailable, LeaseLost
from router.feeds.account import AccountFeed
from router.feeds.connection import ConnectionParts
from router.feeds.pacer import Pacer
from router.feeds.reconciliation import FedAccount, FeedParts
from router.ports import Sockets
from router.records.event import Lease

VALID: Final = 0.8
RENEWALS: Final = 3
LOOKS: Final = 15
"""So often in `lease_s` is looked whether an account has become free."""
TAKE_S: Final = 0.25
"""So often at least: an owner that is known to have died is replaced within a second."""
DEFECT_PAUSE_S: Final = 5.0

Place = tuple[str, str]

_log = structlog.get_logger(__name__)


class _Own:
    """A lease of ours, the feed that runs under it, and until when it holds by our own clock."""

    def __init__(self, lease: Lease, until_s: float) -> None:
        self.lease = lease
        self.until_s = until_s
        self.task: asyncio.Task[None] | None = None
        self.dropping: asyncio.Task[None] | None = None

    def holds(self) -> bool:
        return uptime_s() < self.until_s


class Feeds:
    """The feeds of this process."""

    def __init__(
        self, accounts: Mapping[Place, FedAccount], parts: FeedParts, sockets: Sockets, *, lease_s: float
    ) -> None:
        self._accounts = accounts
        self._journal = parts.journal
        self._parts = parts
        self._clock = parts.reader.clock
        self._lease_s = lease_s
        self._owner = str(uuid.uuid4())
        self._own: dict[Place, _Own] = {}
        self._not_before: dict[Place, float] = {}
        self._connecting = {
            name: ConnectionParts(
                reader=parts.reader, sockets=sockets, pacer=Pacer(name, parts.journal, parts.reader.clock)
            )
            for name in {venue for venue, _ in accounts}
        }

    async def run(self) -> None:
        """Feed what is free, until cancelled; then let go of everything."""
        work = [self._parts.settler.run(), self._keep(), self._acquire()]
        tasks = [asyncio.create_task(body) for body in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for task in tasks[1:]:
                task.cancel()
            await self._end()
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._parts.copies.close()

    async def _keep(self) -> None:
        """Renew what is ours, and stop the feeds of what is not any more."""
        due_s = 0.0
        while True:
            if uptime_s() >= due_s:
                due_s = uptime_s() + self._lease_s / RENEWALS
                try:
                    await self._renew()
                except JournalUnavailable as error:
                    _log.warning("the leases wait for the journal", error=str(error))
            for place, own in self._own.items():
                if not own.holds() and own.dropping is None:
                    _log.warning("a lease has run out", venue=place[0], account=place[1], fence=own.lease.fence)
                    own.dropping = asyncio.create_task(self._drop(place, own))
            await self._clock.sleep(self._lease_s / LOOKS)

    async def _acquire(self) -> None:
        while True:
            try:
                await self._take_free()
            except JournalUnavailable as error:
                _log.warning("the feeds wait for the journal", error=str(error))
            await self._clock.sleep(min(self._lease_s / LOOKS, TAKE_S))

    async def _renew(self) -> None:
        began_s = uptime_s()
        if not self._own:
            return
        renewed = await self._journal.renew_leases(self._owner, self._valid_us)
        kept = {(lease.venue, lease.account): lease.fence for lease in renewed}
        for place, own in self._own.items():
            if kept.get(place) == own.lease.fence:
                own.until_s = began_s + self._lease_s * VALID
            else:
                own.until_s = 0.0

    async def _take_free(self) -> None:
        holders = {(holder.venue, holder.account): holder for holder in await self._journal.lease_holders()}
        for place in self._accounts:
            holder = holders.get(place)
            if place in self._own or (holder is not None and holder.left_us > 0):
                continue
            began_s = uptime_s()
            if began_s < self._not_before.get(place, 0.0):
                continue
            lease = await self._journal.take_lease(*place, self._owner, self._valid_us)
            if lease is not None:
                self._start(place, _Own(lease, began_s + self._lease_s * VALID))

    def _start(self, place: Place, own: _Own) -> None:
        fed = self._accounts[place]
        feed = AccountFeed(own.lease, fed, self._parts, self._connecting[fed.venue.name], owned=own.holds)
        self._own[place] = own
        own.task = asyncio.create_task(feed.run(), name=f"feed {place[0]}/{place[1]}")
        own.task.add_done_callback(lambda task: self._note_ended(place, own, task))
        _log.info("feeding", venue=place[0], account=place[1], fence=own.lease.fence)

    def _note_ended(self, place: Place, own: _Own, task: "asyncio.Task[None]") -> None:
        """A feed that ended by itself is begun again under a new lease, later."""
        own.until_s = 0.0
        if task.cancelled() and own.dropping is not None:
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._not_before[place] = uptime_s() + DEFECT_PAUSE_S
        if isinstance(error, LeaseLost):
            _log.warning("a feed was lost", venue=place[0], account=place[1], error=str(error))
        elif isinstance(error, JournalUnavailable):
            _log.warning("a feed waits for the journal", venue=place[0], account=place[1], error=str(error))
        else:
            _log.error("a feed has died", venue=place[0], account=place[1], exc_info=error)

    async def _drop(self, place: Place, own: _Own) -> None:
        """Stop a feed whose lease is not ours any more."""
        if own.task is not None:
            own.task.cancel()
            await asyncio.wait([own.task])
        # Nothing to let go of if another has it; if the feed died by itself, this frees it for the next.
        with suppress(JournalUnavailable):
            await self._journal.release_lease(own.lease)
        del self._own[place]

    async def _end(self) -> None:
        """Stop every feed, then let go of its lease."""
        for place, own in list(self._own.items()):
            own.dropping = own.dropping or asyncio.create_task(self._drop(place, own))
        ending = [own.dropping for own in self._own.values() if own.dropping is not None]
        await asyncio.gather(*ending, return_exceptions=True)

    @property
    def _valid_us(self) -> int:
        return int(self._lease_s * VALID * 1e6)


def uptime_s() -> float:
    """Return seconds that pass also while the process is frozen or the machine sleeps, whatever the clock is set to."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
