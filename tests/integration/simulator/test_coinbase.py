"""Coinbase's simulator against the venue's documents."""

import asyncio
import base64
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from router.simulator.book import Status
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from router.simulator.venues.coinbase.bearer import fault_of, public_key
from router.simulator.venues.coinbase.keys import ED25519_KEY, ES256_KEY
from tests.integration.simulator.clients import Coinbase, Reply
from tests.integration.simulator.conftest import until

pytestmark = pytest.mark.integration

OPEN_ORDER = "11111-00000-000000"
KID = "organizations/00000000-0000-0000-0000-000000000001/apiKeys/00000000-0000-0000-0000-000000000002"
URI = "POST api.coinbase.com/api/v3/brokerage/orders/close_position"


def reason(reply: Reply) -> str:
    """Return why a close was rejected; that is HTTP 200 with `success: false`."""
    assert reply.status == 200
    assert reply.json["success"] is False
    return str(reply.json["error_response"]["new_order_failure_reason"])


VECTORS = [
    (ED25519_KEY, "EdDSA", "dS6s-GahFYcrIJiuaaxn4310GnyzhuU2bRiXyk1S64K4hY-XY18p9hCsmgDmsadGCSrIEMsqL59SO4x8eBppDw"),
    (ES256_KEY, "ES256", "YvFr6tAAW6a06qDIJUjOjm8FgnsHYQ-hBEZIsMfm5fr4IGppFJ6ryfMruO9Xi8rflQB1PTxkjzwbzid0LkOOAg"),
]


def fixed_token(algorithm: str, signature: str) -> str:
    """Return a token as fixed once and for all: its text decides, not a JWT library."""
    header = b64(f'{{"alg":"{algorithm}","kid":"{KID}","nonce":"000102030405060708090a0b0c0d0e0f","typ":"JWT"}}')
    claims = b64(f'{{"sub":"{KID}","iss":"cdp","nbf":1700000000,"exp":1700000120,"uri":"{URI}"}}')
    return f"{header}.{claims}.{signature}"


def b64(text: str) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(("secret", "algorithm", "signature"), VECTORS)
def test_fixed_tokens_verify(secret: str, algorithm: str, signature: str) -> None:
    """Tokens signed by two other implementations verify, and not for another key id, uri or moment."""
    token, key = fixed_token(algorithm, signature), public_key(secret)
    assert fault_of(token, key, kid=KID, uri=URI, now_s=1700000000) == ""
    assert fault_of(token, key, kid=KID, uri=URI, now_s=1699999999.9) == "time"
    assert fault_of(token, key, kid=KID, uri=URI, now_s=1700000120) == "time"
    assert fault_of(token, key, kid=KID, uri=URI.lower(), now_s=1700000000) == "uri"
    assert fault_of(token, key, kid="another", uri=URI, now_s=1700000000) == "kid"
    assert fault_of(token[:-3] + "AAA", key, kid=KID, uri=URI, now_s=1700000000) == "signature"


@pytest.mark.parametrize("garbage", ["", ".", "..", "a.b.c", "é.é.é", "e30.e30.e30", "W10.W10.W10", "a" * 99999])
def test_garbage_is_no_token(garbage: str) -> None:
    """Whatever stands in the header is refused, never an exception."""
    assert fault_of(garbage, public_key(ES256_KEY), kid=KID, uri=URI, now_s=0) == "header"


async def test_both_algorithms_close(coinbase: Coinbase, coinbase_ed25519: Coinbase) -> None:
    """An ES256 account and an EdDSA account can both close the document's product."""
    for client in (coinbase, coinbase_ed25519):
        reply = await client.close(size="3")
        success = reply.json["success_response"]
        assert reply.json["order_configuration"] == {"market_market_ioc": {"base_size": "3"}}
        assert (success["side"], success["client_order_id"]) == ("SELL", "c-1")
        order = await client.order(success["order_id"])
        assert (order["status"], order["filled_size"], order["product_type"]) == ("FILLED", "3", "FUTURE")
    positions = (await coinbase.call("GET", "/cfm/positions")).json["positions"]
    assert [(row["side"], row["number_of_contracts"]) for row in positions] == [("LONG", "6")]


