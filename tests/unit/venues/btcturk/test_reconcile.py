"""BtcTurk: what a feed may have missed."""

import json
from collections.abc import Callable, Generator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response
from router.venue_protocol.stream import Known, Missed
from router.venues.btcturk import BtcTurk
from tests.unit.venues.btcturk.feeding import FEED, VALUES

SINCE_MS = 1_795_262_400_000

NOT_FOUND = b'{"success":false,"message":"Order not found","code":1152}'


def envelope(data: Any) -> bytes:
    """Return a success's body."""
    return json.dumps({"success": True, "message": "SUCCESS", "code": 0, "data": data}).encode()


def order(order_id: int, status: str, left: str = "1", **fields: Any) -> dict[str, Any]:
    """Return an order as the venue shows it."""
    return {
        "id": order_id, "price": "20000.00", "amount": "1", "quantity": "1", "stopPrice": "0", "pairSymbol": "BTCTRY",
        "pairSymbolNormalized": "BTC_TRY", "type": "sell", "method": "limit", "orderClientId": "c", "time": 0,
        "updateTime": 1647883449587, "status": status, "leftAmount": left,
    } | fields  # fmt: skip


def trade(trade_id: int, order_id: int, size: str) -> dict[str, Any]:
    """Return a trade as the venue shows it."""
    return {
        "id": trade_id, "timestamp": SINCE_MS, "amount": f"-{size}", "price": "20000.00", "fee": "-1", "tax": "-1",
        "numeratorSymbol": "BTC", "denominatorSymbol": "TRY", "orderType": "sell", "orderId": order_id,
    }  # fmt: skip


def drive(flow: Generator[Request, Response, Missed], read: Callable[[Request], Any]) -> tuple[Missed, list[str]]:
    """Run a reconciliation on canned reads: data, or a whole body."""
    asked: list[str] = []
    scopes = {limit.scope for limit in BtcTurk.limits}
    try:
        request = next(flow)
        while True:
            assert request.method == "GET"
            assert set(request.scopes) <= scopes
            asked.append(request.path.removeprefix("/api/v1/").removeprefix("/api/v2/"))
            found = read(request)
            request = flow.send(Response(200, {}, found if isinstance(found, bytes) else envelope(found)))
    except StopIteration as stop:
        missed: Missed = stop.value
        return missed, asked


PAIRS = {"timeZone": "UTC", "symbols": [{"name": "BTCTRY", "status": "TRADING"}]}


def venue(orders: dict[int, Any], trades: list[Any], asks: list[Any], pairs: Any = PAIRS) -> Callable[[Request], Any]:
    """Return the reads of a venue that shows these."""

    def read(request: Request) -> Any:
        if request.endpoint == "trades":
            assert request.query == (("startDate", str(SINCE_MS - 5_000)),)
            return trades
        if request.endpoint == "exchange_info":
            assert request.public
            return pairs
        if request.endpoint == "open_orders":
            pair = dict(request.query)["pairSymbol"]
            return {"asks": [ask for ask in asks if ask["pairSymbol"] == pair], "bids": []}
        return orders.get(int(request.path.rpartition("/")[2]), NOT_FOUND)

    return read


def shown(missed: Missed) -> list[tuple[str, str | None, str | None, str | None]]:
    """Return what a reconciliation found, in short."""
    return [
        (
            change.order_id,
            change.status,
            change.filled_size,
            change.last_fill.execution_id if change.last_fill else None,
        )
        for change in missed.changes
    ]


def test_a_gap_is_filled_from_trades_open_orders_and_single_orders() -> None:
    """Each order's way there, trade by trade; orders that are not open are read one by one."""
    read = venue(
        {1: order(1, "Canceled", "0.75"), 2: order(2, "Closed", "0")},
        [trade(11, 2, "0.7"), trade(10, 2, "0.2"), trade(12, 3, "0.5")],
        [order(3, "Partial", "0.5"), order(4, "Untouched")],
    )
    missed, asked = drive(
        FEED.reconcile(Known(since_ms=SINCE_MS, open_orders=(("1", "BTCTRY"), ("3", "BTCTRY"), ("x", None)))), read
    )
    assert missed.complete
    assert asked == ["users/transactions/trade", "server/exchangeinfo", "openOrders", "order/1", "order/2"]
    assert shown(missed) == [
        ("1", "canceled", "0.25", None),
        ("2", "partially_filled", "0.3", "10"),
        ("2", "filled", "1", "11"),
        ("3", "partially_filled", "0.5", "12"),
        ("4", "working", "0", None),
    ]
    assert missed.changes[0].venue_time == "2022-03-21T17:24:09.587Z"
    assert [change.price for change in missed.changes] == [None, None, None, None, "20000.00"]
    assert missed.changes[-1].raw == order(4, "Untouched")


def test_trades_that_are_more_than_what_is_filled_are_not_told() -> None:
    """A stale order's own numbers stand; nothing is counted back below zero."""
    known = Known(since_ms=SINCE_MS, symbols=("BTCTRY",))
    missed, _ = drive(FEED.reconcile(known), venue({}, [trade(10, 3, "0.75")], [order(3, "Partial", "0.5")]))
    assert shown(missed) == [("3", "partially_filled", "0.5", None)]


