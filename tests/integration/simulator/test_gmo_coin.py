"""GMO Coin's simulator against the venue's documents."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from router.simulator.book import Status
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from router.simulator.venues.gmo_coin.account import signature
from tests.integration.simulator.clients import Gmo, Reply
from tests.integration.simulator.conftest import until

pytestmark = pytest.mark.integration

LIMIT = {"executionType": "LIMIT", "timeInForce": "FAS", "price": "85201"}


def code(reply: Reply) -> str:
    """Return the error code of a reply that must be a failure with HTTP 200 and without data."""
    content = reply.json
    assert reply.status == 200
    assert content["status"] != 0
    assert "data" not in content
    return str(content["messages"][0]["message_code"])


@pytest.mark.parametrize(
    ("secret", "stamp", "method", "path", "body", "expected"),
    [
        ("hoge", "1721121776490", "GET", "/v1/account/assets", b"",
         "daff080eff4acc3aca91b9cc2ba84c6c1f302a2c7625683c8d80345d988d724d"),
        ("testsecret", "1700000000000", "POST", "/v1/order", b'{"symbol":"BTC"}',
         "04b5106c6f57d5f1b20ff1bd032c39bcb4be254de39ef893bc037b6dd838fb5e"),
        ("testsecret", "1700000000000", "DELETE", "/v1/ws-auth", b'{"token":"x"}',
         "9cd2a01df97eb8b398240d3836c2b6703bd6f7e12638f53e690cb78a24ae8aea"),
    ],
)  # fmt: skip
def test_signatures_equal_the_published_ones(
    secret: str, stamp: str, method: str, path: str, body: bytes, expected: str
) -> None:
    """Independent clients' recorded signatures are what the simulator expects; DELETE leaves its body out."""
    assert signature(secret, stamp, method, path, body) == expected


async def test_the_documents_close_rests_and_then_fills(gmo: Gmo) -> None:
    """The document's LIMIT close is taken with a string id, rests, and shrinks the position when it trades."""
    order_id = (await gmo.close(**LIMIT)).json["data"]
    assert isinstance(order_id, str)
    row = await gmo.order(order_id)
    assert (row["status"], row["price"], row["settleType"]) == ("ORDERED", "85201", "CLOSE")
    positions = await gmo.call("GET", "/v1/openPositions", query="?symbol=BTC_JPY")
    assert positions.json["data"]["list"][0]["orderdSize"] == "3.44"
    gmo.simulator.move(Move(do="fill", order_id=order_id))
    assert (await gmo.order(order_id))["status"] == "EXECUTED"
    assert str(gmo.simulator.accounts["main"].book.positions["1000342"].size) == "6.88"


async def test_a_market_close_executes_at_once(gmo: Gmo) -> None:
    """A MARKET close is EXECUTED in its answer's wake, and its execution names the position."""
    order_id = (await gmo.close()).json["data"]
    executions = (await gmo.call("GET", "/v1/executions", query=f"?orderId={order_id}")).json["data"]["list"]
    assert [(row["positionId"], row["size"]) for row in executions] == [(1000342, "3.44")]
    latest = (await gmo.call("GET", "/v1/latestExecutions", query="?symbol=BTC_JPY")).json["data"]["list"]
    assert latest == executions
    assert gmo.simulator.ledger.count("execution", position_id="1000342") == 1


