"""What is wrong with a command, in the words of whoever sent it.

The decoders stop at the first mistake and name our types. Whoever must mend a command wants the field, what is expected
there, the accepted values where they are few, and all mistakes at once. So a body that was refused is read again, field
by field. Only refused ones: none of this is on the way of a command that is right.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from schemas import fields
from schemas.commands import Cancel, CancelAll, Close, CloseAll

MOST: Final = 6
"""So many mistakes are told; of more it is said how many there are."""
SHOWN: Final = 40
"""How much of a sender's own text is repeated."""

COMMANDS: Final[Mapping[str, type[Struct]]] = {
    "close": Close,
    "cancel": Cancel,
    "close_all": CloseAll,
    "cancel_all": CancelAll,
}
EXPECTED: Final[tuple[tuple[Any, str], ...]] = (
    (fields.CommandId, '1 to 64 letters, digits or . _ : - in a string, such as "close-2026-11-27.1"'),
    (fields.Venue, 'the name of a venue in lower case, such as "gmo_coin"'),
    (fields.Account, '1 to 64 letters, digits or _ - in a string, such as "main"'),
    (fields.Symbol, 'the venue\'s own symbol in a string, such as "BTC_JPY"'),
    (fields.PositiveDecimal, 'a decimal above zero in a string, such as "0.01"'),
    (fields.Time, 'a time with an offset in a string, such as "2026-11-27T10:00:00Z"'),
    (bool, "true or false"),
    (str, "a string"),
    (int, "a whole number"),
    (float, "a number"),
    (Decimal, 'a decimal, such as "0.01"'),
    (dict[str, Any], 'an object, such as {"name": "value"}'),
)
OF_THE_VENUE: Final = frozenset({"order_id", "position_id"})
_PLACE: Final = re.compile(r"\(byte (\d+)\)")


def mistakes_in(command: object) -> str:
    """Say all that is wrong with a decoded command; empty if nothing is."""
    if not isinstance(command, Mapping):
        return f"the body: expected an object with the fields of a command, got {_got(command)}"
    kind = COMMANDS.get(command["type"]) if isinstance(command.get("type"), str) else None
    if kind is None:
        if "type" not in command:
            return f"type: it is missing; expected {_one_of(COMMANDS)}"
        return f"type: expected {_one_of(COMMANDS)}, got {_got(command['type'])}"
    given = {name: value for name, value in command.items() if name != "type"}
    return mistakes(kind, given, of=f"a {command['type']}")


def mistakes(kind: type[Struct], given: Mapping[Any, Any], *, of: str, path: str = "") -> str:
    """Say what is wrong with the fields of a struct; empty if nothing is. `of` says what has these fields."""
    found = list(_mistakes(kind, given, of, path))
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return "; ".join(found[:MOST]) + more


def malformed(error: Exception, kind: str) -> str:
    """Say why a body cannot be read at all. `kind` is JSON or MessagePack."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError) or "utf-8" in text.lower():
        return "the body: expected text in UTF-8"
    if "truncated" in text:
        return f"the body: expected {kind}; it ends too early"
    place = _PLACE.search(text)
    if kind == "JSON" and place is not None:
        what = text.partition(":")[2].rpartition("(")[0].strip() or "not JSON"
        return f"the body: expected JSON; at byte {place[1]}: {what}"
    return f"the body: expected {kind}"


def _mistakes(kind: type[Struct], given: Mapping[Any, Any], of: str, path: str) -> Iterator[str]:
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{path}{_short(str(name))}: {of} has no such field{hint}"
    for name, field in known.items():
        if name not in given:
            if field.required:
                yield f"{path}{name}: it is missing; expected {_expected(name, field.type)}"
        elif not _fits(given[name], field.type):
            yield f"{path}{name}: expected {_expected(name, field.type)}, got {_got(given[name])}"


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return False
    return True


def _expected(name: str, kind: Any) -> str:
    if name in OF_THE_VENUE:
        return 'the venue\'s id in a string, such as "123456"'
    kinds = [part for part in get_args(kind) if part is not type(None)] if _is_union(kind) else [kind]
    for part in kinds:
        for known, text in EXPECTED:
            if part == known:
                return text
        if get_origin(part) is Literal:
            return _one_of(get_args(part))
    return "another value"


def _is_union(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _one_of(values: Any) -> str:
    names = [f'"{value}"' for value in values]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _got(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value!r}"[:SHOWN]
        case str():
            return _short(json.dumps(value))
        case list() | tuple():
            return "an array"
        case Mapping():
            return "an object"
        case _:
            return "something else"


def _short(text: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
