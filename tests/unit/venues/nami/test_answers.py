"""Nami: what an answer to a command means."""

from typing import Any

import msgspec
import pytest

from router.venue_protocol import (
    Done,
    Look,
    Outcome,
    Refused,
    Response,
    Retry,
    Unknown,
)
from schemas.results import OrderState
from tests.unit.venues.nami.canned import ID, NAMI, cancel, failure, lookup, order, reply

LISTED: dict[str, type[Outcome]] = {
    "NOT_FOUND_ORDER": Look,
    "NO_SUCH_ORDER": Look,
    "BROKER_ERROR": Unknown,
    "UNKNOWN": Unknown,
    "UNKNOWN_ERROR": Unknown,
    "BAD_SYMBOL": Refused,
    "INVALID_REQUEST_ID": Refused,
    "TRADE_NOT_ALLOWED": Refused,
    "ACCOUNT_BAN_TRADE": Refused,
    "INVALID_ORDER_TYPE": Refused,
    "INVALID_SIDE": Refused,
    "NOT_ENOUGH_BASE_ASSET": Refused,
    "NOT_ENOUGH_QUOTE_ASSET": Refused,
    "NOT_ENOUGH_FEE_ASSET": Refused,
    "STOP_LIMIT_INVALID_STOP_PRICE": Refused,
    "STOP_LIMIT_UNKNOWN_LAST_PRICE": Retry,
    "STOP_LIMIT_INVALID_MIN_TOTAL": Refused,
    "ORDER_TYPE_NOT_SUPPORT": Refused,
    "INVALID_USER": Refused,
    "INVALID_INPUT": Refused,
    "INVALID_SYMBOL": Refused,
    "TOO_MUCH_ORDERS": Refused,
    "INVALID_QUANTITY": Refused,
    "INVALID_PRICE": Refused,
    "INVALID_TICK_SIZE": Refused,
    "INVALID_STEP_SIZE": Refused,
    "INVALID_MIN_NOTIONAL": Refused,
    "INSTRUMENTS_DO_NOT_MATCH": Refused,
    "INSTRUMENT_NOT_LISTED_FOR_TRADING_YET": Refused,
    "BRAND_NEW_WORD": Unknown,
    "OK": Unknown,
}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(("word", "kind"), LISTED.items())
def test_a_status_word_means_what_its_class_says(word: str, kind: type[Outcome], status: int) -> None:
    """The word decides under any HTTP status that is not an outage; a word not listed is a doubt."""
    outcome = NAMI.verdict(cancel(), failure(word, status=status))
    assert type(outcome) is kind
    assert outcome.venue_code == word
    assert isinstance(outcome, Look | Unknown | Refused | Retry)
    assert outcome.message == "request 6f0d-1"


def test_what_an_operator_must_mend_raises_an_alert() -> None:
    """A key that may not trade and an account that is banned do not heal by themselves."""
    alerts = {word for word in LISTED if getattr(NAMI.verdict(cancel(), failure(word)), "alert", False)}
    assert alerts == {"TRADE_NOT_ALLOWED", "ACCOUNT_BAN_TRADE", "INVALID_USER"}


def test_the_code_1112_is_read_by_its_word() -> None:
    """The venue uses 1112 twice, so numbers are never looked at."""
    assert isinstance(NAMI.verdict(cancel(), failure("BAD_SYMBOL", 6104)), Refused)
    assert isinstance(NAMI.verdict(cancel(), failure("BROKER_ERROR", 1112)), Unknown)


def test_our_order_shown_canceled_is_done() -> None:
    """The answer carries the order as proof, its numbers digit by digit."""
    body = (
        b'{"status":"ok","data":{"displayingId":435372,"status":"CANCELED","quantity":0.30000000000000004,'
        b'"executedQty":1e-7,"executedPrice":62877.990}}'
    )
    state = OrderState(
        status="canceled", size="0.30000000000000004", filled_size="0.0000001", average_price="62877.990"
    )
    assert NAMI.verdict(cancel(), Response(200, {}, body)) == Done(order_id=ID, order=state, venue_code="ok")


@pytest.mark.parametrize(
    "data",
    [
        order("NEW"),
        order("FILLED"),
        order("CANCELED", 7),
        order("CANCELED", 435372.5),
        order("CANCELED", True),
        order("canceled"),
        order("CANCELED", None),
        {"status": "CANCELED"},
        {},
        [],
        None,
        7,
    ],
)
def test_an_ok_that_does_not_show_our_order_canceled_is_looked_at(data: Any) -> None:
    """`ok` alone is no proof: the order's own state is."""
    assert isinstance(NAMI.verdict(cancel(), reply({"status": "ok", "data": data})), Look)


def test_no_fill_has_no_average_price() -> None:
    """The venue writes 0 for a price that does not exist."""
    outcome = NAMI.verdict(cancel(), reply({"status": "ok", "data": order(executedQty=0, executedPrice=0)}))
    assert outcome == Done(order_id=ID, order=OrderState(status="canceled", filled_size="0"), venue_code="ok")


