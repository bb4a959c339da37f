"""GMO Coin's order feed: the token's life, subscriptions, what each frame means, and what a reconnect reads."""

import json
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response, Secrets, Stamp
from router.venue_protocol.stream import (
    Ask,
    Broken,
    Change,
    Changes,
    Connect,
    Feed,
    Known,
    Missed,
    Ready,
    Say,
    Stream,
    Want,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions

FEED: Feed = GmoCoin(GmoCoinOptions())
SIGN = GmoCoin(GmoCoinOptions()).signer(Secrets(api_key="k", api_secret="testsecret"))
TOKEN = "xxxxxxxxxxxxxxxxxxxx"
MINUTE = 60_000
FIXTURES = sorted((Path(__file__).parents[2] / "fixtures/gmo_coin").glob("stream_*.json"))
OK = b'{"status":0,"responsetime":"2019-03-19T02:15:06.108Z"}'
DATE = "Sat, 21 Nov 2026 12:00:00 GMT"
NOW_MS = 1_795_262_400_000


def at(now_ms: int) -> Stamp:
    """Return a stamp."""
    return Stamp(now_ms, "n")


def fixture(name: str) -> dict[str, Any]:
    """Return a document's own message."""
    found = next(path for path in FIXTURES if path.stem == f"stream_{name}")
    known: dict[str, Any] = json.loads(found.read_bytes())
    return known


def edited(name: str, **fields: Any) -> str:
    """Return a document's own message with other values."""
    return json.dumps(json.loads(fixture(name)["frame"]) | fields)


def refusal(code: str, status: int = 1) -> bytes:
    """Return an error's body."""
    message = {"message_code": code, "message_string": "text"}
    return json.dumps({"status": status, "messages": [message], "responsetime": "2019-03-19T02:15:06.108Z"}).encode()


def answer(stream: Stream, wants: Sequence[Want], body: bytes | None, now_ms: int, status: int = 200) -> Sequence[Want]:
    """Answer the one thing that the stream asks for; no body is no answer."""
    (ask,) = wants
    assert isinstance(ask, Ask)
    return stream.answered(ask.request, None if body is None else Response(status, {}, body), at(now_ms))


def connected(token: str = TOKEN) -> Stream:
    """Return a stream whose socket is open, at time 0."""
    stream = FEED.stream(None)
    assert stream is not None
    body = json.dumps({"status": 0, "data": token, "responsetime": "2019-03-19T02:15:06.108Z"}).encode()
    assert isinstance(answer(stream, stream.begin(at(0)), body, 0)[0], Connect)
    stream.opened(at(0))
    return stream


def live() -> Stream:
    """Return a stream that has said that it is ready."""
    stream = connected()
    assert stream.tick(at(6_000)) == (Ready(),)
    return stream


def heard(stream: Stream, frame: str | bytes) -> Change:
    """Return the one change that a frame reports."""
    (changes,) = stream.heard(frame, at(10_000))
    assert isinstance(changes, Changes)
    (change,) = changes.changes
    return change


# The token


def test_a_connection_begins_with_a_token_of_its_own() -> None:
    """The token is asked for with the documented body and is the last part of the socket's address."""
    stream = FEED.stream(None)
    assert stream is not None
    (ask,) = stream.begin(at(0))
    assert isinstance(ask, Ask)
    assert (ask.request.method, ask.request.path, ask.request.body) == ("POST", "/v1/ws-auth", b"{}")
    body = json.dumps({"status": 0, "data": TOKEN, "responsetime": "2019-03-19T02:15:06.108Z"}).encode()
    wants = answer(stream, [ask], body, 0)
    assert wants == (Connect(f"wss://api.coin.z.com/ws/private/v1/{TOKEN}"),)
    assert TOKEN not in repr(wants)


@pytest.mark.parametrize(
    "body",
    [None, b"<html>", b'{"status":0}', b'{"status":0,"data":{}}', b'{"status":0,"data":""}', refusal("ERR-5012"),
     refusal("ERR-5201", 5), b'{"status":0,"data":"a b"}'],
)  # fmt: skip
def test_no_token_no_connection(body: bytes | None) -> None:
    """Whatever is not a token breaks the stream."""
    stream = FEED.stream(None)
    assert stream is not None
    (broken,) = answer(stream, stream.begin(at(0)), body, 0)
    assert isinstance(broken, Broken)
    assert broken.reason.startswith("ws_auth: ")


def test_a_token_is_extended_every_fifteen_minutes() -> None:
    """The extension sends the token in a body that is not signed, long before the hour is over."""
    stream = live()
    assert not stream.tick(at(15 * MINUTE - 1))
    (ask,) = stream.tick(at(15 * MINUTE))
    assert isinstance(ask, Ask)
    assert (ask.request.method, ask.request.body) == ("PUT", b'{"token":"%s"}' % TOKEN.encode())
    unsigned = Request(method="PUT", path="/v1/ws-auth", endpoint="ws_auth")
    assert SIGN(ask.request, at(1)).headers["API-SIGN"] == SIGN(unsigned, at(1)).headers["API-SIGN"]
    assert TOKEN not in repr(ask)
    assert not answer(stream, [ask], OK, 15 * MINUTE)
    assert not stream.tick(at(30 * MINUTE - 1))
    assert stream.tick(at(30 * MINUTE))


@pytest.mark.parametrize("code", ["ERR-5106", "ERR-5012", "ERR-9999"])
def test_a_refused_extension_breaks_the_stream(code: str) -> None:
    """A token that the venue does not know any more was evicted: a new one is needed, and a gap is to be filled."""
    stream = live()
    (broken,) = answer(stream, stream.tick(at(15 * MINUTE)), refusal(code), 15 * MINUTE)
    assert isinstance(broken, Broken)
    assert code in broken.reason


@pytest.mark.parametrize("body", [None, b"<html>", refusal("ERR-5003", 4), refusal("ERR-5201", 5)])
def test_an_extension_that_fails_in_passing_is_tried_again_for_a_while(body: bytes | None) -> None:
    """A lost answer says nothing about the token, but its hour must not run out unnoticed."""
    stream = live()
    assert not answer(stream, stream.tick(at(15 * MINUTE)), body, 15 * MINUTE)
    assert not stream.tick(at(15 * MINUTE + 59_000))
    assert not answer(stream, stream.tick(at(16 * MINUTE)), body, 16 * MINUTE)
    (broken,) = answer(stream, stream.tick(at(45 * MINUTE)), body, 45 * MINUTE)
    assert isinstance(broken, Broken)


def test_the_token_is_deleted_at_the_end() -> None:
    """An account has five tokens; one that was never given needs no goodbye."""
    (ask,) = live().end(at(1))
    assert isinstance(ask, Ask)
    assert (ask.request.method, ask.request.body) == ("DELETE", b'{"token":"%s"}' % TOKEN.encode())
    assert not live().answered(ask.request, None, at(1))
    fresh = FEED.stream(None)
    assert fresh is not None
    assert not fresh.end(at(1))


# Subscriptions


def test_three_channels_are_subscribed_more_than_a_second_apart() -> None:
    """Orders, executions and positions, in the documented words; ready only when no refusal has come."""
    stream = FEED.stream(None)
    assert stream is not None
    said = stream.opened(at(0))
    assert [json.loads(say.text) for say in said if isinstance(say, Say)] == [
        {"command": "subscribe", "channel": name} for name in ("orderEvents", "executionEvents", "positionEvents")
    ]
    assert all(isinstance(say, Say) and say.pace_s > 1.0 for say in said)
    assert not stream.tick(at(5_000))
    assert stream.tick(at(6_000)) == (Ready(),)
    assert not stream.tick(at(7_000))


def test_a_subscription_said_too_soon_is_said_again_before_anything_counts_as_live() -> None:
    """ERR-5003 names no channel, so all are said again, at most three times."""
    stream = connected()
    for start in (0, 6_000):
        assert not stream.heard(fixture("subscribe_too_soon")["frame"], at(start + 100))
        assert not stream.heard(fixture("subscribe_too_soon")["frame"], at(start + 200))
        assert not stream.tick(at(start + 4_000))
        assert len(stream.tick(at(start + 6_000))) == 3
    assert not stream.tick(at(17_000))
    assert stream.tick(at(18_000)) == (Ready(),)


def test_subscriptions_that_stay_refused_break_the_stream() -> None:
    """Somebody else subscribes from this IP all the time: begin again, later."""
    stream = connected()
    seen: list[Want] = []
    for start in (0, 6_000, 12_000):
        stream.heard(fixture("subscribe_too_soon")["frame"], at(start))
        seen += stream.tick(at(start + 6_000))
    assert isinstance(seen[-1], Broken)
    assert Ready() not in seen


@pytest.mark.parametrize("error", ["ERR-5012 Unauthorized.", "ERR-5106 …", f"no {TOKEN}", {"a": 1}, None])
def test_an_error_frame_breaks_a_stream_that_would_be_silent(error: object) -> None:
    """The socket stays open after an error, and nothing ever comes; the reason does not quote the token."""
    for stream in (connected(), live()):
        (broken,) = stream.heard(json.dumps({"error": error}), at(7_000))
        assert isinstance(broken, Broken)
        assert TOKEN not in broken.reason


def test_too_many_requests_on_a_live_stream_break_it() -> None:
    """Nothing was to be subscribed any more, so it is not known what is missing."""
    (broken,) = live().heard(fixture("subscribe_too_soon")["frame"], at(7_000))
    assert isinstance(broken, Broken)


# Events


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_documented_frame_means_what_the_documents_say(path: Path) -> None:
    """Each sample message of the documents, with its own object as `raw`."""
    known = json.loads(path.read_bytes())
    for frame in (known["frame"], known["frame"].encode()):
        wants = connected().heard(frame, at(1))
        found = [change for want in wants if isinstance(want, Changes) for change in want.changes]
        raw = json.loads(frame)
        assert found == [msgspec.convert(change | {"raw": raw}, Change) for change in known["changes"]]
        assert not any(isinstance(want, Broken) for want in wants)


@pytest.mark.parametrize(
    ("status", "executed", "expected"),
    [("WAITING", "0", "working"), ("ORDERED", "0", "working"), ("ORDERED", "0.3", "partially_filled"),
     ("CANCELED", "0.3", "canceled"), ("EXPIRED", "0.3", "expired"), ("EXPIRED", "0.8", "filled"),
     ("ORDERED", "0.80", "filled"), ("LATER", "0", None)],
)  # fmt: skip
def test_an_orders_status_follows_the_venues_word_and_the_sizes(
    status: str, executed: str, expected: str | None
) -> None:
    """What is executed wholly is filled whatever the word; a word nobody knows says nothing."""
    change = heard(live(), edited("order_canceled", orderStatus=status, orderExecutedSize=executed))
    assert (change.status, change.filled_size) == (expected, executed)
    assert change.cancel_reason == ("USER" if expected in {"canceled", "expired"} else None)


def test_the_reason_of_a_live_order_is_no_reason_of_its_end() -> None:
    """SOK_TAKER and PRICE_LIMIT come with ORDERED."""
    assert heard(live(), edited("order_canceled", orderStatus="ORDERED", cancelType="SOK_TAKER")).cancel_reason is None


def test_a_losscut_elsewhere_is_told_like_any_order() -> None:
    """A liquidation's order nobody commanded has its type, its force and no price."""
    frame = edited(
        "order_canceled", settleType="LOSS_CUT", executionType="MARKET", orderPrice="0", timeInForce="FAK",
        orderStatus="ORDERED", side="SELL",
    )  # fmt: skip
    change = heard(live(), frame)
    assert (change.order_type, change.price, change.time_in_force, change.side) == ("market", None, "ioc", "sell")


def test_only_executions_tell_that_an_order_is_filled() -> None:
    """The venue's own sum reaches the order's size: filled, with the fill that did it."""
    change = heard(live(), edited("execution", orderExecutedSize="0.8", executionId=2, positionId=7))
    assert (change.status, change.filled_size) == ("filled", "0.8")
    assert change.last_fill is not None
    assert (change.last_fill.execution_id, change.last_fill.position_id) == ("2", "7")


def test_a_makers_fee_is_negative_and_a_spot_execution_has_no_position() -> None:
    """The fee keeps its sign; what is not there stays out."""
    known = json.loads(fixture("execution")["frame"]) | {"fee": "-5"}
    del known["positionId"]
    fill = heard(live(), json.dumps(known)).last_fill
    assert fill is not None
    assert (fill.fee, fill.fee_asset, fill.position_id) == ("-5", "JPY", None)


@pytest.mark.parametrize(
    "frame",
    ["", "{", b"\xff", "[" * 100_000, '"\ud800"', edited("order_canceled", orderId="x"),
     edited("order_canceled", orderSize="many"), edited("execution", executionId=None),
     edited("execution", executionSize=None), edited("order_canceled", orderStatus=None),
     edited("execution", orderExecutedSize=None)],
    ids=range(11),
)  # fmt: skip
def test_an_event_that_cannot_be_read_is_a_gap(frame: str | bytes) -> None:
    """What was not understood may have been an order's end."""
    (broken,) = live().heard(frame, at(7_000))
    assert isinstance(broken, Broken)


@pytest.mark.parametrize("name", ["order_canceled", "execution"])
@pytest.mark.parametrize(
    "missing",
    ["timeInForce", "symbol", "side", "executionType", "orderPrice", "cancelType", "orderTimestamp", "msgType"],
)
def test_an_event_needs_ids_sizes_and_a_status_only(name: str, missing: str) -> None:
    """Executions have come without `timeInForce`; what is left out stays unsaid."""
    known = json.loads(fixture(name)["frame"])
    whole = heard(live(), json.dumps(known))
    known.pop(missing, None)
    change = heard(live(), json.dumps(known))
    assert (change.order_id, change.status, change.filled_size) == (whole.order_id, whole.status, whole.filled_size)


@pytest.mark.parametrize(("fee", "said"), [(12, "12"), (-171, "-171"), (0.5, "0.5"), ("7", "7"), (None, None)])
def test_a_fee_may_be_a_number(fee: object, said: str | None) -> None:
    """Nothing is decided on it."""
    fill = heard(live(), edited("execution", fee=fee)).last_fill
    assert fill is not None
    assert (fill.fee, fill.fee_asset) == (said, "JPY" if said else None)


def test_an_odd_symbol_is_left_out() -> None:
    """It would become part of a routing key."""
    assert heard(live(), edited("order_canceled", symbol="a b\n")).symbol is None


@pytest.mark.parametrize("frame", ["1", "[]", "null", "{}", '{"channel":"positionSummaryEvents"}', '{"channel":[]}'])
def test_what_is_no_order_event_is_passed_over(frame: str) -> None:
    """Other channels and shapes are none of ours."""
    assert not live().heard(frame, at(7_000))


def test_a_raw_object_that_no_codec_takes_is_left_out() -> None:
    """A field beyond 64 bits must not stop the event from being published."""
    assert heard(live(), edited("order_canceled", more=2**70)).raw is None


WORDS = sorted({word for path in FIXTURES for word in json.loads(json.loads(path.read_bytes())["frame"])})
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS)
SHAPES = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner)
)


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_stream_survives_any_bytes(data: st.DataObject) -> None:
    """Whatever comes, a stream wants things and never raises, and what it reports can be encoded."""
    stream = connected()
    change = st.dictionaries(st.sampled_from(WORDS), SHAPES, max_size=3)
    samples = st.sampled_from([json.loads(json.loads(path.read_bytes())["frame"]) for path in FIXTURES])
    shaped = (SHAPES | st.builds(lambda sample, other: sample | other, samples, change)).map(json.dumps)
    wants = stream.heard(data.draw(st.binary(max_size=40) | st.text(max_size=40) | shaped), at(1))
    body = data.draw(st.binary(max_size=40) | shaped.map(str.encode))
    for method in ("POST", "PUT", "DELETE"):
        request = msgspec.convert({"method": method, "path": "/v1/ws-auth", "endpoint": "ws_auth"}, Request)
        wants = [*wants, *stream.answered(request, Response(200, {}, body), at(2))]
    assert all(isinstance(want, get_args(Want)) for want in wants)
    for want in wants:
        if isinstance(want, Changes):
            msgspec.json.encode(want.changes)
            msgspec.msgpack.encode(want.changes)


