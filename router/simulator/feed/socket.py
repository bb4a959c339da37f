"""One client's connection to a private feed. What is pushed leaves in that order, one frame after another."""

import asyncio
import time
from typing import Final, NamedTuple

from aiohttp import web

from router.simulator import wire
from router.simulator.feed.faults import How

CLOSE_S: Final = 1.0
"""How long an orderly close waits for the client's."""


class _Item(NamedTuple):
    """Something to send at a moment of the monotonic clock: a text, a ping (`None`), or the end."""

    due_s: float
    text: str | None
    end: How | None = None


class Socket:
    """One connection. `number` counts a venue's connections, `account` is empty until the client has said who it is.

    `sent` counts text frames, `unanswered` the pings without a pong.
    """

    def __init__(self, http: web.Request, ws: web.WebSocketResponse, number: int) -> None:
        self.number = number
        self.ip = http.remote or ""
        self.account = ""
        self.channels: dict[str, None] = {}
        self.opened_s = time.monotonic()
        self.pinged_s = self.pushed_s = self.opened_s
        self.unanswered = 0
        self.sent = 0
        self.open = True
        self._http = http
        self._ws = ws
        self._items: asyncio.Queue[_Item] = asyncio.Queue()

    def push(self, text: str, delay_s: float = 0.0) -> None:
        """Send a text frame behind what was pushed before; a delay holds up everything behind it, too."""
        if self.open:
            self.pushed_s = time.monotonic()
            self._items.put_nowait(_Item(time.monotonic() + delay_s if delay_s else 0.0, text))

    def ping(self) -> None:
        """Send a protocol ping."""
        self.pinged_s = time.monotonic()
        self.unanswered += 1
        self._items.put_nowait(_Item(0.0, None))

    def end(self, how: How) -> None:
        """End the connection behind what was pushed before: by RST, or with a close frame."""
        self.open = False
        self._items.put_nowait(_Item(0.0, None, how))

    def cut(self, how: How = "reset") -> None:
        """End the connection at once, without a close frame; what was not sent yet is lost."""
        self.open = False
        if how == "reset":
            wire.reset(self._http)
        else:
            wire.close(self._http)

    async def write(self) -> None:
        """Send what is pushed until the connection ends."""
        ended = False
        while not ended:
            item = await self._items.get()
            if item.due_s:
                await asyncio.sleep(item.due_s - time.monotonic())
            try:
                await self._send(item)
            except ConnectionError:
                return  # the client is gone; the reader ends with it
            ended = item.end is not None

    async def _send(self, item: _Item) -> None:
        if item.end == "reset":
            self.cut()
        elif item.end == "close":
            await self._ws.close()
        elif item.text is None:
            await self._ws.ping()
        else:
            self.sent += 1
            await self._ws.send_str(item.text)
