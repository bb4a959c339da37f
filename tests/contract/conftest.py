"""The `--bless` switch of the golden cases: `pytest tests/contract --bless`."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one switch that rewrites goldens; nothing else ever does."""
    parser.addoption("--bless", action="store_true", help="rewrite the golden requests and outcomes from what is built")


@pytest.fixture
def bless(request: pytest.FixtureRequest) -> bool:
    """Say whether to rewrite goldens instead of comparing with them; false when the switch was never loaded."""
    return bool(request.config.getoption("--bless", default=False))
