"""One stream's protocol on one socket: does what the stream wants, tells it what happened.

The stream is only ever called from the event loop, one call at a time, and never waits: what it says and what it asks
over REST goes its own way while frames keep coming in.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from msgspec import Struct

from router.access.configured import Account, Venue
from router.access.reads import Reader
from router.errors import SendError, SocketClosed
from router.feeds.pacer import Pacer
from router.ports import Socket, Sockets
from router.telemetry import redact
from router.venue_protocol import Request, Response, Stamp
from router.venue_protocol.stream import Ask, Broken, Change, Changes, Connect, Ready, Say, Stream, Want

TICK_S: Final = 1.0
ASK_WAIT_S: Final = 5.0
"""How long a stream's REST request waits for its turn under a limit."""
GOODBYE_S: Final = 3.0

_log = structlog.get_logger(__name__)


class ConnectionParts(Struct, frozen=True, kw_only=True):
    """What the connections to one venue share. Their clock and metrics are the reader's."""

    reader: Reader
    sockets: Sockets
    pacer: Pacer


class Connection:
    """One life of a stream, from its beginning until it is broken.

    `on_changes` hears what was reported. `room` is awaited after every frame: it makes the venue wait while what was
    reported cannot be recorded.
    """

    def __init__(
        self,
        stream: Stream,
        venue: Venue,
        account: Account,
        parts: ConnectionParts,
        *,
        on_changes: Callable[[Sequence[Change]], None],
        room: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.ready = asyncio.Event()
        self._clock = parts.reader.clock
        self._metrics = parts.reader.metrics
        self.heard_us = self._clock.now_us()
        self._stream = stream
        self._venue = venue
        self._account = account
        self._parts = parts
        self._on_changes = on_changes
        self._room = room
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._spoken: asyncio.Queue[Say | Ready] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting: Connect | None = None
        self._socket: Socket | None = None
        self._open = asyncio.Event()
        self._nonce = secrets.token_hex(12)
        self._heard = 0

    async def run(self) -> str:
        """Run until the stream is broken, and return why."""
        self._spawn(self._talk())
        self._spawn(self._tick())
        self._act(self._stream.begin(self._stamp()))
        try:
            return await self._over
        finally:
            await self._hang_up()

    async def goodbye(self) -> None:
        """Carry out what the stream asks for at its end. Never raises, and takes a moment at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                wants = self._stream.end(self._stamp())
                asked = [self._send(want.request) for want in wants if isinstance(want, Ask)]
                await asyncio.gather(*asked, return_exceptions=True)

    def _act(self, wants: Sequence[Want]) -> None:
        for want in wants:
            match want:
                case Changes(changes):
                    self._on_changes(changes)
                case Say() | Ready():
                    # A stream is ready once what it said before has been said.
                    self._spoken.put_nowait(want)
                case Ask(request):
                    self._spawn(self._ask(request))
                case Connect():
                    self._connect(want)
                case Broken(reason):
                    self._break(reason)

    def _connect(self, want: Connect) -> None:
        if self._connecting is not None:
            return self._break("the stream connected twice")
        self._connecting = want
        return self._spawn(self._listen(want.url))

    async def _listen(self, url: str) -> None:
        try:
            socket = self._socket = await self._parts.sockets.open(url, timeout_s=self._venue.options.timeout_s)
            self._open.set()
            self._note_heard()
            self._act(self._stream.opened(self._stamp()))
            while not self._over.done():
                frame = await socket.receive()
                self._note_heard()
                # Not the account's own stamp: a thousand frames a second would drive that ahead of the clock.
                self._heard += 1
                now_ms = self._venue.time_us(self._clock) // 1000
                self._act(self._stream.heard(frame, Stamp(now_ms, f"{self._nonce}{self._heard:x}")))
                await self._room()
        except SocketClosed as error:
            self._break(str(error))

    async def _talk(self) -> None:
        while True:
            want = await self._spoken.get()
            if isinstance(want, Ready):
                self.ready.set()
                continue
            await self._open.wait()
            if want.pace_s:
                await self._parts.pacer.turn(want.pace_s)
            if self._socket is not None:
                try:
                    await self._socket.send(want.text)
                except SocketClosed as error:
                    return self._break(str(error))

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            self._act(self._stream.tick(self._stamp()))

    async def _ask(self, request: Request) -> None:
        try:
            response: Response | None = await self._send(request)
        except SendError as error:
            _log.info(
                "a feed's request got no answer", venue=self._venue.name, endpoint=request.endpoint, error=str(error)
            )
            response = None
        self._act(self._stream.answered(request, response, self._stamp()))

    async def _send(self, request: Request) -> Response:
        return await self._parts.reader.send(self._venue, self._account, request, wait_s=ASK_WAIT_S)

    def _stamp(self) -> Stamp:
        return self._account.stamp(self._venue.time_us(self._clock))

    def _note_heard(self) -> None:
        self.heard_us = self._clock.now_us()
        self._metrics.feed_heard(self._venue.name, self._account.name, self.heard_us / 1e6)

    def _break(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(redact(reason)[:200])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a feed's connection failed", venue=self._venue.name, exc_info=error)
            self._break(f"a defect: {type(error).__name__}")

    async def _hang_up(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
