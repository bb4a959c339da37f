"""The machine that a process runs on: its clocks, and which of its starts this is."""

from pathlib import Path
from typing import Protocol

from router.clock import SystemClock


class Machine(Protocol):
    """What the journal needs to know. Called from any thread."""

    boot_id: str
    """Another one after every start of the machine."""

    def now_us(self) -> int:
        """Return the wall clock, in microseconds since 1970."""
        ...

    def boot_us(self) -> int:
        """Return microseconds since a moment of this start of the machine."""
        ...


class ThisMachine(SystemClock):
    """The machine itself (random(4): /proc/sys/kernel/random/boot_id)."""

    def __init__(self) -> None:
        try:
            self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:  # not Linux: then every process counts as a start
            self.boot_id = f"unknown {self.now_us()}"
