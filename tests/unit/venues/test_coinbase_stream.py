"""Coinbase: what its user channel says, when the stream is over, and what a reconciliation reads."""

import base64
import hashlib
import json
from collections.abc import Generator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response, Secrets, Stamp
from router.venue_protocol.stream import Broken, Change, Changes, Connect, Fill, Known, Missed, Ready, Say, Want
from router.venues.coinbase import Coinbase, CoinbaseOptions, CoinbaseStream

FIXTURES = Path(__file__).parents[2] / "fixtures" / "coinbase"
COINBASE = Coinbase(CoinbaseOptions())
SYMBOL = "BIT-28JUL23-CDE"
NONCE = "000102030405060708090a0b0c0d0e0f"
NOW_MS = 1_700_000_005_000
SECRETS = Secrets(
    api_key="organizations/00000000-0000-0000-0000-000000000001/apiKeys/00000000-0000-0000-0000-000000000002",
    api_secret="nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
)


def stamp(after_ms: int = 0) -> Stamp:
    return Stamp(NOW_MS + after_ms, NONCE)


def documented(name: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((FIXTURES / f"stream_{name}.json").read_bytes())
    found: dict[str, Any] = known.get("frame") or known["body"]
    return found


def order(order_id: str = "A-1", status: str = "OPEN", **fields: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "client_order_id": "ours",
        "product_id": SYMBOL,
        "order_side": "SELL",
        "order_type": "Limit",
        "time_in_force": "GOOD_UNTIL_CANCELLED",
        "status": status,
        "cumulative_quantity": "0",
        "leaves_quantity": "0",
        "avg_price": "0",
        "number_of_fills": "0",
        "total_fees": "0",
        "limit_price": "31000",
        **fields,
    }


class Server:
    """The other end of the wire: numbers its messages."""

    def __init__(self) -> None:
        self.next = 0

    def message(self, channel: str, *events: Any, **fields: Any) -> str:
        envelope = {
            "channel": channel,
            "timestamp": "2023-11-14T22:13:26.5Z",
            "sequence_num": self.next,
            "events": events,
        }
        self.next += 1
        return json.dumps({**envelope, **fields})

    def orders(self, *rows: Any, kind: str = "update") -> str:
        return self.message("user", {"type": kind, "orders": rows})

    def beat(self) -> str:
        return self.message("heartbeats", {"current_time": "…", "heartbeat_counter": self.next})


def opened() -> CoinbaseStream:
    stream = COINBASE.stream(SECRETS)
    stream.begin(stamp())
    stream.opened(stamp())
    return stream


def live(*rows: Any) -> tuple[CoinbaseStream, Server]:
    """Return a stream and its server after a snapshot of these orders."""
    stream, server = opened(), Server()
    assert Ready() in stream.heard(server.orders(*rows, kind="snapshot"), stamp())
    return stream, server


def changes(wants: Sequence[Want]) -> list[Change]:
    return [change for want in wants if isinstance(want, Changes) for change in want.changes]


def only(wants: Sequence[Want]) -> Change:
    [change] = changes(wants)
    return change


def broken(wants: Sequence[Want]) -> str | None:
    return next((want.reason for want in wants if isinstance(want, Broken)), None)


# --- connecting


def test_a_stream_opens_the_configured_address() -> None:
    """`ws_url` is where the user channel is, and no secret of it is in the address."""
    assert list(COINBASE.stream(SECRETS).begin(stamp())) == [Connect("wss://advanced-trade-ws-user.coinbase.com")]
    elsewhere = Coinbase(CoinbaseOptions(ws_url="ws://127.0.0.1:1/ws"))
    assert list(elsewhere.stream(SECRETS).begin(stamp())) == [Connect("ws://127.0.0.1:1/ws")]


def test_both_channels_are_subscribed_at_once_each_with_its_own_token() -> None:
    """Heartbeats first, then all products of the user channel; neither token has a `uri`, no two are the same."""
    said = COINBASE.stream(SECRETS).opened(stamp())
    assert all(isinstance(want, Say) and want.pace_s == 0 for want in said)
    messages = [json.loads(want.text) for want in said if isinstance(want, Say)]
    assert [{**message, "jwt": ""} for message in messages] == [
        {"type": "subscribe", "channel": "heartbeats", "jwt": ""},
        {"type": "subscribe", "channel": "user", "jwt": ""},
    ]
    first, second = (message["jwt"] for message in messages)
    assert hashlib.sha256(first.encode()).hexdigest() == (
        "36da8aead6a0d486801215b5ae449f32b6fd565c5e633862d2ed5ba227e1687f"
    )
    assert first != second
    claims = json.loads(base64.urlsafe_b64decode(second.split(".")[1] + "=="))
    assert claims == {"sub": SECRETS.api_key, "iss": "cdp", "nbf": 1_700_000_000, "exp": 1_700_000_120}


def test_what_is_said_does_not_print() -> None:
    """A subscription is a credential for two minutes."""
    assert "jwt" not in repr(COINBASE.stream(SECRETS).opened(stamp()))


def test_nothing_is_asked_over_rest_and_the_end_is_silent() -> None:
    """The protocol needs the socket only."""
    stream = opened()
    request = Request(method="GET", path="/", endpoint="none")
    assert not stream.answered(request, None, stamp())
    assert not stream.end(stamp())
    assert not COINBASE.stream(SECRETS).tick(stamp())


# --- the documents' own messages


def test_the_documented_user_message_is_read_whole() -> None:
    """Every field of the documentation's order finds its place, and its object goes along."""
    frame = documented("user")
    assert list(opened().heard(json.dumps(frame), stamp())) == [
        Changes(
            (
                Change(
                    order_id="YYY",
                    client_order_id="XXX",
                    symbol="BTC-USD",
                    side="buy",
                    order_type="limit",
                    time_in_force="gtc",
                    status="filled",
                    price="50000",
                    size="0.01",
                    filled_size="0.01",
                    last_fill=Fill(price="50000", size="0.01", fee="2"),
                    raw=frame["events"][0]["orders"][0],
                ),
            )
        ),
        Ready(),
    ]


def test_the_older_documented_message_is_read_as_well() -> None:
    """Fields that are missing stay unsaid."""
    change = only(opened().heard(json.dumps(documented("user_open")).encode(), stamp()))
    assert (change.status, change.size, change.filled_size) == ("working", "0.000994", "0")
    assert (change.order_type, change.time_in_force, change.price, change.last_fill) == ("limit", None, None, None)


def test_the_documented_heartbeat_is_a_sign_of_life() -> None:
    """Its counter may be text."""
    stream = opened()
    assert not stream.heard(json.dumps(documented("heartbeats")), stamp(8_000))
    assert not broken(stream.tick(stamp(9_000)))


# --- ready


def test_a_snapshot_ends_with_the_first_batch_that_is_not_full() -> None:
    """109 open orders come as 50, 50 and 9: only then is nothing more to come of them."""
    stream, server = opened(), Server()
    for count, last in ((50, False), (50, False), (9, True)):
        rows = [order(f"{server.next}-{number}") for number in range(count)]
        wants = stream.heard(server.orders(*rows, kind="snapshot"), stamp())
        assert len(changes(wants)) == count
        assert (Ready() in wants) is last


def test_a_snapshot_without_orders_is_one() -> None:
    """An account without open orders is subscribed, too; an update later does not say so again."""
    stream, server = live()
    wants = stream.heard(server.orders(order()), stamp())
    assert len(changes(wants)) == 1
    assert Ready() not in wants


def test_an_update_ends_a_snapshot_of_full_batches() -> None:
    """What follows exactly 50 orders is not documented."""
    stream, server = opened(), Server()
    assert Ready() not in stream.heard(server.orders(*map(order, map(str, range(50))), kind="snapshot"), stamp())
    assert Ready() in stream.heard(server.orders(order("new")), stamp(1))


def test_a_snapshot_that_does_not_go_on_is_waited_for_three_seconds() -> None:
    """A last batch of exactly 50 must not keep the feed from going live; nor does an account without a snapshot."""
    stream, server = opened(), Server()
    stream.heard(server.orders(*map(order, map(str, range(50))), kind="snapshot"), stamp(1_000))
    assert not stream.tick(stamp(3_999))
    assert list(stream.tick(stamp(4_000))) == [Ready()]
    assert not stream.tick(stamp(5_000))
    stream, server = opened(), Server()
    assert not stream.heard(server.message("subscriptions", {"subscriptions": {"heartbeats": ["heartbeats"]}}), stamp())
    assert not stream.tick(stamp(4_000))
    stream.heard(server.message("subscriptions", {"subscriptions": {"user": ["x"], "heartbeats": []}}), stamp(4_000))
    assert list(stream.tick(stamp(7_000))) == [Ready()]


def test_data_may_come_before_the_acknowledgement() -> None:
    """The order of acknowledgement and first data is not promised."""
    stream, server = live(order())
    assert not stream.heard(server.message("subscriptions", {"subscriptions": {"user": ["x"]}}), stamp())
    assert not stream.tick(stamp(5_000))


# --- broken


def test_a_hole_in_the_numbers_breaks_the_stream() -> None:
    """A lost message is gone for good, on whichever channel it was."""
    stream, server = live(order())
    server.next += 1
    assert broken(stream.heard(server.beat(), stamp())) == "message 0 was followed by 2"


def test_a_number_that_goes_back_breaks_the_stream() -> None:
    """Two messages that changed places are a hole until the first of them is there."""
    stream, server = live()
    for _ in range(3):
        stream.heard(server.beat(), stamp())
    server.next = 1
    assert broken(stream.heard(server.beat(), stamp()))


def test_a_count_that_begins_again_is_the_connections_own() -> None:
    """A second subscription may begin at 0: that is no hole, and breaking would go round in a loop."""
    stream, server = live(order())
    for _ in range(3):
        stream.heard(server.beat(), stamp())
    server.next = 0
    for frame in (server.beat(), server.orders(order())):
        assert broken(stream.heard(frame, stamp())) is None
    server.next += 1
    assert broken(stream.heard(server.beat(), stamp()))


def test_numbers_count_over_all_channels_from_the_first_seen() -> None:
    """One counter per connection, wherever it begins; a repeat loses nothing."""
    stream, server = opened(), Server()
    server.next = 41
    frames = [server.beat(), server.orders(order(), kind="snapshot"), server.beat(), server.orders(order())]
    for frame in [*frames, frames[-1]]:
        assert broken(stream.heard(frame, stamp())) is None


def test_a_repeated_fill_is_told_again_without_a_second_execution() -> None:
    """The same state twice is the same event; it must not look like twice the fill."""
    stream, server = live(order(leaves_quantity="3"))
    frame = server.orders(order(cumulative_quantity="1", leaves_quantity="2", avg_price="30000", number_of_fills="1"))
    first, again = only(stream.heard(frame, stamp())), only(stream.heard(frame, stamp()))
    assert first.last_fill == Fill(price="30000", size="1", fee="0")
    assert again.last_fill is None
    assert again.filled_size == first.filled_size


def test_ten_seconds_without_a_heartbeat_break_the_stream() -> None:
    """Other messages do not stand in for the one that comes every second."""
    stream, server = live()
    stream.heard(server.beat(), stamp(1_000))
    stream.heard(server.orders(order()), stamp(9_000))
    assert not stream.tick(stamp(11_000))
    assert broken(stream.tick(stamp(11_001))) == "no heartbeat for 10 s"


def test_a_user_channel_that_never_answers_breaks_the_stream() -> None:
    """Heartbeats alone are no subscription to orders."""
    stream, server = opened(), Server()
    for second in range(1, 11):
        stream.heard(server.beat(), stamp(second * 1_000))
        assert not stream.tick(stamp(second * 1_000))
    assert broken(stream.tick(stamp(10_001))) == "the user channel does not answer"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ('{"type":"error","message":"authentication failure"}', "the venue says: authentication failure"),
        ('{"type":"error","message":7}', "the venue says: error"),
        ('{"type":"error"}', "the venue says: error"),
    ],
)
def test_a_refusal_breaks_the_stream(frame: str, reason: str) -> None:
    """It has another shape, no number, and the socket stays open."""
    assert broken(opened().heard(frame, stamp())) == reason


