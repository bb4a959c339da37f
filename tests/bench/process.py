"""Processes under measurement: started, read from /proc, ended with everything they started."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
STOP_S = 20.0


class Usage(Struct, frozen=True):
    """What a process and its descendants have used so far."""

    cpu_s: float
    peak_mib: float
    resident_mib: float

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu_s + other.cpu_s, self.peak_mib + other.peak_mib, self.resident_mib + other.resident_mib)


NOTHING = Usage(0.0, 0.0, 0.0)


class Watched(Protocol):
    """What a measurement looks at."""

    @property
    def alive(self) -> bool: ...

    @property
    def log(self) -> Path: ...

    def usage(self) -> Usage: ...


class Process:
    """A running program."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    @property
    def log(self) -> Path:
        """What it wrote on stderr."""
        return self._log

    async def line(self) -> str:
        """Return its next line on stdout."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    async def ended(self) -> None:
        """Wait until it has ended by itself. Raises `AssertionError` when it failed."""
        assert await self._process.wait() == 0, self._log.read_text()

    def usage(self) -> Usage:
        """Read what it and its descendants have used: processor time, and the sums of their resident sizes."""
        return sum((_usage(pid) for pid in _family(self._process.pid)), NOTHING)

    async def stop(self) -> None:
        """Ask it to end, and end it."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self.alive:
                os.killpg(self._process.pid, how)
            try:
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
                    return
            except TimeoutError:
                continue


class Together(Struct, frozen=True):
    """Several programs, measured as if they were one."""

    processes: Sequence[Process]

    @property
    def alive(self) -> bool:
        """Whether all still run."""
        return all(process.alive for process in self.processes)

    @property
    def log(self) -> Path:
        """The log of the first that does not run, else of the first."""
        return min(self.processes, key=lambda process: process.alive).log

    def usage(self) -> Usage:
        """Add up."""
        return sum((process.usage() for process in self.processes), NOTHING)


@asynccontextmanager
async def running(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run a program, in a session of its own, as long as the context lasts.

    It sees our environment but for what would override the router's configuration, and what would have it compile its
    modules anew: as installed they are compiled.
    """
    left_out = ("ORDER_ROUTER_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    with log.open("ab") as out:
        started = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=out,
            env={**inherited, **(environ or {})},
            start_new_session=True,
        )
    process = Process(started, log)
    try:
        yield process
    finally:
        await process.stop()


def _family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for one in found:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:  # it has just ended
            continue
    return found


def _usage(pid: int) -> Usage:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return NOTHING
    sizes = dict(line.split()[:2] for line in status.splitlines() if line.startswith(("VmHWM:", "VmRSS:")))
    peak_mib, resident_mib = (int(sizes.get(name, 0)) / 1024 for name in ("VmHWM:", "VmRSS:"))
    return Usage((int(fields[11]) + int(fields[12])) * TICK_S, peak_mib, resident_mib)
