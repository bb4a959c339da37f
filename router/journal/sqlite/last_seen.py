"""A note beside a SQLite file that says when the journal was last seen being written.

A copy that is put back over the file, or an empty file in its place, knows less than this note: then what was sent
since is not on record, and a new epoch begins. A whole volume that is rolled back takes the note with it; that cannot
be noticed.
"""

import os
from pathlib import Path
from typing import Final

EVERY_S: Final = 1.0


class LastSeen:
    """The note. It is never ahead of what is committed, so losing a line of it does no harm."""

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(f"{journal.name}-seen")

    def last_us(self) -> int:
        """Return when the journal was last seen being written; 0 when nobody says."""
        try:
            return int(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def saw(self, at_us: int) -> None:
        """Note a commit of this moment."""
        try:
            with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                file.write(str(at_us))
        except OSError:
            return  # a full disk: the older note stands
