"""Nami: what leaves, and what each answer and each look means."""

import hashlib
import hmac
import json
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec
import pytest

from router.venue_protocol import (
    Absent,
    Attempt,
    Done,
    Look,
    Outcome,
    Refused,
    Request,
    Response,
    Retry,
    Secrets,
    Sight,
    SignedRequest,
    Stamp,
    Unknown,
    VenueAdapter,
    Working,
)
from router.venues.nami import Nami, NamiOptions, signed_text
from schemas.commands import Cancel, CancelAll, Close, CloseAll
from schemas.results import OrderState

T = TypeVar("T")
NAMI = Nami(NamiOptions())
# Both are the samples that the venue's own pages publish.
SECRETS = Secrets(
    api_key="N3LbmwMAXcObdVYdP8KTMYjsi94CUpEh8C3F2xhDKdxbkfQn8Bi3FQP7LudeN9Vb",
    api_secret="UNCZHD1e4501X1WGO9PqjGJBDqWoNjUlc05YZTy38t9Wd7rHWmrmtfKfb1Vpb5RH",
)
NOT_AFTER = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STAMP = Stamp(1_670_000_000_000, "unused")
ID = "435372"
N3 = "bf4b817ad1a2faf40cf03146d336523b532ea45ab50b891cf7d2c32429216f48"
N3_TEXT = "symbol=BTCUSDT&displayingId=435372&allowNotification=false&timestamp=1670000000000"
N3_BODY = (
    b'{"symbol":"BTCUSDT","displayingId":"435372","allowNotification":false,"timestamp":1670000000000,"signature":"'
    + N3.encode()
    + b'"}'
)


def cancel(**fields: Any) -> Cancel:
    named = {"symbol": "BTCUSDT", "order_id": ID, **fields}
    return Cancel(command_id="cancel-1", venue="nami", account="main", not_after=NOT_AFTER, **named)


def built(venue: Nami = NAMI, **fields: Any) -> Request:
    request = venue.request(cancel(**fields), "unused")
    assert isinstance(request, Request)
    return request


def signed(request: Request, venue: Nami = NAMI, stamp: Stamp = STAMP) -> SignedRequest:
    return venue.signer(SECRETS)(request, stamp)


def read(path: str, *query: tuple[str, str]) -> Request:
    return Request(method="GET", path=path, endpoint="read", query=query)


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def failure(word: Any, code: int = 6104, status: int = 400) -> Response:
    return reply({"status": word, "code": code, "data": {"requestId": "6f0d-1"}, "message": None}, status)


def order(status: str = "CANCELED", displaying_id: Any = 435372, **fields: Any) -> dict[str, Any]:
    return {"displayingId": displaying_id, "userId": 18, "symbol": "BTCUSDT", "status": status, **fields}


def rows(*found: dict[str, Any]) -> Response:
    return reply({"status": "ok", "data": list(found)})


def open_rows(*found: dict[str, Any]) -> Response:
    return reply({"status": "ok", "data": {"orders": list(found)}})


def run(flow: Generator[Request, Response, T], *answers: Response) -> tuple[T, list[Request]]:
    """Feed a flow its canned answers; every one of them must be asked for."""
    asked: list[Request] = []
    waiting = list(answers)
    try:
        asked.append(next(flow))
        while True:
            asked.append(flow.send(waiting.pop(0)))
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        ended: T = stop.value
        return ended, asked


def lookup(*answers: Response, venue_code: str | None = None, **fields: Any) -> tuple[Sight, list[Request]]:
    attempt = Attempt(client_order_id="unused", sent_ms=1, now_ms=1, venue_code=venue_code)
    return run(NAMI.lookup(cancel(**fields), attempt), *answers)


# --- signing


