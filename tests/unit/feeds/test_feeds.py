"""The feed of one account: gaps announced and filled, one owner, nothing lost. Over a stream in memory."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from router.feeds import account
from schemas.events import FeedStatus
from tests.unit.feeds.scripted import Listener, ScriptedVenue, change, world


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch often, and call a stall soon."""
    quick = {"WATCH_S": 0.4, "WATCH_BUSY_S": 0.1, "STALL_S": 0.3, "DOUBT_S": 0.05, "FAREWELL_S": 0.2}
    for name, value in quick.items():
        monkeypatch.setattr(account, name, value)


async def test_live_after_reconciliation(tmp_path: Path) -> None:
    """A feed begins with a gap, publishes what the venue shows, and is live only then."""
    venue = ScriptedVenue()
    venue.shown = [change("1", "3")]
    async with world(tmp_path, venue=venue) as feed:
        await feed.until(lambda: "live" in feed.listener.story)
        assert feed.listener.story == ["gap", "1:3", "live"]
        assert feed.socket.said == ["one", "two"]
        feed.report("1 4")
        await feed.until(lambda: len(feed.listener.events) == 2)
        assert [(event.seq, event.source) for event in feed.listener.events] == [(1, "reconcile"), (2, "stream")]


async def test_a_gap_is_announced_and_filled(tmp_path: Path) -> None:
    """What happened while the connection was gone is published between `gap` and `live`."""
    async with world(tmp_path) as feed:
        await feed.until(lambda: "live" in feed.listener.story)
        feed.report("1 4")
        await feed.until(lambda: len(feed.listener.events) == 1)
        feed.venue.shown = [change("1", "7", status="canceled")]
        feed.report(None)
        await feed.until(lambda: feed.listener.story.count("live") == 2)
        assert feed.listener.story == ["gap", "live", "1:4", "gap", "1:7", "live"]
        assert feed.venue.known[-1].open_orders == (("1", "BTC_JPY"),)
        statuses = [message for message in feed.listener.heard if isinstance(message, FeedStatus)]
        assert statuses[2].reason == "closed with code 1006"
        assert statuses[2].since < statuses[3].since
        assert [request.method for request in feed.venue.requests].count("DELETE") == 1


