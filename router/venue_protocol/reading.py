"""Read what venues write: decimal text, times, 64-bit ids, objects that can be passed on.

A venue's number reaches the sender in the venue's own digits, so numbers stay text; `float_hook=str` of a decoder
keeps the text of a JSON number. What cannot be read is `None`, never a guess.
"""

import re
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T", bound=Struct)

UNREADABLE: Final = (ValueError, OverflowError, RecursionError)
"""What decoding can raise: msgspec's errors are `ValueError`s, and so is broken UTF-8."""

EXACT: Final = Context(prec=200)
"""Sums and products of a venue's numbers stay exact: a quantity has at most 80 digits, a product of two 160."""

MAX_ID: Final = 2**63 - 1

_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")


def is_id(text: str) -> bool:
    """Say whether a text is a positive int64 as such ids are written: it then comes out of JSON as it went in."""
    return _ID.fullmatch(text) is not None and int(text) <= MAX_ID


def signed_decimal(value: object) -> str | None:
    """Return a number's own text, an exponent such as 1e-7 written out; `None` for what is no number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value) if isinstance(value, str) or -(10**40) < value < 10**40 else ""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return None
    return f"{EXACT.create_decimal(text):f}" if found[2] else text


def decimal(value: object) -> str | None:
    """Return the text of a number that is zero or more; else `None`."""
    text = signed_decimal(value)
    return None if text is None or text.startswith("-") else text


def is_positive(text: str | None) -> bool:
    """Say whether decimal text is above zero."""
    return bool(text and not text.startswith("-") and text.strip("0."))


def positive(value: object) -> str | None:
    """Return the text of a number above zero; else `None`: venues write 0 for "none"."""
    text = decimal(value)
    return text if is_positive(text) else None


def plain(value: Decimal) -> str:
    """Write a number without exponent and without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def same_number(first: object, second: object) -> bool | None:
    """Say whether two numbers are equal whatever their digits; `None` when one of them cannot be read."""
    one, two = signed_decimal(first), signed_decimal(second)
    return None if one is None or two is None else Decimal(one) == Decimal(two)


def text_of(value: object, most: int = 200) -> str | None:
    """Return a text that is not empty, cut to a length that fits a message; else `None`."""
    return value[:most] if isinstance(value, str) and value else None


def word_of(value: object) -> str:
    """Return an enumeration's name: `Stop Limit` and `stop_limit` are STOP_LIMIT."""
    return str(value).upper().replace(" ", "_") if isinstance(value, str | bool) else ""


def whole_number(value: object) -> int | None:
    """Return a whole number of zero or more, written as a number or as text; else `None`."""
    text = str(value) if type(value) is str or (type(value) is int and value < 10**18) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def iso_ms(value: object) -> float:
    """Return an ISO 8601 time with an offset in milliseconds since 1970; 0 when there is none to read."""
    try:
        time = datetime.fromisoformat(value if isinstance(value, str) else "")
        return max(time.timestamp() * 1000, 0.0) if time.tzinfo else 0.0
    except (ValueError, OverflowError):
        return 0.0


def iso_time(value: object) -> str | None:
    """Return an ISO 8601 time as it was written; `None` when it cannot be read or stands for none (year 1)."""
    return value if isinstance(value, str) and iso_ms(value) > 0 else None


def rfc3339(at_ms: float) -> str:
    """Write milliseconds since 1970 as RFC 3339 with milliseconds, in UTC; before 1970 is 1970."""
    at = datetime.fromtimestamp(max(at_ms, 0) / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def ms_time(value: object) -> str | None:
    """Return milliseconds since 1970, as number or text, as RFC 3339; 0 is no time."""
    at_ms = whole_number(value)
    try:
        return rfc3339(at_ms) if at_ms else None
    except (ValueError, OverflowError, OSError):
        return None


def raw_object(said: Any) -> Any:
    """Return the venue's own object, unless it holds what no codec of ours can carry on."""
    try:
        msgspec.msgpack.encode(said)
    except UNREADABLE:
        return None
    return said


def objects(value: object) -> list[dict[str, Any]] | None:
    """Return a list of JSON objects; `None` when it is anything else."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        return None
    return value


def converted(row: object, kind: type[T]) -> T | None:
    """Read a row into its struct; `None` when it lacks what must be there."""
    try:
        return msgspec.convert(row, kind)
    except UNREADABLE:
        return None
