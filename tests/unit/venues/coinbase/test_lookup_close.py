"""Coinbase: finding out what an unanswered close did."""

from typing import Any

import pytest

from router.venue_protocol import (
    Absent,
    Accepted,
    Attempt,
    Done,
    Refused,
    Unknown,
)
from schemas.results import OrderState
from tests.unit.venues.coinbase.canned import (
    COINBASE,
    OTHERS,
    OURS,
    SENT_MS,
    SYMBOL,
    close,
    fills,
    is_seen,
    look,
    order,
    orders,
    positions,
    reply,
    run,
)


@pytest.mark.parametrize(
    ("status", "filled", "expected"),
    [
        ("FILLED", "3", "filled"),
        ("OPEN", "0", "working"),
        ("OPEN", "1", "partially_filled"),
        ("PENDING", "0", "working"),
        ("QUEUED", "0", "working"),
        ("CANCELLED", "1", "canceled"),
        ("EXPIRED", "0", "expired"),
        ("FAILED", "1", "rejected"),
        ("UNKNOWN_ORDER_STATUS", "0", "unknown"),
        ("SOMETHING_ELSE", "0", "unknown"),
    ],
)
def test_an_order_with_our_client_id_is_our_close(status: str, filled: str, expected: Any) -> None:
    """The order exists, so the close was taken, whatever became of it."""
    sight = look(close(), orders(order("B-2", OTHERS), order(status=status, filled_size=filled)), orders())
    state = OrderState(
        status=expected, size="3", filled_size=filled, average_price="30123.5" if status == "FILLED" else None
    )
    assert sight == Accepted(order_id="A-1", order=state)


def test_our_order_that_failed_unfilled_is_a_refusal() -> None:
    """The venue made the order and failed it: nothing was executed; an unreadable fill is a doubt."""
    sight = look(close(), orders(order(status="FAILED")), orders())
    assert isinstance(sight, Refused)
    assert (sight.code, sight.order_id, sight.order and sight.order.status) == ("venue_rejected", "A-1", "rejected")
    assert isinstance(look(close(), orders(order(status="FAILED", filled_size=None)), orders()), Refused)
    assert isinstance(look(close(), orders(order(status="FAILED", filled_size={"value": "1"})), orders()), Unknown)


def test_both_placement_sources_are_read_and_every_page() -> None:
    """The default hides orders of other sources, and a list is read to its end."""
    flow = COINBASE.lookup(close(), Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS, window_ms=10_000))
    sight, asked = run(flow, orders(order("B-2", OTHERS), has_next=True, cursor="c1"), orders(), orders(order()))
    assert isinstance(sight, Accepted)
    base = (("product_ids", SYMBOL), ("start_date", "2023-11-14T22:11:05.999Z"))  # 135 s before the send
    assert [request.query for request in asked] == [
        base,
        (*base, ("cursor", "c1")),
        (*base, ("order_placement_source", "RETAIL_SIMPLE")),
    ]
    assert {(request.method, request.scopes) for request in asked} == {("GET", ("private",))}


def test_two_orders_with_our_client_id_are_a_doubt() -> None:
    """One id on two orders is an alarm, not an answer."""
    assert is_seen(look(close(), orders(order("A-1")), orders(order("B-2"))))
    assert isinstance(look(close(), orders(order("A-1")), orders(order("A-1"))), Accepted)


def test_nothing_ordered_and_nothing_filled_is_absent() -> None:
    """Only complete reads, and a position that is still there, may count towards "it was not executed"."""
    assert isinstance(look(close(), orders(), orders(), fills(), positions("3")), Absent)
    assert isinstance(look(close(), orders(order("B-2", OTHERS)), orders(), fills(), positions("3")), Absent)


def test_a_position_that_is_gone_without_explanation_is_never_absent() -> None:
    """A row that vanished proves nothing: our order and its fill may just not be shown."""
    assert is_seen(look(close(), orders(), orders(), fills(), positions()))
    assert is_seen(look(close(), orders(), orders(), fills(), positions("0")))


def test_fills_are_read_from_as_far_back_as_the_clocks_may_differ() -> None:
    """A venue whose clock is behind dates our fill before our send."""
    attempt = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS, window_ms=10_000)
    _, asked = run(COINBASE.lookup(close(), attempt), orders(), orders(), fills(), positions("3"))
    assert asked[2].query == (("product_ids", SYMBOL), ("start_sequence_timestamp", "2023-11-14T22:13:05.999Z"))


