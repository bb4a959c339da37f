"""The whole system on loopback: the real broker, the simulated venues, the worker as a process of its own."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from router.demo.rabbitmq_node import free_ports
from router.simulator import Simulators

READY_S = 60.0
ORDER_ROUTER = Path(sys.executable).with_name("order-router")


class WorkerProcess:
    """One `order-router worker`. What it wrote is in `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, port: int) -> None:
        self.process = process
        self.log = log
        self.port = port

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def stopped(self) -> bool:
        """Whether it is frozen by SIGSTOP."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def kill(self) -> None:
        """End it as a crash does."""
        self.signal(signal.SIGKILL)
        await self.process.wait()

    async def terminate(self, timeout_s: float = 40.0) -> int:
        """Ask it to drain, wait, and return its exit status."""
        self.signal(signal.SIGTERM)
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()

    def said(self) -> str:
        """Return everything it wrote so far."""
        return self.log.read_text(errors="replace")

    async def ready(self) -> bool:
        """Ask /readyz; `False` also when it does not answer."""
        return (await self.get("/readyz"))[0] == 200

    async def metric(self, sample: str) -> float:
        """Return a sample of /metrics by its name and labels as written there; 0.0 when it is not there."""
        _, text = await self.get("/metrics")
        found = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return sum(float(value) for name, _, value in found if name == sample or name.startswith(sample + "{"))

    async def get(self, path: str) -> tuple[int, str]:
        """Ask its HTTP server; status 0 when it does not answer."""
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, ""


class Stack:
    """A broker prefix of its own, four simulated venues, a journal, and workers started on demand."""

    def __init__(self, directory: Path, broker_url: str, simulators: Simulators, journal_url: str) -> None:
        self.directory = directory
        self.broker_url = broker_url
        self.simulators = simulators
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        self.journal_url = journal_url
        self.workers: list[WorkerProcess] = []
        self.program = [str(ORDER_ROUTER)]
        self.config: dict[str, Any] = {
            "broker": {"url": broker_url, "prefix": self.prefix},
            "journal": {"url": journal_url},
            **simulators.config(),
        }

    def change(self, section: str, **values: Any) -> None:
        """Change a section (`a.b` for a nested one) for the workers started from now on."""
        table = self.config
        for part in section.split("."):
            table = table.setdefault(part, {})
        table.update(values)

    def write_config(self, port: int = 0) -> Path:
        """Write the configuration file and return its path."""
        path = self.directory / f"{uuid.uuid4().hex[:8]}.toml"
        path.write_bytes(msgspec.toml.encode({"http": {"port": port}} | self.config))
        return path

    async def worker(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        wait: bool = True,
        url: str = "",
        command: tuple[str, ...] = ("worker",),
    ) -> WorkerProcess:
        """Start a worker, or what else `command` says, and wait until it says that it is ready.

        `url` is its own way to the broker, if any.
        """
        (port,) = free_ports(1)
        log = self.directory / f"worker-{len(self.workers)}.log"
        own = {"ORDER_ROUTER_BROKER__URL": url} if url else {}
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *self.program,
                *command,
                "--config",
                str(self.write_config(port)),
                stdout=out,
                stderr=out,
                env={**os.environ, **own, **(environ or {})},
            )
        worker = WorkerProcess(process, log, port)
        self.workers.append(worker)
        if wait:
            await until(lambda: '"ready"' in worker.said() or process.returncode is not None, READY_S)
            assert process.returncode is None, worker.said()
        return worker

    async def stop(self) -> None:
        """End every worker that still runs."""
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
            await worker.kill()


async def until(holds: Any, timeout_s: float = READY_S) -> None:
    """Wait until a condition, plain or awaitable, holds."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = holds()
            if asyncio.iscoroutine(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def stack(
    directory: Path, broker_url: str, *, journal_url: str | None = None, rate_limits: bool = True
) -> AsyncIterator[Stack]:
    """Run the simulators for the context and end every worker with it."""
    async with Simulators(rate_limits=rate_limits) as simulators:
        url = journal_url or f"sqlite:///{directory / 'journal.db'}"
        made = Stack(directory, broker_url, simulators, url)
        try:
            yield made
        finally:
            await made.stop()