@pytest.mark.parametrize(
    "frame",
    ["", "x", "[]", "null", b"\xff", '{"channel":"user"}', '{"channel":"user","events":[1]}',
     '{"channel":"user","events":[{"orders":7}]}', '{"channel":"user","events":[{"orders":[{}]}]}',
     '{"channel":"user","events":[{"orders":[{"order_id":""}]}]}', '{"channel":"user","events":[{"orders":[null]}]}'],
)  # fmt: skip
def test_a_report_that_cannot_be_read_breaks_the_stream(frame: str | bytes) -> None:
    """It may have been an order's; a read will tell."""
    assert broken(opened().heard(frame, stamp()))


def test_the_orders_around_one_that_cannot_be_read_are_told() -> None:
    """What was understood is not thrown away."""
    stream, server = live()
    wants = stream.heard(server.orders(order("A-1"), {"status": "OPEN"}, order("A-2")), stamp())
    assert [change.order_id for change in changes(wants)] == ["A-1", "A-2"]
    assert broken(wants)


@pytest.mark.parametrize("frame", ['{"channel":"futures_balance_summary","events":[]}', "{}", '{"type":"news"}'])
def test_frames_of_other_kinds_are_ignored(frame: str) -> None:
    """The documentation asks for it: new kinds may be added at any time."""
    assert not opened().heard(frame, stamp())


