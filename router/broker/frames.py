"""The frames that every command costs, written and read straight.

Deliver, Return, Ack and Nack come in; Publish, Ack and Nack go out: AMQP 0-9-1, sections 4.2.3 (frames) and 4.2.6
(content), section 1.8 of its reference (the methods of class 60, basic), RabbitMQ's errata for the types in a table.
Everything else on a connection is aiormq's. It goes through any frame field by field along a description, and through
several queues and tasks: for these few that cost as much as everything else that is done for a command.

Pure: bytes in, values out. What the broker lets a sender write, however odd, is read without raising.
"""

from collections.abc import Mapping
from struct import Struct, error
from typing import Any, Final

import msgspec
from pamqp import decode, encode
from pamqp.common import FieldTable

METHOD, HEADER, BODY = 1, 2, 3
FRAME_END: Final = 0xCE
FRAME: Final = Struct(">BHI")
"""Kind, channel and size of what follows; then the payload and one octet `FRAME_END`."""
OVERHEAD: Final = FRAME.size + 1
HEARTBEAT: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"

DELIVER: Final = b"\x00\x3c\x00\x3c"
RETURN: Final = b"\x00\x3c\x00\x32"
ACK: Final = b"\x00\x3c\x00\x50"
NACK: Final = b"\x00\x3c\x00\x78"
BLOCKED: Final = b"\x00\x0a\x00\x3c"
"""RabbitMQ's own, on channel 0: an alarm, it reads nothing more that is published (its page on blocked connections)."""
UNBLOCKED: Final = b"\x00\x0a\x00\x3d"
CLOSE: Final = b"\x00\x14\x00\x28"
CLOSE_OK: Final = b"\x00\x14\x00\x29"

_END = b"\xce"
_PUBLISH = b"\x00\x3c\x00\x28\x00\x00"
_SETTLE = Struct(">BHI4sQBB")
_CONTENT = Struct(">HHQ")
_TAG = Struct(">QB")
_U16, _U32, _U64 = Struct(">H"), Struct(">I"), Struct(">Q")
_REQUEUE = 2
_PERSISTENT = b"\x02"
_MILLISECONDS = 0xFFFFFFFF
"""A timestamp beyond this many seconds, the year 2106, counts milliseconds: some senders do."""
_LATEST_US = 253_402_300_800 * 1_000_000
"""The year 10000: what is later is no time that anything here can be compared with."""


_TEXT, _TABLE = 0, -1
_FIELDS = (
    (0x8000, "content_type", _TEXT),
    (0x4000, "content_encoding", _TEXT),
    (0x2000, "headers", _TABLE),
    (0x1000, "", 1),  # delivery mode
    (0x0800, "", 1),  # priority
    (0x0400, "correlation_id", _TEXT),
    (0x0200, "reply_to", _TEXT),
    (0x0100, "", _TEXT),  # expiration
    (0x0080, "message_id", _TEXT),
    (0x0040, "sent_us", 8),
    (0x0020, "", _TEXT),  # type
    (0x0010, "user_id", _TEXT),
)
"""Flag, name and size of each property, in their order on the wire, as far as they are read."""


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a message's properties. `sent_us` is its timestamp, microseconds since 1970."""

    content_type: str = ""
    content_encoding: str = ""
    headers: Mapping[str, Any] = {}
    correlation_id: str = ""
    reply_to: str = ""
    message_id: str = ""
    sent_us: int | None = None
    user_id: str = ""


def properties(
    *,
    message_id: str,
    timestamp_s: int,
    headers: bytes,
    content_type: str = "",
    correlation_id: str = "",
    reply_to: str = "",
    type_: str = "",
    app_id: str = "",
) -> bytes:
    """Return the properties of a persistent message, to be given to `publish`.

    `headers` is a `table`. What is empty is left out. Raises `ValueError` for a text of more than 255 bytes.
    """
    flags = 0x20C0 | 0x1000  # headers, message id and timestamp; delivery mode
    parts = [b"", headers, _PERSISTENT]
    if content_type:
        flags |= 0x8000
        parts.insert(1, _short(content_type))
    if correlation_id:
        flags |= 0x0400
        parts.append(_short(correlation_id))
    if reply_to:
        flags |= 0x0200
        parts.append(_short(reply_to))
    parts += (_short(message_id), _U64.pack(timestamp_s))
    if type_:
        flags |= 0x0020
        parts.append(_short(type_))
    if app_id:
        flags |= 0x0008
        parts.append(_short(app_id))
    parts[0] = _U16.pack(flags)
    return b"".join(parts)


def table(fields: Mapping[str, Any]) -> bytes:
    """Return a field table. Raises `ValueError` for what pamqp can read from one and not write into one."""
    try:
        return encode.field_table(dict(fields))
    except (TypeError, OverflowError, error) as fault:
        raise ValueError(str(fault)) from None


def extended(known: bytes, name: str, value: str) -> bytes:
    """Return a table with one more text in it."""
    text = value.encode()
    inside = b"".join((known[4:], _short(name), b"S", _U32.pack(len(text)), text))
    return _U32.pack(len(inside)) + inside


