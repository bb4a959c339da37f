"""Publish results, poison and order events on a connection of their own, each message confirmed.

Nobody waits for the socket, only for the confirm.

Own connection, because under a memory alarm everything on a publishing connection is stuck, acks too. Several channels,
because a publish to an exchange that is gone closes its channel and fails every publish in flight on it: replies go
through the default exchange only, which is always there, and what a queue of one kind refuses holds up no other kind.
"""

import asyncio
import datetime
import itertools
import re
import struct
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, DeliveryError, PublishError
from aiormq import spec
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused
from msgspec.structs import replace
from pamqp import encode

from router.broker.connection import connect, open_channel, underlay
from router.broker.topology import Names
from router.config import Broker
from router.delivery import Delivery
from router.errors import BrokerUnavailable, PublishFailed, Unroutable
from router.events import Copy, StoredEvent
from router.job import Reply
from router.telemetry import Metrics
from schemas.codec import JSON, encode_event, encode_result
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result

CONFIRM_S = 10.0
PERSISTENT = 2
MAX_SYMBOL = 64
_NO_WORD = re.compile(r"[^A-Za-z0-9_:/-]")
BROKERS_OWN = ("x-death", "x-first-death", "x-last-death", "x-delivery-count")

_log = structlog.get_logger(__name__)