def test_a_user_event_of_positions_alone_is_no_order() -> None:
    """Positions are a beta block in the same event."""
    stream, server = live()
    assert not stream.heard(server.message("user", {"type": "update", "positions": {}}), stamp())


# --- what an order has come to


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("PENDING", "0", "working"),
        ("OPEN", "0", "working"),
        ("OPEN", "1", "partially_filled"),
        ("QUEUED", "0", "working"),
        ("EDIT_QUEUED", "1", "partially_filled"),
        ("CANCEL_QUEUED", "0", "working"),
        ("FILLED", "3", "filled"),
        ("CANCELLED", "1", "canceled"),
        ("EXPIRED", "0", "expired"),
        ("FAILED", "0", "rejected"),
        ("UNKNOWN_ORDER_STATUS", "1", None),
        (None, "0", None),
    ],
)
def test_every_documented_status_has_ours(word: str | None, filled: str, status: str | None) -> None:
    """A word that is not documented says nothing: the last known status stays."""
    stream, server = live()
    row = order(**{"status": word, "cumulative_quantity": filled})  # type: ignore[arg-type]  # a status may be missing
    assert only(stream.heard(server.orders(row), stamp())).status == status


@pytest.mark.parametrize(
    ("fields", "kind", "tif", "price"),
    [
        ({"order_type": "Market", "time_in_force": "IMMEDIATE_OR_CANCEL", "limit_price": "0"}, "market", "ioc", None),
        ({"order_type": "MARKET", "time_in_force": "FILL_OR_KILL", "limit_price": ""}, "market", "fok", None),
        ({"order_type": "Stop Limit", "stop_price": "29000"}, "stop", "gtc", "31000"),
        ({"order_type": "STOP_LIMIT", "limit_price": "", "stop_price": "29000.50"}, "stop", "gtc", "29000.50"),
        ({"post_only": "true"}, "limit", "post_only", "31000"),
        ({"order_type": "Bracket", "time_in_force": "GOOD_UNTIL_DATE_TIME"}, None, None, "31000"),
        ({"order_type": 7, "time_in_force": None, "order_side": "", "limit_price": "-1"}, None, None, None),
    ],
)
def test_types_are_read_in_either_case(fields: Any, kind: str | None, tif: str | None, price: str | None) -> None:
    """Frames write them in title case, the documentation in upper case; what has no word of ours stays unsaid."""
    stream, server = live()
    change = only(stream.heard(server.orders(order(**fields)), stamp()))
    assert (change.order_type, change.time_in_force, change.price) == (kind, tif, price)


