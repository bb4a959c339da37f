"""Nami: what a feed may have missed."""

import json
from itertools import cycle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response
from router.venue_protocol.stream import Known, Missed
from tests.unit.venues.nami.feeding import AFTER, BEFORE, NAMI, SINCE_MS, order, poll, reply, rows, trade


def endpoints(asked: list[Request]) -> list[str]:
    return [request.endpoint for request in asked]


def test_an_order_that_vanished_is_sought_further_back() -> None:
    """`timeFrom` may mean when an order was made: one of last week that ended now is not in the recent history."""
    elders = [order(number, status="FILLED", executed=2) for number in range(1, 101)]
    missed, asked = poll(
        rows(), rows(), rows(*elders), rows(order(status="CANCELED", executed=1)), open_orders=[("435372", "BTCUSDT")]
    )
    assert [(change.order_id, change.status) for change in missed.changes] == [("435372", "canceled")]
    assert [dict(request.query) for request in asked[2:]] == [
        {"symbol": "BTCUSDT", "hideCanceled": "false", "pageSize": "100", "page": page} for page in ("1", "2")
    ]


def test_orders_of_several_symbols_are_sought_at_once() -> None:
    """One read for all of them is cheaper than one for each."""
    found = rows(order(1, "FILLED", 2), order(2, "CANCELED", symbol="ETHUSDT"))
    missed, asked = poll(rows(), rows(), found, open_orders=[("1", "BTCUSDT"), ("2", "ETHUSDT")])
    assert {change.order_id for change in missed.changes} == {"1", "2"}
    assert "symbol" not in dict(asked[2].query)


def test_an_order_in_the_recent_history_is_not_sought() -> None:
    """It did not vanish."""
    assert len(poll(rows(), rows(order(status="CANCELED")), open_orders=[("435372", "BTCUSDT")])[1]) == 2


def test_an_order_in_neither_is_sought_again_by_the_next_poll() -> None:
    """The history may lag; the order stays open until it shows, and the poll is complete. Page 0 is asked for too."""
    missed, asked = poll(rows(), rows(), rows(), rows(), open_orders=[("435372", "BTCUSDT")])
    assert missed == Missed()
    assert [dict(request.query)["page"] for request in asked[2:]] == ["1", "0"]


def test_the_history_is_read_until_a_page_brings_nothing_new() -> None:
    """A page may be cut shorter than asked for, so fewer than a hundred rows are not yet its end."""
    first = [order(number, "CANCELED") for number in range(20)]
    second = [order(number, "CANCELED") for number in range(20, 40)]
    missed, asked = poll(rows(), rows(*first), rows(*second), rows(*second))
    assert [dict(request.query)["page"] for request in asked[1:]] == ["1", "2", "3"]
    assert len(missed.changes) == 40


def test_fewer_than_ten_rows_end_the_history() -> None:
    """No page is cut shorter than the documents' example."""
    assert len(poll(rows(), rows(*[order(number, "CANCELED") for number in range(1, 10)]))[1]) == 2


def test_a_history_without_an_end_is_incomplete() -> None:
    """Ten pages are a thousand orders in a minute."""
    pages = [rows(*[order(page * 10 + number, "CANCELED") for number in range(10)]) for page in range(10)]
    missed, _ = poll(rows(), *pages)
    assert not missed.complete
    assert len(missed.changes) == 100


@pytest.mark.parametrize("updated", [AFTER, None, "yesterday"])
def test_executions_are_read_when_an_order_was_filled_since(updated: str | None) -> None:
    """The newest execution of an order goes along with it."""
    shown = rows(order(status="PARTIALLY_FILLED", executed=1.5, updatedAt=updated))
    found = rows(trade(number="8415", createdAt=BEFORE), trade(number="8416", createdAt=AFTER), trade(7), {"_id": "x"})
    [change] = poll(shown, rows(), found)[0].changes
    assert change.last_fill is not None
    assert change.last_fill.execution_id == "8416"
    assert change.filled_size == "1.5"


