"""The socket of one broker connection, between the operating system and aiormq.

aiormq opens the connection and its channels, declares, consumes, cancels, beats and closes. Frames of a channel that
is claimed go to its owner first, as they come in, and only what it does not take goes on to aiormq. What owners write
in one turn of the loop leaves in one write to the socket: each costs a system call, and wakes somebody up.

Whole frames only are written, so ours and aiormq's can lie between each other.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, cast

from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from router.broker.frames import (
    BLOCKED,
    CLOSE,
    CLOSE_OK,
    FRAME,
    FRAME_END,
    HEARTBEAT,
    METHOD,
    OVERHEAD,
    UNBLOCKED,
    read_close,
)

ALIVE_S: Final = 1.0
"""How often aiormq is told that the broker is alive while every frame is taken from it."""


class Owner(ABC):
    """Whoever works on a channel's frames."""

    @abstractmethod
    def take(self, kind: int, payload: bytes) -> bool:
        """Take a frame, at once, or say that it is not for us."""

    @abstractmethod
    def lost(self, code: int, why: str) -> None:
        """Hear that the channel is gone, with the broker's code, or 0 with the connection. Nothing may be written."""

    def go_on(self) -> None:  # noqa: B027 - who never waits for the socket need not hear of it
        """Hear that more may be written again."""


class Wire(asyncio.StreamReaderProtocol):
    """The protocol of the socket."""

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self._full = False
        self._blocked = False
        self._loop = loop
        self._to_socket: asyncio.Transport | None = None
        self._owners: dict[int, Owner] = {}
        self._rest = b""
        self._passed_at = 0.0
        self._out: list[bytes] = []
        self._last: list[Callable[[], bytes]] = []
        self._flushing = False

    @property
    def paused(self) -> bool:
        """Whether the socket takes no more, or the broker takes nothing that is published."""
        return self._full or self._blocked

    @property
    def gone(self) -> bool:
        """Whether nothing can be written: the socket is closed, or about to be."""
        return self._to_socket is None or self._to_socket.is_closing()

    def claim(self, channel: int, owner: Owner) -> None:
        """Give a channel's frames to `owner`, until the channel is gone."""
        if self.gone:
            owner.lost(0, "the connection is gone")
        else:
            self._owners[channel] = owner

    def write(self, frames: bytes) -> None:
        """Write whole frames, with everything else of this turn of the loop. On a connection that is gone: dropped."""
        self._out.append(frames)
        self._flush_soon()

    def write_last(self, frames: Callable[[], bytes]) -> None:
        """Write what `frames` will return at the end of this turn of the loop, after everything else."""
        self._last.append(frames)
        self._flush_soon()

    def flush(self) -> None:
        """Write everything now."""
        self._flushing = False
        last, self._last = self._last, []
        self._out += [frames() for frames in last]
        out, self._out = b"".join(self._out), []
        if out and self._to_socket is not None and not self._to_socket.is_closing():
            self._to_socket.write(out)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        super().connection_made(transport)
        self._to_socket = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Give each frame to whom it belongs."""
        data = self._rest + data if self._rest else data
        at, end, taken, passed = 0, len(data), False, []
        while end - at >= OVERHEAD:
            kind, channel, size = FRAME.unpack_from(data, at)
            stop = at + size + OVERHEAD
            if stop > end:
                break
            owner = self._owners.get(channel)
            # What does not end like a frame is aiormq's to complain of.
            if owner is not None and data[stop - 1] == FRAME_END:
                payload = data[at + FRAME.size : stop - 1]
                if owner.take(kind, payload):
                    taken, at = True, stop
                    continue
                if kind == METHOD:
                    self._look_for_close(channel, payload)
            elif channel == 0 and kind == METHOD:
                self._look_for_alarm(data[at + FRAME.size : stop - 1])
            passed.append(data[at:stop])
            at = stop
        self._rest = data[at:]
        self._pass_on(b"".join(passed), taken)

    def eof_received(self) -> bool | None:
        """Let aiormq see the beginning of a frame that will not be completed."""
        self._pass_rest()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every owner."""
        self._to_socket = None
        self._out, self._last = [], []
        self._pass_rest()
        super().connection_lost(exc)
        owners, self._owners = self._owners, {}
        for owner in owners.values():
            owner.lost(0, "the connection is gone")

    def pause_writing(self) -> None:
        """Note that the socket takes no more."""
        super().pause_writing()
        self._full = True

    def resume_writing(self) -> None:
        """Let everybody go on."""
        super().resume_writing()
        self._full = False
        self._go_on()

    def _go_on(self) -> None:
        if not self.paused:
            for owner in list(self._owners.values()):
                owner.go_on()

    def _look_for_alarm(self, payload: bytes) -> None:
        """Hold back what is published while an alarm lasts: each try would be written, and arrive once it is over."""
        if payload[:4] == BLOCKED:
            self._blocked = True
        elif payload[:4] == UNBLOCKED:
            self._blocked = False
            self._go_on()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def _pass_on(self, frames: bytes, taken: bool) -> None:
        now = self._loop.time()
        if taken and not frames and now - self._passed_at > ALIVE_S:
            # The broker sends no heartbeat while it sends anything else, and aiormq would take it for dead.
            frames = HEARTBEAT
        if frames:
            self._passed_at = now
            super().data_received(frames)

    def _pass_rest(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            super().data_received(rest)

    def _look_for_close(self, channel: int, payload: bytes) -> None:
        """Let nobody write on a channel that is closing: once aiormq has answered, that would cost the connection."""
        method = payload[:4]
        if method in {CLOSE, CLOSE_OK}:
            code, why = read_close(payload) if method == CLOSE else (0, "the channel is closed")
            self._owners.pop(channel).lost(code, why)


class Socket(TransportFactory):
    """Opens one connection's socket for aiormq. `wire` is there once it is connected."""

    def __init__(self) -> None:
        self.wire: Wire | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with TLS for `amqps`. Raises `AMQPConnectionError`."""
        assert url.host is not None
        provider = kwargs.pop("ssl_context_provider")
        tls = await provider.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        wire = Wire(reader, loop)
        try:
            transport, _ = await loop.create_connection(lambda: wire, url.host, url.port or 0, ssl=tls, **kwargs)
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self.wire = wire
        return reader, asyncio.StreamWriter(transport, wire, reader, loop)
