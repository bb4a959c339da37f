"""Real simulators, a real broker, real sockets; the router in the test's own process unless a test kills it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.feeds import account
from router.venues.gmo_coin import stream
from tests.integration.feeds.listening import Feeding, Topic
from tests.sender import Sender
from tests.stack import Stack, stack


@pytest.fixture
async def whole(tmp_path: Path, rabbitmq: Any) -> AsyncIterator[Stack]:
    """Broker prefix, simulators and journal of one test."""
    async with stack(tmp_path, rabbitmq.url, rate_limits=False) as made:
        yield made


@pytest.fixture
async def feeding(whole: Stack) -> AsyncIterator[Feeding]:
    """The same with a listener on the topic and a sender."""
    async with Topic(whole.broker_url, whole.prefix) as topic, Sender(whole.broker_url, whole.prefix) as sender:
        yield Feeding(whole, topic, sender)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watchdog look every second instead of every ten and sixty, and subscribe without GMO Coin's pace.

    The simulators' limits are off in these tests; that the pace is kept has a test of its own.
    """
    for name, value in {"WATCH_S": 2.0, "WATCH_BUSY_S": 1.0, "STALL_S": 1.0, "DOUBT_S": 0.2}.items():
        monkeypatch.setattr(account, name, value)
    monkeypatch.setattr(stream, "_PACE_S", 0.02)
    monkeypatch.setattr(stream, "_SETTLE_MS", 300)
