"""The world of the core's scenario tests."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.unit.commands.world import World


@pytest.fixture(autouse=True, scope="package")
def _quiet() -> Iterator[None]:
    """Keep the core's logs out of the way; hundreds of crashes would fill them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A broker, two venues and one worker."""
    with World(tmp_path) as made:
        made.start()
        yield made


@pytest.fixture
def limited(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """The same with the options that the test names."""
    with World(tmp_path, **request.param) as made:
        made.start()
        yield made
