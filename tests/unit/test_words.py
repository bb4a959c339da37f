"""One noun, one meaning: names of classes and modules, held against the glossary of router/README.md."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROUTER = Path(__file__).parents[2] / "router"
RETIRED = {
    "job": "command record",
    "outbox": "relay (the table keeps its name)",
    "outlet": "relay",
    "outflow": "relay",
    "exchange": "venue; RabbitMQ's exchange",
    "exchanges": "venue",
    "sighting": "order report",
    "story": "timeline",
    "claims": "late copies",
    "helpers": "a name that says what it is",
    "utils": "a name that says what it is",
    "manager": "a name that says what it does",
}
"""Words that had several meanings or none, and what is said instead."""
TOLD_APART = {
    "Publisher": "the port, and what fulfils it",
    "Settler": "the port, and what fulfils it",
    "Waiting": "an operation that waits, in either journal",
}
"""Class names that two modules have, with one meaning. Each venue has its own rows, envelopes and pages besides."""
CONSTRUCTOR = 4
"""So many arguments may be positional."""


def modules() -> list[Path]:
    """Return every module but the simulated venues', which are a world of their own."""
    return [path for path in ROUTER.rglob("*.py") if "simulator" not in path.parts]


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Return the classes of a module."""
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))


def words(name: str) -> set[str]:
    """Return the words of a name."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_no_name_has_a_retired_word() -> None:
    """Neither a module's nor a class's."""
    found = {path.stem: words(path.stem) & RETIRED.keys() for path in modules()}
    found |= {node.name: words(node.name) & RETIRED.keys() for path in modules() for node in classes(path)}
    assert {name: taken for name, taken in found.items() if taken} == {}


def test_a_class_name_means_one_thing() -> None:
    """Two classes of one name are told apart by their venue's folder, or mean the same."""
    where: dict[str, set[Path]] = defaultdict(set)
    for path in modules():
        for node in classes(path):
            where[node.name].add(path)
    twice = {
        name: sorted(path.relative_to(ROUTER).as_posix() for path in paths)
        for name, paths in where.items()
        if len(paths) > 1 and name not in TOLD_APART and not all("venues" in path.parts for path in paths)
    }
    assert twice == {}


@pytest.mark.parametrize("word", ["lane", "quarantine", "epoch", "fence", "park", "sweep", "in doubt", "unresolved"])
def test_the_glossary_explains_what_a_stranger_stumbles_over(word: str) -> None:
    """And what is retired stands nowhere in it as a word to use."""
    glossary = (ROUTER / "README.md").read_text().partition("## Words")[2]
    assert re.search(rf"^\| {word}[ ,|]", glossary, re.MULTILINE)


def test_constructors_take_many_arguments_by_keyword() -> None:
    """More than four in a row are told apart by nobody."""
    many = [
        f"{path.relative_to(ROUTER)} {node.name}"
        for path in ROUTER.rglob("*.py")
        for node in classes(path)
        for function in node.body
        if isinstance(function, ast.FunctionDef)
        and function.name == "__init__"
        and len(function.args.posonlyargs + function.args.args) > CONSTRUCTOR + 1
    ]
    assert many == []


def test_files_are_read_in_one_sitting() -> None:
    """200 lines for a venue's module, 340 for any other, and some more for a whole simulated venue."""
    bounds = {"venues": 200, "simulator": 380}
    long = {
        path.relative_to(ROUTER).as_posix(): lines
        for path in ROUTER.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > bounds.get(path.relative_to(ROUTER).parts[0], 340)
    }
    assert long == {}


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "router/README.md",
        "router/simulator/README.md",
        "tests/README.md",
    ],
)
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    """A map that leads nowhere is worse than none. `<venue>` stands for any of them."""
    root = ROUTER.parent
    text = (root / page).read_text()
    named = re.findall(r"`((?:[\w<>]+/)+[\w<>]+\.(?:py|md|toml))`", text) + [
        link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("http", "#"))
    ]
    bases = ((root / page).parent, root, ROUTER)
    missing = [name for name in named if not any(list(_found(base, name)) for base in bases)]
    assert missing == []


def _found(base: Path, name: str) -> Iterator[Path]:
    path = (base / name.replace("<venue>", "*")).as_posix()
    return iter(Path("/").glob(str(Path(path).resolve()).removeprefix("/")))
