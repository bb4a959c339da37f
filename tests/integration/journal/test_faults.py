"""What the journal does when processes die, disks fill up and servers go away."""

import asyncio
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from router.errors import ConfigError, JournalUnavailable
from router.job import Admitted, Joined
from router.journal import Store, open_journal
from router.journal.postgres import PostgresJournal
from router.journal.sqlite import SqliteJournal
from router.journal.writer import Writer
from tests.integration.journal.conftest import Open, Place, until
from tests.journal_cases import T0_US, began, cancel, close, ended, final, reply, result

pytestmark = [pytest.mark.integration, pytest.mark.faults]

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def pod(url: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process on the same journal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.journal.pod", url, *arguments,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def stopped(process: asyncio.subprocess.Process) -> None:
    """Wait until a process is frozen."""

    async def frozen() -> bool:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    await until(frozen)


async def admit(journal: Store, command_id: str, position: str = "p1", *, early: bool = False) -> Admitted:
    """Admit a new close."""
    job = close(command_id, position=position)
    answer = await journal.admit(job, reply(), "digest", start=began(), early=early)
    assert isinstance(answer, Admitted)
    return answer


async def recovered(journal: Store) -> None:
    """Wait until the journal can be written again."""

    async def writable() -> bool:
        return journal.writable

    await until(writable)


class TestProcesses:
    """Several processes share one journal, and any of them may die at any point."""

    async def test_two_processes_admit_every_command_once(self, place: Place) -> None:
        """Of two processes that get the same commands, each command is new to one."""
        async with pod(place.url, "count", "200") as first, pod(place.url, "count", "200") as second:
            for process in (first, second):
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            counts = [
                int(output) for output, _ in await asyncio.gather(first.communicate(b"\n"), second.communicate(b"\n"))
            ]
        assert sum(counts) == 200

    async def test_killed_before_the_commit_nothing_is_stored(self, place: Place, open_place: Open) -> None:
        """A process that is killed inside a transaction leaves nothing, and nobody waits for it (row 1)."""
        async with pod(place.url, "before", "a1") as process:
            assert await process.wait() == -signal.SIGKILL
            journal = await open_place()
            assert await journal.load("alpha", "a1") is None
            await admit(journal, "a2")

    async def test_killed_after_the_commit_everything_is_stored(self, place: Place, open_place: Open) -> None:
        """What a process was told is stored survives its death (row 2)."""
        async with pod(place.url, "after", "a1") as process:
            assert await process.wait() == -signal.SIGKILL
            journal = await open_place()
            assert await journal.load("alpha", "a1") == close("a1")
            assert await journal.admit(close("a1"), reply(), "digest") == Joined()
            (told,) = await journal.story(None, "a1")
            assert "attempt" in [entry.event for entry in told.entries]

    @pytest.mark.parametrize("place", ["sqlite"], indirect=["place"])
    async def test_a_frozen_process_makes_the_others_wait(self, tmp_path: Path) -> None:
        """While another process is frozen inside a transaction nothing is stored; afterwards all goes on (row 28)."""
        path = tmp_path / "frozen.db"
        async with await SqliteJournal.open(path, busy_s=0.3) as journal:
            async with pod(f"sqlite:///{path}", "freeze", "a1") as process:
                await stopped(process)
                with pytest.raises(JournalUnavailable):
                    await admit(journal, "a2", early=True)
                assert not journal.writable
                with pytest.raises(JournalUnavailable):
                    await admit(journal, "a3")
                assert await journal.load("alpha", "a1") is None, "what is not committed is not seen"
                process.send_signal(signal.SIGCONT)
                assert process.stdout is not None
                assert await process.stdout.readline() == b"stored\n"
            await recovered(journal)
            assert await journal.load("alpha", "a1") is not None
            await admit(journal, "a2", "p2")
