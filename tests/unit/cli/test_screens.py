"""What is shown on a terminal of 80 and of 120 columns is as in screens/; a pipe gets whole lines without colour."""

import subprocess
import sys

import pytest

from router.cli.output import since
from tests.unit.cli.scenes import SCENES, SCREENS, WIDTHS, screen
from tests.unit.cli.terminal import plain, run_in_terminal

ON = [(scene, width) for scene in SCENES for width in WIDTHS]


@pytest.mark.parametrize(("scene", "width"), ON)
def test_a_screen_is_what_was_looked_at(scene: str, width: int) -> None:
    """`python -m tests.unit.cli.scenes` writes the files anew; nothing reaches beyond the terminal's edge."""
    shown = screen(scene, width)
    assert "\x1b[" in shown, "in colour"
    assert plain(shown) == (SCREENS / f"{scene}.{width}.txt").read_text()
    assert max(map(len, plain(shown).splitlines())) <= width


@pytest.mark.parametrize("scene", SCENES)
def test_a_pipe_gets_lines(scene: str) -> None:
    """No colours, and no headings: one thing is one line, however long."""
    program = [sys.executable, "-m", "tests.unit.cli.scenes", scene]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env={"COLUMNS": "40"})
    assert "\x1b" not in done.stdout
    assert "pod A" not in done.stdout
    whole = max(done.stdout.splitlines(), key=len)
    assert len(whole) > 80


def test_colours_can_be_turned_off() -> None:
    """https://no-color.org"""
    shown = run_in_terminal([sys.executable, "-m", "tests.unit.cli.scenes", "listing"], 80, NO_COLOR="1")
    assert "\x1b[3" not in shown


@pytest.mark.parametrize("text", ["10", "10x", "-5m", "yesterday", "2026-11-27T10:00:00", "", "1e3m"])
def test_a_time_that_cannot_be_read_is_a_mistake(text: str) -> None:
    """A time without an offset is somebody's local one."""
    with pytest.raises(Exception, match="expected 30s, 10m, 2h, 1d or a time such as"):
        since(text)


def test_times_are_read() -> None:
    """Ago, or as RFC 3339 says it."""
    assert since(None) is None
    assert since("2026-11-27T10:00:00Z") == 1_795_773_600_000_000
    hour, day = since("1h"), since("1d")
    assert hour is not None
    assert day is not None
    assert abs(hour - day - 23 * 3600 * 1_000_000) < 10_000_000
