"""A small HTTP proxy: it opens tunnels and passes plain requests on, whatever the name, to one address."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class ConnectProxy:
    """What it was asked, and how it treats the next: pass it on, answer `refusal`, or say nothing (`mute`)."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.port = 0
        self.heads: list[bytes] = []
        self.refusal = b""
        self.mute = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if self.mute:
                await reader.read()
                return
            if self.refusal:
                writer.write(self.refusal)
                await writer.drain()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.to)
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                back.write(head)
            await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def open_proxy(port: int) -> AsyncIterator[ConnectProxy]:
    """Listen."""
    proxy = ConnectProxy(port)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await proxy.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
