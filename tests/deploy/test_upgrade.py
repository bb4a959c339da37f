"""Two versions on one journal: this one, and the last one before the newest migration."""

import asyncio
import io
import itertools
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest
import pytest_asyncio

from deploy.setup import ROOT
from router.simulator import Simulators
from tests.faults.databases import new_database
from tests.faults.trial import Trial, trial
from tests.postgresql import PostgreSQL
from tests.stack import WorkerProcess

SCHEMA = "router/journal/schema"
PROGRAM = "from router.cli import main; main()"
EXIT_CONFIG = 78
COMMANDS = 40

_prices = itertools.count(85_001)


def git(*arguments: str) -> bytes:
    """Run git in the project; empty when there is no history."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


def newest_migration() -> Path:
    """Return the migration with the highest number."""
    return max((ROOT / SCHEMA).glob("[0-9]*.sql"))


def commit_of_it(*options: str) -> str:
    """Return the last commit that touched the newest migration; empty when the history does not tell."""
    return git("log", "-1", "--format=%H", *options, "--", f"{SCHEMA}/{newest_migration().name}").decode().strip()


def with_it() -> str:
    """Return the commit since which it is as it is: one that no release has may still be changed."""
    return commit_of_it()


def before_it() -> str:
    """Return the commit before the one that brought it; empty likewise."""
    added = commit_of_it("--diff-filter=A")
    return git("rev-parse", "--verify", "--quiet", f"{added}^").decode().strip() if added else ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not shutil.which("git") or not before_it(), reason="needs the history of the newest migration"),
]


def checked_out(commit: str, directory: Path) -> list[str]:
    """Put a version into a folder and return how to start it."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "router", "schemas"))) as archive:
        archive.extractall(directory, filter="data")
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(directory)!r}); {PROGRAM}"]


@pytest.fixture
def older(tmp_path: Path) -> list[str]:
    """Return how to start the last version before the newest migration."""
    found = checked_out(before_it(), tmp_path / "older")
    assert not (tmp_path / "older" / SCHEMA / newest_migration().name).exists()
    return found


@pytest.fixture
def of_the_schema(tmp_path: Path) -> list[str]:
    """Return how to start the first version with the newest migration."""
    return checked_out(with_it(), tmp_path / "of_the_schema")


@pytest_asyncio.fixture
async def made(tmp_path: Path, rabbitmq: Any, postgresql: PostgreSQL) -> AsyncIterator[Trial]:
    """Yield a trial on a journal of its own, which both versions share."""
    async with Simulators(rate_limits=False) as simulators:
        url = await new_database(postgresql.url)
        async with trial(tmp_path, rabbitmq.url, simulators, journal_url=url) as one:
            yield one


async def worker(made: Trial, program: list[str], *, wait: bool = True) -> WorkerProcess:
    """Start a worker of either version."""
    ours, made.program = made.program, program
    try:
        return await made.worker(wait=wait)
    finally:
        made.program = ours


async def schema(url: str) -> int:
    """Return the number of the last migration that the journal has."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("select max(number) from migrations"))
    finally:
        await connection.close()


async def publish(made: Trial) -> None:
    """Publish closes and cancels, one after the other. By its price GMO Coin's records tell a close from the others."""
    for _ in range(COMMANDS):
        await made.publish(made.fresh_close(price=str(next(_prices))))
        await made.publish(made.fresh_cancel())


async def test_an_upgrade_under_load(made: Trial, older: list[str]) -> None:
    """The new version migrates while the old one works; both serve; the old one drains; nothing is lost or doubled."""
    number = int(newest_migration().stem)
    old = await worker(made, older)
    await publish(made)
    assert await schema(made.journal_url) == number - 1
    publishing = asyncio.create_task(publish(made))
    new = await worker(made, made.program)
    assert await schema(made.journal_url) == number
    await publishing
    await publish(made)
    await made.finals()
    for process in (old, new):
        assert await process.ready(), process.said()
        assert await process.metric("order_router_commands_total") > 0, "both took their part"
        assert '"level":"error"' not in process.said()
    assert await old.terminate() == 0
    await publish(made)
    await made.judge()


async def test_an_older_version_does_not_begin_on_a_newer_journal(made: Trial, older: list[str]) -> None:
    """A roll back over a migration: the old pods say why and end, with 78, and the new ones go on serving."""
    new = await worker(made, made.program)
    back = await worker(made, older, wait=False)
    assert await asyncio.wait_for(back.process.wait(), 60) == EXIT_CONFIG
    assert f"written by a newer version (schema {int(newest_migration().stem)})" in back.said()
    assert (await made.ask(made.fresh_close()))["outcome"] == "accepted"
    assert await new.ready()


async def test_versions_of_one_schema_go_back_and_forth(made: Trial, of_the_schema: list[str]) -> None:
    """Without a migration between them, a roll back is an upgrade: either takes up what the other left, even killed."""
    for program in (made.program, of_the_schema, made.program):
        process = await worker(made, program)
        await publish(made)
        await process.kill()
    last = await worker(made, of_the_schema)
    await made.judge()
    assert await last.ready()