def test_the_size_of_a_canceled_order_is_remembered() -> None:
    """What it still had to fill is zeroed at its end; of an order not seen before the size stays unsaid."""
    stream, server = live(order(cumulative_quantity="1", leaves_quantity="2.50"))
    wants = stream.heard(
        server.orders(order(status="CANCELLED", cumulative_quantity="1", cancel_reason="User")), stamp()
    )
    change = only(wants)
    assert (change.status, change.size, change.filled_size, change.cancel_reason) == ("canceled", "3.5", "1", "User")
    other = only(stream.heard(server.orders(order("A-2", status="CANCELLED", cumulative_quantity="1")), stamp()))
    assert (other.size, other.filled_size, other.cancel_reason) == (None, "1", None)


@pytest.mark.parametrize("name", ["reject_reason", "reject_Reason"])
def test_a_failed_order_says_why(name: str) -> None:
    """One table of the documentation spells the field with a capital."""
    stream, server = live()
    change = only(stream.heard(server.orders(order(status="FAILED", **{name: "HOLD_FAILURE"})), stamp()))
    assert (change.status, change.cancel_reason) == ("rejected", "HOLD_FAILURE")


def test_fills_are_derived_from_what_was_filled_before() -> None:
    """The stream names no executions: size and fee are differences, the price is the average of what came between."""
    stream, server = live(order(leaves_quantity="3"))
    first = {"cumulative_quantity": "1", "avg_price": "30000", "total_fees": "0.25", "leaves_quantity": "2"}
    second = {"cumulative_quantity": "3", "avg_price": "30001.66666667", "total_fees": "0.55", "status": "FILLED"}
    steps = [(first, "30000", "1", "0.25"), (second, "30002.5", "2", "0.3")]
    for fields, price, size, fee in steps:
        change = only(stream.heard(server.orders(order(**fields)), stamp()))
        assert change.last_fill == Fill(price=price, size=size, fee=fee)
    assert (change.status, change.size, change.filled_size) == ("filled", "3", "3")


