"""One account's feed, from the moment its lease is ours until it is not.

    gap        announced first: at the beginning, and whenever something may have been missed
    connect    the stream begins, or there is none and the account is polled
    reconcile  once the stream is ready, REST tells what it did not; recorded and published
    live       announced then, and only then
    watch      from time to time REST is asked whether the stream is silent for nothing

A stream that is told to be alive by heartbeats can still be deaf. So what REST shows and the stream has not told after
`STALL_S` is a stall: a gap like any other.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from router.clock import to_time
from router.errors import LeaseLost
from router.feeds.connection import Connection, ConnectionParts
from router.feeds.late_copies import LateCopies
from router.feeds.reconciliation import FedAccount, FeedParts, Reconciliation
from router.feeds.recorder import Recorder
from router.feeds.relay import EventRelay
from router.records.event import Lease, Recorded
from router.records.order import FINAL
from router.venue_protocol.stream import Change
from schemas.events import FeedState, FeedStatus, Source

WATCH_S: Final = 60.0
WATCH_BUSY_S: Final = 10.0
"""How often REST is asked, and how often while a command is open."""
STALL_S: Final = 5.0
DOUBT_S: Final = 2.0
READY_S: Final = 120.0
DOWN_AFTER_US: Final = 60_000_000
FAREWELL_S: Final = 3.0
ENDING: Final = "this process ends"
TAKEN_OVER: Final = "this process has taken the account over"
MAX_PAUSE_S: Final = 30.0
READ_AGAIN_S: Final = 10.0
DENIED_S: Final = 300.0
MOST_ORDERS: Final = 1_000
"""So many open orders a status names at most."""

_log = structlog.get_logger(__name__)


class AccountFeed:
    """One account's feed under one lease. `owned` says, by our own clock, whether that still holds."""

    def __init__(
        self, lease: Lease, fed: FedAccount, parts: FeedParts, connecting: ConnectionParts, *, owned: Callable[[], bool]
    ) -> None:
        self._lease = lease
        self._venue = venue = fed.venue
        self._account = fed.account
        self._feed = fed.feed
        self._secrets = fed.secrets
        self._parts = parts
        self._connecting = connecting
        self._clock = parts.reader.clock
        self._metrics = parts.reader.metrics
        self._owned = owned
        self._place = (venue.name, fed.account.name)
        self._status: FeedState | None = None
        self._since_us = 0
        self._announced_us = 0
        self._rest = Reconciliation(lease, fed, parts)
        self._denied = False
        self._doubtful: set[str] = set()
        self._open: dict[str, None] = {}
        """The orders that are open as far as is known, oldest news first."""
        self._look_soon = asyncio.Event()
        self._connected = False
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._recorder: Recorder
        self._relay: EventRelay
        self._late_copies = LateCopies(self._place, parts.journal, parts.copies, parts.reader.clock)

    async def run(self) -> None:
        """Feed until cancelled. Raises `LeaseLost` when the account has another owner."""
        parts = self._parts
        position = await parts.journal.feed_progress(self._lease)
        self._rest.complete_us = position.complete_us
        known = await parts.journal.known_orders(*self._place, position.complete_us)
        self._open = dict.fromkeys(order_id for order_id, _ in known.open_orders)
        self._relay = EventRelay(
            self._place,
            parts.journal,
            parts.publisher,
            parts.copies,
            clock=self._clock,
            seq=position.seq,
            published_seq=position.published_seq,
            owned=self._owned,
        )
        self._recorder = Recorder(
            self._lease,
            parts.journal,
            self._relay,
            self._clock,
            metrics=self._metrics,
            owned=self._owned,
            on_recorded=self._note_recorded,
        )
        self._announce("gap", position.complete_us, TAKEN_OVER)
        work = [self._recorder.run(), self._relay.run(), self._late_copies.run(), self._session()]
        tasks = [asyncio.create_task(body) for body in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except asyncio.CancelledError:
            await self._farewell(tasks)
            raise
        finally:
            self._metrics.feed_up(*self._place, up=False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._goodbyes, return_exceptions=True)

    async def _farewell(self, tasks: "list[asyncio.Task[None]]") -> None:
        """Stop listening, say so, and publish what is left, if that is soon done."""
        tasks[-1].cancel()
        await asyncio.wait([tasks[-1]])
        if not self._owned():
            return
        self._announce("down", self._clock.now_us(), ENDING)
        with suppress(TimeoutError, LeaseLost):
            async with asyncio.timeout(FAREWELL_S):
                await self._relay.emptied()
                await self._recorder.mark()
                await self._parts.copies.emptied()

    async def _session(self) -> None:
        if self._feed.poll_s is not None:
            await self._poll(*self._feed.poll_s)
        failures = 0
        while True:
            self._connected = False
            reason = await self._follow()
            if self._status == "live":
                self._announce("gap", self._since_us, reason)
            elif self._clock.boot_us() - self._announced_us > DOWN_AFTER_US:
                self._announce("down", self._since_us, reason)
            _log.warning("a feed is broken", venue=self._place[0], account=self._place[1], reason=reason)
            failures = 0 if self._connected else failures + 1
            await self._clock.sleep(min(2.0**failures, MAX_PAUSE_S) * random.uniform(0.5, 1.0))
            self._metrics.feed_reconnected(self._place[0])

    async def _follow(self) -> str:
        """Live through one connection, and return why it ended."""
        stream = self._feed.stream(self._secrets)
        if stream is None:
            return "the venue offers neither a stream nor polling"
        connection = Connection(
            stream,
            self._venue,
            self._account,
            self._connecting,
            on_changes=self._sight_streamed,
            room=self._recorder.room,
        )
        run = asyncio.create_task(connection.run())
        watch = asyncio.create_task(self._accompany(connection))
        try:
            done, _ = await asyncio.wait([run, watch], return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            if self._status == "live":
                self._since_us = connection.heard_us
            run.cancel()
            watch.cancel()
            await asyncio.gather(run, watch, return_exceptions=True)
            goodbye = asyncio.create_task(connection.goodbye())
            self._goodbyes.add(goodbye)
            goodbye.add_done_callback(self._goodbyes.discard)

    async def _accompany(self, connection: Connection) -> str:
        """Reconcile once the stream is ready, go live, and watch. Returns why the stream must begin again."""
        try:
            async with asyncio.timeout(READY_S):
                await connection.ready.wait()
        except TimeoutError:
            return "the stream did not become ready"
        pause_s = 1.0
        while not await self._reconcile("reconcile"):
            # A key that is refused stays so until somebody mends it, and who goes on asking may be banned.
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, DENIED_S if self._denied else READ_AGAIN_S)
        self._connected = True
        self._go_live()
        while True:
            await self._until_next_watch()
            reason = await self._watch()
            if reason:
                return reason

    async def _poll(self, idle_s: float, busy_s: float) -> None:
        """Read again and again; the faster pace is for while a command is open."""
        heard_us, heard_boot_us = self._clock.now_us(), self._clock.boot_us()
        while True:
            if await self._reconcile("poll" if self._status == "live" else "reconcile"):
                heard_us, heard_boot_us = self._clock.now_us(), self._clock.boot_us()
                self._metrics.feed_heard(*self._place, heard_us / 1e6)
                self._go_live()
            elif self._clock.boot_us() - heard_boot_us > 3 * idle_s * 1e6:
                self._announce("gap" if self._status == "live" else "down", heard_us, "the polls get no answer")
            waited_s = 0.0
            if self._denied:
                await self._clock.sleep(DENIED_S)
            while True:
                nap_s = busy_s * random.uniform(0.9, 1.1)
                await self._clock.sleep(nap_s)
                waited_s += nap_s
                if waited_s >= idle_s or self._look_soon.is_set() or await self._rest.busy():
                    break
            self._look_soon.clear()

    async def _reconcile(self, source: Source) -> bool:
        """Read what may have been missed, and record and publish it. `False`: not everything could be read."""
        began_us = self._parts.journal.earliest_us()
        missed = await self._rest.missed(everywhere=True)
        self._denied = missed is not None and missed.denied
        if missed is None:
            return False
        self._recorder.sight(missed.changes, source)
        if missed.complete:
            await self._recorder.settled()
            await self._rest.complete(began_us)
        return missed.complete

    async def _watch(self) -> str:
        """Ask REST whether the stream has kept something back. Returns the reason to begin again, else nothing."""
        began_us = self._parts.journal.earliest_us()
        # The stream tells of every symbol; only those in use are worth the reads (BtcTurk lists hundreds of pairs).
        missed = await self._rest.missed(everywhere=False)
        if missed is None:
            return ""
        doubtful, self._doubtful = self._doubtful, set()
        # Of these the stream is known not to tell all.
        self._recorder.sight([change for change in missed.changes if change.order_id in doubtful], "reconcile")
        others = [change for change in missed.changes if change.order_id not in doubtful]
        if others and await self._rest.news(others):
            await self._clock.sleep(STALL_S)
            kept_back = await self._rest.news(others)
            if kept_back:
                self._announce("gap", self._rest.complete_us, "REST shows what the stream has not told")
                self._recorder.sight(kept_back, "reconcile")
                return "REST showed what the stream had not told"
        if missed.complete:
            await self._rest.complete(began_us)
        return ""

    async def _until_next_watch(self) -> None:
        over_s = WATCH_S * random.uniform(0.8, 1.2)
        while over_s > 0:
            nap_s = min(WATCH_BUSY_S, over_s)
            over_s -= nap_s
            try:
                async with asyncio.timeout(nap_s):
                    await self._look_soon.wait()
                self._look_soon.clear()
                return await self._clock.sleep(DOUBT_S)
            except TimeoutError:
                if await self._rest.busy():
                    return None
        return None

    def _sight_streamed(self, changes: Sequence[Change]) -> None:
        self._recorder.sight(changes, "stream")

    def _note_recorded(self, recorded: Recorded) -> None:
        for evidence in recorded.evidence:
            self._parts.settler.consider(evidence)
        if recorded.woken:
            self._parts.settler.look()
        if recorded.doubtful:
            self._doubtful.update(recorded.doubtful)
            self._look_soon.set()
        self._late_copies.keep_longer(recorded.unclaimed)
        for stored in recorded.events:
            self._open.pop(stored.event.order_id, None)
            if stored.event.status not in FINAL:
                self._open[stored.event.order_id] = None
            if not stored.copies:
                self._late_copies.add(stored)

    def _go_live(self) -> None:
        self._announce("live", self._clock.now_us(), "")

    def _alert(self, status: FeedState, reason: str) -> None:
        """Tell an operator while events may be missing."""
        alerts = self._metrics.alerts
        if status != "down":
            alerts.cleared("feed_down", *self._place)
        if status != "gap":
            alerts.cleared("feed_gap", *self._place)
        if status == "gap" and reason != TAKEN_OVER:  # both happen in every deploy, and are over in a moment
            alerts.raised("feed_gap", *self._place, message=reason, standing=True)
        elif status == "down" and reason != ENDING:
            alerts.raised("feed_down", *self._place, message=reason, standing=True)

    def _announce(self, status: FeedState, since_us: int, reason: str) -> None:
        """Publish a status that is new."""
        if status == self._status:
            return
        if status == "gap":
            self._metrics.feed_gap(self._place[0])
        self._metrics.feed_up(*self._place, up=status == "live")
        self._status, self._since_us, self._announced_us = status, since_us, self._clock.boot_us()
        venue, account = self._place
        _log.info("feed status", venue=venue, account=account, status=status, reason=reason)
        self._alert(status, reason)
        uncertain = () if status == "live" else tuple(self._open)[-MOST_ORDERS:]
        self._relay.put(
            FeedStatus(
                venue=venue,
                account=account,
                status=status,
                since=to_time(since_us),
                reason=reason,
                orders=uncertain,
            )
        )
