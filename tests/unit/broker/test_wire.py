"""The socket between the broker and aiormq: every frame to whom it belongs, every turn of the loop one write."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.heartbeat import Heartbeat

from router.broker import frames
from router.broker.wire import ALIVE_S, Owner, Wire
from tests.unit.broker.frames_in import content, framed, read

OURS, OTHER = 1, 2


class Transport(asyncio.Transport):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note one system call."""
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        """Say whether the socket is about to be closed."""
        return self.closing

    def pause_reading(self) -> None:
        """Do nothing: nobody reads."""


class Taker(Owner):
    """Takes methods of class basic and their content."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, bytes]] = []
        self.losses: list[tuple[int, str]] = []
        self.went_on = 0

    def take(self, kind: int, payload: bytes) -> bool:
        """Leave everything else."""
        if kind == frames.METHOD and payload[:2] != b"\x00\x3c":
            return False
        self.taken.append((kind, payload))
        return True

    def lost(self, code: int, why: str) -> None:
        """Note why."""
        self.losses.append((code, why))

    def go_on(self) -> None:
        """Count."""
        self.went_on += 1


class Line:
    """A wire with a socket on one end and aiormq's reader on the other."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(limit=2**24)
        self.wire = Wire(self.reader, self.loop)
        self.transport = Transport()
        self.wire.connection_made(self.transport)
        self.owner = Taker()
        self.wire.claim(OURS, self.owner)
        self.now = 1000.0
        self.loop.time = lambda: self.now  # type: ignore[method-assign]

    async def passed(self) -> bytes:
        """Return everything that aiormq gets to see."""
        self.reader.feed_eof()
        return await self.reader.read()


@pytest.fixture
async def line() -> Line:
    """Return a wire whose clock stands still."""
    return Line()


delivery = content(spec.Basic.Deliver("tag", 1, False, "e", "k"), b"body of it", OURS, message_id="m")
foreign = content(spec.Basic.Deliver("tag", 1, False, "e", "k"), b"body", OTHER, message_id="m")
beat = framed(Heartbeat(), 0)
opened = framed(spec.Channel.OpenOk(), OURS)


@given(
    parts=st.lists(st.sampled_from((delivery, foreign, beat, opened)), max_size=6),
    cuts=st.sets(st.integers(0, 300), max_size=12),
)
@settings(deadline=None)
def test_frames_arrive_whole_however_they_are_cut(parts: list[bytes], cuts: set[int]) -> None:
    """A claimed channel's frames go to its owner, all others to aiormq, in order, whatever the socket's pieces are."""

    async def run() -> None:
        line = Line()
        stream = b"".join(parts)
        edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
        for start, end in itertools.pairwise(edges):
            line.wire.data_received(stream[start:end])
        taken = b"".join(
            frames.FRAME.pack(kind, OURS, len(payload)) + payload + b"\xce" for kind, payload in line.owner.taken
        )
        assert taken == delivery * parts.count(delivery)
        passed = (await line.passed()).replace(frames.HEARTBEAT, b"")
        assert passed == b"".join(part for part in parts if part in {foreign, opened})

    asyncio.run(run())


async def test_what_is_written_in_one_turn_leaves_in_one_write(line: Line) -> None:
    """Writes of one turn of the loop are one system call, and what must be last is last."""
    line.wire.write(b"a")
    line.wire.write_last(lambda: b"z")
    line.wire.write(b"b")
    assert line.transport.writes == []
    await asyncio.sleep(0)
    line.wire.write(b"c")
    await asyncio.sleep(0)
    assert line.transport.writes == [b"abz", b"c"]


async def test_flush_writes_at_once(line: Line) -> None:
    """What was asked for before a connection is closed leaves before that."""
    line.wire.write(b"a")
    line.wire.write_last(lambda: b"z")
    line.wire.flush()
    assert line.transport.writes == [b"az"]
    await asyncio.sleep(0)
    assert line.transport.writes == [b"az"]