# Reconciliation

Reads = Callable[[Request], Any]


def envelope(rows: Any) -> bytes:
    """Return a page's body; no rows is what the venue sends for none."""
    return json.dumps({"status": 0, "data": {"list": rows} if rows else {}, "responsetime": "…"}).encode()


SYMBOLS = b'{"status":0,"data":[{"symbol":"BTC_JPY"}],"responsetime":"..."}'


def drive(
    flow: Generator[Request, Response, Missed], read: Reads, date: str = DATE, *, listed: bool = False
) -> tuple[Missed, list[str]]:
    """Run a reconciliation on canned reads: rows, or a whole body. `listed`: the symbols are read like the rest."""
    asked: list[str] = []
    try:
        request = next(flow)
        while True:
            assert request.method == "GET"
            assert request.scopes == (("public",) if request.public else ("get",))
            asked.append(request.endpoint + "?" + "&".join(f"{name}={value}" for name, value in request.query))
            found = SYMBOLS if request.endpoint == "symbols" and not listed else read(request)
            request = flow.send(Response(200, {"date": date}, found if isinstance(found, bytes) else envelope(found)))
    except StopIteration as stop:
        missed: Missed = stop.value
        return missed, asked


def order(order_id: int, status: str, executed: str = "0", **fields: Any) -> dict[str, Any]:
    """Return a row of orders."""
    return {
        "rootOrderId": order_id, "orderId": order_id, "symbol": "BTC_JPY", "side": "SELL", "orderType": "NORMAL",
        "executionType": "LIMIT", "settleType": "CLOSE", "size": "1", "executedSize": executed, "price": "840",
        "losscutPrice": "0", "status": status, "timeInForce": "FAS", "timestamp": "2026-11-21T11:00:00.000Z",
    } | fields  # fmt: skip


