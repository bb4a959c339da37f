"""Publish results, poison and order events on a connection of their own, each message confirmed.

Own connection, because under a memory alarm everything on a publishing connection is stuck, acks too. Several channels,
because a publish to an exchange that is gone closes its channel and fails every publish in flight on it: replies go
through the default exchange only, which is always there, and what a queue of one kind refuses holds up no other kind.
"""

import asyncio
import itertools
import re
import time
import uuid
from contextlib import suppress
from functools import lru_cache, partial
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError
from msgspec.structs import replace

from router.broker import frames
from router.broker.connection import connect_wire, open_channel, underlay
from router.broker.outlet import Message, Outlet, Way
from router.broker.topology import Names
from router.broker.wire import Wire
from router.config import Broker
from router.delivery import Delivery
from router.errors import Unroutable
from router.events import Copy, StoredEvent
from router.job import Reply
from router.telemetry import Metrics
from schemas.codec import JSON, encode_event, encode_result
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result

MAX_SYMBOL: Final = 64
KNOWN: Final = 1024
"""How many tables of headers are kept: there are few senders, accounts and outcomes."""
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
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._outlets: dict[str, Outlet] = {}

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to its reply queue, or to the results queue. See `router.ports.Publisher`."""
        body = encode_result(result, reply.content_type)
        headers = _of_result(sender, result.venue or "", result.account or "", result.outcome)
        if reply.traceparent:
            headers = frames.extended(headers, "traceparent", reply.traceparent)
        send = partial(
            self._send,
            body=body,
            headers=headers,
            content_type=reply.content_type,
            correlation_id=reply.correlation_id,
            type_="order.result",
        )
        if reply.reply_to and not self._names.ours(reply.reply_to):
            try:
                return await send("", reply.reply_to)
            except Unroutable as error:
                # One sender's queue that is gone, full or forbidden must hold up nobody else's answers.
                self._metrics.unroutable()
                _log.warning("a result goes to the results queue", command_id=result.command_id, error=str(error))
        key = f"{result.venue or '_'}.{result.account or '_'}.{result.outcome}"
        return await send(self._names.results, key)

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Publish poison unchanged, with the reason in its headers. Raises `PublishFailed`."""
        # What the broker wrote about earlier deaths stays out: only what it dead-letters itself carries x-death.
        kept = {name: value for name, value in delivery.headers.items() if not name.startswith(BROKERS_OWN)}
        why = {"x-dead-reason": reason, "x-dead-detail": detail[:300]}
        try:
            headers = frames.table({**kept, **why})
        except ValueError:  # what can be read from a table and not be written into one, such as a text that is no UTF-8
            headers = frames.table(why)
        await self._send(
            self._names.dead,
            delivery.routing_key or "_",
            delivery.body,
            headers,
            content_type=delivery.content_type,
            correlation_id=delivery.correlation_id,
            reply_to=delivery.reply_to,
        )

    async def publish_event(self, stored: StoredEvent) -> None:
        """Publish an event to the topic exchange and its copies. See `router.ports.EventPublisher`."""
        event = stored.event
        key = f"{event.venue}.{event.account}.{symbol_word(event.symbol)}.{event.status}"
        copies = asyncio.create_task(self.publish_copies(stored), name="copies") if stored.copies else None
        try:
            # In this task, not in one of its own: that is what keeps the order of calls begun one after another.
            await self._send(
                self._names.events,
                key,
                encode_event(event),
                _about(event.venue, event.account, event.status),
                content_type=JSON,
                type_="order.event",
                mandatory=False,
            )
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
        await self._send(
            self._names.events,
            f"{status.venue}.{status.account}._feed.{status.status}",
            encode_event(status),
            _about(status.venue, status.account, status.status),
            content_type=JSON,
            type_="feed.status",
            mandatory=False,
        )

    async def _publish_copy(self, event: OrderEvent, copy: Copy) -> None:
        reply = copy.reply
        if self._names.ours(reply.reply_to):
            return
        headers = _about(event.venue, event.account, event.status)
        if reply.traceparent:
            headers = frames.extended(headers, "traceparent", reply.traceparent)
        try:
            await self._send(
                "",
                reply.reply_to,
                encode_event(replace(event, command_id=copy.command_id), reply.content_type),
                headers,
                content_type=reply.content_type,
                correlation_id=reply.correlation_id,
                type_="order.event",
                kind="copies",
            )
        except Unroutable:
            _log.debug("a copy of an event was dropped: its reply queue is gone", event_id=event.event_id)

    async def close(self) -> None:
        """Close the connection."""
        for outlet in self._outlets.values():
            outlet.close()
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
        headers: bytes,
        *,
        content_type: str = "",
        correlation_id: str = "",
        reply_to: str = "",
        type_: str = "",
        mandatory: bool = True,
        kind: str = "",
    ) -> None:
        # Returns are matched by message id: a shared one would confirm the wrong publish.
        message_id = f"{self._process}-{next(self._numbers):x}"
        properties = frames.properties(
            message_id=message_id,
            timestamp_s=int(time.time()),
            headers=headers,
            content_type=content_type,
            correlation_id=correlation_id,
            reply_to=reply_to,
            type_=type_,
            app_id="order-router",
        )
        message = Message(
            exchange=exchange,
            key=key,
            message_id=message_id,
            properties=properties,
            body=body,
            mandatory=mandatory,
        )
        await self._outlet(kind or self._kind(exchange)).publish(message)

    def _kind(self, exchange: str) -> str:
        """Return which channel an exchange is published to on."""
        if exchange == self._names.events:
            return "events"
        return "system" if exchange else "replies"

    def _outlet(self, kind: str) -> Outlet:
        outlet = self._outlets.get(kind)
        if outlet is None:
            outlet = self._outlets[kind] = Outlet(self._open)
        return outlet

    async def _open(self) -> Way:
        async with self._opening:
            if self._connection is None or self._wire is None or self._wire.gone:
                self._connection, self._wire = await connect_wire(self._config, "publish")
            channel, wire = await open_channel(self._connection), self._wire
        _, number, frame_max = await underlay(channel)
        return Way(wire, number, frame_max)


def symbol_word(symbol: str | None) -> str:
    """Return the word of a routing key that stands for a symbol.

    A word holds no dot, and `*` and `#` mean something to whoever binds: what is not a letter, a digit or one of
    `_ - : /` becomes `_`, and so does a symbol that nobody has said.
    """
    return _NO_WORD.sub("_", (symbol or "")[:MAX_SYMBOL]) or "_"


@lru_cache(maxsize=KNOWN)
def _of_result(sender: str, venue: str, account: str, outcome: str) -> bytes:
    return frames.table({"x-sender": sender, "x-venue": venue, "x-account": account, "x-outcome": outcome})


@lru_cache(maxsize=KNOWN)
def _about(venue: str, account: str, status: str) -> bytes:
    return frames.table({"x-venue": venue, "x-account": account, "x-status": status})
