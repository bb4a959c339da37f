"""BtcTurk: what an answer to a command means."""

import pytest

from router.venue_protocol import (
    Accepted,
    Look,
    Outcome,
    Refused,
    Response,
    Retry,
    Unknown,
)
from tests.unit.venues.btcturk.canned import BTCTURK, CLOSE, cancel, envelope


def verdict(status: int, body: bytes, headers: dict[str, str] | None = None) -> Outcome:
    """Return what an answer to the cancel means."""
    return BTCTURK.verdict(cancel(), Response(status, headers or {}, body))


@pytest.mark.parametrize("message", ["SUCCESS", None, "OK", "SUCCEEDED", "", "Success"])
def test_a_queued_cancel_is_accepted(message: str | None) -> None:
    """HTTP 200, success, code 0: the body names no order, so it is the one asked for."""
    assert verdict(200, envelope(message, 0, success=True)) == Accepted(order_id="123456789")


LOOK, RETRY_NONCE = Look(), Retry(code="clock_skew", tries=2)

AGAIN = Retry(code="auth_failed", after_s=0.5, tries=2)

RESTRICTED = Refused(code="account_restricted", alert=True)

DENIED = Refused(code="auth_failed", alert=True)

OURS = Refused(code="venue_rejected", alert=True)

TABLE: list[tuple[int, str, int | None, Outcome]] = [
    (400, "ORDER_COULD_NOT_BE_CANCELED", 1050, LOOK),
    (400, "ORDER_COULD_NOT_BE_CANCELED", 1051, LOOK),
    (200, "ORDER_COULD_NOT_BE_CANCELED", 1051, LOOK),
    (400, "NO_ORDER_MATCHES_YOUR_REQUEST", 1052, LOOK),
    (400, "NO_ORDER_MATCHES_YOUR_REQUEST", 1051, LOOK),
    (400, "ORDER_CANCEL_BLOCKED", None, Retry(code="venue_maintenance", after_s=30.0)),
    (503, "ORDER_CANCEL_BLOCKED", None, Retry(code="venue_maintenance", after_s=30.0)),
    (401, "Unauthorized - Invalid Nonce", 1037, RETRY_NONCE),
    (401, "Unauthorized - Invalid Signature", 1037, DENIED),
    (401, "Unauthorized - Invalid Public Key", None, DENIED),
    (401, "Unauthorized - Invalid Private Key", None, DENIED),
    (401, "Unauthorized - Headers are missing", None, DENIED),
    (401, "Unauthorized - Invalid Request", None, DENIED),
    (401, "Unauthorized - in words nobody wrote down", None, DENIED),
    (401, "Headers are missing", None, DENIED),
    (401, "SOMETHING_ELSE", None, AGAIN),
    (401, "Unauthorized", None, AGAIN),
    (403, "Forbidden", None, RESTRICTED),
    (200, "Too many requests", 429, Retry(code="rate_limited", after_s=1.0)),
    (429, "TOO_MANY_REQUESTS", 429, Retry(code="rate_limited", after_s=1.0)),
    (400, "Order not found", 1152, Refused(code="order_not_found")),
    (404, "Order not found", 1152, Refused(code="order_not_found")),
    (500, "INTERNAL_ERROR", 500, Unknown()),
    (400, "INTERNAL_ERROR", 500, Unknown()),
    (500, "Order not found", 1152, Unknown()),
    (503, "NO_ORDER_MATCHES_YOUR_REQUEST", 1052, Unknown()),
    (404, "NOT_FOUND", None, OURS),
    (405, "METHOD", None, OURS),
    (415, "MEDIA", None, OURS),
    (400, "SOMETHING_ELSE", 1052, Unknown()),
    (422, "SOMETHING_ELSE", 422, Unknown()),
    (400, "FAILED_ORDER_WITH_OPEN_ORDERS", 1122, Unknown()),
    (400, "BALANCE_NOT_ENOUGH", None, Unknown()),
]


@pytest.mark.parametrize(("status", "message", "code", "wanted"), TABLE)
@pytest.mark.parametrize("success", [False, True])
def test_every_message_means_what_the_table_says(
    status: int, message: str, code: int | None, wanted: Outcome, success: bool
) -> None:
    """The message decides, whatever the code and whatever `success` says."""
    outcome = verdict(status, envelope(message, code, success=success))
    told = type(wanted)(**{name: getattr(outcome, name) for name in wanted.__struct_fields__})
    assert told == outcome
    for name in set(wanted.__struct_fields__) - {"venue_code", "message"}:
        assert getattr(outcome, name) == getattr(wanted, name)
    assert getattr(outcome, "message", "") == message
    named = "_".join(message.upper().split())[:32]
    assert outcome.venue_code == (str(code) if code is not None else named)


