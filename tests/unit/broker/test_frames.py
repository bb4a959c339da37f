"""The frames of a command against pamqp's reading and writing of them, and against what no sender should send."""

import datetime
from typing import Any

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from router.broker import frames
from router.broker.frames import OVERHEAD, Content

short = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
named = st.text("abcdefghij.-_", min_size=1, max_size=60)
tags = st.integers(1, 2**63 - 1)
channels = st.integers(1, 65535)
times = st.integers(0, 4_000_000_000)
tables = st.dictionaries(
    named, st.one_of(short, st.booleans(), st.integers(-(2**40), 2**40), st.none(), st.lists(st.integers(0, 9)))
)


def read_all(raw: bytes) -> list[tuple[int, Any]]:
    """Read frames with pamqp, each with its channel."""
    found = []
    while raw:
        size, channel, frame = pamqp.frame.unmarshal(raw)
        found.append((channel, frame))
        raw = raw[size:]
    return found


def payload(frame: Any) -> bytes:
    """Write a frame with pamqp and return what is inside."""
    return pamqp.frame.marshal(frame, 1)[frames.FRAME.size : -1]


@given(
    channel=channels,
    exchange=short,
    key=short,
    body=st.binary(max_size=400),
    mandatory=st.booleans(),
    fields=st.fixed_dictionaries({"content_type": short, "correlation_id": short, "reply_to": short, "type_": short}),
    message_id=named,
    timestamp_s=times,
    headers=tables,
)
def test_a_publish_reads_as_it_was_meant(
    channel: int,
    exchange: str,
    key: str,
    body: bytes,
    mandatory: bool,
    fields: dict[str, str],
    message_id: str,
    timestamp_s: int,
    headers: dict[str, Any],
) -> None:
    """pamqp reads every field of a publish as it was given, and a body in frames no longer than allowed."""
    properties = frames.properties(
        message_id=message_id, timestamp_s=timestamp_s, headers=frames.table(headers), app_id="ours", **fields
    )
    longest = 100 + OVERHEAD
    raw = frames.publish(channel, exchange, key, properties, body, mandatory=mandatory, frame_max=longest)
    (_, method), (_, header), *bodies = found = read_all(raw)
    assert {number for number, _ in found} == {channel}
    assert (method.exchange, method.routing_key, method.mandatory) == (exchange, key, mandatory)
    assert header.body_size == len(body)
    assert b"".join(part.value for _, part in bodies) == body
    assert all(0 < len(part.value) <= 100 for _, part in bodies)
    read = header.properties
    assert (read.content_type or "", read.correlation_id or "") == (fields["content_type"], fields["correlation_id"])
    assert (read.reply_to or "", read.message_type or "") == (fields["reply_to"], fields["type_"])
    assert (read.message_id, read.app_id, read.delivery_mode, read.headers) == (message_id, "ours", 2, headers)
    assert read.timestamp.timestamp() == timestamp_s


@pytest.mark.parametrize("at", ["key", "exchange", "correlation_id"])
def test_a_name_that_is_too_long_is_refused(at: str) -> None:
    """A short string holds 255 bytes; one more is an error here, not a broken stream."""

    def publish(value: str) -> bytes:
        names = {"key": "k", "exchange": "e", "correlation_id": "c"} | {at: value}
        properties = frames.properties(
            message_id="m", timestamp_s=0, headers=frames.table({}), correlation_id=names["correlation_id"]
        )
        return frames.publish(1, names["exchange"], names["key"], properties, b"", mandatory=True, frame_max=4096)

    assert len(read_all(publish("é" * 127))) == 2
    with pytest.raises(ValueError, match="256 bytes"):
        publish("é" * 128)


@given(known=tables, value=short)
def test_a_table_is_extended(known: dict[str, Any], value: str) -> None:
    """One more text in a table reads as if it had been there from the beginning."""
    raw = frames.extended(frames.table(known), "trace-parent!", value)
    properties = frames.properties(message_id="m", timestamp_s=0, headers=raw)
    ((_, _), (_, header)) = read_all(frames.publish(1, "", "k", properties, b"", mandatory=True, frame_max=4096))
    assert header.properties.headers == {**known, "trace-parent!": value}


def test_a_table_that_cannot_be_written_says_so() -> None:
    """A text that was no UTF-8 comes out of a table as bytes, which pamqp does not write: a `ValueError`, not more."""
    with pytest.raises(ValueError, match="bytes"):
        frames.table({"x": b"\xff"})
    with pytest.raises(ValueError, match="float"):
        frames.table({"x": 1e300})


@given(channel=channels, tag=tags, multiple=st.booleans())
def test_acknowledgements_read_as_they_were_meant(channel: int, tag: int, multiple: bool) -> None:
    """An ack names its tag and whether it means those before it; a requeue means only itself."""
    ((number, ack),) = read_all(frames.ack(channel, tag, multiple=multiple))
    assert (number, ack.name, ack.delivery_tag, ack.multiple) == (channel, "Basic.Ack", tag, multiple)
    ((number, nack),) = read_all(frames.requeue(channel, tag))
    assert (number, nack.name, nack.delivery_tag) == (channel, "Basic.Nack", tag)
    assert (nack.multiple, nack.requeue) == (False, True)


