"""Where log lines go: never an obstacle. What cannot be written at once is dropped, counted, and told of later.

A log on a full disk raises, and one on a pipe or a terminal whose reader stands still blocks the whole process: neither
may keep a cancel from leaving.
"""

import os
import select
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

_AT_ONCE: Final = select.PIPE_BUF
"""So many bytes a pipe that is ready takes without waiting (POSIX)."""


class LogOutput:
    """Writes whole lines to a stream's file. `lost` is how many lines were dropped since one was last written."""

    def __init__(self, stream: TextIO, told: Callable[[int], str]) -> None:
        """`told` makes the line that says how many were lost."""
        self.lost = 0
        self._told = told
        self._cut = False
        self._stream = stream
        self._fd: int | None = None
        self._ready: select.poll | None = None
        with suppress(OSError, ValueError):  # a stream without a file: in tests
            stream.flush()
            self._fd = stream.fileno()
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                self._ready = select.poll()
                self._ready.register(self._fd, select.POLLOUT)

    def write(self, text: str) -> None:
        """Write a line, or drop it. Raises nothing."""
        if self.lost and not self._wrote(self._told(self.lost)):
            self.lost += 1
            return
        self.lost = 0
        if not self._wrote(text):
            self.lost += 1

    def flush(self) -> None:
        """Everything that was written is out."""

    def _wrote(self, text: str) -> bool:
        if self._fd is None:
            self._stream.write(text)
            return True
        # What was cut off in the middle of a line must not swallow the beginning of the next one.
        left = memoryview((b"\n" if self._cut else b"") + text.encode("utf-8", "backslashreplace"))
        whole = len(left)
        try:
            while left:
                if self._ready is not None and not self._ready.poll(0):
                    break
                left = left[os.write(self._fd, left if self._ready is None else left[:_AT_ONCE]) :]
        except OSError:
            pass
        self._cut = len(left) > 0 and (self._cut or len(left) < whole)
        return not left