def test_an_order_that_is_not_found_is_stale_only_if_it_was_traded() -> None:
    """A known order may be forgotten for good."""
    missed, _ = drive(FEED.reconcile(Known(since_ms=SINCE_MS, open_orders=(("1", None),))), venue({}, [], []))
    assert missed == Missed()
    missed, _ = drive(FEED.reconcile(Known(since_ms=SINCE_MS)), venue({}, [trade(10, 2, "1")], []))
    assert missed == Missed(complete=False)


def test_a_first_start_reads_no_trades() -> None:
    """Nothing is claimed of the time before."""
    _, asked = drive(FEED.reconcile(Known(since_ms=0, symbols=("BTCTRY",))), venue({}, [], []))
    assert asked == ["server/exchangeinfo", "openOrders"]


def test_live_means_every_pair_that_the_venue_lists() -> None:
    """Orders that stood there all along are told at once, in pairs that no command ever named, halted ones too."""
    names = [("BTCTRY", "TRADING"), ("ETHUSDT", "TRADING"), ("XTZBTC", "STOPPED")]
    pairs = {"symbols": [{"name": name, "status": status} for name, status in names]}
    asks = [order(n, "Untouched", pairSymbol=name) for n, (name, _) in enumerate(names, start=1)]
    missed, asked = drive(FEED.reconcile(Known(since_ms=0)), venue({}, [], asks, pairs))
    assert missed.complete
    assert [(change.order_id, change.symbol) for change in missed.changes] == [
        ("1", "BTCTRY"), ("2", "ETHUSDT"), ("3", "XTZBTC"),
    ]  # fmt: skip
    assert asked == ["server/exchangeinfo", "openOrders", "openOrders", "openOrders"]
    known = Known(since_ms=0, symbols=("ETH_USDT",), everywhere=False)
    assert drive(FEED.reconcile(known), venue({}, [], asks, pairs))[1] == ["openOrders"]


@pytest.mark.parametrize("pairs", [None, {}, {"symbols": []}, {"symbols": [{"status": "TRADING"}]}, {"symbols": [1]}])
def test_without_the_list_of_pairs_nothing_is_complete(pairs: Any) -> None:
    """What is known is read all the same."""
    known = Known(since_ms=0, symbols=("BTCTRY",))
    missed, _ = drive(FEED.reconcile(known), venue({}, [], [order(1, "Untouched")], pairs))
    assert not missed.complete
    assert len(missed.changes) == 1


@pytest.mark.parametrize("endpoint", ["trades", "open_orders", "order", "exchange_info"])
@pytest.mark.parametrize(
    "body",
    [b"<html>", b'{"success":false,"message":"TOO_MANY_REQUESTS","code":429}', envelope(None), envelope(7),
     b'{"success":true,"message":"Unauthorized - Invalid Nonce","code":1037}'],
)  # fmt: skip
def test_a_read_that_fails_leaves_the_gap_open(endpoint: str, body: bytes) -> None:
    """The others still tell what they show."""
    read = venue({1: order(1, "Canceled")}, [], [order(2, "Untouched")])
    known = Known(since_ms=SINCE_MS, open_orders=(("1", "BTCTRY"),))
    missed, _ = drive(FEED.reconcile(known), lambda request: body if request.endpoint == endpoint else read(request))
    assert not missed.complete
    expected = {"trades": ["1", "2"], "open_orders": ["1"], "order": ["2"], "exchange_info": ["1", "2"]}[endpoint]
    assert [change.order_id for change in missed.changes] == expected


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_reconciliation_survives_any_answers(data: st.DataObject) -> None:
    """Whatever its reads bring, it ends and says whether it is complete."""
    words = sorted({*order(1, ""), *trade(1, 1, "1")})
    row = st.builds(
        lambda base, key, value: base | {key: value},
        st.sampled_from([order(1, "Partial", "0.5"), trade(10, 1, "0.5")]), st.sampled_from(words), VALUES,
    )  # fmt: skip
    rows = st.lists(row | VALUES, max_size=3)
    found = st.binary(max_size=20) | rows.map(envelope) | row.map(envelope)
    found |= rows.map(lambda each: envelope({"asks": each, "bids": []}))
    known = Known(since_ms=data.draw(st.sampled_from([0, SINCE_MS])), open_orders=(("1", "BTCTRY"), ("2", None)))
    missed, _ = drive(FEED.reconcile(known), lambda request: data.draw(found))
    msgspec.msgpack.encode(missed)


@pytest.mark.parametrize("endpoint", ["trades", "open_orders", "order", "exchange_info"])
def test_after_a_read_that_is_denied_none_follows(endpoint: str) -> None:
    """An address was once blocked after fifty unauthorised calls, and the venue lists hundreds of pairs."""
    refused = b'{"success":false,"message":"Unauthorized - Invalid Public Key","code":1037}'
    read = venue({1: order(1, "Canceled")}, [], [order(2, "Untouched")])
    asked: list[str] = []

    def recorded(request: Request) -> Any:
        asked.append(request.endpoint)
        return refused if request.endpoint == endpoint else read(request)

    known = Known(since_ms=SINCE_MS, open_orders=(("1", "BTCTRY"), ("7", "BTCTRY")))
    missed, _ = drive(FEED.reconcile(known), recorded)
    assert (missed.complete, missed.denied) == (False, True)
    assert asked.count(endpoint) == 1
    assert asked[-1] == endpoint
