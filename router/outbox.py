"""Get stored results to their senders: published, confirmed, marked. They survive a broker outage in the journal.

The ordinary way is straight: whoever concluded a command publishes its result at once. What could not be published
then, or was left behind by a pod that died, is found in the journal and published by any pod, in order per command.
"""

import asyncio
from collections.abc import Sequence

import structlog

from router.errors import JournalUnavailable, PublishFailed
from router.job import Outgoing
from router.ports import Clock, Journal, Publisher
from router.telemetry import Metrics

SWEEP_S = 1.0
RETRY_S = 0.5
LEFT_BEHIND_S = 3.0
"""A result this old and not confirmed may have been left behind; publishing it twice does no harm."""
BATCH = 100

_log = structlog.get_logger(__name__)


class Outbox:
    """The results of this process, and those left behind by others."""

    def __init__(self, journal: Journal, publisher: Publisher, clock: Clock, metrics: Metrics) -> None:
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics

    async def deliver(self, outgoing: Sequence[Outgoing]) -> None:
        """Publish results that were just stored, and return once all are confirmed, however long that takes.

        Waiting here is what keeps new commands out while the broker takes no answers: the delivery is not
        acknowledged, and its lane's prefetch fills up.
        """
        for item in outgoing:
            # One that must not overtake an earlier result is left to the sweep, which keeps the order.
            while not item.waits and not await self._publish(item):
                await self._clock.sleep(RETRY_S)

    async def run(self) -> None:
        """Publish what is left behind, until cancelled."""
        while True:
            await self._clock.sleep(SWEEP_S)
            try:
                await self._sweep()
            except JournalUnavailable as error:
                _log.warning("outbox waits for the journal", error=str(error))

    async def _sweep(self) -> None:
        """Publish what was completed a while ago and is not confirmed; of each command one result at a time."""
        left_behind_us = self._clock.now_us() - int(LEFT_BEHIND_S * 1e6)
        published = True
        while published:
            found = await self._journal.unpublished(left_behind_us, BATCH)
            published = bool(found) and all(await asyncio.gather(*map(self._publish, found)))

    async def _publish(self, item: Outgoing) -> bool:
        try:
            await self._publisher.publish(item.reply, item.result, item.sender)
        except PublishFailed as error:
            _log.warning("result waits in the outbox", command_id=item.command_id, error=str(error))
            return False
        self._journal.published([item.outbox_id])
        if item.result.final and not item.result.duplicate:
            self._metrics.command_confirmed(item.result)
        return True