async def test_no_size_closes_all_and_then_it_is_flat(coinbase: Coinbase) -> None:
    """Without a size the whole position goes; the next close is CANNOT_CLOSE_ZERO_POSITION."""
    assert (await coinbase.close()).json["order_configuration"]["market_market_ioc"]["base_size"] == "9"
    assert (await coinbase.call("GET", "/cfm/positions")).json == {"positions": []}
    assert (await coinbase.call("GET", "/cfm/positions/BIT-28JUL23-CDE")).status == 404
    assert reason(await coinbase.close("c-2")) == "CANNOT_CLOSE_ZERO_POSITION"


async def test_the_same_client_order_id_replays(coinbase: Coinbase) -> None:
    """A client_order_id that has an order executes nothing and returns that order in the terms of the new request."""
    first = (await coinbase.close(size="3")).json
    again = (await coinbase.close(size="5")).json
    assert again["success_response"]["order_id"] == first["success_response"]["order_id"]
    assert again["order_configuration"] == {"market_market_ioc": {"base_size": "5"}}
    ledger = coinbase.simulator.ledger
    assert (ledger.count("execution", client_order_id="c-1"), ledger.count("replayed")) == (1, 1)


async def test_reuse_of_a_client_order_id_is_a_switch(coinbase: Coinbase) -> None:
    """The venue may also say DUPLICATE_CLIENT_ORDER_ID, or close a second time."""
    await coinbase.close(size="3")
    coinbase.simulator.behave(reuse="duplicate")
    assert reason(await coinbase.close(size="3")) == "DUPLICATE_CLIENT_ORDER_ID"
    coinbase.simulator.behave(reuse="execute")
    assert (await coinbase.close(size="3")).json["success"] is True
    assert coinbase.simulator.ledger.count("execution", client_order_id="c-1") == 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"size": "0"}, "INVALID_SIZE_PRECISION"),
        ({"size": "1.5"}, "INVALID_SIZE_PRECISION"),
        ({"size": "10"}, "REDUCE_ONLY_INCREASED_POSITION_SIZE"),
        ({"product_id": "BTC-PERP-INTX"}, "INVALID_PRODUCT_ID"),
        ({"product_id": "BTC-USD"}, "INVALID_PRODUCT_ID"),
        ({"product_id": "ETI-28JUL23-CDE"}, "CANNOT_CLOSE_ZERO_POSITION"),
    ],
)
async def test_a_rejected_close_is_http_200(coinbase: Coinbase, fields: dict[str, Any], expected: str) -> None:
    """Rejects come with HTTP 200, `success: false` and the reason; nothing is executed."""
    assert reason(await coinbase.close(**fields)) == expected
    assert coinbase.simulator.ledger.count("execution") == 0


@pytest.mark.parametrize(
    "fields", [{"reduceOnly": True}, {"size": 1.5}, {"size": None}, {"client_order_id": ""}, {"product_id": ""}]
)
async def test_a_body_the_gateway_cannot_read_is_400(coinbase: Coinbase, fields: dict[str, Any]) -> None:
    """An unknown field, a wrong type or a missing id is HTTP 400, in the gateway's words."""
    reply = await coinbase.call(
        "POST", "/orders/close_position", {"client_order_id": "c", "product_id": "BIT-28JUL23-CDE"} | fields
    )
    assert reply.status == 400
    if "reduceOnly" in fields:
        assert reply.json["message"].endswith('unknown field "reduceOnly"')


async def test_the_documents_example_body_is_taken(coinbase: Coinbase) -> None:
    """The page's own example has `size` as a number."""
    reply = await coinbase.close("0000-00000-000000", size=3)
    assert reply.json["order_configuration"]["market_market_ioc"]["base_size"] == "3"


