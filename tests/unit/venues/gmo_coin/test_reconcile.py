"""GMO Coin: what a feed may have missed."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response
from router.venue_protocol.stream import (
    Known,
    Missed,
)
from tests.unit.venues.gmo_coin.feeding import FEED, MINUTE, VALUES, refusal

DATE = "Sat, 21 Nov 2026 12:00:00 GMT"

NOW_MS = 1_795_262_400_000

Reads = Callable[[Request], Any]


def envelope(rows: Any) -> bytes:
    """Return a page's body; no rows is what the venue sends for none."""
    return json.dumps({"status": 0, "data": {"list": rows} if rows else {}, "responsetime": "…"}).encode()


SYMBOLS = b'{"status":0,"data":[{"symbol":"BTC_JPY"}],"responsetime":"..."}'


def drive(
    flow: Generator[Request, Response, Missed], read: Reads, date: str = DATE, *, listed: bool = False
) -> tuple[Missed, list[str]]:
    """Run a reconciliation on canned reads: rows, or a whole body. `listed`: the symbols are read like the rest."""
    asked: list[str] = []
    try:
        request = next(flow)
        while True:
            assert request.method == "GET"
            assert request.scopes == (("public",) if request.public else ("get",))
            asked.append(request.endpoint + "?" + "&".join(f"{name}={value}" for name, value in request.query))
            found = SYMBOLS if request.endpoint == "symbols" and not listed else read(request)
            request = flow.send(Response(200, {"date": date}, found if isinstance(found, bytes) else envelope(found)))
    except StopIteration as stop:
        missed: Missed = stop.value
        return missed, asked


def order(order_id: int, status: str, executed: str = "0", **fields: Any) -> dict[str, Any]:
    """Return a row of orders."""
    return {
        "rootOrderId": order_id, "orderId": order_id, "symbol": "BTC_JPY", "side": "SELL", "orderType": "NORMAL",
        "executionType": "LIMIT", "settleType": "CLOSE", "size": "1", "executedSize": executed, "price": "840",
        "losscutPrice": "0", "status": status, "timeInForce": "FAS", "timestamp": "2026-11-21T11:00:00.000Z",
    } | fields  # fmt: skip


def execution(execution_id: int, order_id: int, time: str = "2026-11-21T11:59:00.000Z") -> dict[str, Any]:
    """Return a row of executions."""
    return {
        "executionId": execution_id, "orderId": order_id, "positionId": 9, "symbol": "BTC_JPY", "side": "SELL",
        "settleType": "CLOSE", "size": "0.5", "price": "840", "lossGain": "0", "fee": "12", "timestamp": time,
    }  # fmt: skip


def test_a_gap_is_filled_from_active_orders_executions_and_orders() -> None:
    """Known orders that ended, orders that appeared, orders of strangers that were executed: the present of each."""
    rows = {1: order(1, "CANCELED", "0.5", cancelType="USER"), 2: order(2, "EXECUTED", "1", orderType="LOSSCUT")}

    def read(request: Request) -> Any:
        if request.endpoint == "activeOrders":
            return [order(3, "ORDERED")] if ("symbol", "BTC_JPY") in request.query else []
        if request.endpoint == "latestExecutions":
            old = execution(5, 4, "2026-11-21T11:00:00.000Z")
            return [execution(7, 2), execution(8, 2), old] if ("symbol", "BTC_JPY") in request.query else []
        return [rows[int(text)] for text in dict(request.query)["orderId"].split(",")]

    known = Known(since_ms=NOW_MS - 5 * MINUTE, open_orders=(("1", "BTC_JPY"), ("x", None)), symbols=("ETH_JPY",))
    missed, asked = drive(FEED.reconcile(known), read)
    assert missed.complete
    assert [(change.order_id, change.status, change.filled_size) for change in missed.changes] == [
        ("1", "canceled", "0.5"), ("2", "filled", "1"), ("3", "working", "0"),
    ]  # fmt: skip
    first, second, _ = missed.changes
    assert (first.cancel_reason, first.last_fill, first.raw) == ("USER", None, rows[1])
    assert second.last_fill is not None
    assert (second.last_fill.execution_id, second.last_fill.position_id, second.last_fill.fee) == ("8", "9", "12")
    assert second.venue_time == "2026-11-21T11:59:00.000Z"
    assert asked[-1] == "orders?orderId=1,2"
    assert asked[0] == "symbols?"
    assert len(asked) == 6


def test_orders_are_read_in_tens() -> None:
    """The venue takes ten ids at a time."""
    known = Known(since_ms=NOW_MS, open_orders=tuple((str(number), None) for number in range(1, 24)))
    missed, asked = drive(
        FEED.reconcile(known),
        lambda request: (
            [order(int(text), "EXECUTED", "1") for text in dict(request.query)["orderId"].split(",")]
            if request.endpoint == "orders"
            else []
        ),
    )
    assert [len(query.split(",")) for query in asked[3:]] == [10, 10, 3]
    assert len(missed.changes) == 23


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "orders", "symbols"])
@pytest.mark.parametrize("body", [refusal("ERR-5003", 4), b"<html>", b'{"status":0}', envelope([{"orderId": "x"}])])
def test_a_read_that_fails_leaves_the_gap_open(endpoint: str, body: bytes) -> None:
    """The others still tell what they show."""

    def read(request: Request) -> Any:
        if request.endpoint == endpoint:
            return body
        if request.endpoint == "symbols":
            return SYMBOLS
        return [order(1, "CANCELED")] if request.endpoint == "orders" else []

    missed, _ = drive(FEED.reconcile(Known(since_ms=NOW_MS, open_orders=(("1", "BTC_JPY"),))), read, listed=True)
    assert not missed.complete
    assert len(missed.changes) == (endpoint != "orders")


