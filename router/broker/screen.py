"""What stands between the socket and aiormq: frames that it would die of are made harmless.

aiormq reads frames of every channel in one task. Properties or a routing key that are no UTF-8, and header tables
nested a few hundred deep, end that task, the connection, and every acknowledgement that was not written yet: one
message would stop a worker for good. So a content header that aiormq cannot read is replaced by one with what can be
read of it and the header `x-damaged`. All else passes as it came. AMQP 0-9-1, sections 2.3.5 and 4.2.6.

aiormq lets one choose its transport; that is the only thing used below aio-pika's public interface.
"""

import asyncio
import struct
from typing import Any, Final

import pamqp.decode
import pamqp.frame
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from pamqp import commands
from pamqp.header import ContentHeader
from yarl import URL

from router.broker.causes import Closing

DAMAGED: Final = "x-damaged"
MAX_TABLE: Final = 16 * 1024
MAX_DEPTH: Final = 16
"""Tables are read a little deeper than bodies may be, and far from where Python stops."""

_FRAME: Final = struct.Struct(">BHI")
_LENGTH: Final = struct.Struct(">I")
_METHOD, _HEADER = 1, 2
_DELIVER, _BLOCKED, _UNBLOCKED = b"\0\x3c\0\x3c", b"\0\x0a\0\x3c", b"\0\x0a\0\x3d"
_CLOSE: Final = b"\0\x0a\0\x32"
_OVERHEAD: Final = _FRAME.size + 1
# Section 4.2.6.1: flags from the highest bit down, and how each property is written.
_PROPERTIES: Final = (
    (0x8000, "content_type"),
    (0x4000, "content_encoding"),
    (0x2000, "headers"),
    (0x1000, "delivery_mode"),
    (0x0800, "priority"),
    (0x0400, "correlation_id"),
    (0x0200, "reply_to"),
    (0x0100, "expiration"),
    (0x0080, "message_id"),
    (0x0040, "timestamp"),
    (0x0020, "message_type"),
    (0x0010, "user_id"),
    (0x0008, "app_id"),
    (0x0004, "cluster_id"),
)
_SIZES: Final = {"delivery_mode": 1, "priority": 1, "timestamp": 8}