@pytest.mark.parametrize("body", [b"", b"<html>", b"Unauthorized"])
def test_a_401_without_a_body_was_not_executed(body: bytes) -> None:
    """A key bound to another address (issues 403, 550, 579): two more tries, then `auth_failed`; no look."""
    outcome = verdict(401, body)
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.tries, outcome.venue_code) == ("auth_failed", 2, "401")


@pytest.mark.parametrize("body", [b"", b"<!DOCTYPE html><title>Attention Required! | Cloudflare</title>"])
def test_a_403_page_did_not_reach_the_venue(body: bytes) -> None:
    """Cloudflare's page (issues 83, 184) stands in front of the venue: an operator has to mend the address."""
    outcome = verdict(403, body)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.alert) == ("account_restricted", True)


def test_a_code_as_text_is_a_code() -> None:
    """`INTERNAL_ERROR` has come with one (issue 353)."""
    outcome = verdict(200, b'{"success":false,"message":"TOO_MANY_REQUESTS","code":"429"}')
    assert isinstance(outcome, Retry)
    assert isinstance(verdict(500, b'{"success":false,"message":null,"code":"INTERNAL_ERROR"}'), Unknown)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"retry-after": "53"}, 53.0),
        ({"retry-after": "0"}, 1.0),
        ({}, 1.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:07 GMT", "date": "Sat, 21 Nov 2026 12:00:00 GMT"}, 7.0),
    ],
)
@pytest.mark.parametrize("body", [envelope("TOO_MANY_REQUESTS", 429), b"<html>", b""])
def test_a_throttled_cancel_waits_as_long_as_the_venue_says(
    headers: dict[str, str], wanted: float, body: bytes
) -> None:
    """Retry-After in seconds or as a date, and never less than a second; the body may be anything."""
    outcome = verdict(429, body, headers)
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.after_s) == ("rate_limited", wanted)


@pytest.mark.parametrize("status", [404, 405, 415])
def test_a_wrong_address_is_our_defect_even_in_html(status: int) -> None:
    """The venue answers an unknown order with 400: these mean that our request is wrong."""
    outcome = verdict(status, b"<html>")
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.alert) == ("venue_rejected", True)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, envelope("SUCCESS", 0, success=True)),
        (401, envelope("SUCCESS", 0, success=True)),
        (200, envelope("ORDER_COULD_NOT_BE_CANCELED", 0, success=True)),
        (200, envelope("Unauthorized - Invalid Nonce", 0, success=True)),
        (200, envelope("SUCCESS", 1, success=True)),
        (200, envelope("SUCCESS", 0, success=False)),
        (200, envelope("SUCCESS", None, success=True)),
        (200, b'{"success":"true","message":"SUCCESS","code":0}'),
        (200, b'{"success":true,"message":"SUCCESS","code":"0"}'),
        (200, b'{"success":true,"message":"SUCCESS","code":false}'),
        (200, b'{"success":true,"message":["SUCCESS"],"code":0}'),
        (200, b'{"success":true,"message":"SUCCESS","code":0'),
        (200, b"true"),
        (200, b""),
        (200, b"\xff"),
        (200, b'"\\ud800"'),
        (200, b'{"data":' * 50_000),
        (200, b'{"success":true,"code":' + b"9" * 5_000 + b"}"),
        (408, b""),
        (425, b""),
        (503, b"<!DOCTYPE html>"),
        (504, b"<!DOCTYPE html>"),
    ],
)
def test_an_answer_that_contradicts_itself_is_in_doubt(status: int, body: bytes) -> None:
    """Success is HTTP 200, `success` true, `code` 0 and no word against it; an HTML page is nothing at all."""
    assert isinstance(verdict(status, body), Unknown)


def test_a_close_has_no_verdict() -> None:
    """A close is never sent here, so nothing can be its answer."""
    assert isinstance(BTCTURK.verdict(CLOSE, Response(200, {}, envelope("SUCCESS", 0, success=True))), Unknown)
