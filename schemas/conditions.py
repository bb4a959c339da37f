"""Rules across the fields of a command, as JSON Schema; a venue's own rules are written with the same words.

JSON Schema has no word for "given": a field may be left out or be `null`, and both mean the same here.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

Schema = Mapping[str, Any]
Conditions = Mapping[str, tuple[Schema, ...]]
"""Action → what must hold of a command of that action."""


class VenueRules(Struct, frozen=True, kw_only=True):
    """What one venue takes. An action without `params` is not offered there."""

    params: Mapping[str, type[Struct]]
    """Action → the strict struct of its `params`."""
    conditions: Conditions = {}


def given(*names: str) -> Schema:
    """Say that these fields are there and not `null`."""
    return {"properties": {name: {"not": {"type": "null"}} for name in names}, "required": list(names)}


def left_out(*names: str) -> Schema:
    """Say that these fields are not there, or `null`."""
    return {"properties": {name: {"type": "null"} for name in names}}


def one_of(name: str, *values: object) -> Schema:
    """Say that a field is there and has one of these values."""
    value = {"const": values[0]} if len(values) == 1 else {"enum": list(values)}
    return {"properties": {name: value}, "required": [name]}


def text(name: str, *, pattern: str = "", but_not: str = "") -> Schema:
    """Say what the text of a field looks like, if it is given. Patterns that RE2 takes."""
    like: dict[str, Any] = {"type": "string"}
    if pattern:
        like["pattern"] = pattern
    if but_not:
        like["not"] = {"pattern": but_not}
    return {"properties": {name: {"anyOf": [like, {"type": "null"}]}}}


def when(condition: Schema, then: Schema, otherwise: Schema | None = None, *, why: str) -> Schema:
    """Say that one thing follows from another; `why` is the rule in a sentence."""
    rule = {"description": why, "if": condition, "then": then}
    return rule if otherwise is None else {**rule, "else": otherwise}


def always(*rules: Schema, why: str) -> Schema:
    """Say that all of these hold; `why` is the rule in a sentence."""
    return {"description": why, **(rules[0] if len(rules) == 1 else {"allOf": list(rules)})}


def at(venue: str, then: Schema) -> Schema:
    """Say what holds at one venue."""
    return {"if": one_of("venue", venue), "then": then}


def not_at(venues: list[str], action: str) -> Schema:
    """Say which venues do not offer an action."""
    why = f"{', '.join(venues)}: there is no {action}."
    return {"properties": {"venue": {"description": why, "not": {"enum": venues}}}}


EVERYWHERE: Final[Conditions] = {
    "close": (
        when(
            one_of("order_type", "limit", "stop"),
            given("price"),
            left_out("price"),
            why="A limit or stop order needs a price; a market order takes none.",
        ),
    ),
    "cancel": (
        {
            "description": "Either order_id or target_command_id, not both.",
            "oneOf": [given("order_id"), given("target_command_id")],
        },
    ),
}
"""What holds at every venue."""
