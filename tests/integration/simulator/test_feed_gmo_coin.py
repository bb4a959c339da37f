"""GMO Coin's private WebSocket in the simulator against the venue's documents."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from router.simulator.faults import Fault
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed, PositionSeed
from tests.integration.simulator.clients import Gmo
from tests.integration.simulator.listeners import connect, gmo_listener, token_of

pytestmark = pytest.mark.integration

HOUR_MS = 60 * 60 * 1000
LIMIT = {"executionType": "LIMIT", "timeInForce": "FAS", "price": "85201"}


def of(frames: Any, channel: str) -> list[dict[str, Any]]:
    """Return the frames of a channel."""
    return [frame for frame in frames if frame.get("channel") == channel]


async def test_the_documents_cancel_is_reported(gmo: Gmo) -> None:
    """A cancel of the document's order is the document's message, but for the letters it does not explain."""
    async with await gmo_listener(gmo) as listener:
        await gmo.cancel(123456789)
        [event] = await listener.take(1)
    assert event.pop("orderTimestamp").endswith("Z")
    assert event.pop("msgType") == "COR"
    assert event == {
        "channel": "orderEvents", "orderId": 123456789, "symbol": "BTC_JPY", "settleType": "OPEN",
        "executionType": "LIMIT", "side": "BUY", "orderStatus": "CANCELED", "cancelType": "USER",
        "orderPrice": "876045", "orderSize": "0.8", "orderExecutedSize": "0", "losscutPrice": "0",
        "timeInForce": "FAS",
    }  # fmt: skip


async def test_a_full_fill_is_only_an_execution(gmo: Gmo) -> None:
    """orderEvents reports a market close as ORDERED and never again; executionEvents says that it is filled."""
    async with await gmo_listener(gmo) as listener:
        order_id = int((await gmo.close(size="10.32")).json["data"])
        frames = await listener.take(3)
    assert [(row["orderStatus"], row["msgType"]) for row in of(frames, "orderEvents")] == [("ORDERED", "NOR")]
    [execution] = of(frames, "executionEvents")
    assert (execution["orderId"], execution["positionId"], execution["msgType"]) == (order_id, 1000342, "ER")
    assert execution["orderExecutedSize"] == execution["orderSize"] == execution["executionSize"] == "10.32"
    [position] = of(frames, "positionEvents")
    assert (position["positionId"], position["size"], position["msgType"]) == (1000342, "0", "CPR")


async def test_executions_carry_the_cumulative_size(gmo: Gmo) -> None:
    """Two fills of one order have an id each, and the second one's `orderExecutedSize` is their sum."""
    async with await gmo_listener(gmo, "executionEvents", "positionEvents") as listener:
        order_id = (await gmo.close(**LIMIT)).json["data"]
        for size in ("0.44", "3"):
            gmo.simulator.move(Move(do="fill", order_id=order_id, size=Decimal(size)))
        frames = await listener.take(4)
    executions = of(frames, "executionEvents")
    assert [row["orderExecutedSize"] for row in executions] == ["0.44", "3.44"]
    assert len({row["executionId"] for row in executions}) == 2
    assert [(row["msgType"], row["size"]) for row in of(frames, "positionEvents")] == [("UPR", "9.88"), ("UPR", "6.88")]


async def test_a_partial_fak_expires(gmo: Gmo) -> None:
    """What a FAK could not trade expires, with the executed size in its last order event."""
    gmo.simulator.inject(Fault(on="close", fill=Decimal("0.5")))
    async with await gmo_listener(gmo, "orderEvents", "executionEvents") as listener:
        await gmo.close(size="3.44")
        frames = await listener.take(3)
    assert [(row["orderStatus"], row.get("cancelType"), row["orderExecutedSize"], row["msgType"])
            for row in of(frames, "orderEvents")] == [
        ("ORDERED", None, "0", "NOR"),
        ("EXPIRED", "EXPIRED_FAK", "1.72", "ER"),
    ]  # fmt: skip


async def test_a_stop_waits_and_fires(gmo: Gmo) -> None:
    """A stop is WAITING, then ORDERED under the same id; a changed price is ROR; a cancel under way says nothing."""
    gmo.simulator.behave(cancel_delay_s=0.05)
    async with await gmo_listener(gmo, "orderEvents") as listener:
        stop = (await gmo.close(executionType="STOP", price="900000")).json["data"]
        gmo.simulator.move(Move(do="price", symbol="BTC_JPY", price=Decimal(900001)))
        gmo.simulator.move(Move(do="replace", order_id="637000", price=Decimal(5)))
        await gmo.cancel(637000)
        frames = await listener.take(4)
    assert [(row["orderId"], row["orderStatus"], row["orderPrice"], row["msgType"]) for row in frames] == [
        (int(stop), "WAITING", "900000", "NOR"),
        (int(stop), "ORDERED", "900000", "NOR"),
        (637000, "ORDERED", "5", "ROR"),
        (637000, "CANCELED", "5", "COR"),
    ]


