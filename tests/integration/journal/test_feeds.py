"""Order events in the journal: leases, numbers without holes, who hears of an order. On both back ends."""

from typing import Any

import pytest
from msgspec.structs import replace

from router.errors import LeaseLost
from router.journal import Store
from router.records.event import Lease, OrderReport
from router.venue_protocol.stream import Change, Fill
from schemas.commands import Close
from tests import journal_cases as cases
from tests.integration.journal.conftest import Open
from tests.integration.journal.test_journal import due
from tests.journal_place import Place

pytestmark = [pytest.mark.integration]

PLACE = ("gmo_coin", "main")
LONG_US = 60_000_000


async def taken(journal: Store, owner: str = "pod-1", valid_us: int = LONG_US) -> Lease:
    """Take the account's feed."""
    lease = await journal.take_lease(*PLACE, owner, valid_us)
    assert lease is not None
    return lease


def sighting(order_id: str = "1", *, waited: bool = True, **fields: Any) -> OrderReport:
    """A report; by default one that no command was waited for any more."""
    values: dict[str, Any] = {"order_id": order_id, "symbol": "BTC_JPY", "size": "1"} | fields
    return OrderReport(change=Change(**values), source="stream", received_us=cases.T0_US, waited=waited)


async def test_one_owner(journal: Store, place: Place) -> None:
    """A held lease is nobody else's; one that has run out is, under a higher fence; renewing tells what is left."""
    first = await taken(journal)
    assert await journal.take_lease(*PLACE, "pod-2", LONG_US) is None
    assert await journal.renew_leases("pod-1", LONG_US) == (first,)
    await place.sql("update feeds set until_us = 1")
    assert await journal.renew_leases("pod-1", LONG_US) == ()
    second = await taken(journal, "pod-2")
    assert second.fence > first.fence
    (holder,) = await journal.lease_holders()
    assert (holder.owner, holder.left_us > 0) == ("pod-2", True)
    await journal.release_lease(first)
    assert await journal.take_lease(*PLACE, "pod-3", LONG_US) is None
    await journal.release_lease(second)
    await taken(journal, "pod-3")


async def test_the_loser_numbers_nothing(journal: Store, place: Place) -> None:
    """Whoever lost the lease stores nothing and gives out no number, whatever it thinks."""
    loser = await taken(journal)
    await journal.record(loser, [sighting(status="working")])
    await place.sql("update feeds set until_us = 1")
    owner = await taken(journal, "pod-2")
    with pytest.raises(LeaseLost):
        await journal.record(loser, [sighting(status="canceled")])
    with pytest.raises(LeaseLost):
        await journal.feed_progress(loser, published_seq=9)
    recorded = await journal.record(owner, [sighting(status="canceled")])
    assert [stored.event.seq for stored in recorded.events] == [2]
    position = await journal.feed_progress(owner)
    assert (position.seq, position.published_seq) == (2, 0)


async def test_numbers_have_no_holes(open_place: Open, place: Place) -> None:
    """Repeats and steps back take no number, over restarts and owners; what is stored comes back in order."""
    journal = await open_place()
    lease = await taken(journal)
    reports = [
        sighting(status="working"),
        sighting(status="working"),
        sighting("2", filled_size="0.5"),
        sighting(filled_size="0.2", last_fill=Fill(execution_id="x", size="0.2")),
        sighting(status="working"),
        sighting("2", filled_size="1"),
    ]
    recorded = await journal.record(lease, reports)
    again = await journal.record(lease, reports)
    assert [stored.event.seq for stored in recorded.events] == [1, 2, 3, 4]
    assert again.events == ()
    other = await open_place()
    await place.sql("update feeds set until_us = 1")
    lease = await taken(other, "pod-2")
    later = await other.record(lease, [*reports, sighting(status="canceled")], published_seq=3)
    assert [(stored.event.seq, stored.event.status) for stored in later.events] == [(5, "canceled")]
    assert await other.stored_events(*PLACE, 3, 10) == (recorded.events[3], later.events[0])
    assert (await other.feed_progress(lease, published_seq=2)).published_seq == 3


async def test_copies_go_to_every_address(journal: Store) -> None:
    """The close that placed an order and each cancel that names it hear of it, once per reply queue and correlation."""
    lease = await taken(journal)
    placed = cases.close("c-1", order_id="637000")
    await journal.admit(placed, cases.reply("one"), "d1")
    await journal.admit(placed, cases.reply("two"), "d1")
    await journal.admit(cases.cancel("c-2", sender="beta", order_id="637000"), cases.reply("three", "beta"), "d2")
    dry = cases.cancel("c-3", order_id="637000")
    await journal.admit(replace(dry, command=replace(dry.command, dry_run=True)), cases.reply("four"), "d3")
    recorded = await journal.record(lease, [sighting("637000", status="working", size=None)])
    (stored,) = recorded.events
    assert (stored.event.command_id, stored.event.size, stored.event.side) == ("c-1", "0.0100", "sell")
    heard = {(copy.command_id, copy.reply.reply_to, copy.reply.correlation_id) for copy in stored.copies}
    assert heard == {("c-1", "alpha.replies", "one"), ("c-1", "alpha.replies", "two"), ("c-2", "beta", "three")}
    assert {evidence.record.command_id for evidence in recorded.evidence} == {"c-1", "c-2"}
    assert await journal.copies_for(*PLACE, [("637000", None), ("9", None)]) == {"637000": stored.copies}


