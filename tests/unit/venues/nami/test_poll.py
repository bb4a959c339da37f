"""Nami: what a poll's rows say."""

import json
from typing import Any

import pytest

from router.venue_protocol import Response, Secrets, Stamp
from router.venue_protocol.stream import Change, Fill, Missed
from tests.unit.venues.nami.feeding import NAMI, documented, order, poll, reply, rows, trade

# Both are the samples that the venue's own pages publish.
SECRETS = Secrets(
    api_key="N3LbmwMAXcObdVYdP8KTMYjsi94CUpEh8C3F2xhDKdxbkfQn8Bi3FQP7LudeN9Vb",
    api_secret="UNCZHD1e4501X1WGO9PqjGJBDqWoNjUlc05YZTy38t9Wd7rHWmrmtfKfb1Vpb5RH",
)

WINDOW = (("hideCanceled", "false"), ("pageSize", "100"), ("page", "1"), ("timeFrom", "2024-01-01T00:00:00Z"))


def test_orders_are_polled() -> None:
    """There is no stream that takes an API key; while a command is open the polls come every three seconds."""
    assert NAMI.stream(SECRETS) is None  # type: ignore[func-returns-value]  # what it returns is the point
    assert NAMI.poll_s == (20.0, 3.0)


def test_a_quiet_poll_is_two_reads() -> None:
    """Open orders, then the history with a minute for its lag: 50 calls a minute have to do for all accounts."""
    missed, asked = poll(rows(order()), rows(), open_orders=[("435372", "BTCUSDT")])
    assert missed.complete
    assert [change.order_id for change in missed.changes] == ["435372"]
    assert [(request.path, request.query) for request in asked] == [
        ("/api/v4/spot/open", ()),
        ("/api/v4/spot/history", WINDOW),
    ]
    assert {(request.method, request.scopes, request.body) for request in asked} == {("GET", ("ip",), b"")}


def test_a_poll_signs_its_times_as_the_venue_reads_them() -> None:
    """Colons are escaped in the signed text and in the address alike."""
    _, asked = poll(rows(), rows())
    url = NAMI.signer(SECRETS)(asked[1], Stamp(1_670_000_000_000, "")).url
    assert "&timeFrom=2024-01-01T00%3A00%3A00Z&timestamp=1670000000000&signature=" in url


def test_the_documented_open_order_is_read_whole() -> None:
    """Every field that has a place is in it, amounts as the venue wrote them."""
    shown = documented("open_orders")
    missed, _ = poll(reply(shown), rows())
    assert missed == Missed(
        changes=(
            Change(
                order_id="453021",
                symbol="NAMIVNST",
                side="sell",
                order_type="limit",
                status="working",
                price="200",
                size="10000",
                filled_size="0",
                venue_time="2025-01-14T08:41:17.032Z",
                raw=shown["data"]["orders"][0],
            ),
        )
    )


def test_the_documented_history_is_read_whole() -> None:
    """A market order has no price; its raw object keeps its numbers as numbers."""
    shown = documented("order_history")
    missed, asked = poll(rows(), reply(shown), rows(trade(434256)))
    [change] = missed.changes
    assert change == Change(
        order_id="434256",
        symbol="ETHUSDT",
        side="sell",
        order_type="market",
        status="filled",
        size="0.222",
        filled_size="0.222",
        last_fill=Fill(execution_id="8415", price="62820.86", size="0.00259", fee="0.1627060274", fee_asset="USDT"),
        venue_time="2024-06-24T04:09:24.324Z",
        raw=shown["data"][0],
    )
    assert change.raw["executedPrice"] == 3394.3322747747743
    assert asked[2].path == "/api/v4/spot/trade"
    assert asked[2].query == WINDOW


@pytest.mark.parametrize(
    ("status", "executed", "expected"),
    [
        ("NEW", 0, "working"),
        ("NEW", 1, "partially_filled"),
        ("PARTIALLY_FILLED", 1, "partially_filled"),
        ("FILLED", 2, "filled"),
        ("CANCELED", 1, "canceled"),
        ("FAILED", 0, "rejected"),
        ("ROUTED", 0, None),
        (7, 0, None),
        (None, 0, None),
    ],
)
def test_every_known_status_has_ours(status: Any, executed: int, expected: str | None) -> None:
    """A word that is not known says nothing: the last known status stays."""
    [change] = poll(rows(order(status=status, executed=executed)), rows())[0].changes
    assert change.status == expected


@pytest.mark.parametrize(
    ("text", "size"), [("0.30000000000000004", "0.30000000000000004"), ("1e-7", "0.0000001"), ("1.50", "1.50")]
)
def test_amounts_keep_their_digits(text: str, size: str) -> None:
    """Numbers are read as text."""
    body = json.dumps({"status": "ok", "data": [order(executed=7, status="PARTIALLY_FILLED")]})
    shown = Response(200, {}, body.replace('"executedQty": 7', f'"executedQty": {text}').encode())
    [change] = poll(shown, rows())[0].changes
    assert change.filled_size == size
    assert change.raw["executedQty"] == float(text)


@pytest.mark.parametrize(
    ("word", "kind"), [("LIMIT", "limit"), ("MARKET", "market"), ("STOP_LIMIT", "stop"), ("OCO", None)]
)
def test_an_order_type_that_we_have_no_word_for_stays_unsaid(word: str, kind: str | None) -> None:
    """An OCO is two orders in one."""
    [change] = poll(rows(order(type=word, side=7)), rows())[0].changes
    assert (change.order_type, change.side) == (kind, None)


def test_an_order_that_moved_meanwhile_is_where_it_was_seen_last() -> None:
    """Open is read first, because an order moves from there to the history."""
    [change] = poll(rows(order()), rows(order(status="CANCELED")))[0].changes
    assert change.status == "canceled"
