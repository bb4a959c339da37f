"""What is known of an account's orders: read for a reconciliation, for copies, and what is old deleted."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from router.errors import UnreadableRow
from router.journal.operations.commands import decode_record
from router.journal.operations.statements import Params, Steps, storable
from router.records.command import CommandRecord, Reply
from router.records.event import Copy, StoredEvent
from router.records.order import OrderRecord, merge
from router.venue_protocol.stream import Change, Known
from schemas.commands import Close
from schemas.events import OrderEvent

LOOK_BACK_US: Final = 600_000_000
"""How far before an account's very first feed what happened is looked for."""
MAX_OPEN: Final = 500
"""How many open orders a reconciliation asks for one by one, the latest first."""
BUSY_US: Final = 30_000_000
CHUNK: Final = 500
_record: msgspec.json.Decoder[OrderRecord] = msgspec.json.Decoder(OrderRecord)
_event: msgspec.json.Decoder[OrderEvent] = msgspec.json.Decoder(OrderEvent)
_copies: msgspec.json.Decoder[tuple[Copy, ...]] = msgspec.json.Decoder(tuple[Copy, ...])
_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
# Most orders are not ours: only what can be one of our ids is looked for.
_OURS: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ORDER = """select record from orders where venue = $1 and account = $2 and order_id = $3"""
_CLAIMANTS = """select received_us, command_id, sender, reply, joined, job from commands
    where venue = $1 and account = $2 and order_id = $3 order by received_us"""
_CLAIMANTS_BY_CLIENT_ID = """select received_us, command_id, sender, reply, joined, job from commands
    where client_order_id is not null and order_id is null and action = 'close'
      and client_order_id = $3 and venue = $1 and account = $2"""
_REPLIES = """select reply from replies where received_us = $1 and command_id = $2 and sender = $3 order by address"""
_STORED = """select event, copies from events where venue = $1 and account = $2 and seq > $3 order by seq limit $4"""
_OPEN = """select order_id, record from orders where venue = $1 and account = $2 and final = 0
    order by updated_us desc limit $3"""
_SYMBOLS = """select symbol from feed_symbols where venue = $1 and account = $2 order by symbol"""
_PLACED = """select order_id, symbol from commands c
    where venue = $1 and account = $2 and received_us >= $3 and order_id is not null and action = 'close'
      and not exists (select 1 from orders o where o.venue = c.venue and o.account = c.account
                      and o.order_id = c.order_id and o.final = 1)"""
_LIVE = """select order_id, symbol from commands
    where venue = $1 and account = $2 and state in ('open', 'in_doubt', 'unresolved')"""
# A command was settled a moment ago, and nobody has been told yet that its order has ended.
_ACTIVE = """select 1 from commands c
    where c.state in ('final', 'given_up') and c.state = 'final' and c.updated_us > now_us() - $3
      and c.venue = $1 and c.account = $2 and c.order_id is not null
      and not exists (select 1 from orders o where o.venue = c.venue and o.account = c.account
                      and o.order_id = c.order_id and o.final = 1) limit 1"""
_RETIRE_EVENTS = """delete from events where (venue, account, seq) in (
        select e.venue, e.account, e.seq from events e join feeds f on f.venue = e.venue and f.account = e.account
        where e.created_us < now_us() - $1 and e.seq <= f.published_seq order by e.created_us limit $2)
    returning seq"""
_RETIRE_ORDERS = """delete from orders where final = 1 and (venue, account, order_id) in (
        select venue, account, order_id from orders where final = 1 and updated_us < now_us() - $1
        order by updated_us limit $2)
    returning order_id"""


class Claimant(Struct, frozen=True):
    """A command that placed or named an order, and where it is answered."""

    record: CommandRecord
    replies: tuple[Reply, ...]


def news(venue: str, account: str, changes: Sequence[Change]) -> Steps[tuple[Change, ...]]:
    """Run `router.ports.EventJournal.news`."""
    known: dict[str, OrderRecord | None] = {}
    found = []
    for change in changes:
        if change.order_id not in known:
            known[change.order_id] = yield from load(venue, account, change.order_id)
        merged = merge(known[change.order_id], change)
        known[change.order_id] = merged.record
        if merged.news:
            found.append(change)
    return tuple(found)


