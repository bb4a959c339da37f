"""Coinbase: what an answer to a command means."""

from typing import Any

import pytest

from router.venue_protocol import (
    Accepted,
    Done,
    Look,
    Refused,
    Response,
    Retry,
    Unknown,
)
from schemas.commands import Cancel, Close
from tests.unit.venues.coinbase.canned import COINBASE, OURS, SYMBOL, cancel, cancel_row, close, look, refusal, reply


def success(**extra: Any) -> dict[str, Any]:
    made = {"order_id": "A-1", "product_id": SYMBOL, "side": "SELL", "client_order_id": OURS}
    return {"success": True, "success_response": made, **extra}


def test_a_success_names_our_order() -> None:
    """`success` with an order id and nothing against it is the only acceptance."""
    assert COINBASE.verdict(close(), reply(success())) == Accepted(order_id="A-1")
    placeholder = {"failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": "A-1"}
    assert COINBASE.verdict(close(), reply(success(**placeholder))) == Accepted(order_id="A-1")
    assert COINBASE.verdict(close(), reply(success(error_response=None))) == Accepted(order_id="A-1")


@pytest.mark.parametrize(
    "body",
    [
        success(error_response={"error": "INVALID_SIDE"}),
        success(error_response={"error": "UNKNOWN_FAILURE_REASON"}),
        success(error_response={}),
        success(error_response={"error": "UNKNOWN_FAILURE_REASON", "error_details": "empty order sizes"}),
        success(failure_reason="INVALID_SIDE"),
        success(order_id="B-2"),
        success(success=False),
        {"success": True},
        {"success": True, "success_response": {"order_id": ""}},
        {"success": True, "success_response": {"order_id": "A-1", "product_id": "ET-28JUL23-CDE"}},
        {"success_response": {"order_id": "A-1"}},
        {"success": False, "order_id": "A-1", "error_response": {"error": "INVALID_SIDE"}},
        {"error_response": {"error": "INVALID_SIDE"}},
        {"success": False},
        {"success": "true", "success_response": {"order_id": "A-1"}},
        {"success": True, "success_response": {"order_id": 7}},
        {"error": "INVALID_ARGUMENT"},
        {},
    ],
)
def test_a_contradiction_is_a_doubt(body: dict[str, Any]) -> None:
    """Neither accepted nor refused unless the answer says so in every place it speaks."""
    assert isinstance(COINBASE.verdict(close(), reply(body)), Unknown)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (reply(success(error_response={})), "A-1"),
        (reply(success(), 500), "A-1"),
        (reply(success(), 403), "A-1"),
        (reply({"success": False, "order_id": "A-1"}), "A-1"),
        (reply(success(order_id="B-2")), None),
        (reply({"success": False, "order_id": ".."}), None),
        (reply({"success": False, "order_id": "A" * 101}), None),
        (reply({}), None),
    ],
)
def test_an_order_that_an_ambiguous_answer_names_is_kept(answer: Response, named: str | None) -> None:
    """It is what the lookup reads first, when it is one and can be asked for; a cancel's answer names nothing new."""
    outcome = COINBASE.verdict(close(), answer)
    assert isinstance(outcome, Unknown)
    assert outcome.order_id == named
    assert getattr(COINBASE.verdict(cancel(), answer), "order_id", None) is None


@pytest.mark.parametrize("status", [201, 302, 400, 404, 408, 409, 425, 500, 502, 503, 504])
def test_a_success_under_another_status_is_a_doubt(status: int) -> None:
    """An order id under an error status proves neither."""
    assert isinstance(COINBASE.verdict(close(), reply(success(), status)), Unknown)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refused_request_that_claims_success_is_a_doubt(status: int) -> None:
    """A status decided before processing cannot come with an order."""
    assert isinstance(COINBASE.verdict(close(), reply(success(), status)), Unknown)
    for claim in ({"success": True}, {"order_id": "A-1"}, {"success_response": {"order_id": "A-1"}}):
        assert isinstance(COINBASE.verdict(close(), reply(claim, status)), Unknown)
    row = {"results": [{"order_id": "A-1", "success": True}]}
    assert isinstance(COINBASE.verdict(cancel(), reply(row, status)), Unknown)


