"""Order events: who may number an account's, what is known of its orders, what is stored and not published yet.

`record` is the one place where a report becomes an event. It runs in one transaction that first takes the account's
row under the owner's fence: whoever lost the lease stores nothing and numbers nothing.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from router.clock import to_time
from router.journal.operations.leases import progress
from router.journal.operations.orders import Claimant, addressed, claimants_of, is_close, load
from router.journal.operations.statements import Steps, optional, storable
from router.records.event import Evidence, Lease, OrderReport, Recorded, StoredEvent
from router.records.order import Merged, OrderRecord, merge
from schemas.commands import Close
from schemas.events import OrderEvent
from schemas.ids import event_id

_encoder: Final = msgspec.json.Encoder()


_NUMBER = """update feeds set seq = $3 where venue = $1 and account = $2"""
_PUT_ORDER = """insert into orders (venue, account, order_id, final, updated_us, record)
    values ($1, $2, $3, $4, now_us(), $5)
    on conflict (venue, account, order_id) do update set final = excluded.final, record = excluded.record,
        updated_us = excluded.updated_us"""
_PUT_SYMBOL = """insert into feed_symbols (venue, account, symbol) values ($1, $2, $3) on conflict do nothing"""
_PUT_EVENT = """insert into events (venue, account, seq, order_id, created_us, event, copies)
    values ($1, $2, $3, $4, now_us(), $5, $6)"""
_EXPECTING = """select symbol from commands
    where venue = $1 and account = $2 and state in ('open', 'in_doubt', 'unresolved') and action = 'close'
      and order_id is null"""
_WAKE = """update commands set next_us = now_us()
    where venue = $1 and account = $2 and symbol = $3 and state in ('open', 'in_doubt', 'unresolved')
      and state <> 'open' and action = 'close' and order_id is null and next_us > now_us() returning command_id"""


def record(lease: Lease, sightings: Sequence[OrderReport], *, published_seq: int = 0) -> Steps[Recorded]:
    """Run `router.ports.EventJournal.record`."""
    position = yield from progress(lease, published_seq=published_seq)
    batch = _Batch(lease, position.seq)
    for sighting in sightings:
        yield from batch.add(sighting)
    yield from batch.store()
    return batch.recorded()


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
            self._records[order_id] = yield from load(*self._place, order_id)
        known = self._records[order_id]
        merged = merge(known, change)
        if not merged.news:
            self._keep(merged)
            return
        client_id = merged.record.client_order_id
        claimants = yield from claimants_of(*self._place, order_id, client_id)
        if not claimants and known is None and (yield from self._may_be_ours(merged.record.symbol)):
            self._woken = bool((yield _WAKE, (*self._place, optional(merged.record.symbol)))) or self._woken
            if not sighting.waited:
                self._waiting.append(sighting)
                self._waiting_orders.add(order_id)
                return
            self._unclaimed[order_id] = None
        placed_by = next((claimant.record.command for claimant in claimants if is_close(claimant)), None)
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

    def _number(self, sighting: OrderReport, merged: Merged, claimants: Sequence[Claimant]) -> None:
        venue, account = self._place
        change, order = sighting.change, merged.record
        self._seq += 1
        owner = next((claimant for claimant in claimants if is_close(claimant)), claimants[-1] if claimants else None)
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
        self._events.append(StoredEvent(event=event, copies=addressed(claimants)))
        for claimant in claimants:
            record = claimant.record
            if record.state != "final" or record.outcome == "rejected":
                self._evidence[record.sender, record.command_id] = Evidence(record=record, order=order)
