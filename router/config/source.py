"""Where settings come from: a TOML file and the environment, as one set of tables whose values know their place.

Nothing is interpreted here but the shape: `[broker]` has keys, `[venues.x]` and `[accounts.x.y]` have names first.
A fault is a line of text that says where and what. It quotes names, never a value.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

PREFIX: Final = "ORDER_ROUTER_"
SECTIONS: Final[Mapping[str, int]] = {
    "broker": 1,
    "journal": 1,
    "worker": 1,
    "http": 1,
    "venues": 2,
    "senders": 2,
    "accounts": 3,
}
"""Section → how many names lead to one of its tables."""

Names = tuple[str, ...]
_MAX_PARTS: Final = 5

_TOKENS: Final = re.compile(
    r'(?P<text>"""(?:\\.|[^\\])*?"""+|\'\'\'.*?\'\'\'+|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\')'
    r"|(?P<comment>\#[^\n]*)|(?P<newline>\n)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<equals>=)"
    r"|(?P<dot>\.)|(?P<bare>[A-Za-z0-9_-]+)|(?P<other>.)",
    re.DOTALL,
)
_TOML_PLACE: Final = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")


class Given(Struct, frozen=True, kw_only=True):
    """One value. `environment` values are text that still has to be read as the field's type."""

    value: Any
    where: str
    environment: bool = False

    def __repr__(self) -> str:
        return f"Given({self.where})"


Table = dict[str, Given]


class Source:
    """The tables of a configuration, and the faults found on the way to them."""

    def __init__(self, name: str = "configuration") -> None:
        self.name = name
        self.tables: dict[Names, Table] = {}
        self.faults: list[str] = []
        self._lines: dict[Names, int] = {}

    def fault(self, names: Names, message: str) -> None:
        """Add a fault of a table or key, with the best known place."""
        given = self.tables.get(names[:-1], {}).get(names[-1])
        where = given.where if given else self.place(names)
        self.faults.append(f"{where}: {'.'.join(names)}: {message}")

    def place(self, names: Names) -> str:
        """Return `file:line` of a key, or of the nearest table around it that has a line."""
        for end in range(len(names), 0, -1):
            if line := self._lines.get(names[:end]):
                return f"{self.name}:{line}"
        return self.name

    def read_toml(self, text: str) -> None:
        """Add a TOML document."""
        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            # Only the place: the rest of the parser's message may hold a piece of a value.
            found = _TOML_PLACE.search(str(error))
            self.faults.append(f"{self.name}: this is not valid TOML{f' ({found[1]})' if found else ''}")
            return
        for names, line in _lines(text):
            self._lines.setdefault(names, line)
        for section, value in document.items():
            if section in SECTIONS:
                self._add((section,), value)
            else:
                self.fault((section,), f"unknown section{nearest(section, SECTIONS)}")

    def read_environment(self, environ: Mapping[str, str]) -> None:
        """Add the variables `ORDER_ROUTER_<SECTION>__<KEY>`; they win over what was read before."""
        for variable, text in sorted(environ.items()):
            if not variable.startswith(PREFIX):
                continue
            parts = variable[len(PREFIX) :].lower().split("__")
            if len(parts) == 1:
                self._check_misspelt(variable, parts[0], text)
            elif parts[0] not in SECTIONS:
                self.faults.append(f"{variable}: unknown section {parts[0]}{nearest(parts[0], SECTIONS)}")
            elif not all(parts) or len(parts) > _MAX_PARTS:
                self.faults.append(f"{variable}: names no key; write {PREFIX}<SECTION>__<KEY>")
            else:
                self._override(variable, parts, text)

    def _add(self, names: Names, value: Any, variable: str = "") -> None:
        if not isinstance(value, dict):
            self.faults.append(f"{variable or self.place(names)}: {'.'.join(names)}: must be a table")
            return
        if len(names) == SECTIONS[names[0]]:
            table = self.tables.setdefault(names, {})
            for key, inner in value.items():
                where = variable or self.place((*names, key))
                table[key] = Given(value=inner, where=where, environment=bool(variable))
            return
        for name, inner in value.items():
            self._add((*names, name), inner, variable)

    def _override(self, variable: str, parts: list[str], text: str) -> None:
        depth = SECTIONS[parts[0]]
        names = self._known_names(parts[:depth])
        if len(parts) <= depth:
            self._add(names, read_text(text), variable)
            return
        table = self.tables.setdefault(names, {})
        key, inner = parts[depth], parts[depth + 1 :]
        if len(inner) > 1:
            self.faults.append(f"{variable}: names no key; it has {len(inner) - 1} names too many")
            return
        if inner:
            present = table[key].value if key in table else None
            value: Any = {**(present if isinstance(present, dict) else {}), inner[0]: text}
        else:
            value = text
        table[key] = Given(value=value, where=variable, environment=True)

    def _known_names(self, parts: Iterable[str]) -> Names:
        """Find the table that is meant: variables know neither lower case nor hyphens."""
        names: Names = ()
        for part in parts:
            there = {
                table[len(names)] for table in self.tables if table[: len(names)] == names and len(table) > len(names)
            }
            same = (name for name in sorted(there) if name.lower().replace("-", "_") == part)
            names = (*names, part if part in there else next(same, part))
        return names

    def _check_misspelt(self, variable: str, rest: str, text: str) -> None:
        """Catch `ORDER_ROUTER_BROKER_URL`. Other names without `__` belong to somebody else.

        Kubernetes sets `ORDER_ROUTER_…_PORT=tcp://…` for a service named order-router.
        """
        section, _, key = rest.partition("_")
        if SECTIONS.get(section) and key and "://" not in text[:6] and not key.startswith(("service_", "port_")):
            wanted = f"{PREFIX}{section}__{key}".upper()
            self.faults.append(f"{variable}: two underscores stand between section and key; did you mean {wanted}?")


def read_text(text: str) -> Any:
    """Read a list or table written as JSON or as a TOML value; `None` when it is neither."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass  # then it may be TOML
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    # A text with line breaks could smuggle in further keys.
    return document["value"] if len(document) == 1 else None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "x"?`, or the list of what is known when nothing is near and the list is short."""
    options = sorted(known)
    if found := difflib.get_close_matches(name.lower(), options, n=1, cutoff=0.6):
        return f'; did you mean "{found[0]}"?'
    return f"; known: {', '.join(options)}" if options else ""


def _lines(text: str) -> Iterator[tuple[Names, int]]:
    """Yield the line of every table and key of a valid document, those of inline tables excepted."""
    table: Names = ()
    names: list[str] = []
    nesting = header = 0
    in_value = False
    line = 1
    for token in _TOKENS.finditer(text):
        kind, word = token.lastgroup, token[0]
        if kind == "newline" and not nesting:
            names, in_value, header = [], False, 0
        elif kind == "open" and not in_value and not names:
            header += 1
        elif kind == "close" and header and not in_value:
            table, in_value = tuple(names), True
            for end in range(1, len(names) + 1):
                yield table[:end], line
        elif kind == "equals" and not in_value:
            in_value = True
            for end in range(1, len(names) + 1):
                yield (*table, *names[:end]), line
        elif kind in {"open", "close"} and not header:
            nesting += 1 if kind == "open" else -1
        elif kind in {"bare", "text"} and not in_value:
            names.append(word.strip("\"'") if kind == "text" else word)
        line += word.count("\n")
