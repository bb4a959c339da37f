"""One empty journal per test, on either back end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from router.journal import Store, open_journal
from tests.journal_place import Place, database

Open = Callable[..., Awaitable[Store]]


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within_s):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.01)


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
