"""Coinbase: the private order feed."""

import base64
import hashlib
import json
from collections.abc import Sequence

import pytest

from router.venue_protocol import Request
from router.venue_protocol.stream import Broken, Connect, Ready, Say, Want
from router.venues.coinbase import Coinbase, CoinbaseOptions
from tests.unit.venues.coinbase.feeding import (
    COINBASE,
    SECRETS,
    Server,
    changes,
    documented,
    live,
    opened,
    order,
    stamp,
)


def broken(wants: Sequence[Want]) -> str | None:
    return next((want.reason for want in wants if isinstance(want, Broken)), None)


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


def test_the_documented_heartbeat_is_a_sign_of_life() -> None:
    """Its counter may be text."""
    stream = opened()
    assert not stream.heard(json.dumps(documented("heartbeats")), stamp(8_000))
    assert not broken(stream.tick(stamp(9_000)))


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
