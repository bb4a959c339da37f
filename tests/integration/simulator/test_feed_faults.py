"""Scripted faults of the private feeds, what they leave behind, and how the truth is told."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from router.simulator import Simulators
from router.simulator.feed import STAMP, FeedFault, Load
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from tests.integration.simulator.clients import BtcTurk, Coinbase, Gmo, Nami
from tests.integration.simulator.listeners import (
    Listener,
    btcturk_listener,
    btcturk_login,
    coinbase_listener,
    connect,
    gmo_listener,
    token_of,
)

pytestmark = pytest.mark.integration

PRODUCT = "BIT-28JUL23-CDE"


def place(client: Gmo | Coinbase | BtcTurk, order_id: str, symbol: str = "BTC_JPY") -> None:
    """Put an order on the book: one event."""
    client.simulator.add_orders(OrderSeed(symbol=symbol, size=Decimal(1), price=Decimal(1), order_id=order_id))


async def hear(listener: Listener, count: int) -> list[int]:
    """Return the order ids of the next events."""
    return [row["orderId"] for row in await listener.take(count)]


def seen(listener: Listener) -> list[tuple[int, str]]:
    """Return number and order id of Coinbase's updates."""
    return [(frame["sequence_num"], frame["events"][0]["orders"][0]["order_id"]) for frame in listener.frames]


async def coinbase_updates(coinbase: Coinbase) -> Listener:
    """Return a listener that has heard acknowledgement and snapshot: the next number is 2."""
    listener = await coinbase_listener(coinbase, "user")
    await listener.take(2)
    return listener


async def test_a_cut_is_a_reset_and_what_was_missed_is_gone(gmo: Gmo) -> None:
    """The connection ends without a close frame; a new one hears only what happens from then on."""
    async with await gmo_listener(gmo, "orderEvents") as listener:
        assert gmo.simulator.disturb(FeedFault(do="cut")).struck == 1
        assert await listener.ended() == 1006
    place(gmo, "1")
    async with await gmo_listener(gmo, "orderEvents") as listener:
        place(gmo, "2")
        assert await hear(listener, 1) == [2]


@pytest.mark.parametrize(("how", "code"), [("reset", 1006), ("close", 1000)])
async def test_a_cut_at_the_third_event(gmo: Gmo, how: Any, code: int) -> None:
    """Two events arrive; in place of the third the connection ends."""
    gmo.simulator.disturb(FeedFault(do="cut", at=3, how=how))
    async with await gmo_listener(gmo, "orderEvents") as listener:
        for order_id in "1234":
            place(gmo, order_id)
        assert await listener.ended() == code
        assert await hear(listener, 2) == [1, 2]
        assert listener.frames == []


async def test_a_cut_of_one_account(gmo: Gmo) -> None:
    """A fault that names an account leaves the others alone."""
    gmo.simulator.add_account("two", api_key="k2", api_secret="s2")
    two = Gmo(gmo.session, gmo.simulator, gmo.root, "two")
    async with await gmo_listener(gmo, "orderEvents") as one, await gmo_listener(two, "orderEvents") as other:
        gmo.simulator.disturb(FeedFault(do="cut", account="two", how="close"))
        assert await other.ended() == 1000
        place(gmo, "1")
        assert await hear(one, 1) == [1]


async def test_a_stall_says_nothing_and_ends(gmo: Gmo) -> None:
    """While it lasts the socket is open and silent but for pings; what happened then is never sent."""
    gmo.simulator.behave(ping_s=0.05)
    async with await gmo_listener(gmo, "orderEvents") as listener:
        stall = gmo.simulator.disturb(FeedFault(do="stall"))
        place(gmo, "1")
        pings = listener.pings
        await listener.until(lambda _: listener.pings > pings + 1)
        assert (listener.frames, stall.struck) == ([], 1)
        assert gmo.simulator.feed is not None
        gmo.simulator.feed.faults.clear()
        place(gmo, "2")
        assert await hear(listener, 1) == [2]


