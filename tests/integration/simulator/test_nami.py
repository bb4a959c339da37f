"""Nami's simulator against the venue's documents."""

import time
from decimal import Decimal
from typing import Any

import pytest

from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from router.simulator.venues.nami import KEY_TEXT, js_text, signature
from tests.integration.simulator.clients import Nami, Reply

pytestmark = pytest.mark.integration


def refused(reply: Reply) -> tuple[int, str, int]:
    """Return HTTP status, status and code of a business error."""
    assert "requestId" in reply.json["data"]
    return reply.status, reply.json["status"], reply.json["code"]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"type": "0", "timestamp": "1721284769720"},
         "2cc8df81fc34801e6b6f7dbaf79e72ab098bf5461973239689e32e71368cd145"),
        ({"symbol": "NAMIVNDC", "side": "SELL", "type": "LIMIT", "quantity": "50000", "price": "600",
          "timestamp": "1721284021975"}, "87455e30b15d4d2fe234eeec92cfc165f8b8647bf583ce09f0bdb6b3c6a09b77"),
        ({"symbol": "BTCUSDT", "hideCanceled": "false", "pageSize": "50", "page": "1",
          "timeFrom": "2024-01-01T00:00:00Z", "timestamp": "1670000000000"},
         "85959f2644dd34adc784bcf408aac8ddc3e5298951753e89e95fa920592a406a"),
    ],
)  # fmt: skip
def test_signatures_equal_the_published_ones(pairs: dict[str, str], expected: str) -> None:
    """The venue's own two samples and Node's URLSearchParams agree with the simulator."""
    assert signature(KEY_TEXT, list(pairs.items())) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(False, "false"), (None, "null"), ("435372", "435372"), (1670000000000, "1670000000000"),
     (Decimal("50000.0"), "50000"), (Decimal("0.0000001"), "1e-7"), (Decimal("0.07474"), "0.07474")],
)  # fmt: skip
def test_values_are_written_as_javascript_writes_them(value: object, expected: str) -> None:
    """The signed text holds `String(value)`."""
    assert js_text(value) == expected


async def test_the_documents_delete_cancels(nami: Nami) -> None:
    """DELETE answers with the canceled order, its numbers as floats; it leaves the open list for the history."""
    reply = await nami.cancel()
    order = reply.json["data"]
    assert (reply.json["status"], order["displayingId"], order["status"]) == ("ok", 435372, "CANCELED")
    assert (order["price"], order["quantity"]) == (62877.99, 0.07474)
    assert (await nami.read("/api/v4/spot/open")).json["data"] == {"orders": []}
    history = (
        await nami.read("/api/v4/spot/history", symbol="BTCUSDT", hideCanceled="false", pageSize=100, page=1)
    ).json
    assert [row["displayingId"] for row in history["data"]] == [435372]
    assert (await nami.read("/api/v4/spot/history", hideCanceled="true")).json["data"] == []


async def test_a_second_delete_finds_no_order(nami: Nami) -> None:
    """An order that is finished, like one that never was, is NOT_FOUND_ORDER with HTTP 400."""
    await nami.cancel()
    assert refused(await nami.cancel()) == (400, "NOT_FOUND_ORDER", 6101)
    assert refused(await nami.cancel("1")) == (400, "NOT_FOUND_ORDER", 6101)
    nami.simulator.behave(error_status=200)
    assert refused(await nami.cancel("1")) == (200, "NOT_FOUND_ORDER", 6101)
    assert nami.simulator.ledger.count("cancel", order_id="435372") == 1


async def test_the_symbol_must_be_the_orders(nami: Nami) -> None:
    """Another symbol is BAD_SYMBOL and cancels nothing."""
    assert refused(await nami.cancel(symbol="ETHUSDT")) == (400, "BAD_SYMBOL", 1112)
    assert nami.simulator.ledger.count("cancel") == 0


async def test_a_number_is_an_id_as_well(nami: Nami) -> None:
    """`displayingId` may be a number; it signs the same."""
    assert (await nami.cancel(435372)).status == 200


@pytest.mark.parametrize("placement", ["body", "query", "both"])
async def test_where_the_parameters_must_be_is_a_switch(nami: Nami, placement: str) -> None:
    """Parameters anywhere else than the switch says are missing credentials."""
    nami.simulator.behave(placement=placement)
    wrong = {"body": "query", "query": "body", "both": "body"}[placement]
    assert (await nami.cancel(placement=wrong)).json == {
        "statusCode": 401, "message": "Missing API key, signature, or timestamp", "error": "Unauthorized"
    }  # fmt: skip
    assert (await nami.cancel(placement=placement)).json["data"]["status"] == "CANCELED"
    assert all("signature" not in entry.query for entry in nami.simulator.ledger.entries)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"secret": "wrong"}, "Signature Not Valid"),
        ({"stamp": int(time.time() * 1000) - 61_000}, "Timestamp Not Valid"),
        ({"stamp": "yesterday"}, "Timestamp Not Valid"),
    ],
)
async def test_bad_credentials_are_the_frameworks_401(nami: Nami, changes: dict[str, Any], message: str) -> None:
    """A refused signature or timestamp has no business envelope."""
    reply = await nami.cancel(**changes)
    assert (reply.status, reply.json["message"]) == (401, message)
    assert nami.simulator.ledger.count("bad_signature", order_id="435372") == 1


async def test_sums_are_floats(nami: Nami) -> None:
    """Fills add up as JavaScript adds: 0.1 and 0.2 make 0.30000000000000004."""
    nami.simulator.add_orders(OrderSeed(symbol="BTCUSDT", size=Decimal(1), price=Decimal(10), order_id="9"))
    for size in ("0.1", "0.2"):
        nami.simulator.move(Move(do="fill", order_id="9", size=Decimal(size)))
    reply = await nami.read("/api/v4/spot/open", filterByPair="BTC/USDT")
    assert b'"executedQty":0.30000000000000004' in reply.body
    assert reply.json["data"]["orders"][0]["status"] == "PARTIALLY_FILLED"
    trades = (await nami.read("/api/v4/spot/trade", symbol="BTCUSDT")).json["data"]
    assert [(trade["orderId"], trade["displayingId"]) for trade in trades] == [(9, "8416"), (9, "8415")]


async def test_replies_may_be_wrapped_twice(nami: Nami) -> None:
    """The gateway's envelope around the venue's is a switch, and so is the shape of the open list."""
    nami.simulator.behave(wrapped=True, open_shape="list")
    content = (await nami.read("/api/v4/spot/open")).json
    assert content["message"] == "OK"
    assert [order["displayingId"] for order in content["data"]["data"]] == [435372]


async def test_the_balance_is_a_map_by_asset(nami: Nami) -> None:
    """Balances are keyed by the asset's id."""
    assert (await nami.read("/api/v4/user/balance", type=0)).json["data"]["9"]["value"] == 1


async def test_sixty_calls_a_minute_per_address(nami: Nami) -> None:
    """More than sixty calls a minute are 429, whoever makes them; 121 of them span two minutes at most."""
    nami.simulator.add_account("other", api_key="k", api_secret="s")
    other = Nami(nami.session, nami.simulator, nami.root, "other")
    statuses = [(await (nami, other)[index % 2].read("/api/v4/spot/open")).status for index in range(121)]
    assert set(statuses) == {200, 429}
    assert statuses[:30] == [200] * 30
