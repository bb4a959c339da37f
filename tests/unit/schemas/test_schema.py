"""The JSON Schema of the messages: its files are what the code says, and it agrees with the decoders."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from jsonschema import Draft202012Validator

from router.broker.asyncapi import FILE as ASYNCAPI
from router.cli.schema import files, generate
from router.cli.schema import schema as schema_command
from schemas.codec import Undecodable, decode_command, decode_result, encode_result
from schemas.conditions import VenueRules, given
from schemas.json_schema import FOLDER, MESSAGES, schemas

NOT_AFTER = "2026-11-21T10:00:30.5+09:00"
COMMON = {"command_id": "desk:1", "account": "main", "not_after": NOT_AFTER}
GMO_CLOSE = {
    **COMMON, "type": "close", "venue": "gmo_coin", "symbol": "BTC_JPY", "position_id": "1000342", "side": "buy",
    "size": "3.44", "order_type": "limit", "price": "85201", "time_in_force": "gtc", "params": {"cancel_before": False},
}  # fmt: skip
COINBASE_CLOSE = {**COMMON, "type": "close", "venue": "coinbase", "symbol": "BIT-28JUL23-CDE", "size": "3"}
NAMI_CANCEL = {**COMMON, "type": "cancel", "venue": "nami", "symbol": "BTCUSDT", "order_id": "435372",
               "params": {"allow_notification": True}}  # fmt: skip
EXAMPLES: list[dict[str, Any]] = [
    GMO_CLOSE,
    COINBASE_CLOSE,
    NAMI_CANCEL,
    {**COMMON, "type": "cancel", "venue": "btcturk", "order_id": "123456789", "await_final": True, "dry_run": True},
    {**COMMON, "type": "cancel", "venue": "gmo_coin", "target_command_id": "desk:1", "issued_at": NOT_AFTER},
    {**COMMON, "type": "close_all", "venue": "unheard_of", "symbol": "BTC_JPY", "side": "sell"},
    {**COMMON, "type": "cancel_all", "venue": "unheard_of"},
]
WRONG: list[dict[str, Any]] = [
    {**GMO_CLOSE, "sise": "1"},
    {**GMO_CLOSE, "side": "BUY"},
    {**GMO_CLOSE, "size": 3.44},
    {**GMO_CLOSE, "size": "0"},
    {**GMO_CLOSE, "size": "1e3"},
    {**GMO_CLOSE, "price": "-1"},
    {**GMO_CLOSE, "symbol": "BTC JPY"},
    {**GMO_CLOSE, "command_id": ""},
    {**GMO_CLOSE, "command_id": "a" * 65},
    {**GMO_CLOSE, "command_id": "a\n"},
    {**GMO_CLOSE, "position_id": 1000342},
    {**GMO_CLOSE, "await_final": True},
    {**GMO_CLOSE, "type": "cancel"},
    {**GMO_CLOSE, "venue": "GMO"},
    {**GMO_CLOSE, "params": []},
    {key: value for key, value in GMO_CLOSE.items() if key != "not_after"},
    {key: value for key, value in GMO_CLOSE.items() if key != "symbol"},
]
RESULT = {
    "type": "result", "result_id": "8a54b50d-4afe-522c-a1c8-ca0e932630b5", "seq": 1, "final": True, "command_id": "x",
    "action": "cancel_all", "venue": "nami", "account": "main", "outcome": "in_doubt", "order_id": None,
    "reason": {"code": "timeout", "venue_code": None, "message": "no answer"}, "client_order_id": None,
    "order": {"status": "working", "size": "1", "filled_size": "0", "average_price": None}, "evidence": "query",
    "attempts": 1, "duplicate": False, "dry_run": False, "received_at": NOT_AFTER, "sent_at": None,
    "completed_at": NOT_AFTER, "items": [{"outcome": "done", "order_id": "435372"}],
}  # fmt: skip


def faults(message: Any, schema: dict[str, Any]) -> list[str]:
    """Return what is wrong with a message."""
    return [error.message for error in Draft202012Validator(schema).iter_errors(message)]


def _schema(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{message['type']}.json").read_text())
    return found


def test_the_files_are_what_the_code_says() -> None:
    """Whoever changes a struct, a venue's rules or the topology runs `order-router schema --write`."""
    assert {file: file.read_text() for file in (*FOLDER.iterdir(), ASYNCAPI)} == files()


