"""BtcTurk's simulator against the venue's documents."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from router.simulator.book import Kind, Status
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from router.simulator.venues.btcturk import KEY, KEY_TEXT, signature
from tests.integration.simulator.clients import BtcTurk, Reply
from tests.integration.simulator.conftest import until

pytestmark = pytest.mark.integration

QUEUED = {"success": True, "message": "SUCCESS", "code": 0}


def refused(reply: Reply) -> tuple[int, str, int]:
    """Return status, message and code of a failure."""
    return reply.status, reply.json["message"], reply.json["code"]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1700000000123", "oety5WYhYoNPziZ46nLlgmoS+zPNvHbMHfCjqaX+jss="),
        ("1711954800000", "AXpaxISw2IN2cBMmWuellvrEQ7tG34yVdHiyfPUnCFg="),
        ("1700000000000", "Nu4i6eYPYAauSg4ZsjwWGHey/NNN3gKa0fi9ZY7tuqc="),
    ],
)
def test_signatures_equal_other_clients(stamp: str, expected: str) -> None:
    """Three independent implementations agree on these; the undecoded secret would give another."""
    assert signature(KEY, KEY_TEXT, stamp) == expected


async def test_a_delete_only_queues(btcturk: BtcTurk) -> None:
    """DELETE answers without data while the order is Untouched; Canceled comes later, and a repeat succeeds."""
    btcturk.simulator.behave(cancel_delay_s=0.4, rate_limits=False)
    assert (await btcturk.cancel(123456789)).json == QUEUED
    assert (await btcturk.order(123456789))["status"] == "Untouched"

    async def status() -> object:
        return (await btcturk.order(123456789))["status"]

    await until(status, "Canceled")
    assert (await btcturk.cancel(123456789)).json == QUEUED
    ledger = btcturk.simulator.ledger
    assert (ledger.count("cancel", order_id="123456789"), ledger.count("replayed")) == (1, 1)


async def test_a_fill_can_win_against_a_queued_cancel(btcturk: BtcTurk) -> None:
    """An order that fills while its cancel is queued ends Closed, and then cannot be canceled."""
    btcturk.simulator.behave(cancel_delay_s=60)
    await btcturk.cancel(123456789)
    btcturk.simulator.move(Move(do="fill", order_id="123456789"))
    assert (await btcturk.order(123456789))["status"] == "Closed"
    assert refused(await btcturk.cancel(123456789)) == (400, "ORDER_COULD_NOT_BE_CANCELED", 1051)


@pytest.mark.parametrize(("kind", "status"), [("market", "working"), ("market", "canceled"), ("limit", "filled")])
async def test_market_and_closed_orders_cannot_be_canceled(btcturk: BtcTurk, kind: Kind, status: Status) -> None:
    """Market orders, and whatever is not Untouched or Partial, are 1051."""
    btcturk.simulator.add_orders(OrderSeed(symbol="BTCTRY", size=Decimal(1), kind=kind, status=status, order_id="7"))
    assert refused(await btcturk.cancel(7)) == (400, "ORDER_COULD_NOT_BE_CANCELED", 1051)


@pytest.mark.parametrize("path", ["/api/v1/order?id=1", "/api/v1/order", "/api/v1/order?id=", "/api/v1/order?id=x"])
async def test_an_id_the_venue_cannot_see_matches_no_order(btcturk: BtcTurk, path: str) -> None:
    """An unknown, missing or misplaced id is 1052."""
    reply = await btcturk.call("DELETE", path, body=b'{"id":123456789}')
    assert refused(reply) == (400, "NO_ORDER_MATCHES_YOUR_REQUEST", 1052)


async def test_the_id_in_the_path_is_a_wrong_url(btcturk: BtcTurk) -> None:
    """The document's Node.js sample does not work."""
    assert (await btcturk.call("DELETE", "/api/v1/order/123456789")).status == 404
    assert btcturk.simulator.ledger.count("cancel") == 0


async def test_an_order_is_read_by_its_id(btcturk: BtcTurk) -> None:
    """GET order shows amounts as text; an unknown id is 1152."""
    btcturk.simulator.move(Move(do="fill", order_id="123456789", size=Decimal("0.2")))
    order = await btcturk.order(123456789)
    assert (order["id"], order["status"], order["amount"], order["leftAmount"]) == (123456789, "Partial", "0.5", "0.3")
    assert order["pairSymbolNormalized"] == "BTC_TRY"
    assert refused(await btcturk.call("GET", "/api/v1/order/1")) == (400, "Order not found", 1152)


async def test_a_stop_that_fires_leaves_a_sibling(btcturk: BtcTurk) -> None:
    """The stop becomes Canceled; a new order with the same client id executes."""
    btcturk.simulator.add_orders(
        OrderSeed(symbol="BTCTRY", side="SELL", size=Decimal(1), kind="stop_market", status="waiting", order_id="5",
                  stop_price=Decimal(1000000), client_order_id="twin")
    )  # fmt: skip
    btcturk.simulator.move(Move(do="trigger", order_id="5"))
    orders = (await btcturk.call("GET", "/api/v1/allOrders?pairSymbol=BTC_TRY")).json["data"]
    twins = {order["id"]: order["status"] for order in orders if order["orderClientId"] == "twin"}
    assert (twins.pop(5), list(twins.values())) == ("Canceled", ["Closed"])
    child, stop = sorted((order for order in orders if order["orderClientId"] == "twin"), key=lambda row: -row["id"])
    assert (child["time"], child["stopPrice"], child["amount"]) == (stop["updateTime"], stop["stopPrice"], "1")


