"""BtcTurk: signatures, the cancel, its answers, and finding out what an unanswered cancel did."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import (
    Accepted,
    Attempt,
    Done,
    Limit,
    Look,
    Outcome,
    Refused,
    Request,
    Response,
    Retry,
    Secrets,
    Sight,
    Stamp,
    Unknown,
    VenueAdapter,
    Working,
)
from router.venues.btcturk import BtcTurk, BtcTurkOptions, BtcTurkSecrets
from schemas.commands import Cancel, CancelAll, Close, CloseAll, Command
from schemas.results import OrderState

NOT_AFTER = datetime.datetime(2026, 11, 21, 12, 0, 30, tzinfo=datetime.UTC)
BTCTURK: VenueAdapter = BtcTurk(BtcTurkOptions())
ONE = "0f9e2c1a-6b5d-5c3e-9a47-2d8f6b1c0e35"
KEY = "7d1c0a52-3f0b-4e6a-9a51-0c2d4e8f1b22"
SECRET = "c2VjcmV0LWtleS1mb3ItdGVzdHMtMDEyMzQ1Njc4OQ=="
CLOSE = Close(command_id="c", venue="btcturk", account="main", symbol="BTCTRY", not_after=NOT_AFTER)


def cancel(**fields: Any) -> Cancel:
    """Return a cancel of the document's order."""
    known: dict[str, Any] = {"order_id": "123456789"}
    return Cancel(command_id="c", venue="btcturk", account="main", not_after=NOT_AFTER, **known | fields)


def envelope(message: str | None, code: int | None, *, success: bool = False, **fields: Any) -> bytes:
    """Return an answer's body."""
    return json.dumps({"success": success, "message": message, "code": code} | fields).encode()


def verdict(status: int, body: bytes, headers: dict[str, str] | None = None) -> Outcome:
    """Return what an answer to the cancel means."""
    return BTCTURK.verdict(cancel(), Response(status, headers or {}, body))


# Signing


@pytest.mark.parametrize(
    ("stamp", "signature"),
    [
        (1700000000123, "oety5WYhYoNPziZ46nLlgmoS+zPNvHbMHfCjqaX+jss="),
        (1711954800000, "AXpaxISw2IN2cBMmWuellvrEQ7tG34yVdHiyfPUnCFg="),
        (1700000000000, "Nu4i6eYPYAauSg4ZsjwWGHey/NNN3gKa0fi9ZY7tuqc="),
    ],
)
@pytest.mark.parametrize("method", ["DELETE", "GET"])
def test_signatures_match_the_vectors(stamp: int, signature: str, method: Literal["DELETE", "GET"]) -> None:
    """Only the key and the stamp are signed, with the decoded secret: method, path and query change nothing."""
    sign = BTCTURK.signer(BtcTurkSecrets(api_key=KEY, api_secret=SECRET))
    request = Request(method=method, path="/api/v1/order", endpoint="test", query=(("id", "123456789"),))
    signed = sign(request, Stamp(stamp, ""))
    assert (signed.method, signed.url) == (method, "https://api.btcturk.com/api/v1/order?id=123456789")
    assert signed.headers == {
        "X-PCK": KEY,
        "X-Stamp": str(stamp),
        "X-Signature": signature,
        "Content-Type": "application/json",
    }
    assert signed.body == b""


def test_the_secret_is_decoded_before_it_keys() -> None:
    """Keying with the secret's text gives the signature that the venue refuses."""
    sign = BTCTURK.signer(BtcTurkSecrets(api_key=KEY, api_secret=SECRET))
    signed = sign(Request(method="GET", path="/", endpoint="test"), Stamp(1700000000123, ""))
    assert signed.headers["X-Signature"] != "wgCQFw477xHk3GX+ir2Jhs7104vmAxZLKZYp6Ort8i4="


