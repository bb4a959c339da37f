"""What the simulators may know."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "router" / "simulator"
ALLOWED = ("router.simulator", "router.errors", "schemas")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_simulator_knows_nothing_of_the_router(path: Path) -> None:
    """No file imports the code it is the oracle of, so a mistake there cannot hide here."""
    imported: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.append(node.module or "")
    ours = [name for name in imported if name.split(".")[0] in {"router", "schemas"}]
    assert [name for name in ours if not name.startswith(ALLOWED)] == []