@pytest.mark.parametrize(
    ("path", "query", "now_ms", "text", "signature"),
    [
        (
            "/api/v4/user/balance",
            (("type", "0"),),
            1721284769720,
            "type=0&timestamp=1721284769720",
            "2cc8df81fc34801e6b6f7dbaf79e72ab098bf5461973239689e32e71368cd145",
        ),
        (
            "/api/v4/spot/order",
            (
                ("symbol", "NAMIVNDC"),
                ("side", "SELL"),
                ("type", "LIMIT"),
                ("quantity", "50000"),
                ("price", "600"),
            ),
            1721284021975,
            "symbol=NAMIVNDC&side=SELL&type=LIMIT&quantity=50000&price=600&timestamp=1721284021975",
            "87455e30b15d4d2fe234eeec92cfc165f8b8647bf583ce09f0bdb6b3c6a09b77",
        ),
        (
            "/api/v4/spot/open",
            (),
            1670000000000,
            "timestamp=1670000000000",
            "63aad0fac95a943591f8514850ac0ec5914d8be466ad6e1405d3dcc7b0f0c639",
        ),
        (
            "/api/v4/spot/open",
            (("filterByPair", "BTCUSDT"),),
            1670000000000,
            "filterByPair=BTCUSDT&timestamp=1670000000000",
            "591c4d9f8693dfefc4f26c5d584b50f199c383d078eed6c0cc6bb555f1bee960",
        ),
        (
            "/api/v4/spot/history",
            (
                ("symbol", "BTCUSDT"),
                ("hideCanceled", "false"),
                ("pageSize", "50"),
                ("page", "1"),
                ("timeFrom", "2024-01-01T00:00:00Z"),
            ),
            1670000000000,
            "symbol=BTCUSDT&hideCanceled=false&pageSize=50&page=1&timeFrom=2024-01-01T00%3A00%3A00Z"
            "&timestamp=1670000000000",
            "85959f2644dd34adc784bcf408aac8ddc3e5298951753e89e95fa920592a406a",
        ),
    ],
    ids=["N1", "N2", "N4", "N5", "N6"],
)
def test_a_read_is_signed_in_its_query(
    path: str, query: tuple[tuple[str, str], ...], now_ms: int, text: str, signature: str
) -> None:
    """The signed text is the query itself, the timestamp last and the signature after it, byte for byte."""
    ready = signed(read(path, *query), stamp=Stamp(now_ms, "unused"))
    assert ready.url == f"https://nami.exchange{path}?{text}&signature={signature}"
    assert ready.body == b""


def test_a_cancel_carries_its_signature_last_in_the_body() -> None:
    """The body keeps the signed order, then timestamp as a number, then signature (vector N3)."""
    ready = signed(built())
    assert (ready.method, ready.url) == ("DELETE", "https://nami.exchange/api/v4/spot/order")
    assert ready.body == N3_BODY


@pytest.mark.parametrize(
    ("placement", "url", "body"),
    [
        ("body", "https://nami.exchange/api/v4/spot/order", N3_BODY),
        ("query", f"https://nami.exchange/api/v4/spot/order?{N3_TEXT}&signature={N3}", b""),
        ("both", f"https://nami.exchange/api/v4/spot/order?{N3_TEXT}&signature={N3}", N3_BODY),
    ],
)
def test_placement_moves_parameters_and_signature(
    placement: Literal["body", "query", "both"], url: str, body: bytes
) -> None:
    """The pages contradict each other, so the place is a switch; what is signed stays the same."""
    venue = Nami(NamiOptions(placement=placement, rest_url="https://nami.exchange/"))
    ready = signed(built(venue), venue)
    assert (ready.url, ready.body) == (url, body)


def test_only_the_public_key_leaves() -> None:
    """The endpoint pages ask for the secret in `x-api-key`; that is a slip of theirs and never happens here."""
    ready = signed(built())
    assert ready.headers == {"x-api-key": SECRETS.api_key, "Content-Type": "application/json"}
    assert SECRETS.api_secret not in repr((ready.url, ready.body, ready.headers))


def test_values_are_written_as_a_browser_writes_them() -> None:
    """Space is +, `~` is escaped and `*` is not, the reverse of Python's own."""
    assert signed_text((("a b", "~*-._:/é"),)) == "a+b=%7E*-._%3A%2F%C3%A9"


