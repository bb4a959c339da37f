"""Publish answers, poison and order events on connections of their own, each message confirmed.

Own connections, because under a memory alarm everything on a publishing connection is stuck, acks too. Each exchange
has one: a publish to an exchange that is missing closes the channel, what aiormq writes on it then costs the
connection, and so only that exchange's messages fail. Reply queues share one, through the default exchange, which is
always there; when too much hangs on it, everybody else moves to a new one (`router.broker.line`).
"""

import asyncio
import itertools
import time
from collections.abc import Coroutine
from typing import Any, Final

import structlog
from pamqp.commands import Basic

from router.broker.connection import CALL_S, connect_screened
from router.broker.line import Content, Line
from router.broker.messages import Messages, symbol_word
from router.broker.topology import DIRECT, Names
from router.config import BrokerSettings
from router.errors import BrokerUnavailable, PublishFailed, Unroutable
from router.records.command import Reply
from router.records.delivery import Delivery
from router.records.event import Copy, StoredEvent
from schemas.alerts import Alert
from schemas.codec import JSON
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result

KEEP_S: Final = 0.5
LATE: Final = 64
"""So many publishes that hang are enough: the others move to a connection of their own."""
OLD_LINES: Final = 4
REFUSED_S: Final = 60.0
"""How long a missing permission counts when nothing more is published there."""

_log = structlog.get_logger(__name__)


