"""BtcTurk: the private order feed."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Stamp
from router.venue_protocol.stream import Broken, Change, Changes, Connect, Ready, Say, Stream, Want
from router.venues.btcturk import BtcTurkSecrets
from tests.unit.venues.btcturk.feeding import FEED, VALUES

KEY = "7d1c0a52-3f0b-4e6a-9a51-0c2d4e8f1b22"

SECRET = "c2VjcmV0LWtleS1mb3ItdGVzdHMtMDEyMzQ1Njc4OQ=="

SIGNATURE = "RTU1aFIe6y04xHA1CIuocVEKXyCA8b/iiKWZdeUBEP0="

SECRETS = BtcTurkSecrets(api_key="rest", api_secret="cmVzdA==", ws_api_key=KEY, ws_api_secret=SECRET)

FIXTURES = sorted((Path(__file__).parents[3] / "fixtures/btcturk").glob("stream_*.json"))

WELCOME = '[114,{"type":114,"id":5869906,"ok":true,"message":null}]'


def at(now_ms: int) -> Stamp:
    """Return a stamp."""
    return Stamp(now_ms, "n")


def edited(name: str, **fields: Any) -> str:
    """Return a sample message with other values."""
    found = next(path for path in FIXTURES if path.stem == f"stream_{name}")
    kind, body = json.loads(json.loads(found.read_bytes())["frame"])
    return json.dumps([kind, body | fields])


def begun(secrets: BtcTurkSecrets = SECRETS) -> Stream:
    """Return a stream that has done nothing yet."""
    stream = FEED.stream(secrets)
    assert stream is not None
    return stream


def live() -> Stream:
    """Return a stream that is logged in."""
    stream = begun()
    stream.begin(at(0))
    stream.opened(at(0))
    assert stream.heard(WELCOME, at(1)) == (Ready(),)
    return stream


def heard(frame: str) -> Change:
    """Return the one change that a message reports."""
    (changes,) = live().heard(frame, at(2))
    assert isinstance(changes, Changes)
    (change,) = changes.changes
    return change


def test_the_login_signs_key_and_nonce_with_the_streams_own_pair() -> None:
    """The vector of nonce 15000; the time is sent, the nonce is a number, and nothing of it prints."""
    stream = begun()
    assert stream.begin(at(0)) == (Connect("wss://ws-feed-pro.btcturk.com"),)
    (say,) = stream.opened(at(1_700_000_000_123))
    assert isinstance(say, Say)
    assert json.loads(say.text) == [
        114,
        {"type": 114, "publicKey": KEY, "timestamp": 1_700_000_000_123, "nonce": 15000, "signature": SIGNATURE},
    ]
    assert SIGNATURE not in repr(say)
    assert not stream.end(at(2))


@pytest.mark.parametrize(("key", "secret"), [("", ""), (KEY, ""), ("", SECRET), ("k y", SECRET), (KEY, "hush!☃")])
def test_without_keys_of_its_own_the_stream_says_so(key: str, secret: str) -> None:
    """The REST pair does not open it; the reason names the settings and quotes nothing."""
    secrets = BtcTurkSecrets(api_key=KEY, api_secret=SECRET, ws_api_key=key, ws_api_secret=secret)
    for wants in (begun(secrets).begin(at(0)), begun(secrets).opened(at(0))):
        (broken,) = wants
        assert isinstance(broken, Broken)
        assert "keys" in broken.reason or "ws_api_" in broken.reason
        assert "hush" not in broken.reason


def test_it_is_ready_once_the_venue_says_ok() -> None:
    """The greeting before is not enough, and a second answer is not a second start."""
    stream = begun()
    stream.opened(at(0))
    assert not stream.heard('[991,{"type":991,"current":"6.0.0","min":"2.3.0"}]', at(1))
    assert stream.heard(WELCOME, at(2)) == (Ready(),)
    assert not stream.heard(WELCOME, at(3))
    assert not stream.tick(at(60_000))


@pytest.mark.parametrize("body", ['{"ok":false,"message":"Unauthorized - Invalid Nonce"}', "{}", '{"ok":1}'])
def test_a_refused_login_breaks_the_stream(body: str) -> None:
    """An open socket that is not logged in is silent for ever."""
    (broken,) = begun().heard(f"[114,{body}]", at(1))
    assert isinstance(broken, Broken)
    assert broken.reason.startswith("login: ")


def test_a_login_without_an_answer_breaks_the_stream() -> None:
    """After ten seconds."""
    stream = begun()
    assert not stream.tick(at(60_000))
    stream.opened(at(60_000))
    assert not stream.tick(at(69_999))
    assert stream.tick(at(70_000)) == (Broken("login: no answer"),)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_sample_message_means_what_its_source_says(path: Path) -> None:
    """Each sample, with its own object as `raw`; matches, greetings and frames without an id change nothing."""
    known = json.loads(path.read_bytes())
    wants = live().heard(known["frame"], at(2))
    found = [msgspec.structs.replace(change, raw=None) for want in wants for change in getattr(want, "changes", ())]
    assert found == [msgspec.convert(change, Change) for change in known["changes"]]
    assert not any(isinstance(want, Broken) for want in wants)


def test_a_fill_has_the_exact_size_and_no_sign() -> None:
    """`amount` is rounded; a sell's amounts are negative (User Transactions, example)."""
    frame = (
        '[423,{"id":1181163798924649598,"timestamp":1663848223334,"amount":"-0.3384",'
        '"preciseAmount":-0.3384081100000000,"fee":"-0.06297817","tax":"-0.01133607","price":"122.00",'
        '"numeratorSymbol":"ETHW","denominatorSymbol":"TRY","orderType":"sell","orderId":10938696222,'
        '"orderClientId":null}]'
    )
    change = heard(frame)
    assert change.last_fill is not None
    assert (change.last_fill.size, change.last_fill.fee) == ("0.3384081100000000", "0.06297817")
    assert (change.status, change.filled_size, change.client_order_id) == (None, None, None)
    assert change.raw["preciseAmount"] == "-0.3384081100000000"