@pytest.mark.parametrize(
    "shown", [order(status="PARTIALLY_FILLED", executed=1), order(status="CANCELED", updatedAt=AFTER)]
)
def test_executions_are_not_read_when_nothing_was_filled_since(shown: dict[str, Any]) -> None:
    """A partial fill of long ago, and an order canceled unfilled, cost no third call."""
    assert endpoints(poll(rows(shown), rows())[1]) == ["open_orders", "order_history"]


@pytest.mark.parametrize("answer", [reply({}, 404), reply({"status": "BROKER_ERROR", "data": None}), rows(7)])
def test_without_executions_the_order_still_says_how_much(answer: Response) -> None:
    """They are detail: the pages do not agree on where they are read."""
    missed, _ = poll(rows(order(executed=1, updatedAt=AFTER)), rows(), answer)
    assert missed.complete
    assert [(change.filled_size, change.last_fill) for change in missed.changes] == [("1", None)]


@pytest.mark.parametrize(
    "answer",
    [
        reply({}, 500),
        reply({"status": "BROKER_ERROR", "data": {"requestId": "x"}}, 400),
        reply({"statusCode": 429}, 429),
        reply({}, 418),
        reply({"status": "ok", "data": {"requestId": "x"}}),
        rows(7),
        Response(200, {}, b"<html>"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_after_a_read_that_failed_none_follows(answer: Response, place: int) -> None:
    """An address that goes on while it is refused is banned for an hour."""
    answers = [*[rows(order())][:place], answer]
    missed, asked = poll(*answers, open_orders=[("1", None)])
    assert not missed.complete
    assert len(asked) == place + 1
    assert len(missed.changes) == place


def test_an_order_that_does_not_say_which_leaves_the_poll_incomplete() -> None:
    """The others are told all the same."""
    missed, _ = poll(rows({"status": "NEW"}, order()), rows())
    assert not missed.complete
    assert [change.order_id for change in missed.changes] == ["435372"]


KEYS = [
    *(key for key in order() if key != "displayingId"),
    "side",
    "type",
    "price",
    "orderId",
    "createdAt",
    "feeMetadata",
    "feeValue",
    "data",
    "orders",
]

leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6)

documents = st.recursive(
    leaves | st.sampled_from(["ok", "NEW", "FILLED", "1", AFTER, "1e5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=15,
)

order_rows = st.fixed_dictionaries({"displayingId": st.integers(1, 99)}, optional=dict.fromkeys(KEYS, documents))

envelopes = st.fixed_dictionaries({"status": st.just("ok"), "data": st.lists(order_rows, max_size=12) | documents})

bodies = st.binary(max_size=30) | (envelopes | documents).map(lambda value: json.dumps(value).encode())

responses = st.builds(Response, st.sampled_from([200, 200, 200, 400, 429, 502]), st.just({}), bodies)


@given(st.lists(responses, min_size=1, max_size=4), st.sampled_from([0, SINCE_MS, 4_102_444_800_000]))
@settings(deadline=None, max_examples=200)
def test_a_poll_survives_any_answers(answers: list[Response], since_ms: int) -> None:
    """Whatever its reads bring, it ends soon, reads only, and tells what can be stored."""
    flow = NAMI.reconcile(Known(since_ms=since_ms, open_orders=(("1", "BTCUSDT"), ("x", None))))
    try:
        request = next(flow)
        for reads, answer in enumerate(cycle(answers)):
            assert request.method == "GET"
            assert reads <= 22
            request = flow.send(answer)
    except StopIteration as stop:
        missed = stop.value
    assert len({change.order_id for change in missed.changes}) == len(missed.changes)
    msgspec.json.encode(missed)


def test_a_poll_says_that_the_key_is_refused() -> None:
    """Then asking again tells nothing."""
    for answer in (reply({"statusCode": 401, "message": "no", "error": "Unauthorized"}, 401), Response(403, {}, b"")):
        assert poll(answer)[0] == Missed(complete=False, denied=True)
    assert not poll(reply({}, 500))[0].denied