def known(venue: str, account: str, since_us: int) -> Steps[Known]:
    """Run `router.ports.EventJournal.known_orders`."""
    place = (venue, account)
    orders: dict[str, str | None] = {}
    for order_id, stored in (yield _OPEN, (*place, MAX_OPEN)):
        orders[order_id] = _record.decode(stored).symbol
    symbols = {row[0] for row in (yield _SYMBOLS, place)}
    live = yield _LIVE, place
    for order_id, symbol in [*(yield _PLACED, (*place, since_us - LOOK_BACK_US)), *live]:
        if order_id is not None:
            orders[order_id] = orders.get(order_id) or symbol
        if symbol is not None:
            symbols.add(symbol)
    return Known(since_ms=since_us // 1000, open_orders=tuple(orders.items()), symbols=tuple(sorted(symbols)))


def busy(venue: str, account: str) -> Steps[bool]:
    """Run `router.ports.EventJournal.busy`."""
    return bool((yield _LIVE, (venue, account))) or bool((yield _ACTIVE, (venue, account, BUSY_US)))


def stored(venue: str, account: str, after_seq: int, limit: int) -> Steps[tuple[StoredEvent, ...]]:
    """Run `router.ports.EventJournal.stored_events`."""
    rows = yield _STORED, (venue, account, after_seq, limit)
    return tuple(StoredEvent(event=_event.decode(event), copies=_copies.decode(copies)) for event, copies in rows)


def copies_for(
    venue: str, account: str, orders: Sequence[tuple[str, str | None]]
) -> Steps[dict[str, tuple[Copy, ...]]]:
    """Run `router.ports.EventJournal.copies_for`."""
    found = {}
    for order_id, client_order_id in orders:
        claimants = yield from claimants_of(venue, account, order_id, client_order_id)
        if claimants:
            found[order_id] = addressed(claimants)
    return found


def retire(older_than_us: int) -> Steps[int]:
    """Delete some published events and ended orders whose last change is older than that; return how many."""
    events = yield _RETIRE_EVENTS, (older_than_us, CHUNK)
    orders = yield _RETIRE_ORDERS, (older_than_us, CHUNK)
    return len(events) + len(orders)


def load(venue: str, account: str, order_id: str) -> Steps[OrderRecord | None]:
    rows = yield _ORDER, (venue, account, storable(order_id))
    return _record.decode(rows[0][0]) if rows else None


def claimants_of(venue: str, account: str, order_id: str, client_order_id: str | None) -> Steps[tuple[Claimant, ...]]:
    """Return the commands that placed or named an order, oldest first; dry runs did neither."""
    rows = list((yield _CLAIMANTS, (venue, account, storable(order_id))))
    if client_order_id is not None and _OURS.fullmatch(client_order_id):
        # No order id is on record of a close whose answer is not there yet, nor of one that was refused.
        rows += yield _CLAIMANTS_BY_CLIENT_ID, (venue, account, client_order_id)
    found: list[Claimant] = []
    for received_us, command_id, sender, first, joined, text in rows:
        try:
            record = decode_record(text, command_id)
        except UnreadableRow:
            continue  # a newer version's: its resolver looks by itself
        if record.command.dry_run:
            continue
        replies = [_reply.decode(first)]
        if joined:
            key: Params = (received_us, command_id, sender)
            replies += [_reply.decode(row[0]) for row in (yield _REPLIES, key)]
        found.append(Claimant(record, tuple(replies)))
    return tuple(found)


def is_close(claimant: Claimant) -> bool:
    return isinstance(claimant.record.command, Close)


def addressed(claimants: Sequence[Claimant]) -> tuple[Copy, ...]:
    """Return one copy for each distinct reply queue and correlation id."""
    copies: dict[tuple[str, str], Copy] = {}
    for claimant in claimants:
        record = claimant.record
        for reply in claimant.replies:
            if reply.reply_to:
                copy = Copy(command_id=record.command_id, reply=reply, received_us=record.received_us)
                copies.setdefault((reply.reply_to, reply.correlation_id), copy)
    return tuple(copies.values())
