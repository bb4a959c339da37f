"""GMO Coin: signatures, requests and verdicts, against the venue's documents and captured answers."""

import datetime
import json
from typing import Any, Literal

import pytest

from router.venue_protocol import (
    Accepted,
    Look,
    Outcome,
    Refused,
    Request,
    Response,
    Retry,
    Secrets,
    Stamp,
    Unknown,
    VenueAdapter,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions
from schemas.commands import Cancel, CancelAll, Close, CloseAll, Command

NOT_AFTER = datetime.datetime(2026, 11, 21, 12, 0, 30, tzinfo=datetime.UTC)
GMO: VenueAdapter = GmoCoin(GmoCoinOptions())
ONE = "0f9e2c1a-6b5d-5c3e-9a47-2d8f6b1c0e35"
DOCUMENTED = b'{"symbol":"BTC_JPY","side":"BUY","executionType":"LIMIT","timeInForce":"FAS","price":"85201",'
DOCUMENTED += b'"settlePosition":[{"positionId":1000342,"size":"3.44"}]}'


def close(**fields: Any) -> Close:
    """Return the document's close, with other fields where given; `None` takes one away."""
    known: dict[str, Any] = {"position_id": "1000342", "side": "buy", "size": "3.44", "symbol": "BTC_JPY"}
    return Close(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER, **known | fields)


def cancel(**fields: Any) -> Cancel:
    """Return a cancel of the document's order."""
    known: dict[str, Any] = {"order_id": "637000"}
    return Cancel(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER, **known | fields)


def failure(*codes: str, status: int = 1, http: int = 200) -> Response:
    """Return the venue's failure envelope."""
    messages = [{"message_code": code, "message_string": f"about {code}"} for code in codes]
    body = {"status": status, "messages": messages, "responsetime": "2019-03-19T02:15:06.108Z"}
    return Response(http, {}, json.dumps(body).encode())


def body_of(command: Command) -> Any:
    """Return the JSON that a command becomes."""
    request = GMO.request(command, ONE)
    assert isinstance(request, Request), request
    return json.loads(request.body)


# Signing

LONG = "jFRfAL7PiFLvYP6rS9u6TmTjTyVI1z21QXgDqxsCdPkMmN6I"
TEST_MS = 1_700_000_000_000
VECTORS = [
    (LONG, 2085848896000, "GET", "/v1/activeOrders", b"",
     "e6f0c55c381b08f0892daad0c5e27f69050dab787d98e45680802e340849978a"),
    (LONG, 2085848896000, "POST", "/v1/order",
     b'{"symbol": "BTC_JPY", "side": "BUY", "executionType": "MARKET", "size": 0.01}',
     "b6e96f0fe71993d29b50dc8a9a0bebe974fb38749e2ee7aed1e4abb845b063bf"),
    ("hoge", 1721121776490, "GET", "/v1/account/assets", b"",
     "daff080eff4acc3aca91b9cc2ba84c6c1f302a2c7625683c8d80345d988d724d"),
    ("hoge", 1721121776490, "POST", "/v1/order",
     b'{"symbol":"BTC","side":"BUY","executionType":"LIMIT","timeInForce":"FAS","price":"1234000","size":"0.0001"}',
     "5a3fc2c0f55d487fd6e53b0bac35cf6a22ab1c7077763405a4875d351fd0b0f8"),
    ("testsecret", TEST_MS, "GET", "/v1/account/assets", b"",
     "092117ad0f2facd0a5766da9f7598e0d2930a2fecc06b4f9b8868a2690941aff"),
    ("testsecret", TEST_MS, "POST", "/v1/order", b'{"symbol":"BTC"}',
     "04b5106c6f57d5f1b20ff1bd032c39bcb4be254de39ef893bc037b6dd838fb5e"),
    ("testsecret", TEST_MS, "DELETE", "/v1/ws-auth", b'{"token":"x"}',
     "9cd2a01df97eb8b398240d3836c2b6703bd6f7e12638f53e690cb78a24ae8aea"),
    ("testsecret", TEST_MS, "PUT", "/v1/ws-auth", b'{"token":"x"}',
     "b5879dd828b5c70f5af4f0ab566a0306a7d51b146a00d34c518669e035f4027d"),
    ("testsecret", TEST_MS, "POST", "/v1/ws-auth", b"{}",
     "cdfb239015c3c39ef45bdf7e9cda685148eae47b725b7105f1cf2446d6f1d20e"),
    ("testsecret", TEST_MS, "POST", "/v1/cancelOrder", b'{"orderId":637000}',
     "72febfd7564d075548210779382f98980f9ed3bfeee4e7d809b076982f6ea423"),
    ("testsecret", TEST_MS, "POST", "/v1/closeOrder", DOCUMENTED,
     "ca9fe610d4554634b786fd792afa1908c6d82a993e11db6e220bd80fae3c3626"),
]  # fmt: skip
Method = Literal["GET", "POST", "PUT", "DELETE"]


@pytest.mark.parametrize(("secret", "now_ms", "method", "path", "body", "wanted"), VECTORS)
def test_signatures_match_the_vectors(
    secret: str, now_ms: int, method: Method, path: str, body: bytes, wanted: str
) -> None:
    """Timestamp, method, path and body are signed; the query never, the body of PUT and DELETE ws-auth neither."""
    request = Request(method=method, path=path, endpoint="test", query=(("symbol", "BTC_JPY"),), body=body)
    signed = GMO.signer(Secrets(api_key="key", api_secret=secret))(request, Stamp(now_ms, ""))
    assert signed.url == f"https://api.coin.z.com/private{path}?symbol=BTC_JPY"
    assert (signed.method, signed.body) == (method, body)
    content = {"Content-Type": "application/json"} if body else {}
    assert signed.headers == {"API-KEY": "key", "API-TIMESTAMP": str(now_ms), "API-SIGN": wanted} | content


def test_one_signer_signs_many_requests() -> None:
    """A signature does not depend on what was signed before."""
    sign = GMO.signer(Secrets(api_key="key", api_secret="testsecret"))
    request = Request(method="GET", path="/v1/account/assets", endpoint="test")
    assert len({sign(request, Stamp(TEST_MS, "")).headers["API-SIGN"] for _ in range(3)}) == 1


def test_a_public_read_is_not_signed() -> None:
    """What needs no key must not carry one."""
    exchange = GmoCoin(GmoCoinOptions(rest_url="http://a/private/", public_url="http://a/public/"))
    sign = exchange.signer(Secrets(api_key="key", api_secret="testsecret"))
    public = sign(Request(method="GET", path="/v1/status", endpoint="status", public=True), Stamp(1, ""))
    assert (public.url, public.headers) == ("http://a/public/v1/status", {})
    private = sign(
        Request(method="GET", path="/v1/orders", endpoint="orders", query=(("orderId", "1,2"),)), Stamp(1, "")
    )
    assert private.url == "http://a/private/v1/orders?orderId=1,2"


@pytest.mark.parametrize(
    ("key", "secret"), [("", "good"), ("good", ""), ("bad\nkey", "good"), ("good", "sn☃w"), ("good", "\ud800")]
)
def test_a_key_that_cannot_be_used_is_not_quoted(key: str, secret: str) -> None:
    """A wrong key fails when it is prepared, without getting into a log."""
    with pytest.raises(ValueError, match="printable ASCII") as raised:
        GMO.signer(Secrets(api_key=key, api_secret=secret))
    assert "sn" not in str(raised.value).replace("ASCII", "")
    assert "bad" not in str(raised.value)


# Requests


def test_the_documents_close_comes_out_byte_for_byte() -> None:
    """The document's example, key by key, compact."""
    command = close(order_type="limit", price="85201", time_in_force="gtc")
    wanted = Request(method="POST", path="/v1/closeOrder", endpoint="closeOrder", body=DOCUMENTED, scopes=("post",))
    assert GMO.request(command, ONE) == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, {"side": "BUY", "executionType": "MARKET"}),
        ({"side": "sell"}, {"side": "SELL", "executionType": "MARKET"}),
        ({"order_type": "limit", "price": "1.50"}, {"executionType": "LIMIT", "price": "1.50"}),
        ({"order_type": "stop", "price": "1"}, {"executionType": "STOP", "price": "1"}),
        ({"time_in_force": "ioc"}, {"timeInForce": "FAK"}),
        ({"time_in_force": "fok"}, {"timeInForce": "FOK"}),
        ({"time_in_force": "gtc"}, {"timeInForce": "FAS"}),
        ({"order_type": "limit", "price": "1", "time_in_force": "post_only"}, {"timeInForce": "SOK"}),
        ({"side": "sell", "params": {"cancel_before": True}}, {"cancelBefore": True}),
        ({"side": "sell", "time_in_force": "ioc", "params": {"cancel_before": True}}, {"cancelBefore": True}),
        ({"symbol": "ETH_JPY"}, {"symbol": "ETH_JPY"}),
        (
            {"position_id": "9223372036854775807", "size": "0.010"},
            {"settlePosition": [{"positionId": 9223372036854775807, "size": "0.010"}]},
        ),
    ],
)
def test_every_parameter_reaches_the_venue(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    """A field becomes what the venue calls it, its text unchanged."""
    body = body_of(close(**fields))
    assert {key: body[key] for key in wanted} == wanted


def test_what_was_not_asked_for_is_left_out() -> None:
    """Without time in force, price or cancel_before the venue's documented defaults hold."""
    wanted = ["symbol", "side", "executionType", "settlePosition"]
    assert list(body_of(close())) == wanted
    assert list(body_of(close(params={"cancel_before": False}))) == wanted


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        (close(position_id=None), "invalid_command", "position_id"),
        (close(side=None), "invalid_command", "side"),
        (close(size=None), "invalid_command", "size"),
        (close(position_id="x1"), "invalid_command", "position_id"),
        (close(position_id="01000342"), "invalid_command", "position_id"),
        (close(position_id="0"), "invalid_command", "position_id"),
        (close(position_id="9223372036854775808"), "invalid_command", "position_id"),
        (close(order_type="limit"), "invalid_command", "price"),
        (close(order_type="stop"), "invalid_command", "price"),
        (close(price="1"), "invalid_command", "price"),
        (close(params={"cancel_before": "yes"}), "invalid_command", "cancel_before"),
        (close(params={"foo": 1}), "invalid_command", "foo"),
        (close(time_in_force="post_only"), "unsupported", "time_in_force"),
        (close(order_type="stop", price="1", time_in_force="post_only"), "unsupported", "time_in_force"),
        (close(params={"cancel_before": True}), "unsupported", "cancel_before"),
        (close(side="sell", time_in_force="fok", params={"cancel_before": True}), "unsupported", "cancel_before"),
        (
            close(side="sell", order_type="limit", price="1", params={"cancel_before": True}),
            "unsupported",
            "cancel_before",
        ),
        (cancel(order_id=None, target_command_id="x"), "invalid_command", "order_id"),
        (cancel(order_id="6e5"), "invalid_command", "order_id"),
        (cancel(params={"cancel_before": True}), "invalid_command", "cancel_before"),
        (CloseAll(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER), "unsupported", "type"),
        (CancelAll(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER), "unsupported", "type"),
    ],
)
def test_what_the_venue_cannot_honour_is_refused_by_name(command: Command, code: str, named: str) -> None:
    """Nothing is silently ignored: the refusal names the field."""
    refused = GMO.request(command, ONE)
    assert isinstance(refused, Refused)
    assert (refused.code, named in refused.message) == (code, True)


