"""Coinbase: the reads that are tried before they are needed."""

import pytest

from router.venue_protocol import (
    Refused,
    Response,
)
from tests.unit.venues.coinbase.canned import COINBASE, HIDING, fills, orders, positions, reply

KEY = reply({"can_view": True, "can_trade": True, "can_transfer": False, "portfolio_uuid": "p-1"})

READS = ("key_permissions", "list_orders", "list_fills", "list_positions", "get_order")

FINE = (KEY, orders(), fills(), positions(), reply({"error": "NOT_FOUND"}, 404))


def probed(*answers: Response) -> tuple[Refused | str, list[str]]:
    """Return what the probe makes of these answers, and what it read."""
    flow, asked = COINBASE.probe(), list[str]()
    try:
        asked.append(next(flow).endpoint)
        for answer in answers:
            asked.append(flow.send(answer).endpoint)
    except StopIteration as stop:
        found: Refused | str = stop.value
        return found, asked
    raise AssertionError("the probe asks on")


def test_the_probe_reads_whatever_will_be_needed() -> None:
    """The key's own permissions, then every list that a lookup or the feed reads. It tells the key's portfolio."""
    assert probed(*FINE) == ("portfolio p-1", list(READS))


@pytest.mark.parametrize("lacking", ["can_view", "can_trade"])
def test_a_key_must_view_and_trade(lacking: str) -> None:
    """A key that is taken but may not trade would fail on the first order; the refusal names its portfolio."""
    found, _ = probed(reply({"can_view": True, "can_trade": True, "portfolio_uuid": "p-1", lacking: False}))
    assert isinstance(found, Refused)
    assert (found.code, found.alert) == ("account_restricted", True)
    assert lacking in found.message
    assert "p-1" in found.message


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(401, {}, b"Unauthorized"), "auth_failed"),
        (reply({"error": "PERMISSION_DENIED", "error_details": "Missing required scopes"}, 403), "account_restricted"),
        (Response(403, {}, b"<html>"), "account_restricted"),
        (reply({}, 500), "venue_unavailable"),
        (Response(200, {}, b"<html>"), "venue_unavailable"),
    ],
)
def test_the_probe_names_what_is_refused(place: int, answer: Response, code: str) -> None:
    """The first read that fails ends it."""
    found, asked = probed(*FINE[:place], answer)
    assert isinstance(found, Refused)
    assert (found.code, asked[-1]) == (code, READS[place])
    assert READS[place] in found.message


def test_a_key_from_which_rows_are_hidden_is_named_at_the_start() -> None:
    """No lookup could ever end with it."""
    found, asked = probed(KEY, reply(HIDING["orders"]))
    assert isinstance(found, Refused)
    assert (found.code, asked[-1]) == ("account_restricted", "list_orders")
    assert "proof_token_required" in found.message


def test_a_key_whose_permissions_cannot_be_read_is_not_healthy() -> None:
    """Nothing said is nothing allowed."""
    found, _ = probed(reply({}))
    assert isinstance(found, Refused)
    assert found.code == "venue_unavailable"