@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused(code="invalid_command", venue_code="INVALID_ARGUMENT", message="bad")),
        (401, Retry(code="auth_failed", venue_code="INVALID_ARGUMENT", message="bad", after_s=0.5, tries=2)),
        (403, Refused(code="account_restricted", venue_code="INVALID_ARGUMENT", message="bad", alert=True)),
        (404, Refused(code="venue_rejected", venue_code="INVALID_ARGUMENT", message="bad", alert=True)),
        (429, Retry(code="rate_limited", venue_code="INVALID_ARGUMENT", message="bad", after_s=1.0)),
    ],
)
def test_a_status_decides_where_the_answer_has_no_result(command: Close | Cancel, status: int, expected: Any) -> None:
    """400, 403 and 404 are final, 401 may be tried twice more, 429 after a while."""
    body = {"error": "INVALID_ARGUMENT", "code": 3, "message": "bad", "details": []}
    assert COINBASE.verdict(command, reply(body, status)) == expected


@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
@pytest.mark.parametrize("status", [200, 204, 400, 404, 408, 425, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"Unauthorized", b'{"success":', b"[]", b"1"])
def test_a_page_that_is_not_the_venues_proves_nothing(command: Close | Cancel, status: int, body: bytes) -> None:
    """Whatever stands between us and the venue may answer after the order was executed."""
    assert isinstance(COINBASE.verdict(command, Response(status, {}, body)), Unknown)


@pytest.mark.parametrize("status", [201, 202, 302, 408, 409, 422, 425, 500, 502, 503, 504])
def test_a_refusal_under_an_outage_is_not_believed(status: int) -> None:
    """A listed reason proves "not executed" only where the venue itself can have answered."""
    body = {"success": False, "error_response": {"error": "INVALID_SIDE"}, "error": "INVALID_SIDE"}
    assert isinstance(COINBASE.verdict(close(), reply(body, status)), Unknown)
    gone = {"results": [{"order_id": "A-1", "success": False, "failure_reason": "NOT_ALLOWED_TO_CANCEL"}]}
    assert isinstance(COINBASE.verdict(cancel(), reply(gone, status)), Unknown)


def test_a_plain_text_401_is_tried_again() -> None:
    """The venue's own 401 is text, and it comes before the order is looked at."""
    outcome = COINBASE.verdict(close(), Response(401, {}, b"Unauthorized"))
    message = "HTTP 401 without a body of the venue's own"
    assert outcome == Retry(code="auth_failed", venue_code="401", message=message, after_s=0.5, tries=2)


@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_a_401_or_403_without_a_body_was_not_executed(command: Close | Cancel, body: bytes) -> None:
    """An edge refused it: two more tries, or an operator."""
    outcome = COINBASE.verdict(command, Response(401, {}, body))
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.tries) == ("auth_failed", 2)
    refused = COINBASE.verdict(command, Response(403, {}, body))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.alert) == ("account_restricted", True)


def test_a_refused_timestamp_is_told_from_a_refused_key() -> None:
    """Then the venue's own clock can help."""
    for text in ("token is expired", "nbf: not yet valid", "timestamp is too far in the future"):
        outcome = COINBASE.verdict(close(), reply({"error": "unauthorized", "message": text}, 401))
        assert isinstance(outcome, Retry)
        assert (outcome.code, outcome.tries) == ("clock_skew", 2)


@pytest.mark.parametrize("status", [405, 415, 422])
def test_a_framework_s_refusal_is_one(status: int) -> None:
    """In the generic error body of this API; a result under such a status is a doubt."""
    outcome = COINBASE.verdict(close(), reply({"error": "unknown", "message": "no"}, status))
    assert isinstance(outcome, Refused)
    assert outcome.message == "no"
    assert isinstance(COINBASE.verdict(close(), Response(status, {}, b"<html>")), Unknown)
    assert isinstance(COINBASE.verdict(close(), reply(success(), status)), Unknown)


@pytest.mark.parametrize(
    ("hint", "after_s"), [("7", 7.0), ("0", 1.0), ("soon", 1.0), ("\u00b2", 1.0), ("", 1.0), ("-3", 1.0)]
)
def test_a_throttled_request_waits_at_least_a_second(hint: str, after_s: float) -> None:
    """A 429 was not executed; its hint counts when it is longer than a second and readable."""
    outcome = COINBASE.verdict(close(), Response(429, {"retry-after": hint}, b""))
    assert isinstance(outcome, Retry)
    assert outcome.after_s == after_s