@pytest.mark.parametrize(
    "changes",
    [
        {"uri": "POST api.coinbase.com/api/v3/brokerage/key_permissions"},
        {"nbf": int(time.time()) + 60},
        {"exp": int(time.time()) - 1, "nbf": int(time.time()) - 100},
        {"exp": int(time.time()) + 500},
        {"kid": "organizations/x/apiKeys/y"},
        {"sub": "somebody"},
        {"iss": "me"},
        {"nonce": ""},
    ],
)
async def test_a_bad_token_is_a_plain_401(coinbase: Coinbase, changes: dict[str, Any]) -> None:
    """Host, path, times, key and nonce all count, and the answer is plain text."""
    token = coinbase.token("GET", "/api/v3/brokerage/key_permissions", **changes)
    reply = await coinbase.call("GET", "/key_permissions", token=token)
    assert (reply.status, reply.body) == (401, b"Unauthorized")


async def test_a_token_is_for_one_path_without_its_query(coinbase: Coinbase) -> None:
    """The query is no part of `uri`; including it is 401."""
    path = "/api/v3/brokerage/orders/historical/batch"
    right = await coinbase.call("GET", "/orders/historical/batch", query="?limit=1")
    assert right.status == 200
    wrong = coinbase.token("GET", path + "?limit=1")
    assert (await coinbase.call("GET", "/orders/historical/batch", query="?limit=1", token=wrong)).status == 401


async def test_a_cancel_is_queued_first(coinbase: Coinbase) -> None:
    """A submitted cancel shows as CANCEL_QUEUED and pending; CANCELLED comes later, a repeat meanwhile is told."""
    coinbase.simulator.behave(cancel_delay_s=0.4, rate_limits=False)
    row = {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": OPEN_ORDER}
    assert await coinbase.cancel(OPEN_ORDER) == [row]
    order = await coinbase.order(OPEN_ORDER)
    assert (order["status"], order["pending_cancel"]) == ("CANCEL_QUEUED", True)
    assert (await coinbase.cancel(OPEN_ORDER))[0]["failure_reason"] == "DUPLICATE_CANCEL_REQUEST"

    async def status() -> object:
        return (await coinbase.order(OPEN_ORDER))["status"]

    await until(status, "CANCELLED")
    assert (await coinbase.cancel(OPEN_ORDER))[0]["failure_reason"] == "INVALID_CANCEL_REQUEST"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("filled", "ORDER_IS_FULLY_FILLED"),
        ("modifying", "ORDER_IS_BEING_REPLACED"),
        ("expired", "INVALID_CANCEL_REQUEST"),
        ("failed", "INVALID_CANCEL_REQUEST"),
    ],
)
async def test_every_row_of_a_cancel_stands_alone(coinbase: Coinbase, status: Status, expected: str) -> None:
    """One call answers per id: a finished order, an unknown one and a live one."""
    coinbase.simulator.add_orders(OrderSeed(symbol="X-1-CDE", size=Decimal(1), status=status, order_id="o"))
    rows = await coinbase.cancel("o", "nobody", OPEN_ORDER)
    assert [row["failure_reason"] for row in rows[:2]] == [expected, "UNKNOWN_CANCEL_ORDER"]
    assert [row["success"] for row in rows] == [False, False, True]


async def test_a_hundred_ids_are_the_limit(coinbase: Coinbase) -> None:
    """More than 100 ids, or none, is HTTP 400; the message says the limit."""
    reply = await coinbase.call("POST", "/orders/batch_cancel", {"order_ids": ["x"] * 101})
    assert (reply.status, reply.json["error"]) == (400, "INVALID_ARGUMENT")
    assert "limit is 100" in reply.json["message"]
    assert (await coinbase.call("POST", "/orders/batch_cancel", {"order_ids": []})).status == 400


