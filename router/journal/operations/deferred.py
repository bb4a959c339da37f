"""Marks and notes that wait for somebody else's commit."""

import time
from collections import deque
from typing import Final

from router.journal.operations import results, timeline
from router.journal.operations.statements import Params

FLUSH_S: Final = 0.075
"""How long marks and notes wait for another commit to ride on before they get one of their own."""
_KEPT: Final = 100_000
"""Beyond that the oldest are dropped: a lost mark costs a repeat under the same id, a lost note a line of history."""


class Deferred:
    """What is to be written with some later commit. One thread adds, one takes; the order is kept."""

    def __init__(self) -> None:
        self._marks: deque[Params] = deque(maxlen=_KEPT)
        self._notes: deque[Params] = deque(maxlen=_KEPT)
        self._last_us = 0

    def __bool__(self) -> bool:
        return bool(self._marks or self._notes)

    def mark(self, outbox_id: str) -> None:
        """Remember that a result was confirmed now."""
        self._marks.append(results.confirmation(outbox_id, self._now_us()))

    def note(self, sender: str, command_id: str, event: str, detail: str) -> None:
        """Remember what happened now."""
        self._notes.append(timeline.note(sender, command_id, self._now_us(), event, detail))

    def take_marks(self) -> list[Params]:
        """Return the marks that wait, oldest first."""
        return _drained(self._marks)

    def take_notes(self) -> list[Params]:
        """Return the notes that wait, oldest first."""
        return _drained(self._notes)

    def put_back(self, marks: list[Params], notes: list[Params]) -> None:
        """Keep what could not be committed."""
        self._marks.extendleft(reversed(marks))
        self._notes.extendleft(reversed(notes))

    def _now_us(self) -> int:
        # Strictly increasing, so that what one process noted keeps its order.
        self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
        return self._last_us


def _drained(waiting: deque[Params]) -> list[Params]:
    taken = []
    while waiting:
        taken.append(waiting.popleft())
    return taken