def test_a_reason_under_400_is_still_the_reason() -> None:
    """Which HTTP status a flat position gets is not documented: the reason decides."""
    body = {"success": False, "error_response": {"error": "CANNOT_CLOSE_ZERO_POSITION"}}
    assert isinstance(COINBASE.verdict(close(), reply(body, 400)), Done)
    assert isinstance(COINBASE.verdict(close(), reply({"error": "DUPLICATE_CLIENT_ORDER_ID"}, 400)), Look)
    outcome = COINBASE.verdict(cancel(), reply({"error": "CANNOT_CLOSE_ZERO_POSITION"}, 400))
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid_command"


@pytest.mark.parametrize(
    "body",
    [
        {"error_response": {"error": "INVALID_SIDE"}, "error": "INVALID_SIDE"},
        {"results": [], "error": "INVALID_SIDE"},
        {"results": [{"order_id": "A-1", "success": True}]},
        {"success": True},
    ],
)
def test_a_half_answer_under_400_is_a_doubt(body: dict[str, Any]) -> None:
    """An error status speaks for itself only where the body has no part of a result."""
    assert isinstance(COINBASE.verdict(close(), reply(body, 400)), Unknown)
    assert isinstance(COINBASE.verdict(cancel(), reply(body, 400)), Unknown)


@pytest.mark.parametrize("field", ["error_details", "message"])
def test_the_venues_words_reach_the_sender(field: str) -> None:
    """Whichever of its two text fields the venue fills, people can read why, in a length that fits a log line."""
    for answer in (refusal(error="INVALID_SIDE", **{field: "w" * 900}), reply({field: "w" * 900}, 400)):
        outcome = COINBASE.verdict(close(), answer)
        assert isinstance(outcome, Refused)
        assert outcome.message == "w" * 200
    outcome = COINBASE.verdict(close(), refusal(error="X" * 900))
    assert outcome.venue_code == "X" * 100


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"error_response":' * 20_000,
        b"\xff\xfe",
        b'"\\ud800"',
        b'{"error":"\\ud800"}',
        b"1" * 5000,
        b'{"success":1e999}',
        b'{"success":true,"success_response":[]}',
        b'{"results":{"a":1}}',
        b'{"results":[null]}',
        b"null",
        b"NaN",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_no_body_makes_a_verdict_or_a_look_raise(body: bytes, status: int) -> None:
    """Hostile bytes end in a value, never in an exception."""
    response = Response(status, {"retry-after": "\u00b2", "date": "x"}, body)
    for command in (close(), cancel()):
        COINBASE.verdict(command, response)
        assert isinstance(look(command, response), Unknown)
    flow = COINBASE.probe()
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(response)
    assert isinstance(stop.value.value, Refused)


def test_a_submitted_cancel_is_accepted() -> None:
    """Success is filled with the placeholder reason; anything else beside it is a doubt."""
    taken = Accepted(order_id="A-1")
    assert COINBASE.verdict(cancel(), cancel_row(True, "UNKNOWN_CANCEL_FAILURE_REASON")) == taken
    assert COINBASE.verdict(cancel(), cancel_row(True, "")) == taken
    assert isinstance(COINBASE.verdict(cancel(), cancel_row(True, "NOT_ALLOWED_TO_CANCEL")), Unknown)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"order_id": "B-2", "success": True}],
        [{"order_id": "A-1", "success": True}, {"order_id": "A-1", "success": False}],
        [{"order_id": "A-1"}],
        [{"success": True}],
    ],
)
def test_a_cancels_row_is_found_by_its_order(rows: list[dict[str, Any]]) -> None:
    """A row that is missing, foreign or there twice says nothing about our order."""
    assert isinstance(COINBASE.verdict(cancel(), reply({"results": rows})), Unknown)


@pytest.mark.parametrize("status", [404, 405, 415, 422])
@pytest.mark.parametrize("body", [{}, {"timestamp": "2026-11-25T10:00:00Z", "path": "/api"}, {"request_id": "abc"}])
def test_json_that_is_nobodys_is_no_refusal(status: int, body: dict[str, Any]) -> None:
    """A gateway writes JSON as well; what has no field of this API says nothing of the request."""
    assert isinstance(COINBASE.verdict(close(), reply(body, status)), Unknown)
