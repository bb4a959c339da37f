"""`order-router worker`: consume, dispatch and answer, then drain."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import structlog

from router.app import upkeep
from router.app.marks import Marks
from router.app.supervision import Supervision
from router.app.wiring import Wired, wired
from router.broker import Consumer, MarkStream
from router.commands.overdue import Overdue
from router.commands.plan import Planner
from router.commands.refusals import Refusals
from router.commands.resolver import Resolver
from router.commands.suspects import Suspects
from router.commands.worker import Worker
from router.config import Config

DRAIN_ANSWERS_S: Final = 3.0
DRAIN_ALERTS_S: Final = 1.0

_log = structlog.get_logger(__name__)


async def run_worker(
    config: Config, *, stop: asyncio.Event, on_ready: Callable[[], None] | None = None, feed: bool = False
) -> None:
    """Consume, dispatch and answer until `stop` is set, then drain. With `feed` the accounts' feeds run here too.

    Raises `ConfigError` for what only shows now, and `RouterError` when a part that must run has died.
    """
    async with wired(config, stop, witnessed=True, ready="consuming") as shared, AsyncExitStack() as stack:
        if shared is None:
            return
        shared.publisher.open()
        witness = MarkStream(config.broker)
        stack.push_async_callback(witness.close)
        marks = Marks(shared.journal, witness, shared.clock)
        overdue = Overdue(shared.journal, shared.relay, shared.clock)
        resolver = Resolver(shared.dispatcher, shared.journal, shared.relay, resolve_for_s=config.worker.resolve_for_s)
        worker = _worker(shared, overdue)
        consumer = Consumer(config.broker, config.lanes(), worker.take, marks.certify)
        stack.push_async_callback(consumer.close)
        shared.readiness.checks.update(
            consuming=lambda: consumer.consuming, permissions=lambda: not shared.publisher.refused
        )
        parts = {
            **shared.parts(),
            "resolver": resolver.run(),
            "overdue": overdue.run(),
            "marks": marks.run(),
            "backlog": upkeep.watch_backlog(shared.journal, shared.venues, shared.metrics, shared.alarms),
            "consumer": consumer.run(),
        }
        if feed:
            feeds = await shared.feeds(stack)
            parts["feeds"] = upkeep.once(lambda: consumer.consuming, feeds.run)
        async with Supervision(parts) as supervision:
            announcing = asyncio.create_task(upkeep.announce(shared.readiness, on_ready))
            await supervision.until(stop)
            announcing.cancel()
            shared.readiness.end()
            supervision.draining = True
            drain_s = config.worker.drain_timeout_s
            _log.info("draining", timeout_s=drain_s)
            _, left, _ = await asyncio.gather(consumer.stop(), worker.drain(drain_s), resolver.drain(drain_s))
            await shared.relay.drain(DRAIN_ANSWERS_S)
            await shared.alarms.finish(DRAIN_ALERTS_S)
            if left:
                _log.warning("left to other pods", commands=left)


def _worker(shared: Wired, overdue: Overdue) -> Worker:
    config, journal, clock = shared.config, shared.journal, shared.clock
    return Worker(
        planner=Planner(shared.venues, journal, clock, max_horizon_s=config.worker.max_horizon_s),
        dispatcher=shared.dispatcher,
        journal=journal,
        relay=shared.relay,
        overdue=overdue,
        suspects=Suspects(journal, clock),
        refusals=Refusals(
            relay=shared.relay,
            dead_letters=shared.publisher,
            journal=journal,
            clock=clock,
            metrics=shared.metrics,
            senders=config.senders,
        ),
        clock=clock,
        metrics=shared.metrics,
        senders=config.senders,
        cancel_without_journal=config.worker.cancel_without_journal,
    )
