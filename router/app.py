"""The composition root: the only place that names the concrete classes and joins them."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import structlog

from router.broker import Consumer, Names, Publisher, check, connect, declare, open_channel
from router.clock import SystemClock
from router.config import Config, parse_rate
from router.dispatch import Dispatcher
from router.errors import BrokerUnavailable, ConfigError, JournalUnavailable, RouterError
from router.feeds import Fed, Feeds, Parts, Settler
from router.http import HttpServer
from router.journal import Store, open_journal
from router.limiter import Limiter
from router.outbox import Outbox
from router.plan import Planner
from router.ports import Clock
from router.resolver import Resolver
from router.telemetry import Metrics
from router.transport import HttpTransport
from router.venue import Account, Venue
from router.venue_protocol import Limit, Options
from router.venues import adapter_type
from router.websocket import WebSockets
from router.worker import Worker

LAG_EVERY_S = 0.5
DOUBTS_EVERY_S = 5.0
RETIRE_EVERY_S = 600.0
JOURNAL_RETRY_S = 1.0
TOPOLOGY_AGAIN_S = 1.0

_log = structlog.get_logger(__name__)


def build_venues(config: Config, clock: Clock) -> dict[str, Venue]:
    """Return every venue that has an account, ready to sign."""
    venues = {}
    for name, accounts in config.accounts.items():
        options = config.venues[name]
        exchange = adapter_type(name)(options)
        venues[name] = Venue(
            name=name,
            exchange=exchange,
            options=options,
            accounts={account: Account(account, exchange.signer(secrets)) for account, secrets in accounts.items()},
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
        journal = await _open_journal(config, metrics, stop)
        if journal is None:
            return
        stack.push_async_callback(journal.close)
        transport = await stack.enter_async_context(HttpTransport())
        publisher = Publisher(config.broker, metrics)
        stack.push_async_callback(publisher.close)
        venues = build_venues(config, clock)
        outbox = Outbox(journal, publisher, clock, metrics)
        dispatcher = Dispatcher(venues, journal, transport, clock, metrics, resolve_for_s=config.worker.resolve_for_s)
        resolver = Resolver(dispatcher, journal, outbox, clock, resolve_for_s=config.worker.resolve_for_s)
        planner = Planner(venues, journal, clock, max_horizon_s=config.worker.max_horizon_s)
        worker = Worker(planner, dispatcher, journal, outbox, publisher, publisher, clock, metrics, config.senders)
        consumer = Consumer(config.broker, config.lanes(), worker.take)
        stack.push_async_callback(consumer.close)
        checks.update(journal=lambda: journal.writable, consuming=lambda: consumer.consuming)
        work = {
            "resolver": resolver.run(),
            "outbox": outbox.run(),
            "retention": _retire(journal, config.journal.retention_days),
            "loop lag": _watch_lag(metrics),
            "doubts": _watch_doubts(journal, venues, metrics),
            "consumer": consumer.run(),
            "ready": _announce(ready, on_ready),
        }
        if feed:
            sockets = await stack.enter_async_context(WebSockets())
            feeds = build_feeds(config, journal, publisher, transport, sockets, dispatcher, outbox, clock, metrics)
            work["feeds"] = _once(lambda: consumer.consuming, feeds.run)
        async with _side_tasks(work) as died:
            await _first(stop.wait(), died)
            checks["not_draining"] = lambda: False
            _log.info("draining", timeout_s=config.worker.drain_timeout_s)
            await consumer.stop()
            left, _ = await asyncio.gather(
                worker.drain(config.worker.drain_timeout_s), resolver.drain(config.worker.drain_timeout_s)
            )
            if left:
                _log.warning("left to other pods", commands=left)


async def _open_journal(config: Config, metrics: Metrics, stop: asyncio.Event) -> Store | None:
    """Open the journal, waiting as long as it cannot be had now. `None` when `stop` came first."""
    while True:
        try:
            return await open_journal(config.journal.url, on_commit=metrics.journal_commit)
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
    parts = Parts(journal=journal, publisher=publisher, settler=settler, sweep=dispatcher.sweep)
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
        journal = await _open_journal(config, metrics, stop)
        if journal is None:
            return
        stack.push_async_callback(journal.close)
        checks["journal"] = lambda: journal.writable
        transport = await stack.enter_async_context(HttpTransport())
        sockets = await stack.enter_async_context(WebSockets())
        publisher = Publisher(config.broker, metrics)
        stack.push_async_callback(publisher.close)
        venues = build_venues(config, clock)
        outbox = Outbox(journal, publisher, clock, metrics)
        dispatcher = Dispatcher(venues, journal, transport, clock, metrics, resolve_for_s=config.worker.resolve_for_s)
        feeds = build_feeds(config, journal, publisher, transport, sockets, dispatcher, outbox, clock, metrics)
        work = {
            "topology": _find_topology(config, declared),
            "feeds": _once(declared.is_set, feeds.run),
            "outbox": outbox.run(),
            "retention": _retire(journal, config.journal.retention_days),
            "loop lag": _watch_lag(metrics),
            "ready": _announce(ready, on_ready),
        }
        async with _side_tasks(work) as died:
            await _first(stop.wait(), died)
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
            connection = await connect(config.broker, "topology")
            try:
                bring = declare if config.broker.declare else check
                await bring(await open_channel(connection), Names(config.broker.prefix), ())
            finally:
                await connection.close()
            return found.set()
        except BrokerUnavailable as error:
            _log.warning("the feeds wait for the broker", error=str(error))
            await asyncio.sleep(TOPOLOGY_AGAIN_S)


@asynccontextmanager
async def _side_tasks(work: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator["asyncio.Future[str]"]:
    """Run what must go on beside the deliveries. The future gives the name of the first that ended with an error."""
    died: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _log.error("a part has died", part=task.get_name(), exc_info=task.exception())
            if not died.done():
                died.set_result(task.get_name())

    tasks = [asyncio.create_task(body, name=name) for name, body in work.items()]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield died
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if died.done():
        raise RouterError(f"{died.result()} has died")


async def _first(stop: Coroutine[Any, Any, Any], died: "asyncio.Future[str]") -> None:
    waiting = asyncio.ensure_future(stop)
    await asyncio.wait([waiting, died], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


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
