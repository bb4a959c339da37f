"""Run a venue's lookup: send its reads, feed it the answers, return what it saw.

A `Sweep` is one round of looking. Commands looked up in the same sweep share equal reads, where a venue's read shows
a whole account at once; the next sweep reads afresh.
"""

import asyncio

from msgspec.structs import replace

from router.access.configured import Account, Venue
from router.access.reads import Reader, Reads
from router.errors import SendError, UnreadableRow
from router.ports import CommandJournal
from router.records.command import CommandRecord, effective
from router.telemetry import clean
from router.venue_protocol import Attempt, LookOutcome, Unknown
from schemas.commands import Close

LOOK_S = 20.0
"""A look is given up while the resolver's claim still holds: two pods must not spoil each other's turns."""


class Sweep:
    """One round of looks. Every read in it began after the sweep did, which is at `began_us` at the earliest."""

    def __init__(self, journal: CommandJournal, reader: Reader) -> None:
        self._journal = journal
        self._clock = reader.clock
        self._reads = Reads(reader)
        self.began_us = journal.earliest_us()

    async def look(self, venue: Venue, account: Account, record: CommandRecord) -> LookOutcome:
        """Find out what is true of a command now. A read that fails proves nothing: `Unknown`, and not whole."""
        try:
            async with asyncio.timeout(LOOK_S):
                return clean(await self._look(venue, account, record))
        except SendError as error:
            return Unknown(message=str(error), whole=False)
        except TimeoutError:
            return Unknown(message="the look took too long", whole=False)
        except UnreadableRow as error:
            return Unknown(message=str(error), whole=False)

    async def _look(self, venue: Venue, account: Account, record: CommandRecord) -> LookOutcome:
        """Run the lookup until what it needed was read before what the journal says of other commands.

        An order that a read shows has had its attempt in the journal since before it left. So the journal is asked
        last, and the flow runs once more over the answers that are there already.
        """
        reads = -1
        while True:
            taken: frozenset[str] = frozenset()
            rivals: tuple[Close, ...] = ()
            if isinstance(record.command, Close):
                taken, rivals = await self._journal.neighbours(record)
            flow = venue.adapter.lookup(effective(record), self._attempt(venue, record, taken, rivals))
            answered: list[int] = []
            seen = await self._reads.run(venue, account, flow, answered=answered)
            if isinstance(seen, Unknown) and any(status >= 400 and status != 404 for status in answered):
                seen = replace(seen, whole=False)
            if not isinstance(record.command, Close) or reads == len(self._reads):
                return seen
            reads = len(self._reads)

    def _attempt(
        self, venue: Venue, record: CommandRecord, taken: frozenset[str], rivals: tuple[Close, ...]
    ) -> Attempt:
        return Attempt(
            client_order_id=record.client_order_id,
            sent_ms=record.sent_ms or (record.first_sent_us or record.received_us) // 1000,
            now_ms=venue.time_us(self._clock) // 1000,
            window_ms=int(venue.options.timestamp_window_s * 1000),
            unanswered=record.unanswered,
            order_id=record.order_id if isinstance(record.command, Close) else None,
            venue_code=record.venue_code,
            taken=taken,
            rivals=rivals,
        )
