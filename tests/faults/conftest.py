"""What the fault tests share: one set of simulators, one private broker, and a trial per fault."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from router.demo.rabbitmq_node import RabbitMQNode
from router.simulator import Simulators
from tests.faults.trial import Trial, trial

Trials = Callable[..., AbstractAsyncContextManager[Trial]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def simulators() -> AsyncIterator[Simulators]:
    """Serve the venues for all trials; they share an address, so limits counted per address are lifted."""
    async with Simulators(rate_limits=False) as served:
        yield served


@pytest.fixture
def trials(tmp_path: Path, node: RabbitMQNode, simulators: Simulators) -> Trials:
    """Return what sets up a trial on the session's broker."""
    return partial(trial, tmp_path, node.url, simulators)


@pytest_asyncio.fixture(loop_scope="session")
async def one(trials: Trials) -> AsyncIterator[Trial]:
    """Set up a trial at GMO Coin."""
    async with trials() as made:
        yield made


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Run everything here on one loop: the simulators live on it."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
