"""A venue's socket that does what a test says, byte for byte."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Id: 7\r\n\r\nok"

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[bool]]
"""What to do with a request that was read; returns whether to read another one."""


class Peer:
    """A venue's socket: it counts connections and requests, and treats each as scripted, else answers `OK`."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.script: deque[Behaviour] = deque()
        self.writers: list[asyncio.StreamWriter] = []
        self.closed_by_client = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                self.requests.append(await read_request(reader))
                behave = self.script.popleft() if self.script else answer(OK)
                if not await behave(writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed_by_client.set()
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request, its body too."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head


def answer(data: bytes, *, stay: bool = True) -> Behaviour:
    """Write bytes; then stay for another request, or close."""

    async def behave(writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        return stay

    return behave


async def hang(writer: asyncio.StreamWriter) -> bool:
    """Say nothing until the client goes."""
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return False


async def drip(writer: asyncio.StreamWriter) -> bool:
    """Send a byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)
    raise ConnectionResetError  # `drain` does not say so if it happened while this slept


async def flood(writer: asyncio.StreamWriter) -> bool:
    """Send a body without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()
    return False


async def reset(writer: asyncio.StreamWriter) -> bool:
    """Close with a reset instead of an end."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