@pytest.mark.parametrize(
    ("key", "secret"), [("", SECRET), ("k y", SECRET), (KEY, ""), (KEY, "hus"), (KEY, "hush!"), (KEY, "hu☃h")]
)
def test_a_key_that_cannot_be_used_is_not_quoted(key: str, secret: str) -> None:
    """A wrong key fails when it is prepared, without getting into a log."""
    with pytest.raises(ValueError, match="must be") as raised:
        BTCTURK.signer(BtcTurkSecrets(api_key=key, api_secret=secret))
    assert "hu" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_streams_keys_are_optional_and_never_shown() -> None:
    """The order stream has a key pair of its own, which does not print itself either."""
    secrets = BtcTurkSecrets(api_key=KEY, api_secret=SECRET, ws_api_key="w", ws_api_secret="hush")
    assert isinstance(secrets, Secrets)
    assert repr(secrets) == "BtcTurkSecrets(…)"


def test_a_trailing_slash_of_the_address_is_dropped() -> None:
    """The URL has one slash between address and path."""
    exchange = BtcTurk(BtcTurkOptions(rest_url="http://a/"))
    signed = exchange.signer(BtcTurkSecrets(api_key=KEY, api_secret=SECRET))(
        Request(method="GET", path="/api/v1/order/1", endpoint="order"), Stamp(1, "")
    )
    assert signed.url == "http://a/api/v1/order/1"


def test_the_venues_window_and_limits_are_the_published_ones() -> None:
    """Five seconds; ten cancels a second and three hundred a minute, per account and per IP."""
    assert BtcTurkOptions().timestamp_window_s == 5.0
    for per in ("account", "ip"):
        assert {(10, 1.0), (300, 60.0)} == rates("delete", per)
        assert {(30, 1.0), (900, 60.0)} == rates("order", per)
    assert rates("open_orders", "ip") == rates("all_orders", "ip") == {(300, 60.0)}
    assert rates("trades", "ip") == {(120, 60.0)}
    assert not rates("open_orders", "account")


def rates(scope: str, per: str) -> set[tuple[int, float]]:
    """Return the limits of a scope."""
    limits: tuple[Limit, ...] = BtcTurk.limits
    return {(limit.count, limit.period_s) for limit in limits if (limit.scope, limit.per) == (scope, per)}


# Requests


def test_a_cancel_names_the_order_in_the_query() -> None:
    """The document's example; the symbol is allowed and not sent."""
    wanted = Request(
        method="DELETE", path="/api/v1/order", endpoint="cancel", query=(("id", "123456789"),), scopes=("delete",)
    )
    assert BTCTURK.request(cancel(), ONE) == wanted
    assert BTCTURK.request(cancel(symbol="BTCTRY"), ONE) == wanted


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        (CLOSE, "unsupported", "spot only"),
        (CloseAll(command_id="c", venue="btcturk", account="main", not_after=NOT_AFTER), "unsupported", "type"),
        (CancelAll(command_id="c", venue="btcturk", account="main", not_after=NOT_AFTER), "unsupported", "type"),
        (cancel(order_id=None, target_command_id="x"), "invalid_command", "order_id"),
        (cancel(order_id="abc"), "invalid_command", "order_id"),
        (cancel(order_id="007"), "invalid_command", "order_id"),
        (cancel(order_id="9223372036854775808"), "invalid_command", "order_id"),
        (cancel(params={"foo": 1}), "invalid_command", "foo"),
    ],
)
def test_what_the_venue_cannot_honour_is_refused_by_name(command: Command, code: str, named: str) -> None:
    """Nothing is silently ignored: the refusal names what is wrong."""
    refused = BTCTURK.request(command, ONE)
    assert isinstance(refused, Refused)
    assert (refused.code, named in refused.message) == (code, True)


def test_a_cancel_may_be_repeated() -> None:
    """Cancelling a cancelled order is a success at this venue."""
    assert BTCTURK.repeatable(cancel())
    assert not BTCTURK.repeatable(CLOSE)
    assert BTCTURK.position(CLOSE) == "BTCTRY"


# Verdicts


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


# Lookups


