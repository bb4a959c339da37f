"""The composition root: the only place that names the concrete classes and joins them."""

import asyncio
import gc
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import structlog

from router.access.configured import SHARED_SLOT, Account, Venue
from router.access.limiter import Limiter
from router.access.probes import Probes
from router.access.slots import Slots
from router.app.marks import Marks
from router.app.supervision import Supervision
from router.broker import Consumer, Names, Publisher, Witness, close, connect, declare, open_channel
from router.clock import SystemClock
from router.commands.dispatch import Dispatcher
from router.commands.overdue import Overdue
from router.commands.plan import Planner
from router.commands.refusals import Refusals
from router.commands.relay import Outbox
from router.commands.resolver import Resolver
from router.commands.suspects import Suspects
from router.commands.worker import Worker
from router.config import Config, parse_rate
from router.errors import BrokerUnavailable, ConfigError, JournalUnavailable, RouterError
from router.feeds import Copies, Fed, Feeds, Parts, Settler
from router.journal import Store, open_journal
from router.ports import Clock
from router.telemetry import Metrics
from router.telemetry.endpoints import HttpServer
from router.transport.http import HttpTransport
from router.transport.websocket import WebSockets
from router.venue_protocol import Limit, Options
from router.venues import adapter_type

LAG_EVERY_S = 0.5
DOUBTS_EVERY_S = 5.0
RETIRE_EVERY_S = 600.0
JOURNAL_RETRY_S = 1.0
TOPOLOGY_AGAIN_S = 1.0
DRAIN_ANSWERS_S = 3.0

_log = structlog.get_logger(__name__)


def build_venues(config: Config, clock: Clock, slots: Slots | None = None) -> dict[str, Venue]:
    """Return every venue that has an account, ready to sign. `slots`: other processes sign for these accounts too."""
    venues = {}
    for name, accounts in config.accounts.items():
        options = config.venues[name]
        exchange = adapter_type(name)(options)
        slot = partial(getattr, slots, "number", SHARED_SLOT) if exchange.unique_stamps else None
        venues[name] = Venue(
            name=name,
            exchange=exchange,
            options=options,
            accounts={
                account: Account(account, exchange.signer(secrets), slot) for account, secrets in accounts.items()
            },
            limiter=Limiter(effective_limits(exchange.limits, options), clock),
        )
    return venues


def effective_limits(published: tuple[Limit, ...], options: Options) -> tuple[Limit, ...]:
    """Return a venue's published limits with what the configuration says instead.

    Of another number cancels keep the same share to themselves.
    """
    if options.limits == "off":
        return ()
    kept = [limit for limit in published if limit.scope not in options.limits]
    for scope, text in options.limits.items():
        shapes = {(limit.per, limit.cancels_only / limit.count) for limit in published if limit.scope == scope}
        for count, period_s in parse_rate(text):
            kept += [Limit(scope, count, period_s, per, int(count * share)) for per, share in sorted(shapes)]
    return tuple(kept)


