"""Validators in three languages. Each takes cases and says of every one what is wrong with it; empty if nothing is."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from deploy import node_packages
from deploy.ensure import go
from deploy.setup import TOOLS
from schemas.json_schema import FOLDER
from tests.languages.cases import Case

HERE = Path(__file__).parent
Validator = Callable[[Sequence[Case]], dict[str, str]]


def in_python(cases: Sequence[Case]) -> dict[str, str]:
    """Validate with the reference library, which checks no formats unless it is told to."""
    schemas = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}
    return {case.name: _in_python(schemas, case.text) for case in cases}


def _in_python(schemas: dict[str, Any], text: str) -> str:
    try:
        message = json.loads(text)
    except ValueError as error:
        return str(error)
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in schemas:
        return "no message of that type"
    return "; ".join(error.message for error in Draft202012Validator(schemas[kind]).iter_errors(message))


def in_node(cases: Sequence[Case]) -> dict[str, str]:
    """Validate with Ajv, in strict mode."""
    return _run(node_command("validate.mjs", FOLDER), cases)


def node_command(program: str, argument: Path) -> list[str]:
    """Return how a program of tests/languages/node is run."""
    packages = node_packages.folder()
    assert packages.is_dir(), "its packages are missing: run python3 -m deploy.node_packages"
    return [str(node_packages.node()), str(HERE / "node" / program), str(packages), str(argument)]


def in_go(built: Path) -> Validator:
    """Return a validator that decodes into structs besides; its program is built into a folder."""
    compiler = go()
    assert compiler is not None, "Go is missing: run python3 deploy/ensure.py go"
    program = built / "validate"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
    environment["GOCACHE"] = str(TOOLS / "go-cache")
    subprocess.run([str(compiler), "build", "-o", str(program), "."], cwd=HERE / "go", env=environment, check=True)
    return lambda cases: _run([str(program), str(FOLDER)], cases)


def _run(command: list[str], cases: Sequence[Case]) -> dict[str, str]:
    lines = "".join(json.dumps({"name": case.name, "text": case.text}) + "\n" for case in cases)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(verdict["valid"] == (verdict["why"] == "") for verdict in verdicts)
    return {verdict["name"]: verdict["why"] for verdict in verdicts}
