"""A TCP proxy that can stop forwarding, cut its connections, and refuse new ones: the network between two parts."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

_LINGER_NONE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards connections from `port` to a target on loopback. Use as an async context manager.

    `held` counts the bytes that came while their way was a black hole, `answered` the pieces that came back from the
    target. After `stalls_after` of those it becomes a black hole by itself.
    """

    stalls_after: int | None = None

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.port = port
        self.held = self.answered = 0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._refusing = False
        self._dropping = False
        self._ways = {"forth": asyncio.Event(), "back": asyncio.Event()}
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.heal()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def black_hole(self, *, forth: bool = True) -> None:
        """Swallow everything from now on, the answers at least, with the connections left open."""
        self._ways["back"].clear()
        if forth:
            self._ways["forth"].clear()

    def heal(self, *, drop: bool = False) -> None:
        """Forward again; what was held back goes first, or with `drop` never, as when its connection is cut."""
        self._dropping = drop
        for way in self._ways.values():
            way.set()

    def refuse(self) -> None:
        """Reset every connection, and each new one at once."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Take connections again."""
        self._refusing = False

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            return _reset(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            return _reset(writer)
        self._writers |= {writer, back}
        for source, target, way in ((reader, back, "forth"), (there, writer, "back")):
            task = asyncio.create_task(self._pump(source, target, way))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return None

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, way: str) -> None:
        is_open = self._ways[way]
        try:
            while data := await source.read(65536):
                if way == "back":
                    if self.answered == self.stalls_after:
                        self.black_hole()
                    self.answered += 1
                if not is_open.is_set():
                    self.held += len(data)
                    await is_open.wait()
                    if self._dropping:
                        break
                target.write(data)
                await target.drain()
        except OSError:
            pass  # a reset: what a cut looks like from here
        finally:
            self._writers.discard(target)
            target.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    writer.transport.abort()