async def test_a_position_closed_whole_is_gone(gmo: Gmo) -> None:
    """Closing all of a position removes it; the next close of it is ERR-254, and the list is `data: {}`."""
    await gmo.close(size="10.32")
    assert code(await gmo.close()) == "ERR-254"
    positions = await gmo.call("GET", "/v1/openPositions", query="?symbol=BTC_JPY")
    assert positions.json["data"] == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"position_id": 1}, "ERR-254"),
        ({"side": "SELL"}, "ERR-70"),
        ({"size": "10.33"}, "ERR-189"),
        ({"position_id": "1000342"}, "ERR-5106"),
        ({"position_id": True}, "ERR-5106"),
        ({"size": 3.44}, "ERR-5106"),
        ({"size": "0"}, "ERR-5106"),
        ({"symbol": "BTC"}, "ERR-5106"),
        ({"executionType": "LIMIT"}, "ERR-5106"),
        ({"executionType": "LIMIT", "price": 85201}, "ERR-5106"),
        ({"settlePosition": []}, "ERR-5106"),
        ({"settlePosition": [{"positionId": 1000342, "size": "1"}] * 2}, "ERR-5106"),
        ({"timeInForce": "SOK"}, "ERR-5111"),
        ({"timeInForce": "GTC"}, "ERR-5111"),
        ({"cancelBefore": True}, "ERR-5106"),
        ({"executionType": "STOP", "price": "876000"}, "ERR-5129"),
    ],
)
async def test_a_wrong_close_is_refused_by_its_code(gmo: Gmo, fields: dict[str, Any], expected: str) -> None:
    """Each wrong field has the documented code, with HTTP 200, and nothing is executed."""
    assert code(await gmo.close(**fields)) == expected
    assert gmo.simulator.ledger.count("execution") == 0


async def test_a_size_that_orders_reserve_cannot_be_closed(gmo: Gmo) -> None:
    """Active orders reserve what they close (ERR-200), unless that is switched off."""
    await gmo.close(size="10", **LIMIT)
    assert code(await gmo.close(size="1")) == "ERR-200"
    gmo.simulator.behave(reserves=False)
    assert (await gmo.close(size="1")).json["status"] == 0


async def test_cancel_before_makes_room_for_a_sell(gmo: Gmo) -> None:
    """`cancelBefore` cancels the orders in the way of a MARKET FAK SELL."""
    position = {"symbol": "ETH_JPY", "side": "BUY", "size": "2", "price": "300000", "position_id": "7"}
    await gmo.control("POST", "/positions", position)
    resting = {"symbol": "ETH_JPY", "side": "SELL", "executionType": "LIMIT", "price": "400000"}
    order_id = (await gmo.close(7, "2", **resting)).json["data"]
    sell = {"symbol": "ETH_JPY", "side": "SELL"}
    assert code(await gmo.close(7, "1", **sell)) == "ERR-200"
    assert (await gmo.close(7, "1", **sell, cancelBefore=True)).json["status"] == 0
    assert (await gmo.order(order_id))["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({**LIMIT, "timeInForce": "FAK"}, "EXPIRED", "EXPIRED_FAK"),
        ({**LIMIT, "timeInForce": "FOK"}, "EXPIRED", "EXPIRED_FOK"),
        ({**LIMIT, "timeInForce": "SOK", "price": "900000"}, "EXPIRED", "EXPIRED_SOK"),
        ({**LIMIT, "timeInForce": "SOK"}, "ORDERED", None),
        ({**LIMIT, "price": "900000"}, "EXECUTED", None),
        ({"executionType": "STOP", "price": "900000"}, "WAITING", None),
    ],
)
async def test_time_in_force_decides_what_rests(
    gmo: Gmo, fields: dict[str, Any], status: str, reason: str | None
) -> None:
    """FAK and FOK expire instead of resting, SOK instead of taking, STOP waits."""
    row = await gmo.order((await gmo.close(**fields)).json["data"])
    assert (row["status"], row.get("cancelType")) == (status, reason)


async def test_a_stop_fires_when_the_price_reaches_it(gmo: Gmo) -> None:
    """A waiting STOP executes once the symbol trades at its price."""
    order_id = (await gmo.close(executionType="STOP", price="900000")).json["data"]
    await gmo.control("POST", "/market", {"do": "price", "symbol": "BTC_JPY", "price": "900000"})
    assert (await gmo.order(order_id))["status"] == "EXECUTED"


async def test_a_cancel_is_pending_before_it_is_done(gmo: Gmo) -> None:
    """`cancelOrder` answers without data while the order is CANCELLING; CANCELED by USER comes later."""
    gmo.simulator.behave(cancel_delay_s=0.4, rate_limits=False)
    reply = await gmo.cancel(637000)
    assert reply.json.keys() == {"status", "responsetime"}
    assert (await gmo.order(637000))["status"] == "CANCELLING"

    async def ended() -> object:
        return (await gmo.order(637000))["status"]

    await until(ended, "CANCELED")
    assert (await gmo.order(637000))["cancelType"] == "USER"
    assert gmo.simulator.ledger.count("cancel", order_id="637000") == 1