async def test_a_stall_without_heartbeats_is_dead_air(gmo: Gmo) -> None:
    """Neither pings nor answers to the client's pings come, and the connection is not closed for it."""
    gmo.simulator.behave(ping_s=0.03)
    async with await gmo_listener(gmo, "orderEvents") as listener:
        gmo.simulator.disturb(FeedFault(do="stall", heartbeats=False, for_s=0.2))
        place(gmo, "1")
        pings, began = listener.pings, time.monotonic()
        await listener.until(lambda _: listener.pings > pings)
        assert time.monotonic() - began > 0.15
        assert listener.frames == []


async def test_a_coinbase_stall_leaves_no_hole_in_the_numbers(coinbase: Coinbase) -> None:
    """Heartbeats go on and the numbers are contiguous, though updates are missing: only reading can tell."""
    coinbase.simulator.behave(heartbeat_s=0.03)
    async with await coinbase_listener(coinbase) as listener:
        await listener.until(lambda frames: any(frame["channel"] == "user" for frame in frames))
        coinbase.simulator.disturb(FeedFault(do="stall", channels=("user",)))
        place(coinbase, "lost", PRODUCT)
        count = len(listener.frames)
        await listener.until(lambda frames: len(frames) > count + 2)
        assert {frame["channel"] for frame in listener.frames[count + 1 :]} == {"heartbeats"}
        assert [frame["sequence_num"] for frame in listener.frames] == list(range(len(listener.frames)))


async def test_btcturks_known_stall_outlasts_a_reconnect(btcturk: BtcTurk) -> None:
    """After a reconnect 441, 451 and 452 may stay away while 201 and 423 come: a sticky stall of some channels."""
    btcturk.simulator.disturb(FeedFault(do="stall", channels=("441", "451", "452"), sticky=True))
    async with await btcturk_listener(btcturk) as listener:
        place(btcturk, "5", "BTCTRY")
        btcturk.simulator.move(Move(do="fill", order_id="5"))
        assert [frame[0] for frame in await listener.take(2)] == [423, 201]


async def test_a_stall_is_over_with_its_sockets(gmo: Gmo) -> None:
    """A stall that is not sticky does not touch a connection made later."""
    async with await gmo_listener(gmo, "orderEvents"):
        gmo.simulator.disturb(FeedFault(do="stall"))
        async with await gmo_listener(gmo, "orderEvents") as fresh:
            place(gmo, "1")
            assert await hear(fresh, 1) == [1]


async def test_dropped_events_leave_a_gap_in_the_numbers(coinbase: Coinbase) -> None:
    """The next two events are lost, their numbers with them."""
    async with await coinbase_updates(coinbase) as listener:
        coinbase.simulator.disturb(FeedFault(do="drop", times=2))
        for order_id in "abc":
            place(coinbase, order_id, PRODUCT)
        await listener.until(len)
        assert seen(listener) == [(4, "c")]


async def test_a_heartbeat_is_hit_only_by_its_name(coinbase: Coinbase) -> None:
    """A drop of any channel leaves heartbeats alone; one that names them makes a hole in number and counter."""
    coinbase.simulator.behave(heartbeat_s=0.03)
    async with await coinbase_listener(coinbase, "heartbeats") as listener:
        any_event = coinbase.simulator.disturb(FeedFault(do="drop"))
        await listener.until(lambda frames: len(frames) > 2)
        assert any_event.struck == 0
        coinbase.simulator.disturb(FeedFault(do="drop", channels=("heartbeats",)))
        await listener.until(lambda frames: frames[-1]["sequence_num"] != len(frames) - 1)


