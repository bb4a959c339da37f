"""Row 35: a part that ends, however it ends, ends the process, and its name is said."""

import asyncio

import pytest

from router.app.supervision import Supervision
from router.errors import ConfigError, RouterError


async def lasts() -> None:
    """Run until cancelled, as a part should."""
    await asyncio.get_running_loop().create_future()


async def returns() -> None:
    """End without a word."""
    await asyncio.sleep(0)


async def raises() -> None:
    """End with an error of some library."""
    await asyncio.sleep(0)
    raise ValueError("something")


async def is_cancelled() -> None:
    """End as a library does that cancels what waits for it."""
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def refuses() -> None:
    """End with what only an operator can mend."""
    await asyncio.sleep(0)
    raise ConfigError(["journal.url: wrong"])


@pytest.mark.parametrize("way", [returns, raises, is_cancelled])
async def test_a_part_that_ends_ends_all_and_is_named(way: object) -> None:
    """Nobody asked to stop; the wait is over all the same."""
    with pytest.raises(RouterError, match="the feeds has ended"):
        async with asyncio.timeout(5), Supervision({"others": lasts(), "the feeds": way()}) as running:  # type: ignore[operator]
            await running.until(asyncio.Event())


async def test_a_part_that_an_operator_must_mend_says_what() -> None:
    """The cause itself leaves, so that the process can end with 78."""
    with pytest.raises(ConfigError, match=r"journal\.url"):
        async with asyncio.timeout(5), Supervision({"others": lasts(), "marks": refuses()}) as running:
            await running.until(asyncio.Event())


async def test_a_stop_that_was_asked_for_is_no_failure() -> None:
    """What runs is cancelled; a part that returns while draining is not missed."""
    stop = asyncio.Event()
    async with asyncio.timeout(5), Supervision({"others": lasts(), "consumer": stop.wait()}) as running:  # type: ignore[dict-item]
        running.draining = True
        stop.set()
        await running.until(stop)
