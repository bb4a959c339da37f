"""One connection to a venue: one request in flight, and the answer to it.

Its answer is parsed by aiohttp's parser; what came unasked, or behind an answer, ends the connection.
"""

import asyncio
import select
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpResponseParser, RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from router.venue_protocol import Response

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""More than this is no answer of a venue to one order."""
FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)


class _Unpaced:
    """What the parser takes for a connection whose reading it can hold. An answer never grows so large as to ask."""

    def pause_reading(self) -> None:
        """Go on."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on."""


class _ResponseParser:
    """One answer as it comes in. `done` ends once: with all of it, or with why there is none."""

    __slots__ = ("_extra", "_head", "_parser", "_payload", "done", "last")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[Response] = loop.create_future()
        self.last = True
        """Whether the connection ends with it."""
        self._extra = False
        self._head: RawResponseMessage | None = None
        self._payload: StreamReader = EMPTY_PAYLOAD
        self._parser = HttpResponseParser(
            _Unpaced(),  # type: ignore[arg-type]  # not this answer: a cycle for the collector with every request
            loop,
            MAX_ANSWER_BYTES,
            payload_exception=aiohttp.ClientPayloadError,
            read_until_eof=True,
            auto_decompress=False,
        )

    def feed(self, data: bytes) -> None:
        """Take what the venue sent."""
        if self.done.done():
            self.last = True
            return
        try:
            messages, _, _ = self._parser.feed_data(data)
        except HttpProcessingError as error:
            self.fail(error)
            return
        for head, payload in messages:
            if self._head is not None:
                self._extra = True
            elif head.code >= 200 or head.code == 101:  # other than that, 1xx comes before the answer
                self._head, self._payload = head, payload
        self._finish(data)

    def end(self) -> None:
        """Take note that the venue will send no more: an answer without a length is whole then."""
        if self._head is None or self.done.done():
            return
        try:
            self._parser.feed_eof()
        except HttpProcessingError as error:
            self.fail(error)
            return
        self._finish(b"")

    def fail(self, error: Exception) -> None:
        """Say why there will be none."""
        if not self.done.done():
            self.done.set_exception(error)

    def _finish(self, data: bytes) -> None:
        """End `done` if the answer is whole or too large. `data` came in last."""
        head, payload = self._head, self._payload
        if head is None:
            return
        if payload.total_bytes > MAX_ANSWER_BYTES:
            self.fail(aiohttp.ClientPayloadError())
        elif payload.is_eof():
            body = payload.read_nowait()
            # The parser keeps what comes behind an answer, if that is no whole one, to itself.
            end = b"0\r\n\r\n" if head.chunked else b"\r\n\r\n" + body
            alone = data.endswith(end) or end.endswith(data)
            self.last = self._extra or head.should_close or head.code == 101 or not alone
            self.done.set_result(Response(head.code, head.headers, body))


class Link(asyncio.Protocol):
    """One connection to a venue, carrying one request at a time.

    `clean` says that it may carry the next one: nothing came in on it but whole answers to what was asked.
    """

    __slots__ = ("_answer", "_connection", "_handler", "_poll", "_transport", "clean", "idle_since")

    def __init__(self, connection: Connection) -> None:
        handler, transport = connection.protocol, connection.transport
        if handler is None or transport is None or connection.closed or handler.should_close:
            connection.close()
            raise ConnectionResetError("closed, or spoken on, before the first request")
        transport.set_protocol(self)
        self.clean = True
        self.idle_since = 0.0
        self._connection = connection
        self._handler: ResponseHandler = handler
        self._transport = transport
        self._answer: _ResponseParser | None = None
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Add to the answer. Without a request there can be none: close."""
        if self._answer is not None:
            self._answer.feed(data)
        else:
            self._transport.close()

    def eof_received(self) -> None:
        """Note the venue's own end. The transport closes with it."""
        if self._answer is not None:
            self._answer.end()

    def connection_lost(self, error: Exception | None) -> None:
        """End the wait for an answer."""
        self._handler.connection_lost(error)  # the connector waits for it when it closes
        if self._answer is not None:
            self._answer.fail(error if isinstance(error, OSError) else aiohttp.ServerDisconnectedError())

    def reusable(self) -> bool:
        """Say whether the next request may go out on it, as far as this process has heard."""
        return self.clean and not self._transport.is_closing() and not self._transport.get_write_buffer_size()

    def quiet(self, keep_alive_s: float) -> bool:
        """Say whether an idle one is still good: in use lately, and nothing, be it an end, waits unread."""
        idle_s = asyncio.get_running_loop().time() - self.idle_since
        return idle_s < keep_alive_s and self.reusable() and not self._poll.poll(0)

    async def exchange(self, data: bytes, timeout_s: float) -> Response:
        """Write a request, before anything else, and wait for its answer."""
        self.clean = False
        self._transport.write(data)
        loop = asyncio.get_running_loop()
        answer = self._answer = _ResponseParser(loop)
        timer = loop.call_later(timeout_s, answer.fail, TimeoutError())
        try:
            response = await answer.done
        finally:
            timer.cancel()
            self._answer = None
        self.clean = not answer.last
        return response

    def close(self) -> None:
        """Close. Of a request that was given up no further byte leaves."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        self._connection.close()
