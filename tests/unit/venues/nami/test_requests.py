"""Nami: what leaves for which command."""

from typing import Any

import pytest

from router.venue_protocol import (
    Refused,
    VenueAdapter,
)
from router.venues.nami import NamiOptions
from schemas.commands import CancelAll, Close, CloseAll
from tests.unit.venues.nami.canned import NAMI, NOT_AFTER, built, cancel


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"symbol": None}, "symbol"),
        ({"order_id": None}, "order_id"),
        ({"order_id": "0435372"}, "order_id"),
        ({"order_id": "0"}, "order_id"),
        ({"order_id": "abc"}, "order_id"),
        ({"order_id": str(2**63)}, "order_id"),
        ({"params": {"allow_notification": "yes"}}, "allow_notification"),
        ({"params": {"allow_notification": 1}}, "allow_notification"),
        ({"params": {"notify": True}}, "notify"),
    ],
)
def test_a_cancel_that_cannot_be_built_is_refused_by_the_fields_name(fields: dict[str, Any], named: str) -> None:
    """The sender learns which field is missing or wrong, and nothing is sent."""
    refused = NAMI.request(cancel(**fields), "unused")
    assert isinstance(refused, Refused)
    assert refused.code == "invalid_command"
    assert named in refused.message


def test_the_largest_id_passes() -> None:
    """Ids are 64-bit whole numbers."""
    assert str(2**63 - 1).encode() in built(order_id=str(2**63 - 1)).body


def test_there_is_nothing_to_close_or_cancel_at_once() -> None:
    """Spot has no positions, and the venue's bulk cancel has no known signing rule."""
    common: dict[str, Any] = {"command_id": "c", "venue": "nami", "account": "main", "not_after": NOT_AFTER}
    for command in (Close(symbol="BTCUSDT", **common), CloseAll(**common), CancelAll(**common)):
        refused = NAMI.request(command, "unused")
        assert isinstance(refused, Refused)
        assert refused.code == "unsupported"
        assert NAMI.repeatable(command) is False


def test_the_module_keeps_the_port() -> None:
    """The port is kept: fifty calls a minute and address, twenty of them kept for cancels, which may be repeated."""
    venue: VenueAdapter = NAMI
    assert [(limit.scope, limit.count, limit.period_s, limit.per, limit.cancels_only) for limit in venue.limits] == [
        ("ip", 50, 60.0, "ip", 20)
    ]
    assert built().scopes == ("ip",)
    assert venue.repeatable(cancel())
    assert NamiOptions().timestamp_window_s == 60.0
