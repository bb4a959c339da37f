"""Build once what the processes share: the only place, with `worker` and `feed`, that names the concrete classes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import structlog
from msgspec import Struct

from router.access.configured import SHARED_SLOT, Account, Venue
from router.access.limiter import Limiter
from router.access.probes import Probes
from router.access.reads import Reader
from router.access.shares import Shares
from router.access.slots import Slots
from router.app import upkeep
from router.app.alarms import Alarms
from router.app.cautions import cautions, stream_faults
from router.broker import Publisher
from router.clock import SystemClock
from router.commands.dispatch import Dispatcher
from router.commands.evidence import Settler
from router.commands.relay import ResultRelay
from router.config import Config, parse_rate
from router.errors import ConfigError, JournalUnavailable
from router.feeds import Copies, FedAccount, FeedParts, Feeds
from router.journal import Store, open_journal
from router.ports import Clock
from router.telemetry import Metrics
from router.telemetry.endpoints import HttpServer
from router.transport.http import HttpTransport
from router.transport.websocket import WebSockets
from router.venue_protocol import Limit, Options
from router.venues import adapter_type

JOURNAL_RETRY_S: Final = 1.0
NO_ACCOUNT: Final = "accounts: none is configured; at least one is needed, such as [accounts.gmo_coin.main]"

_log = structlog.get_logger(__name__)


def _never() -> bool:
    return False


class Readiness:
    """What must hold for the process to be ready, by name. Nothing holds before it is known how to tell."""

    def __init__(self, *names: str) -> None:
        self.checks: dict[str, Callable[[], bool]] = dict.fromkeys(names, _never)
        self.ended = False

    def __call__(self) -> Mapping[str, bool]:
        """Return each condition and whether it holds now."""
        return {name: holds() for name, holds in self.checks.items()}

    def end(self) -> None:
        """Be ready no more."""
        self.ended = True
        self.checks["not_draining"] = lambda: False

    def holds(self, name: str) -> bool:
        """Say whether one condition holds now."""
        return self.checks.get(name, _never)()


class Wired(Struct, frozen=True, kw_only=True):
    """What worker and feed have in common, ready to run."""

    config: Config
    readiness: Readiness
    clock: SystemClock
    metrics: Metrics
    journal: Store
    reader: Reader
    publisher: Publisher
    slots: Slots
    shares: Shares
    relay: ResultRelay
    dispatcher: Dispatcher
    alarms: Alarms

    @property
    def venues(self) -> Mapping[str, Venue]:
        """Every venue that has an account."""
        return self.dispatcher.venues

    def parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what runs beside the work, by name."""
        return {
            "outbox": self.relay.run(),
            "slots": self.slots.run(),
            "limits": self.shares.run(),
            "probes": Probes(self.venues, self.reader).run(),
            "retention": upkeep.retire(self.journal, self.config.journal.retention_days),
            "loop lag": upkeep.watch_lag(self.metrics),
            "alarms": self.alarms.run(),
            "folded lines": upkeep.tell_folded_repeats(),
        }

    async def feeds(self, stack: AsyncExitStack) -> Feeds:
        """Return the feeds of every account whose venue offers one; their sockets are closed with `stack`."""
        for lack in stream_faults(self.config, self.venues, self.clock):
            _log.error("a feed cannot begin", account=lack.about, why=lack.message)
        fed: dict[tuple[str, str], FedAccount] = {}
        for name, venue in self.venues.items():
            offered: Any = venue.adapter
            if hasattr(offered, "reconcile"):
                for account, secrets in self.config.accounts[name].items():
                    fed[name, account] = FedAccount(
                        venue=venue, account=venue.accounts[account], feed=offered, secrets=secrets
                    )
        parts = FeedParts(
            journal=self.journal,
            publisher=self.publisher,
            copies=Copies(self.publisher, self.clock),
            settler=Settler(self.dispatcher, self.journal, self.relay, self.clock),
            reader=self.reader,
        )
        sockets = await stack.enter_async_context(WebSockets())
        return Feeds(fed, parts, sockets, lease_s=self.config.worker.lease_s)


