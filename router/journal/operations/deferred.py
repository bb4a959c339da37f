"""Marks, notes and refusals that wait for somebody else's commit."""

import time
from collections import deque
from typing import Final, NamedTuple

from router.journal.operations import refusals, results, timeline
from router.journal.operations.statements import Params
from router.records.command import Reply

FLUSH_S: Final = 0.075
"""How long marks and notes wait for another commit to ride on before they get one of their own."""
_KEPT: Final = 100_000
"""Beyond that the oldest are dropped: a lost mark costs a repeat under the same id, a lost note a line of history."""


class Later(NamedTuple):
    """What was taken to be written, oldest first: results that were confirmed, history, refusals without a row."""

    marks: list[Params]
    notes: list[Params]
    refusals: list[Params]


class Deferred:
    """What is to be written with some later commit. One thread adds, one takes; the order is kept."""

    def __init__(self) -> None:
        self._marks: deque[Params] = deque(maxlen=_KEPT)
        self._notes: deque[Params] = deque(maxlen=_KEPT)
        self._refusals: deque[Params] = deque(maxlen=_KEPT)
        self._last_us = 0

    def __bool__(self) -> bool:
        return bool(self._marks or self._notes or self._refusals)

    def mark(self, outbox_id: str) -> None:
        """Remember that a result was confirmed now."""
        self._marks.append(results.confirmation(outbox_id, self._now_us()))

    def note(self, sender: str, command_id: str, event: str, detail: str) -> None:
        """Remember what happened now."""
        self._notes.append(timeline.note(sender, command_id, self._now_us(), event, detail))

    def refused(self, sender: str, command_id: str | None, *, why: tuple[str, str], reply: Reply, key: str) -> None:
        """Remember a refusal that is stored under no command."""
        self._refusals.append(refusals.row(self._now_us(), sender, command_id, why=why, reply=reply, key=key))

    def take(self) -> Later:
        """Return what waits."""
        return Later(_drained(self._marks), _drained(self._notes), _drained(self._refusals))

    def put_back(self, later: Later) -> None:
        """Keep what could not be committed."""
        self._marks.extendleft(reversed(later.marks))
        self._notes.extendleft(reversed(later.notes))
        self._refusals.extendleft(reversed(later.refusals))

    def _now_us(self) -> int:
        # Strictly increasing, so that what one process noted keeps its order.
        self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
        return self._last_us


def _drained(waiting: deque[Params]) -> list[Params]:
    taken = []
    while waiting:
        taken.append(waiting.popleft())
    return taken