@pytest.mark.parametrize(
    ("fills", "last"), [("1", Fill(price="30000.5", size="3", fee="0.75")), ("2", None), ("", None)]
)
def test_a_first_report_is_a_fill_only_if_there_was_one(fills: str, last: Fill | None) -> None:
    """Of several that were not seen the last cannot be told."""
    stream, server = live()
    row = order(status="FILLED", cumulative_quantity="3", avg_price="30000.5", total_fees="0.75", number_of_fills=fills)
    assert only(stream.heard(server.orders(row), stamp())).last_fill == last


def test_an_older_report_is_no_fill_and_is_forgotten() -> None:
    """A state that comes late must not be counted from again."""
    stream, server = live(order(leaves_quantity="3"))
    seen = [
        only(stream.heard(server.orders(order(cumulative_quantity=filled, avg_price="30000")), stamp())).last_fill
        for filled in ("2", "1", "3")
    ]
    assert [fill and fill.size for fill in seen] == ["2", None, "1"]


@pytest.mark.parametrize(
    ("average", "fees", "expected"),
    [
        ("x", "1", Fill(price=None, size="1", fee="1")),
        ("1", "x", Fill(price=None, size="1", fee=None)),
        ("40000", "-1", Fill(price="50000", size="1", fee=None)),
    ],
)
def test_what_cannot_be_derived_stays_unsaid(average: str, fees: str, expected: Fill) -> None:
    """Averages that contradict each other give no price below zero."""
    stream, server = live(order(cumulative_quantity="1", avg_price="30000"))
    row = order(cumulative_quantity="2", avg_price=average, total_fees=fees)
    assert only(stream.heard(server.orders(row), stamp())).last_fill == expected


def test_an_update_has_the_venues_time_and_a_snapshot_none() -> None:
    """A snapshot says how things are, not when they became so."""
    stream, server = opened(), Server()
    assert only(stream.heard(server.orders(order(), kind="snapshot"), stamp())).venue_time is None
    assert only(stream.heard(server.orders(order()), stamp())).venue_time == "2023-11-14T22:13:26.5Z"
    strange = server.message("user", {"orders": [order()]}, timestamp="0001-01-01T00:00:00Z")
    assert only(stream.heard(strange, stamp())).venue_time is None


