"""The one way out: every answer is stored before it is published, and each reply queue is on its own.

Whoever concluded a command puts its stored answers here and goes on; the delivery is acknowledged meanwhile. What this
process does not get out, any process finds in the journal (`router.ports.ResultJournal`), in order per command.

A reply queue that does not confirm gets nothing more after a second: what is under way to it stays under way, since its
confirm may still come, the rest waits in the journal, and pauses that grow keep every process from trying. After ten
minutes its answers go to the results queue. Nobody else waits for any of this.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

import structlog

from router import crash_points
from router.commands.diversion import WHY, divert
from router.commands.reply_queue import STUCK_US, UNCONFIRMED, WAITING, ReplyQueue
from router.commands.rowless import Rowless
from router.errors import JournalUnavailable, PublishFailed, Unroutable
from router.ports import Clock, Publisher, ResultJournal
from router.records.command import Outgoing, Reply
from router.telemetry import Metrics
from schemas.results import Result

SWEEP_US: Final = 1_000_000
TICK_S: Final = 0.25
RETRY_S: Final = 0.5
MAX_PAUSES: Final = 6
DIVERT_US: Final = 600_000_000
DIVERTING_US: Final = 60_000_000
"""How long a queue's results are diverted before it is tried again."""
RENEW_US: Final = 2_000_000
IDLE_US: Final = 10_000_000
CLAIM: Final = 256
CONGESTED: Final = 256
"""So many answers wait, no more than `UNCONFIRMED` of each queue counted: the broker does not keep up."""

_log = structlog.get_logger(__name__)