async def test_client_order_id_leads_to_the_close(journal: Store) -> None:
    """An event that carries our own id finds its close before the venue's answer is there."""
    lease = await taken(journal)
    record = cases.close("c-1")
    await journal.admit(record, cases.reply(), "d")
    seen = sighting("55", status="working", client_order_id=record.client_order_id, waited=False)
    recorded = await journal.record(lease, [seen])
    assert [stored.event.command_id for stored in recorded.events] == ["c-1"]
    assert recorded.evidence[0].record.command_id == "c-1"


async def test_an_unknown_order_waits_for_a_close(journal: Store) -> None:
    """A new order waits while a close without an order id is open; an event of ours never goes out without its command.

    Orders of another symbol wait for nobody.
    """
    lease = await taken(journal)
    record = cases.close("c-1")
    await journal.admit(record, cases.reply(), "d")
    early = [sighting("55", status="working", waited=False), sighting("55", filled_size="1", waited=False)]
    other = sighting("56", status="working", symbol="ETH_JPY", waited=False)
    recorded = await journal.record(lease, [early[0], other, early[1]])
    assert recorded.waiting == tuple(early)
    assert [stored.event.order_id for stored in recorded.events] == ["56"]
    await journal.save(cases.final(record, order_id="55"), end=cases.ended(), result=cases.result(record))
    recorded = await journal.record(lease, recorded.waiting)
    assert [(item.event.status, item.event.command_id) for item in recorded.events] == [
        ("working", "c-1"),
        ("filled", "c-1"),
    ]


async def test_waited_long_enough(journal: Store) -> None:
    """An order that no command claimed in time is reported without one."""
    lease = await taken(journal)
    await journal.admit(cases.close("c-1"), cases.reply(), "d")
    recorded = await journal.record(lease, [sighting("55", status="working", waited=True)])
    assert [(item.event.order_id, item.event.command_id) for item in recorded.events] == [("55", None)]


async def test_a_new_order_wakes_closes_in_doubt(journal: Store) -> None:
    """An order that may be that of a close in doubt makes that close due at once."""
    lease = await taken(journal)
    record = cases.close("c-1", next_us=2**60)
    await journal.admit(record, cases.reply(), "d")
    doubtful = cases.doubtful(record, next_us=2**60)
    assert await journal.save(doubtful, end=cases.ended(outcome="Unknown")) is not None
    recorded = await journal.record(lease, [sighting("55", status="working", waited=False)])
    assert recorded.woken
    assert await due(journal) == ["c-1"]


async def test_what_a_reconciliation_starts_from(journal: Store) -> None:
    """Open orders, the orders of commands, the account's symbols; ended orders are not asked for."""
    lease = await taken(journal)
    now_us = (await journal.feed_progress(lease)).complete_us
    placed = cases.close("c-1", order_id="7", received_us=now_us)
    await journal.admit(placed, cases.reply(), "d")
    await journal.record(lease, [sighting("1", status="working"), sighting("2", status="canceled", symbol="ETH_JPY")])
    known = await journal.known_orders(*PLACE, now_us)
    assert dict(known.open_orders) == {"1": "BTC_JPY", "7": "BTC_JPY"}
    assert known.symbols == ("BTC_JPY", "ETH_JPY")
    assert known.since_ms == now_us // 1000


async def test_news(journal: Store) -> None:
    """What is known already is no news; what would be an event is, and asking changes nothing."""
    lease = await taken(journal)
    await journal.record(lease, [sighting("1", filled_size="0.5")])
    stale = Change(order_id="1", status="working", filled_size="0.2")
    fresh = Change(order_id="1", filled_size="0.7")
    assert await journal.news(*PLACE, [stale, fresh]) == (fresh,)
    assert await journal.news(*PLACE, [stale, fresh]) == (fresh,)


async def test_busy(journal: Store) -> None:
    """An account is busy while a command is open, and a moment longer if the end of its order is not recorded."""
    lease = await taken(journal)
    assert not await journal.busy(*PLACE)
    record = cases.close("c-1")
    assert isinstance(record.command, Close)
    await journal.admit(record, cases.reply(), "d")
    assert await journal.busy(*PLACE)
    await journal.save(cases.final(record, order_id="55"), end=cases.ended(), result=cases.result(record))
    await journal.record(lease, [sighting("55", status="working")])
    assert await journal.busy(*PLACE)
    await journal.record(lease, [sighting("55", status="canceled")])
    assert not await journal.busy(*PLACE)


async def test_turns_to_speak(journal: Store) -> None:
    """Each turn comes a pace after the last, per venue."""
    first, second, third = [await journal.pace("gmo_coin", 1_300_000) for _ in range(3)]
    assert first == 0
    assert 1_000_000 < second <= 1_300_000
    assert 2_000_000 < third <= 2_600_000
    assert await journal.pace("coinbase", 1_300_000) == 0


async def test_retention(journal: Store, place: Place) -> None:
    """Ended orders and published events go in time; open orders and events that nobody heard stay."""
    lease = await taken(journal)
    await journal.record(lease, [sighting("1", status="working"), sighting("2", status="canceled")])
    await journal.record(lease, [sighting("3", status="canceled")], published_seq=2)
    await place.sql("update events set created_us = 1")
    await place.sql("update orders set updated_us = 1")
    await journal.retire(1)
    assert [stored.event.seq for stored in await journal.stored_events(*PLACE, 0, 10)] == [3]
    assert await journal.news(*PLACE, [Change(order_id="1", status="working")]) == ()
