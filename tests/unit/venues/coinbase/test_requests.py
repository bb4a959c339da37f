"""Coinbase: what leaves for which command."""

import json
from typing import Any

import pytest

from router.venue_protocol import (
    Refused,
    Request,
    VenueAdapter,
)
from router.venues.coinbase import Coinbase, CoinbaseOptions
from schemas.commands import CancelAll, CloseAll
from tests.unit.venues.coinbase.canned import COINBASE, NOT_AFTER, OURS, SYMBOL, cancel, close


def test_a_close_without_size_asks_for_the_whole_position() -> None:
    """The key is left out, not null: an unknown or empty field would be the venue's to interpret."""
    request = COINBASE.request(close(), OURS)
    assert isinstance(request, Request)
    assert (request.method, request.path) == ("POST", "/api/v3/brokerage/orders/close_position")
    assert request.body == f'{{"client_order_id":"{OURS}","product_id":"{SYMBOL}"}}'.encode()
    assert request.scopes == ("private",)


def test_a_size_reaches_the_venue_as_text() -> None:
    """The page's schema says string, so a number never passes through a float."""
    request = COINBASE.request(close(size="3"), OURS)
    assert isinstance(request, Request)
    assert json.loads(request.body)["size"] == "3"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("position_id", "1"),
        ("side", "sell"),
        ("order_type", "limit"),
        ("order_type", "stop"),
        ("price", "100"),
        ("time_in_force", "gtc"),
        ("params", {"anything": 1}),
        ("size", "1.5"),
        ("size", "2.0"),
        ("symbol", "BTC-PERP-INTX"),
    ],
)
def test_a_close_refuses_what_the_venue_cannot_honour(field: str, value: Any) -> None:
    """A field that would be dropped silently is refused by its name instead."""
    refused = COINBASE.request(close(**{field: value}), OURS)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message.startswith(f"{field}:")) == ("unsupported", True)


def test_a_cancel_names_one_order() -> None:
    """Only the venue's id is sent; a symbol given with it changes nothing."""
    request = COINBASE.request(cancel(symbol=SYMBOL), OURS)
    assert isinstance(request, Request)
    assert (request.path, request.body) == ("/api/v3/brokerage/orders/batch_cancel", b'{"order_ids":["A-1"]}')


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"order_id": None}, "order_id"), ({"order_id": ".."}, "order_id"), ({"params": {"size": 1}}, "size")],
)
def test_a_cancel_that_names_no_order_is_refused(fields: dict[str, Any], named: str) -> None:
    """An empty id hangs at the venue, a dotted one walks the path, and there are no params."""
    refused = COINBASE.request(cancel(**fields), OURS)
    assert isinstance(refused, Refused)
    assert refused.code == "invalid_command"
    assert named in refused.message


def test_all_at_once_is_not_supported() -> None:
    """Neither endpoint closes or cancels everything."""
    for kind in (CloseAll, CancelAll):
        refused = COINBASE.request(kind(command_id="c", venue="coinbase", account="main", not_after=NOT_AFTER), OURS)
        assert isinstance(refused, Refused)
        assert refused.code == "unsupported"


def test_only_the_switch_makes_a_close_repeatable() -> None:
    """A cancel may be sent twice; a close only where the operator has proven the replay."""
    assert COINBASE.repeatable(cancel())
    assert not COINBASE.repeatable(close())
    resending = Coinbase(CoinbaseOptions(resend_close=True))
    assert resending.repeatable(close())
    assert not resending.repeatable(CloseAll(command_id="c", venue="coinbase", account="main", not_after=NOT_AFTER))


def test_the_module_keeps_the_port() -> None:
    """It is a VenueAdapter; one close at a time per product, thirty requests a second, tokens of two minutes."""
    venue: VenueAdapter = COINBASE
    assert venue.position(close()) == SYMBOL
    assert [(limit.scope, limit.count, limit.period_s, limit.per) for limit in venue.limits] == [
        ("private", 30, 1.0, "account")
    ]
    assert CoinbaseOptions().timestamp_window_s == 120.0
