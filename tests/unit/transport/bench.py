"""A raw peer, a transport, and what the tests of `router.transport.http` do with them."""

import asyncio
import contextlib
import os
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from router.config.proxy import Proxies
from router.errors import SendError
from router.transport.http import HttpTransport
from router.venue_protocol import Response, SignedRequest
from tests.unit.transport.raw_peer import Peer

SECRET = "5up3rs3cr3t51gnatur3"
METHODS = ("GET", "POST", "PUT", "DELETE")


class Bench:
    """A peer, a transport, and one request between them."""

    def __init__(self, peer: Peer, transport: HttpTransport, port: int) -> None:
        self.peer = peer
        self.transport = transport
        self.port = port
        self.begun = 0

    def request(self, method: str = "POST", *, scheme: str = "http", host: str = "127.0.0.1") -> SignedRequest:
        """Return a request that carries a credential in every place."""
        body = b"" if method in {"GET", "DELETE"} else b'{"a":1}'
        url = f"{scheme}://{host}:{self.port}/v1/x?b=2&a=%2F,1&signature={SECRET}"
        return SignedRequest(method, url, {"API-SIGN": SECRET, "Content-Type": "application/json"}, body)

    async def send(
        self,
        request: SignedRequest | None = None,
        *,
        timeout_s: float = 2.0,
        connect_s: float = 2.0,
        before_write: Callable[[], None] | None = None,
    ) -> Response:
        """Send it; `begun` counts the requests that were asked about, once or more."""
        asked = False

        def begin() -> None:
            nonlocal asked
            self.begun += not asked
            asked = True
            if before_write is not None:
                before_write()

        return await self.transport.send(
            request or self.request(), timeout_s=timeout_s, connect_s=connect_s, before_write=begin
        )

    async def fails(self, kind: type[SendError], *args: Any, **options: Any) -> SendError:
        """Send it, expect exactly this failure, and no secret in anything that could be logged."""
        with pytest.raises(SendError) as caught:
            await self.send(*args, **options)
        assert type(caught.value) is kind, caught.value
        assert str(caught.value)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        return caught.value

    async def arrived(self, count: int) -> None:
        """Wait until so many requests have."""
        while len(self.peer.requests) < count:
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def open_bench(tls: ssl.SSLContext | None = None, proxies: Proxies | None = None) -> AsyncIterator[Bench]:
    """Listen, and open a transport. In the end the event loop has had nothing to complain of."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    async with HttpTransport(proxies) as transport:
        yield Bench(peer, transport, server.sockets[0].getsockname()[1])
    server.close()
    for writer in peer.writers:
        writer.transport.abort()
    await server.wait_closed()
    assert not complaints


def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a peer's connection at once, behind the back of its event loop."""
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as sock:
        sock.shutdown(socket.SHUT_RDWR)
