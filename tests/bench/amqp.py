"""AMQP 0-9-1 by hand, for a sender that must cost next to nothing beside what it measures.

One connection, one channel, publisher confirms; results arrive without acknowledgements. What is published often is
written as ready bytes (`frames`), what arrives often is cut out of the stream by its frame header (AMQP 0-9-1, 2.3.5)
and left for later. pamqp is only asked about the rest: the handshake, and whatever ends it.
"""

import asyncio
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from aio_pika import Message
from pamqp import commands
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.common import FieldTable
from pamqp.frame import marshal, unmarshal
from pamqp.header import ContentHeader

GREETING: Final = b"AMQP\x00\x00\x09\x01"
CAPABILITIES: Final[FieldTable] = {"capabilities": {"publisher_confirms": True, "basic.nack": True}}
HEAD: Final = struct.Struct(">BHI")
METHOD: Final = struct.Struct(">HH")
CONFIRM: Final = struct.Struct(">HHQB")
METHOD_FRAME: Final = 1
BODY_FRAME: Final = 3
DELIVER, RETURN, ACK, NACK = (60, 60), (60, 50), (60, 80), (60, 120)
CHANNEL: Final = 1

Hear = Callable[[float, bytes], None]
"""Hears when a message arrived, in monotonic seconds, and its body."""


def frames(message: Message, exchange: str, key: str) -> bytes:
    """Return the frames that publish a message, mandatory."""
    publish = commands.Basic.Publish(exchange=exchange, routing_key=key, mandatory=True)
    header = ContentHeader(body_size=len(message.body), properties=message.properties)
    return b"".join(marshal(part, CHANNEL) for part in (publish, header, ContentBody(message.body)))


class Line(asyncio.Protocol):
    """A connection with one open channel. `server` is what the broker says of itself."""

    def __init__(self, hear: Hear) -> None:
        self.server: dict[str, Any] = {}
        self.refused = 0
        """How many publishes the broker did not take or could not route."""
        self._hear = hear
        self._transport: Any = None
        self._unread = b""
        self._published = 0
        self._unconfirmed: OrderedDict[int, None] = OrderedDict()
        self._answers: asyncio.Queue[Frame] = asyncio.Queue()
        self._settled = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost: str | None = None
        self._returning = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = transport
        self._transport.write(GREETING)

    async def open(self, user: str, password: str, host: str) -> None:
        """Shake hands and open the channel. No heartbeats: nobody would be there to see them missing."""
        start = await self._answer()
        assert isinstance(start, commands.Connection.Start)
        self.server = dict(start.server_properties)
        secret = f"\0{user}\0{password}"
        self._send(commands.Connection.StartOk(client_properties=CAPABILITIES, response=secret), 0)
        tune = await self._answer()
        assert isinstance(tune, commands.Connection.Tune)
        self._send(commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0), 0)
        await self._ask(commands.Connection.Open(virtual_host=host), 0)
        await self._ask(commands.Channel.Open())
        await self._ask(commands.Confirm.Select())

    async def consume(self, queue: str) -> None:
        """Hear every message of a queue from now on."""
        await self._ask(commands.Basic.Consume(queue=queue, no_ack=True))

    def publish(self, message: bytes) -> None:
        """Write what `frames` made; the broker's confirm is counted when it comes."""
        self._published += 1
        self._unconfirmed[self._published] = None
        self._settled.clear()
        self._transport.write(message)

    async def drained(self) -> None:
        """Wait until the socket takes more."""
        await self._writable.wait()

    async def settled(self) -> None:
        """Wait until every publish is confirmed. Raises `AssertionError` when one was refused, or the line is dead."""
        if self._unconfirmed:
            await self._settled.wait()
        assert self._lost is None, self._lost
        assert not self.refused, f"{self.refused} messages were refused or could not be routed"

    async def close(self) -> None:
        """Hang up."""
        if self._lost is None:
            await self._ask(commands.Connection.Close(200, "bye", 0, 0), 0)
        self._transport.close()

    def pause_writing(self) -> None:
        """Let a publisher wait: the broker reads more slowly than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let it go on."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Let nobody wait for what cannot come."""
        self._fail(f"the connection was lost: {error}")

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames."""
        now = time.monotonic()
        unread, start = self._unread + data, 0
        while len(unread) - start >= HEAD.size:
            kind, _, size = HEAD.unpack_from(unread, start)
            end = start + HEAD.size + size + 1
            if len(unread) < end:
                break
            if kind == BODY_FRAME and not self._returning:
                # A whole message: bodies of ours are far below a frame's limit.
                self._hear(now, unread[start + HEAD.size : end - 1])
            elif kind == METHOD_FRAME:
                self._method(unread, start, end)
            start = end
        self._unread = unread[start:]

    def _method(self, unread: bytes, start: int, end: int) -> None:
        method = METHOD.unpack_from(unread, start + HEAD.size)
        if method in {ACK, NACK}:
            _, _, tag, bits = CONFIRM.unpack_from(unread, start + HEAD.size)
            self._confirm(tag, multiple=bool(bits & 1), refused=method == NACK)
        elif method in {DELIVER, RETURN}:
            self._returning = method == RETURN
            self.refused += self._returning
        else:
            self._rare(unmarshal(unread[start:end])[2])

    def _confirm(self, tag: int, *, multiple: bool, refused: bool) -> None:
        waiting = self._unconfirmed
        before = len(waiting)
        if multiple:
            while waiting and next(iter(waiting)) <= tag:
                waiting.popitem(last=False)
        else:
            waiting.pop(tag, None)
        if refused:
            self.refused += before - len(waiting)
        if not waiting:
            self._settled.set()

    def _rare(self, frame: Any) -> None:
        if isinstance(frame, commands.Connection.Close | commands.Channel.Close):
            self._fail(f"the broker closed: {frame.reply_text}")
        else:
            self._answers.put_nowait(frame)

    def _fail(self, why: str) -> None:
        self._lost = self._lost or why
        self._settled.set()
        self._writable.set()
        self._answers.put_nowait(commands.Connection.CloseOk())

    def _send(self, frame: Frame, channel: int = CHANNEL) -> None:
        self._transport.write(marshal(frame, channel))

    async def _ask(self, frame: Frame, channel: int = CHANNEL) -> Frame:
        self._send(frame, channel)
        return await self._answer()

    async def _answer(self) -> Frame:
        frame = await self._answers.get()
        assert self._lost is None, self._lost
        return frame


async def connect(url: str, hear: Hear = lambda _at, _body: None) -> Line:
    """Connect to a broker over plain TCP."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(lambda: Line(hear), parts.hostname or "127.0.0.1", parts.port or 5672)
    host = unquote(parts.path.removeprefix("/")) or "/"
    await line.open(unquote(parts.username or "guest"), unquote(parts.password or "guest"), host)
    return line