async def test_a_fill_can_win_against_a_pending_cancel(gmo: Gmo) -> None:
    """An order that trades while its cancel is pending ends EXECUTED."""
    gmo.simulator.behave(cancel_delay_s=60)
    await gmo.cancel(637000)
    gmo.simulator.move(Move(do="fill", order_id="637000"))
    assert (await gmo.order(637000))["status"] == "EXECUTED"


async def test_an_unknown_order_is_err_151(gmo: Gmo) -> None:
    """A cancel of an order that does not exist is ERR-151 as seen live; the documented code is a switch."""
    assert code(await gmo.cancel(1)) == "ERR-151"
    gmo.simulator.behave(unknown_order="ERR-5123")
    assert code(await gmo.cancel(1)) == "ERR-5123"
    assert code(await gmo.cancel("637000")) == "ERR-5106"
    assert (await gmo.call("GET", "/v1/orders", query="?orderId=1")).json["data"] == {}


@pytest.mark.parametrize("status", ["modifying", "canceling", "canceled", "filled", "expired"])
async def test_an_order_beyond_cancelling_is_err_5122(gmo: Gmo, status: Status) -> None:
    """All five states that cannot be canceled share one code."""
    seed = OrderSeed(symbol="BTC_JPY", size=Decimal(1), status=status, order_id="9")
    gmo.simulator.add_orders(seed)
    assert code(await gmo.cancel(9)) == "ERR-5122"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stamp": 0}, "ERR-5009"),
        ({"stamp": 1 << 45}, "ERR-5008"),
        ({"key": ""}, "ERR-5011"),
        ({"key": "somebody"}, "ERR-5012"),
        ({"secret": "wrong"}, "ERR-5010"),
        ({"signs": "GET/private/v1/activeOrders"}, "ERR-5010"),
        ({"signs": "GET/v1/activeOrders?symbol=BTC_JPY"}, "ERR-5010"),
    ],
)
async def test_bad_credentials_have_their_codes(gmo: Gmo, changes: dict[str, Any], expected: str) -> None:
    """Key, timestamp and signature are told apart; /private and the query are no part of the signed text."""
    assert code(await gmo.call("GET", "/v1/activeOrders", query="?symbol=BTC_JPY", **changes)) == expected
    assert gmo.simulator.ledger.count("bad_signature") == 1


async def test_the_timestamp_window_is_a_switch(gmo: Gmo) -> None:
    """A request six seconds old is refused by a window of five and taken by one of ten."""
    old = int(time.time() * 1000) - 6000
    assert code(await gmo.call("GET", "/v1/orders", query="?orderId=637000", stamp=old)) == "ERR-5009"
    gmo.simulator.behave(timestamp_window_s=10)
    assert (await gmo.call("GET", "/v1/orders", query="?orderId=637000", stamp=old)).json["status"] == 0


async def test_a_key_without_permission_is_err_5012(gmo: Gmo) -> None:
    """A key that may only trade cannot read."""
    gmo.simulator.add_account("trader", api_key="k", api_secret="s", permissions=["close", "cancel"])
    trader = Gmo(gmo.session, gmo.simulator, gmo.root, "trader")
    assert code(await trader.call("GET", "/v1/orders", query="?orderId=1")) == "ERR-5012"


async def test_pages_of_active_orders(gmo: Gmo) -> None:
    """`page` and `count` cut the list, newest first; past the end it is `data: {}`."""
    pages = [
        (await gmo.call("GET", "/v1/activeOrders", query=f"?symbol=BTC_JPY&page={page}&count=1")).json["data"]
        for page in (1, 2, 3)
    ]
    assert [page["list"][0]["orderId"] for page in pages[:2]] == [637000, 123456789]
    assert pages[0]["pagination"] == {"currentPage": 1, "count": 1}
    assert pages[2] == {}
    assert code(await gmo.call("GET", "/v1/activeOrders")) == "ERR-5106"