def test_a_cancel_sends_the_number() -> None:
    """The order id is a JSON number; the symbol is allowed and not needed."""
    wanted = Request(
        method="POST", path="/v1/cancelOrder", endpoint="cancelOrder", body=b'{"orderId":637000}', scopes=("post",)
    )
    assert GMO.request(cancel(), ONE) == wanted
    assert GMO.request(cancel(symbol="BTC_JPY"), ONE) == wanted


def test_only_a_cancel_may_be_repeated() -> None:
    """The venue has no client order id, so a second close may close more."""
    assert GMO.repeatable(cancel())
    assert not GMO.repeatable(close())


def test_closes_of_one_position_exclude_each_other() -> None:
    """The position's id is what one close at a time may touch."""
    assert GMO.position(close()) == "1000342"


# Verdicts. The classes are the venue's table, typed out: (code, close, cancel). "-" = not an answer to that command.

TABLE = """
ERR-70    invalid_command        -
ERR-151   Unknown                Look
ERR-189   insufficient_position  -
ERR-200   insufficient_position  -
ERR-201   insufficient_funds     -
ERR-208   insufficient_funds     -
ERR-254   Look                   -
ERR-422   Look                   -
ERR-430   venue_rejected         -
ERR-554   Unknown                Unknown
ERR-626   Unknown                Unknown
ERR-635   venue_rejected         -
ERR-682   account_restricted!    account_restricted!
ERR-683   account_restricted!    account_restricted!
ERR-754   -                      -
ERR-846   -                      -
ERR-5003  Retry:rate_limited     Retry:rate_limited
ERR-5007  auth_failed!           auth_failed!
ERR-5008  Retry:clock_skew*2     Retry:clock_skew*2
ERR-5009  Retry:clock_skew*2     Retry:clock_skew*2
ERR-5010  auth_failed!           auth_failed!
ERR-5011  auth_failed!           auth_failed!
ERR-5012  auth_failed!           auth_failed!
ERR-5014  account_restricted!    account_restricted!
ERR-5106  invalid_command        invalid_command
ERR-5111  invalid_command        -
ERR-5114  invalid_command        -
ERR-5118  venue_rejected         -
ERR-5121  invalid_price          -
ERR-5122  -                      Look
ERR-5123  -                      order_not_found
ERR-5125  account_restricted!    account_restricted!
ERR-5126  invalid_size           -
ERR-5127  account_restricted!    account_restricted!
ERR-5129  invalid_price          -
ERR-5133  -                      -
ERR-5135  -                      -
ERR-5201  Retry:venue_maintenance  Retry:venue_maintenance
ERR-5202  Retry:venue_maintenance  Retry:venue_maintenance
ERR-5203  Retry:venue_maintenance  Retry:venue_maintenance
ERR-5204  venue_rejected!        venue_rejected!
ERR-5206  -                      -
ERR-5207  -                      -
ERR-5208  -                      -
ERR-143   -                      -
ERR-760   -                      -
ERR-5105  -                      -
ERR-5218  -                      -
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


def word(outcome: Outcome) -> str:
    """Return an outcome as the table writes it."""
    match outcome:
        case Refused():
            return f"{outcome.code}{'!' if outcome.alert else ''}"
        case Retry():
            return f"Retry:{outcome.code}{f'*{outcome.tries}' if outcome.tries else ''}"
        case Unknown():
            return "Unknown"
        case _:
            return type(outcome).__name__


@pytest.mark.parametrize(("code", "on_close", "on_cancel"), ROWS)
@pytest.mark.parametrize("http", [200, 400, 404])
def test_every_code_means_what_the_table_says(code: str, on_close: str, on_cancel: str, http: int) -> None:
    """The code decides at any HTTP status; one that is no answer to the command leaves it in doubt."""
    for command, wanted in ((close(), on_close), (cancel(), on_cancel)):
        outcome = GMO.verdict(command, failure(code, http=http))
        assert word(outcome) == ("Unknown" if wanted == "-" else wanted)
        assert outcome.venue_code == code
        assert getattr(outcome, "message", "") == f"about {code}"


@pytest.mark.parametrize(("code", "on_close", "on_cancel"), ROWS)
def test_a_5xx_only_says_not_processed(code: str, on_close: str, on_cancel: str) -> None:
    """Behind a gateway error a refusal proves nothing; a throttle, a clock or maintenance still does."""
    for command, wanted in ((close(), on_close), (cancel(), on_cancel)):
        outcome = word(GMO.verdict(command, failure(code, http=503)))
        assert outcome == (wanted if wanted.startswith("Retry") else "Unknown")


def test_waits_are_long_enough() -> None:
    """A throttle waits a second at least, maintenance five to thirty."""
    for code, least, most in (("ERR-5003", 1, 5), ("ERR-5201", 5, 30), ("ERR-5202", 5, 30), ("ERR-5203", 5, 30)):
        outcome = GMO.verdict(close(), failure(code, status=4))
        assert isinstance(outcome, Retry)
        assert least <= outcome.after_s <= most


def test_the_first_of_several_codes_speaks_unless_one_is_in_doubt() -> None:
    """Several refusals are a refusal; one code that is not known to be one leaves a close in doubt."""
    assert word(GMO.verdict(close(), failure("ERR-5126", "ERR-5106"))) == "invalid_size"
    assert GMO.verdict(close(), failure("ERR-5126", "ERR-626")) == Unknown(
        venue_code="ERR-626", message="about ERR-626"
    )
    assert isinstance(GMO.verdict(close(), failure("ERR-5126", "ERR-999")), Unknown)


def test_a_close_is_accepted_with_its_order_id() -> None:
    """The answer holds the new order's id as text and nothing else of the order."""
    body = b'{"status":0,"data":"637000","responsetime":"2019-03-19T01:07:24.557Z"}'
    assert GMO.verdict(close(), Response(200, {}, body)) == Accepted(order_id="637000")


