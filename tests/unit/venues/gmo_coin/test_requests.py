"""GMO Coin: what leaves for which command."""

import json
from typing import Any

import pytest

from router.venue_protocol import (
    Refused,
    Request,
)
from schemas.commands import CancelAll, CloseAll, Command
from tests.unit.venues.gmo_coin.canned import DOCUMENTED, GMO, NOT_AFTER, cancel, close

ONE = "0f9e2c1a-6b5d-5c3e-9a47-2d8f6b1c0e35"


def body_of(command: Command) -> Any:
    """Return the JSON that a command becomes."""
    request = GMO.request(command, ONE)
    assert isinstance(request, Request), request
    return json.loads(request.body)


def test_the_documents_close_comes_out_byte_for_byte() -> None:
    """The document's example, key by key, compact."""
    command = close(order_type="limit", price="85201", time_in_force="gtc")
    wanted = Request(method="POST", path="/v1/closeOrder", endpoint="closeOrder", body=DOCUMENTED, scopes=("post",))
    assert GMO.request(command, ONE) == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, {"side": "BUY", "executionType": "MARKET"}),
        ({"side": "sell"}, {"side": "SELL", "executionType": "MARKET"}),
        ({"order_type": "limit", "price": "1.50"}, {"executionType": "LIMIT", "price": "1.50"}),
        ({"order_type": "stop", "price": "1"}, {"executionType": "STOP", "price": "1"}),
        ({"time_in_force": "ioc"}, {"timeInForce": "FAK"}),
        ({"time_in_force": "fok"}, {"timeInForce": "FOK"}),
        ({"time_in_force": "gtc"}, {"timeInForce": "FAS"}),
        ({"order_type": "limit", "price": "1", "time_in_force": "post_only"}, {"timeInForce": "SOK"}),
        ({"side": "sell", "params": {"cancel_before": True}}, {"cancelBefore": True}),
        ({"side": "sell", "time_in_force": "ioc", "params": {"cancel_before": True}}, {"cancelBefore": True}),
        ({"symbol": "ETH_JPY"}, {"symbol": "ETH_JPY"}),
        (
            {"position_id": "9223372036854775807", "size": "0.010"},
            {"settlePosition": [{"positionId": 9223372036854775807, "size": "0.010"}]},
        ),
    ],
)
def test_every_parameter_reaches_the_venue(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    """A field becomes what the venue calls it, its text unchanged."""
    body = body_of(close(**fields))
    assert {key: body[key] for key in wanted} == wanted


def test_what_was_not_asked_for_is_left_out() -> None:
    """Without time in force, price or cancel_before the venue's documented defaults hold."""
    wanted = ["symbol", "side", "executionType", "settlePosition"]
    assert list(body_of(close())) == wanted
    assert list(body_of(close(params={"cancel_before": False}))) == wanted


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        (close(position_id=None), "invalid_command", "position_id"),
        (close(side=None), "invalid_command", "side"),
        (close(size=None), "invalid_command", "size"),
        (close(position_id="x1"), "invalid_command", "position_id"),
        (close(position_id="01000342"), "invalid_command", "position_id"),
        (close(position_id="0"), "invalid_command", "position_id"),
        (close(position_id="9223372036854775808"), "invalid_command", "position_id"),
        (close(order_type="limit"), "invalid_command", "price"),
        (close(order_type="stop"), "invalid_command", "price"),
        (close(price="1"), "invalid_command", "price"),
        (close(params={"cancel_before": "yes"}), "invalid_command", "cancel_before"),
        (close(params={"foo": 1}), "invalid_command", "foo"),
        (close(time_in_force="post_only"), "unsupported", "time_in_force"),
        (close(order_type="stop", price="1", time_in_force="post_only"), "unsupported", "time_in_force"),
        (close(params={"cancel_before": True}), "unsupported", "cancel_before"),
        (close(side="sell", time_in_force="fok", params={"cancel_before": True}), "unsupported", "cancel_before"),
        (
            close(side="sell", order_type="limit", price="1", params={"cancel_before": True}),
            "unsupported",
            "cancel_before",
        ),
        (cancel(order_id=None, target_command_id="x"), "invalid_command", "order_id"),
        (cancel(order_id="6e5"), "invalid_command", "order_id"),
        (cancel(params={"cancel_before": True}), "invalid_command", "cancel_before"),
        (CloseAll(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER), "unsupported", "type"),
        (CancelAll(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER), "unsupported", "type"),
    ],
)
def test_what_the_venue_cannot_honour_is_refused_by_name(command: Command, code: str, named: str) -> None:
    """Nothing is silently ignored: the refusal names the field."""
    refused = GMO.request(command, ONE)
    assert isinstance(refused, Refused)
    assert (refused.code, named in refused.message) == (code, True)


def test_a_cancel_sends_the_number() -> None:
    """The order id is a JSON number; the symbol is allowed and not needed."""
    wanted = Request(
        method="POST", path="/v1/cancelOrder", endpoint="cancelOrder", body=b'{"orderId":637000}', scopes=("post",)
    )
    assert GMO.request(cancel(), ONE) == wanted
    assert GMO.request(cancel(symbol="BTC_JPY"), ONE) == wanted


def test_only_a_cancel_may_be_repeated() -> None:
    """The venue has no client order id, so a second close may close more."""
    assert GMO.repeatable(cancel())
    assert not GMO.repeatable(close())


def test_closes_of_one_position_exclude_each_other() -> None:
    """The position's id is what one close at a time may touch."""
    assert GMO.position(close()) == "1000342"