async def test_a_key_that_is_refused_is_tried_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking on changes nothing before somebody mends the key, and some venues ban the address of who does."""
    monkeypatch.setattr(account, "READ_AGAIN_S", 0.01)
    venue = ScriptedVenue()
    venue.denied = True
    async with world(tmp_path, venue=venue) as feed:
        await feed.until(lambda: len(venue.known) == 2)
        await asyncio.sleep(0.5)  # in which a read that only failed would have been made dozens of times
        assert len(venue.known) == 2
        assert feed.listener.story == ["gap"]


async def test_not_live_while_reads_fail(tmp_path: Path) -> None:
    """A reconciliation that could not read everything is done again; until then there is no `live`."""
    venue = ScriptedVenue()
    venue.failing = True
    async with world(tmp_path, venue=venue) as feed:
        await feed.until(lambda: len(venue.known) >= 2)
        assert feed.listener.story == ["gap"]
        venue.failing = False
        await feed.until(lambda: "live" in feed.listener.story)


async def test_a_stream_that_keeps_something_back(tmp_path: Path) -> None:
    """What REST shows and the stream does not tell is a stall: a gap, and a new connection."""
    async with world(tmp_path) as feed:
        await feed.until(lambda: "live" in feed.listener.story)
        feed.venue.shown = [change("1", "5")]
        await feed.until(lambda: feed.listener.story.count("live") == 2)
        assert feed.listener.story == ["gap", "live", "gap", "1:5", "live"]
        assert len(feed.sockets.opened) == 2
        assert feed.sockets.opened[0].closed


async def test_a_slow_stream_is_not_a_stall(tmp_path: Path) -> None:
    """A report that comes a moment after REST showed it is no stall."""
    async with world(tmp_path) as feed:
        await feed.until(lambda: "live" in feed.listener.story)
        looks = len(feed.venue.known)
        feed.venue.shown = [change("1", "5")]
        await feed.until(lambda: len(feed.venue.known) > looks)
        feed.report("1 5")
        await feed.until(lambda: len(feed.venue.known) > looks + 3)
        assert feed.listener.story == ["gap", "live", "1:5"]


async def test_the_order_survives_a_failing_broker(tmp_path: Path) -> None:
    """Every event arrives, first heard in the order of its numbers, whatever publish fails and however long."""
    listener = Listener()
    async with world(tmp_path, listener=listener) as feed:
        await feed.until(lambda: "live" in listener.story)
        listener.fail_once = {3, 5}
        for number in range(8):
            feed.report(f"{number} 1")
        await feed.until(lambda: 8 in {event.seq for event in listener.events})
        listener.down = True
        for number in range(8, 20):
            feed.report(f"{number} 1")
        await asyncio.sleep(0.1)
        listener.down = False
        await feed.until(lambda: 20 in {event.seq for event in listener.events})
        assert {event.seq for event in listener.events} == set(range(1, 21))
        ids = {event.seq: event.event_id for event in listener.events}
        assert all(event.event_id == ids[event.seq] for event in listener.events)
        last = [max(i for i, event in enumerate(listener.events) if event.seq == seq) for seq in range(1, 21)]
        assert all(earlier < later for earlier, later in pairwise(last))


async def test_what_was_not_published_is_the_next_owners(tmp_path: Path) -> None:
    """Events that the broker never confirmed are published by whoever has the account next, under their numbers."""
    listener = Listener()
    async with world(tmp_path, listener=listener) as feed:
        await feed.until(lambda: "live" in listener.story)
        listener.down = True
        feed.report("1 1")
        feed.report("2 1")
        await feed.until(feed.socket.incoming.empty)
        await asyncio.sleep(0.1)
        feed.task.cancel()
        await asyncio.wait([feed.task])
    listener.down = False
    async with world(tmp_path, listener=listener) as feed:
        await feed.until(lambda: listener.story.count("live") == 2)
    assert [(event.seq, event.order_id) for event in listener.events] == [(1, "1"), (2, "2")]
    assert listener.story == ["gap", "live", "gap", "1:1", "2:1", "live", "down"]


async def test_one_owner_at_a_time(tmp_path: Path) -> None:
    """Two processes never feed one account; when the owner ends, the other takes over with a gap."""
    listener = Listener()
    async with world(tmp_path, listener=listener) as first:
        await first.until(lambda: "live" in listener.story)
        async with world(tmp_path, listener=listener) as second:
            await asyncio.sleep(1.0)
            assert not second.sockets.opened
            first.report("1 1")
            await first.until(lambda: len(listener.events) == 1)
            await first.end()
            await second.until(lambda: listener.story.count("live") == 2)
            second.report("2 1")
            await second.until(lambda: len(listener.events) == 2)
    assert listener.story == ["gap", "live", "1:1", "down", "gap", "live", "2:1", "down"]
    assert [event.seq for event in listener.events] == [1, 2]


async def test_a_frozen_owner_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner whose lease ran out while it was frozen numbers nothing and announces nothing."""
    listener, zombie = Listener(), Listener()
    async with world(tmp_path, listener=zombie) as frozen:
        await frozen.until(lambda: "live" in zombie.story)

        async def nothing() -> None:
            await asyncio.sleep(3600)

        monkeypatch.setattr(frozen.feeds, "_renew", nothing)
        async with world(tmp_path, listener=listener) as successor:
            await successor.until(lambda: "live" in listener.story)
            frozen.report("1 1")
            successor.report("2 1")
            await successor.until(lambda: len(listener.events) == 1)
            await asyncio.sleep(0.2)
    assert zombie.story == ["gap", "live"]
    assert [(event.seq, event.order_id) for event in listener.events] == [(1, "2")]


async def test_no_connection_is_a_gap_until_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that refuses connections leaves the account in its gap, later `down`; it is tried again and again."""
    monkeypatch.setattr(account, "DOWN_AFTER_US", 500_000)
    async with world(tmp_path) as feed:
        await feed.until(lambda: "live" in feed.listener.story)
        feed.sockets.refuse = True
        feed.report("broken")
        await feed.until(lambda: "down" in feed.listener.story)
        assert feed.listener.story == ["gap", "live", "gap", "down"]
        feed.sockets.refuse = False
        await feed.until(lambda: feed.listener.story.count("live") == 2, within_s=20)


async def test_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue without a stream is polled; what the first poll shows fills the gap, what later ones show is `poll`."""
    monkeypatch.setattr(ScriptedVenue, "poll_s", (0.2, 0.05))
    venue = ScriptedVenue()
    venue.shown = [change("1", "0", status="working")]
    async with world(tmp_path, venue=venue) as feed:
        await feed.until(lambda: "live" in feed.listener.story)
        venue.shown = [change("1", "10")]
        await feed.until(lambda: len(feed.listener.events) == 2)
        venue.failing = True
        await feed.until(lambda: feed.listener.story[-1] == "gap")
        venue.failing = False
        await feed.until(lambda: feed.listener.story[-1] == "live")
    assert feed.listener.story == ["gap", "1:0", "live", "1:10", "gap", "live", "down"]
    assert [event.source for event in feed.listener.events] == ["reconcile", "poll"]
