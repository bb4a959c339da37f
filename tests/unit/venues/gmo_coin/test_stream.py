"""GMO Coin: the private order feed."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response
from router.venue_protocol.stream import (
    Broken,
    Change,
    Changes,
    Ready,
    Say,
    Stream,
    Want,
)
from tests.unit.venues.gmo_coin.feeding import FEED, FIXTURES, TOKEN, VALUES, WORDS, at, connected, live


def fixture(name: str) -> dict[str, Any]:
    """Return a document's own message."""
    found = next(path for path in FIXTURES if path.stem == f"stream_{name}")
    known: dict[str, Any] = json.loads(found.read_bytes())
    return known


def edited(name: str, **fields: Any) -> str:
    """Return a document's own message with other values."""
    return json.dumps(json.loads(fixture(name)["frame"]) | fields)


def heard(stream: Stream, frame: str | bytes) -> Change:
    """Return the one change that a frame reports."""
    (changes,) = stream.heard(frame, at(10_000))
    assert isinstance(changes, Changes)
    (change,) = changes.changes
    return change


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
