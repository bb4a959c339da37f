"""How deep a body may be nested (row 32): no more than can be stored and read again, in either codec."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.journal.operations.commands import decode_record, encode_record
from router.records.command import CommandRecord
from schemas.codec import JSON, MAX_BODY_BYTES, MSGPACK, Undecodable, decode_command
from schemas.nesting import MAX_DEPTH, json_is_deep, msgpack_is_deep

FIELDS = {"type": "cancel", "venue": "acme", "account": "main", "command_id": "x1", "order_id": "1"}
NOT_AFTER = "2026-11-21T12:00:30Z"

leaves = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(), st.floats(allow_nan=False))
values = st.recursive(leaves, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)))


def depth(value: Any) -> int:
    """Return how deep a value is nested, counted the slow way."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def nested(levels: int, *, table: bool) -> Any:
    """Return a value nested so deep."""
    value: Any = {} if table else []
    for _ in range(levels - 1):
        value = {"a": value} if table else [value]
    return value


def text(levels: int, *, table: bool) -> bytes:
    """Return the same as JSON, however deep."""
    opened, closed = (b'{"a":', b"}") if table else (b"[", b"]")
    return opened * (levels - 1) + (b"{}" if table else b"[]") + closed * (levels - 1)


@given(values)
def test_both_codecs_count_as_one_does_by_hand(value: Any) -> None:
    """Brackets in texts do not count, and every format's length is known."""
    deep = depth(value) > MAX_DEPTH
    assert json_is_deep(json.dumps(value).encode()) == deep
    assert msgpack_is_deep(msgspec.msgpack.encode(value)) == deep


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("levels", [1, MAX_DEPTH, MAX_DEPTH + 1, 300, 970, 2000, 10_000])
def test_any_depth_is_counted(levels: int, table: bool) -> None:
    """However deep, nothing here calls itself."""
    assert json_is_deep(text(levels, table=table)) == (levels > MAX_DEPTH)
    packed = (b"\x81\xa1a" if table else b"\x91") * (levels - 1) + (b"\x80" if table else b"\x90")
    assert msgpack_is_deep(packed) == (levels > MAX_DEPTH)


@pytest.mark.parametrize("piece", [b'\\"', b'"', b"\\", b'"a', b'"\\"', b'\\\\"', b'"[', b'" :', b'"a" '])
def test_no_body_takes_long(piece: bytes) -> None:
    """One pass, whatever stands in it: a body of 64 KiB held the loop for eight seconds."""
    body = (b"[" * (MAX_DEPTH + 1) + b'"' + piece * MAX_BODY_BYTES)[:MAX_BODY_BYTES]
    for codec in (JSON, MSGPACK):
        began = time.process_time()
        with pytest.raises(Undecodable):
            decode_command(body, codec)
        assert time.process_time() - began < 1


@given(st.binary(max_size=64))
def test_any_bytes_are_taken(body: bytes) -> None:
    """What is no body at all is the decoder's to refuse."""
    json_is_deep(body)
    msgpack_is_deep(body)


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, 500, 970, 976, 1000, 5000])
def test_what_is_taken_can_be_stored_and_read_again(levels: int, table: bool) -> None:
    """A command whose row could not be read ended every process, at every start."""
    fields = b",".join(f'"{name}":"{value}"'.encode() for name, value in {**FIELDS, "not_after": NOT_AFTER}.items())
    body = b"{" + fields + b',"params":{"a":' + text(levels - 1, table=table) + b"}}"
    if levels + 1 > MAX_DEPTH:
        with pytest.raises(Undecodable, match="nested deeper"):
            decode_command(body, JSON)
        return
    command = decode_command(body, JSON)
    record = CommandRecord(sender="a", command_id="x1", command=command, client_order_id="c", received_us=1)
    assert decode_record(encode_record(record), "x1") == record


@given(st.dictionaries(st.text(), values, max_size=3), st.sampled_from([JSON, MSGPACK]))
def test_every_command_that_is_taken_comes_back(params: dict[str, Any], codec: str) -> None:
    """Whatever its params, in either codec."""
    whole = {**FIELDS, "not_after": NOT_AFTER, "params": params}
    body = json.dumps(whole).encode() if codec == JSON else msgspec.msgpack.encode(whole)
    try:
        command = decode_command(body, codec)
    except Undecodable:
        return
    record = CommandRecord(sender="a", command_id="x1", command=command, client_order_id="c", received_us=1)
    assert decode_record(encode_record(record), "x1") == record


@pytest.mark.parametrize(
    "params", [b"\x82\xa1a\x01\xa1a\x02", b"\x81\xa1x\x91\x82\xa1a\x01\xa1a\x02", b"\xde\x00\x02\xa1a\x01\xa1a\x02"]
)
def test_a_key_given_twice_is_refused_at_any_depth(params: bytes) -> None:
    """Of two values another reader may believe the other one; in MessagePack as in JSON."""
    command = {
        "type": "close",
        "command_id": "c-1",
        "venue": "gmo_coin",
        "account": "main",
        "symbol": "BTC_JPY",
        "not_after": "2026-11-21T12:00:30Z",
        "params": msgspec.Raw(params),
    }
    with pytest.raises(Undecodable, match="given twice"):
        decode_command(msgspec.msgpack.encode(command), MSGPACK)


def test_a_key_given_twice_among_many_is_found_at_once() -> None:
    """It is looked for before it is known who sent it, and while it is, nobody else is served."""
    params = ",".join([*(f'"k{number}":1' for number in range(6000)), '"k5999":1'])
    body = (
        '{"type":"close","command_id":"c","venue":"gmo_coin","account":"main","symbol":"BTC_JPY",'
        '"not_after":"2026-11-21T12:00:30Z","params":{' + params + "}}"
    )
    began = time.process_time()
    with pytest.raises(Undecodable, match="k5999 is given twice"):
        decode_command(body.encode(), JSON)
    assert time.process_time() - began < 0.1
