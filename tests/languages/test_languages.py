"""The schemas as other languages read them: each validates the same messages, and comes to the router's own verdict."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import re2

from deploy.ensure import go
from schemas.alerts import Alert
from schemas.codec import Undecodable, decode_command, decode_event, decode_result, encode_event, encode_result
from schemas.json_schema import COMMANDS, FOLDER, MESSAGES
from tests.languages.cases import ALL, NOT_IN_THE_BODY, right, trailing_newlines
from tests.languages.validators import HERE, Validator, in_go, in_node, in_python
from tests.unit.commands.test_mistakes import MISTAKES

FILES = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="module", params=["python", "node", "go"])
def validator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Validator:
    """A validator in each language."""
    if request.param == "go":
        return in_go(tmp_path_factory.mktemp("go"))
    return in_python if request.param == "python" else in_node


def test_every_language_comes_to_the_same_verdict(validator: Validator) -> None:
    """What is right is taken and decoded, what is wrong about a body is refused, by the schema alone."""
    said = validator(ALL)
    assert said.keys() == {case.name for case in ALL}
    assert {case.name: said[case.name] for case in ALL if case.valid and said[case.name]} == {}
    assert [case.name for case in ALL if not case.valid and not said[case.name]] == []


def test_there_is_a_message_of_every_kind() -> None:
    """And no name stands for two cases."""
    assert {json.loads(case.text)["type"] for case in right()} == set(MESSAGES)
    assert len({case.name for case in ALL}) == len(ALL)
    assert MISTAKES.keys() > NOT_IN_THE_BODY


@pytest.mark.parametrize("case", tuple(right()), ids=lambda case: case.name)
def test_python_decodes_what_is_right(case: Any) -> None:
    """With the structs themselves, and back to the same message."""
    message = json.loads(case.text)
    body = case.text.encode()
    match message["type"]:
        case "result":
            again = encode_result(decode_result(body))
        case "order_event" | "feed_status":
            again = encode_event(decode_event(body))
        case "alert":
            again = msgspec.json.encode(msgspec.json.decode(body, type=Alert))
        case kind:
            assert decode_command(body, None).__struct_config__.tag == kind
            return
    assert json.loads(again) == message


@pytest.mark.parametrize(("name", "text"), tuple(trailing_newlines()))
def test_a_trailing_newline_is_refused(name: str, text: str) -> None:
    """Python's `$` would let it pass; the decoder does not."""
    with pytest.raises(Undecodable):
        decode_command(text.encode(), None)


def test_the_metaschema_takes_every_schema() -> None:
    """The official one, and its patterns are regular expressions of ECMA-262."""
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--check-metaschema", *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_re2_takes_every_pattern(file: Path) -> None:
    """So do Go, Rust and whoever else knows no look-around."""
    schema = json.loads(file.read_text())
    patterns = {part["pattern"] for part in _parts(schema) if isinstance(part.get("pattern"), str)}
    assert patterns or file.stem not in COMMANDS
    for pattern in patterns:
        re2.compile(pattern)
        re.compile(pattern)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_field_is_described(file: Path) -> None:
    """Of the message, of what it is made of, and of each venue's params."""
    schema = json.loads(file.read_text())
    silent = [
        name
        for part in (schema, *schema.get("$defs", {}).values())
        for name, field in part["properties"].items()
        if not field.get("description")
    ]
    assert silent == []
    assert schema["description"]


def test_the_go_program_is_formatted() -> None:
    """As every program in Go is."""
    compiler = go()
    assert compiler is not None
    command = [str(compiler.with_name("gofmt")), "-l", str(HERE / "go")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Return every object in a schema."""
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _parts(part)