def execution(execution_id: int, order_id: int, time: str = "2026-11-21T11:59:00.000Z") -> dict[str, Any]:
    """Return a row of executions."""
    return {
        "executionId": execution_id, "orderId": order_id, "positionId": 9, "symbol": "BTC_JPY", "side": "SELL",
        "settleType": "CLOSE", "size": "0.5", "price": "840", "lossGain": "0", "fee": "12", "timestamp": time,
    }  # fmt: skip


def test_a_gap_is_filled_from_active_orders_executions_and_orders() -> None:
    """Known orders that ended, orders that appeared, orders of strangers that were executed: the present of each."""
    rows = {1: order(1, "CANCELED", "0.5", cancelType="USER"), 2: order(2, "EXECUTED", "1", orderType="LOSSCUT")}

    def read(request: Request) -> Any:
        if request.endpoint == "activeOrders":
            return [order(3, "ORDERED")] if ("symbol", "BTC_JPY") in request.query else []
        if request.endpoint == "latestExecutions":
            old = execution(5, 4, "2026-11-21T11:00:00.000Z")
            return [execution(7, 2), execution(8, 2), old] if ("symbol", "BTC_JPY") in request.query else []
        return [rows[int(text)] for text in dict(request.query)["orderId"].split(",")]

    known = Known(since_ms=NOW_MS - 5 * MINUTE, open_orders=(("1", "BTC_JPY"), ("x", None)), symbols=("ETH_JPY",))
    missed, asked = drive(FEED.reconcile(known), read)
    assert missed.complete
    assert [(change.order_id, change.status, change.filled_size) for change in missed.changes] == [
        ("1", "canceled", "0.5"), ("2", "filled", "1"), ("3", "working", "0"),
    ]  # fmt: skip
    first, second, _ = missed.changes
    assert (first.cancel_reason, first.last_fill, first.raw) == ("USER", None, rows[1])
    assert second.last_fill is not None
    assert (second.last_fill.execution_id, second.last_fill.position_id, second.last_fill.fee) == ("8", "9", "12")
    assert second.venue_time == "2026-11-21T11:59:00.000Z"
    assert asked[-1] == "orders?orderId=1,2"
    assert asked[0] == "symbols?"
    assert len(asked) == 6