async def test_an_event_can_come_twice(coinbase: Coinbase) -> None:
    """A duplicate is the same to the letter."""
    async with await coinbase_updates(coinbase) as listener:
        coinbase.simulator.disturb(FeedFault(do="duplicate", at=2))
        for order_id in "ab":
            place(coinbase, order_id, PRODUCT)
        await listener.until(lambda frames: len(frames) == 3)
        assert seen(listener) == [(2, "a"), (3, "b"), (3, "b")]
        assert listener.frames[1] == listener.frames[2]


@pytest.mark.parametrize(
    ("renumbered", "expected"), [(False, [(3, "b"), (2, "a"), (4, "c")]), (True, [(2, "b"), (3, "a"), (4, "c")])]
)
async def test_events_can_change_places(coinbase: Coinbase, renumbered: bool, expected: list[Any]) -> None:
    """An event comes after the next one, with its own number or as if the venue had mixed them up."""
    async with await coinbase_updates(coinbase) as listener:
        coinbase.simulator.disturb(FeedFault(do="reorder", renumbered=renumbered))
        for order_id in "abc":
            place(coinbase, order_id, PRODUCT)
        await listener.until(lambda frames: len(frames) == 3)
        assert seen(listener) == expected


async def test_an_event_that_nothing_overtakes_comes_late(gmo: Gmo) -> None:
    """A reordered event waits for its time when there is no next one."""
    async with await gmo_listener(gmo, "orderEvents") as listener:
        gmo.simulator.disturb(FeedFault(do="reorder", delay_s=0.1))
        began = time.monotonic()
        place(gmo, "1")
        assert await hear(listener, 1) == [1]
        assert time.monotonic() - began >= 0.1


async def test_a_late_event_holds_up_the_next(gmo: Gmo) -> None:
    """A delay keeps the order of events."""
    async with await gmo_listener(gmo, "orderEvents") as listener:
        gmo.simulator.disturb(FeedFault(do="delay", delay_s=0.1))
        began = time.monotonic()
        place(gmo, "1")
        place(gmo, "2")
        assert await hear(listener, 2) == [1, 2]
        assert time.monotonic() - began >= 0.1


async def test_handshakes_are_refused_so_often(btcturk: BtcTurk) -> None:
    """The next two handshakes get the status, the third is taken."""
    refusing = btcturk.simulator.disturb(FeedFault(do="refuse", times=2, status=502))
    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await connect(btcturk, "/ws")
        assert error.value.status == 502
    await (await connect(btcturk, "/ws")).close()
    assert refusing.struck == 2


async def test_anything_can_be_said(gmo: Gmo, btcturk: BtcTurk) -> None:
    """A text of the test's own goes out as it is, to sockets that have not said who they are as well."""
    async with await gmo_listener(gmo) as listener, await connect(btcturk, "/ws") as stranger:
        gmo.simulator.disturb(FeedFault(do="say", text='{"error":"ERR-5012"}'))
        assert await listener.take(1) == [{"error": "ERR-5012"}]
        btcturk.simulator.disturb(FeedFault(do="say", text="[1000,{}]"))
        assert (await stranger.take(2))[1] == [1000, {}]


@pytest.mark.parametrize(("do", "survivors"), [("expire", 0), ("evict", 1)])
async def test_tokens_can_be_ended(gmo: Gmo, do: Any, survivors: int) -> None:
    """`expire` ends every token of an account and its sockets, `evict` the one that would end first."""
    first = await token_of(gmo)
    await asyncio.sleep(0.002)
    second = await token_of(gmo)
    listeners = [await gmo_listener(gmo, token=token) for token in (first, second)]
    gmo.simulator.disturb(FeedFault(do=do, account="main"))
    for listener in listeners[: 2 - survivors]:
        assert await listener.ended() == 1000
    place(gmo, "1")
    for listener in listeners[2 - survivors :]:
        await listener.take(1)
        await listener.close()


