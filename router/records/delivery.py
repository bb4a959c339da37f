"""One message from a command queue, as the worker reads it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from router.records.command import Reply
from schemas.codec import JSON, MSGPACK, media_type


class Delivery(Struct, frozen=True, kw_only=True):
    """A command as delivered. `venue` is that of the queue, `None` for the queue of unrouted commands.

    `sent_us` is the sender's timestamp, if any. `damaged` says why properties or headers could not be read; the fields
    then hold what could. `ack` and `reject` may raise on a connection that is gone; what is rejected the broker
    dead-letters itself. `hold` says that it will stay unsettled for long, and is not to keep others from coming.
    """

    body: bytes
    venue: str | None
    routing_key: str
    sender: str
    reply_to: str
    correlation_id: str
    content_type: str
    content_encoding: str = ""
    traceparent: str
    redelivered: bool
    sent_us: int | None
    headers: Mapping[str, Any]
    ack: Callable[[], Awaitable[None]]
    reject: Callable[[], Awaitable[None]]
    message_id: str = ""
    damaged: str = ""
    hold: Callable[[], None] = lambda: None

    def reply(self, command_id: str | None) -> Reply:
        """Return where this delivery is answered."""
        return Reply(
            reply_to=self.reply_to,
            correlation_id=self.correlation_id or command_id or "",
            content_type=MSGPACK if media_type(self.content_type) == MSGPACK else JSON,
            traceparent=self.traceparent,
        )
