"""The fault table of tests/faults/README.md: every row has a test, which names it."""

import re
from pathlib import Path

FAULTS = Path(__file__).parents[1] / "faults"
NOT_BUILT = {29}
"""Halts are not built yet."""

ROW = re.compile(r"^\| (\d+) \|.*\| ([^|]*) \|$", re.MULTILINE)
NAMED = re.compile(r"[Rr]ows? (\d+(?:(?:, | and |\u2013| to )\d+)*)")


def rows() -> dict[int, list[str]]:
    """Return the files that the table names for each row."""
    found = ROW.findall((FAULTS / "README.md").read_text())
    return {int(number): re.findall(r"\]\(([^)]*)\)", tests) for number, tests in found}


def named_in(file: Path) -> set[int]:
    """Return the rows that a test file names."""
    named: set[int] = set()
    for text in NAMED.findall(file.read_text()):
        for part in re.split(", | and ", text.replace("\u2013", " to ")):
            first, _, last = part.partition(" to ")
            named.update(range(int(first), int(last or first) + 1))
    return named


def test_the_rows_are_numbered_without_a_hole() -> None:
    """Tests name them by number."""
    assert list(rows()) == list(range(1, len(rows()) + 1))


def test_every_row_has_a_test_that_names_it() -> None:
    """A row that nobody shows is a promise that nobody keeps."""
    for number, files in rows().items():
        assert bool(files) != (number in NOT_BUILT), f"row {number}"
        for file in files:
            path = (FAULTS / file).resolve()
            assert path.is_file(), f"row {number}: {file}"
            assert number in named_in(path), f"row {number}: {file} does not name it"
