"""A terminal: a program is run in one of any width, and what it shows is read."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from typing import Final

_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run_in_terminal(program: Sequence[str], width: int, **environ: str) -> str:
    """Run a program in a terminal of 50 lines; return everything that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    unset = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI"}
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    with subprocess.Popen(
        program, stdin=theirs, stdout=theirs, stderr=theirs, env=clean | {"TERM": "xterm-256color"} | environ
    ) as process:
        os.close(theirs)
        shown = _read(ours)
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.replace("\r\n", "\n")


def plain(shown: str) -> str:
    """Return the text alone, as somebody sees it."""
    return "".join(f"{line.rstrip()}\n" for line in _ESCAPE.sub("", shown).splitlines())


def _read(terminal: int) -> str:
    shown = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last writer is gone
            more = b""
        if not more:
            return shown.decode()
        shown += more
