"""`order-router feed`: the accounts' feeds alone."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import structlog

from router.app import upkeep
from router.app.supervision import Supervision
from router.app.wiring import wired
from router.broker import Names, close, connect, declare, open_channel
from router.config import Config
from router.errors import BrokerUnavailable

TOPOLOGY_AGAIN_S: Final = 1.0

_log = structlog.get_logger(__name__)


async def run_feed(config: Config, *, stop: asyncio.Event, on_ready: Callable[[], None] | None = None) -> None:
    """Run the accounts' feeds until `stop` is set, then say goodbye to the venues and let go of the accounts.

    Raises `ConfigError` for what only shows now, and `RouterError` when a part that must run has died.
    """
    async with wired(config, stop, witnessed=False, ready="broker") as shared, AsyncExitStack() as stack:
        if shared is None:
            return
        declared = asyncio.Event()
        shared.readiness.checks["broker"] = declared.is_set
        feeds = await shared.feeds(stack)
        parts = {
            **shared.parts(),
            "topology": _find_topology(config, declared),
            "feeds": upkeep.once(declared.is_set, feeds.run),
        }
        async with Supervision(parts) as supervision:
            announcing = asyncio.create_task(upkeep.announce(shared.readiness, on_ready))
            await supervision.until(stop)
            announcing.cancel()
            supervision.draining = True
            shared.readiness.end()


async def _find_topology(config: Config, found: asyncio.Event) -> None:
    """Declare or check the broker's objects, so that events find their exchange; wait for the broker if need be."""
    while True:
        try:
            if config.broker.declare:
                connection = await connect(config.broker, "topology")
                try:
                    await declare(await open_channel(connection), Names(config.broker.prefix), ())
                finally:
                    await close(connection)
            found.set()
            await asyncio.Event().wait()  # a part that must run does not return
        except BrokerUnavailable as error:
            _log.warning("the feeds wait for the broker", error=str(error))
            await asyncio.sleep(TOPOLOGY_AGAIN_S)
