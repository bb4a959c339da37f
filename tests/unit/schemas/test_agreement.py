"""The planner and the schema say the same of a command: what a sender can know of its body before it sends."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from router import venues
from router.cli.schema import generate
from router.commands.plan import Planner
from tests.unit.commands.test_mistakes import CANCEL, CLOSE, COINBASE, COMMON, NAMI, new_planner, refusal
from tests.unit.commands.virtual_time import VirtualClock, VirtualLoop

LEFT_OUT = object()
IDS = ["1000342", "0", "007", "abc", "1.5", "..", "9223372036854775807", None, LEFT_OUT]
DECIMALS = ["3", "3.44", "0", "0.0", "1e3", "-1", "03", None, LEFT_OUT]
FLAGS = [True, False, LEFT_OUT]
PARAMS = [{}, {"cancel_before": True}, {"cancel_before": False}, {"allow_notification": True}, {"more": 1}, LEFT_OUT]
SYMBOLS = ["BTC_JPY", "BIT-28JUL23-CDE", "BTC-PERP-INTX", "BTC JPY", None, LEFT_OUT]
FIELDS: dict[str, dict[str, list[Any]]] = {
    "close": {
        "symbol": SYMBOLS,
        "position_id": IDS,
        "side": ["buy", "sell", "BUY", None, LEFT_OUT],
        "size": DECIMALS,
        "order_type": ["market", "limit", "stop", "stop_limit", LEFT_OUT],
        "price": DECIMALS,
        "time_in_force": ["gtc", "ioc", "fok", "post_only", None, LEFT_OUT],
        "params": PARAMS,
        "order_id": ["1", LEFT_OUT],
    },
    "cancel": {
        "symbol": SYMBOLS,
        "order_id": IDS,
        "target_command_id": ["c0", "c 0", None, LEFT_OUT],
        "await_final": FLAGS,
        "dry_run": FLAGS,
        "params": PARAMS,
    },
    "close_all": {"symbol": SYMBOLS, "side": ["buy", None, LEFT_OUT]},
    "cancel_all": {"symbol": SYMBOLS, "side": ["buy", None, LEFT_OUT]},
}
LIMIT = {**CLOSE, "order_type": "limit", "price": "85201"}
RIGHT = (
    CLOSE,
    LIMIT,
    {**LIMIT, "time_in_force": "post_only"},
    {**CLOSE, "side": "sell", "time_in_force": "ioc", "params": {"cancel_before": True}},
    {**CANCEL, "venue": "gmo_coin"},
    COINBASE,
    {**CANCEL, "venue": "coinbase"},
    CANCEL,
    NAMI,
)
NOT_OFFERED = tuple(
    {**COMMON, "type": action, "venue": venue, "symbol": "BTC_JPY"}
    for action, venue in product(FIELDS, venues.names())
    if action not in venues.adapter_type(venue).params_types
)


@pytest.fixture(scope="module")
def planner() -> Iterator[Planner]:
    """A planner of the four venues, one account each."""
    loop = VirtualLoop()
    yield new_planner(VirtualClock(loop))
    loop.close()


def variations(command: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a command with every value of every two of its fields."""
    fields = FIELDS[command["type"]]
    for first, second in combinations(fields, 2):
        for values in product(fields[first], fields[second]):
            varied = {**command, first: values[0], second: values[1]}
            yield {name: value for name, value in varied.items() if value is not LEFT_OUT}


@pytest.mark.parametrize("command", [*RIGHT, *NOT_OFFERED], ids=str)
def test_the_schema_refuses_what_the_planner_refuses_and_nothing_else(
    planner: Planner, command: dict[str, Any]
) -> None:
    """Whatever two fields say; each command by itself goes through every rule of its venue."""
    validator = Draft202012Validator(generate()[command["type"]])
    for varied in variations(command):
        refused = refusal(planner, msgspec.json.encode(varied).decode(), {})
        assert refused is None or refused["code"] in {"invalid_command", "unsupported"}
        assert (refused is None) == validator.is_valid(varied), (varied, refused)


@pytest.mark.parametrize("command", RIGHT, ids=str)
def test_what_is_right_is_planned(planner: Planner, command: dict[str, Any]) -> None:
    """The other test begins with commands that are taken."""
    assert refusal(planner, msgspec.json.encode(command).decode(), {}) is None


@pytest.mark.parametrize("venue", venues.names())
@pytest.mark.parametrize("action", list(FIELDS))
def test_an_action_without_params_is_not_offered(planner: Planner, venue: str, action: str) -> None:
    """A venue says by `params_types` what it offers, and refuses the rest by the name of `type`."""
    command = {**COMMON, "type": action, "venue": venue, "symbol": "BTC_JPY"}
    if action == "cancel":
        command["order_id"] = "1"
    refused = refusal(planner, msgspec.json.encode(command).decode(), {})
    offered = action in venues.adapter_type(venue).params_types
    assert offered == (refused is None or not refused["message"].startswith("type: "))