class Screen(asyncio.StreamReaderProtocol):
    """The protocol of one broker connection's socket.

    `blocked`: the broker takes nothing that is published. `closing`: why it has ended the connection, if it said so;
    aiormq forgets that while it logs in.
    """

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.blocked = False
        self.closing: Closing | None = None
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Pass whole frames on."""
        if self._rest:
            data = self._rest + data
        at, start, end = 0, 0, len(data)
        passed: list[bytes] = []
        while end - at >= _OVERHEAD:
            kind, channel, size = _FRAME.unpack_from(data, at)
            stop = at + size + _OVERHEAD
            if stop > end:
                break
            changed = None
            if kind == _HEADER:
                changed = screened(channel, data[at + _FRAME.size : stop - 1])
            elif kind == _METHOD:
                changed = self._method(channel, data[at + _FRAME.size : stop - 1])
            if changed is not None:
                passed += (data[start:at], changed)
                start = stop
            at = stop
        passed.append(data[start:at])
        self._rest = data[at:]
        frames = b"".join(passed) if len(passed) > 1 else passed[0]
        if frames:
            super().data_received(frames)

    def eof_received(self) -> bool | None:
        """Let aiormq see the beginning of a frame that will not be completed."""
        if self._rest:
            super().data_received(self._rest)
            self._rest = b""
        return super().eof_received()

    def _method(self, channel: int, payload: bytes) -> bytes | None:
        """Note an alarm or the end; return a delivery whose routing key can be read instead of one whose cannot."""
        method = payload[:4]
        if channel == 0:
            if method == _BLOCKED:
                self.blocked = True
            elif method == _UNBLOCKED:
                self.blocked = False
            elif method == _CLOSE:
                words = payload[7 : 7 + payload[6]] if len(payload) > 6 else b""
                self.closing = Closing(int.from_bytes(payload[4:6], "big"), words.decode("utf-8", "replace"))
        elif method == _DELIVER:
            # Consumer tag, delivery tag (8), redelivered (1), exchange, routing key; short strings but for the numbers.
            at = 4 + 1 + payload[4] + 9
            at += 1 + payload[at]
            key = payload[at + 1 :]
            if not key.isascii() and not _is_text(key):
                readable = payload[: at + 1] + bytes(byte if byte < 0x80 else 0x3F for byte in key)
                return _FRAME.pack(_METHOD, channel, len(readable)) + readable + b"\xce"
        return None


class ScreenedTransport(TransportFactory):
    """Opens one connection's socket for aiormq. `screen` is there once it is connected."""

    def __init__(self) -> None:
        self.screen: Screen | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with TLS for `amqps`. Raises `AMQPConnectionError`."""
        if url.host is None:
            raise AMQPConnectionError("the URL names no host")
        provider = kwargs.pop("ssl_context_provider")
        tls = await provider.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        screen = Screen(reader, loop)
        try:
            transport, _ = await loop.create_connection(lambda: screen, url.host, url.port or 0, ssl=tls, **kwargs)
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self.screen = screen
        return reader, asyncio.StreamWriter(transport, screen, reader, loop)


def screened(channel: int, payload: bytes) -> bytes | None:
    """Return the frame to read instead of a content header that cannot be read; `None` when it can."""
    why = objection(payload)
    if why is None:
        return None
    size = int.from_bytes(payload[4:12].ljust(8, b"\0"), "big")
    damaged: dict[str, Any] = {DAMAGED: why}
    try:
        properties = commands.Basic.Properties(headers=damaged, **readable(payload))
        return pamqp.frame.marshal(ContentHeader(0, size, properties), channel)
    except (ValueError, TypeError):  # what can be read is not what may be written
        return pamqp.frame.marshal(ContentHeader(0, size, commands.Basic.Properties(headers=damaged)), channel)


def objection(payload: bytes) -> str | None:
    """Say why a content header cannot be read, or `None`."""
    flags = int.from_bytes(payload[12:14], "big")
    at = 14
    try:
        for flag, name in _PROPERTIES:
            if not flags & flag:
                continue
            if name == "headers":
                size = _LENGTH.unpack_from(payload, at)[0]
                if size > MAX_TABLE:
                    return f"headers: {size} bytes; at most {MAX_TABLE} are read"
                why = _table(payload[at : at + 4 + size]) if size else None
                if why is not None:
                    return why
                at += 4 + size
            elif name in _SIZES:
                if name == "timestamp" and not _is_time(payload[at : at + 8]):
                    return "timestamp: not a time in seconds since 1970"
                at += _SIZES[name]
            else:
                text = payload[at + 1 : at + 1 + payload[at]]
                at += 1 + payload[at]
                if not text.isascii() and not _is_text(text):
                    return f"{name}: not UTF-8"
    except (IndexError, struct.error):
        return "the properties end before they should"
    return None if at <= len(payload) and not flags & 1 else "the properties are not as AMQP has them"


def readable(payload: bytes) -> dict[str, Any]:
    """Return what can be read of a content header's properties, but for its headers."""
    flags = int.from_bytes(payload[12:14], "big")
    at, found = 14, {}
    for flag, name in _PROPERTIES:
        if not flags & flag:
            continue
        if name == "headers":
            at += 4 + int.from_bytes(payload[at : at + 4], "big")
        elif name in _SIZES:
            at += _SIZES[name]
        else:
            size = payload[at] if at < len(payload) else 0
            text = payload[at + 1 : at + 1 + size]
            at += 1 + size
            if len(text) == size and _is_text(text) and name != "cluster_id":  # deprecated: pamqp writes it empty only
                found[name] = text.decode()
        if at > len(payload):
            break
    return found


def _table(written: bytes) -> str | None:
    """Say why a header table cannot be read, by reading it as aiormq does."""
    try:
        _, headers = pamqp.decode.field_table(written)
        depth = _depth(headers)
    except (Exception, RecursionError) as error:
        return f"headers: {type(error).__name__}"
    return None if depth <= MAX_DEPTH else f"headers: nested {depth} deep; at most {MAX_DEPTH} are read"


def _depth(value: Any) -> int:
    """Return how deep tables and lists lie in each other."""
    depth, level = 0, [value]
    while level:
        within = [one for one in level if isinstance(one, dict | list)]
        depth += bool(within)
        level = [inner for one in within for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _is_time(written: bytes) -> bool:
    """Say whether aiormq can read a timestamp. Senders write milliseconds, and nanoseconds, too."""
    try:
        pamqp.decode.timestamp(written)
    except (ValueError, OverflowError, OSError):
        return False
    return True


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