def order(order_id: int = 123456789, **fields: Any) -> dict[str, Any]:
    """Return an order as the venue shows it."""
    return {
        "id": order_id,
        "price": "5.7192",
        "amount": "174.84",
        "quantity": "174.84",
        "stopPrice": "0",
        "pairSymbol": "HNTUSDT",
        "pairSymbolNormalized": "HNT_USDT",
        "type": "sell",
        "method": "limit",
        "orderClientId": "client-1",
        "time": 1700000000000,
        "updateTime": 1700000001000,
        "status": "Untouched",
        "leftAmount": "174.84",
    } | fields


def found(data: Any) -> Response:
    """Return a successful read."""
    return Response(200, {}, envelope(None, 0, success=True, data=data))


def look(
    answers: Sequence[Response], command: Command | None = None, after_ms: int = 10_000
) -> tuple[Sight, list[Request]]:
    """Feed a lookup these answers in order, all of them; return its sight and the reads it made."""
    reads: list[Request] = []
    sight = sighted(answers, command, reads, after_ms)
    assert len(reads) == len(answers), "every canned answer is read"
    return sight, reads


def sighted(
    answers: Sequence[Response],
    command: Command | None = None,
    reads: list[Request] | None = None,
    after_ms: int = 10_000,
) -> Sight:
    """Feed a lookup as many of these answers as it asks for; return its sight."""
    attempt = Attempt(client_order_id=ONE, sent_ms=1700000000000, now_ms=1700000000000 + after_ms)
    flow = BTCTURK.lookup(command or cancel(), attempt)
    reads = [] if reads is None else reads
    try:
        reads.append(next(flow))
        for answer in answers:
            reads.append(flow.send(answer))
    except StopIteration as stop:
        sight: Sight = stop.value
        return sight
    raise AssertionError(f"no answer to {reads[-1].path}")


def state(status: Any, filled: str | None, size: str = "174.84") -> OrderState:
    """Return an order's state."""
    return OrderState(status=status, size=size, filled_size=filled)


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
def test_the_order_decides_a_cancel(fields: dict[str, Any], wanted: Sight) -> None:
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
        found(order(amount="1e5")),
        found(order(amount="-1")),
        found(order(id="123456789")),
    ],
)
def test_a_read_that_fails_proves_nothing(broken: Response) -> None:
    """An error, another order, an unknown status or a broken row is no sight of ours."""
    assert isinstance(look([broken])[0], Unknown)


def test_a_key_that_may_not_read_stops_the_look() -> None:
    """An address was once blocked after fifty unauthorised calls: the look says that asking again tells nothing."""
    for body in (b"", b"<html>", envelope("Unauthorized - Invalid Signature", 1037, success=True)):
        for status in (401, 403):
            sight = look([Response(status, {}, body)])[0]
            assert isinstance(sight, Unknown)
            assert (sight.denied, sight.whole) == (True, False)


FAMILY = json.loads((Path(__file__).parent.parent.parent / "fixtures/btcturk/stop_triggered.json").read_text())
STOP: dict[str, Any] = FAMILY["stop"] | {"id": 123456789}
CHILD: dict[str, Any] = FAMILY["child"] | {"id": 200000000}
BOOK: dict[str, Any] = {"asks": [], "bids": []}
UNTOUCHED = state("canceled", "0.0000000000000000", STOP["amount"])


def stopped(*history: dict[str, Any], stop: dict[str, Any] = STOP, after_ms: int = 10_000) -> Sight:
    """Look up a canceled stop in a pair with this history and nothing open."""
    return look([found(stop), found(BOOK), found(list(history))], after_ms=after_ms)[0]


def test_a_canceled_stop_without_a_child_is_done() -> None:
    """Whatever else stands there, and whoever shares its client id."""
    strangers = [STOP, order(1, status="Closed"), CHILD | {"id": 3, "orderClientId": "x", "amount": "7"}]
    strangers = [row | {"pairSymbol": "ETHUSDT"} for row in strangers]
    sight, reads = look([found(STOP), found(BOOK), found(strangers)])
    assert sight == Done(order_id="123456789", order=UNTOUCHED)
    assert [(read.endpoint, read.scopes) for read in reads] == [
        ("order", ("order",)),
        ("open_orders", ("open_orders",)),
        ("all_orders", ("all_orders",)),
    ]
    assert all(dict(read.query)["pairSymbol"] == "ETHUSDT" for read in reads[1:])


