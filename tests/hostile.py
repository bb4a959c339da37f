"""Messages as any AMQP client may publish them: any bytes in any property, however deep the headers."""

import struct
from typing import Final

from pamqp import commands
from pamqp.body import ContentBody
from pamqp.frame import marshal

from tests.bench.amqp import CHANNEL, HEAD

END: Final = b"\xce"


def nested(depth: int, kind: bytes = b"F") -> bytes:
    """Return a header table with tables (`F`) or arrays (`A`) so deep in each other."""
    inner = b""
    for _ in range(depth):
        value = kind + struct.pack(">I", len(inner)) + inner
        inner = b"\x01k" + value if kind == b"F" else value
    if kind == b"A":
        inner = b"\x01k" + inner
    return struct.pack(">I", len(inner)) + inner


def table(name: bytes, value: bytes) -> bytes:
    """Return a header table with one long string."""
    entry = bytes([len(name)]) + name + b"S" + struct.pack(">I", len(value)) + value
    return struct.pack(">I", len(entry)) + entry


def text(value: bytes) -> bytes:
    """Return a short string."""
    return bytes([len(value)]) + value


def properties(
    *, headers: bytes = b"", reply_to: bytes = b"", correlation_id: bytes = b"", content_type: bytes = b""
) -> bytes:
    """Return flags and fields, in the order of AMQP 0-9-1, section 4.2.6.1."""
    fields = ((0x8000, content_type), (0x2000, headers), (0x0400, correlation_id), (0x0200, reply_to))
    flags = sum(flag for flag, value in fields if value)
    written = [value if flag == 0x2000 else text(value) for flag, value in fields if value]
    return struct.pack(">H", flags) + b"".join(written)


def content_header(written: bytes, size: int) -> bytes:
    """Return the payload of a content header frame."""
    return struct.pack(">HHQ", 60, 0, size) + written


def message(adapter: str, key: bytes, written: bytes, body: bytes) -> bytes:
    """Return the frames that publish a message."""
    publish = marshal(commands.Basic.Publish(exchange=adapter, routing_key="k" * len(key)), CHANNEL)
    publish = publish.replace(b"k" * len(key), key, 1) if key else publish
    payload = content_header(written, len(body))
    header = HEAD.pack(2, CHANNEL, len(payload)) + payload + END
    return publish + header + (marshal(ContentBody(body), CHANNEL) if body else b"")
