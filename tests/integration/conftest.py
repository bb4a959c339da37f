"""The whole system for one test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.sender import Sender
from tests.stack import Stack, stack


@pytest_asyncio.fixture
async def system(tmp_path: Path, rabbitmq: Any) -> AsyncIterator[Stack]:
    """Yield a stack with a journal file of its own; no worker runs yet."""
    async with stack(tmp_path, rabbitmq.url) as made:
        for venue in made.config["venues"].values():
            venue.update(timeout_s=1.0, timestamp_window_s=0.5, quarantine_s=1.5)
        yield made


@pytest_asyncio.fixture
async def sender(system: Stack) -> AsyncIterator[Sender]:
    """Yield a sender on the stack's broker."""
    async with Sender(system.broker_url, system.prefix) as made:
        yield made
