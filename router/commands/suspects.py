"""Find the message whose handling ends the process, and spare the innocent ones beside it.

How often a message was delivered says nothing: lost connections and outages deliver again, too. So a message that comes
again is noted in the journal before it is handled, and no more afterwards, one at a time. What stands there when it
comes once more has ended a process (contract, section 4).
"""

import asyncio
import hashlib
from typing import Final

import structlog

from router.errors import JournalUnavailable
from router.ports import Clock, Journal
from router.records.delivery import Delivery

ASK_AGAIN_S: Final = 0.25
ALONE_S: Final = 2.0
"""How long at most others wait for one that is handled alone."""
ENDED: Final = 1
"""A process that died with it among others came first, one that died over it alone second: this is the third time."""

_log = structlog.get_logger(__name__)


class Suspicion:
    """One message being handled alone. `ended_others`: it is to be refused."""

    def __init__(self, suspects: "Suspects", key: str, ended: int) -> None:
        self.ended_others = ended >= ENDED
        self._suspects = suspects
        self._key = key
        self._alone = True
        self._timer = asyncio.get_running_loop().call_later(ALONE_S, self.leave)

    def leave(self) -> None:
        """Note that the process lives on, and let others be handled."""
        self._timer.cancel()
        if self._alone:
            self._alone = False
            self._suspects.alone.release()
            self._suspects.clear(self._key)


class Suspects:
    """The messages of this process that came again."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.alone = asyncio.Lock()
        self._next = asyncio.Lock()
        self._journal = journal
        self._clock = clock
        self._clearing: set[asyncio.Task[None]] = set()

    async def enter(self, delivery: Delivery, *, urgent: bool = False) -> Suspicion | None:
        """Note a message that comes again, once nobody else is handled alone. Nothing for any other.

        `urgent`: it waits for one that is handled and one that is next, however many others wait.
        """
        if not delivery.redelivered or not self._journal.writable:
            return None
        key = hashlib.sha256(b"\0".join((delivery.message_id.encode(), delivery.routing_key.encode(), delivery.body)))
        name = key.hexdigest()[:32]
        wait_us = 1
        while wait_us:
            await self._turn(urgent=urgent)
            try:
                ended, wait_us = await self._journal.suspect(name)
                if not wait_us:
                    return Suspicion(self, name, ended)
                self.alone.release()
            except JournalUnavailable:
                self.alone.release()
                self.clear(name)  # it may have been noted all the same
                return None
            except BaseException:
                self.alone.release()
                raise
            await self._clock.sleep(min(wait_us / 1e6, ASK_AGAIN_S))
        return None

    async def _turn(self, *, urgent: bool) -> None:
        if urgent:
            await self.alone.acquire()
            return
        async with self._next:
            await self.alone.acquire()

    def clear(self, key: str) -> None:
        """Forget a message that was handled."""
        task = asyncio.create_task(self._clear(key))
        self._clearing.add(task)
        task.add_done_callback(self._clearing.discard)

    async def _clear(self, key: str) -> None:
        """Forget it as soon as the journal takes that: what stands there says that a process ended."""
        while True:
            try:
                return await self._journal.cleared(key)
            except JournalUnavailable as error:
                _log.info("a message stays suspect for now", error=str(error))
            await self._clock.sleep(ASK_AGAIN_S)
