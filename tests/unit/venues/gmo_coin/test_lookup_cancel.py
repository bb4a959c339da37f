"""GMO Coin: finding out where an order stands that a cancel names."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import (
    Absent,
    Accepted,
    Attempt,
    Done,
    LookOutcome,
    Refused,
    Response,
    Unknown,
    Working,
)
from schemas.commands import Cancel, CloseAll
from schemas.results import OrderState
from tests.unit.venues.gmo_coin.looking import (
    BROKEN,
    CLOSE,
    GMO,
    NOT_AFTER,
    SENT_MS,
    Reads,
    Row,
    answered,
    at,
    execution,
    is_seen,
    look,
    order,
    position,
)

CANCEL = Cancel(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER, order_id="637000")


@pytest.mark.parametrize(
    ("status", "executed", "wanted"),
    [
        ("WAITING", "0", lambda state: Working(order_id="637000", order=state("working"))),
        ("ORDERED", "0", lambda state: Working(order_id="637000", order=state("working"))),
        ("ORDERED", "1", lambda state: Working(order_id="637000", order=state("partially_filled"))),
        ("MODIFYING", "0", lambda state: Working(order_id="637000", order=state("working"))),
        ("CANCELLING", "0", lambda state: Accepted(order_id="637000", order=state("working"))),
        ("CANCELED", "1", lambda state: Done(order_id="637000", order=state("canceled"))),
        ("EXPIRED", "1", lambda state: Done(order_id="637000", order=state("expired"))),
        (
            "EXECUTED",
            "3.44",
            lambda state: Refused(
                code="too_late", message="the order was executed", order_id="637000", order=state("filled")
            ),
        ),
    ],
)
def test_the_order_decides_a_cancel(
    status: str, executed: str, wanted: Callable[[Callable[[Any], OrderState]], LookOutcome]
) -> None:
    """Still working: cancel again. Being cancelled: accepted. Not working: done. Executed: too late."""
    sight = look(CANCEL, {"orders": [order(status=status, executedSize=executed)]})
    assert sight == wanted(lambda name: OrderState(status=name, size="3.44", filled_size=executed))


def test_an_order_with_a_status_nobody_documented_is_undecided() -> None:
    """An unknown word is not a proof of anything."""
    assert isinstance(look(CANCEL, {"orders": [order(status="REPLACED")]}), Unknown)


def test_an_order_that_is_not_shown_is_absent() -> None:
    """How long the venue keeps orders is not documented: an empty answer alone proves nothing."""
    assert isinstance(look(CANCEL, {}), Absent)
    assert isinstance(look(CANCEL, {}, venue_code="ERR-5122"), Absent)


def test_an_order_that_the_venue_denies_and_does_not_show_is_not_found() -> None:
    """ERR-151 is how the venue denies an order; the read agrees."""
    wanted = Refused(code="order_not_found", venue_code="ERR-151", order_id="637000")
    assert look(CANCEL, {}, venue_code="ERR-151") == wanted
    assert isinstance(look(CANCEL, {"orders": [order()]}, venue_code="ERR-151"), Working)


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_cancels_read_that_fails_proves_nothing(broken: Response) -> None:
    """As for a close."""
    assert isinstance(look(CANCEL, {"orders": broken}), Unknown)


def test_another_order_than_asked_for_is_no_answer() -> None:
    """A row that was not asked for says that the ids were ignored: ours may be among what is not shown."""
    for reads in ({"orders": answered([order(1)])}, {"orders": answered([order(orderId=1)])}):
        sight = look(CANCEL, reads, venue_code="ERR-151")
        assert isinstance(sight, Unknown)
        assert not sight.whole


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "openPositions"])
def test_a_list_of_another_symbol_proves_nothing(endpoint: str) -> None:
    """A filter that was ignored leaves open what else was; what is seen all the same stays seen."""
    others: dict[str, Row] = {
        "activeOrders": order(5, symbol="ETH_JPY"),
        "latestExecutions": execution(5, symbol="ETH_JPY", positionId=7),
        "openPositions": position() | {"positionId": 7, "symbol": "ETH_JPY"},
    }
    sight = look(CLOSE, {"openPositions": [position()], endpoint: [others[endpoint]]})
    assert isinstance(sight, Unknown)
    assert not sight.whole
    both = look(CLOSE, {"activeOrders": [order(), others["activeOrders"]], "openPositions": [position()]})
    assert is_seen(both)


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "openPositions"])
def test_a_page_that_is_not_the_one_asked_for_proves_nothing(endpoint: str) -> None:
    """A page number that is ignored shows the first page for ever."""
    rows = {
        "activeOrders": [order(n, side="SELL") for n in range(1, 101)],
        "latestExecutions": [execution(n, executionId=n, positionId=7) for n in range(1, 101)],
        "openPositions": [position() | {"positionId": n} for n in range(1, 101)],
    }[endpoint]
    sight = look(CLOSE, {"openPositions": [position()], endpoint: answered(rows)})
    assert isinstance(sight, Unknown)
    assert not sight.whole


def test_pages_cut_shorter_than_asked_are_read_on() -> None:
    """The venue says how long its pages are: thirty rows of a page of thirty are no end."""
    noise = [execution(n, executionId=n, positionId=7) for n in range(1, 31)]
    first = {"pagination": {"currentPage": 1, "count": 30}, "list": noise}
    last = {"pagination": {"currentPage": 2, "count": 30}, "list": [execution()]}
    filled = order(status="EXECUTED", executedSize="3.44")
    flow = GMO.lookup(CLOSE, Attempt(client_order_id="x", sent_ms=SENT_MS, now_ms=SENT_MS + 70_000))
    pages = [Response(200, {}, json.dumps({"status": 0, "data": data}).encode()) for data in ({}, first, last)]
    next(flow)
    for answer in pages:
        request = flow.send(answer)
    assert request.endpoint == "orders"
    with pytest.raises(StopIteration) as stop:
        flow.send(answered([filled]))
    assert isinstance(stop.value.value, Accepted)


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "orders", "openPositions"])
@pytest.mark.parametrize(
    "refused",
    [
        Response(401, {}, b""),
        Response(403, {}, b"<html>"),
        Response(200, {}, b'{"status":1,"messages":[{"message_code":"ERR-5012","message_string":"Invalid API-KEY"}]}'),
    ],
    ids=["401", "403", "ERR-5012"],
)
def test_a_key_that_may_not_read_stops_the_look(endpoint: str, refused: Response) -> None:
    """Permission is per function: what is refused once is refused again, so the look says not to ask again."""
    reads: Reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position()], endpoint: refused}
    sight = look(CLOSE, reads)
    assert isinstance(sight, Unknown)
    assert (sight.denied, sight.whole) == (True, False)


def test_a_command_without_a_target_has_no_lookup() -> None:
    """What was never sent cannot be looked for."""
    everything = CloseAll(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER)
    assert isinstance(look(everything, {}), Unknown)


values: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, -1, 2**70, "", "0", "1e5", "3.44", "NaN", "ORDERED", "CLOSE", "٣", [], {}, True]
) | (st.sampled_from([at(0), at(-4_000), "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2019-03-19"]))


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_a_lookup_survives_rows_of_any_content(data: st.DataObject) -> None:
    """Whatever a row holds, a lookup ends with a sight, and a close never with `Working`."""
    edits = {key: data.draw(values) for key in data.draw(st.sets(st.sampled_from(list(order())), max_size=3))}
    fills = {key: data.draw(values) for key in data.draw(st.sets(st.sampled_from(list(execution())), max_size=2))}
    spots = {key: data.draw(values) for key in data.draw(st.sets(st.sampled_from(list(position())), max_size=1))}
    reads: Reads = {
        "activeOrders": data.draw(st.sampled_from([[], [order() | edits]])),
        "latestExecutions": data.draw(st.sampled_from([[], [execution() | fills]])),
        "orders": answered([order() | edits]),
        "openPositions": data.draw(st.sampled_from([[], [position() | spots]])),
    }
    code = data.draw(st.sampled_from([None, "ERR-254"]))
    assert not isinstance(look(CLOSE, reads, venue_code=code), Working)
    assert look(CANCEL, reads) is not None
