"""What an event proves about a command: in doubt, given up, or a cancel that waits for its order to end.

A command that is being sent is left to whoever sends it, and looked at again: its answer may still get lost. What is
no proof by itself only makes the resolver look now.
"""

import asyncio
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from router.commands.dispatch import Dispatcher
from router.commands.relay import ResultRelay
from router.errors import JournalUnavailable, UnreadableRow
from router.ports import Clock, Journal
from router.records.command import CommandRecord
from router.records.event import Evidence
from router.records.order import OrderRecord
from router.venue_protocol import Accepted, Done, Refused
from schemas.commands import Cancel, Close

AGAIN_S: Final = 0.1
KEPT_US: Final = 60_000_000
"""How long a command that is still being sent is looked at again."""
KEPT: Final = 10_000

_log = structlog.get_logger(__name__)


class _Kept(Struct, frozen=True):
    evidence: Evidence
    until_us: int


def proven(record: CommandRecord, order: OrderRecord) -> Accepted | Done | Refused | None:
    """Say what an order's state proves about the command that placed it or targets it; `None`: not enough. Pure."""
    if isinstance(record.command, Close):
        # An order the venue rejected was not executed, but only a look tells why.
        seen = order.status not in {"rejected", "unknown"}
        return Accepted(order_id=order.order_id, order=order.state) if seen else None
    if not isinstance(record.command, Cancel) or not order.final:
        return None
    if order.status == "filled":
        return Refused(code="too_late", message="it was filled", order_id=order.order_id, order=order.state)
    if order.order_type in {None, "stop"}:
        # A stop that is gone may have been triggered, and then another order executes in its place.
        return None
    return Done(order_id=order.order_id, order=order.state)


class Settler:
    """Settles commands by what their orders were seen to be."""

    def __init__(self, dispatcher: Dispatcher, journal: Journal, relay: ResultRelay, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._journal = journal
        self._relay = relay
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._woken = asyncio.Event()

    def consider(self, evidence: Evidence) -> None:
        """Take what was seen of a command's order."""
        record = evidence.record
        if len(self._kept) < KEPT:
            self._kept[record.sender, record.command_id] = _Kept(evidence, self._clock.boot_us() + KEPT_US)
            self._woken.set()

    def look(self) -> None:
        """Let the resolver look now: commands were made due."""
        self._dispatcher.on_parked(self._journal.earliest_us())

    async def run(self) -> None:
        """Settle until cancelled."""
        while True:
            if not self._kept:
                self._woken.clear()
                await self._woken.wait()
            for key, kept in list(self._kept.items()):
                try:
                    settled = await self._settle(key, kept)
                except JournalUnavailable as error:
                    _log.warning("evidence waits for the journal", command_id=key[1], error=str(error))
                    settled = False
                if (settled or self._clock.boot_us() > kept.until_us) and self._kept.get(key) is kept:
                    del self._kept[key]
            if self._kept:
                await self._clock.sleep(AGAIN_S)

    async def _settle(self, key: tuple[str, str], kept: _Kept) -> bool:
        """Settle one command. `False`: it is still being sent."""
        try:
            record = await self._journal.load(*key)
        except UnreadableRow:
            return True  # a newer version's: its own resolver looks
        if record is None or (record.state == "final" and record.outcome != "rejected"):
            return True
        if record.state == "open" and record.step != "await":
            return False
        outcome = proven(record, kept.evidence.order)
        if outcome is None and record.state == "final":
            return True
        if outcome is None:
            return not kept.evidence.order.final or await self._look_now(record)
        concluded = await self._dispatcher.settle_by_event(record, outcome)
        if concluded is None:
            return record.state == "final"
        _log.info("settled by an event", venue=record.command.venue, command_id=record.command_id)
        self._relay.put(concluded.outgoing)
        return True

    async def _look_now(self, record: CommandRecord) -> bool:
        now = self._journal.earliest_us()
        if await self._journal.save(replace(record, next_us=now)) is None:
            return False
        self.look()
        return True
