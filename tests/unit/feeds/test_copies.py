"""Copies of events for reply queues: one that takes nothing holds up nobody, and what is dropped is said."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from router.clock import SystemClock
from router.errors import PublishFailed, Unroutable
from router.feeds import Copies
from router.feeds.copies import UNCONFIRMED, WAITING
from router.records.command import Reply
from router.records.event import Copy, StoredEvent
from schemas.events import OrderEvent
from tests.unit.feeds.scripted import Listener, change, world


def event(seq: int) -> OrderEvent:
    """Some event of that number."""
    return OrderEvent(
        event_id=f"e{seq}",
        venue="gmo_coin",
        account="main",
        seq=seq,
        order_id="1",
        symbol="BTC_JPY",
        side="buy",
        order_type="limit",
        status="working",
        size="10",
        filled_size="0",
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        source="stream",
    )


def stored(seq: int, *queues: str) -> StoredEvent:
    """An event with a copy for each of these queues."""
    reply = [Reply(reply_to=name, correlation_id="c", content_type="application/json") for name in queues]
    return StoredEvent(event=event(seq), copies=tuple(Copy(command_id="x", reply=one) for one in reply))


class Queues(Listener):
    """Reply queues: a `stuck` one never confirms, one that is `gone` is returned, `fails` counts failures to come."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, int]] = []
        self.under_way: dict[str, int] = {}
        self.fails = 0
        self.cancels = 0

    async def publish_copy(self, event: OrderEvent, copy: Copy) -> None:
        """Do as the queue does."""
        name = copy.reply.reply_to
        self.under_way[name] = self.under_way.get(name, 0) + 1
        await asyncio.sleep(0)
        if name == "stuck":
            await asyncio.Event().wait()
        if name == "gone":
            raise Unroutable("gone")
        if self.fails:
            self.fails -= 1
            raise PublishFailed("the channel is gone")
        if self.cancels:
            self.cancels -= 1
            raise asyncio.CancelledError
        self.taken.append((name, event.seq))


@pytest.fixture
async def queues() -> AsyncIterator[tuple[Queues, Copies]]:
    """Some queues, and the copies on their way there."""
    structlog.reset_defaults()  # another test may have turned the logs off
    queues = Queues()
    copies = Copies(queues, SystemClock())
    yield queues, copies
    await copies.close()


async def until_taken(queues: Queues, count: int) -> None:
    """Wait for so many copies."""
    async with asyncio.timeout(5):
        while len(queues.taken) < count:
            await asyncio.sleep(0)


async def test_a_stuck_queue_holds_up_no_other(queues: tuple[Queues, Copies]) -> None:
    """At most sixteen of its copies are under way; another queue hears all of the same events, in order."""
    broker, copies = queues
    for seq in range(1, 401):
        copies.put(stored(seq, "stuck", "well"))
    await until_taken(broker, 400)
    assert broker.taken == [("well", seq) for seq in range(1, 401)]
    assert broker.under_way["stuck"] == UNCONFIRMED


async def test_what_is_too_much_is_dropped_and_said(queues: tuple[Queues, Copies]) -> None:
    """The memory of a stuck queue has an end; a log line says how much it cost, also when all ends."""
    broker, copies = queues
    with capture_logs() as logs:
        for seq in range(UNCONFIRMED + WAITING + 10):
            copies.put(stored(seq, "stuck"))
        await asyncio.sleep(0)
        await copies.close()
    assert [line["dropped"] for line in logs if "dropped" in line] == [1, 10]
    assert [line["left"] for line in logs if "left" in line] == [UNCONFIRMED + WAITING]
    assert broker.under_way["stuck"] == UNCONFIRMED


async def test_a_queue_that_is_gone_costs_nothing(queues: tuple[Queues, Copies]) -> None:
    """Its copies are dropped (contract, section 3), and nothing of it is kept."""
    broker, copies = queues
    for seq in range(100):
        copies.put(stored(seq, "gone"))
    async with asyncio.timeout(5):
        await copies.emptied()
    assert (broker.taken, copies._queues) == ([], {})


async def test_a_lost_channel_is_no_lost_copy(queues: tuple[Queues, Copies]) -> None:
    """It goes again."""
    broker, copies = queues
    broker.fails = 1
    copies.put(stored(1, "well"))
    await until_taken(broker, 1)


async def test_a_library_that_cancels_ends_one_copy_and_says_so(queues: tuple[Queues, Copies]) -> None:
    """Not in silence, and not the others."""
    broker, copies = queues
    broker.cancels = 1
    with capture_logs() as logs:
        copies.put(stored(1, "well"))
        copies.put(stored(2, "well"))
        async with asyncio.timeout(5):
            while not logs or not broker.taken:
                await asyncio.sleep(0)
    assert broker.taken == [("well", 2)]
    assert [line["log_level"] for line in logs] == ["error"]


async def test_the_topic_waits_for_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events go on, numbered and confirmed, while every one of them has a copy for a queue that is stuck."""

    async def everybody(*_: object) -> dict[str, tuple[Copy, ...]]:
        return {"1": stored(1, "stuck").copies}

    queues = Queues()
    async with world(tmp_path, listener=queues) as feed:
        monkeypatch.setattr(feed.journal, "copies_for", everybody)
        await feed.until(lambda: "live" in feed.listener.story)
        for filled in range(1, 10):
            feed.report(f"1 {filled}")
        feed.venue.shown = [change("1", "10")]
        feed.report(None)
        # Live again only once the reconciliation and all before it are confirmed.
        await feed.until(lambda: feed.listener.story.count("live") == 2)
        assert [event.seq for event in feed.listener.events] == list(range(1, 11))
        await feed.until(lambda: queues.under_way.get("stuck", 0) > 0)


async def test_a_library_that_cancels_a_publish_ends_no_feed(tmp_path: Path) -> None:
    """The event is published again."""

    class Cancelling(Listener):
        cancels = 1

        async def publish_event(self, stored: StoredEvent) -> None:
            if self.cancels:
                self.cancels -= 1
                raise asyncio.CancelledError
            await super().publish_event(stored)

    async with world(tmp_path, listener=Cancelling()) as feed:
        await feed.until(lambda: "live" in feed.listener.story)
        feed.report("1 4")
        await feed.until(lambda: len(feed.listener.events) == 1)
        assert feed.listener.story == ["gap", "live", "1:4"]
        assert len(feed.sockets.opened) == 1