def test_allow_notification_is_signed_as_javascript_prints_it() -> None:
    """True is `true` in the signed text and in the body, not Python's `True`."""
    request = built(params={"allow_notification": True})
    text = N3_TEXT.replace("false", "true")
    signature = hmac.digest(SECRETS.api_secret.encode(), text.encode(), hashlib.sha256).hex()
    assert signed(request).body == N3_BODY.replace(b"false", b"true").replace(N3.encode(), signature.encode())


@pytest.mark.parametrize(
    ("api_key", "api_secret"), [("", "s"), ("ключ", "s"), ("a\r\nb", "s"), ("k", ""), ("k", " SECRETWORD\n")]
)
def test_keys_that_cannot_be_used_are_refused_without_quoting_them(api_key: str, api_secret: str) -> None:
    """A key with a line break would end a header; one with white space around it signs something else."""
    with pytest.raises(ValueError, match=r"the API (key|secret) is empty or has") as caught:
        NAMI.signer(Secrets(api_key=api_key, api_secret=api_secret))
    assert "SECRETWORD" not in str(caught.value)


# --- requests


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"symbol": None}, "symbol"),
        ({"order_id": None}, "order_id"),
        ({"order_id": "0435372"}, "order_id"),
        ({"order_id": "0"}, "order_id"),
        ({"order_id": "abc"}, "order_id"),
        ({"order_id": str(2**63)}, "order_id"),
        ({"params": {"allow_notification": "yes"}}, "allow_notification"),
        ({"params": {"allow_notification": 1}}, "allow_notification"),
        ({"params": {"notify": True}}, "notify"),
    ],
)
def test_a_cancel_that_cannot_be_built_is_refused_by_the_fields_name(fields: dict[str, Any], named: str) -> None:
    """The sender learns which field is missing or wrong, and nothing is sent."""
    refused = NAMI.request(cancel(**fields), "unused")
    assert isinstance(refused, Refused)
    assert refused.code == "invalid_command"
    assert named in refused.message


def test_the_largest_id_passes() -> None:
    """Ids are 64-bit whole numbers."""
    assert str(2**63 - 1).encode() in built(order_id=str(2**63 - 1)).body


def test_there_is_nothing_to_close_or_cancel_at_once() -> None:
    """Spot has no positions, and the venue's bulk cancel has no known signing rule."""
    common: dict[str, Any] = {"command_id": "c", "venue": "nami", "account": "main", "not_after": NOT_AFTER}
    for command in (Close(symbol="BTCUSDT", **common), CloseAll(**common), CancelAll(**common)):
        refused = NAMI.request(command, "unused")
        assert isinstance(refused, Refused)
        assert refused.code == "unsupported"
        assert NAMI.repeatable(command) is False


def test_the_module_keeps_the_port() -> None:
    """The port is kept: fifty calls a minute and address, twenty of them kept for cancels, which may be repeated."""
    venue: VenueAdapter = NAMI
    assert [(limit.scope, limit.count, limit.period_s, limit.per, limit.cancels_only) for limit in venue.limits] == [
        ("ip", 50, 60.0, "ip", 20)
    ]
    assert built().scopes == ("ip",)
    assert venue.repeatable(cancel())
    assert NamiOptions().timestamp_window_s == 60.0


# --- answers

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


# --- looking


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


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (open_rows(), None),
        (rows(), None),
        (reply({"statusCode": 401, "error": "Unauthorized"}, 401), "auth_failed"),
        (Response(418, {}, b""), "account_restricted"),
        (reply({}, 500), "venue_unavailable"),
        (failure("BROKER_ERROR"), "venue_unavailable"),
    ],
)
def test_the_probe_reads_whatever_will_be_needed(answer: Response, code: str | None) -> None:
    """Open orders, history, trades: what lookups and polls need. It takes the account's own key and changes nothing."""
    paths = ["/api/v4/spot/open", "/api/v4/spot/history", "/api/v4/spot/trade"]
    for refused_at in range(3) if code else [3]:
        found, asked = run(NAMI.probe(), *[rows()] * refused_at, *[answer][: 3 - refused_at])
        assert [(request.method, request.path) for request in asked] == [("GET", path) for path in paths[: len(asked)]]
        assert (found.code if found else None) == code
        assert found is None or asked[-1].endpoint in found.message
