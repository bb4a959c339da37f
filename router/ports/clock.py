"""The time of this machine, as the core asks for it."""

from typing import Protocol


class Clock(Protocol):
    """The time of this machine. Tests move it. What two processes compare is the journal's time."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC, as the machine has it: to sign, and for people. It may be set anew."""
        ...

    def boot_us(self) -> int:
        """Return microseconds since some moment that nobody sets; they pass while the machine sleeps, too."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