class Publisher:
    """Results to reply queues, poison to the dead-letter exchange."""

    def __init__(self, config: Broker, metrics: Metrics) -> None:
        self._config = config
        self._names = Names(config.prefix)
        self._metrics = metrics
        # A random id for each message would cost more than encoding it.
        self._process = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._connection: AbstractConnection | None = None
        self._opening = asyncio.Lock()
        self._channels: dict[str, AbstractChannel] = {}

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to its reply queue, or to the results queue. See `router.ports.Publisher`."""
        body = encode_result(result, reply.content_type)
        headers = {
            "x-sender": sender,
            "x-venue": result.venue or "",
            "x-account": result.account or "",
            "x-outcome": result.outcome,
        }
        if reply.traceparent:
            headers["traceparent"] = reply.traceparent
        message: dict[str, Any] = {
            "headers": headers,
            "content_type": reply.content_type,
            "correlation_id": reply.correlation_id,
            "message_type": "order.result",
        }
        if reply.reply_to and not self._names.ours(reply.reply_to):
            try:
                return await self._send("", reply.reply_to, body, message)
            except Unroutable as error:
                # One sender's queue that is gone, full or forbidden must hold up nobody else's answers.
                self._metrics.unroutable()
                _log.warning("a result goes to the results queue", command_id=result.command_id, error=str(error))
        key = f"{result.venue or '_'}.{result.account or '_'}.{result.outcome}"
        return await self._send(self._names.results, key, body, message)

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Publish poison unchanged, with the reason in its headers. Raises `PublishFailed`."""
        # What the broker wrote about earlier deaths stays out: only what it dead-letters itself carries x-death.
        kept = {name: value for name, value in delivery.headers.items() if not name.startswith(BROKERS_OWN)}
        headers = {**(kept if _writable(kept) else {}), "x-dead-reason": reason, "x-dead-detail": detail[:300]}
        message: dict[str, Any] = {
            "headers": headers,
            "content_type": delivery.content_type or None,
            "correlation_id": delivery.correlation_id or None,
            "reply_to": delivery.reply_to or None,
        }
        await self._send(self._names.dead, delivery.routing_key or "_", delivery.body, message)

    async def publish_event(self, stored: StoredEvent) -> None:
        """Publish an event to the topic exchange and its copies. See `router.ports.EventPublisher`."""
        event = stored.event
        message = {"headers": _about(event), "content_type": JSON, "message_type": "order.event"}
        key = f"{event.venue}.{event.account}.{symbol_word(event.symbol)}.{event.status}"
        copies = asyncio.create_task(self.publish_copies(stored), name="copies") if stored.copies else None
        try:
            # In this task, not in one of its own: that is what keeps the order of calls begun one after another.
            await self._send(self._names.events, key, encode_event(event), message, mandatory=False)
        finally:
            if copies is not None:
                await asyncio.wait([copies])
        if copies is not None:
            copies.result()

    async def publish_copies(self, stored: StoredEvent) -> None:
        """Publish only the copies for reply queues; one whose queue is gone is dropped."""
        await asyncio.gather(*(self._publish_copy(stored.event, copy) for copy in stored.copies))

    async def publish_status(self, status: FeedStatus) -> None:
        """Publish whether an account's events are complete."""
        headers = {"x-venue": status.venue, "x-account": status.account, "x-status": status.status}
        message = {"headers": headers, "content_type": JSON, "message_type": "feed.status"}
        key = f"{status.venue}.{status.account}._feed.{status.status}"
        await self._send(self._names.events, key, encode_event(status), message, mandatory=False)

    async def _publish_copy(self, event: OrderEvent, copy: Copy) -> None:
        reply = copy.reply
        if self._names.ours(reply.reply_to):
            return
        headers = _about(event)
        if reply.traceparent:
            headers["traceparent"] = reply.traceparent
        message = {
            "headers": headers,
            "content_type": reply.content_type,
            "correlation_id": reply.correlation_id,
            "message_type": "order.event",
        }
        body = encode_event(replace(event, command_id=copy.command_id), reply.content_type)
        try:
            await self._send("", reply.reply_to, body, message, kind="copies")
        except Unroutable:
            _log.debug("a copy of an event was dropped: its reply queue is gone", event_id=event.event_id)

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(AMQPError, RuntimeError, OSError, TimeoutError):
                async with asyncio.timeout(3):
                    await connection.close()

    async def _send(
        self,
        exchange: str,
        key: str,
        body: bytes,
        properties: dict[str, Any],
        *,
        mandatory: bool = True,
        kind: str = "",
    ) -> None:
        about = spec.Basic.Properties(
            # Returns are matched by message id: a shared one would confirm the wrong publish.
            message_id=f"{self._process}-{next(self._numbers):x}",
            app_id="order-router",
            timestamp=datetime.datetime.now(datetime.UTC),
            delivery_mode=PERSISTENT,
            **properties,
        )
        kind = kind or self._kind(exchange)
        try:
            channel = self._channels.get(kind)
            if channel is None or channel.is_closed:
                channel = await self._open(kind)
            async with asyncio.timeout(CONFIRM_S):
                if mandatory:
                    # While an alarm blocks us every try would be written, and arrive once it is over. Events are not
                    # held: they must keep their order, and their window is small.
                    await channel.connection.ready()
                await channel.basic_publish(  # type: ignore[call-arg]  # the abstract channel does not declare `wait`
                    body, exchange=exchange, routing_key=key, properties=about, mandatory=mandatory, wait=False
                )
        except PublishError as error:
            raise Unroutable(f"queue {key!r} is gone") from error
        except DeliveryError as error:
            raise Unroutable(f"queue {key!r} refused the message") from error
        except ChannelAccessRefused as error:
            raise Unroutable(f"writing to {key!r} is not allowed") from error
        except (AMQPError, RuntimeError, OSError, TimeoutError, BrokerUnavailable) as error:
            # A timeout is not "not published": the same result may arrive twice, under the same id.
            raise PublishFailed(f"not confirmed: {type(error).__name__}") from error

    def _kind(self, exchange: str) -> str:
        """Return which channel an exchange is published to on."""
        if exchange == self._names.events:
            return "events"
        return "system" if exchange else "replies"

    def _lost(self, connection: object, *_: object) -> None:
        # `is_closed` stays false when it was not we who closed it.
        if connection is self._connection:
            self._connection = None
            self._channels.clear()

    async def _open(self, kind: str) -> AbstractChannel:
        async with self._opening:
            if self._connection is None:
                self._connection = await connect(self._config, "publish")
                self._connection.close_callbacks.add(self._lost)
            channel = self._channels.get(kind)
            if channel is None or channel.is_closed:
                channel = self._channels[kind] = await underlay(await open_channel(self._connection))
            return channel


def symbol_word(symbol: str | None) -> str:
    """Return the word of a routing key that stands for a symbol.

    A word holds no dot, and `*` and `#` mean something to whoever binds: what is not a letter, a digit or one of
    `_ - : /` becomes `_`, and so does a symbol that nobody has said.
    """
    return _NO_WORD.sub("_", (symbol or "")[:MAX_SYMBOL]) or "_"


def _writable(headers: Mapping[str, Any]) -> bool:
    """Say whether headers that were read can be written: text that is no UTF-8 is read as bytes, no table takes it."""
    try:
        encode.field_table(dict(headers))
    except (TypeError, OverflowError, struct.error):
        return False
    return True


def _about(event: OrderEvent) -> dict[str, Any]:
    return {"x-venue": event.venue, "x-account": event.account, "x-status": event.status}