def publish(
    channel: int, exchange: str, key: str, properties: bytes, body: bytes, *, mandatory: bool, frame_max: int
) -> bytes:
    """Return the frames of one publish. Raises `ValueError` for a name of more than 255 bytes."""
    method = b"".join((_PUBLISH, _short(exchange), _short(key), b"\x01" if mandatory else b"\x00"))
    size = len(body)
    parts = [
        FRAME.pack(METHOD, channel, len(method)),
        method,
        _END,
        FRAME.pack(HEADER, channel, _CONTENT.size + len(properties)),
        _CONTENT.pack(60, 0, size),
        properties,
        _END,
    ]
    longest = frame_max - OVERHEAD
    for start in range(0, size, longest):
        piece = body if size <= longest else body[start : start + longest]
        parts += (FRAME.pack(BODY, channel, len(piece)), piece, _END)
    return b"".join(parts)


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Return the frame that acknowledges a delivery; with `multiple`, all up to it."""
    return _SETTLE.pack(METHOD, channel, 13, ACK, tag, multiple, FRAME_END)


def requeue(channel: int, tag: int) -> bytes:
    """Return the frame that gives one delivery back to its queue."""
    return _SETTLE.pack(METHOD, channel, 13, NACK, tag, _REQUEUE, FRAME_END)


def read_deliver(payload: bytes) -> tuple[bytes, int, bool, str]:
    """Return consumer tag, delivery tag, whether it was delivered before, and the routing key."""
    at = 5 + payload[4]
    tag, redelivered = _TAG.unpack_from(payload, at)
    key = at + _TAG.size
    key += 1 + payload[key]  # past the exchange
    return payload[5:at], tag, bool(redelivered), _read_short(payload, key)


def read_settled(payload: bytes) -> tuple[int, bool]:
    """Return the tag of a confirm or a refusal, and whether all before it are meant as well."""
    tag, bits = _TAG.unpack_from(payload, 4)
    return tag, bool(bits & 1)


def read_close(payload: bytes) -> tuple[int, str]:
    """Return why the broker closes a channel: a code of the reference's section 1.2, and its words."""
    return _U16.unpack_from(payload, 4)[0], _read_short(payload, 6)


def read_size(header: bytes) -> int:
    """Return how many bytes of body follow a content header."""
    return int(_CONTENT.unpack_from(header)[2])


def read_properties(header: bytes) -> Properties:
    """Return what a content header says of its message."""
    flags = _U16.unpack_from(header, _CONTENT.size)[0]
    at = _CONTENT.size + _U16.size
    found: dict[str, Any] = {}
    for flag, name, size in _FIELDS:
        if not flags & flag:
            continue
        if size == _TEXT:
            end = at + 1 + header[at]
            if name:
                found[name] = header[at + 1 : end].decode("utf-8", "ignore")
        elif size == _TABLE:
            end = at + 4 + _U32.unpack_from(header, at)[0]
            found[name] = _read_table(header[at:end])
        else:
            end = at + size
            if name:
                found[name] = _read_time(_U64.unpack_from(header, at)[0])
        at = end
    return Properties(**found)


class Content:
    """Puts a message together: a method, a content header, and a body in as many frames as it takes."""

    __slots__ = ("_missing", "_parts", "header", "method")

    def __init__(self) -> None:
        self.method = self.header = b""
        self._parts: list[bytes] = []
        self._missing = -1

    @property
    def begun(self) -> bool:
        """Whether frames of a message are missing."""
        return bool(self.method)

    @property
    def body(self) -> bytes:
        """The body, once it is complete."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def begin(self, method: bytes) -> None:
        """Begin with a method that content follows."""
        self.method = method

    def add(self, kind: int, payload: bytes) -> bool:
        """Add the next frame and say whether the message is complete. Then read it and call `clear`."""
        if kind == HEADER:
            self.header, self._missing = payload, read_size(payload)
        else:
            self._parts.append(payload)
            self._missing -= len(payload)
        return self._missing == 0

    def clear(self) -> None:
        """Be ready for another."""
        self.method = self.header = b""
        self._parts, self._missing = [], -1


def _short(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 255:
        raise ValueError(f"{text[:40]!r}… is too long for AMQP: {len(raw)} bytes, at most 255")
    return bytes((len(raw),)) + raw


def _read_short(payload: bytes, at: int) -> str:
    # Brokers do not check that a name is UTF-8.
    return payload[at + 1 : at + 1 + payload[at]].decode("utf-8", "ignore")


def _read_table(raw: bytes) -> FieldTable:
    if len(raw) == 4:
        return {}
    try:
        return decode.field_table(raw)[1]
    except (ValueError, OverflowError, OSError, error):
        return {}  # a name that is no UTF-8, a time that is none


def _read_time(value: int) -> int | None:
    us = value * 1_000 if value > _MILLISECONDS else value * 1_000_000
    return us if us < _LATEST_US else None
