"""What commands print: tables in colour on a terminal, plain lines in a pipe, JSON where it is asked for.

On a terminal nothing is wider than the terminal: long cells are folded within their column. In a pipe nothing is folded
or cut, so that a line stays a line; the columns are two spaces apart.
"""

import datetime
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from router.cli.formatting import shown

if TYPE_CHECKING:
    from rich.console import Console

STYLES: Final = {
    **dict.fromkeys(("ok", "accepted", "done", "final", "live", "sent"), "green"),
    **dict.fromkeys(("failed", "rejected", "unresolved", "down", "not executed"), "red"),
    **dict.fromkeys(("warning", "in_doubt", "open", "partial", "gap"), "yellow"),
    "command": "bold",
}
"""The colours of words that say how something stands."""


class Column(NamedTuple):
    """One column. `coloured`: by `STYLES`. `whole`: never folded, for what is copied. `right`: numbers."""

    heading: str
    coloured: bool = False
    whole: bool = False
    right: bool = False


def on_terminal() -> bool:
    """Return whether somebody reads along."""
    return sys.stdout.isatty()


def console() -> "Console":
    """Return the terminal. It is loaded only where there is one: that takes longer than a small command."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows; nothing when there are none. Whatever comes from outside is escaped here."""
    cells = [tuple(shown(cell) for cell in row) for row in rows]
    if not cells:
        return
    if on_terminal():
        _draw(columns, cells)
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        typer.echo("  ".join(padded).rstrip())


def row(widths: Sequence[int], cells: Sequence[str]) -> None:
    """Print one row now, of a table whose end is not known yet: the first cell in colour, the last with the rest."""
    texts = [shown(cell) for cell in cells]
    if not on_terminal():
        padded = [text.ljust(width) for text, width in zip(texts, widths, strict=False)]
        typer.echo("  ".join([*padded, texts[-1]]))
        return
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for width in widths:
        drawn.add_column(min_width=width, overflow="fold")
    drawn.add_column(overflow="fold")
    drawn.add_row(Text(texts[0], style=STYLES.get(texts[0], "")), *map(Text, texts[1:]))
    console().print(drawn)


def lines(*texts: str) -> None:
    """Print lines; on a terminal they are folded between words, and the word that one begins with has its colour."""
    if not on_terminal():
        for text in texts:
            typer.echo(shown(text))
        return
    from rich.text import Text

    terminal = console()
    for text in texts:
        line = Text(shown(text))
        word = re.split(r"[ :]", text, maxsplit=1)[0]
        line.stylize(STYLES.get(word, ""), 0, len(word))
        terminal.print(line)


def as_json(value: object) -> None:
    """Print one line of JSON."""
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())


def rfc3339(us: int | None) -> str | None:
    """Return microseconds since 1970 as programs read a time."""
    if us is None:
        return None
    from router.clock import to_time

    return to_time(us).isoformat(timespec="microseconds").replace("+00:00", "Z")


def since(text: str | None) -> int | None:
    """Read `10m`, `2h`, `1d` or an RFC 3339 time as microseconds since 1970. Raises a usage error for anything else."""
    if text is None:
        return None
    from router.clock import to_us

    number, unit = text[:-1], {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
    now = datetime.datetime.now(datetime.UTC)
    try:
        if unit is not None and number.replace(".", "", 1).isdecimal():
            return to_us(now - datetime.timedelta(seconds=float(number) * unit))
        time = datetime.datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return to_us(time)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f'expected 30s, 10m, 2h, 1d or a time such as "{now:%Y-%m-%dT%H:%M:%SZ}", got {text!r}')


def _draw(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    named = any(column.heading for column in columns)
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=named)
    terminal = console()
    for number, column in enumerate(columns):
        justify: Any = "right" if column.right else "left"
        whole = column.coloured or (column.whole and max(len(row[number]) for row in rows) <= terminal.width // 2)
        drawn.add_column(column.heading, overflow="fold", no_wrap=whole, justify=justify)
    for row in rows:
        drawn.add_row(
            *(
                Text(cell, style=STYLES.get(cell.partition(" ")[0], "") if column.coloured else "")
                for column, cell in zip(columns, row, strict=True)
            )
        )
    console().print(drawn)
