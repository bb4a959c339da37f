"""WebSockets to the venues' private feeds.

A URL can be a credential, and so can a frame: no error here quotes either. A session of its own, because the one for
requests writes nothing without a deadline of its own.
"""

import asyncio
import os
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import hdrs
from yarl import URL

from router.config.proxy import Proxies
from router.errors import SocketClosed
from router.transport.causes import in_words
from router.transport.names import NameResolver

PING_S: Final = 15.0
"""How often a silent peer is pinged; without a pong for half of that the socket counts as gone. It is what notices a
connection that died without a word: a venue's own silence is the stream's to judge."""
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
CLOSE_S: Final = 2.0


class WebSockets:
    """Opens sockets, through the proxies that the environment names.

    Use as an async context manager. Raises `ConfigError` for a proxy that cannot be used.
    """

    def __init__(self, proxies: Proxies | None = None, *, ping_s: float = PING_S) -> None:
        self._proxies = Proxies.read(os.environ) if proxies is None else proxies
        self._ping_s = ping_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, resolver=NameResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            headers={hdrs.USER_AGENT: "order-router"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def open(self, url: str, *, timeout_s: float) -> "WebSocket":
        """Connect. See `router.ports.Sockets`."""
        if self._session is None:
            raise SocketClosed("the sockets are closed")
        try:
            where = URL(url, encoded=True)
            proxy = self._proxies.of(where.scheme, where.host or "", where.port or 0)
            async with asyncio.timeout(timeout_s):
                socket = await self._session.ws_connect(
                    where,
                    proxy=proxy.url if proxy else None,
                    proxy_headers=proxy.headers if proxy else None,
                    autoclose=True,
                    autoping=True,
                    heartbeat=self._ping_s,
                    max_msg_size=MAX_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                )
        except TimeoutError:
            raise SocketClosed("no connection in time") from None
        except aiohttp.WSServerHandshakeError as error:
            raise SocketClosed(f"the handshake was answered {error.status}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SocketClosed(in_words(error, url)) from None
        return WebSocket(socket)


class WebSocket:
    """One open socket. See `router.ports.Socket`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Send a text frame."""
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise SocketClosed(f"cannot send: {type(error).__name__}") from None

    async def receive(self) -> str | bytes:
        """Wait for the next frame with content."""
        try:
            message = await self._socket.receive()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise SocketClosed(f"cannot receive: {type(error).__name__}") from None
        if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            content: str | bytes = message.data
            return content
        raise SocketClosed(f"closed with code {self._socket.close_code or 'none'}")

    async def close(self) -> None:
        """Close, waiting no longer than a moment for the peer."""
        try:
            async with asyncio.timeout(CLOSE_S + 1.0):
                await self._socket.close()
        except (aiohttp.ClientError, OSError, RuntimeError, TimeoutError):
            pass  # it is as good as closed