async def test_nothing_is_written_to_a_socket_that_closes(line: Line) -> None:
    """What comes too late is dropped."""
    line.wire.write(b"a")
    line.transport.closing = True
    assert line.wire.gone
    await asyncio.sleep(0)
    line.wire.connection_lost(None)
    line.wire.write(b"b")
    await asyncio.sleep(0)
    assert line.transport.writes == []


async def test_aiormq_hears_that_the_broker_lives(line: Line) -> None:
    """A broker that sends anything sends no heartbeats; aiormq, who sees none of it, is given one a second."""
    line.wire.data_received(delivery)
    line.wire.data_received(delivery)
    line.now += ALIVE_S + 0.1
    line.wire.data_received(delivery)
    line.wire.data_received(delivery)
    assert await line.passed() == beat * 2


async def test_nothing_is_made_up_while_nothing_is_taken(line: Line) -> None:
    """The first frame of a connection may come in pieces, and aiormq must not see another ahead of it."""
    start = framed(spec.Connection.Start(), 0)
    for at in range(len(start)):
        line.wire.data_received(start[at : at + 1])
        line.now += ALIVE_S + 0.1
    assert await line.passed() == start


@pytest.mark.parametrize(
    ("method", "loss"),
    [
        (spec.Channel.Close(404, "NOT_FOUND - no exchange 'x'", 60, 40), (404, "NOT_FOUND - no exchange 'x'")),
        (spec.Channel.CloseOk(), (0, "the channel is closed")),
    ],
)
async def test_a_closing_channel_is_lost_at_once(line: Line, method: Any, loss: tuple[int, str]) -> None:
    """The owner hears of it before aiormq answers, and gets no frame of that number any more."""
    other = Taker()
    line.wire.claim(OTHER, other)
    line.wire.data_received(framed(method, OURS) + delivery)
    assert (line.owner.losses, line.owner.taken) == ([loss], [])
    assert other.losses == []
    assert await line.passed() == framed(method, OURS) + delivery


async def test_everybody_hears_of_a_lost_connection(line: Line) -> None:
    """Every owner, once; and whoever comes later at once."""
    line.wire.connection_lost(ConnectionResetError())
    late = Taker()
    line.wire.claim(OTHER, late)
    assert line.owner.losses == late.losses == [(0, "the connection is gone")]


async def test_everybody_goes_on_when_the_socket_takes_more(line: Line) -> None:
    """`paused` holds while the socket is full."""
    seen = []
    for move in (line.wire.pause_writing, line.wire.resume_writing):
        move()
        seen.append((line.wire.paused, line.owner.went_on))
    assert seen == [(True, 0), (False, 1)]


async def test_everybody_goes_on_when_the_broker_takes_more(line: Line) -> None:
    """`paused` holds while an alarm lasts, even if the socket would take more. aiormq hears of it too."""
    blocked, unblocked = framed(spec.Connection.Blocked("low on memory"), 0), framed(spec.Connection.Unblocked(), 0)
    seen = []
    for frame in (blocked, unblocked):
        line.wire.data_received(frame)
        line.wire.pause_writing()
        line.wire.resume_writing()
        seen.append((line.wire.paused, line.owner.went_on))
    assert seen == [(True, 0), (False, 2)]
    assert await line.passed() == blocked + unblocked


async def test_what_is_no_frame_is_left_to_aiormq(line: Line) -> None:
    """A frame that does not end like one, or a server that speaks another protocol: aiormq finds the words for it."""
    broken = framed(spec.Basic.Ack(1), OURS)[:-1] + b"\x00"
    line.wire.data_received(broken)
    line.wire.data_received(b"AMQP\x00\x00\x09\x01")
    line.wire.eof_received()
    assert line.owner.taken == []
    assert await line.passed() == broken + b"AMQP\x00\x00\x09\x01"


def test_the_heartbeat_is_one() -> None:
    """The one frame that is made up here is what pamqp writes."""
    assert beat == frames.HEARTBEAT
    assert [frame.name for frame in read(beat)] == ["Heartbeat"]
