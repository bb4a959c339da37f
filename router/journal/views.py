"""What an operator reads of a journal: the stories of commands, lists of them, refusals, what is not settled."""

from collections.abc import Sequence
from functools import partial

from router.journal.feed_store import FeedStore
from router.journal.operations import backlog, refusals, timeline
from router.journal.operations.listing import ANY, Filter, Unreadable, listing
from router.records.command import CommandRecord


class Views(FeedStore):
    """Reading that changes nothing."""

    async def story(self, sender: str | None, command_id: str) -> Sequence[timeline.Timeline]:
        """Tell everything on record about a command, or about every sender's command of that id."""
        return await self._read(partial(timeline.story, sender, command_id))

    async def listing(self, wanted: Filter | None = None, limit: int = ANY) -> Sequence[CommandRecord | Unreadable]:
        """Return commands for a person: what has no settled result first, oldest first, then the latest others."""
        return await self._read(partial(listing, wanted or Filter(), limit))

    async def backlog(self) -> backlog.Backlog:
        """Return how much is not settled."""
        return await self._read(backlog.backlog)

    async def refusals(self, since_us: int, limit: int, sender: str | None = None) -> Sequence[refusals.Unstored]:
        """Return the refusals that are stored under no command, the latest first."""
        return await self._read(partial(refusals.latest, since_us, limit, sender))
