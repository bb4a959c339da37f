"""Order events on their way: who may number them, what was sighted, what is stored and owed to whom.

A feed sights what a venue reports. The journal decides in one transaction what of it is news, numbers that, and
stores it until the broker has it.
"""

from msgspec import Struct

from router.records.command import CommandRecord, Reply
from router.records.order import OrderRecord
from router.venue_protocol.stream import Change
from schemas.events import OrderEvent, Source


class Lease(Struct, frozen=True, kw_only=True):
    """The right to number an account's events. `fence` grows with every owner: an older one can store nothing."""

    venue: str
    account: str
    owner: str
    fence: int


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds an account's feed, for how many microseconds more; less than zero when the lease has run out."""

    venue: str
    account: str
    owner: str
    left_us: int


class Position(Struct, frozen=True, kw_only=True):
    """Where an account's feed stands: the last number given, the last one confirmed, and when all was complete."""

    seq: int
    published_seq: int
    complete_us: int


class OrderReport(Struct, frozen=True, kw_only=True):
    """One report of a venue. `waited`: no command claimed its order for long enough, so it goes without one."""

    change: Change
    source: Source
    received_us: int
    waited: bool = False


class Copy(Struct, frozen=True, kw_only=True):
    """One command that hears of an order, where, and when that command came."""

    command_id: str
    reply: Reply
    received_us: int = 0


class StoredEvent(Struct, frozen=True, kw_only=True):
    """An event as numbered, and its copies beside the one on the topic exchange."""

    event: OrderEvent
    copies: tuple[Copy, ...] = ()


class Evidence(Struct, frozen=True, kw_only=True):
    """An unsettled command, and what was seen of the order it is about."""

    record: CommandRecord
    order: OrderRecord


class Recorded(Struct, frozen=True, kw_only=True):
    """What came of some sightings.

    `waiting` is not stored: its order may be that of a close whose answer is not there yet. `doubtful` are orders
    that a read should look at. `unclaimed` are orders that went without a command, though a close is under way that
    may have placed them. `woken`: closes in doubt were made due, because an order may be theirs.
    """

    events: tuple[StoredEvent, ...] = ()
    waiting: tuple[OrderReport, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    doubtful: tuple[str, ...] = ()
    unclaimed: tuple[str, ...] = ()
    woken: bool = False