async def test_a_venue_without_tokens_or_feed_says_so(btcturk: BtcTurk, nami: Nami) -> None:
    """A fault that a venue cannot have is an error, not silence."""
    with pytest.raises(ValueError, match="no tokens"):
        btcturk.simulator.disturb(FeedFault(do="expire"))
    with pytest.raises(ValueError, match="no private feed"):
        nami.simulator.disturb(FeedFault(do="cut"))


async def test_chance_hits_some(gmo: Gmo) -> None:
    """With a probability some events are lost, for ever, and the same ones after a reset of the faults."""
    runs = []
    async with await gmo_listener(gmo, "orderEvents") as listener:
        for run in range(2):
            gmo.simulator.disturb(FeedFault(do="drop", chance=0.5, times=None))
            for number in range(20):
                place(gmo, str(1000 * run + number))
            assert gmo.simulator.feed is not None
            gmo.simulator.feed.faults.clear()
            place(gmo, f"{run}9999")
            await listener.until(lambda frames: frames and frames[-1]["orderId"] % 10000 == 9999)
            runs.append([row["orderId"] % 1000 for row in listener.frames[:-1]])
            listener.frames.clear()
    assert runs[0] == runs[1]
    assert 2 < len(runs[0]) < 18


async def test_faults_and_feed_over_http(gmo: Gmo) -> None:
    """The control routes script faults, show the sockets, and clear; a misspelt fault is 400."""
    async with await gmo_listener(gmo, "orderEvents") as listener:
        assert (await gmo.control("POST", "/feed/faults", {"do": "drop", "times": 2})).json == {"armed": 1, "struck": 0}
        place(gmo, "1")
        state = (await gmo.control("GET", "/feed")).json
        assert [(row["account"], row["channels"]) for row in state["sockets"]] == [("main", ["orderEvents"])]
        assert [(row["fault"]["do"], row["struck"]) for row in state["faults"]] == [("drop", 1)]
        assert (await gmo.control("DELETE", "/feed/faults")).json == {"armed": 0}
        place(gmo, "2")
        assert await hear(listener, 1) == [2]
        assert (await gmo.control("POST", "/feed/faults", {"do": "cot"})).status == 400
        assert (await gmo.control("POST", "/feed/faults", {"do": "cut"})).json == {"armed": 0, "struck": 1}
        assert await listener.ended() == 1006
        entries = (await gmo.control("GET", "/ledger?endpoint=feed&wait_s=5&count=5")).json["entries"]
        assert [entry["note"] for entry in entries] == [
            "connected", "subscribed orderEvents", "drop orderEvents", "cut", "disconnected",
        ]  # fmt: skip


async def test_a_reset_drops_every_connection(gmo: Gmo) -> None:
    """Books, faults and sockets are as at the start; the tokens are gone."""
    token = await token_of(gmo)
    async with await gmo_listener(gmo, token=token) as listener:
        gmo.simulator.disturb(FeedFault(do="refuse", times=None))
        gmo.simulator.reset()
        assert await listener.ended() == 1006
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await connect(gmo, f"/ws/private/v1/{token}")
    assert error.value.status == 401


async def test_stopping_ends_every_connection(gmo: Gmo, simulators: Simulators) -> None:
    """The servers do not wait for clients that stay."""
    async with await gmo_listener(gmo) as listener:
        began = time.monotonic()
        await simulators.stop()
        assert await listener.ended() == 1006
        assert time.monotonic() - began < 2


