"""BtcTurk: what leaves for which command."""

import pytest

from router.venue_protocol import (
    Refused,
    Request,
)
from schemas.commands import CancelAll, CloseAll, Command
from tests.unit.venues.btcturk.canned import BTCTURK, CLOSE, NOT_AFTER, ONE, cancel


def test_a_cancel_names_the_order_in_the_query() -> None:
    """The document's example; the symbol is allowed and not sent."""
    wanted = Request(
        method="DELETE", path="/api/v1/order", endpoint="cancel", query=(("id", "123456789"),), scopes=("delete",)
    )
    assert BTCTURK.request(cancel(), ONE) == wanted
    assert BTCTURK.request(cancel(symbol="BTCTRY"), ONE) == wanted


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        (CLOSE, "unsupported", "spot only"),
        (CloseAll(command_id="c", venue="btcturk", account="main", not_after=NOT_AFTER), "unsupported", "type"),
        (CancelAll(command_id="c", venue="btcturk", account="main", not_after=NOT_AFTER), "unsupported", "type"),
        (cancel(order_id=None, target_command_id="x"), "invalid_command", "order_id"),
        (cancel(order_id="abc"), "invalid_command", "order_id"),
        (cancel(order_id="007"), "invalid_command", "order_id"),
        (cancel(order_id="9223372036854775808"), "invalid_command", "order_id"),
        (cancel(params={"foo": 1}), "invalid_command", "foo"),
    ],
)
def test_what_the_venue_cannot_honour_is_refused_by_name(command: Command, code: str, named: str) -> None:
    """Nothing is silently ignored: the refusal names what is wrong."""
    refused = BTCTURK.request(command, ONE)
    assert isinstance(refused, Refused)
    assert (refused.code, named in refused.message) == (code, True)


def test_a_cancel_may_be_repeated() -> None:
    """Cancelling a cancelled order is a success at this venue."""
    assert BTCTURK.repeatable(cancel())
    assert not BTCTURK.repeatable(CLOSE)
    assert BTCTURK.position(CLOSE) == "BTCTRY"
