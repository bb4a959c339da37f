"""One order's history, whatever the order its reports come in."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.records.order import FINAL, Merged, OrderRecord, merge
from router.venue_protocol.stream import Change, Fill
from schemas.ids import event_id

RANK = {"unknown": -1, "working": 0, "partially_filled": 1, "filled": 2, "canceled": 2, "expired": 2, "rejected": 2}
SIZES = [str(tenths / 10) for tenths in range(11)]

changes = st.builds(
    Change,
    order_id=st.just("1"),
    status=st.sampled_from([None, *RANK]),
    size=st.sampled_from([None, "1", "1.0", "x", "-1", "1e999999"]),
    filled_size=st.sampled_from([None, "", "nan", *SIZES]),
    last_fill=st.none()
    | st.builds(Fill, execution_id=st.sampled_from([None, "a", "b", "c"]), size=st.sampled_from([None, *SIZES])),
)


def change(**fields: Any) -> Change:
    """A report about order 1."""
    return Change(order_id="1", **fields)


def told(*reports: Change) -> tuple[OrderRecord, list[Merged]]:
    """Merge reports one after another; return the last record and what was news."""
    record: OrderRecord | None = None
    news = []
    for report in reports:
        merged = merge(record, report)
        record = merged.record
        if merged.news:
            news.append(merged)
    assert record is not None
    return record, news


@given(st.lists(changes, min_size=1, max_size=12))
def test_never_backwards(reports: list[Change]) -> None:
    """Whatever is reported, a status never goes back, a filled size never down, and no event comes twice."""
    _, news = told(*reports)
    ids = [event_id("v", "a", "1", item.record.status, item.record.filled_size) for item in news]
    assert len(set(ids)) == len(ids)
    for earlier, later in pairwise(news):
        assert RANK[earlier.record.status] <= RANK[later.record.status]
        assert Decimal(earlier.record.filled_size) <= Decimal(later.record.filled_size)
        if earlier.record.final:
            assert later.record.status == earlier.record.status


@given(st.permutations([("a", "0.5"), ("b", "0.25"), ("c", "0.25")]), st.lists(st.integers(0, 2), max_size=6))
def test_single_fills(order: list[tuple[str, str]], repeated: list[int]) -> None:
    """Single fills add up to the whole in any order, and a repeat of one counts for nothing."""
    fills = [*order, *(order[index] for index in repeated)]
    reports = [change(size="1", last_fill=Fill(execution_id=name, size=size)) for name, size in fills]
    record, news = told(change(status="working", size="1"), *reports)
    assert (record.status, Decimal(record.filled_size), len(news)) == ("filled", Decimal(1), 4)


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=4))
def test_any_order_ends_alike(order: list[int], repeated: list[int]) -> None:
    """Cumulative reports in any order, repeated or not, end in the same state."""
    reports = [
        change(status="working", size="1", filled_size="0"),
        change(size="1", filled_size="0.4"),
        change(size="1", filled_size="0.7"),
        change(status="canceled", size="1", filled_size="0.7"),
    ]
    record, _ = told(*(reports[index] for index in [*order, *repeated]))
    assert (record.status, record.filled_size) == ("canceled", "0.7")


def test_a_full_fill_is_seen_by_its_size() -> None:
    """A venue that never says `filled` is understood by its sizes (GMO Coin's executionEvents)."""
    record, news = told(change(status="working", size="3.44"), change(filled_size="3.44"))
    assert (record.status, record.filled_size, len(news)) == ("filled", "3.44", 2)


def test_filled_without_a_size_is_all_of_it() -> None:
    """An order that is said to be filled, with no word of its sizes, is filled to its own size."""
    record, _ = told(change(status="working", size="2.50"), change(status="filled"))
    assert (record.status, record.filled_size) == ("filled", "2.50")


def test_a_late_fill_of_a_canceled_order_counts() -> None:
    """A cancel that overtook a fill stays a cancel, with the larger size."""
    record, news = told(
        change(status="canceled", size="1", filled_size="0.1"),
        change(size="1", filled_size="0.4"),
        change(status="canceled", size="1", filled_size="0.1"),
    )
    assert (record.status, record.filled_size, len(news)) == ("canceled", "0.4", 2)


def test_a_fill_beside_an_unexplained_size_is_doubtful() -> None:
    """A single fill after a cumulative size may be part of it: it is not added, and a read is asked for."""
    first = merge(None, change(status="working", size="1", filled_size="0.3"))
    second = merge(first.record, change(last_fill=Fill(execution_id="x", size="0.2")))
    assert (second.record.filled_size, second.news, second.doubtful) == ("0.3", False, True)


def test_an_end_without_a_size_is_doubtful() -> None:
    """A cancel that does not say what was filled before is reported, and looked at."""
    merged = merge(None, change(status="canceled", size="1"))
    assert merged.news
    assert merged.doubtful


def test_what_is_not_said_stays() -> None:
    """A later report that says less takes nothing away."""
    record, _ = told(
        change(status="working", symbol="BTC_JPY", side="buy", order_type="limit", price="100", size="1"),
        change(status="canceled", filled_size="0", cancel_reason="USER"),
    )
    assert (record.symbol, record.side, record.price, record.cancel_reason) == ("BTC_JPY", "buy", "100", "USER")


@pytest.mark.parametrize(("size", "same"), [("0.50", "0.5"), ("1E+2", "100"), ("0", "0.000"), ("5", "5.0")])
def test_event_id_is_of_the_value(size: str, same: str) -> None:
    """The same size written differently gives the same event id."""
    assert event_id("v", "a", "1", "working", size) == event_id("v", "a", "1", "working", same)


def test_the_fill_of_a_cumulative_report_is_the_difference() -> None:
    """A venue that tells only cumulative sizes leaves the difference as the fill; one with ids tells its own."""
    first = merge(None, change(status="working", size="3", filled_size="1"))
    second = merge(first.record, change(filled_size="2.5", last_fill=Fill(price="100", size="9")))
    assert second.fill is not None
    assert (second.fill.size, second.fill.price) == ("1.5", "100")
    third = merge(second.record, change(filled_size="3", last_fill=Fill(execution_id="x", size="0.50", price="101")))
    assert third.fill is not None
    assert (third.fill.execution_id, third.fill.size) == ("x", "0.50")


def test_terminal_states_are_the_four() -> None:
    """What a terminal state is, is what the contract says."""
    assert {"filled", "canceled", "expired", "rejected"} == FINAL
