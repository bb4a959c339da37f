"""One empty journal per test, on either back end."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest

from router.journal import Store, open_journal

Open = Callable[..., Awaitable[Store]]


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within_s):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.01)


class Place:
    """Where a test's journal is, and what is in it besides what the journal tells."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.embedded = url.startswith("sqlite")

    @property
    def path(self) -> Path:
        """The file of an embedded journal."""
        return Path(self.url.removeprefix("sqlite:///"))

    async def sql(self, statement: str) -> Sequence[Any]:
        """Run a statement beside the journal."""
        if self.embedded:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
                return connection.execute(statement).fetchall()
        connection = await asyncpg.connect(self.url)
        try:
            rows: Sequence[Any] = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()


@asynccontextmanager
async def database(server: str) -> AsyncIterator[Place]:
    """An empty database."""
    name = f"journal_{uuid4().hex}"
    await Place(server).sql(f"create database {name}")
    try:
        yield Place(urlsplit(server)._replace(path=f"/{name}").geturl())
    finally:
        await Place(server).sql(f"drop database {name} with (force)")


@pytest.fixture
def server(request: pytest.FixtureRequest) -> str:
    """The URL of a private PostgreSQL."""
    return str(request.getfixturevalue("postgresql").url)


@pytest.fixture(params=["sqlite", "postgresql"])
def perhaps_server(request: pytest.FixtureRequest) -> str | None:
    """The same, or nothing for the embedded journal."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("server"))


@pytest.fixture
async def place(perhaps_server: str | None, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty SQLite file, or an empty database."""
    if perhaps_server is None:
        yield Place(f"sqlite:///{tmp_path}/journal.db")
    else:
        async with database(perhaps_server) as place:
            yield place


@pytest.fixture
async def shared_place(server: str) -> AsyncIterator[Place]:
    """An empty database."""
    async with database(server) as place:
        yield place


@pytest.fixture
async def open_place(place: Place) -> AsyncIterator[Open]:
    """Open the test's journal, as often as a test has pods; all are closed afterwards."""
    async with AsyncExitStack() as stack:

        async def opened(on_commit: Callable[[float], None] | None = None) -> Store:
            return await stack.enter_async_context(await open_journal(place.url, on_commit=on_commit))

        yield opened


@pytest.fixture
async def journal(open_place: Open) -> Store:
    """The test's journal, opened once."""
    return await open_place()
