"""JSON Schema (draft 2020-12) of every message, generated from the structs, for senders in any language.

What a venue takes in `params` is its own; those structs come in as an argument and are joined to the command by a
condition on `venue`.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.commands import Cancel, CancelAll, Close, CloseAll
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result

FOLDER: Final = Path(__file__).parent / "json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MESSAGES: Final[Mapping[str, type[Struct]]] = {
    "close": Close,
    "cancel": Cancel,
    "close_all": CloseAll,
    "cancel_all": CancelAll,
    "result": Result,
    "order_event": OrderEvent,
    "feed_status": FeedStatus,
}

ParamsTypes = Mapping[str, Mapping[str, type[Struct]]]
"""Venue → action → the struct of its `params`."""


def schemas(params_types: ParamsTypes) -> dict[str, dict[str, Any]]:
    """Return message → schema, each complete in itself."""
    return {name: _schema(name, kind, params_types) for name, kind in MESSAGES.items()}


def render(schema: Mapping[str, Any]) -> str:
    """Return the text of a schema's file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _schema(name: str, kind: type[Struct], params_types: ParamsTypes) -> dict[str, Any]:
    (reference,), parts = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    own = parts.pop(reference["$ref"].rpartition("/")[2])
    conditions = []
    for venue, by_action in sorted(params_types.items()):
        if name in by_action:
            then, venue_parts = _params(venue, by_action[name])
            parts |= venue_parts
            conditions.append({"if": {"properties": {"venue": {"const": venue}}}, "then": {"properties": then}})
    schema: dict[str, Any] = {"$schema": DIALECT, **own, "title": name}
    if conditions:
        schema["allOf"] = conditions
    if parts:
        schema["$defs"] = dict(sorted(parts.items()))
    return _cleaned(schema)


def _cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """Take the indentation out of descriptions, which are docstrings."""
    for part in (schema, *schema.get("$defs", {}).values()):
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    return schema


def _params(venue: str, kind: type[Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the `params` property of one venue and what it refers to, under names of that venue's own."""
    prefix = f"{venue}."
    (reference,), parts = msgspec.json.schema_components((kind,), ref_template=f"#/$defs/{prefix}{{name}}")
    return {"params": reference}, {prefix + name: part for name, part in parts.items()}
