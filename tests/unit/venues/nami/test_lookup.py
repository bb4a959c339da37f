"""Nami: finding out what became of a command, by reads alone."""

from collections.abc import Callable
from typing import Any

import pytest

from router.venue_protocol import (
    Absent,
    Attempt,
    Done,
    Refused,
    Request,
    Response,
    Unknown,
    Working,
)
from schemas.commands import Close
from tests.unit.venues.nami.canned import (
    ID,
    NAMI,
    NOT_AFTER,
    cancel,
    failure,
    lookup,
    open_rows,
    order,
    reply,
    rows,
    run,
)


@pytest.mark.parametrize("shape", [rows, open_rows])
@pytest.mark.parametrize("status", ["NEW", "PARTIALLY_FILLED"])
def test_an_open_order_still_works(shape: Any, status: str) -> None:
    """The page and its source give the list two shapes; both are read, without a filter."""
    sight, asked = lookup(shape(order("NEW", 7), order(status, quantity=1, executedQty=0.5)))
    assert isinstance(sight, Working)
    assert (sight.order_id, sight.order.size, sight.order.filled_size) == (ID, "1", "0.5")
    assert [(request.path, request.query) for request in asked] == [("/api/v4/spot/open", ())]


@pytest.mark.parametrize(
    ("status", "kind", "state"),
    [
        ("CANCELED", Done, "canceled"),
        ("FAILED", Done, "rejected"),
        ("FILLED", Refused, "filled"),
        ("NEW", Working, "working"),
    ],
)
def test_the_history_answers_for_a_closed_order(status: str, kind: type, state: str) -> None:
    """Canceled and failed are done, filled is too late."""
    sight, asked = lookup(open_rows(), rows(order("CANCELED", 7), order(status, executedQty=0.1)))
    assert type(sight) is kind
    assert isinstance(sight, Done | Refused | Working)
    assert sight.order is not None
    assert (sight.order_id, sight.order.status, sight.order.filled_size) == (ID, state, "0.1")
    if isinstance(sight, Refused):
        assert sight.code == "too_late"
    query = (("symbol", "BTCUSDT"), ("hideCanceled", "false"), ("pageSize", "100"), ("page", "1"))
    assert (asked[1].path, asked[1].query) == ("/api/v4/spot/history", query)


def test_an_order_that_moved_between_the_reads_is_seen() -> None:
    """Open is read again after the history, as a request of its own so that no shared answer stands in for it."""
    sight, asked = lookup(open_rows(), rows(), rows(), open_rows(order("NEW")))
    assert isinstance(sight, Working)
    assert asked[0] != asked[3]
    assert (asked[0].path, asked[0].query) == (asked[3].path, asked[3].query)


def test_an_order_seen_nowhere_is_absent() -> None:
    """All the reads must succeed for that."""
    assert isinstance(lookup(open_rows(), rows(), rows(), open_rows())[0], Absent)


def test_a_history_that_begins_with_page_0_is_read_too() -> None:
    """It would hold the newest orders; a venue that has no such page may say so, in any of its ways."""
    newest = rows(order("CANCELED"))
    sight, asked = lookup(open_rows(), rows(order("FILLED", 7)), rows(), newest)
    assert isinstance(sight, Done)
    assert [dict(request.query)["page"] for request in asked[1:]] == ["1", "2", "0"]
    for refusal in (failure("INVALID_INPUT"), failure("INVALID_INPUT", status=200), reply({"statusCode": 404}, 404)):
        assert isinstance(lookup(open_rows(), rows(), refusal, open_rows())[0], Absent)
    for broken in (reply({}, 500), reply({}, 401), failure("BROKER_ERROR"), Response(404, {}, b"<html>")):
        assert isinstance(lookup(open_rows(), rows(), broken)[0], Unknown)


def test_the_history_is_read_to_its_end() -> None:
    """The end is a page that brings nothing new: the venue may cut pages shorter than asked, or ignore the number."""
    first, second = rows(order("FILLED", 1), order("FILLED", 2)), rows(order("FILLED", 3))
    sight, asked = lookup(open_rows(), first, second, rows(order()))
    assert isinstance(sight, Done)
    assert [dict(request.query)["page"] for request in asked[1:]] == ["1", "2", "3"]
    assert isinstance(lookup(open_rows(), first, first, rows(), open_rows())[0], Absent)


