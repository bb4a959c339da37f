"""What passes between the event loop and the thread that writes."""

import asyncio
from enum import Enum
from typing import Any, NamedTuple

from router.journal.operations.statements import Operation


class Signal(Enum):
    """What else the queue carries."""

    FLUSH = "flush"
    STOP = "stop"


class Waiting:
    """An operation and whoever waits for its verdict."""

    __slots__ = ("operation", "taken", "verdict", "withdrawn")

    def __init__(self, operation: Operation[Any], verdict: "asyncio.Future[Any]") -> None:
        self.operation = operation
        self.verdict = verdict
        self.taken = False
        """Whether the writer has begun with it; from then on it cannot be taken back."""
        self.withdrawn = False


class Verdict(NamedTuple):
    """A verdict on its way back to the loop."""

    verdict: "asyncio.Future[Any]"
    value: Any = None
    error: BaseException | None = None


def settle(answers: list[Verdict]) -> None:
    for answer in answers:
        if answer.verdict.done():
            continue
        if answer.error is None:
            answer.verdict.set_result(answer.value)
        else:
            answer.verdict.set_exception(answer.error)
