"""JSON Schema (draft 2020-12) of every message, generated from the structs, for senders in any language.

What a venue takes is its own: it comes in as an argument and is joined to the commands by conditions on `venue`. No
keyword is used that draft 7 reads otherwise, and no pattern that RE2 refuses, so most languages have a library for it.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from schemas.alerts import Alert
from schemas.commands import Cancel, CancelAll, Close, CloseAll
from schemas.conditions import EVERYWHERE, Schema, VenueRules, at, not_at
from schemas.events import FeedStatus, OrderEvent
from schemas.fields import END, NOT_ZERO
from schemas.results import Result

FOLDER: Final = Path(__file__).parent / "json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
COMMANDS: Final[Mapping[str, type[Struct]]] = {
    "close": Close,
    "cancel": Cancel,
    "close_all": CloseAll,
    "cancel_all": CancelAll,
}
MESSAGES: Final[Mapping[str, type[Struct]]] = {
    **COMMANDS,
    "result": Result,
    "order_event": OrderEvent,
    "feed_status": FeedStatus,
    "alert": Alert,
}


def schemas(venues: Mapping[str, VenueRules]) -> dict[str, dict[str, Any]]:
    """Return message → schema, each complete in itself. `venues`: name → what the venue takes."""
    return {name: _schema(name, kind, venues) for name, kind in MESSAGES.items()}


def render(schema: Mapping[str, Any]) -> str:
    """Return the text of a schema's file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def portable(pattern: str) -> dict[str, Any]:
    """Say as JSON Schema what one of our patterns (`schemas.fields`) demands of a text.

    The result means the same in RE2, ECMA-262 and Python, whose `$` would let a newline pass.
    """
    refused = [r"\n"]
    if NOT_ZERO in pattern:
        refused.append(r"^[0.]*$")
    return {"pattern": pattern.replace(NOT_ZERO, "").replace(END, "$"), "not": {"pattern": "|".join(refused)}}


def _schema(name: str, kind: type[Struct], venues: Mapping[str, VenueRules]) -> dict[str, Any]:
    (reference,), parts = _described(kind, "")
    own = parts.pop(reference["$ref"].rpartition("/")[2])
    own["properties"]["type"]["description"] = "Which message this is."
    schema: dict[str, Any] = {"$schema": DIALECT, **own, "title": name}
    if name in COMMANDS:
        conditions = list(EVERYWHERE.get(name, ()))
        if elsewhere := sorted(venue for venue, rules in venues.items() if name not in rules.params):
            conditions.append(not_at(elsewhere, name))
        for venue, rules in sorted(venues.items()):
            if name in rules.params:
                (params,), venue_parts = _described(rules.params[name], f"{venue}.")
                parts |= venue_parts
                conditions.append(at(venue, _rules(params, rules.conditions.get(name, ()))))
        if conditions:
            schema["allOf"] = conditions
    if parts:
        schema["$defs"] = dict(sorted(parts.items()))
    return schema


def _rules(params: Schema, conditions: tuple[Schema, ...]) -> Schema:
    rules = {"properties": {"params": params}}
    return {**rules, "allOf": list(conditions)} if conditions else rules


def _described(kind: type[Struct], prefix: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Return a reference to a struct's schema, and the parts: it and what it is made of, named with the prefix."""
    references, parts = msgspec.json.schema_components((kind,), ref_template=f"#/$defs/{prefix}{{name}}")
    for struct in _structs(kind):
        part = parts[struct.__name__]
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
        for name, description in _descriptions(struct).items():
            part["properties"][name]["description"] = description
    _make_portable(parts)
    return references, {prefix + name: part for name, part in parts.items()}


def _structs(kind: Any) -> Iterator[type[Struct]]:
    """Return the structs that a type is made of."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from _structs(field.type)
    for part in get_args(kind):
        yield from _structs(part)


def _descriptions(kind: type[Struct]) -> dict[str, str]:
    """Return field → the text that stands below it in the source, those of the structs that it builds on included."""
    found = {}
    for base in reversed(kind.__mro__):
        if not issubclass(base, Struct) or base is Struct:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for statement, following in pairwise(definition.body):
            match statement, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                    found[name] = " ".join(text.split())
    return found


def _make_portable(schema: Any) -> None:
    """Replace our patterns wherever they stand, and say of words that they are text: code generators ask for it."""
    if isinstance(schema, dict):
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and END in pattern:
            schema |= portable(pattern)
        if isinstance(schema.get("enum"), list):
            schema["type"] = "string"
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _make_portable(part)
