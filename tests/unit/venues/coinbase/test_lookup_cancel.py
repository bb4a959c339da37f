"""Coinbase: finding out where an order stands that a cancel names."""

from typing import Any

import pytest

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
from schemas.results import OrderState
from tests.unit.venues.coinbase.canned import COINBASE, OTHERS, OURS, SENT_MS, cancel, look, order, reply, run


@pytest.mark.parametrize(
    ("fields", "kind", "state"),
    [
        ({"status": "OPEN"}, Working, "working"),
        ({"status": "OPEN", "filled_size": "1"}, Working, "partially_filled"),
        ({"status": "PENDING"}, Working, "working"),
        ({"status": "QUEUED"}, Working, "working"),
        ({"status": "EDIT_QUEUED"}, Working, "working"),
        ({"status": "CANCEL_QUEUED"}, Accepted, "working"),
        ({"status": "OPEN", "pending_cancel": True}, Accepted, "working"),
        ({"status": "CANCELLED"}, Done, "canceled"),
        ({"status": "CANCELLED", "filled_size": "2"}, Done, "canceled"),
        ({"status": "EXPIRED"}, Done, "expired"),
        ({"status": "FAILED"}, Done, "rejected"),
        ({"status": "FILLED"}, Refused, "filled"),
    ],
)
def test_the_orders_state_answers_a_cancel(fields: dict[str, Any], kind: type, state: str) -> None:
    """Live: cancel again; being cancelled: accepted; gone: done; filled: too late."""
    sight = look(cancel(), reply({"order": order(client_order_id=OTHERS, **fields)}))
    assert type(sight) is kind
    assert isinstance(sight, Working | Accepted | Done | Refused)
    assert sight.order is not None
    assert (sight.order_id, sight.order.status) == ("A-1", state)
    if isinstance(sight, Refused):
        assert sight.code == "too_late"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"error": "NOT_FOUND"}, 404), Absent),
        (Response(404, {}, b"404 page not found"), Unknown),
        (reply({"error": "INVALID_ARGUMENT"}, 400), Absent),
        (Response(404, {}, b" <html>404</html>"), Unknown),
        (reply({"error": "other"}, 400), Unknown),
        (reply({"error": "INVALID_ARGUMENT"}, 500), Unknown),
        (reply({"order": order()}, 500), Unknown),
        (reply({"order": order() | {"status": None}}), Unknown),
        (reply({}, 401), Unknown),
        (reply({}, 500), Unknown),
        (reply({}), Unknown),
        (reply({"order": None}), Unknown),
        (reply({"order": order("B-2")}), Unknown),
        (reply({"order": order(status="UNKNOWN_ORDER_STATUS")}), Unknown),
        (reply({"order": order(status="NEW_STATUS")}), Unknown),
    ],
)
def test_an_order_that_is_not_shown_is_absent_or_a_doubt(answer: Response, kind: type) -> None:
    """Only the venue's own "no such order" counts as absent, and even that proves nothing by itself."""
    assert type(look(cancel(), answer)) is kind


def test_an_order_that_the_venue_denies_twice_is_not_found_within_seconds() -> None:
    """A new order may be unreadable for seconds, not for the quarantine of a close."""
    gone = reply({"error": "NOT_FOUND"}, 404)

    def sight(after_ms: int, *answers: Response, code: str | None = "UNKNOWN_CANCEL_ORDER") -> LookOutcome:
        attempt = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS + after_ms, venue_code=code)
        return run(COINBASE.lookup(cancel(), attempt), *answers)[0]

    assert isinstance(sight(4_999, gone), Absent)
    wanted = Refused(code="order_not_found", venue_code="UNKNOWN_CANCEL_ORDER", order_id="A-1")
    assert sight(5_000, gone, gone) == wanted
    assert isinstance(sight(5_000, gone, reply({"order": order(status="OPEN")})), Working)
    assert isinstance(sight(5_000, gone, reply({}, 503)), Unknown)
    assert isinstance(sight(60_000, gone, code=None), Absent)
    attempt = Attempt(client_order_id=OURS, sent_ms=0, now_ms=9_000, venue_code="UNKNOWN_CANCEL_ORDER")
    _, asked = run(COINBASE.lookup(cancel(), attempt), gone, gone)
    assert asked[0] != asked[1], "a shared answer would not be a second one"


def test_a_lookup_without_a_target_asks_nothing() -> None:
    """There is nothing to read for a command that names no order."""
    assert isinstance(look(cancel(order_id=None)), Unknown)


def test_sizes_keep_the_venues_text() -> None:
    """A number where a string is due is read digit by digit, never as a float."""
    body = (
        b'{"order":{"order_id":"A-1","status":"CANCELLED","filled_size":0.30000000000000004,'
        b'"average_filled_price":"1.10","order_configuration":{"limit_limit_gtc":{"base_size":7}}}}'
    )
    sight = look(cancel(), Response(200, {}, body))
    state = OrderState(status="canceled", size="7", filled_size="0.30000000000000004", average_price="1.10")
    assert sight == Done(order_id="A-1", order=state)