async def test_a_losscut_is_the_venues_own_order(gmo: Gmo) -> None:
    """A liquidation cancels what was to close the position, and closes it by an order nobody sent."""
    order_id = int((await gmo.close(**LIMIT)).json["data"])
    async with await gmo_listener(gmo) as listener:
        gmo.simulator.move(Move(do="liquidate", position_id="1000342", price=Decimal(900000)))
        frames = await listener.take(4)
    canceled, forced = of(frames, "orderEvents")
    assert (canceled["orderId"], canceled["cancelType"]) == (order_id, "POSITION_LOSSCUT")
    assert (forced["settleType"], forced["orderStatus"]) == ("LOSS_CUT", "ORDERED")
    [execution] = of(frames, "executionEvents")
    assert (execution["orderId"], execution["settleType"]) == (forced["orderId"], "CLOSE")
    assert [row["msgType"] for row in of(frames, "positionEvents")] == ["CPR"]


async def test_what_others_do_is_reported_too(gmo: Gmo) -> None:
    """Orders and positions that no request of ours made are events as well."""
    async with await gmo_listener(gmo) as listener:
        gmo.simulator.add_orders(OrderSeed(symbol="ETH_JPY", size=Decimal(1), price=Decimal(5)))
        gmo.simulator.add_positions(PositionSeed(symbol="ETH_JPY", size=Decimal(2)))
        order, position = await listener.take(2)
    assert (order["symbol"], order["orderStatus"]) == ("ETH_JPY", "ORDERED")
    assert (position["msgType"], position["size"]) == ("OPR", "2")


async def test_accounts_do_not_hear_each_other(gmo: Gmo) -> None:
    """A token stands for one account."""
    gmo.simulator.add_account("two", api_key="k2", api_secret="s2")
    two = Gmo(gmo.session, gmo.simulator, gmo.root, "two")
    async with await gmo_listener(gmo, "orderEvents") as one, await gmo_listener(two, "orderEvents") as other:
        gmo.simulator.add_orders(OrderSeed(symbol="ETH_JPY", size=Decimal(1), price=Decimal(5), account="two"))
        await other.take(1)
        await gmo.cancel(637000)
        assert [row["orderId"] for row in await one.take(1)] == [637000]


async def test_an_event_can_beat_the_answer(gmo: Gmo) -> None:
    """With the answer held back after the execution, the event is there first."""
    gmo.simulator.inject(Fault(on="close", when="after", delay_s=60))
    async with await gmo_listener(gmo, "orderEvents") as listener:
        closing = asyncio.create_task(gmo.close())
        await listener.take(1)
        assert not closing.done()
        closing.cancel()
        await asyncio.wait([closing])


