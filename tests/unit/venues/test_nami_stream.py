"""Nami: what a poll reads, and what it makes of the answers."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response, Secrets, Stamp
from router.venue_protocol.stream import Change, Fill, Known, Missed
from router.venues.nami import Nami, NamiOptions

FIXTURES = Path(__file__).parents[2] / "fixtures" / "nami"
NAMI = Nami(NamiOptions())
# Both are the samples that the venue's own pages publish.
SECRETS = Secrets(
    api_key="N3LbmwMAXcObdVYdP8KTMYjsi94CUpEh8C3F2xhDKdxbkfQn8Bi3FQP7LudeN9Vb",
    api_secret="UNCZHD1e4501X1WGO9PqjGJBDqWoNjUlc05YZTy38t9Wd7rHWmrmtfKfb1Vpb5RH",
)
SINCE_MS = int(datetime(2024, 1, 1, 0, 1, tzinfo=UTC).timestamp() * 1000)
BEFORE, AFTER = "2024-01-01T00:00:54.999Z", "2024-01-01T00:01:01.000Z"
WINDOW = (("hideCanceled", "false"), ("pageSize", "100"), ("page", "1"), ("timeFrom", "2024-01-01T00:00:00Z"))


def documented(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"stream_{name}.json").read_bytes())["body"]
    return found


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(body).encode())


def rows(*found: Any) -> Response:
    return reply({"status": "ok", "data": found})


def order(order_id: int = 435372, status: str = "NEW", executed: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"displayingId": order_id, "symbol": "BTCUSDT", "status": status, "quantity": 2, "executedQty": executed,
            "updatedAt": BEFORE, **fields}  # fmt: skip


def trade(order_id: int = 435372, number: str = "8415", **fields: Any) -> dict[str, Any]:
    return {**documented("order_trades")["data"][0], "displayingId": number, "orderId": order_id, **fields}


def poll(*answers: Response, open_orders: Sequence[tuple[str, str | None]] = ()) -> tuple[Missed, list[Request]]:
    """Feed a poll its canned answers; every one of them must be asked for."""
    flow = NAMI.reconcile(Known(since_ms=SINCE_MS, open_orders=tuple(open_orders)))
    waiting = list(answers)
    asked: list[Request] = []
    try:
        asked.append(next(flow))
        while True:
            asked.append(flow.send(waiting.pop(0)))
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        missed: Missed = stop.value
        return missed, asked


def endpoints(asked: list[Request]) -> list[str]:
    return [request.endpoint for request in asked]


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


# --- an order that vanished


def test_an_order_that_vanished_is_sought_further_back() -> None:
    """`timeFrom` may mean when an order was made: one of last week that ended now is not in the recent history."""
    elders = [order(number, status="FILLED", executed=2) for number in range(1, 101)]
    missed, asked = poll(
        rows(), rows(), rows(*elders), rows(order(status="CANCELED", executed=1)), open_orders=[("435372", "BTCUSDT")]
    )
    assert [(change.order_id, change.status) for change in missed.changes] == [("435372", "canceled")]
    assert [dict(request.query) for request in asked[2:]] == [
        {"symbol": "BTCUSDT", "hideCanceled": "false", "pageSize": "100", "page": page} for page in ("1", "2")
    ]


def test_orders_of_several_symbols_are_sought_at_once() -> None:
    """One read for all of them is cheaper than one for each."""
    found = rows(order(1, "FILLED", 2), order(2, "CANCELED", symbol="ETHUSDT"))
    missed, asked = poll(rows(), rows(), found, open_orders=[("1", "BTCUSDT"), ("2", "ETHUSDT")])
    assert {change.order_id for change in missed.changes} == {"1", "2"}
    assert "symbol" not in dict(asked[2].query)


def test_an_order_in_the_recent_history_is_not_sought() -> None:
    """It did not vanish."""
    assert len(poll(rows(), rows(order(status="CANCELED")), open_orders=[("435372", "BTCUSDT")])[1]) == 2


def test_an_order_in_neither_is_sought_again_by_the_next_poll() -> None:
    """The history may lag; the order stays open until it shows, and the poll is complete. Page 0 is asked for too."""
    missed, asked = poll(rows(), rows(), rows(), rows(), open_orders=[("435372", "BTCUSDT")])
    assert missed == Missed()
    assert [dict(request.query)["page"] for request in asked[2:]] == ["1", "0"]


# --- pages


def test_the_history_is_read_until_a_page_brings_nothing_new() -> None:
    """A page may be cut shorter than asked for, so fewer than a hundred rows are not yet its end."""
    first = [order(number, "CANCELED") for number in range(20)]
    second = [order(number, "CANCELED") for number in range(20, 40)]
    missed, asked = poll(rows(), rows(*first), rows(*second), rows(*second))
    assert [dict(request.query)["page"] for request in asked[1:]] == ["1", "2", "3"]
    assert len(missed.changes) == 40


def test_fewer_than_ten_rows_end_the_history() -> None:
    """No page is cut shorter than the documents' example."""
    assert len(poll(rows(), rows(*[order(number, "CANCELED") for number in range(1, 10)]))[1]) == 2