def test_a_cancel_is_accepted_without_data() -> None:
    """The answer names nothing: the order is the one that was asked for."""
    body = b'{"status":0,"responsetime":"2019-03-19T01:07:24.557Z"}'
    assert GMO.verdict(cancel(), Response(200, {}, body)) == Accepted(order_id="637000")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"status":0,"data":"637000"}'),
        (201, b'{"status":0,"data":"637000"}'),
        (200, b'{"status":0}'),
        (200, b'{"status":0,"data":null}'),
        (200, b'{"status":0,"data":""}'),
        (200, b'{"status":0,"data":637000.5}'),
        (200, b'{"status":0,"data":-637000}'),
        (200, b'{"status":0,"data":true}'),
        (200, b'{"status":0,"data":["637000"]}'),
        (200, b'{"status":0,"data":{"orderId":"637000"}}'),
        (200, b'{"status":0,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
        (200, b'{"status":1,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
        (200, b'{"status":1}'),
        (200, b'{"status":1,"messages":[]}'),
        (200, b'{"status":1,"messages":[{"message_code":189}]}'),
        (200, b'{"status":1,"messages":{"message_code":"ERR-189"}}'),
        (200, b'{"status":"0","data":"637000"}'),
        (200, b'{"status":false,"data":"637000"}'),
        (200, b'{"data":"637000"}'),
        (200, b'{"status":0,"data":"637000"'),
        (200, b"<html>502</html>"),
        (200, b"null"),
        (200, b"\xff"),
        (200, b'"\\ud800"'),
        (200, b"[" * 50_000),
        (200, b'{"status":' + b"9" * 5_000 + b"}"),
        (429, b""),
        (429, b"Too Many Requests"),
        (408, b""),
        (425, b""),
        (404, b""),
        (502, b""),
    ],
)
def test_a_close_that_is_not_clearly_answered_is_in_doubt(status: int, body: bytes) -> None:
    """Success is only the documented one, a refusal only a documented code; an undocumented 429 proves nothing."""
    assert isinstance(GMO.verdict(close(), Response(status, {}, body)), Unknown)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"status":0,"data":"637000"}'),
        (200, b'{"status":0,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
        (200, b'{"status":1,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
    ],
)
def test_an_order_that_an_ambiguous_answer_names_is_kept(status: int, body: bytes) -> None:
    """It is what the lookup reads first; a cancel's answer names nothing new."""
    outcome = GMO.verdict(close(), Response(status, {}, body))
    assert isinstance(outcome, Unknown)
    assert outcome.order_id == "637000"
    assert getattr(GMO.verdict(cancel(), Response(status, {}, body)), "order_id", None) is None


