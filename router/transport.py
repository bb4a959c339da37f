"""HTTP to the venues; with `router.http` and the simulator the only importer of aiohttp.

Whether a failed request may have reached the venue is not guessed from exception types. The one place that writes
calls `before_write` and then notes that bytes may leave; a failure before that is `NotSent`, one after it
`MaybeSent`.

aiohttp repeats GET, PUT and DELETE by itself when a keep-alive socket died under them, and has no public switch for
it: `session._retry_connection` is set to False here, and a test counts the arrivals.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import hdrs
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.helpers import set_exception
from yarl import URL

from router.errors import MaybeSent, NotSent
from router.exchange import Response, SignedRequest

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""More than this is no answer of a venue to one order."""

KEEP_ALIVE_S = 12.0
"""Shorter than the venues' own, so that a socket seldom dies under a request."""


class _Writing:
    """One request on its way: what must hold right before its first byte, and whether that byte may have left."""

    __slots__ = ("_timeout_s", "check", "deadline", "maybe_sent", "over")

    def __init__(self, before: Callable[[], None], deadline: asyncio.Timeout, timeout_s: float) -> None:
        self.deadline = deadline
        self.maybe_sent = False
        self.over = False
        """Nobody waits any more: what has not been written yet must not be."""
        self.check = before
        self._timeout_s = timeout_s

    def begin(self) -> None:
        """Ask whether to write, and note that bytes may leave from here on."""
        if self.over:
            raise NotSent("given up before the first byte")
        self.check()
        self.maybe_sent = True
        self.deadline.reschedule(asyncio.get_running_loop().time() + self._timeout_s)


_writing: ContextVar[_Writing] = ContextVar("writing")


class _Request(ClientRequest):
    """Asks once more at the last moment, when the next thing is the write itself."""

    async def send(self, conn: Any) -> ClientResponse:
        writing = _writing.get()
        try:
            # With a body, aiohttp leaves head and body to a task of their own, a turn of the loop later or more.
            writing.check() if self._body else writing.begin()
        except NotSent:
            # Nothing was written, so the connection is as good as new. Were it thrown away, a venue so far off that
            # connecting outlasts a signature could never be reached.
            conn.release()
            raise
        return await super().send(conn)

    async def write_bytes(self, writer: Any, conn: Any, content_length: int | None = None) -> None:
        try:
            _writing.get().begin()
        except NotSent as error:
            # The answer is being waited for: this ends the wait, and the connection with it.
            set_exception(conn.protocol, error)
            return
        await super().write_bytes(writer, conn, content_length)


class HttpTransport:
    """Keep-alive connections to every venue. Use as an async context manager."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=30),
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            headers={hdrs.ACCEPT_ENCODING: "identity", hdrs.USER_AGENT: "order-router"},
        )
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, request: SignedRequest, *, timeout_s: float, connect_s: float, before_write: Callable[[], None]
    ) -> Response:
        """Send one request, once. See `router.ports.Transport`."""
        deadline = asyncio.timeout(connect_s)
        writing = _Writing(before_write, deadline, timeout_s)
        _writing.set(writing)
        try:
            async with deadline:
                return await self._exchange(request)
        except TimeoutError:
            why = "no answer in time" if writing.maybe_sent else "no connection in time"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of a client error may quote the URL, which can be a credential: the type says enough.
            why = type(error).__name__
        finally:
            writing.over = True
        raise (MaybeSent if writing.maybe_sent else NotSent)(why)

    async def _exchange(self, request: SignedRequest) -> Response:
        if self._session is None:
            raise NotSent("the transport is closed")
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body or None,
            headers=request.headers,
            allow_redirects=False,
        ) as answer:
            return Response(answer.status, answer.headers, await _read(answer))


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """Read the body, up to what an answer can have. The rest is not read: the connection is closed instead."""
    length = answer.content_length
    if length is not None and length <= MAX_ANSWER_BYTES:
        return await answer.read()
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            answer.close()
            raise aiohttp.ClientPayloadError
    return bytes(body)