class ResultRelay:
    """The answers of this process, and those left behind by others."""

    def __init__(self, journal: ResultJournal, publisher: Publisher, clock: Clock, metrics: Metrics) -> None:
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._queues: dict[str, ReplyQueue] = {}
        self._held: set[str] = set()
        """The rows that this process has claimed and not got out."""
        self._left_over: set[str] = set()
        """The rows that it has stored without room for them: nobody has them for some seconds."""
        self._waiting = 0
        self._more = False
        self._rowless = Rowless(self, publisher, clock)
        self._renewed_us = self._swept_us = 0
        self._side: set[asyncio.Task[Any]] = set()
        self._moved = asyncio.Event()
        """Wakes those that wait for a queue that was too full, and what fills queues again: not at every confirm."""
        self._held_up = 0
        self._eased = asyncio.Event()
        """Wakes those that wait for room: not at every confirm, since they may be many."""

    def put(self, outgoing: Iterable[Outgoing]) -> None:
        """Publish results that were just stored. One that must not overtake an earlier result is left to the sweep."""
        for item in outgoing:
            if not item.waits and not self._take(item):
                self._left_over.add(item.outbox_id)

    async def room(self) -> None:
        """Wait while the broker takes no answers: new commands would only add to what cannot be told."""
        while self._publisher.blocked or self._waiting > CONGESTED:
            self._eased.clear()
            await self._eased.wait()

    async def answer(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish an answer that has no row, and return once the broker has it.

        A queue that does not take it, after some seconds at most, gets it no second time: it goes to the results queue.
        """
        cause: str | None = None
        while True:
            try:
                cause = cause or self._elsewhere(reply.reply_to) or await self._rowless.publish(reply, result, sender)
                if cause is not None:
                    await self._divert(reply, result, sender, cause)
                return
            except PublishFailed as error:
                _log.warning("an answer waits for the broker", command_id=result.command_id, error=str(error))
                await self._clock.sleep(RETRY_S)

    async def run(self) -> None:
        """Publish what is left behind and watch over what is under way, until cancelled."""
        while True:
            await self._next_move()
            if not self._publisher.blocked:
                self._ease(CONGESTED)
            now = self._clock.boot_us()
            try:
                await self._watch(now)
                if self._left_over:
                    left_over, self._left_over = tuple(self._left_over), set()
                    await self._journal.release(left_over)
                if self._more or now - self._swept_us >= SWEEP_US:
                    self._swept_us = now
                    await self._sweep()
            except JournalUnavailable as error:
                _log.warning("outbox waits for the journal", error=str(error))
                await self._clock.sleep(RETRY_S)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the confirms that are under way, then let other processes have the rest at once."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._finish()
        except TimeoutError:
            _log.info("answers are left to others")
        except JournalUnavailable as error:
            _log.warning("answers are left in the outbox", error=str(error))
        left = [task for queue in self._queues.values() for task in queue.under_way.values()]
        held = tuple(self._held)
        for task in (*left, *self._side):
            task.cancel()
        await asyncio.gather(*left, *self._side, return_exceptions=True)
        if held:
            try:
                await self._journal.release(held)
            except JournalUnavailable as error:
                _log.warning("answers stay claimed for some seconds", error=str(error))

    async def _finish(self) -> None:
        """Publish all that queues take which are not stuck, also what had no room in memory."""
        while True:
            while hopeful := [
                task for queue in self._queues.values() if not queue.stuck for task in queue.under_way.values()
            ]:
                await asyncio.wait(hopeful)  # the end of one begins the next
            if not self._left_over:
                return
            left_over, self._left_over = tuple(self._left_over), set()
            await self._journal.release(left_over)
            while True:
                await self._sweep()
                if not self._more:
                    break
                await self._next_move()

    async def _next_move(self) -> None:
        """Wait until something was confirmed, or for a moment."""
        self._moved.clear()
        try:
            async with asyncio.timeout(TICK_S):
                await self._moved.wait()
        except TimeoutError:
            return

    async def a_moment(self) -> None:
        """Wait until some queue has confirmed something, or a moment at most."""
        self._held_up += 1
        try:
            await self._next_move()
        finally:
            self._held_up -= 1

    def queue(self, name: str) -> ReplyQueue:
        """Return what a reply queue is owed."""
        now = self._clock.boot_us()
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = ReplyQueue(now)
        queue.used_us = now
        return queue

    def _take(self, item: Outgoing) -> bool:
        queue = self.queue(item.reply.reply_to)
        room = WAITING if queue.confirms or queue.diverting_us else UNCONFIRMED
        if item.outbox_id in self._held or len(queue.waiting) >= room or (queue.stuck and not queue.diverting_us):
            return False  # its row waits in the journal
        self._held.add(item.outbox_id)
        self._waiting += len(queue.waiting) < UNCONFIRMED
        queue.waiting.append(item)
        self._go_on(queue)
        return True

    def _go_on(self, queue: ReplyQueue) -> None:
        """Publish what waits, as far as the queue may have it."""
        while queue.waiting and len(queue.under_way) < queue.width:
            item = queue.waiting.popleft()
            self._waiting -= len(queue.waiting) < UNCONFIRMED
            self.begin(queue, item.outbox_id, self._publish(queue, item))
        self._ease(CONGESTED // 2)
        if self._more and not queue.waiting:
            self._moved.set()

    def begin(self, queue: ReplyQueue, key: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Have something under way to a queue."""
        if not queue.under_way:
            queue.heard_us = self._clock.boot_us()
        task = queue.under_way[key] = asyncio.create_task(work, name=f"publish {key}")
        return task

    async def _publish(self, queue: ReplyQueue, item: Outgoing) -> None:
        """Get one stored result out, to its queue or to the results queue; else leave it to the sweep."""
        try:
            cause = self._elsewhere(item.reply.reply_to) or ("stuck" if queue.diverting_us else None)
            if cause is None:
                cause = await self.to_queue(item.reply, item.result, item.sender)
            if cause is not None:
                await self._divert(item.reply, item.result, item.sender, cause)
                where = f"seq {item.result.seq} to the results queue: {WHY[cause]}"
                self._journal.note(item.sender, item.command_id, "diverted", where)
            crash_points.at("after_confirm")
        except (Exception, asyncio.CancelledError) as error:
            self._leave(queue, item)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise  # we are being drained
            _log.warning("a result waits in the outbox", command_id=item.command_id, error=str(error))
            return
        self._held.discard(item.outbox_id)
        del queue.under_way[item.outbox_id]
        self._journal.published([item.outbox_id])
        if item.result.final and not item.result.duplicate:
            self._metrics.command_confirmed(item.result)
        self.heard(queue, item.reply.reply_to, confirms=cause is None)

    async def to_queue(self, reply: Reply, result: Result, sender: str) -> str | None:
        """Publish to the reply queue. Returns why the answer has to go elsewhere, if it has."""
        try:
            await self._publisher.publish(reply, result, sender)
        except Unroutable as error:
            _log.warning("a reply queue took no result", command_id=result.command_id, error=str(error))
            return "refused"
        return None

    async def _divert(self, reply: Reply, result: Result, sender: str, cause: str) -> None:
        await divert(self._publisher, self._metrics, reply, result=result, sender=sender, cause=cause)

    def heard(self, queue: ReplyQueue, name: str, *, confirms: bool) -> None:
        """Go on with a queue that has just been done with one."""
        queue.heard_us = queue.used_us = self._clock.boot_us()
        if confirms:
            queue.confirms = True
            if queue.pauses:
                queue.stuck, queue.pauses, queue.diverting_us = False, 0, 0
                self._aside(self._resume(name))
        self._go_on(queue)
        if self._held_up:
            self._moved.set()

    def _leave(self, queue: ReplyQueue, item: Outgoing) -> None:
        """Leave a result to the sweep, and what stands behind it, which must not overtake it."""
        queue.under_way.pop(item.outbox_id, None)
        self._held.discard(item.outbox_id)
        queue.confirms = False
        self._empty(queue)

    def _empty(self, queue: ReplyQueue) -> None:
        self._waiting -= min(len(queue.waiting), UNCONFIRMED)
        self._held.difference_update(item.outbox_id for item in queue.waiting)
        queue.waiting.clear()
        self._ease(CONGESTED)

    def _ease(self, left: int) -> None:
        """Let those go on that wait for room, once no more than so many answers wait."""
        if self._waiting <= left:
            self._eased.set()

    def _elsewhere(self, name: str) -> str | None:
        """Return why no result may go to a queue of that name, if none may."""
        if not name:
            return "none"
        return None if self._publisher.may_publish(name) else "ours"

    async def _watch(self, now: int) -> None:
        """Find the queues that are stuck, forget those that are owed nothing, and keep what is held."""
        blocked = self._publisher.blocked
        for name, queue in list(self._queues.items()):
            if blocked:  # the broker takes nothing from anybody: that says nothing of this queue
                queue.heard_us = now
            elif queue.diverting_us:
                if now >= queue.diverting_us:
                    queue.diverting_us, queue.stuck, queue.confirms = 0, False, False
            elif queue.under_way:
                if now >= max(queue.check_us, queue.heard_us + STUCK_US):
                    await self._stuck(name, queue, now)
            elif queue.stuck:  # its channel is gone: its pause in the journal goes on
                queue.stuck = False
            elif not queue.waiting and now - queue.used_us > IDLE_US:
                del self._queues[name]
        if self._held and now - self._renewed_us >= RENEW_US:
            self._renewed_us = now
            await self._journal.renew(tuple(self._held))

    async def _stuck(self, name: str, queue: ReplyQueue, now: int) -> None:
        """Keep a queue's results back, for longer each time; after ten minutes send them elsewhere."""
        queue.stuck, queue.confirms = True, False
        self._empty(queue)
        pause_us = STUCK_US * 2**queue.pauses
        queue.check_us = now + pause_us
        queue.pauses = min(queue.pauses + 1, MAX_PAUSES)
        since_us = await self._journal.pause(name, pause_us)
        _log.warning("a reply queue does not confirm", under_way=len(queue.under_way), stuck_s=since_us / 1e6)
        if since_us >= DIVERT_US and queue.stuck:
            queue.diverting_us = now + DIVERTING_US
            self._publisher.abandon(name)
            await self._journal.pause(name, 0)

    async def _resume(self, name: str) -> None:
        try:
            await self._journal.resume(name)
        except JournalUnavailable as error:
            _log.info("a pause runs on", error=str(error))

    async def _sweep(self) -> None:
        """Claim what nobody publishes, as much as there is room for."""
        room = {}
        for name, queue in self._queues.items():
            wide = WAITING if queue.confirms or queue.diverting_us else UNCONFIRMED
            stuck = queue.stuck and not queue.diverting_us
            room[name] = 0 if stuck else max(wide - queue.held, 0)
        if self._publisher.blocked or not self._journal.writable:
            return
        found = await self._journal.unpublished(room=room, per_queue=UNCONFIRMED, limit=CLAIM)
        self._more = bool(found)
        for item in found:
            self._take(item)

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)