def test_an_order_id_may_be_a_number() -> None:
    """Every other id of this venue is one."""
    outcome = GMO.verdict(close(), Response(200, {}, b'{"status":0,"data":637000}'))
    assert outcome == Accepted(order_id="637000")


@pytest.mark.parametrize("body", [b"", b"<html>", b"Unauthorized", b'{"message":"Forbidden"}', b'{"status":1}'])
@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
def test_a_401_or_403_without_a_code_was_not_executed(command: Command, body: bytes) -> None:
    """An edge refused it, before the venue: a few tries, then an operator."""
    assert word(GMO.verdict(command, Response(401, {}, body))) == "Retry:auth_failed*2"
    assert word(GMO.verdict(command, Response(403, {}, body))) == "account_restricted!"


def test_a_401_with_a_code_that_nobody_documented_was_not_executed() -> None:
    """The status alone says that it went no further, unless the code says otherwise."""
    assert word(GMO.verdict(close(), failure("ERR-9999", http=401))) == "Retry:auth_failed*2"
    assert word(GMO.verdict(close(), failure("ERR-626", http=401))) == "Unknown"


def test_a_cancel_with_data_is_not_clearly_answered() -> None:
    """A cancel's success has no data: what it would mean is not known."""
    assert isinstance(GMO.verdict(cancel(), Response(200, {}, b'{"status":0,"data":{"failed":[1]}}')), Unknown)


