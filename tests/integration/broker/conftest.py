"""On the event loop of the workers and on Python's own: each has its sockets and its ends of connections."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop

from tests.integration.broker.case import Case, case


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test twice."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def one(rabbitmq: Any) -> AsyncIterator[Case]:
    """Yield a case on the session's broker."""
    async with case(rabbitmq.url) as made:
        yield made