@pytest.mark.parametrize("file", [FOLDER / "close.json", ASYNCAPI], ids=lambda file: file.name)
def test_a_file_that_differs_is_shown(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`schema --check` exits 1, and prints the lines that are to be changed, of the AsyncAPI document as well."""
    wanted = files()
    monkeypatch.setattr("router.cli.schema.files", lambda: {**wanted, file: wanted[file] + "more\n"})
    with pytest.raises(typer.Exit) as left:
        schema_command(check=True)
    assert left.value.exit_code == 1
    assert capsys.readouterr().out.endswith("\n+more\n")


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: f"{message['venue']}-{message['type']}")
def test_what_the_contract_allows_is_valid_and_decodes(message: dict[str, Any]) -> None:
    """Schema and decoder agree on every kind of command."""
    schema = _schema(message)
    assert faults(message, schema) == []
    command = decode_command(json.dumps(message).encode(), None)
    assert command.__struct_config__.tag == message["type"]


@pytest.mark.parametrize("message", WRONG, ids=str)
def test_what_the_decoder_refuses_is_not_valid(message: dict[str, Any]) -> None:
    """A sender that validates before it sends is never told `invalid_command` for the shape."""
    schema = _schema(message)
    assert faults(message, schema)
    with pytest.raises(Undecodable):
        decode_command(json.dumps(message).encode(), None)


@pytest.mark.parametrize(
    "message",
    [
        {**GMO_CLOSE, "params": {"cancel_befor": True}},
        {**GMO_CLOSE, "params": {"cancel_before": "yes"}},
        {**COINBASE_CLOSE, "params": {"anything": 1}},
        {**NAMI_CANCEL, "params": {"cancel_before": True}},
    ],
    ids=str,
)
def test_params_are_the_venues_own(message: dict[str, Any]) -> None:
    """What one venue takes in `params` is wrong at another."""
    schema = _schema(message)
    assert faults(message, schema)


def test_a_result_is_valid() -> None:
    """What we publish is what we describe, with and without the optional parts."""
    schema = _schema(RESULT)
    assert faults(RESULT, schema) == []
    again = json.loads(encode_result(decode_result(json.dumps(RESULT).encode())))
    assert faults(again, schema) == []
    refusal = {**RESULT, "command_id": None, "action": None, "venue": None, "account": None, "order": None}
    assert faults(refusal, schema) == []
    assert faults({**RESULT, "outcome": "maybe"}, schema)


def test_the_generator_knows_no_venue() -> None:
    """`schemas` imports nothing of the router; what another venue takes comes in as an argument."""

    class Extra(msgspec.Struct, forbid_unknown_fields=True):
        depth: int = 0
        """How deep."""

    rules = VenueRules(params={"close": Extra}, conditions={"close": (given("size"),)})
    made = schemas({"fifth": rules})
    close = made["close"]
    message = {**COMMON, "type": "close", "venue": "fifth", "symbol": "X", "size": "1"}
    assert faults({**message, "params": {"depth": 1}}, close) == []
    assert faults({**message, "params": {"depth": "1"}}, close)
    assert faults({**message, "size": None}, close)
    assert faults({**message, "size": None, "venue": "sixth"}, close) == []
    assert faults({**COMMON, "type": "cancel", "venue": "fifth", "order_id": "1"}, made["cancel"])
    source = (Path(FOLDER).parent / "json_schema.py").read_text()
    assert "router" not in re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)


def test_every_message_has_one_self_contained_file() -> None:
    """No reference leads out of its file."""
    for name, schema in generate().items():
        text = json.dumps(schema)
        assert {ref.partition("#")[0] for ref in re.findall(r'"\$ref": "([^"]*)"', text)} <= {""}
        assert schema["title"] == name
    assert generate().keys() == MESSAGES.keys()


def test_the_command_prints_and_compares() -> None:
    """`schema` prints all of them, or the AsyncAPI document; `--check` is silent when nothing has drifted."""
    command = [str(Path(sys.executable).with_name("order-router")), "schema"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed).keys() == MESSAGES.keys()
    printed = subprocess.run([*command, "--asyncapi"], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == json.loads(ASYNCAPI.read_text())
    checked = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