def test_a_number_keeps_its_text() -> None:
    """All amounts are text in the documentation; one that is not loses no digit."""
    stream, server = live()
    frame = server.orders(order(cumulative_quantity=0)).replace(
        '"cumulative_quantity": 0', '"cumulative_quantity": 0.10'
    )
    assert only(stream.heard(frame, stamp())).filled_size == "0.10"


WORDS = [
    "user",
    "heartbeats",
    "subscriptions",
    "snapshot",
    "update",
    "error",
    "A-1",
    "OPEN",
    "FILLED",
    "1",
    "-1",
    "1e5",
]
KEYS = [
    "channel",
    "type",
    "events",
    "orders",
    "sequence_num",
    "timestamp",
    "subscriptions",
    "user",
    "message",
    *order(),
]
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=25,
)
rows_of_any_kind = st.fixed_dictionaries({}, optional=dict.fromkeys(order(), documents)) | documents
envelopes = st.fixed_dictionaries(
    {"channel": st.just("user") | documents},
    optional={
        "sequence_num": st.integers(0, 3) | documents,
        "timestamp": documents,
        "events": st.lists(st.fixed_dictionaries({"orders": st.lists(rows_of_any_kind, max_size=4)}), max_size=3),
    },
)
frames = st.binary(max_size=40) | st.text(max_size=40) | (envelopes | documents).map(json.dumps)


@given(st.lists(frames, max_size=6), st.integers(0, 20_000))
@settings(deadline=None, max_examples=300)
def test_a_stream_survives_any_frames(heard: list[str | bytes], after_ms: int) -> None:
    """Whatever the bytes, it wants something that it may want, and what it tells can be stored."""
    stream = opened()
    wants: list[Want] = []
    for frame in heard:
        wants += stream.heard(frame, stamp())
    wants += stream.tick(stamp(after_ms))
    assert all(isinstance(want, get_args(Want)) for want in wants)
    assert sum(isinstance(want, Ready) for want in wants) <= 1
    for change in changes(wants):
        assert msgspec.convert(msgspec.to_builtins(change), Change).order_id
        msgspec.json.encode(change)


# --- reconciliation

SINCE_MS = 1_700_000_000_999
SINCE = "2023-11-14T22:13:15.999Z"
LIST, FILLS = "/api/v3/brokerage/orders/historical/batch", "/api/v3/brokerage/orders/historical/fills"


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(body).encode())


def row(order_id: str = "A-1", status: str = "OPEN", **fields: Any) -> dict[str, Any]:
    return {**documented("order")["order"], "order_id": order_id, "status": status, **fields}


def page(*rows: Any, cursor: str = "") -> Response:
    return reply({"orders": rows, "has_next": bool(cursor), "cursor": cursor})


def executions(*rows: Any) -> Response:
    return reply({"fills": rows, "cursor": ""})


def reconcile(*answers: Response, open_orders: tuple[str, ...] = ()) -> tuple[Missed, list[Request]]:
    """Feed a reconciliation its canned answers; every one of them must be asked for."""
    known = Known(since_ms=SINCE_MS, open_orders=tuple((order_id, SYMBOL) for order_id in open_orders))
    return run(COINBASE.reconcile(known), *answers)


def run(flow: Generator[Request, Response, Missed], *answers: Response) -> tuple[Missed, list[Request]]:
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


NOTHING = (page(), page(), page(), page(), executions())


def test_a_reconciliation_reads_open_and_new_orders_of_both_sources_and_the_fills() -> None:
    """Five reads when nothing happened, five seconds early for the clocks; by default the venue hides other sources."""
    missed, asked = reconcile(*NOTHING)
    assert missed == Missed()
    simple = ("order_placement_source", "RETAIL_SIMPLE")
    assert [(request.path, request.query) for request in asked] == [
        (LIST, (("order_status", "OPEN"),)),
        (LIST, (("start_date", SINCE),)),
        (LIST, (("order_status", "OPEN"), simple)),
        (LIST, (("start_date", SINCE), simple)),
        (FILLS, (("start_sequence_timestamp", SINCE),)),
    ]
    assert {(request.method, request.scopes) for request in asked} == {("GET", ("private",))}