def test_a_buys_fee_keeps_its_sign_and_names_no_asset() -> None:
    """What a buy's fee is in is not documented."""
    fill = heard(edited("trade", orderType="buy", amount="2", preciseAmount=2, fee="0.5")).last_fill
    assert fill is not None
    assert (fill.size, fill.fee, fill.fee_asset) == ("2", "0.5", None)


def test_what_a_deletion_says_is_left_is_not_believed() -> None:
    """It dates from when the cancel was queued: canceled, and the filled size is left to fills and reads."""
    change = heard(edited("delete", numLeft="100"))
    assert (change.status, change.filled_size) == ("canceled", None)


@pytest.mark.parametrize("left", ["0", "0.0000000000000000", 0], ids=["text", "padded", "number"])
def test_a_deletion_with_nothing_left_is_a_full_execution(left: object) -> None:
    """What is left may be overstated, never understated."""
    change = heard(edited("delete", numLeft=left))
    assert (change.status, change.filled_size) == ("filled", "37154.7082000000000000")


def test_an_order_back_on_the_book_is_working() -> None:
    """A partly executed order's insertion tells no filled size either: fills add up under their ids."""
    change = heard(edited("insert", numLeft="100", method=2, orderType=1))
    assert (change.status, change.filled_size) == ("working", None)
    assert (change.order_type, change.side) == ("stop", "sell")


def test_odd_details_do_not_hide_an_orders_end() -> None:
    """Of a deletion only the id must be readable."""
    change = heard('[452,{"id":"77","symbol":3,"method":9,"orderType":null,"price":"-","amount":true,"numLeft":{}}]')
    assert msgspec.structs.replace(change, raw=None) == Change(order_id="77", status="canceled")


@pytest.mark.parametrize(
    "frame",
    ["", "[452", b"\xff", "[" * 100_000, '["\ud800"]', '[452,{"id":"x"}]', "[452,{}]", '[451,{"id":-1}]',
     edited("trade", amount=None, preciseAmount=None), edited("trade", id=None)],
    ids=range(10),
)  # fmt: skip
def test_a_message_that_cannot_be_read_is_a_gap(frame: str | bytes) -> None:
    """What was not understood may have been an order's end, or a fill that the sum then lacks."""
    (broken,) = live().heard(frame, at(2))
    assert isinstance(broken, Broken)


@pytest.mark.parametrize("frame", ["1", "{}", "[]", "[452]", "[452,null]", '["a",{}]', "[[],{}]", "[201,{}]", "[7,{}]"])
def test_types_that_nobody_knows_are_passed_over(frame: str) -> None:
    """New types may appear at any time (WebSocket Feed, Models)."""
    assert not live().heard(frame, at(2))


WORDS = sorted({word for path in FIXTURES for word in json.loads(json.loads(path.read_bytes())["frame"])[1]} | {"ok"})

SHAPES = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner)
)


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_stream_survives_any_bytes(data: st.DataObject) -> None:
    """Whatever comes, a stream wants things and never raises, and what it reports can be encoded."""
    sample = json.loads(json.loads(data.draw(st.sampled_from(FIXTURES)).read_bytes())["frame"])[1]
    body = st.dictionaries(st.sampled_from(WORDS), SHAPES, max_size=3).map(lambda other: sample | other)
    kinds = st.sampled_from([114, 423, 441, 451, 452, 453]) | VALUES
    shaped = (SHAPES | st.tuples(kinds, body | SHAPES)).map(json.dumps)
    wants = live().heard(data.draw(st.binary(max_size=40) | st.text(max_size=40) | shaped), at(1))
    assert all(isinstance(want, get_args(Want)) for want in wants)
    for want in wants:
        if isinstance(want, Changes):
            msgspec.json.encode(want.changes)
            msgspec.msgpack.encode(want.changes)