async def test_the_pairs_are_listed_without_a_key(btcturk: BtcTurk) -> None:
    """Every pair that an order stands in is among them."""
    btcturk.simulator.add_orders(OrderSeed(symbol="XTZBTC", size=Decimal(1)))
    listed = (await btcturk.call("GET", "/api/v2/server/exchangeinfo")).json["data"]["symbols"]
    assert {"BTCTRY", "XTZBTC"} <= {row["name"] for row in listed}


async def test_open_orders_are_asks_and_bids(btcturk: BtcTurk) -> None:
    """Open orders come by side; whether the pair is required is a switch."""
    data = (await btcturk.call("GET", "/api/v1/openOrders?pairSymbol=BTCTRY")).json["data"]
    assert ([order["id"] for order in data["bids"]], data["asks"]) == ([123456789], [])
    assert (await btcturk.call("GET", "/api/v1/openOrders")).json["data"] == data
    btcturk.simulator.behave(pair_required=True)
    assert (await btcturk.call("GET", "/api/v1/openOrders")).status == 400


async def test_all_orders_filters(btcturk: BtcTurk) -> None:
    """History is cut by id, time and page."""
    btcturk.simulator.add_orders(OrderSeed(symbol="BTCTRY", size=Decimal(1), count=3))

    async def ids(query: str) -> list[int]:
        reply = await btcturk.call("GET", f"/api/v1/allOrders?pairSymbol=BTCTRY&{query}")
        return [order["id"] for order in reply.json["data"]]

    assert await ids("limit=2&page=2") == [123456790, 123456789]
    assert await ids("orderId=123456791") == [123456792, 123456791]
    assert await ids(f"startTime={int(time.time() * 1000) + 60000}") == []


async def test_trades_of_an_order_take_no_other_filter(btcturk: BtcTurk) -> None:
    """`orderId` must stand alone; ids exceed 53 bits and stay whole."""
    btcturk.simulator.move(Move(do="fill", order_id="123456789", size=Decimal("0.2")))
    path = "/api/v1/users/transactions/trade?orderId=123456789"
    trades = (await btcturk.call("GET", path)).json["data"]
    assert [(trade["id"], trade["amount"], trade["orderId"]) for trade in trades] == [
        (1181163798924649598, "0.2", 123456789)
    ]
    assert (await btcturk.call("GET", path + "&pairSymbol=BTCTRY")).status == 400


async def test_a_stamp_is_good_once(btcturk: BtcTurk) -> None:
    """A used stamp is HTTP 401 with `success: true`, whatever the endpoint."""
    stamp = int(time.time() * 1000)
    assert (await btcturk.call("GET", "/api/v1/openOrders", stamp=stamp)).status == 200
    again = await btcturk.call("GET", "/api/v1/order/123456789", stamp=stamp)
    assert (again.status, again.json) == (
        401, {"success": True, "message": "Unauthorized - Invalid Nonce", "code": 1037}
    )  # fmt: skip
    assert (await btcturk.call("GET", "/api/v1/openOrders", stamp=stamp - 1)).status == 200


@pytest.mark.parametrize("drift_ms", [-6000, 6000])
async def test_a_stamp_is_good_for_five_seconds(btcturk: BtcTurk, drift_ms: int) -> None:
    """Six seconds off, either way, is an invalid nonce."""
    reply = await btcturk.call("GET", "/api/v1/openOrders", stamp=int(time.time() * 1000) + drift_ms)
    assert refused(reply) == (401, "Unauthorized - Invalid Nonce", 1037)


async def test_bad_credentials_are_401(btcturk: BtcTurk) -> None:
    """Missing headers, an unknown key and a wrong signature are told apart."""
    assert refused(await btcturk.send("DELETE", "/api/v1/order?id=123456789"))[:2] == (
        401, "Unauthorized - Headers are missing"
    )  # fmt: skip
    wrong = await btcturk.call("GET", "/api/v1/openOrders", secret="d3Jvbmc=")
    assert refused(wrong)[:2] == (401, "Unauthorized - Invalid Signature")
    btcturk.key = "nobody"
    assert refused(await btcturk.cancel(123456789))[:2] == (401, "Unauthorized - Invalid Public Key")
    assert btcturk.simulator.ledger.count("cancel") == 0


async def test_the_eleventh_delete_of_a_second_is_429(btcturk: BtcTurk) -> None:
    """Ten DELETEs a second; then 429 with Retry-After and a body that names limit and policy as text."""
    replies = sorted(await asyncio.gather(*(btcturk.cancel(1) for _ in range(11))), key=lambda reply: reply.status)
    assert [reply.status for reply in replies] == [400] * 10 + [429]
    content: dict[str, Any] = replies[-1].json
    assert replies[-1].headers["Retry-After"] == "1"
    assert (content["code"], content["limit"], content["period"], content["policy"]) == (429, "10", "1s", "account")


async def test_maintenance_is_a_html_page(btcturk: BtcTurk) -> None:
    """Under maintenance the gateway answers 503 with HTML."""
    btcturk.simulator.behave(maintenance=True)
    reply = await btcturk.cancel(123456789)
    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (503, "text/html")


async def test_the_clock_is_public(btcturk: BtcTurk) -> None:
    """Server time needs no key, and follows the simulator's offset as the Date header does."""
    btcturk.simulator.clock_offset_ms = 3_600_000
    reply = await btcturk.send("GET", "/api/v2/server/time")
    assert abs(reply.json["serverTime"] - time.time() * 1000 - 3_600_000) < 5000
