"""The control routes, and the life of the servers."""

import json
from typing import Any

import aiohttp
import msgspec
import pytest

from router.simulator import Simulators
from router.simulator.venues import names, simulator_type
from tests.integration.simulator.clients import Gmo

pytestmark = pytest.mark.integration


async def test_the_ledger_tells_the_whole_story(gmo: Gmo) -> None:
    """A request, its execution and its fill are entries; nothing in them is secret."""
    await gmo.close(size="1")
    story = (await gmo.control("GET", "/ledger?account=main")).json
    assert [entry["kind"] for entry in story["entries"]] == ["request", "execution", "fill"]
    assert story["arrivals"] == {"close_order": 1}
    request = story["entries"][0]
    assert (request["method"], request["path"], request["position_id"]) == ("POST", "/private/v1/closeOrder", "1000342")
    assert len(request["body_sha256"]) == 64
    text = json.dumps(story)
    assert gmo.secret not in text
    assert gmo.key not in text


async def test_the_ledger_can_be_filtered_and_cleared(gmo: Gmo) -> None:
    """Fields select entries; an unknown field or kind is 400."""
    await gmo.close(size="1")
    await gmo.cancel(1)
    assert (await gmo.control("GET", "/ledger?kind=execution&position_id=1000342")).json["count"] == 1
    assert [e["note"] for e in (await gmo.control("GET", "/ledger?kind=refused")).json["entries"]] == ["ERR-151"]
    assert len((await gmo.control("GET", "/ledger?limit=2")).json["entries"]) == 2
    assert (await gmo.control("GET", "/ledger?colour=red")).status == 400
    assert (await gmo.control("GET", "/ledger?kind=red")).status == 400
    await gmo.control("DELETE", "/ledger")
    assert (await gmo.control("GET", "/ledger")).json["count"] == 0


async def test_the_ledger_waits_for_what_is_to_come(gmo: Gmo) -> None:
    """`wait_s` answers as soon as enough entries match, and 504 when they do not come."""
    await gmo.control("POST", "/faults", {"on": "close", "delay_s": 0.05})
    async with gmo.session.get(f"{gmo.root}/_sim/ledger?kind=request&wait_s=0.01") as response:
        assert response.status == 504
    await gmo.close(size="1")
    reply = await gmo.control("GET", "/ledger?kind=execution&wait_s=5&count=1")
    assert reply.json["count"] == 1


async def test_faults_come_over_http(gmo: Gmo) -> None:
    """A fault is armed and disarmed by its JSON; a misspelt one is 400."""
    assert (await gmo.control("POST", "/faults", {"on": "close", "what": "drop", "when": "after"})).json == {"armed": 1}
    with pytest.raises(aiohttp.ClientError):
        await gmo.close()
    await gmo.control("POST", "/faults", {"what": "status"})
    state = (await gmo.control("GET", "/state")).json
    assert [fault["struck"] for fault in state["faults"]] == [0]
    assert (await gmo.control("DELETE", "/faults")).json == {"armed": 0}
    reply = await gmo.control("POST", "/faults", {"what": "drpo"})
    assert (reply.status, "drpo" in reply.json["error"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/faults", {"what": "reset"}, 'what: expected "answer", "drop", "close", "hang", '),
        ("/faults", {"on": "cloze"}, "on: expected one of any, cancel, close, read, session, active_orders, "),
        ("/faults", {"account": "two"}, "account: expected one of main, got 'two'"),
        ("/faults", {"wehn": "after"}, "wehn: a fault has no such field; did you mean when?"),
        ("/faults", {"delay_s": "1"}, 'delay_s: expected a number, got "1"'),
        ("/faults", {"fill": []}, 'fill: expected a decimal, such as "0.01", got an array'),
        ("/feed/faults", {"do": "hang"}, 'do: expected "cut", "stall", "drop", '),
        ("/feed/faults", {"do": "cut", "account": "two"}, "account: expected one of main, got 'two'"),
        ("/market", {"do": "buy"}, 'do: expected "fill", "cancel", "expire", '),
        ("/behaviour", {"service": "SHUT"}, 'service: expected "OPEN", "PREOPEN" or "MAINTENANCE", got "SHUT"'),
        ("/behaviour", {"reserve": True}, "reserve: gmo_coin has no such field; did you mean reserves?"),
    ],
)
async def test_what_is_not_known_is_refused_with_what_is(gmo: Gmo, path: str, body: dict[str, Any], said: str) -> None:
    """A fault that is misspelt would otherwise never strike, and a test pass for nothing."""
    reply = await gmo.control("POST", path, body)
    assert (reply.status, reply.json["error"][: len(said)]) == (400, said)
    assert (await gmo.control("GET", "/state")).json["faults"] == []


