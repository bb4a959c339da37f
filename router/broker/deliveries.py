"""One consuming channel: frames to deliveries, and what becomes of them to frames.

Deliveries are handed over as they come in, in no task of aiormq's: it cancels those when a connection dies, and a
request to a venue must not be cut in the middle by that.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from router.broker import frames
from router.broker.acks import Acks
from router.broker.frames import Content
from router.broker.wire import Owner, Wire
from router.delivery import Delivery
from router.errors import BrokerUnavailable


class Deliveries(Owner):
    """The deliveries of one channel.

    `handle` is called for each and must return at once. `lost` is called once nothing more can come or be settled.
    """

    def __init__(
        self, wire: Wire, channel: int, handle: Callable[[Delivery], None], on_lost: Callable[[], None]
    ) -> None:
        self._wire = wire
        self._channel = channel
        self._handle = handle
        self._on_lost = on_lost
        self._venues: dict[bytes, str | None] = {}
        self._content = Content()
        self._acks = Acks()
        self._asked = False
        self._gone = False
        wire.claim(channel, self)

    def expect(self, consumer_tag: str, venue: str | None) -> None:
        """Take the deliveries of a consumer that is about to begin."""
        self._venues[consumer_tag.encode()] = venue

    def take(self, kind: int, payload: bytes) -> bool:
        """Take the frames of deliveries; the rest is aiormq's."""
        content = self._content
        if kind == frames.METHOD:
            if payload[:4] != frames.DELIVER:
                return False
            content.begin(payload)
        elif not content.begun:
            return False
        elif content.add(kind, payload):
            self._deliver(content.method, content.header, content.body)
            content.clear()
        return True

    def lost(self, code: int, why: str) -> None:
        """Settle nothing any more: the broker delivers again what was not acknowledged."""
        self._gone = True
        self._on_lost()

    def _deliver(self, method: bytes, header: bytes, body: bytes) -> None:
        consumer_tag, tag, redelivered, key = frames.read_deliver(method)
        properties = frames.read_properties(header)
        headers = properties.headers
        self._acks.delivered(tag)
        delivery = Delivery(
            body=body,
            venue=self._venues[consumer_tag],
            routing_key=key,
            sender=properties.user_id,
            reply_to=properties.reply_to,
            correlation_id=properties.correlation_id,
            content_type=properties.content_type,
            traceparent=_text(headers.get("traceparent")),
            redelivered=redelivered,
            # On a first delivery the header can only be the publisher's own.
            deliveries=_number(headers.get("x-delivery-count")) if redelivered else 0,
            content_encoding=properties.content_encoding,
            sent_us=properties.sent_us,
            headers=headers,
            ack=partial(self._ack, tag),
            requeue=partial(self._requeue, tag),
        )
        self._handle(delivery)

    async def _ack(self, tag: int) -> None:
        """Acknowledge a delivery at the end of this turn of the loop. There is no answer to that."""
        self._check()
        self._acks.ask(tag)
        if not self._asked:
            self._asked = True
            self._wire.write_last(self._collect)

    async def _requeue(self, tag: int) -> None:
        self._check()
        self._acks.requeued(tag)
        self._wire.write(frames.requeue(self._channel, tag))

    def _collect(self) -> bytes:
        self._asked = False
        if self._gone:
            return b""
        return b"".join(frames.ack(self._channel, tag, multiple=multiple) for tag, multiple in self._acks.collect())

    def _check(self) -> None:
        if self._gone:
            raise BrokerUnavailable("the channel of this delivery is gone")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value[:128] if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
