"""At the start every key is tried on the reads that lookups and feeds will need, and on the right to trade.

A key that lacks one would be found out in a doubt, when it costs most. Nothing waits for this: commands are handled
meanwhile, and come first under the venue's limits.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from router.access.configured import Account, Venue
from router.access.reads import Reader, Reads
from router.errors import RouterError
from router.telemetry import clean
from router.telemetry.alerts import of_a_key

BEGIN_S: Final = 5.0
"""What waited for this process comes first."""
AGAIN_S: Final = 60.0
"""A venue that did not answer is asked again after this long."""
REFUSED_AGAIN_S: Final = 600.0
"""So is one that refused, to tell when somebody has mended the key."""
PLACE_S: Final = 60.0
"""How long a read waits for its turn under the venue's limits."""

_log = structlog.get_logger(__name__)


class Probes:
    """Probes of every account."""

    def __init__(self, venues: Mapping[str, Venue], reader: Reader) -> None:
        self._venues = venues
        self._reader = reader
        self._clock = reader.clock

    async def run(self) -> None:
        """Probe until every key was taken once, and never end."""
        await self._clock.sleep(BEGIN_S)
        async with asyncio.TaskGroup() as group:
            for venue in self._venues.values():
                for account in venue.accounts.values():
                    group.create_task(self._probe(venue, account), name=f"probe {venue.name}/{account.name}")
        await asyncio.Event().wait()  # a part that must run does not return

    async def _probe(self, venue: Venue, account: Account) -> None:
        told = ""
        while True:
            try:
                found = await Reads(self._reader).run(venue, account, venue.adapter.probe(), wait_s=PLACE_S)
            except RouterError as error:
                _log.info("a key is not tried yet", venue=venue.name, account=account.name, error=str(error))
                await self._clock.sleep(AGAIN_S)
                continue
            if isinstance(found, str):
                _log.info("the venue takes the key", venue=venue.name, account=account.name, tells=found)
                self._reader.metrics.alerts.key_works(venue.name, account.name)
                return
            refused = clean(found)
            words = " ".join(filter(None, (refused.code, refused.venue_code, refused.message)))
            if words != told:
                _log.error("a key cannot do what is needed", venue=venue.name, account=account.name, why=words)
                told = words
                code = of_a_key(refused.code)
                self._reader.metrics.alerts.raised(code, venue.name, account.name, message=words, standing=True)
            await self._clock.sleep(REFUSED_AGAIN_S)