def test_orders_are_read_in_tens() -> None:
    """The venue takes ten ids at a time."""
    known = Known(since_ms=NOW_MS, open_orders=tuple((str(number), None) for number in range(1, 24)))
    missed, asked = drive(
        FEED.reconcile(known),
        lambda request: (
            [order(int(text), "EXECUTED", "1") for text in dict(request.query)["orderId"].split(",")]
            if request.endpoint == "orders"
            else []
        ),
    )
    assert [len(query.split(",")) for query in asked[3:]] == [10, 10, 3]
    assert len(missed.changes) == 23


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "orders", "symbols"])
@pytest.mark.parametrize("body", [refusal("ERR-5003", 4), b"<html>", b'{"status":0}', envelope([{"orderId": "x"}])])
def test_a_read_that_fails_leaves_the_gap_open(endpoint: str, body: bytes) -> None:
    """The others still tell what they show."""

    def read(request: Request) -> Any:
        if request.endpoint == endpoint:
            return body
        if request.endpoint == "symbols":
            return SYMBOLS
        return [order(1, "CANCELED")] if request.endpoint == "orders" else []

    missed, _ = drive(FEED.reconcile(Known(since_ms=NOW_MS, open_orders=(("1", "BTC_JPY"),))), read, listed=True)
    assert not missed.complete
    assert len(missed.changes) == (endpoint != "orders")


