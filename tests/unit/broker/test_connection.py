"""Whatever the broker's library raises says that the broker cannot be used, and nothing else ends with it."""

import asyncio

import pytest

from router.broker.connection import named
from router.errors import BrokerUnavailable, JournalUnavailable


@pytest.mark.parametrize("error", [Exception(), KeyError("tag"), asyncio.CancelledError(), TimeoutError()])
def test_whatever_the_library_raises_is_a_broken_connection(error: BaseException) -> None:
    """aiormq raises a bare `Exception` to who waits on a channel while it is closed."""

    async def call() -> None:
        with pytest.raises(BrokerUnavailable, match="cannot declare"), named("cannot declare"):
            raise error

    asyncio.run(call())


def test_an_error_of_ours_keeps_its_kind() -> None:
    """What the router itself raises inside says more than that the broker is away."""
    with pytest.raises(JournalUnavailable), named("cannot declare"):
        raise JournalUnavailable("away")
