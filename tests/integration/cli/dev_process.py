"""`order-router dev` as a process: on free ports, its output read, its descendants known."""

import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from router.demo.rabbitmq_node import free_ports
from router.simulator.venues import names
from tests.stack import until

ORDER_ROUTER = Path(sys.executable).with_name("order-router")
LAST_LINE = "a second one at once"
ENDS_S = 30.0


class DevProcess:
    """One server. `out` and `err` are what it said so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", cwd: Path, ports: list[int]) -> None:
        self.process = process
        self.cwd = cwd
        self.folder = cwd / ".order-router-dev"
        self.broker_port, self.http_port, self.venues_port = ports

    @property
    def out(self) -> str:
        """What it said on stdout."""
        return (self.cwd / "out").read_text()

    @property
    def err(self) -> str:
        """What it said on stderr."""
        return (self.cwd / "err").read_text()

    @property
    def log(self) -> str:
        """What worker and feeds said."""
        file = self.folder / "order-router.log"
        return file.read_text() if file.exists() else ""

    async def up(self) -> None:
        """Wait until it has said everything."""
        await until(lambda: LAST_LINE in self.out or self.process.poll() is not None)
        assert self.process.poll() is None, self.err

    async def ended(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given, wait for the end, and return the exit status."""
        if number is not None:
            self.process.send_signal(number)
        await until(lambda: self.process.poll() is not None, ENDS_S)
        return int(self.process.returncode)

    def commands(self) -> list[str]:
        """Return the commands to try, as somebody would copy them from stdout."""
        return [line.strip() for line in self.out.splitlines() if line.startswith(f"  {ORDER_ROUTER} ")]

    def paste(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Run a line in a shell in the folder where the server was started."""
        return subprocess.run(["bash", "-c", command], cwd=self.cwd, env=environment(), capture_output=True, text=True,
                              timeout=60, check=False)  # fmt: skip

    def left(self) -> set[int]:
        """Return the broker's processes that live: all of them have its folder as HOME."""
        home, found = f"HOME={self.folder / 'rabbitmq'}".encode(), set()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and home in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
            except OSError:
                continue  # it ended while we looked, or is not ours to look at
        return found


def environment() -> dict[str, str]:
    """Return our environment with nothing that concerns the router."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ORDER_ROUTER_")}


def unused_ports() -> list[int]:
    """Return free ports: the broker's, the metrics', and the first of as many neighbours as there are venues."""
    while True:
        broker, http, first = free_ports(3)
        venues = [first + number for number in range(len(names()))]
        if {broker, http}.isdisjoint(venues) and all(map(_is_free, venues)):
            return [broker, http, first]


def command(ports: list[int]) -> list[str]:
    """Return the command line for these ports."""
    broker, http, venues = ports
    return [str(ORDER_ROUTER), "dev", f"--broker-port={broker}", f"--http-port={http}", f"--venues-port={venues}"]


@contextmanager
def developing(cwd: Path, ports: list[int]) -> Iterator[DevProcess]:
    """Start the server in a folder; it is killed if it does not end by itself."""
    with (cwd / "out").open("wb") as out, (cwd / "err").open("wb") as err:
        process = subprocess.Popen(command(ports), cwd=cwd, env=environment(), stdout=out, stderr=err)
    try:
        yield DevProcess(process, cwd, ports)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


class Terminal:
    """A program in a terminal of 50 lines that stays up; killed at the end if it still runs."""

    def __init__(self, program: list[str], cwd: Path, width: int, **environ: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        os.set_blocking(self._ours, False)
        self._shown = b""
        clean = {name: value for name, value in environment().items() if name not in {"COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            program,
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=clean | {"TERM": "xterm-256color"} | environ,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def shown(self) -> str:
        """Return everything that it wrote so far."""
        try:
            while more := os.read(self._ours, 65536):
                self._shown += more
        except OSError:
            pass  # nothing more now, or ever
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    async def until(self, text: str) -> None:
        """Wait until it shows a text."""
        await until(lambda: text in self.shown() or self.process.poll() is not None)
        assert text in self.shown()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
