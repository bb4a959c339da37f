"""What is printed for people holds nothing that a terminal obeys."""

import datetime

import pytest

from router.cli.formatting import result_line, shown
from router.cli.timeline import print_timelines
from router.journal import Entry, Timeline
from schemas.results import Reason, Result

NASTY = "\x1b]0;owned\x07\r\n2026-01-01 00:00:00  done  forged\u202e"


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\r", "\n", "\x9b", "\u202e", "\u2028"])
def test_what_a_terminal_obeys_is_written_out(character: str) -> None:
    """Escapes, line ends and what turns the writing round; anything readable stays."""
    assert character not in shown(f"before {character} after")
    assert shown("ключ 価格 → 1.5") == "ключ 価格 → 1.5"


def test_no_line_of_a_story_can_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """A sender chooses its correlation id, a venue its words."""
    entries = (Entry(at_us=0, event="received", detail=f"answer to {NASTY}"),)
    print_timelines([Timeline(sender=NASTY, command_id="c", record=None, entries=entries)], json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_no_words_of_a_venue_reach_the_terminal_as_they_are() -> None:
    """`send` prints them."""
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    refused = Result(
        result_id="r", seq=1, final=True, command_id="c", action="close", venue="gmo_coin", account="main",
        outcome="rejected", reason=Reason(code="venue_rejected", message=NASTY), received_at=at, completed_at=at,
    )  # fmt: skip
    assert result_line(refused).isprintable()