def test_live_means_every_symbol_that_the_venue_lists() -> None:
    """Orders that stood there all along are told at once, in symbols that no command ever named."""
    listed = json.loads((Path(__file__).parent.parent.parent / "fixtures/gmo_coin/symbols.json").read_text())

    def read(request: Request) -> Any:
        if request.endpoint == "symbols":
            assert request.public
            return listed["body"].encode()
        symbol = dict(request.query)["symbol"]
        return (
            [order(3, "ORDERED", symbol=symbol)] if request.endpoint == "activeOrders" and symbol == "ETH_JPY" else []
        )

    missed, asked = drive(FEED.reconcile(Known(since_ms=0)), read, listed=True)
    assert missed.complete
    assert [(change.order_id, change.symbol) for change in missed.changes] == [("3", "ETH_JPY")]
    symbols = sorted(row["symbol"] for row in json.loads(listed["body"])["data"])
    assert [query.partition("symbol=")[2].partition("&")[0] for query in asked[1::2]] == symbols
    _, asked = drive(FEED.reconcile(Known(since_ms=0, symbols=("BTC_JPY",), everywhere=False)), read, listed=True)
    assert len(asked) == 2


def test_a_list_of_another_symbol_leaves_the_gap_open() -> None:
    """A filter that was ignored may have hidden what was asked for; what is shown is told all the same."""
    strangers = [order(3, "ORDERED", symbol="ETH_JPY")]
    missed, _ = drive(
        FEED.reconcile(Known(since_ms=NOW_MS)),
        lambda request: strangers if request.endpoint == "activeOrders" else [],
    )
    assert not missed.complete
    assert [change.order_id for change in missed.changes] == ["3"]


