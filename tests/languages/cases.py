"""The messages that every language is given: those of the fixtures, and the mistakes that senders make."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.contract.golden import goldens
from tests.unit.commands.test_mistakes import MISTAKES

MESSAGES: Final = Path(__file__).with_name("messages.json")
NOT_IN_THE_BODY: Final = frozenset(
    {
        "a venue that nobody serves",
        "an account that is not there",
        "a deadline that has passed",
        "a deadline an hour ahead",
        "decided in the future",
        "another routing key",
        "a field given twice",
        "plain text",
        "JSON under the name of MessagePack",
        "a compressed body",
    }
)
"""Mistakes that no schema can know: they depend on who serves, on the clock or on the message's properties, or are gone
once a parser has read the body.
"""


class Case(Struct, frozen=True):
    """A body, and whether it is a message."""

    name: str
    text: str
    valid: bool


def right() -> Iterator[Case]:
    """Return a message of every kind, and the command of every venue's every golden case."""
    for name, message in json.loads(MESSAGES.read_text()).items():
        yield Case(name, json.dumps(message, ensure_ascii=False), True)
    for golden in goldens():
        yield Case(str(golden), (golden.folder / "command.json").read_text(), True)


def wrong() -> Iterator[Case]:
    """Return the mistakes about the body."""
    for name, (text, _) in MISTAKES.items():
        if name not in NOT_IN_THE_BODY:
            yield Case(name, text, False)
    for name, text in trailing_newlines():
        yield Case(name, text, False)


def trailing_newlines() -> Iterator[tuple[str, str]]:
    """Return commands with a newline after one of their texts, which some languages' `$` lets pass."""
    close = json.loads(MISTAKES["another routing key"][0])
    cancel = {name: close[name] for name in ("command_id", "venue", "account", "not_after")} | {"type": "cancel"}
    for what, command in {
        "close": {**close, "order_type": "limit", "price": "85201"},
        "cancel by order_id": {**cancel, "order_id": "1", "symbol": "BTC_JPY"},
        "cancel by target_command_id": {**cancel, "target_command_id": "c0"},
    }.items():
        for name, value in command.items():
            if isinstance(value, str):
                yield f"{what}: a newline after {name}", json.dumps({**command, name: f"{value}\n"})


ALL: Final = (*right(), *wrong())
