"""Coinbase: what a frame says of an order."""

import json
from collections.abc import Sequence
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol.stream import Change, Changes, Fill, Ready, Want
from tests.unit.venues.coinbase.feeding import (
    Server,
    changes,
    documented,
    frames,
    live,
    opened,
    order,
    stamp,
)


def only(wants: Sequence[Want]) -> Change:
    [change] = changes(wants)
    return change


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


def test_a_repeated_fill_is_told_again_without_a_second_execution() -> None:
    """The same state twice is the same event; it must not look like twice the fill."""
    stream, server = live(order(leaves_quantity="3"))
    frame = server.orders(order(cumulative_quantity="1", leaves_quantity="2", avg_price="30000", number_of_fills="1"))
    first, again = only(stream.heard(frame, stamp())), only(stream.heard(frame, stamp()))
    assert first.last_fill == Fill(price="30000", size="1", fee="0")
    assert again.last_fill is None
    assert again.filled_size == first.filled_size


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