@given(consumer=named, tag=tags, redelivered=st.booleans(), exchange=named, key=short)
def test_a_delivery_is_read(consumer: str, tag: int, redelivered: bool, exchange: str, key: str) -> None:
    """What pamqp writes as a delivery is read back."""
    raw = payload(spec.Basic.Deliver(consumer, tag, redelivered, exchange, key))
    assert raw[:4] == frames.DELIVER
    assert frames.read_deliver(raw) == (consumer.encode(), tag, redelivered, key)


@given(tag=tags, multiple=st.booleans())
def test_confirms_and_refusals_are_read(tag: int, multiple: bool) -> None:
    """A refusal is told from a confirm by its method; both name their tags alike, whatever else a refusal says."""
    ack = payload(spec.Basic.Ack(tag, multiple))
    nack = payload(spec.Basic.Nack(tag, multiple, True))
    assert (ack[:4], nack[:4]) == (frames.ACK, frames.NACK)
    assert frames.read_settled(ack) == frames.read_settled(nack) == (tag, multiple)


def test_methods_are_recognised() -> None:
    """A return and the two frames that end a channel carry their numbers of the reference."""
    assert payload(spec.Basic.Return(312, "NO_ROUTE", "", "k"))[:4] == frames.RETURN
    assert payload(spec.Channel.CloseOk())[:4] == frames.CLOSE_OK
    close = payload(spec.Channel.Close(404, "NOT_FOUND - no exchange", 60, 40))
    assert close[:4] == frames.CLOSE
    assert frames.read_close(close) == (404, "NOT_FOUND - no exchange")


@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "content_type": short,
            "content_encoding": short,
            "headers": tables,
            "delivery_mode": st.sampled_from((1, 2)),
            "priority": st.integers(0, 9),
            "correlation_id": short,
            "reply_to": short,
            "expiration": st.just("1000"),
            "message_id": short,
            "timestamp": times.map(lambda at: datetime.datetime.fromtimestamp(at, datetime.UTC)),
            "message_type": short,
            "user_id": short,
            "app_id": short,
        },
    ),
    size=st.integers(0, 2**40),
)
def test_properties_are_read(fields: dict[str, Any], size: int) -> None:
    """Whichever properties a sender sets, the ones that count are read as pamqp wrote them."""
    raw = payload(ContentHeader(body_size=size, properties=spec.Basic.Properties(**fields)))
    assert frames.read_size(raw) == size
    read = frames.read_properties(raw)
    for name in ("content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "user_id"):
        assert getattr(read, name) == fields.get(name, "")
    assert read.headers == fields.get("headers", {})
    at = fields.get("timestamp")
    assert read.sent_us == (int(at.timestamp()) * 1_000_000 if at else None)


@pytest.mark.parametrize(
    ("stamp", "sent_us"),
    [
        (0, 0),
        (4_294_967_295, 4_294_967_295_000_000),
        (4_294_967_296, 4_294_967_296_000),
        (1_769_000_000_123, 1_769_000_000_123_000),
        (2**64 - 1, None),
    ],
)
def test_a_timestamp_in_milliseconds_is_recognised(stamp: int, sent_us: int | None) -> None:
    """Beyond the year 2106 in seconds it counts milliseconds; what is no time even then is as if it were not set."""
    header = frames._CONTENT.pack(60, 0, 0) + b"\x00\x40" + stamp.to_bytes(8)
    assert frames.read_properties(header).sent_us == sent_us


def test_what_is_no_text_is_read_without_raising() -> None:
    """Brokers do not check UTF-8: an id or a header name that is none must not cost the connection, again and again."""
    table = b"\x03k\xff1S\x00\x00\x00\x01v"
    fields = (len(table).to_bytes(4) + table, b"\x05c\xff\xfe-1")
    header = frames._CONTENT.pack(60, 0, 0) + b"\x24\x00" + b"".join(fields)
    read = frames.read_properties(header)
    assert (read.headers, read.correlation_id) == ({}, "c-1")


@given(body=st.binary(max_size=50), size=st.integers(1, 20))
def test_a_message_is_put_together(body: bytes, size: int) -> None:
    """A body comes in as many frames as it takes, and one without a body is complete with its header."""
    content = Content()
    header = payload(ContentHeader(body_size=len(body)))
    pieces = [payload(ContentBody(body[at : at + size])) for at in range(0, len(body), size)]
    for _ in range(2):
        content.begin(b"method")
        complete = [content.add(kind, piece) for kind, piece in [(2, header), *((3, piece) for piece in pieces)]]
        assert complete == [False] * len(pieces) + [True]
        assert (content.method, content.header, content.body) == (b"method", header, body)
        content.clear()
        assert not content.begun
