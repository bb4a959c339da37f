"""`order-router check` and a worker on the same configuration: what the one says, the other says too."""

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.stack import ORDER_ROUTER, Stack, WorkerProcess, until

READS_S = 60.0
SECRET = "canary-5f1e"


class Checked(NamedTuple):
    """What `check --json` said, and its exit status."""

    status: int
    findings: list[dict[str, Any]]

    def said(self, status: str) -> dict[str, str]:
        """Return what was found of one status: what was looked at, and the sentence."""
        return {found["check"]: found["message"] for found in self.findings if found["status"] == status}

    @property
    def failed(self) -> dict[str, str]:
        """What failed."""
        return self.said("failed")


async def check(system: Stack, *options: str, environ: Mapping[str, str] | None = None) -> Checked:
    """Run it on the stack's configuration. It never prints a secret, nor a line on stderr."""
    process = await asyncio.create_subprocess_exec(
        ORDER_ROUTER, "check", "--json", *options, "--config", str(system.write_config()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **(environ or {})},
        cwd=system.directory,
    )  # fmt: skip
    async with asyncio.timeout(READS_S):
        out, err = await process.communicate()
    assert SECRET not in out.decode() + err.decode()
    assert err == b"", err.decode()
    findings = json.loads(out)
    assert all(found.keys() == {"check", "status", "message"} for found in findings)
    assert not [found for found in findings if " object at 0x" in found["message"] or "Error" in found["message"]]
    return Checked(process.returncode or 0, findings)


async def waits(system: Stack, sentence: str, *command: str) -> WorkerProcess:
    """Start a worker, which waits for whoever mends this: it says the same sentence and is not ready."""
    worker = await system.worker(wait=False, command=command or ("worker",))
    await until(lambda: sentence in worker.said() or worker.process.returncode is not None)
    assert sentence in worker.said()
    assert worker.process.returncode is None
    assert not await worker.ready()
    assert SECRET not in worker.said()
    return worker


async def refuses(system: Stack, sentence: str) -> None:
    """Start a worker, which ends with exit status 78 and the same sentence, before it consumes anything."""
    worker = await system.worker(wait=False)
    async with asyncio.timeout(READS_S):
        assert await worker.process.wait() == 78
    assert sentence in worker.said()
    assert '"consuming"' not in worker.said()
    assert SECRET not in worker.said()