async def test_an_unknown_order_is_404(coinbase: Coinbase) -> None:
    """Get Order of an id nobody has is HTTP 404."""
    reply = await coinbase.call("GET", "/orders/historical/nobody")
    assert (reply.status, reply.json["error"]) == (404, "NOT_FOUND")


async def test_the_list_comes_in_pages(coinbase: Coinbase) -> None:
    """Newest first, cut by `start_date`, continued by `cursor` until it is empty."""
    coinbase.simulator.behave(page_size=2)
    start = datetime.fromtimestamp(time.time() - 5, UTC).isoformat()
    for index in range(5):
        await coinbase.close(f"p-{index}", size="1")
    found, query = [], f"?product_ids=BIT-28JUL23-CDE&start_date={start.replace('+', '%2B')}"
    cursor = ""
    while True:
        page = (await coinbase.call("GET", "/orders/historical/batch", query=f"{query}&cursor={cursor}")).json
        found += [order["client_order_id"] for order in page["orders"]]
        cursor = page["cursor"]
        assert page["has_next"] is bool(cursor)
        if not cursor:
            break
    assert found == [*(f"p-{index}" for index in (4, 3, 2, 1, 0)), "placed-by-hand"]
    later = "?start_date=2999-01-01T00:00:00Z"
    assert (await coinbase.call("GET", "/orders/historical/batch", query=later)).json["orders"] == []


async def test_the_list_hides_other_placement_sources(coinbase: Coinbase) -> None:
    """Without the filter only RETAIL_ADVANCED orders are listed."""
    coinbase.simulator.behave(source="RETAIL_SIMPLE")
    await coinbase.close(size="1")
    query = "?order_status=FILLED&order_placement_source="
    for source, count in (("RETAIL_ADVANCED", 0), ("RETAIL_SIMPLE", 1)):
        orders = (await coinbase.call("GET", "/orders/historical/batch", query=query + source)).json["orders"]
        assert len(orders) == count


async def test_fills_tell_the_order(coinbase: Coinbase) -> None:
    """A close has a fill under its order id."""
    order_id = (await coinbase.close(size="2")).json["success_response"]["order_id"]
    fills = (await coinbase.call("GET", "/orders/historical/fills", query=f"?order_ids={order_id}")).json["fills"]
    assert [(fill["size"], fill["side"]) for fill in fills] == [("2", "SELL")]


async def test_a_liquidation_is_marked(coinbase: Coinbase) -> None:
    """An order of the venue's own says `is_liquidation`."""
    coinbase.simulator.move(Move(do="liquidate", position_id="BIT-28JUL23-CDE"))
    orders = (await coinbase.call("GET", "/orders/historical/batch", query="?order_status=FILLED")).json["orders"]
    assert [order["is_liquidation"] for order in orders] == [True]


async def test_the_thirty_first_request_of_a_second_is_429(coinbase: Coinbase) -> None:
    """Thirty private requests a second per user; the public clock allows ten per address."""
    replies = await asyncio.gather(*(coinbase.call("GET", "/key_permissions") for _ in range(31)))
    assert sorted(reply.status for reply in replies) == [200] * 30 + [429]
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.json["errors"][0]["id"] == "rate_limit_exceeded"
    clocks = await asyncio.gather(*(coinbase.send("GET", "/api/v3/brokerage/time") for _ in range(11)))
    assert sorted(reply.status for reply in clocks) == [200] * 10 + [429]


async def test_a_key_that_may_only_view_is_403(coinbase: Coinbase) -> None:
    """A missing permission is HTTP 403."""
    coinbase.simulator.add_account("viewer", api_key="v", api_secret=ED25519_KEY, permissions=["read"])
    viewer = Coinbase(coinbase.session, coinbase.simulator, coinbase.root, "viewer")
    assert (await viewer.close()).status == 403
    assert (await viewer.call("GET", "/key_permissions")).json["can_trade"] is False