async def run_worker(
    config: Config, *, stop: asyncio.Event, on_ready: Callable[[], None] | None = None, feed: bool = False
) -> None:
    """Consume, dispatch and answer until `stop` is set, then drain. With `feed` the accounts' feeds run here too.

    Raises `ConfigError` for what only shows now, and `RouterError` when a part that must run has died.
    """
    if not config.accounts:
        raise ConfigError(
            ["accounts: none is configured; a worker needs at least one, such as [accounts.gmo_coin.main]"]
        )
    async with AsyncExitStack() as stack:
        clock, metrics = SystemClock(), Metrics()
        checks: dict[str, Callable[[], bool]] = {"journal": lambda: False, "consuming": lambda: False}

        def ready() -> Mapping[str, bool]:
            return {name: holds() for name, holds in checks.items()}

        await stack.enter_async_context(HttpServer(config.http.host, config.http.port, metrics, ready))
        journal = await _open_journal(config, metrics, stop, witnessed=True)
        if journal is None:
            return
        stack.push_async_callback(journal.close)
        journal.on_unreadable = metrics.row_unreadable
        transport = await stack.enter_async_context(HttpTransport())
        publisher = Publisher(config.broker)
        stack.push_async_callback(publisher.close)
        publisher.open()
        slots = await _slots(journal, clock, stack)
        venues = build_venues(config, clock, slots)
        outbox = Outbox(journal, publisher, clock, metrics)
        overdue = Overdue(journal, outbox, clock)
        witness = Witness(config.broker)
        stack.push_async_callback(witness.close)
        marks = Marks(journal, witness, clock)
        dispatcher = Dispatcher(venues, journal, transport, clock, metrics, resolve_for_s=config.worker.resolve_for_s)
        resolver = Resolver(dispatcher, journal, outbox, resolve_for_s=config.worker.resolve_for_s)
        worker = Worker(
            planner=Planner(venues, journal, clock, max_horizon_s=config.worker.max_horizon_s),
            dispatcher=dispatcher,
            journal=journal,
            outbox=outbox,
            overdue=overdue,
            suspects=Suspects(journal, clock),
            refusals=Refusals(
                outbox=outbox, dead_letters=publisher, clock=clock, metrics=metrics, senders=config.senders
            ),
            clock=clock,
            metrics=metrics,
            senders=config.senders,
            cancel_without_journal=config.worker.cancel_without_journal,
        )
        consumer = Consumer(config.broker, config.lanes(), worker.take, marks.certify)
        stack.push_async_callback(consumer.close)
        checks.update(
            journal=lambda: journal.writable,
            consuming=lambda: consumer.consuming,
            permissions=lambda: not publisher.refused,
        )
        parts = {
            "resolver": resolver.run(),
            "outbox": outbox.run(),
            "overdue": overdue.run(),
            "marks": marks.run(),
            "slots": slots.run(),
            "probes": Probes(venues, dispatcher.sweep, clock).run(),
            "retention": _retire(journal, config.journal.retention_days),
            "loop lag": _watch_lag(metrics),
            "doubts": _watch_doubts(journal, venues, metrics),
            "consumer": consumer.run(),
        }
        if feed:
            sockets = await stack.enter_async_context(WebSockets())
            feeds = build_feeds(config, journal, publisher, transport, sockets, dispatcher, outbox, clock, metrics)
            parts["feeds"] = _once(lambda: consumer.consuming, feeds.run)
        async with Supervision(parts) as supervision:
            announcing = asyncio.create_task(_announce(ready, on_ready))
            await supervision.until(stop)
            announcing.cancel()
            checks["not_draining"] = lambda: False
            supervision.draining = True
            drain_s = config.worker.drain_timeout_s
            _log.info("draining", timeout_s=drain_s)
            _, left, _ = await asyncio.gather(consumer.stop(), worker.drain(drain_s), resolver.drain(drain_s))
            await outbox.drain(DRAIN_ANSWERS_S)
            if left:
                _log.warning("left to other pods", commands=left)


async def _slots(journal: Store, clock: Clock, stack: AsyncExitStack) -> Slots:
    slots = Slots(journal, clock)
    await slots.take()
    stack.push_async_callback(slots.release)
    return slots


