"""The default table of HTTP statuses, and its lines that a venue replaces."""

import pytest

from router.venue_protocol import Outcome, Refused, Response, Retry, Unknown
from router.venue_protocol.statuses import DEFAULTS, StatusRule, by_status, is_about_time
from router.venues.btcturk.codes import LINES as BTCTURK
from router.venues.coinbase.codes import LINES as COINBASE
from router.venues.gmo_coin.codes import LINES as GMO_COIN
from router.venues.nami.codes import LINES as NAMI

TABLE: list[tuple[int, type[Outcome], type[Outcome], str | None]] = [
    (401, Retry, Retry, "auth_failed"),
    (403, Refused, Refused, "account_restricted"),
    (404, Refused, Unknown, "venue_rejected"),
    (405, Refused, Unknown, "venue_rejected"),
    (415, Refused, Unknown, "venue_rejected"),
    (422, Refused, Unknown, "invalid_command"),
    (429, Retry, Retry, "rate_limited"),
    *((status, Unknown, Unknown, None) for status in (200, 302, 400, 408, 409, 425, 500, 502, 503, 504, 520)),
]


@pytest.mark.parametrize(("status", "readable", "unreadable", "code"), TABLE)
def test_a_status_means_what_the_table_says(
    status: int, readable: type[Outcome], unreadable: type[Outcome], code: str | None
) -> None:
    """With the venue's own body, and without one."""
    response = Response(status, {}, b"")
    own, page = by_status(response, readable=True, text="why"), by_status(response, readable=False)
    assert (type(own), type(page)) == (readable, unreadable)
    for outcome in (own, page):
        assert isinstance(outcome, Unknown) or getattr(outcome, "code", None) == code
        assert outcome.venue_code == str(status)
        assert getattr(outcome, "message", "")


def test_a_401_is_tried_twice_more_and_then_an_operator_hears() -> None:
    """An address that goes on is blocked (BtcTurk: after fifty unauthorised calls)."""
    outcome = by_status(Response(401, {}, b""), readable=False)
    assert isinstance(outcome, Retry)
    assert outcome.tries == 2
    refused = by_status(Response(403, {}, b""), readable=False)
    assert isinstance(refused, Refused)
    assert refused.alert


@pytest.mark.parametrize("lines", [BTCTURK, COINBASE, GMO_COIN, NAMI, DEFAULTS])
def test_every_line_says_why(lines: dict[int, StatusRule]) -> None:
    """A venue that differs has a reason; a 5xx without a body of the venue's own is a doubt everywhere."""
    for status, line in lines.items():
        assert len(line.why) > 20
        assert status < 500 or isinstance(line.unreadable, Unknown)


def test_a_venues_line_replaces_the_default() -> None:
    """Line by line: the others stay."""
    lines = {429: StatusRule(readable=Unknown(), unreadable=Unknown(), why="not documented")}
    assert isinstance(by_status(Response(429, {}, b""), readable=True, lines=lines), Unknown)
    assert isinstance(by_status(Response(401, {}, b""), readable=True, lines=lines), Retry)


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({"retry-after": "53"}, 53.0),
        ({"retry-after": "0"}, 1.0),
        ({}, 1.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:07 GMT", "date": "Sat, 21 Nov 2026 12:00:00 GMT"}, 7.0),
    ],
)
def test_a_throttle_waits_as_long_as_the_venue_says(headers: dict[str, str], after_s: float) -> None:
    """A second at least."""
    outcome = by_status(Response(429, headers, b""), readable=False)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == after_s


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("timestamp is expired", True),
        ("Timestamp for this request is too late.", True),
        ("token not yet valid", True),
        ("Invalid nonce", True),
        ("request outside of recvWindow", True),
        ("Missing API key, signature, or timestamp", False),
        ("Invalid signature", False),
        ("Unauthorized", False),
        ("", False),
    ],
)
def test_a_refused_timestamp_is_known_by_its_words(text: str, about: bool) -> None:
    """Then the request is signed again by the venue's clock; a refused key is not."""
    assert is_about_time(text) is about
    outcome = by_status(Response(401, {}, b""), readable=True, text=text)
    assert isinstance(outcome, Retry)
    assert outcome.code == ("clock_skew" if about else "auth_failed")