def test_maintenance_is_read_without_a_response_time() -> None:
    """The captured envelope of maintenance is shorter than every other."""
    body = (
        b'{"status":5,"messages":[{"message_code":"ERR-5201","message_string":"MAINTENANCE. Please wait for a while"}]}'
    )
    assert word(GMO.verdict(close(), Response(200, {}, body))) == "Retry:venue_maintenance"


def test_look_keeps_the_code_for_the_lookup() -> None:
    """What the venue said decides, together with the reads, whether a position is gone."""
    assert GMO.verdict(close(), failure("ERR-254")) == Look(venue_code="ERR-254", message="about ERR-254")


# Probe


ENDPOINTS = ("activeOrders", "latestExecutions", "openPositions", "orders", "executions", "symbols")
NOTHING = Response(200, {}, b'{"status":0,"data":{}}')


def probed(*answers: Response) -> tuple[Refused | None, list[Request]]:
    """Return what the probe makes of these answers, and what it asked for."""
    flow, asked = GMO.probe(), list[Request]()
    try:
        asked.append(next(flow))
        for answer in answers:
            asked.append(flow.send(answer))
    except StopIteration as stop:
        found: Refused | None = stop.value
        return found, asked
    raise AssertionError("the probe asks on")


def test_the_probe_reads_whatever_lookups_and_the_feed_will_need() -> None:
    """Permission is per function of a key: one smaller read would hide that a lookup can never end."""
    found, asked = probed(*[NOTHING] * 6)
    assert found is None
    assert [request.endpoint for request in asked] == list(ENDPOINTS)
    assert {request.method for request in asked} == {"GET"}


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize(
    ("response", "code"),
    [
        (failure("ERR-5012"), "auth_failed"),
        (failure("ERR-5008"), "clock_skew"),
        (failure("ERR-5201", status=5), "venue_maintenance"),
        (Response(401, {}, b""), "auth_failed"),
        (Response(403, {}, b"<html>"), "account_restricted"),
        (Response(503, {}, b"<html>"), "venue_unavailable"),
    ],
)
def test_the_probe_names_what_is_refused(place: int, response: Response, code: str) -> None:
    """The first read that fails ends it."""
    found, asked = probed(*[NOTHING] * place, response)
    assert found is not None
    assert (found.code, len(asked)) == (code, place + 1)
    assert ENDPOINTS[place] in found.message


def test_an_order_that_nobody_knows_is_an_answer() -> None:
    """The probe asks for order 1: whatever the venue says of it, it was allowed to ask."""
    for code in ("ERR-5123", "ERR-430", "ERR-5106", "ERR-999"):
        assert probed(*[NOTHING] * 3, failure(code), failure(code), NOTHING)[0] is None
    found, _ = probed(failure("ERR-999"))
    assert found is not None
    assert found.code == "venue_unavailable"
