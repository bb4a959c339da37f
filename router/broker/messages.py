"""What the router publishes, as AMQP messages (contract, sections 2 to 4)."""

import itertools
import re
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace
from pamqp.commands import Basic
from pamqp.encode import field_table

from router.broker.line import Content
from router.broker.screen import MAX_TABLE
from router.records.command import Reply
from router.records.delivery import Delivery
from router.records.event import Copy
from schemas.alerts import Alert
from schemas.codec import JSON, encode_alert, encode_event, encode_result
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result

MAX_SYMBOL: Final = 64
PERSISTENT: Final = 2
APP_ID: Final = "order-router"
TYPES: Final[Mapping[str, str]] = {
    "result": "order.result",
    "order_event": "order.event",
    "feed_status": "feed.status",
    "alert": "order.alert",
}
"""What is published → its AMQP property `type`."""
BROKERS_OWN: Final = ("x-death", "x-first-death", "x-last-death", "x-delivery-count", "x-damaged")
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9_:/-]")


class Messages:
    """Makes messages, each with an id that no other has."""

    def __init__(self) -> None:
        # A random id for each message would cost more than encoding it.
        self._process = uuid.uuid4().hex
        self._numbers = itertools.count(1)

    def result(self, reply: Reply, result: Result, sender: str) -> Content:
        """Return a result as it is told to one address."""
        headers: dict[str, Any] = {
            "x-sender": sender,
            "x-venue": result.venue or "",
            "x-account": result.account or "",
            "x-outcome": result.outcome,
        }
        if reply.traceparent:
            headers["traceparent"] = reply.traceparent
        body = encode_result(result, reply.content_type)
        return self.message(
            body,
            headers,
            content_type=reply.content_type,
            correlation_id=reply.correlation_id,
            type_=TYPES["result"],
        )

    def event(self, event: OrderEvent, content_type: str, reply: Reply | None = None) -> Content:
        """Return an order event, for everybody or for one address."""
        headers = about(event.venue, event.account, event.status)
        if reply is not None and reply.traceparent:
            headers["traceparent"] = reply.traceparent
        return self.message(
            encode_event(event, content_type),
            headers,
            content_type=content_type,
            correlation_id=reply.correlation_id if reply is not None else "",
            type_=TYPES["order_event"],
        )

    def message(
        self,
        body: bytes,
        headers: dict[str, Any],
        *,
        content_type: str = JSON,
        correlation_id: str = "",
        reply_to: str = "",
        type_: str = "",
    ) -> Content:
        """Return a message with an id of its own."""
        properties = Basic.Properties(
            content_type=content_type,
            headers=headers,
            delivery_mode=PERSISTENT,
            correlation_id=correlation_id or None,
            reply_to=reply_to or None,
            # Returns are matched by message id: a shared one would confirm the wrong publish.
            message_id=f"{self._process}-{next(self._numbers):x}",
            timestamp=datetime.fromtimestamp(int(time.time()), UTC),
            message_type=type_ or None,
            app_id=APP_ID,
        )
        return Content(body, properties)

    def copy(self, event: OrderEvent, copy: Copy) -> Content:
        """Return an order event as one sender is told it."""
        return self.event(replace(event, command_id=copy.command_id), copy.reply.content_type, copy.reply)

    def status(self, status: FeedStatus) -> Content:
        """Return whether an account's events are complete."""
        return self.message(
            encode_event(status), about(status.venue, status.account, status.status), type_=TYPES["feed_status"]
        )

    def alert(self, alert: Alert) -> Content:
        """Return what an operator must know."""
        headers = about(alert.venue or "", alert.account or "", "resolved" if alert.resolved else "raised")
        return self.message(encode_alert(alert), {**headers, "x-severity": alert.severity}, type_=TYPES["alert"])

    def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> Content:
        """Return poison unchanged, with the reason in its headers."""
        why = {"x-dead-reason": reason, "x-dead-detail": detail[:300]}
        # What the broker wrote about earlier deaths stays out: only what it dead-letters itself carries x-death.
        kept = {name: value for name, value in delivery.headers.items() if not name.startswith(BROKERS_OWN)}
        return self.message(
            delivery.body,
            {**kept, **why} if _fits(kept) else why,
            content_type=delivery.content_type,
            correlation_id=delivery.correlation_id,
            reply_to=delivery.reply_to,
        )


def symbol_word(symbol: str | None) -> str:
    """Return the word of a routing key that stands for a symbol.

    A word holds no dot, and `*` and `#` mean something to whoever binds: what is not a letter, a digit or one of
    `_ - : /` becomes `_`, and so does a symbol that nobody has said.
    """
    return _NO_WORD.sub("_", (symbol or "")[:MAX_SYMBOL]) or "_"


def about(venue: str, account: str, status: str) -> dict[str, Any]:
    """Return the headers of what is told of an order or a feed."""
    return {"x-venue": venue, "x-account": account, "x-status": status}


def _fits(headers: Mapping[str, Any]) -> bool:
    """Say whether headers can be written again, with room for the reason."""
    try:
        return len(field_table(dict(headers))) < MAX_TABLE
    except (Exception, RecursionError):  # what can be read from a table and not be written into one
        return False