async def test_executions_take_one_kind_of_id(gmo: Gmo) -> None:
    """Both ids at once are ERR-5208, a bad one ERR-430; each alone finds the execution."""
    order_id = (await gmo.close()).json["data"]
    assert code(await gmo.call("GET", "/v1/executions", query="?orderId=1&executionId=2")) == "ERR-5208"
    assert code(await gmo.call("GET", "/v1/executions", query="?orderId=x")) == "ERR-430"
    by_order = (await gmo.call("GET", "/v1/executions", query=f"?orderId={order_id}")).json["data"]["list"]
    by_id = await gmo.call("GET", "/v1/executions", query=f"?executionId={by_order[0]['executionId']}")
    assert by_id.json["data"]["list"] == by_order


async def test_the_twenty_first_post_of_a_second_is_throttled(gmo: Gmo) -> None:
    """Twenty POSTs a second pass; the next is ERR-5003 with status 4 and HTTP 200, and GETs count apart."""
    replies = await asyncio.gather(*(gmo.cancel(1) for _ in range(21)))
    statuses = sorted((code(reply), reply.json["status"]) for reply in replies)
    assert statuses == [("ERR-151", 1)] * 20 + [("ERR-5003", 4)]
    assert (await gmo.call("GET", "/v1/orders", query="?orderId=637000")).json["status"] == 0


async def test_maintenance_has_no_responsetime(gmo: Gmo) -> None:
    """Under maintenance every private call is ERR-5201 with status 5, and the public status says so."""
    gmo.simulator.behave(maintenance=True)
    assert (await gmo.close()).json == {
        "status": 5,
        "messages": [{"message_code": "ERR-5201", "message_string": "MAINTENANCE. Please wait for a while"}],
    }
    assert (await gmo.send("GET", "/public/v1/status")).json["data"] == {"status": "MAINTENANCE"}
    gmo.simulator.behave(maintenance=False, service="PREOPEN")
    assert code(await gmo.close()) == "ERR-5203"


async def test_a_wrong_path_is_404_with_err_5204(gmo: Gmo) -> None:
    """A path that does not exist is the one error with an HTTP status of its own."""
    reply = await gmo.call("POST", "/closeOrder")
    assert (reply.status, reply.json["messages"][0]["message_code"]) == (404, "ERR-5204")


async def test_tokens_live_an_hour_and_five_at_a_time(gmo: Gmo) -> None:
    """PUT and DELETE take a valid token with the body unsigned; a sixth token evicts the oldest."""
    tokens = [(await gmo.call("POST", "/v1/ws-auth", {})).json["data"] for _ in range(6)]
    assert code(await gmo.call("PUT", "/v1/ws-auth", {"token": tokens[0]})) == "ERR-5106"
    reply = await gmo.call("PUT", "/v1/ws-auth", {"token": tokens[1]})
    assert reply.json.keys() == {"status", "responsetime"}
    assert (await gmo.call("DELETE", "/v1/ws-auth", {"token": tokens[1]})).json["status"] == 0
    assert code(await gmo.call("DELETE", "/v1/ws-auth", {"token": tokens[1]})) == "ERR-5106"
    gmo.simulator.clock_offset_ms = 60 * 60 * 1000
    stamp = gmo.simulator.now_ms()
    assert code(await gmo.call("PUT", "/v1/ws-auth", {"token": tokens[2]}, stamp=stamp)) == "ERR-5106"


async def test_a_losscut_leaves_an_execution_of_its_own(gmo: Gmo) -> None:
    """A liquidation closes the position by a LOSSCUT order and cancels the closes that waited."""
    order_id = (await gmo.close(**LIMIT)).json["data"]
    gmo.simulator.move(Move(do="liquidate", position_id="1000342"))
    assert (await gmo.order(order_id))["cancelType"] == "POSITION_LOSSCUT"
    execution = (await gmo.call("GET", "/v1/latestExecutions", query="?symbol=BTC_JPY")).json["data"]["list"][0]
    assert (execution["positionId"], execution["settleType"]) == (1000342, "CLOSE")
    assert (await gmo.order(execution["orderId"]))["orderType"] == "LOSSCUT"
    assert gmo.simulator.ledger.count("execution") == 1