def test_the_documented_order_is_read_whole() -> None:
    """An order of a list and a report of the stream come to the same change."""
    shown = documented("order")["order"]
    [change] = reconcile(page(shown), *NOTHING[1:])[0].changes
    assert change == Change(
        order_id="11111-00000-000000",
        client_order_id="0000-00000-000000",
        symbol="BTC-USD",
        side="buy",
        order_type="limit",
        time_in_force="gtc",
        status="partially_filled",
        price="50200.00",
        size="0.001",
        filled_size="0.0005",
        venue_time="2021-05-31T09:59:59.000Z",
        raw=shown,
    )


def test_an_open_order_that_no_list_shows_is_read_by_its_id() -> None:
    """It ended in the gap: nothing else would ever tell."""
    ended = row("B/2", "CANCELLED", cancel_message="User requested cancel")
    missed, asked = reconcile(page(row("A-1")), *NOTHING[1:], reply({"order": ended}), open_orders=("A-1", "B/2"))
    assert asked[-1].path == "/api/v3/brokerage/orders/historical/B%2F2"
    assert [(change.order_id, change.status, change.cancel_reason) for change in missed.changes] == [
        ("A-1", "partially_filled", None),
        ("B/2", "canceled", "User requested cancel"),
    ]
    assert missed.complete


def execution(number: int, at: str, order_id: Any = "A-9") -> dict[str, Any]:
    return {"order_id": order_id, "trade_id": f"t{number}", "price": "30001", "size": str(number), "commission": "0.5",
            "trade_time": at}  # fmt: skip


@pytest.mark.parametrize(
    "fills",
    [
        [execution(2, "2023-11-14T22:13:21Z"), execution(1, "2023-11-14T22:13:20Z")],
        [execution(1, "2023-11-14T22:13:20Z"), execution(2, "2023-11-14T22:13:21Z")],
        [execution(2, "2023-11-14T22:13:20Z"), execution(1, "2023-11-14T22:13:20Z")],
        [execution(2, "?"), execution(1, "?"), execution(3, "2023-11-14T22:13:20Z", order_id=7)],
    ],
)
def test_an_order_filled_in_the_gap_is_found_by_its_fill(fills: list[dict[str, Any]]) -> None:
    """An order that nobody knew before and that is gone now; its newest execution goes along."""
    missed, _ = reconcile(*NOTHING[:4], executions(*fills), reply({"order": row("A-9", "FILLED", filled_size="3")}))
    [change] = missed.changes
    assert (change.status, change.filled_size) == ("filled", "3")
    assert change.last_fill == Fill(execution_id="t2", price="30001", size="2", fee="0.5")


def test_executions_are_told_apart_by_their_entry() -> None:
    """`trade_id` is unique only among FILL; a reversal, a correction or a synthetic row is no execution."""
    rows = [
        execution(1, "2023-11-14T22:13:20Z") | {"entry_id": "e1", "trade_type": "FILL"},
        *(execution(1, "2023-11-14T22:13:29Z") | {"entry_id": kind, "trade_type": kind}
          for kind in ("REVERSAL", "CORRECTION", "SYNTHETIC")),
    ]  # fmt: skip
    missed, _ = reconcile(*NOTHING[:4], executions(*rows), reply({"order": row("A-9", "FILLED", filled_size="1")}))
    assert [change.last_fill and change.last_fill.execution_id for change in missed.changes] == ["e1"]
    missed, _ = reconcile(*NOTHING[:4], executions(rows[1]), reply({"order": row("A-9", "OPEN", filled_size="0")}))
    assert [change.last_fill for change in missed.changes] == [None]


@pytest.mark.parametrize("place", range(5))
def test_a_list_that_hides_rows_leaves_the_gap_open(place: int) -> None:
    """`live` claims every order; what is shown all the same is told."""
    answers = [page(row(str(number))) for number in range(4)]
    hiding = {"orders": [row("A-7")], "fills": [], "has_next": False, "proof_token_required": True}
    answers = [*answers, executions()]
    answers[place] = reply(hiding)
    missed, _ = reconcile(*answers)
    assert not missed.complete
    assert {change.order_id for change in missed.changes} >= ({"A-7"} if place < 4 else {"0", "1", "2", "3"})