async def test_the_truth_is_in_the_venues_words(gmo: Gmo, btcturk: BtcTurk, nami: Nami, coinbase: Coinbase) -> None:
    """Every order of an account with status and filled size; a venue that has no word for an end says its own."""
    for client, symbol in ((gmo, "BTC_JPY"), (btcturk, "BTCTRY"), (nami, "BTCUSDT"), (coinbase, PRODUCT)):
        ids = [row.order_id for row in client.simulator.add_orders(
            OrderSeed(symbol=symbol, size=Decimal(2), price=Decimal(3), count=5))]  # fmt: skip
        for do, order_id in zip(("expire", "fail", "cancel"), ids, strict=False):
            client.simulator.move(Move(do=do, order_id=order_id))  # type: ignore[arg-type]  # of the moves
        client.simulator.move(Move(do="fill", order_id=ids[3], size=Decimal("0.5")))
        client.simulator.move(Move(do="fill", order_id=ids[4]))
        truth = client.simulator.truth()
        said = [(truth[order_id].status, truth[order_id].filled_size) for order_id in ids]
        expired, failed = {gmo: ("expired", "expired"), btcturk: ("canceled", "canceled"),
                           nami: ("canceled", "rejected"), coinbase: ("expired", "rejected")}[client]  # fmt: skip
        assert said == [(expired, "0"), (failed, "0"), ("canceled", "0"), ("partially_filled", "0.5"), ("filled", "2")]
        assert (await client.control("GET", "/truth")).json[ids[4]]["status"] == "filled"
        assert (await client.control("GET", "/truth?account=nobody")).status == 404


@pytest.mark.parametrize("venue", ["gmo", "coinbase", "btcturk"])
async def test_a_load_is_paced_and_stamped(gmo: Gmo, coinbase: Coinbase, btcturk: BtcTurk, venue: str) -> None:
    """So many events a second arrive, each with the moment it was sent, and the book tells the same story."""
    client: Gmo | Coinbase | BtcTurk
    if venue == "gmo":
        client, listener = gmo, await gmo_listener(gmo)
    elif venue == "coinbase":
        client, listener = coinbase, await coinbase_updates(coinbase)
    else:
        client, listener = btcturk, await btcturk_listener(btcturk)
    async with listener:
        reply = await client.control("POST", "/load", {"rate": 500, "seconds": 0.2})
        assert reply.json["events"] == 100
        assert reply.json["seconds"] >= 0.19
        frames = await listener.take(100)
        place(client, "77", "X_JPY")
        after = await listener.take(1)
    rows = [row_of(frame) for frame in frames]
    assert all(abs(time.time() - row[STAMP] / 1e6) < 10 for row in rows)
    assert STAMP not in row_of(after[0])
    states = [truth.status for truth in client.simulator.truth().values()]
    assert states.count("canceled") == 50


def row_of(frame: Any) -> dict[str, Any]:
    """Return the venue's own object in a message."""
    if isinstance(frame, list):
        return dict(frame[1])
    return dict(frame["events"][0]["orders"][0]) if "events" in frame else dict(frame)


async def test_a_load_needs_a_feed(nami: Nami, gmo: Gmo) -> None:
    """A venue without a feed refuses, as an account that is not there."""
    with pytest.raises(ValueError, match="no feed"):
        await nami.simulator.load(Load(rate=1, seconds=1))
    assert (await gmo.control("POST", "/load", {"account": "nobody"})).status == 404


async def test_a_login_is_needed_for_btcturks_events(btcturk: BtcTurk) -> None:
    """A connection that has not logged in hears nothing of the account."""
    async with await connect(btcturk, "/ws") as listener:
        await listener.take(1)
        place(btcturk, "5", "BTCTRY")
        await listener.say(btcturk_login(btcturk))
        assert [frame[0] for frame in await listener.take(1)] == [114]


async def test_the_history_can_lag(nami: Nami) -> None:
    """An order that has ended is for a while in neither list, and may be found by when it changed."""
    nami.simulator.behave(history_lag_s=0.2, history_time="updated", rate_limits=False)
    assert (await nami.cancel()).json["data"]["status"] == "CANCELED"
    assert (await nami.read("/api/v4/spot/open")).json["data"] == {"orders": []}
    assert (await nami.read("/api/v4/spot/history")).json["data"] == []
    async with asyncio.timeout(60):
        while not (rows := (await nami.read("/api/v4/spot/history", timeFrom="2024-01-01T00:00:00Z")).json["data"]):
            pass
    assert [row["displayingId"] for row in rows] == [435372]
