"""What an operation is: a generator that yields statements, receives rows and returns its verdict.

The logic is written once and does no I/O; `sqlite.py` and `postgres.py` each drive it inside a transaction of
their own. Statements are written with `$1` for parameters and `now_us()` for the database's clock in microseconds.
They use nothing that only one of the two understands, so a statement that works on one works on the other.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

Key = tuple[int, str, str]
"""A command's `received_us`, its id and its sender: what the keys of its attempts and results begin with."""

Params = tuple[str | int | None, ...]
Statement = tuple[str, Params]
Rows = Sequence[Sequence[Any]]
Steps = Generator[Statement, Rows, T]
Operation = Callable[[], Steps[T]]
"""Begins the operation anew each time it is called, so that a transaction that lost a race can be run again."""


def storable(text: str) -> str:
    """Return text that both databases take: PostgreSQL refuses NUL, and neither takes a lone surrogate."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def optional(text: str | None) -> str | None:
    """Return the same for a column that may be empty."""
    return None if text is None else storable(text)
