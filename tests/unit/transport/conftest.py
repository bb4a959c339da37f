"""On the event loop of the workers and on Python's own: each has its sockets, its TLS and its ends of connections."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.unit.transport.bench import Bench, open_bench


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test twice."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A listening peer and an open transport."""
    async with open_bench() as made:
        yield made
