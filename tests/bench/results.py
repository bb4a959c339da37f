"""What a run leaves behind: one JSON file per section, with the machine and the versions it was made by."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeVar

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import msgspec
from msgspec import Struct

from tests.bench.amqp import connect
from tests.bench.contestants import PEERS, ROOT, Course

RESULTS: Final = Path(__file__).with_name("results")
OURS: Final = ("uvloop", "aio-pika", "aiohttp", "asyncpg", "msgspec")
THEIRS: Final = ("faststream", "celery", "aiohttp", "requests", "uvloop")
ASK_PEERS: Final = "import importlib.metadata, sys; print(*map(importlib.metadata.version, sys.argv[1:]))"

Record = TypeVar("Record", bound=Struct)


class Machine(Struct, frozen=True, kw_only=True):
    """What a run was made on."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    system: str


class Run(Struct, frozen=True, kw_only=True):
    """When, where and of what a run was made. `load` is the machine's load average before it began."""

    date: str
    commit: str
    machine: Machine
    versions: dict[str, str]
    load: float


async def describe(course: Course, date: str) -> Run:
    """Look at the machine, the programs and the servers."""
    return Run(
        date=date,
        commit=_said("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        machine=machine(),
        versions={"Python": platform.python_version(), **_packages(), **await _servers(course)},
        load=round(os.getloadavg()[0], 2),
    )


def machine() -> Machine:
    """Look at the machine."""
    cpu = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpu=cpu[1] if cpu else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / 2**30, 1),
        kernel=platform.release(),
        system=system,
    )


def save(directory: Path, name: str, record: Struct) -> None:
    """Write a section's record: small, and one line per measurement so that two runs can be compared."""
    directory.mkdir(parents=True, exist_ok=True)
    fields = [
        f"{msgspec.json.encode(key).decode()}: {_lines(value)}" for key, value in msgspec.structs.asdict(record).items()
    ]
    (directory / f"{name}.json").write_text("{\n" + ",\n".join(fields) + "\n}\n")


def load(directory: Path, name: str, kind: type[Record]) -> Record | None:
    """Read a section's record; `None` when that section was not measured."""
    file = directory / f"{name}.json"
    return msgspec.json.decode(file.read_bytes(), type=kind) if file.exists() else None


def _lines(value: object) -> str:
    encode = msgspec.json.encode
    if isinstance(value, list) and value and isinstance(value[0], Struct):
        return "[\n" + ",\n".join(encode(item).decode() for item in value) + "\n]"
    return encode(value).decode()


def _packages() -> dict[str, str]:
    found = {name: version(name) for name in OURS}
    python = PEERS / "bin" / "python"
    if python.exists():
        theirs = _said(str(python), "-c", ASK_PEERS, *THEIRS).split()
        found |= {f"{name} (peers)": said for name, said in zip(THEIRS, theirs, strict=True)}
    return found


async def _servers(course: Course) -> dict[str, str]:
    line = await connect(course.broker)
    platform_said = str(line.server.get("platform", ""))
    found = {"RabbitMQ": str(line.server.get("version", "")), "Erlang": platform_said.removeprefix("Erlang/OTP ")}
    await line.close()
    connection = await asyncpg.connect(course.postgresql)
    try:
        found["PostgreSQL"] = str(await connection.fetchval("show server_version"))
    finally:
        await connection.close()
    return found


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {' '.join(command[:3])} … failed:\n{done.stderr}")
    return done.stdout.strip()