async def _open_journal(config: Config, metrics: Metrics, stop: asyncio.Event, *, witnessed: bool) -> Store | None:
    """Open the journal, waiting as long as it cannot be had now. `None` when `stop` came first."""
    while True:
        try:
            return await open_journal(config.journal.url, on_commit=metrics.journal_commit, witnessed=witnessed)
        except JournalUnavailable as error:
            _log.warning("waiting for the journal", error=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(JOURNAL_RETRY_S):
                await stop.wait()
                return None


def build_feeds(
    config: Config,
    journal: Store,
    publisher: Publisher,
    transport: HttpTransport,
    sockets: WebSockets,
    dispatcher: Dispatcher,
    outbox: Outbox,
    clock: Clock,
    metrics: Metrics,
) -> Feeds:
    """Return the feeds of every account whose venue offers one."""
    fed: dict[tuple[str, str], Fed] = {}
    for name, venue in dispatcher.venues.items():
        offered: Any = venue.exchange
        if hasattr(offered, "reconcile"):
            for account, secrets in config.accounts[name].items():
                fed[name, account] = Fed(venue=venue, account=venue.accounts[account], feed=offered, secrets=secrets)
    settler = Settler(dispatcher, journal, outbox, clock)
    copies = Copies(publisher, clock)
    parts = Parts(journal=journal, publisher=publisher, copies=copies, settler=settler, sweep=dispatcher.sweep)
    return Feeds(fed, journal, parts, settler, transport, sockets, clock, metrics, lease_s=config.worker.lease_s)


async def run_feed(config: Config, *, stop: asyncio.Event, on_ready: Callable[[], None] | None = None) -> None:
    """Run the accounts' feeds until `stop` is set, then say goodbye to the venues and let go of the accounts.

    Raises `ConfigError` for what only shows now, and `RouterError` when a part that must run has died.
    """
    if not config.accounts:
        raise ConfigError(["accounts: none is configured; a feed needs at least one"])
    async with AsyncExitStack() as stack:
        clock, metrics = SystemClock(), Metrics()
        declared = asyncio.Event()
        checks: dict[str, Callable[[], bool]] = {"journal": lambda: False, "broker": declared.is_set}

        def ready() -> Mapping[str, bool]:
            return {name: holds() for name, holds in checks.items()}

        await stack.enter_async_context(HttpServer(config.http.host, config.http.port, metrics, ready))
        journal = await _open_journal(config, metrics, stop, witnessed=False)
        if journal is None:
            return
        stack.push_async_callback(journal.close)
        checks["journal"] = lambda: journal.writable
        transport = await stack.enter_async_context(HttpTransport())
        sockets = await stack.enter_async_context(WebSockets())
        publisher = Publisher(config.broker)
        stack.push_async_callback(publisher.close)
        slots = await _slots(journal, clock, stack)
        venues = build_venues(config, clock, slots)
        outbox = Outbox(journal, publisher, clock, metrics)
        dispatcher = Dispatcher(venues, journal, transport, clock, metrics, resolve_for_s=config.worker.resolve_for_s)
        feeds = build_feeds(config, journal, publisher, transport, sockets, dispatcher, outbox, clock, metrics)
        parts = {
            "topology": _find_topology(config, declared),
            "slots": slots.run(),
            "probes": Probes(venues, dispatcher.sweep, clock).run(),
            "feeds": _once(declared.is_set, feeds.run),
            "outbox": outbox.run(),
            "retention": _retire(journal, config.journal.retention_days),
            "loop lag": _watch_lag(metrics),
        }
        async with Supervision(parts) as supervision:
            announcing = asyncio.create_task(_announce(ready, on_ready))
            await supervision.until(stop)
            announcing.cancel()
            supervision.draining = True
            checks["not_draining"] = lambda: False


async def _once(holds: Callable[[], bool], begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin once the broker has the exchanges: a publish to one that is missing costs the whole connection."""
    while not holds():  # noqa: ASYNC110 - the consumer would have to know of the event
        await asyncio.sleep(0.02)
    await begin()


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


async def _announce(ready: Callable[[], Mapping[str, bool]], on_ready: Callable[[], None] | None) -> None:
    while not all(ready().values()):  # noqa: ASYNC110 - three parts would each have to know of the event
        await asyncio.sleep(0.02)
    # What is there now stays: no collection need look at it again.
    gc.collect()
    gc.freeze()
    _log.info("ready")
    if on_ready is not None:
        on_ready()


async def _watch_lag(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        metrics.loop_lag(max(loop.time() - due, 0.0))


async def _watch_doubts(journal: Store, venues: Collection[str], metrics: Metrics) -> None:
    while True:
        with suppress(JournalUnavailable):
            doubts = await journal.doubts()
            for venue in venues:
                count, since_us = doubts.get(venue, (0, 0))
                metrics.doubts(venue, count, since_us / 1e6)
        await asyncio.sleep(DOUBTS_EVERY_S)


async def _retire(journal: Store, days: int) -> None:
    while True:
        with suppress(RouterError):
            await journal.retire(days)
        await asyncio.sleep(RETIRE_EVERY_S)
