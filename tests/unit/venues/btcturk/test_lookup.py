"""BtcTurk: finding out what became of a command, by reads alone."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import (
    Done,
    LookOutcome,
    Refused,
    Request,
    Response,
    Unknown,
    Working,
)
from tests.unit.venues.btcturk.canned import CLOSE, STOP, envelope, found, look, order, sighted, state


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, Working(order_id="123456789", order=state("working", "0.00"))),
        (
            {"status": "Partial", "leftAmount": "139.9000000000000000"},
            Working(order_id="123456789", order=state("partially_filled", "34.9400000000000000")),
        ),
        (
            {"status": "Canceled", "leftAmount": "139.9"},
            Done(order_id="123456789", order=state("canceled", "34.94")),
        ),
        ({"status": "Cancelled"}, Done(order_id="123456789", order=state("canceled", "0.00"))),
        (
            {"status": "Closed", "leftAmount": "0"},
            Refused(
                code="too_late",
                message="the order is closed",
                order_id="123456789",
                order=state("filled", "174.84"),
            ),
        ),
    ],
)
def test_the_order_decides_a_cancel(fields: dict[str, Any], wanted: LookOutcome) -> None:
    """Live: cancel again. Canceled: done. Closed: too late. What was filled is amount less leftAmount, exactly."""
    sight, reads = look([found(order(**fields))])
    assert sight == wanted
    assert reads == [Request(method="GET", path="/api/v1/order/123456789", endpoint="order", scopes=("order",))]


def test_keys_and_values_are_read_in_any_capitalisation() -> None:
    """Older answers write `pairsymbol` and `Limit`, newer ones `pairSymbol` and `limit`."""
    fields = order(status="CANCELED", method="Limit", leftAmount="1")
    shouted = {key.upper(): value for key, value in fields.items()}
    quiet = {key.lower(): value for key, value in fields.items()}
    for row in (shouted, quiet):
        assert look([found(row)])[0] == Done(order_id="123456789", order=state("canceled", "173.84"))


def test_numbers_keep_their_text() -> None:
    """A JSON number with more digits than a float holds comes out as it went in."""
    row = (
        json.dumps(order(amount=1, leftAmount=2)).replace(": 1,", ": 1.00000000000000000001,").replace(": 2}", ": 0.5}")
    )
    body = b'{"success":true,"message":null,"code":0,"data":' + row.encode() + b"}"
    sight, _ = look([Response(200, {}, body)])
    assert sight == Working(
        order_id="123456789",
        order=state("partially_filled", "0.50000000000000000001", "1.00000000000000000001"),
    )


def test_without_a_rest_nothing_is_said_about_fills() -> None:
    """A missing or impossible leftAmount is no zero."""
    for left in (None, "175"):
        sight, _ = look([found(order(status="Canceled", leftAmount=left))])
        assert sight == Done(order_id="123456789", order=state("canceled", None))


@pytest.mark.parametrize("status", [200, 400, 404])
def test_only_the_venues_word_makes_an_order_unknown(status: int) -> None:
    """1152 "Order not found" is positive; its HTTP status is not documented."""
    wanted = Refused(code="order_not_found", venue_code="1152", order_id="123456789")
    assert look([Response(status, {}, envelope("Order not found", 1152))])[0] == wanted


@pytest.mark.parametrize(
    "broken",
    [
        Response(500, {}, envelope("Order not found", 1152)),
        Response(401, {}, envelope("Unauthorized - Invalid Nonce", 1037, success=True)),
        Response(429, {}, envelope("TOO_MANY_REQUESTS", 429)),
        Response(404, {}, b"<html>"),
        Response(200, {}, envelope("Order not found", 1152, success=True)),
        found(None),
        found([]),
        found({}),
        found(order(1)),
        found(order(status="Replaced")),
        found(order(status=None)),
        found(order(amount="-1")),
        found(order(id="12345678x")),
    ],
)
def test_a_read_that_fails_proves_nothing(broken: Response) -> None:
    """An error, another order, an unknown status or a broken row is no sight of ours."""
    assert isinstance(look([broken])[0], Unknown)


def test_a_close_has_no_lookup() -> None:
    """What is never sent cannot be looked for."""
    assert isinstance(sighted([], CLOSE), Unknown)


values: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, -1, 2**70, 1.5, "", "1e5", "NaN", "Canceled", "stoplimit", "٣", [], {}, True, 123456789]
)


@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_a_lookup_survives_rows_of_any_content(data: st.DataObject) -> None:
    """Whatever an order holds, a lookup ends with a sight."""
    rows = [
        STOP | {key: data.draw(values) for key in data.draw(st.sets(st.sampled_from(list(STOP)), max_size=2))}
        for _ in range(3)
    ]
    answers = [found(rows[0]), found({"asks": [rows[1]], "bids": data.draw(values)}), found([rows[2]])]
    assert sighted(answers) is not None