def test_what_was_read_later_counts() -> None:
    """An order that was open in the first list and filled in the second is filled."""
    missed, _ = reconcile(page(row()), page(row(status="FILLED")), *NOTHING[2:], open_orders=("A-1",))
    assert [change.status for change in missed.changes] == ["filled"]


def test_a_list_is_read_to_its_end() -> None:
    """Pages follow each other by their cursor."""
    missed, asked = reconcile(page(row("A-1"), cursor="c1"), page(row("A-2")), *NOTHING[1:])
    assert [change.order_id for change in missed.changes] == ["A-1", "A-2"]
    assert asked[1].query == (("order_status", "OPEN"), ("cursor", "c1"))


@pytest.mark.parametrize(
    "answer",
    [reply({}, 500), reply({"orders": 7}), reply({"orders": [7]}), reply({"orders": [{"order_id": ""}]}),
     Response(200, {}, b"<html>"), reply({"orders": [], "has_next": True, "cursor": ""}), reply({"errors": []}, 429)],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_list_that_cannot_be_read_leaves_it_incomplete(answer: Response, place: int) -> None:
    """The others are told all the same."""
    answers = [page(row(str(number))) for number in range(4)]
    answers[place] = answer
    missed, _ = reconcile(*answers, executions())
    assert not missed.complete
    assert [change.order_id for change in missed.changes] == [str(number) for number in range(4) if number != place]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_order_or_a_list_of_fills_that_cannot_be_read_leaves_it_incomplete(status: int) -> None:
    """No answer is not an answer."""
    assert not reconcile(*NOTHING, reply({}, status), open_orders=("A-1",))[0].complete
    assert not reconcile(*NOTHING[:4], reply({}, status))[0].complete


def test_an_order_that_the_venue_denies_shows_nothing() -> None:
    """Every read worked, so it is complete: a gap ends with what the venue still shows."""
    assert reconcile(*NOTHING, reply({"error": "NOT_FOUND"}, 404), open_orders=("A-1",))[0] == Missed()


def test_an_undocumented_status_says_nothing() -> None:
    """The last known one stays."""
    [change] = reconcile(page(row(status="UNKNOWN_ORDER_STATUS")), *NOTHING[1:])[0].changes
    assert change.status is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"reject_reason": "HOLD_FAILURE", "reject_message": "on hold"}, "HOLD_FAILURE"),
        ({"reject_reason": "REJECT_REASON_UNSPECIFIED", "reject_message": "on hold"}, "on hold"),
        ({}, None),
    ],
)
def test_a_rejection_gives_its_most_specific_reason(fields: Any, reason: str | None) -> None:
    """A placeholder is none."""
    [change] = reconcile(page(row(status="FAILED", **fields)), *NOTHING[1:])[0].changes
    assert (change.status, change.cancel_reason) == ("rejected", reason)


bodies = st.binary(max_size=30) | (
    st.fixed_dictionaries(
        {},
        optional={
            "orders": st.lists(
                st.fixed_dictionaries({"order_id": documents}, optional={"status": documents}), max_size=3
            ),
            "fills": st.lists(
                st.fixed_dictionaries({}, optional={"order_id": documents, "trade_time": documents}), max_size=3
            ),
            "order": st.fixed_dictionaries({"order_id": st.sampled_from(["A-1", "A-2"])}) | documents,
            "has_next": documents,
            "cursor": documents,
        },
    )
    | documents
).map(lambda value: json.dumps(value).encode())


@given(
    st.lists(st.builds(Response, st.sampled_from([200, 200, 404, 500]), st.just({}), bodies), min_size=1, max_size=5)
)
@settings(deadline=None, max_examples=200)
def test_a_reconciliation_survives_any_answers(answers: list[Response]) -> None:
    """Whatever its reads bring, it ends, reads only, and tells what can be stored."""
    flow = COINBASE.reconcile(Known(since_ms=0, open_orders=(("A-1", SYMBOL), ("..", None))))
    try:
        request = next(flow)
        for reads, answer in enumerate(cycle(answers)):
            assert request.method == "GET"
            assert reads < 520, "it never ends"
            request = flow.send(answer)
    except StopIteration as stop:
        missed = stop.value
    msgspec.json.encode(missed)