def test_fills_of_listed_orders_of_others_need_no_read() -> None:
    """A busy account does not make a look fail: the lists have told whose those orders are."""
    busy = [order(f"B-{n}", OTHERS) for n in range(21)]
    filled = fills(*(f"B-{n}" for n in range(21)))
    assert isinstance(look(close(), orders(*busy), orders(), filled, positions("3")), Absent)
    assert look(close(), orders(*busy), orders(), filled, positions()) == Done()


def test_a_duplicate_id_means_that_our_order_exists() -> None:
    """The venue said so: it is looked for days back, and not finding it never counts as absent."""
    code = "DUPLICATE_CLIENT_ORDER_ID"
    attempt = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS, venue_code=code)
    sight, asked = run(COINBASE.lookup(close(), attempt), orders(order()), orders())
    assert isinstance(sight, Accepted)
    assert dict(asked[0].query)["start_date"] == "2023-11-07T22:13:15.999Z"
    unseen = (orders(), orders(), fills(), positions("3"))
    assert is_seen(look(close(), *unseen, venue_code=code))


def test_an_order_without_a_client_id_may_be_ours() -> None:
    """Whether a close always carries the client id is not known, so such an order forbids "absent"."""
    nameless = orders(order("B-2", ""))
    assert is_seen(look(close(), nameless, orders(), fills(), positions("3")))
    assert isinstance(look(close(), nameless, orders(), fills(), positions("3"), taken=frozenset({"B-2"})), Absent)
    somebodys = (fills("C-3"), reply({"order": order("C-3", OTHERS)}), positions())
    assert look(close(), nameless, orders(), *somebodys) == Done()
    nameless_fill = (fills("B-2"), reply({"order": order("B-2", "")}), positions("3"))
    assert is_seen(look(close(), orders(), orders(), *nameless_fill))


def test_our_order_is_found_through_its_fill() -> None:
    """A fill leads to its order where the lists do not show it."""
    sight = look(
        close(),
        orders(),
        orders(),
        fills("B-2", "A-1"),
        reply({"order": order("B-2", OTHERS)}),
        reply({"order": order()}),
    )
    assert isinstance(sight, Accepted)
    assert sight.order_id == "A-1"


def test_a_position_made_flat_by_somebody_else_is_done() -> None:
    """The goal holds, without an order of ours."""
    stranger = (fills("B-2"), reply({"order": order("B-2", OTHERS)}))
    assert look(close(), orders(), orders(), *stranger, positions()) == Done()
    assert look(close(), orders(), orders(), *stranger, positions("0")) == Done()
    assert isinstance(look(close(), orders(), orders(), *stranger, positions("3")), Absent)
    assert isinstance(look(close(), orders(), orders(), *stranger, positions({"value": 3})), Unknown)


def test_a_fill_from_before_the_send_does_not_prove_flat() -> None:
    """It may have opened the position that a stale list does not show yet."""
    before = fills("B-2", time="2023-11-14T22:13:20.998Z")
    assert is_seen(look(close(), orders(), orders(), before, reply({"order": order("B-2", OTHERS)}), positions()))
    for time in ("", "yesterday", "2023-11-14T22:13:21"):
        unread = fills("B-2", time=time)
        assert is_seen(look(close(), orders(), orders(), unread, reply({"order": order("B-2", OTHERS)}), positions()))


def test_a_fill_of_another_command_attributes_nothing() -> None:
    """An order that belongs to another command cannot have closed this one's position for it."""
    taken = frozenset({"B-2"})
    assert is_seen(look(close(), orders(), orders(), fills("B-2"), positions(), taken=taken))
    assert isinstance(look(close(), orders(), orders(), fills("B-2"), positions("3"), taken=taken), Absent)


def test_a_known_order_id_is_read_first() -> None:
    """An answer or a feed named it: it is ours if it carries our client id, and if not, nothing is absent."""
    assert isinstance(look(close(), reply({"order": order()}), order_id="A-1"), Accepted)
    rest = (orders(), orders(), fills(), positions("3"))
    for known in (
        reply({"order": order("A-1", OTHERS)}),
        reply({"order": order("A-1", "")}),
        reply({"error": "NOT_FOUND"}, 404),
    ):
        assert is_seen(look(close(), known, *rest, order_id="A-1"))
        assert isinstance(look(close(), known, orders(order()), orders(), order_id="A-1"), Accepted)
    assert is_seen(look(close(), reply({}, 500), order_id="A-1"))