def test_a_history_without_an_end_proves_nothing() -> None:
    """Not even with the venue's own "no such order": the order may be further back, and filled."""
    endless = [rows(order("FILLED", n)) for n in range(10)]
    for word in ("NOT_FOUND_ORDER", "NO_SUCH_ORDER", "BROKER_ERROR"):
        sight = lookup(open_rows(), *endless, venue_code=word)[0]
        assert isinstance(sight, Unknown)
        assert not sight.whole
    assert isinstance(lookup(open_rows(), *endless[:9], rows(order("CANCELED")))[0], Done)


BROKEN = [
    reply({}, 500),
    reply({}, 401),
    reply({"status": "ok", "data": []}, 400),
    failure("BROKER_ERROR"),
    failure("BROKER_ERROR", status=200),
    reply({"status": "ok", "data": None}),
    reply({"status": "ok", "data": {"orders": None}}),
    reply({"status": "ok", "data": [1]}),
    reply({"status": "UNKNOWN", "data": []}),
    reply([]),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_list_that_cannot_be_read_is_a_doubt(broken: Response) -> None:
    """What a broken read does not show is not absent."""
    assert isinstance(lookup(broken)[0], Unknown)
    assert isinstance(lookup(open_rows(), broken)[0], Unknown)
    assert isinstance(lookup(open_rows(), rows(), rows(), broken)[0], Unknown)


def test_an_undocumented_order_status_is_a_doubt() -> None:
    """Neither live nor gone can be read from a word nobody documented."""
    for word in ("EXPIRED", None, 3, ["NEW"]):
        assert isinstance(lookup(open_rows(order() | {"status": word}))[0], Unknown)


def test_a_wrapped_list_is_read_too() -> None:
    """The gateway's second envelope may surround lists as well."""
    wrapped = reply({"message": "OK", "data": {"status": "ok", "data": {"orders": [order("NEW")]}}})
    assert isinstance(lookup(wrapped)[0], Working)


def test_huge_and_odd_numbers_are_no_sizes() -> None:
    """A number that is no plain size becomes unknown, never an error or a gigabyte of zeros."""
    for text in ("1e999999999", "1" * 4000, "-1", '"x"', "{}", "true", "null"):
        body = f'{{"status":"ok","data":[{{"displayingId":435372,"status":"NEW","quantity":{text}}}]}}'
        sight = lookup(Response(200, {}, body.encode()))[0]
        assert isinstance(sight, Working)
        assert sight.order.size is None


def test_a_lookup_without_a_target_asks_nothing() -> None:
    """There is nothing to read for a command that names no order, or whose history cannot be asked for."""
    assert isinstance(lookup(order_id=None)[0], Unknown)
    assert isinstance(lookup(symbol=None)[0], Unknown)
    close = Close(command_id="c", venue="nami", account="main", not_after=NOT_AFTER, symbol="BTCUSDT")
    assert NAMI.position(close) == "BTCUSDT"
    assert isinstance(run(NAMI.lookup(close, Attempt(client_order_id="unused", sent_ms=1, now_ms=1)))[0], Unknown)


def test_a_history_that_ignores_its_page_is_not_whole() -> None:
    """The first hundred come again under every number: the order may be among those that never come."""
    rows_of_page = [order("FILLED", 900_000 - number) for number in range(100)]
    sight = drive(lambda request: open_rows() if request.endpoint.startswith("open") else rows(*rows_of_page))
    assert isinstance(sight, Unknown)
    assert not sight.whole


def test_a_row_without_an_id_hides_an_order() -> None:
    """It may be the one that is sought."""
    nameless = {"_id": "5f", "symbol": "BTCUSDT", "status": "NEW"}
    sight = drive(lambda request: open_rows(nameless) if request.endpoint.startswith("open") else rows())
    assert isinstance(sight, Unknown)
    assert not sight.whole


def drive(world: Callable[[Request], Response]) -> object:
    """Run a lookup against a world that answers each request."""
    flow = NAMI.lookup(cancel(), Attempt(client_order_id="x", sent_ms=1, now_ms=200_000))
    try:
        request = next(flow)
        while True:
            request = flow.send(world(request))
    except StopIteration as stop:
        return stop.value
