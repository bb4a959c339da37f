"""Coinbase: a look that cannot read everything concludes nothing."""

from typing import Any

import pytest

from router.venue_protocol import (
    Absent,
    Done,
    Response,
    Unknown,
)
from tests.unit.venues.coinbase.canned import (
    HIDING,
    OTHERS,
    SYMBOL,
    cancel,
    close,
    fills,
    is_seen,
    look,
    order,
    orders,
    positions,
    reply,
)


def test_what_was_seen_stays_seen_when_the_next_read_fails() -> None:
    """Our order, or one that may be ours, is not forgotten because the second list cannot be read."""
    for first in (orders(order()), orders(order("B-2", ""))):
        assert is_seen(look(close(), first, reply({}, 503)))
    assert is_seen(look(close(), orders(order("B-2", "")), orders(), reply({}, 503)))
    nameless_fill = (fills("B-2"), reply({"order": order("B-2", "")}))
    for broken in (reply({}, 503), positions({"value": 3})):
        assert is_seen(look(close(), orders(), orders(), *nameless_fill, broken))
    two = (fills("B-2", "C-3"), reply({"order": order("B-2", "")}), reply({}, 503))
    assert is_seen(look(close(), orders(), orders(), *two))
    sight = look(close(), orders(), reply({}, 503))
    assert isinstance(sight, Unknown)
    assert not sight.seen


BROKEN = [
    reply({}, 500),
    reply({"orders": []}, 401),
    reply({}),
    reply({"orders": None}),
    reply({"orders": [{}]}),
    reply({"orders": [order("")]}),
    reply({"orders": [], "has_next": True, "cursor": ""}),
    Response(200, {}, b"<html>"),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_list_that_cannot_be_read_whole_is_a_doubt(broken: Response) -> None:
    """What a broken read does not show is not absent."""
    assert isinstance(look(close(), broken), Unknown)
    assert isinstance(look(close(), orders(), broken), Unknown)


HIDES = {"proof_token_required": True}


def test_a_list_that_says_it_hides_rows_proves_nothing() -> None:
    """Any list: executed, answer lost, and no order shown: that must never become `rejected`."""
    hidden_orders, hidden_fills = reply(HIDING["orders"]), reply(HIDING["fills"])
    for answers in (
        [hidden_orders],
        [orders(), hidden_orders],
        [orders(), orders(), hidden_fills],
        [orders(), orders(), fills(), reply({"positions": [], **HIDES})],
        [orders(has_next=True, cursor="c1"), hidden_orders],
    ):
        sight = look(close(), *answers)
        assert isinstance(sight, Unknown)
        assert not sight.whole


@pytest.mark.parametrize("flag", [True, "true", 1, {}, ["x"]])
def test_the_flag_counts_in_any_form(flag: Any) -> None:
    """Only false and nothing at all say that nothing is hidden."""
    sight = look(close(), reply({"orders": [], "has_next": False, "proof_token_required": flag}))
    assert isinstance(sight, Unknown)
    assert not sight.whole
    shown = reply({"orders": [], "has_next": False, "proof_token_required": False})
    assert isinstance(look(close(), shown, shown, fills(), positions("3")), Absent)


def test_what_a_list_that_hides_rows_shows_all_the_same_is_seen() -> None:
    """Our order among its rows is a sign of it, and no reason to look away."""
    assert is_seen(look(close(), reply({"orders": [order()], "has_next": False, **HIDES})))


@pytest.mark.parametrize(
    "torn",
    [
        {"orders": [], "has_next": True, "cursor": ""},
        {"orders": [], "has_next": True},
        {"orders": [], "has_next": False, "error": "INTERNAL"},
        {"orders": [], "has_next": False, "errors": [{"id": "internal", "message": "try again"}]},
        {"orders": [order("B-2", OTHERS, product_id="BTC-USD")], "has_next": False},
    ],
)
def test_a_list_that_is_not_whole_proves_nothing(torn: dict[str, Any]) -> None:
    """More without a cursor, an error inside a 200, a filter that was ignored: ours may be what is not shown."""
    for answers in ([reply(torn)], [orders(), reply(torn)], [orders(has_next=True, cursor="c1"), reply(torn)]):
        sight = look(close(), *answers)
        assert isinstance(sight, Unknown)
        assert not sight.whole


def test_a_page_that_fails_in_the_middle_proves_nothing() -> None:
    """What came before it is seen; what would have come after it is not absent."""
    for failed in (reply({}, 503), Response(200, {}, b"<html>"), reply({"orders": None})):
        sight = look(close(), orders(order("B-2", ""), has_next=True, cursor="c1"), failed)
        assert isinstance(sight, Unknown)
        assert (sight.seen, sight.whole) == (True, False)
        more_fills = [orders(), orders(), fills("B-2", cursor="c1"), failed]
        torn = look(close(), *more_fills)
        assert isinstance(torn, Unknown)
        assert not torn.whole


@pytest.mark.parametrize("kind", ["REVERSAL", "CORRECTION", "SYNTHETIC"])
def test_a_row_of_fills_that_is_no_execution_closed_nothing(kind: str) -> None:
    """Only `trade_type` FILL shows that somebody else made the position flat."""
    row = {"order_id": "B-2", "product_id": SYMBOL, "trade_time": "2023-11-14T22:13:21.999Z", "trade_type": kind}
    stranger = reply({"order": order("B-2", OTHERS)})
    assert is_seen(look(close(), orders(), orders(), reply({"fills": [row]}), stranger, positions()))
    filled = reply({"fills": [row | {"trade_type": "FILL"}]})
    assert look(close(), orders(), orders(), filled, stranger, positions()) == Done()


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_read_stops_the_look(status: int) -> None:
    """To ask again with it tells nothing."""
    refused = Response(status, {}, b"")
    unread = ([refused], [orders(), refused], [orders(), orders(), refused], [orders(), orders(), fills(), refused])
    for answers in unread:
        sight = look(close(), *answers)
        assert isinstance(sight, Unknown)
        assert (sight.denied, sight.whole) == (True, False)
    sight = look(cancel(), refused)
    assert isinstance(sight, Unknown)
    assert sight.denied


def test_a_broken_fill_order_or_position_is_a_doubt() -> None:
    """Every read of the way must hold."""
    assert isinstance(look(close(), orders(), orders(), reply({}, 503)), Unknown)
    assert is_seen(look(close(), orders(), orders(), fills("B-2"), reply({"error": "NOT_FOUND"}, 404)))
    assert isinstance(look(close(), orders(), orders(), fills("..")), Unknown)
    stranger = (fills("B-2"), reply({"order": order("B-2", OTHERS)}))
    assert isinstance(look(close(), orders(), orders(), *stranger, reply({})), Unknown)
    assert isinstance(look(close(), orders(), orders(), *stranger, reply({"positions": []}, 500)), Unknown)
    assert isinstance(look(close(), orders(), orders(), fills(*(f"B-{n}" for n in range(21)))), Unknown)


def test_endless_paging_is_a_doubt() -> None:
    """A list that never ends, or goes round, is not read whole."""
    assert isinstance(look(close(), *(orders(has_next=True, cursor=f"c{n}") for n in range(20))), Unknown)
    assert isinstance(look(close(), *(orders(has_next=True, cursor="c") for _ in range(2))), Unknown)
    pages = (fills("B-2", cursor="c1"), fills(cursor="c2"))
    stranger = reply({"order": order("B-2", OTHERS)})
    assert look(close(), orders(), orders(), *pages, stranger, positions()) == Done()
