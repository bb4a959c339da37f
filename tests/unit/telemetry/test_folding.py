"""Repeats of one cause are folded, and nothing else is."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog import DropEvent

from router.telemetry import configure_logging
from router.telemetry.folding import CAUSES, FIRST, FREE, MAX_WINDOW_S, WINDOW_S, Folding


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(folding: Folding, event: str, **fields: Any) -> dict[str, Any] | None:
    """Return the line as it is let through, or `None`."""
    try:
        return dict(folding(None, "warning", {"event": event, **fields}))
    except DropEvent:
        return None


def test_a_full_disk_for_a_minute_is_a_few_lines() -> None:
    """64 commands that say the same twice a second: 7,680 lines became a handful, and each is counted."""
    clock = Clock()
    folding = Folding(clock)
    lines: list[dict[str, Any]] = []
    for tick in range(120):
        clock.now = tick * 0.5
        for number in range(64):
            line = told(folding, "a command waits for the journal", command_id=f"c{number}", error="disk full")
            lines += [line] if line else []
        lines += [dict(line) for line in folding.ended()]
    lines += [dict(line) for line in folding.ended(all_of_them=True)]
    assert len(lines) < 10
    assert sum(line.get("repeats", 1) for line in lines) == 120 * 64


def test_causes_are_told_apart_but_not_by_numbers_and_ids() -> None:
    """Another error is another cause; another port or id is not."""
    folding = Folding(Clock())
    for number in range(FIRST):
        assert told(folding, "lost", error=f"port {number}")
    assert told(folding, "lost", error="port 77") is None
    assert told(folding, "lost", error="password wrong")
    assert told(folding, "lost", error="port 77", venue="nami")


def test_what_is_told_of_one_command_is_never_folded() -> None:
    """Results, doubts, dead letters and contradictions are each the only line of its kind."""
    folding = Folding(Clock())
    for event in FREE:
        assert all(told(folding, event) for _ in range(100))


def test_a_cause_that_was_silent_begins_anew() -> None:
    """The next day's outage is told at once again."""
    clock = Clock()
    folding = Folding(clock)
    assert [bool(told(folding, "down")) for _ in range(5)] == [True] * FIRST + [False] * (5 - FIRST)
    clock.now += WINDOW_S + MAX_WINDOW_S + 1
    assert told(folding, "down") == {"event": "down"}


def test_memory_is_bounded() -> None:
    """Whatever varies in what is told."""
    folding = Folding(Clock())
    for number in range(CAUSES * 3):
        told(folding, "".join(chr(97 + int(digit)) for digit in str(number)))
    assert len(folding._causes) <= CAUSES


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Log to memory."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    made = io.StringIO()
    configure_logging([], stream=made)
    yield made
    configure_logging([])
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_folded_line_says_how_often(stream: io.StringIO) -> None:
    """It has its level, its fields and the count, and is not folded itself."""
    from router.telemetry import tell_folded

    log = structlog.get_logger()
    for number in range(10):
        log.error("gone", path="/x", number=number)
    tell_folded(all_of_them=True)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == FIRST + 1
    assert (lines[-1]["level"], lines[-1]["repeats"], lines[-1]["number"]) == ("error", 10 - FIRST, 9)


def test_nothing_from_outside_is_obeyed_by_a_terminal(stream: io.StringIO) -> None:
    """ESC sets a title, CR and LF forge a line, an override turns the text round: each is spelled out."""
    hostile = "a\x1b]0;title\x07\r\x9b2J\u202egnp"
    structlog.get_logger().warning("dead letter", correlation_id=hostile, within=[hostile])
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert not [character for character in text.rstrip("\n") if not character.isprintable()]
    assert json.loads(text)["correlation_id"].startswith("a\\x1b]0;title\\x07")
