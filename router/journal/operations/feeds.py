"""Order events: who may number an account's, what is known of its orders, what is stored and not published yet.

`record` is the one place where a report becomes an event. It runs in one transaction that first takes the account's
row under the owner's fence: whoever lost the lease stores nothing and numbers nothing.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from router.clock import to_time
from router.errors import LeaseLost, UnreadableRow
from router.journal.operations.commands import decode_record
from router.journal.operations.statements import Params, Steps, optional, storable
from router.records.command import CommandRecord, Reply
from router.records.event import Copy, Evidence, Holder, Lease, OrderReport, Position, Recorded, StoredEvent
from router.records.order import Merged, OrderRecord, merge
from router.venue_protocol.stream import Change, Known
from schemas.commands import Close
from schemas.events import OrderEvent
from schemas.ids import event_id

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
_encoder: Final = msgspec.json.Encoder()

# Ids that come from a venue go into a pattern only when they can be one of ours.
_OURS: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_TAKE = """insert into feeds (venue, account, owner, fence, until_us, seq, published_seq, complete_us)
    values ($1, $2, $3, 1, now_us() + $4, 0, 0, now_us() - $5)
    on conflict (venue, account) do update set fence = feeds.fence + 1, owner = excluded.owner,
        until_us = excluded.until_us
    where feeds.until_us <= now_us()
    returning fence"""
_RENEW = """update feeds set until_us = now_us() + $2 where owner = $1 and until_us > now_us()
    returning venue, account, fence"""
_RELEASE = """update feeds set until_us = 0 where venue = $1 and account = $2 and owner = $3 and fence = $4"""
_HOLDERS = """select venue, account, owner, until_us - now_us() from feeds"""
_PACE = """insert into feed_paces (venue, free_us) values ($1, now_us() + $2)
    on conflict (venue) do update set
        free_us = case when feed_paces.free_us > now_us() then feed_paces.free_us else now_us() end + $2
    returning free_us - $2 - now_us()"""
# Taking the account's row first makes whoever else records for it wait, and see the fence of the last owner.
_FENCED = """update feeds set published_seq = case when published_seq < $5 then $5 else published_seq end,
        complete_us = case when complete_us < $6 then $6 else complete_us end
    where venue = $1 and account = $2 and owner = $3 and fence = $4 returning seq, published_seq, complete_us"""
_NUMBER = """update feeds set seq = $3 where venue = $1 and account = $2"""
_ORDER = """select record from orders where venue = $1 and account = $2 and order_id = $3"""
_PUT_ORDER = """insert into orders (venue, account, order_id, final, updated_us, record)
    values ($1, $2, $3, $4, now_us(), $5)
    on conflict (venue, account, order_id) do update set final = excluded.final, record = excluded.record,
        updated_us = excluded.updated_us"""
_PUT_SYMBOL = """insert into feed_symbols (venue, account, symbol) values ($1, $2, $3) on conflict do nothing"""
_PUT_EVENT = """insert into events (venue, account, seq, order_id, created_us, event, copies)
    values ($1, $2, $3, $4, now_us(), $5, $6)"""
_CLAIMANTS = """select received_us, command_id, sender, reply, joined, job from commands
    where venue = $1 and account = $2 and order_id = $3 order by received_us"""
_CLAIMANTS_BY_CLIENT_ID = """select received_us, command_id, sender, reply, joined, job from commands
    where venue = $1 and account = $2 and state in ('open', 'in_doubt', 'unresolved') and action = 'close'
      and order_id is null and job like $3"""
_REPLIES = """select reply from replies where received_us = $1 and command_id = $2 and sender = $3 order by address"""
_EXPECTING = """select symbol from commands
    where venue = $1 and account = $2 and state in ('open', 'in_doubt', 'unresolved') and action = 'close'
      and order_id is null"""
_WAKE = """update commands set next_us = now_us()
    where venue = $1 and account = $2 and symbol = $3 and state in ('open', 'in_doubt', 'unresolved')
      and state <> 'open' and action = 'close' and order_id is null and next_us > now_us() returning command_id"""
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


class _Claimant(Struct, frozen=True):
    """A command that placed or named an order, and where it is answered."""

    record: CommandRecord
    replies: tuple[Reply, ...]


def take(venue: str, account: str, owner: str, valid_us: int) -> Steps[Lease | None]:
    """Run `router.ports.EventJournal.take_lease`."""
    rows = yield _TAKE, (venue, account, owner, valid_us, LOOK_BACK_US)
    return Lease(venue=venue, account=account, owner=owner, fence=rows[0][0]) if rows else None


def renew(owner: str, valid_us: int) -> Steps[tuple[Lease, ...]]:
    """Run `router.ports.EventJournal.renew_leases`."""
    rows = yield _RENEW, (owner, valid_us)
    return tuple(Lease(venue=venue, account=account, owner=owner, fence=fence) for venue, account, fence in rows)


def release(lease: Lease) -> Steps[None]:
    """Run `router.ports.EventJournal.release_lease`."""
    yield _RELEASE, _key(lease)


def holders() -> Steps[tuple[Holder, ...]]:
    """Run `router.ports.EventJournal.lease_holders`."""
    rows = yield _HOLDERS, ()
    return tuple(Holder(venue=venue, account=account, owner=owner, left_us=us) for venue, account, owner, us in rows)


def pace(venue: str, pace_us: int) -> Steps[int]:
    """Run `router.ports.EventJournal.pace`."""
    rows = yield _PACE, (venue, pace_us)
    return max(int(rows[0][0]), 0)


def progress(lease: Lease, *, published_seq: int = 0, complete_us: int = 0) -> Steps[Position]:
    """Run `router.ports.EventJournal.feed_progress`."""
    rows = yield _FENCED, (*_key(lease), published_seq, complete_us)
    if not rows:
        raise LeaseLost(f"the feed of {lease.venue}/{lease.account} has another owner")
    seq, published, complete = rows[0]
    return Position(seq=seq, published_seq=published, complete_us=complete)


def record(lease: Lease, sightings: Sequence[OrderReport], *, published_seq: int = 0) -> Steps[Recorded]:
    """Run `router.ports.EventJournal.record`."""
    position = yield from progress(lease, published_seq=published_seq)
    batch = _Batch(lease, position.seq)
    for sighting in sightings:
        yield from batch.add(sighting)
    yield from batch.store()
    return batch.recorded()


def news(venue: str, account: str, changes: Sequence[Change]) -> Steps[tuple[Change, ...]]:
    """Run `router.ports.EventJournal.news`."""
    known: dict[str, OrderRecord | None] = {}
    found = []
    for change in changes:
        if change.order_id not in known:
            known[change.order_id] = yield from _load(venue, account, change.order_id)
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
        claimants = yield from _claimants(venue, account, order_id, client_order_id)
        if claimants:
            found[order_id] = _addressed(claimants)
    return found


def retire(older_than_us: int) -> Steps[int]:
    """Delete some published events and ended orders whose last change is older than that; return how many."""
    events = yield _RETIRE_EVENTS, (older_than_us, CHUNK)
    orders = yield _RETIRE_ORDERS, (older_than_us, CHUNK)
    return len(events) + len(orders)


class _Batch:
    """Some sightings on their way into the journal. Every order is read once and written once."""

    def __init__(self, lease: Lease, seq: int) -> None:
        self._place = (lease.venue, lease.account)
        self._first = self._seq = seq
        self._records: dict[str, OrderRecord | None] = {}
        self._changed: dict[str, None] = {}
        self._new_symbols: dict[str, None] = {}
        self._expecting: frozenset[str] | None = None
        self._waiting: list[OrderReport] = []
        self._waiting_orders: set[str] = set()
        self._events: list[StoredEvent] = []
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._doubtful: dict[str, None] = {}
        self._unclaimed: dict[str, None] = {}
        self._woken = False

    def add(self, sighting: OrderReport) -> Steps[None]:
        """Merge one sighting; what is news becomes an event."""
        change = sighting.change
        order_id = change.order_id
        if order_id in self._waiting_orders and not sighting.waited:
            self._waiting.append(sighting)
            return
        if order_id not in self._records:
            self._records[order_id] = yield from _load(*self._place, order_id)
        known = self._records[order_id]
        merged = merge(known, change)
        if not merged.news:
            self._keep(merged)
            return
        client_id = merged.record.client_order_id
        claimants = yield from _claimants(*self._place, order_id, client_id)
        if not claimants and known is None and (yield from self._may_be_ours(merged.record.symbol)):
            self._woken = bool((yield _WAKE, (*self._place, optional(merged.record.symbol)))) or self._woken
            if not sighting.waited:
                self._waiting.append(sighting)
                self._waiting_orders.add(order_id)
                return
            self._unclaimed[order_id] = None
        placed_by = next((claimant.record.command for claimant in claimants if _is_close(claimant)), None)
        if isinstance(placed_by, Close):
            merged = merge(known, change, placed_by)
        self._keep(merged)
        self._number(sighting, merged, claimants)

    def store(self) -> Steps[None]:
        """Write what has changed."""
        for order_id in self._changed:
            order = self._records[order_id]
            if order is not None:
                text = _encoder.encode(order).decode()
                yield _PUT_ORDER, (*self._place, storable(order_id), int(order.final), text)
        for symbol in self._new_symbols:
            yield _PUT_SYMBOL, (*self._place, storable(symbol))
        for item in self._events:
            event, copies = _encoder.encode(item.event).decode(), _encoder.encode(item.copies).decode()
            yield _PUT_EVENT, (*self._place, item.event.seq, storable(item.event.order_id), event, copies)
        if self._seq != self._first:
            yield _NUMBER, (*self._place, self._seq)

    def recorded(self) -> Recorded:
        """Return what came of it."""
        return Recorded(
            events=tuple(self._events),
            waiting=tuple(self._waiting),
            evidence=tuple(self._evidence.values()),
            doubtful=tuple(self._doubtful),
            unclaimed=tuple(self._unclaimed),
            woken=self._woken,
        )

    def _may_be_ours(self, symbol: str | None) -> Steps[bool]:
        """Say whether a close is under way whose order this may be."""
        if self._expecting is None:
            self._expecting = frozenset(row[0] for row in (yield _EXPECTING, self._place))
        return bool(self._expecting) and (symbol is None or symbol in self._expecting)

    def _keep(self, merged: Merged) -> None:
        order = merged.record
        known = self._records[order.order_id]
        if order != known:
            self._changed[order.order_id] = None
            self._records[order.order_id] = order
        if order.symbol is not None and (known is None or known.symbol is None):
            self._new_symbols[order.symbol] = None
        if merged.doubtful:
            self._doubtful[order.order_id] = None

    def _number(self, sighting: OrderReport, merged: Merged, claimants: Sequence[_Claimant]) -> None:
        venue, account = self._place
        change, order = sighting.change, merged.record
        self._seq += 1
        owner = next((claimant for claimant in claimants if _is_close(claimant)), claimants[-1] if claimants else None)
        event = OrderEvent(
            event_id=event_id(venue, account, order.order_id, order.status, order.filled_size),
            venue=venue,
            account=account,
            seq=self._seq,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            command_id=owner.record.command_id if owner else None,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            status=order.status,
            price=order.price,
            size=order.size,
            filled_size=order.filled_size,
            last_fill=merged.fill,
            cancel_reason=order.cancel_reason,
            venue_time=change.venue_time,
            received_at=to_time(sighting.received_us),
            source=sighting.source,
            raw=change.raw,
        )
        self._events.append(StoredEvent(event=event, copies=_addressed(claimants)))
        for claimant in claimants:
            record = claimant.record
            if record.state != "final" or record.outcome == "rejected":
                self._evidence[record.sender, record.command_id] = Evidence(record=record, order=order)


def _key(lease: Lease) -> tuple[str, str, str, int]:
    return lease.venue, lease.account, lease.owner, lease.fence


def _load(venue: str, account: str, order_id: str) -> Steps[OrderRecord | None]:
    rows = yield _ORDER, (venue, account, storable(order_id))
    return _record.decode(rows[0][0]) if rows else None


def _claimants(venue: str, account: str, order_id: str, client_order_id: str | None) -> Steps[tuple[_Claimant, ...]]:
    """Return the commands that placed or named an order, oldest first; dry runs did neither."""
    rows = list((yield _CLAIMANTS, (venue, account, storable(order_id))))
    if client_order_id is not None and _OURS.fullmatch(client_order_id):
        # A close whose answer is not there yet has no order id on record.
        pattern = f'%"client_order_id":"{client_order_id}"%'
        rows += yield _CLAIMANTS_BY_CLIENT_ID, (venue, account, pattern)
    found: list[_Claimant] = []
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
        found.append(_Claimant(record, tuple(replies)))
    return tuple(found)


def _is_close(claimant: _Claimant) -> bool:
    return isinstance(claimant.record.command, Close)


def _addressed(claimants: Sequence[_Claimant]) -> tuple[Copy, ...]:
    """Return one copy for each distinct reply queue and correlation id."""
    copies: dict[tuple[str, str], Copy] = {}
    for claimant in claimants:
        record = claimant.record
        for reply in claimant.replies:
            if reply.reply_to:
                copy = Copy(command_id=record.command_id, reply=reply, received_us=record.received_us)
                copies.setdefault((reply.reply_to, reply.correlation_id), copy)
    return tuple(copies.values())