@asynccontextmanager
async def wired(config: Config, stop: asyncio.Event, *, witnessed: bool, ready: str) -> AsyncIterator[Wired | None]:
    """Build everything, and close it in the opposite order. `None` when `stop` came before there was a journal.

    `witnessed`: the journal waits to be compared with its marks. `ready` names what besides the journal makes the
    process ready. Raises `ConfigError`.
    """
    if not config.accounts:
        raise ConfigError([NO_ACCOUNT])
    async with AsyncExitStack() as stack:
        clock, metrics, readiness = SystemClock(), Metrics(), Readiness("journal", ready)
        upkeep.say_what_starts(config)
        for caution in cautions(config):
            _log.warning("not safe", about=caution.about, why=caution.message)
        stack.callback(upkeep.say_what_was_done, metrics, time.monotonic())
        metrics.watch("journal_up", "1 while the journal can be written", lambda: readiness.holds("journal"))
        if ready == "consuming":  # a feed has no such sample: it would look like a worker that consumes nothing
            metrics.watch("consuming", "1 while commands are consumed", lambda: readiness.holds("consuming"))
        metrics.watch("draining", "1 while the process finishes before it stops", lambda: readiness.ended)
        await stack.enter_async_context(HttpServer(config.http.host, config.http.port, metrics, readiness))
        journal = await _open_journal(config, metrics, stop, witnessed=witnessed)
        if journal is None:
            yield None
            return
        stack.push_async_callback(journal.close)
        journal.on_unreadable = partial(_unreadable, metrics)
        readiness.checks["journal"] = lambda: journal.writable
        transport = await stack.enter_async_context(HttpTransport())
        publisher = Publisher(config.broker)
        stack.push_async_callback(publisher.close)
        slots = Slots(journal, clock)
        await slots.take()
        stack.push_async_callback(slots.release)
        shares = Shares(journal, clock, config.worker.address)
        venues = build_venues(config, clock, slots, shares)
        await shares.turn()
        stack.push_async_callback(shares.release)
        reader = Reader(transport, clock, metrics)
        alarms = Alarms(metrics.alerts, journal, publisher, clock)
        yield Wired(
            config=config,
            readiness=readiness,
            clock=clock,
            metrics=metrics,
            journal=journal,
            reader=reader,
            publisher=publisher,
            slots=slots,
            shares=shares,
            relay=ResultRelay(journal, publisher, clock, metrics),
            dispatcher=Dispatcher(venues, journal, reader, resolve_for_s=config.worker.resolve_for_s),
            alarms=alarms,
        )


def _unreadable(metrics: Metrics, venue: str) -> None:
    metrics.row_unreadable(venue)
    message = "a row of the journal was written by a newer version, or is damaged: it is set aside"
    metrics.alerts.raised("row_unreadable", venue, message=message)


def build_venues(
    config: Config, clock: Clock, slots: Slots | None = None, shares: Shares | None = None
) -> dict[str, Venue]:
    """Return every venue that has an account, ready to sign.

    `slots`: other processes sign for these accounts too; `shares`: they share the limits.
    """
    venues = {}
    for name, accounts in config.accounts.items():
        options = config.venues[name]
        adapter = adapter_type(name)(options)
        slot = partial(getattr, slots, "number", SHARED_SLOT) if adapter.unique_stamps else None
        limits = effective_limits(adapter.limits, options)
        limiter = Limiter(limits, clock, shares.lease) if shares is not None else Limiter(limits, clock)
        if shares is not None:
            shares.add(name, limiter, accounts)
        venues[name] = Venue(
            name=name,
            adapter=adapter,
            options=options,
            accounts={
                account: Account(account, adapter.signer(secrets), slot) for account, secrets in accounts.items()
            },
            limiter=limiter,
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
