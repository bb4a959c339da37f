"""The AsyncAPI document, as the official parser reads it."""

import json
import subprocess
from pathlib import Path
from typing import Any

from router.broker.asyncapi import FILE
from tests.languages.validators import node_command

WARNING = 1
"""Diagnostics of this severity or a lower number are errors or warnings; others are advice."""


def parsed(file: Path) -> dict[str, Any]:
    """Return what the parser says of a document."""
    done = subprocess.run(node_command("asyncapi.mjs", file), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_official_parser_takes_the_document() -> None:
    """Without an error or a warning, and it finds every channel, message and operation."""
    written = json.loads(FILE.read_text())
    found = parsed(FILE)
    assert [said for said in found["diagnostics"] if said["severity"] <= WARNING] == []
    assert found["version"] == written["asyncapi"] == "3.0.0"
    assert found["channels"] == {name: list(channel["messages"]) for name, channel in written["channels"].items()}
    assert found["operations"] == list(written["operations"])


def test_the_parser_would_notice_a_broken_document(tmp_path: Path) -> None:
    """A reference that leads nowhere is an error, and the test above would fail."""
    broken = FILE.read_text().replace("#/components/messages/alert", "#/components/messages/nothing")
    (tmp_path / "broken.json").write_text(broken)
    assert [said for said in parsed(tmp_path / "broken.json")["diagnostics"] if said["severity"] <= WARNING]
