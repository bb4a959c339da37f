"""Named points where a test may end, freeze or fail the process: every await of a command's life.

`ORDER_ROUTER_CRASH=after_admit:kill` arms one point once. Unset, as in every real run, a point costs one comparison.
"""

import asyncio
import os
import signal
import sys
from typing import Final

VARIABLE: Final = "ORDER_ROUTER_CRASH"
POINTS: Final = (
    "after_delivery",
    "after_admit",
    "before_send",
    "after_send",
    "before_conclude",
    "after_conclude",
    "after_confirm",
    "before_ack",
)

_point, _, _how = os.environ.get(VARIABLE, "").partition(":")
_armed = bool(_point)


class Injected(Exception):
    """A fault that a test asked for."""


def at(point: str) -> None:
    """Do here what the environment asks for, once; else nothing."""
    if _armed and point == _point:
        _strike()


def _strike() -> None:
    global _armed  # noqa: PLW0603 - a point strikes once per process
    _armed = False
    print(f"crash point {_point}: {_how}", file=sys.stderr, flush=True)
    if _how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif _how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif _how == "cancel":
        raise asyncio.CancelledError
    else:
        raise Injected(_point)