def test_an_executed_order_that_is_not_shown_is_a_stale_read() -> None:
    """An execution proves its order; a known order that is not shown may have been forgotten for good."""
    known = Known(since_ms=NOW_MS - 5 * MINUTE, open_orders=(("1", "BTC_JPY"),))
    missed, _ = drive(FEED.reconcile(known), lambda request: [])
    assert missed.complete
    missed, _ = drive(
        FEED.reconcile(known),
        lambda request: [execution(7, 2)] if request.endpoint == "latestExecutions" else [],
    )
    assert not missed.complete


@pytest.mark.parametrize(
    ("since_ms", "date", "complete"),
    [(NOW_MS - 23 * 60 * MINUTE, DATE, True), (NOW_MS - 25 * 60 * MINUTE, DATE, False), (0, DATE, True),
     (NOW_MS - 25 * 60 * MINUTE, "soon", True)],
)  # fmt: skip
def test_a_gap_of_more_than_a_day_is_not_filled_completely(since_ms: int, date: str, complete: bool) -> None:
    """Executions are shown for a day, by the venue's clock; a first start claims nothing."""
    missed, _ = drive(FEED.reconcile(Known(since_ms=since_ms, symbols=("BTC_JPY",))), lambda request: [], date)
    assert missed.complete is complete


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_reconciliation_survives_any_answers(data: st.DataObject) -> None:
    """Whatever its reads bring, it ends and says whether it is complete."""
    words = sorted({*order(1, ""), *execution(1, 1), "list", "data", "status"})
    values = VALUES | st.sampled_from(["1", "0.5", "2026-11-21T11:59:00.000Z", 1, 2**63])
    row = st.builds(
        lambda base, key, value: base | {key: value},
        st.sampled_from([order(1, "ORDERED"), execution(1, 1)]), st.sampled_from(words), values,
    )  # fmt: skip
    bodies = st.binary(max_size=20) | st.lists(row, max_size=3).map(envelope)
    known = Known(since_ms=data.draw(st.sampled_from([0, NOW_MS])), open_orders=(("1", "BTC_JPY"), ("2", None)))
    missed, _ = drive(
        FEED.reconcile(known),
        lambda request: data.draw(bodies),
        data.draw(st.text(max_size=30)),
        listed=data.draw(st.booleans()),
    )
    msgspec.msgpack.encode(missed)
