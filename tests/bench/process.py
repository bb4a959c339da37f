"""Processes under measurement: started, read from /proc, ended with everything they started."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
STOP_S = 20.0


class Usage(Struct, frozen=True):
    """What a process and its descendants have used so far."""

    cpu_s: float
    peak_mib: float


class Process:
    """A running program. What it wrote on stderr is in `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def line(self) -> str:
        """Return its next line on stdout."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    def usage(self) -> Usage:
        """Read what it and its descendants have used: processor time, and the sum of their peak resident sizes."""
        found = [_usage(pid) for pid in _family(self._process.pid)]
        return Usage(sum(one.cpu_s for one in found), sum(one.peak_mib for one in found))

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


@asynccontextmanager
async def running(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run a program, in a session of its own, as long as the context lasts."""
    with log.open("ab") as out:
        started = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=out,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
    process = Process(started, log)
    try:
        yield process
    finally:
        await process.stop()


def _family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _usage(pid: int) -> Usage:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return Usage(0.0, 0.0)
    peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage((int(fields[11]) + int(fields[12])) * TICK_S, peak / 1024)