def test_a_history_without_an_end_is_incomplete() -> None:
    """Ten pages are a thousand orders in a minute."""
    pages = [rows(*[order(page * 10 + number, "CANCELED") for number in range(10)]) for page in range(10)]
    missed, _ = poll(rows(), *pages)
    assert not missed.complete
    assert len(missed.changes) == 100


# --- executions


@pytest.mark.parametrize("updated", [AFTER, None, "yesterday"])
def test_executions_are_read_when_an_order_was_filled_since(updated: str | None) -> None:
    """The newest execution of an order goes along with it."""
    shown = rows(order(status="PARTIALLY_FILLED", executed=1.5, updatedAt=updated))
    found = rows(trade(number="8415", createdAt=BEFORE), trade(number="8416", createdAt=AFTER), trade(7), {"_id": "x"})
    [change] = poll(shown, rows(), found)[0].changes
    assert change.last_fill is not None
    assert change.last_fill.execution_id == "8416"
    assert change.filled_size == "1.5"


@pytest.mark.parametrize(
    "shown", [order(status="PARTIALLY_FILLED", executed=1), order(status="CANCELED", updatedAt=AFTER)]
)
def test_executions_are_not_read_when_nothing_was_filled_since(shown: dict[str, Any]) -> None:
    """A partial fill of long ago, and an order canceled unfilled, cost no third call."""
    assert endpoints(poll(rows(shown), rows())[1]) == ["open_orders", "order_history"]


@pytest.mark.parametrize("answer", [reply({}, 404), reply({"status": "BROKER_ERROR", "data": None}), rows(7)])
def test_without_executions_the_order_still_says_how_much(answer: Response) -> None:
    """They are detail: the pages do not agree on where they are read."""
    missed, _ = poll(rows(order(executed=1, updatedAt=AFTER)), rows(), answer)
    assert missed.complete
    assert [(change.filled_size, change.last_fill) for change in missed.changes] == [("1", None)]


# --- what goes wrong


@pytest.mark.parametrize(
    "answer",
    [
        reply({}, 500),
        reply({"status": "BROKER_ERROR", "data": {"requestId": "x"}}, 400),
        reply({"statusCode": 429}, 429),
        reply({}, 418),
        reply({"status": "ok", "data": {"requestId": "x"}}),
        rows(7),
        Response(200, {}, b"<html>"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_after_a_read_that_failed_none_follows(answer: Response, place: int) -> None:
    """An address that goes on while it is refused is banned for an hour."""
    answers = [*[rows(order())][:place], answer]
    missed, asked = poll(*answers, open_orders=[("1", None)])
    assert not missed.complete
    assert len(asked) == place + 1
    assert len(missed.changes) == place


def test_an_order_that_does_not_say_which_leaves_the_poll_incomplete() -> None:
    """The others are told all the same."""
    missed, _ = poll(rows({"status": "NEW"}, order()), rows())
    assert not missed.complete
    assert [change.order_id for change in missed.changes] == ["435372"]


KEYS = [
    *(key for key in order() if key != "displayingId"),
    "side",
    "type",
    "price",
    "orderId",
    "createdAt",
    "feeMetadata",
    "feeValue",
    "data",
    "orders",
]
leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6)
documents = st.recursive(
    leaves | st.sampled_from(["ok", "NEW", "FILLED", "1", AFTER, "1e5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=15,
)
order_rows = st.fixed_dictionaries({"displayingId": st.integers(1, 99)}, optional=dict.fromkeys(KEYS, documents))
envelopes = st.fixed_dictionaries({"status": st.just("ok"), "data": st.lists(order_rows, max_size=12) | documents})
bodies = st.binary(max_size=30) | (envelopes | documents).map(lambda value: json.dumps(value).encode())
responses = st.builds(Response, st.sampled_from([200, 200, 200, 400, 429, 502]), st.just({}), bodies)


@given(st.lists(responses, min_size=1, max_size=4), st.sampled_from([0, SINCE_MS, 4_102_444_800_000]))
@settings(deadline=None, max_examples=200)
def test_a_poll_survives_any_answers(answers: list[Response], since_ms: int) -> None:
    """Whatever its reads bring, it ends soon, reads only, and tells what can be stored."""
    flow = NAMI.reconcile(Known(since_ms=since_ms, open_orders=(("1", "BTCUSDT"), ("x", None))))
    try:
        request = next(flow)
        for reads, answer in enumerate(cycle(answers)):
            assert request.method == "GET"
            assert reads <= 22
            request = flow.send(answer)
    except StopIteration as stop:
        missed = stop.value
    assert len({change.order_id for change in missed.changes}) == len(missed.changes)
    msgspec.json.encode(missed)
