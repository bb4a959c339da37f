"""What the core needs to speak to a venue."""

from collections.abc import Callable
from typing import Protocol

from router.venue_protocol import Response, SignedRequest


class Transport(Protocol):
    """One HTTP request to a venue; never repeated by itself."""

    async def send(
        self, request: SignedRequest, *, timeout_s: float, connect_s: float, before_write: Callable[[], None]
    ) -> Response:
        """Send and return the answer.

        `before_write` is called with the connection in hand, right before the first byte; what it raises stops the
        request (a `NotSent`). Waiting for a connection takes at most `connect_s`, the answer at most
        `timeout_s` from the first byte. Raises `NotSent` or `MaybeSent`.
        """
        ...


class Socket(Protocol):
    """One WebSocket. Answers pings and notices a peer that answers none."""

    async def send(self, text: str) -> None:
        """Send a text frame. Raises `SocketClosed`."""
        ...

    async def receive(self) -> str | bytes:
        """Wait for the next frame. Raises `SocketClosed`."""
        ...

    async def close(self) -> None:
        """Close. Never raises."""
        ...


class Sockets(Protocol):
    """WebSockets to the venues."""

    async def open(self, url: str, *, timeout_s: float) -> Socket:
        """Connect. Raises `SocketClosed`, without the URL."""
        ...
