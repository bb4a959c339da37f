"""What one reply queue is owed by this process."""

import asyncio
from collections import deque
from typing import Any, Final

from router.records.command import Outgoing

UNCONFIRMED: Final = 16
"""How many results may be under way to one reply queue."""
WAITING: Final = 512
"""How many more wait in memory for a queue that confirms; the rest waits in the journal."""
STUCK_US: Final = 1_000_000
"""A queue that has confirmed nothing for that long, while something is under way to it, is stuck."""


class ReplyQueue:
    """What one reply queue is owed by this process. Times are microseconds of the boot clock."""

    __slots__ = (
        "check_us",
        "confirms",
        "crowd",
        "diverting_us",
        "heard_us",
        "patient",
        "pauses",
        "stuck",
        "under_way",
        "used_us",
        "waiting",
    )

    def __init__(self, now_us: int) -> None:
        self.waiting: deque[Outgoing] = deque()
        self.under_way: dict[str, asyncio.Task[Any]] = {}
        self.confirms = False
        """Whether it has confirmed the latest: until then one result at a time goes out."""
        self.stuck = False
        self.pauses = self.crowd = self.patient = 0
        self.check_us = 0
        self.heard_us = self.used_us = now_us
        self.diverting_us = 0

    @property
    def held(self) -> int:
        return len(self.waiting) + len(self.under_way)

    @property
    def width(self) -> int:
        """How many may be under way now."""
        if self.stuck and not self.diverting_us:
            return 0
        return UNCONFIRMED if self.confirms or self.diverting_us else 1
