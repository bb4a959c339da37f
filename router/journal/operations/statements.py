"""What an operation is: a generator that yields statements, receives rows and returns its verdict.

The logic is written once and does no I/O; `sqlite.py` and `postgres.py` each drive it inside a transaction of
their own. Statements are written with `$1` for parameters, `now_us()` for the database's clock in microseconds and
`gone(column)` for an owner that is known to have died; `uuid_in(column, 'name')` finds an id in a text, damaged or not.
They use nothing that only one of the two understands, so a statement that works on one works on the other; how many
rows are handed over is each back end's own way.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

Key = tuple[int, str, str]
"""A command's `received_us`, its id and its sender: what the keys of its attempts and results begin with."""

Params = tuple[str | int | None, ...]


class Many(NamedTuple):
    """A statement that reads any number of rows as a table `given`: one round trip, and one wait, for all of them.

    `columns` names and types them: `"command_id text, version bigint"`. There may be a few rows more, all null: `sql`
    must leave out those whose first column is null.
    """

    sql: str
    columns: str

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.split()[0] for column in self.columns.split(", "))

    @property
    def types(self) -> tuple[str, ...]:
        """The columns' types."""
        return tuple(column.split()[1] for column in self.columns.split(", "))


Statement = tuple[str, Params] | tuple[Many, Sequence[Params]]
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