@pytest.mark.parametrize(
    "odd",
    [
        {"stopPrice": "0"},
        {"stopPrice": "1800.2"},
        {"amount": "0.2"},
        {"type": "sell"},
        {"method": "stopmarket"},
        {"method": "STOP_LIMIT"},
        {"time": STOP["updateTime"] + 60_001},
        {"time": STOP["time"]},
        {"id": 123456788},
    ],
)
@pytest.mark.parametrize("status", ["Untouched", "Partial", "Closed"])
def test_a_stranger_with_the_same_client_id_is_no_child(odd: dict[str, Any], status: str) -> None:
    """A working order of another stop price, amount, side, method or time says nothing of this stop."""
    assert stopped(STOP, CHILD | {"status": status} | odd) == Done(order_id="123456789", order=UNTOUCHED)


@pytest.mark.parametrize("method", ["stoplimit", "stopMarket", "STOPLIMIT", "stop_limit", "stop-limit", "stop", ""])
@pytest.mark.parametrize("where", ["asks", "bids", "history"])
@pytest.mark.parametrize("client_id", ["48e33815", "advanced", None])
def test_a_triggered_stop_is_too_late(method: str, where: str, client_id: str | None) -> None:
    """The stop says Canceled while its child executes: the cancel lost the race. No client id is asked for."""
    child = CHILD | {"status": "Partial", "leftAmount": "0.1", "orderClientId": client_id}
    book = BOOK | ({where: [child]} if where != "history" else {})
    history = [STOP, child] if where == "history" else [STOP]
    sight, _ = look([found(STOP | {"method": method}), found(book), found(history)])
    assert sight == Refused(
        code="too_late",
        message="the stop was triggered: another order executes it",
        order_id="200000000",
        order=state("partially_filled", "0.0997491904775655", STOP["amount"]),
    )


def test_numbers_of_parent_and_child_are_compared_as_numbers() -> None:
    """Trailing zeros are no difference."""
    assert isinstance(stopped(CHILD | {"stopPrice": "1800.1000", "amount": "0.19974919047756550"}), Refused)


@pytest.mark.parametrize(
    "missing", [{"time": 0}, {"time": None}, {"stopPrice": None}, {"amount": None}, {"type": ""}, {"method": ""}]
)
def test_what_fits_but_does_not_show_all_is_a_doubt(missing: dict[str, Any]) -> None:
    """Older answers leave fields out, and write 0 for a time (issue 299): neither child nor stranger."""
    sight = stopped(CHILD | missing)
    assert isinstance(sight, Unknown)
    assert sight.seen


def test_a_time_that_is_near_is_a_doubt() -> None:
    """One sample shows equal times: a millisecond between them must not make a stop that executes `canceled`."""
    for apart_ms in (-60_000, -1, 1, 60_000):
        assert isinstance(stopped(CHILD | {"time": STOP["updateTime"] + apart_ms}), Unknown)


def test_a_canceled_stop_without_a_child_is_not_done_at_once() -> None:
    """How soon the new order of a triggered stop is listed is not documented: the first seconds prove nothing."""
    assert isinstance(stopped(after_ms=9_999), Unknown)
    assert isinstance(stopped(after_ms=10_000), Done)
    assert isinstance(stopped(CHILD, after_ms=0), Refused)


def test_a_child_seen_twice_is_one_and_its_later_state_counts() -> None:
    """Open when the first list was read, closed in the second: one order, filled."""
    working = CHILD | {"status": "Untouched", "leftAmount": CHILD["amount"]}
    sight, _ = look([found(STOP), found(BOOK | {"bids": [working]}), found([CHILD])])
    assert isinstance(sight, Refused)
    assert sight.order is not None
    assert sight.order.status == "filled"


def test_several_children_are_ambiguous() -> None:
    """Two stops of one price, triggered in one instant, do not say which became which."""
    sight = stopped(CHILD, CHILD | {"id": 200000001})
    assert isinstance(sight, Unknown)
    assert sight.seen


