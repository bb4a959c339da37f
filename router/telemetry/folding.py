"""Fold repeats of one cause: a full disk must not bury what else is told (contract, section 6).

The first few lines of a cause are told as they come. Later ones are counted, and told as one line with `repeats` when
their window ends; each window is twice as long as the one before. A cause that was silent for a while begins anew.

What is told of one command (`FREE`) is never folded: each of these lines is the only one of its kind.
"""

import re
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from structlog import DropEvent

FREE: Final = frozenset({"result", "in doubt", "dead letter", "contradiction", "a result went to the results queue"})
FIRST: Final = 3
"""So many lines of a cause are told at once."""
WINDOW_S: Final = 5.0
MAX_WINDOW_S: Final = 60.0
CAUSES: Final = 256
"""So many causes are remembered; the oldest is forgotten first."""

_VARYING: Final = re.compile(r"[0-9a-fA-F-]{8,}|\d+")
_NAMES: Final = ("error", "venue", "account", "part", "cause", "logger", "why")


class Cause:
    """What was told of one cause, and what was not."""

    __slots__ = ("ends_s", "folded", "last", "told", "window_s")

    def __init__(self, now_s: float) -> None:
        self.told = self.folded = 0
        self.window_s = WINDOW_S
        self.ends_s = now_s + WINDOW_S
        self.last: dict[str, Any] = {}


class Folding:
    """A structlog processor that drops repeats and keeps count of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._causes: dict[tuple[object, ...], Cause] = {}

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Let a line through, or drop it. One that ends a window carries how often it was dropped."""
        if event.get("event") in FREE or "repeats" in event:
            return event
        now, key = self._clock(), _key(event)
        cause = self._causes.get(key)
        if cause is None or now - cause.ends_s > cause.window_s:
            cause = self._remember(key, now)
        elif now >= cause.ends_s:
            event["repeats"] = cause.folded + 1
            self._next_window(cause, now)
            return event
        if cause.told < FIRST:
            cause.told += 1
            return event
        cause.folded += 1
        cause.last = dict(event)
        raise DropEvent

    def ended(self, *, all_of_them: bool = False) -> list[Mapping[str, Any]]:
        """Return a line for each window that has ended, or for every one, with what was folded in it."""
        now = self._clock()
        lines: list[Mapping[str, Any]] = []
        for cause in self._causes.values():
            if cause.folded and (all_of_them or now >= cause.ends_s):
                lines.append({**cause.last, "repeats": cause.folded})
                self._next_window(cause, now)
        return lines

    def _next_window(self, cause: Cause, now_s: float) -> None:
        cause.folded, cause.told = 0, FIRST
        cause.window_s = min(cause.window_s * 2, MAX_WINDOW_S)
        cause.ends_s = now_s + cause.window_s

    def _remember(self, key: tuple[object, ...], now_s: float) -> Cause:
        if len(self._causes) >= CAUSES:
            self._causes.pop(next(iter(self._causes)))
        cause = self._causes[key] = Cause(now_s)
        return cause


def _key(event: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what makes two lines one cause: what they say but for numbers and ids."""
    return event.get("event"), *(_VARYING.sub("#", str(event[name])) for name in _NAMES if name in event)
