"""What an operation is: a generator that yields statements, receives rows and returns its verdict.

The logic is written once and does no I/O; `sqlite.py` and `postgres.py` each drive it inside a transaction of
their own. Statements are written with `$1` for parameters and `now_us()` for the database's clock in microseconds.
They use nothing that only one of the two understands, so a statement that works on one works on the other.
"""

from collections.abc import Callable, Generator, Sequence
from functools import cache
from itertools import chain
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


def many(sql: str, columns: str, rows: Sequence[Params]) -> Statement:
    """Return a statement that reads all `rows` as a table `given`: one round trip, and one wait, for all of them.

    `columns` names and types them: `"command_id text, version bigint"`. There are a few more rows, all null, so that
    few texts have to be prepared: `sql` must leave out those whose first column is null.
    """
    size = 1 << (len(rows) - 1).bit_length()
    nulls = (None,) * len(rows[0])
    return _spelled(sql, columns, size), tuple(chain(*rows, *(nulls for _ in range(size - len(rows)))))


@cache
def _spelled(sql: str, columns: str, size: int) -> str:
    names, types = zip(*(column.split() for column in columns.split(", ")), strict=True)
    # The first row says the types of all.
    first = ", ".join(f"cast(${number} as {kind})" for number, kind in enumerate(types, 1))
    width = len(names)
    rows = [", ".join(f"${row * width + column}" for column in range(1, width + 1)) for row in range(1, size)]
    values = ", ".join(f"({row})" for row in [first, *rows])
    return f"with given ({', '.join(names)}) as (values {values}) {sql}"


def storable(text: str) -> str:
    """Return text that both databases take: PostgreSQL refuses NUL, and neither takes a lone surrogate."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def optional(text: str | None) -> str | None:
    """Return the same for a column that may be empty."""
    return None if text is None else storable(text)