async def test_many_positions_and_orders_at_once(gmo: Gmo) -> None:
    """`count` seeds that many, each with an id of its own."""
    position = {"symbol": "BTC_JPY", "side": "SELL", "size": "1", "price": "1", "count": 1000}
    seeded = (await gmo.control("POST", "/positions", position)).json
    assert len({row["position_id"] for row in seeded}) == 1000
    assert (await gmo.close(int(seeded[-1]["position_id"]), "1")).json["status"] == 0
    orders = (await gmo.control("POST", "/orders", {"symbol": "BTC_JPY", "size": "1", "price": "5", "count": 2})).json
    assert (await gmo.cancel(int(orders[1]["order_id"]))).json["status"] == 0


async def test_state_shows_every_account(gmo: Gmo) -> None:
    """The state has the books with sizes as text."""
    main = (await gmo.control("GET", "/state")).json["accounts"]["main"]
    assert [(row["position_id"], row["size"]) for row in main["positions"]] == [("1000342", "10.32")]
    assert [row["order_id"] for row in main["orders"]] == ["123456789", "637000"]


async def test_the_market_moves_over_http(gmo: Gmo) -> None:
    """A move fills an order; one of an order that is not there is 404."""
    await gmo.control("POST", "/market", {"do": "fill", "order_id": "637000", "size": "0.3"})
    assert (await gmo.order(637000))["executedSize"] == "0.3"
    reply = await gmo.control("POST", "/market", {"do": "fill", "order_id": "1"})
    assert (reply.status, reply.json) == (404, {"error": "there is no '1' here"})


async def test_the_clock_moves_over_http(gmo: Gmo) -> None:
    """A venue an hour ahead finds our timestamps early, and says so in its Date header."""
    await gmo.control("POST", "/clock", {"offset_ms": 3_600_000})
    reply = await gmo.close()
    assert reply.json["messages"][0]["message_code"] == "ERR-5009"
    assert (await gmo.control("GET", "/state")).json["clock_offset_ms"] == 3_600_000


async def test_switches_and_accounts_over_http(gmo: Gmo) -> None:
    """Switches are the venue's own; a new account can trade at once."""
    assert (await gmo.control("POST", "/behaviour", {"unknown_order": "ERR-5123"})).json["unknown_order"] == "ERR-5123"
    assert (await gmo.control("POST", "/behaviour", {"colour": "red"})).status == 400
    await gmo.control("POST", "/accounts", {"name": "two", "api_key": "k2", "api_secret": "s2"})
    two = Gmo(gmo.session, gmo.simulator, gmo.root, "two")
    assert (await two.close()).json["messages"][0]["message_code"] == "ERR-254"


async def test_reset_goes_back_to_the_seeds(gmo: Gmo) -> None:
    """After a reset books, faults, switches, clock and ledger are as at the start."""
    await gmo.close(size="10.32")
    await gmo.control("POST", "/faults", {"what": "hang", "times": None})
    await gmo.control("POST", "/clock", {"offset_ms": 9})
    await gmo.control("POST", "/reset")
    assert (await gmo.control("GET", "/ledger")).json["entries"] == []
    assert (await gmo.close(size="10.32")).json["status"] == 0


async def test_urls_lead_to_the_simulators_alone(simulators: Simulators) -> None:
    """No URL of the configuration is left to its default, which is the real venue."""
    config = simulators.config()
    assert (
        set(config["venues"]) == set(config["accounts"]) == set(names()) >= {"gmo_coin", "coinbase", "btcturk", "nami"}
    )
    for venue in config["venues"].values():
        assert all(url.split("://")[1].startswith("127.0.0.1:") for url in venue.values())
        assert {"rest_url", "ws_url"} <= set(venue)
    assert all("main" in accounts for accounts in config["accounts"].values())
    assert simulators.urls()["gmo_coin"]["rest_url"].endswith("/private")
    assert msgspec.json.encode(config)


async def test_without_rate_limits_nothing_is_throttled() -> None:
    """`rate_limits=False` lifts the venue's limits and tells the router's configuration."""
    async with Simulators(rate_limits=False) as simulators, aiohttp.ClientSession() as session:
        gmo = Gmo(session, simulators.venues["gmo_coin"], simulators.root("gmo_coin"))
        assert {(await gmo.cancel(1)).json["status"] for _ in range(50)} == {1}
        assert simulators.config()["venues"]["gmo_coin"]["limits"] == "off"


async def test_a_port_that_is_taken_leaves_nothing_open(simulators: Simulators) -> None:
    """Starting on a taken port raises, and the other venues are closed again."""
    taken = int(simulators.root("nami").rsplit(":", 1)[1])
    second = Simulators(ports={"nami": taken})
    with pytest.raises(OSError, match="in use"):
        await second.start()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(second.root("btcturk"))


@pytest.mark.parametrize("venue", names())
def test_every_file_among_the_venues_is_one(venue: str) -> None:
    """A venue's simulator is found by its file name and knows its venue."""
    kind: Any = simulator_type(venue)
    assert kind.venue == venue
    assert kind(rate_limits=False).endpoints()
