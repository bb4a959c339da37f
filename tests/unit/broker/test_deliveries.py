"""A consuming channel: what the router reads of a message, and what the broker hears of it."""

import asyncio
import datetime
from typing import Any

import pytest
from pamqp import commands as spec

from router.broker.deliveries import Deliveries
from router.broker.wire import Wire
from router.delivery import Delivery
from router.errors import BrokerUnavailable
from tests.unit.broker.frames_in import content, framed, read
from tests.unit.broker.test_wire import Transport


class Line:
    """A consuming channel on a socket that remembers."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.reader = asyncio.StreamReader()
        self.wire = Wire(self.reader, asyncio.get_running_loop())
        self.wire.connection_made(self.transport)
        self.got: list[Delivery] = []
        self.lost = 0
        self.deliveries = Deliveries(self.wire, 1, self.got.append, self._lost)
        self.deliveries.expect("lane", "gmo_coin")
        self.deliveries.expect("unrouted", None)
        self._tag = 0

    def _lost(self) -> None:
        self.lost += 1

    def deliver(
        self, body: bytes = b"{}", consumer: str = "lane", redelivered: bool = False, **fields: Any
    ) -> Delivery:
        """Deliver the next message."""
        self._tag += 1
        method = spec.Basic.Deliver(consumer, self._tag, redelivered, "orders.commands", "gmo_coin.main.close")
        self.wire.data_received(content(method, body, **fields))
        return self.got[-1]

    async def settled(self) -> list[tuple[str, int, bool]]:
        """Return what was written in each turn of the loop until now."""
        await asyncio.sleep(0)
        found = read(b"".join(self.transport.writes))
        self.transport.writes.clear()
        return [(frame.name, frame.delivery_tag, frame.multiple) for frame in found]


@pytest.fixture
async def line() -> Line:
    """Return a channel with two consumers."""
    return Line()


async def test_everything_that_counts_is_read(line: Line) -> None:
    """Body, place and properties of a message come as they were sent."""
    got = line.deliver(
        b'{"a": 1}',
        user_id="alpha",
        reply_to="alpha.replies",
        correlation_id="c-1",
        content_type="application/json",
        content_encoding="gzip",
        timestamp=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        headers={"traceparent": "00-abc-01", "x-delivery-count": 7, "n": 1},
    )
    assert (got.body, got.venue, got.routing_key) == (b'{"a": 1}', "gmo_coin", "gmo_coin.main.close")
    assert (got.sender, got.reply_to, got.correlation_id) == ("alpha", "alpha.replies", "c-1")
    assert (got.content_type, got.content_encoding, got.traceparent) == ("application/json", "gzip", "00-abc-01")
    assert got.sent_us == 1_767_323_045_000_000
    assert (got.redelivered, got.deliveries) == (False, 0)
    assert got.headers["n"] == 1


async def test_a_message_without_properties_is_read(line: Line) -> None:
    """What a sender leaves out is empty, a message without a body too, and the unrouted queue has no venue."""
    got = line.deliver(b"", consumer="unrouted")
    assert (got.body, got.venue, got.sender, got.reply_to, got.sent_us) == (b"", None, "", "", None)
    assert (got.traceparent, dict(got.headers)) == ("", {})


@pytest.mark.parametrize(("count", "deliveries"), [(3, 3), ("3", 0), (None, 0)])
async def test_earlier_deliveries_are_counted(line: Line, count: Any, deliveries: int) -> None:
    """On a redelivery the broker's header counts, if it is a number."""
    got = line.deliver(redelivered=True, headers={"x-delivery-count": count})
    assert (got.redelivered, got.deliveries) == (True, deliveries)


async def test_acknowledgements_of_a_turn_leave_together(line: Line) -> None:
    """In one write, the lowest of them as one, and nothing that was not asked for."""
    first, second, slow, fourth = [line.deliver() for _ in range(4)]
    for delivery in (fourth, second, first):
        await delivery.ack()
    assert line.transport.writes == []
    await asyncio.sleep(0)
    assert len(line.transport.writes) == 1
    assert await line.settled() == [("Basic.Ack", 2, True), ("Basic.Ack", 4, False)]
    await slow.ack()
    assert await line.settled() == [("Basic.Ack", 3, False)]


async def test_a_requeue_leaves_before_the_acknowledgements_of_its_turn(line: Line) -> None:
    """A run of acknowledgements goes over a delivery that was given back; the broker must know that first."""
    first, back, third = [line.deliver() for _ in range(3)]
    await first.ack()
    await third.ack()
    await back.requeue()
    assert await line.settled() == [("Basic.Nack", 2, False), ("Basic.Ack", 3, True)]


async def test_a_delivery_is_settled_once(line: Line) -> None:
    """A second time would close the channel: it raises instead."""
    got = line.deliver()
    await got.ack()
    for settle in (got.ack, got.requeue):
        with pytest.raises(ValueError, match="settled"):
            await settle()
    assert await line.settled() == [("Basic.Ack", 1, False)]


@pytest.mark.parametrize("way", ["channel", "connection"])
async def test_nothing_is_settled_on_a_channel_that_is_gone(line: Line, way: str) -> None:
    """It raises, nothing is written, and whoever consumes hears of it; the tags mean other messages from then on."""
    asked, late = line.deliver(), line.deliver()
    await asked.ack()
    if way == "channel":
        line.wire.data_received(framed(spec.Channel.Close(406, "PRECONDITION_FAILED", 60, 80)))
    else:
        line.wire.connection_lost(None)
    for settle in (late.ack, late.requeue):
        with pytest.raises(BrokerUnavailable):
            await settle()
    assert await line.settled() == []
    assert line.lost == 1


async def test_what_is_no_delivery_goes_to_aiormq(line: Line) -> None:
    """The answers to what aiormq asked, and a consumer that the broker cancels."""
    other = framed(spec.Basic.ConsumeOk("lane")) + framed(spec.Basic.Cancel("lane"))
    line.wire.data_received(other)
    line.reader.feed_eof()
    assert await line.reader.read() == other
    assert line.got == []
