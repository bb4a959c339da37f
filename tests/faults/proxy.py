"""A TCP proxy that can stop forwarding, cut its connections, and refuse new ones: the network between two parts."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

_LINGER_NONE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards connections from `port` to a target on loopback. Use as an async context manager."""

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.port = port
        self.accepted = 0
        self.forwarded: int = 0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

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

    def black_hole(self) -> None:
        """Swallow everything from now on, both ways, with the connections left open."""
        self._open.clear()

    def heal(self) -> None:
        """Forward again, what was held back first."""
        self._open.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            connection = writer.get_extra_info("socket")
            if connection is not None and not writer.transport.is_closing():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._open.wait()
                target.write(data)
                self.forwarded += len(data)
                await target.drain()
        except OSError:
            pass  # a reset: what a cut looks like from here
        finally:
            self._writers.discard(target)
            target.close()