def test_a_stop_whose_child_cannot_be_looked_for_is_undecided() -> None:
    """Without a pair there is nothing to look with; the command's symbol stands in for it."""
    nameless = found(STOP | {"pairSymbol": ""})
    assert isinstance(look([nameless])[0], Unknown)
    sight, reads = look([nameless, found(BOOK), found([])], cancel(symbol="BTCTRY"))
    assert isinstance(sight, Done)
    assert dict(reads[1].query) == {"pairSymbol": "BTCTRY"}


def test_the_history_is_read_to_its_end() -> None:
    """A page may be as small as the venue's default of 100, and `limit` ignored; the end brings nothing new."""
    pages = [found([order(page * 100 + n, pairSymbol="ETH_USDT") for n in range(1, 101)]) for page in range(3)]
    sight, reads = look([found(STOP), found(BOOK), *pages, found([CHILD])])
    assert isinstance(sight, Refused)
    assert [dict(read.query).get("page") for read in reads[2:]] == [None, "1", "2", "3"]
    assert isinstance(look([found(STOP), found(BOOK), pages[0], pages[1], pages[1]])[0], Done)
    endless = [found([order(page * 100 + n, pairSymbol="ETHUSDT") for n in range(1, 101)]) for page in range(20)]
    torn = look([found(STOP), found(BOOK), *endless])[0]
    assert isinstance(torn, Unknown)
    assert not torn.whole


def test_a_list_of_another_pair_is_no_list() -> None:
    """A filter that was ignored leaves open what else was."""
    for answers in ([found(BOOK | {"asks": [order()]})], [found(BOOK), found([order()])]):
        sight = look([found(STOP), *answers])[0]
        assert isinstance(sight, Unknown)
        assert not sight.whole


@pytest.mark.parametrize("broken", [found(None), found({}), found([None]), found("x"), Response(504, {}, b"<html>")])
def test_a_list_that_fails_proves_no_absence(broken: Response) -> None:
    """A stop is only done when both lists were read."""
    assert isinstance(look([found(STOP), broken])[0], Unknown)
    assert isinstance(look([found(STOP), found(BOOK), broken])[0], Unknown)


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


# Probe


@pytest.mark.parametrize(
    ("response", "code", "alert"),
    [
        (found(BOOK), None, False),
        (Response(401, {}, envelope("Unauthorized - Invalid Signature", 1037)), "auth_failed", True),
        (Response(401, {}, envelope("Unauthorized - Invalid Nonce", 1037, success=True)), "clock_skew", False),
        (Response(401, {}, b""), "auth_failed", True),
        (Response(403, {}, b"<html>"), "account_restricted", True),
        (Response(429, {}, envelope("TOO_MANY_REQUESTS", 429)), "rate_limited", False),
        (Response(503, {}, b"<html>"), "venue_unavailable", False),
        (Response(500, {}, envelope("SUCCESS", 0, success=True)), "venue_unavailable", False),
        (Response(400, {}, envelope("SOMETHING_ELSE", 1)), "venue_unavailable", False),
    ],
)
def test_the_probe_needs_a_working_key(response: Response, code: str | None, alert: bool) -> None:
    """Every read that will be needed: open orders, history, one order, trades, pairs. It names what is refused."""
    ends = [found(BOOK), found([]), Response(400, {}, envelope("Order not found", 1152)), found([]), found({})]
    for refused_at in range(5) if code else [5]:
        flow, asked = BTCTURK.probe(), list[Request]()
        answers = [*ends[:refused_at], response]
        try:
            asked.append(next(flow))
            for answer in answers:
                asked.append(flow.send(answer))
        except StopIteration as stop:
            refused = stop.value
        assert [read.endpoint for read in asked] == list(SCOPES)[: min(refused_at + 1, 5)]
        assert (refused and refused.code, bool(refused and refused.alert)) == (code, alert)
        assert not refused or asked[-1].endpoint in refused.message


SCOPES = ("open_orders", "all_orders", "order", "trades", "exchange_info")