class Publisher:
    """Answers to reply queues and the results queue, poison to the dead letters, order events.

    `refused` tells what may not be written to, and why.
    """

    def __init__(self, config: BrokerSettings) -> None:
        self.refused: dict[str, str] = {}
        self._refused_at: dict[str, float] = {}
        self._config = config
        self._names = Names(config.prefix)
        self._messages = Messages()
        self._line: Line | None = None
        self._exchanges: dict[str, Line] = {}
        self._connecting = asyncio.Lock()
        self._old: list[Line] = []
        self._failing = False
        self._closed = False
        self._opening: asyncio.Task[Line] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._side: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Connect, and stay so, before there is anything to publish."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="publisher")

    @property
    def blocked(self) -> bool:
        """Whether the broker takes nothing now: an alarm of its own, or there is no connection."""
        line = self._line
        return self._failing if line is None or line.gone else line.blocked

    def may_publish(self, reply_to: str) -> bool:
        """Say whether results may go to a queue of that name. See `router.ports.Publisher`."""
        return not self._names.ours(reply_to)

    async def publish(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to its reply queue. See `router.ports.Publisher`."""
        # With `mandatory` a direct reply is delivered and returned (RabbitMQ 3.10 to 4.3, from another connection).
        mandatory = not reply.reply_to.startswith(DIRECT)
        message = self._messages.result(reply, result, sender)
        await self._send(f"to {reply.reply_to}", reply.reply_to, message, mandatory=mandatory)

    async def divert(self, reply: Reply, result: Result, sender: str) -> None:
        """Publish a result to the results queue. See `router.ports.Publisher`."""
        key = f"{result.venue or '_'}.{result.account or '_'}.{result.outcome}"
        await self._limited(self._names.results, key, self._messages.result(reply, result, sender))

    def abandon(self, reply_to: str) -> None:
        """Give a reply queue up. See `router.ports.Publisher`."""
        lines = [line for line in (self._line, *self._old) if line is not None]
        for line, lane in itertools.product(lines, (f"to {reply_to}", f"events to {reply_to}")):
            closing = line.abandon(lane)
            if closing is not None:
                self._aside(_awaited(closing))

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Publish poison unchanged, with the reason in its headers. Raises `PublishFailed`."""
        message = self._messages.dead_letter(delivery, reason, detail)
        await self._limited(self._names.dead, delivery.routing_key or "_", message)

    async def publish_event(self, stored: StoredEvent) -> None:
        """Publish an event to the topic exchange. See `router.ports.EventPublisher`."""
        event = stored.event
        key = f"{event.venue}.{event.account}.{symbol_word(event.symbol)}.{event.status}"
        message = self._messages.event(event, JSON)
        await self._limited(self._names.events, key, message, mandatory=False)

    async def publish_copy(self, event: OrderEvent, copy: Copy) -> None:
        """Publish an event to one reply queue. See `router.ports.EventPublisher`."""
        reply = copy.reply
        if not reply.reply_to or self._names.ours(reply.reply_to):
            return
        message = self._messages.copy(event, copy)
        # A lane of its own: events are many, and an answer must not wait behind them.
        mandatory = not reply.reply_to.startswith(DIRECT)
        await self._send(f"events to {reply.reply_to}", reply.reply_to, message, mandatory=mandatory)

    async def publish_status(self, status: FeedStatus) -> None:
        """Publish whether an account's events are complete."""
        key = f"{status.venue}.{status.account}._feed.{status.status}"
        await self._limited(self._names.events, key, self._messages.status(status), mandatory=False)

    async def publish_alert(self, alert: Alert) -> None:
        """Publish what an operator must know. Raises `PublishFailed`."""
        key = f"{alert.severity}.{alert.code}.{alert.venue or '_'}"
        await self._limited(self._names.alerts, key, self._messages.alert(alert), mandatory=False)

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        tasks = [task for task in (self._keeping, self._opening, *self._side) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        lines = [line for line in (self._line, *self._old, *self._exchanges.values()) if line is not None]
        self._line, self._old, self._exchanges = None, [], {}
        await asyncio.gather(*(line.close() for line in lines))

    async def _limited(self, exchange: str, key: str, message: Content, *, mandatory: bool = True) -> None:
        """Publish to an exchange, within some seconds. Raises `PublishFailed`."""
        try:
            async with asyncio.timeout(CALL_S):
                line = await self._line_to(exchange)
                await line.publish(exchange, exchange, key, message, mandatory=mandatory)
        except TimeoutError:
            raise PublishFailed(f"exchange {exchange} did not confirm within {CALL_S:g} s") from None
        except (Unroutable, BrokerUnavailable) as error:
            raise PublishFailed(str(error)) from None
        self.refused.pop(f"exchange {exchange}", None)

    async def _line_to(self, exchange: str) -> Line:
        """Return an exchange's own connection. Raises `BrokerUnavailable`."""
        async with self._connecting:
            line = self._exchanges.get(exchange)
            if line is None or line.gone:
                if line is not None:
                    await line.close()
                connection, screen = await connect_screened(self._config, f"publish {exchange}")
                line = self._exchanges[exchange] = Line(connection, screen, self._note_refused)
            return line

    async def _send(self, lane: str, key: str, message: Content, *, mandatory: bool) -> None:
        """Publish to a queue. Raises `Unroutable`, `PublishFailed`."""
        line = self._line
        if line is None or line.gone:
            line = await self._connected()
        await line.publish(lane, "", key, message, mandatory=mandatory)

    async def _connected(self) -> Line:
        """Connect, once for all that wait for it. Raises `PublishFailed`."""
        if self._closed:
            raise PublishFailed("closed")
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
        self.open()
        try:
            return await asyncio.shield(self._opening)
        except BrokerUnavailable as error:
            raise PublishFailed(str(error)) from None

    async def _connect(self) -> Line:
        try:
            connection, screen = await connect_screened(self._config, "publish")
            line = Line(connection, screen, self._note_refused)
            try:
                await line.refill()
            except BaseException:
                await line.close()
                raise
            # Only who has published is told of an alarm, and no close is to be begun under one.
            self._aside(_unheard(line))
        except BrokerUnavailable:
            self._failing = True
            raise
        finally:
            self._opening = None
        self._failing = False
        if self._line is not None:
            self._old.append(self._line)
        self._line = line
        return line

    async def _keep(self) -> None:
        """Keep a connection that answers, with channels ready; let old ones end."""
        while True:
            try:
                await self._look()
            except (BrokerUnavailable, PublishFailed) as error:
                _log.warning("the broker takes no answers", error=str(error))
            except (Exception, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                    raise
                _log.exception("the publisher could not be kept up", error=type(error).__name__)
            await asyncio.sleep(KEEP_S)

    async def _look(self) -> None:
        line = self._line
        if line is None or line.gone:
            await self._connected()
        elif line.late() >= LATE and not line.blocked and len(self._old) < OLD_LINES:
            _log.warning("answers move to a connection of their own", late=line.late())
            await self._connected()
        elif not line.blocked:
            await line.refill()
        for what, since in list(self._refused_at.items()):
            # Only a publish can tell whether the permission is there by now, and there may be nothing to publish.
            if time.monotonic() - since > REFUSED_S:
                self._refused_at.pop(what)
                self.refused.pop(what, None)
        for old in list(self._old):
            if old.gone or not old.under_way:
                self._old.remove(old)
                await old.close()

    def _note_refused(self, what: str, why: str) -> None:
        if what.startswith("exchange") and what not in self.refused:
            self.refused[what] = why
            self._refused_at[what] = time.monotonic()
            _log.error("a permission is missing", object=what, why=why)

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)


async def _awaited(work: Any) -> None:
    await work


async def _unheard(line: Line) -> None:
    """Publish to nobody."""
    try:
        await line.publish("nobody", "", "nobody", Content(b"", Basic.Properties()), mandatory=False)
    except (PublishFailed, Unroutable) as error:
        _log.info("a new connection took nothing", error=str(error))