async def test_a_path_without_the_version_is_404(gmo: Gmo) -> None:
    """The handshake needs `/v1`, and a token that is valid."""
    token = await token_of(gmo)
    for path, status in ((f"/ws/private/{token}", 404), ("/ws/private/v1/nonsense", 401)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await connect(gmo, path)
        assert error.value.status == status


async def test_maintenance_refuses_the_handshake(gmo: Gmo) -> None:
    """In maintenance the handshake is HTTP 503, whatever the token."""
    token = await token_of(gmo)
    gmo.simulator.behave(maintenance=True)
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await connect(gmo, f"/ws/private/v1/{token}")
    assert error.value.status == 503


async def test_subscriptions_are_paced_over_all_connections(gmo: Gmo) -> None:
    """The second subscription of an address within a second is missing, on whatever socket; the socket stays open."""
    first = await connect(gmo, f"/ws/private/v1/{await token_of(gmo)}")
    second = await connect(gmo, f"/ws/private/v1/{await token_of(gmo)}")
    async with first, second:
        await first.say({"command": "subscribe", "channel": "orderEvents"})
        await gmo.simulator.ledger.wait("feed", note="subscribed orderEvents")
        began = time.monotonic()
        await second.say({"command": "subscribe", "channel": "orderEvents"})
        assert await second.take(1) == [{"error": "ERR-5003 Request too many."}]
        await gmo.cancel(637000)
        await first.take(1)
        while not gmo.simulator.ledger.count("feed", note="subscribed executionEvents"):
            await second.say({"command": "subscribe", "channel": "executionEvents"})
            await asyncio.sleep(0.05)
        assert time.monotonic() - began > 0.9
        assert {frame.get("channel") for frame in second.frames} == {None}


@pytest.mark.parametrize("permissions", [("close", "session"), ()])
async def test_a_channel_without_permission_is_silent(gmo: Gmo, permissions: Any) -> None:
    """A missing permission is an error frame, and then nothing; it is the token's, fixed when it was issued."""
    gmo.simulator.behave(denied_channels=() if permissions else ("orderEvents",), rate_limits=False)
    gmo.simulator.add_account("deaf", api_key="k", api_secret="s", permissions=permissions)
    deaf = Gmo(gmo.session, gmo.simulator, gmo.root, "deaf")
    async with await connect(deaf, f"/ws/private/v1/{await token_of(deaf)}") as listener:
        gmo.simulator.behave(denied_channels=())
        await listener.say({"command": "subscribe", "channel": "orderEvents"})
        [error] = await listener.take(1)
        assert error["error"].startswith("ERR-5012")
        gmo.simulator.add_orders(OrderSeed(symbol="ETH_JPY", size=Decimal(1), account="deaf"))
        await listener.say({"command": "subscribe", "channel": "nonsense"})
        assert (await listener.take(1))[0]["error"].startswith("ERR-5106")


async def test_a_token_ends_after_an_hour(gmo: Gmo) -> None:
    """Moved an hour on, the clock ends the token and its socket; extended before, it lives on."""
    old, kept = await token_of(gmo), await token_of(gmo)
    ending, living = await gmo_listener(gmo, token=old), await gmo_listener(gmo, token=kept)
    async with ending, living:
        gmo.simulator.clock_offset_ms = HOUR_MS // 2
        stamp = gmo.simulator.now_ms()
        assert (await gmo.call("PUT", "/v1/ws-auth", {"token": kept}, stamp=stamp)).json["status"] == 0
        gmo.simulator.clock_offset_ms = HOUR_MS + 1000
        assert await ending.ended() == 1000
        stamp = gmo.simulator.now_ms()
        refused = await gmo.call("PUT", "/v1/ws-auth", {"token": old}, stamp=stamp)
        assert refused.json["messages"][0]["message_code"] == "ERR-5106"
        gmo.simulator.move(Move(do="cancel", order_id="637000"))
        await living.take(1)


async def test_a_sixth_token_evicts_the_first(gmo: Gmo) -> None:
    """Five tokens live; one more ends the one nearest its end, and its socket."""
    async with await gmo_listener(gmo) as listener:
        for _ in range(4):
            await token_of(gmo)
        gmo.simulator.move(Move(do="cancel", order_id="637000"))
        await listener.take(1)
        await token_of(gmo)
        assert await listener.ended() == 1000


async def test_a_revoked_token_may_leave_its_socket_silent(gmo: Gmo) -> None:
    """What the end of a token does to its socket is a switch: an end, silence, or nothing."""
    tokens = [await token_of(gmo) for _ in range(2)]
    silent, deaf = [await gmo_listener(gmo, "orderEvents", token=token) for token in tokens]
    async with silent, deaf:
        gmo.simulator.behave(expiry="silent")
        await gmo.call("DELETE", "/v1/ws-auth", {"token": tokens[0]})
        await gmo.simulator.ledger.wait("feed", note="token ended")
        gmo.simulator.move(Move(do="cancel", order_id="637000"))
        await deaf.take(1)
        gmo.simulator.behave(expiry="ignore")
        await gmo.call("DELETE", "/v1/ws-auth", {"token": tokens[1]})
        gmo.simulator.move(Move(do="cancel", order_id="123456789"))
        await deaf.take(1)
        assert (silent.frames, silent.ws.closed) == ([], False)


async def test_three_pongs_missed_end_the_connection(gmo: Gmo) -> None:
    """The server pings and closes after three pings without a pong; who answers stays."""
    gmo.simulator.behave(ping_s=0.05)
    async with await gmo_listener(gmo) as good, await gmo_listener(gmo, answers_pings=False) as bad:
        assert await bad.ended() == 1000
        assert bad.pings == 3
        await good.until(lambda _: good.pings > 4)
        assert not good.ws.closed


async def test_unsubscribing_is_not_answered(gmo: Gmo) -> None:
    """After an unsubscribe nothing comes, not even an answer."""
    async with await gmo_listener(gmo, "orderEvents", "positionEvents") as listener:
        await listener.say({"command": "unsubscribe", "channel": "orderEvents"})
        await listener.say({"command": "subscribe", "channel": "executionEvents"})
        await gmo.simulator.ledger.wait("feed", note="subscribed executionEvents")
        gmo.simulator.move(Move(do="cancel", order_id="637000"))
        gmo.simulator.add_positions(PositionSeed(symbol="ETH_JPY", size=Decimal(2)))
        assert [row["channel"] for row in await listener.take(1)] == ["positionEvents"]
