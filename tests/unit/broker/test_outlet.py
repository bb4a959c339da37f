"""Publishes under way on one channel: in order, each with its own end."""

import asyncio
from typing import Any

import pytest
from pamqp import commands as spec

from router.broker import frames
from router.broker.outlet import CONFIRM_S, Message, Outlet, Way
from router.broker.wire import Wire
from router.errors import BrokerUnavailable, PublishFailed, Unroutable
from tests.unit.broker.frames_in import content, framed, read
from tests.unit.broker.test_wire import Transport


class Line:
    """An outlet with a socket that remembers, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.opened = 0
        self.refusal: str | None = None
        self.transport = Transport()
        self.wire = self._connect()
        self.outlet = Outlet(self._open)
        self._numbers = 0

    def _connect(self) -> Wire:
        self.transport = Transport()
        wire = Wire(asyncio.StreamReader(), self.loop)
        wire.connection_made(self.transport)
        return wire

    async def _open(self) -> Way:
        await asyncio.sleep(0)
        if self.refusal:
            raise BrokerUnavailable(self.refusal)
        if self.wire.gone:
            self.wire = self._connect()
        self.opened += 1
        return Way(self.wire, 1, 4096)

    def publish(self, key: str = "q") -> "asyncio.Future[None]":
        """Publish a message, mandatory, with an id of its own."""
        self._numbers += 1
        message_id = f"m{self._numbers}"
        properties = frames.properties(message_id=message_id, timestamp_s=0, headers=frames.table({}))
        return self.outlet.publish(
            Message(exchange="", key=key, message_id=message_id, properties=properties, body=b"b", mandatory=True)
        )

    def hear(self, *answers: Any) -> None:
        """Let the broker answer."""
        self.wire.data_received(b"".join(answer if isinstance(answer, bytes) else framed(answer) for answer in answers))

    def keys(self) -> list[str]:
        """Return the routing keys that were written."""
        written = read(b"".join(self.transport.writes))
        return [frame.routing_key for frame in written if frame.name == "Basic.Publish"]

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(6):
            await asyncio.sleep(0)


@pytest.fixture
async def line() -> Line:
    """Return an outlet that has not published yet."""
    return Line()


def returned(message_id: str) -> bytes:
    """Return a message that no queue took, as the broker sends it back."""
    return content(spec.Basic.Return(312, "NO_ROUTE", "", "q"), b"its body", message_id=message_id)


async def test_publishes_leave_in_the_order_of_calls(line: Line) -> None:
    """Whatever had to wait for the channel leaves before what came later, and all of a turn in one write."""
    first, second = line.publish("1"), line.publish("2")
    await line.settle()
    third = line.publish("3")
    await line.settle()
    assert line.keys() == ["1", "2", "3"]
    assert (line.opened, len(line.transport.writes)) == (1, 2)
    line.hear(spec.Basic.Ack(2, multiple=True))
    assert (first.done(), second.done(), third.done()) == (True, True, False)
    line.hear(spec.Basic.Ack(3))
    await asyncio.gather(first, second, third)


async def test_confirms_may_come_in_any_order(line: Line) -> None:
    """A confirm ends its own publish; one that means all before it spares the refused one in between."""
    futures = [line.publish() for _ in range(4)]
    await line.settle()
    line.hear(spec.Basic.Ack(3), spec.Basic.Nack(2))
    assert [future.done() for future in futures] == [False, True, True, False]
    line.hear(spec.Basic.Ack(4, multiple=True), spec.Basic.Ack(4), spec.Basic.Ack(9))
    found = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(end) for end in found] == [type(None), Unroutable, type(None), type(None)]


async def test_what_comes_back_is_unroutable_though_it_is_confirmed(line: Line) -> None:
    """A return names its publish by message id, and the confirm that follows changes nothing."""
    futures = [line.publish(key) for key in ("1", "2", "3")]
    await line.settle()
    line.hear(returned("m2"), spec.Basic.Ack(3, multiple=True))
    found = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(end) for end in found] == [type(None), Unroutable, type(None)]
    assert str(found[1]) == "queue '2' is gone"
    line.hear(returned("m2"), returned("somebody else's"))


async def test_a_confirm_that_does_not_come_is_a_failure(line: Line) -> None:
    """After `CONFIRM_S` a publish fails; a late confirm is no confirm of another."""
    begun = line.loop.time()
    moved = 0.0
    line.loop.time = lambda: begun + moved  # type: ignore[method-assign]
    first = line.publish()
    await line.settle()
    moved = CONFIRM_S / 2
    second = line.publish()
    await line.settle()
    moved = CONFIRM_S + 0.1
    with pytest.raises(PublishFailed, match="not confirmed within"):
        await first
    assert not second.done()
    line.hear(spec.Basic.Ack(1))
    assert not second.done()
    moved = CONFIRM_S * 1.5 + 0.1
    with pytest.raises(PublishFailed, match="not confirmed within"):
        await second


async def test_a_full_socket_keeps_the_order_and_takes_no_more(line: Line) -> None:
    """While the broker reads nothing, nothing more is written; what waited too long is never written."""
    begun = line.loop.time()
    moved = 0.0
    line.loop.time = lambda: begun + moved  # type: ignore[method-assign]
    confirmed = line.publish("1")
    await line.settle()
    line.hear(spec.Basic.Ack(1))
    await confirmed
    line.wire.pause_writing()
    expired = line.publish("2")
    moved = 1.0
    left, in_time = line.publish("3"), line.publish("4")
    left.cancel()
    moved = CONFIRM_S + 0.1
    with pytest.raises(PublishFailed, match="not sent within"):
        await expired
    line.wire.resume_writing()
    last = line.publish("5")
    await line.settle()
    assert line.keys() == ["1", "4", "5"]
    line.hear(spec.Basic.Ack(3, multiple=True))
    await asyncio.gather(in_time, last)


@pytest.mark.parametrize("way", ["channel", "connection"])
async def test_a_loss_fails_what_is_under_way_and_the_channel_is_opened_again(line: Line, way: str) -> None:
    """Nobody knows of what had no confirm; what comes next goes on a new channel, counted from one again."""
    confirmed = line.publish()
    await line.settle()
    line.hear(spec.Basic.Ack(1))
    await confirmed
    futures = [line.publish(), line.publish()]
    await line.settle()
    if way == "channel":
        line.hear(spec.Channel.Close(404, "NOT_FOUND - no exchange", 60, 40))
    else:
        line.wire.connection_lost(ConnectionResetError())
    for end in await asyncio.gather(*futures, return_exceptions=True):
        assert isinstance(end, PublishFailed)
        assert not isinstance(end, Unroutable)
    again = line.publish()
    await line.settle()
    assert line.opened == 2
    line.hear(spec.Basic.Ack(1))
    await again


async def test_what_waits_fails_with_what_is_lost(line: Line) -> None:
    """Else it would be heard before what was published earlier and must be published again."""
    written = line.publish("1")
    await line.settle()
    line.wire.pause_writing()
    waiting = line.publish("2")
    line.wire.connection_lost(None)
    for future in (written, waiting):
        with pytest.raises(PublishFailed, match="the connection is gone"):
            await future
    assert line.keys() == ["1"]


async def test_what_is_not_allowed_is_unroutable(line: Line) -> None:
    """A permission that is missing will be missing again: the results queue is the place for it."""
    future = line.publish()
    await line.settle()
    line.hear(spec.Channel.Close(403, "ACCESS_REFUSED - write access refused", 60, 40))
    with pytest.raises(Unroutable, match="writing to 'q' is not allowed"):
        await future


async def test_a_broker_that_cannot_be_reached_fails_everybody_at_once(line: Line) -> None:
    """And the next publish tries again."""
    line.refusal = "cannot connect"
    futures = [line.publish(), line.publish()]
    for end in await asyncio.gather(*futures, return_exceptions=True):
        assert isinstance(end, PublishFailed)
    line.refusal = None
    future = line.publish()
    await line.settle()
    line.hear(spec.Basic.Ack(1))
    await future


async def test_nobody_waits_for_a_cancelled_publish(line: Line) -> None:
    """Its number is kept: the confirms of the others still find theirs."""
    first, second = line.publish(), line.publish()
    await line.settle()
    first.cancel()
    line.hear(spec.Basic.Ack(1), spec.Basic.Ack(2))
    await second
    assert first.cancelled()


async def test_a_name_that_is_too_long_ends_only_its_own_publish(line: Line) -> None:
    """It takes no number, and nothing of it is written."""
    long, short = line.publish("k" * 256), line.publish()
    with pytest.raises(ValueError, match="too long"):
        await long
    await line.settle()
    line.hear(spec.Basic.Ack(1))
    await short
    assert line.keys() == ["q"]


async def test_a_closed_outlet_keeps_nobody_waiting(line: Line) -> None:
    """Neither while the channel is being opened nor while a confirm is missing."""
    opening = line.publish()
    line.outlet.close()
    with pytest.raises(PublishFailed, match="closed"):
        await opening
    written = line.publish()
    await line.settle()
    line.outlet.close()
    with pytest.raises(PublishFailed, match="closed"):
        await written