def test_an_id_given_as_text_is_the_same_id() -> None:
    """Requests write the id as text and answers as a number."""
    assert isinstance(NAMI.verdict(cancel(), reply({"status": "ok", "data": order(displaying_id=ID)})), Done)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"message": "OK", "data": {"status": "ok", "code": 200, "data": order(), "message": None}}, Done),
        ({"status": "ok", "data": {"status": "ok", "data": {"status": "ok", "data": order()}}}, Done),
        ({"status": "ok", "data": {"status": "NOT_FOUND_ORDER", "code": 6101, "data": {}}}, Look),
        ({"status": "BROKER_ERROR", "data": {"status": "ok", "data": order()}}, Unknown),
        ({"status": "ok", "data": {"data": {"status": "ok", "data": order()}}}, Look),
        ({"status": "ok", "data": {"requestId": "6f0d-1"}}, Unknown),
        ({"status": 1, "data": order()}, Unknown),
        ({"data": order()}, Unknown),
        ({"status": "line\nbreak", "data": {}}, Unknown),
        ({}, Unknown),
    ],
)
def test_the_innermost_envelope_decides(body: Any, kind: type[Outcome]) -> None:
    """A gateway may wrap the answer once more; envelopes that disagree are a doubt."""
    assert type(NAMI.verdict(cancel(), reply(body))) is kind


@pytest.mark.parametrize("status", [302, 400, 404, 500, 502])
def test_an_ok_under_an_error_status_is_a_doubt(status: int) -> None:
    """Success is believed only where nothing contradicts it."""
    assert isinstance(NAMI.verdict(cancel(), reply({"status": "ok", "data": order()}, status)), Unknown)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (reply({"statusCode": 401, "message": "…", "error": "Unauthorized"}, 401), Retry(code="auth_failed", tries=1)),
        (reply({"statusCode": 401, "error": "Unauthorized"}, 200), Retry(code="auth_failed", tries=1)),
        (Response(401, {}, b""), Retry(code="auth_failed", tries=1)),
        (Response(418, {}, b"<html>"), Refused(code="account_restricted", alert=True, pause_s=3600.0)),
        (Response(429, {}, b""), Retry(code="rate_limited", after_s=60.0)),
        (Response(429, {"retry-after": "9"}, b""), Retry(code="rate_limited", after_s=9.0)),
        (Response(429, {"retry-after": "0"}, b""), Retry(code="rate_limited", after_s=1.0)),
        (Response(429, {"retry-after": "\u00b2"}, b""), Retry(code="rate_limited", after_s=60.0)),
        (reply({"message": "maintenance"}, 503), Retry(code="venue_maintenance", after_s=30.0)),
    ],
)
def test_an_http_status_that_proves_not_executed(response: Response, expected: Retry | Refused) -> None:
    """One try with a fresh timestamp after 401, a new minute after 429, maintenance only in the venue's own JSON."""
    outcome = NAMI.verdict(cancel(), response)
    assert isinstance(outcome, Retry | Refused)
    assert outcome.venue_code is not None
    named = {"venue_code": outcome.venue_code, "message": outcome.message}
    assert outcome.message
    assert outcome == msgspec.structs.replace(expected, **named)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 405, 415, 422, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"1", b"null", b"[" * 100_000, b'{"data":' * 20_000, b"\xff", b'{"status":"\\ud800"}'],
)
def test_a_page_that_is_not_the_venues_proves_nothing(status: int, body: bytes) -> None:
    """Neither a verdict nor a look nor the probe raises, whatever the bytes."""
    response = Response(status, {"retry-after": "\u00b2"}, body)
    assert isinstance(NAMI.verdict(cancel(), response), Unknown)
    assert isinstance(lookup(response)[0], Unknown)
    flow = NAMI.probe()
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(response)
    assert isinstance(stop.value.value, Refused)


def test_five_hundreds_in_json_are_a_doubt() -> None:
    """Only 503 is documented as maintenance; a refusal inside another outage is not believed."""
    for status in (500, 502, 504):
        assert isinstance(NAMI.verdict(cancel(), failure("BAD_SYMBOL", status=status)), Unknown)


@pytest.mark.parametrize(
    ("named", "status"), [([401], 400), ({}, 200), (302, 400), (500, 200), (401, 500), ("401", 400)]
)
def test_a_gateways_status_counts_only_where_it_is_known(named: Any, status: int) -> None:
    """`statusCode` in the body stands for the HTTP status, but never makes an outage look like a refusal."""
    assert isinstance(NAMI.verdict(cancel(), reply({"statusCode": named, "error": "x"}, status)), Unknown)


def test_messages_never_quote_an_answer() -> None:
    """Answers show whose order it is; only a status word and a request id may reach a log."""
    told = repr(NAMI.verdict(cancel(), reply({"status": "SECRET WORD", "data": {"requestId": "SECRET ID"}})))
    assert "SECRET" not in told