def test_live_means_every_symbol_that_the_venue_lists() -> None:
    """Orders that stood there all along are told at once, in symbols that no command ever named."""
    listed = json.loads((Path(__file__).parents[3] / "fixtures/gmo_coin/symbols.json").read_text())

    def read(request: Request) -> Any:
        if request.endpoint == "symbols":
            assert request.public
            return listed["body"].encode()
        symbol = dict(request.query)["symbol"]
        return (
            [order(3, "ORDERED", symbol=symbol)] if request.endpoint == "activeOrders" and symbol == "ETH_JPY" else []
        )

    missed, asked = drive(FEED.reconcile(Known(since_ms=0)), read, listed=True)
    assert missed.complete
    assert [(change.order_id, change.symbol) for change in missed.changes] == [("3", "ETH_JPY")]
    symbols = sorted(row["symbol"] for row in json.loads(listed["body"])["data"])
    assert [query.partition("symbol=")[2].partition("&")[0] for query in asked[1::2]] == symbols
    _, asked = drive(FEED.reconcile(Known(since_ms=0, symbols=("BTC_JPY",), everywhere=False)), read, listed=True)
    assert len(asked) == 2


def test_a_list_of_another_symbol_leaves_the_gap_open() -> None:
    """A filter that was ignored may have hidden what was asked for; what is shown is told all the same."""
    strangers = [order(3, "ORDERED", symbol="ETH_JPY")]
    missed, _ = drive(
        FEED.reconcile(Known(since_ms=NOW_MS)),
        lambda request: strangers if request.endpoint == "activeOrders" else [],
    )
    assert not missed.complete
    assert [change.order_id for change in missed.changes] == ["3"]


def test_an_executed_order_that_is_not_shown_is_a_stale_read() -> None:
    """An execution proves its order; a known order that is not shown may have been forgotten for good."""
    known = Known(since_ms=NOW_MS - 5 * MINUTE, open_orders=(("1", "BTC_JPY"),))
    missed, _ = drive(FEED.reconcile(known), lambda request: [])
    assert missed.complete
    missed, _ = drive(
        FEED.reconcile(known),
        lambda request: [execution(7, 2)] if request.endpoint == "latestExecutions" else [],
    )
    assert not missed.complete


@pytest.mark.parametrize(
    ("since_ms", "date", "complete"),
    [(NOW_MS - 23 * 60 * MINUTE, DATE, True), (NOW_MS - 25 * 60 * MINUTE, DATE, False), (0, DATE, True),
     (NOW_MS - 25 * 60 * MINUTE, "soon", True)],
)  # fmt: skip
def test_a_gap_of_more_than_a_day_is_not_filled_completely(since_ms: int, date: str, complete: bool) -> None:
    """Executions are shown for a day, by the venue's clock; a first start claims nothing."""
    missed, _ = drive(FEED.reconcile(Known(since_ms=since_ms, symbols=("BTC_JPY",))), lambda request: [], date)
    assert missed.complete is complete


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_reconciliation_survives_any_answers(data: st.DataObject) -> None:
    """Whatever its reads bring, it ends and says whether it is complete."""
    words = sorted({*order(1, ""), *execution(1, 1), "list", "data", "status"})
    values = VALUES | st.sampled_from(["1", "0.5", "2026-11-21T11:59:00.000Z", 1, 2**63])
    row = st.builds(
        lambda base, key, value: base | {key: value},
        st.sampled_from([order(1, "ORDERED"), execution(1, 1)]), st.sampled_from(words), values,
    )  # fmt: skip
    bodies = st.binary(max_size=20) | st.lists(row, max_size=3).map(envelope)
    known = Known(since_ms=data.draw(st.sampled_from([0, NOW_MS])), open_orders=(("1", "BTC_JPY"), ("2", None)))
    missed, _ = drive(
        FEED.reconcile(known),
        lambda request: data.draw(bodies),
        data.draw(st.text(max_size=30)),
        listed=data.draw(st.booleans()),
    )
    msgspec.msgpack.encode(missed)


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "orders"])
def test_after_a_read_that_is_denied_none_follows(endpoint: str) -> None:
    """A key without the permission is refused for each of thirty symbols alike."""
    asked: list[str] = []

    def read(request: Request) -> Any:
        asked.append(request.endpoint)
        return refusal("ERR-5012") if request.endpoint == endpoint else []

    missed, _ = drive(
        FEED.reconcile(Known(since_ms=NOW_MS, open_orders=(("1", "BTC_JPY"),), symbols=("ETH_JPY",))), read
    )
    assert (missed.complete, missed.denied) == (False, True)
    assert asked.count(endpoint) == 1
    assert asked[-1] == endpoint
