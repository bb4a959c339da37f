"""What the demo plays on: a broker, simulated venues and a worker, put up and taken away without a trace."""

import asyncio
import http.client
import logging
import os
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from router.app.worker import run_worker
from router.broker import CommandClient, Names, connect, open_channel
from router.config import BrokerSettings, Config, load
from router.demo.observer import Observer
from router.demo.rabbitmq_node import RabbitMQNode
from router.errors import UserError
from router.simulator import Simulators
from router.telemetry import configure_logging

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
FEED_UP: Final = "order_router_feed_up"
BROKER_VARIABLES: Final = "ORDER_ROUTER_BROKER__"
OWN_VARIABLES: Final = "ORDER_ROUTER_"
READY_S: Final = 60.0
DRAIN_S: Final = 3.0
FEEDS_S: Final = 15.0
"""GMO Coin's feed alone takes some six: its wire allows one subscription a second
(https://api.coin.z.com/docs/en/#restrictions)."""

Tell = Callable[[str], None]


class Stage(Struct, frozen=True, kw_only=True):
    """Everything that is up; `live` names the venues whose order feed was when the first command was due."""

    config: Config
    simulators: Simulators
    observer: Observer
    caller: CommandClient
    live: frozenset[str]

    def urls(self) -> dict[str, str]:
        """Return where a curious person may look."""
        http = self.config.http
        found = {
            "broker": self.config.broker.url,
            "prefix": self.config.broker.prefix,
            "metrics": f"http://{http.host}:{http.port}/metrics",
        }
        return found | {venue: urls["control_url"] for venue, urls in self.simulators.urls().items()}


@contextmanager
def broker_for(file: Path | None, tell: Tell) -> Iterator[BrokerSettings]:
    """Give the broker that is configured, or a node of our own. Enter it outside of any event loop."""
    shared = _shared_broker(file)
    if shared is not None:
        yield shared
        return
    node = RabbitMQNode()
    with own_node(node, tell):
        yield BrokerSettings(url=node.url)


@contextmanager
def own_node(node: RabbitMQNode, tell: Tell, *, hurried: bool = False) -> Iterator[None]:
    """Run a node of our own. Enter it outside of any event loop.

    Starting and stopping a node blocks, and must not be cut in the middle: while it starts, SIGINT and SIGTERM are
    noted and raise `KeyboardInterrupt` where nothing is half done; while it stops, neither is heard. `hurried`, for a
    node whose folder stays: a second signal ends the process at once, and the kernel ends the node with it.
    """
    noted: list[int] = []
    last = signal.SIG_DFL if hurried else signal.SIG_IGN

    def note(number: int, _: object) -> None:
        noted.append(number)
        if hurried:
            _on_signals(last)

    def sleep(seconds: float) -> None:
        if noted:
            raise KeyboardInterrupt
        time.sleep(seconds)

    _on_signals(note)
    try:
        node.start(tell, sleep)
        _on_signals(signal.default_int_handler)
        sleep(0)
        yield
    finally:
        _on_signals(last)
        node.stop()


def _on_signals(act: Any) -> None:
    for number in SIGNALS:
        signal.signal(number, act)


@asynccontextmanager
async def staged(broker: BrokerSettings, tell: Tell) -> AsyncIterator[Stage]:
    """Put up simulators and a worker on a broker."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="order-router-demo-")))
        tell("starting the simulators")
        simulators = Simulators()
        observer = Observer(simulators)
        await stack.enter_async_context(simulators)
        config = _config(folder, simulators, broker)
        configure_logging(config.secret_values(), level=logging.WARNING)
        if broker.prefix != BrokerSettings().prefix:
            stack.push_async_callback(_remove, config)
        tell("starting the worker")
        await stack.enter_async_context(working(config))
        live = await _feeds_live(config, tell)
        caller = await stack.enter_async_context(CommandClient(broker))
        yield Stage(config=config, simulators=simulators, observer=observer, caller=caller, live=live)


def _shared_broker(file: Path | None) -> BrokerSettings | None:
    """Return the broker that is configured, under a prefix of our own; `None` when none is."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(BROKER_VARIABLES) or not name.startswith(OWN_VARIABLES)
    }
    if file is None and not any(name.startswith(f"{BROKER_VARIABLES}URL") for name in environ):
        return None
    # Without --config no file at all: the working directory's may be a production configuration.
    broker = load(file or Path(os.devnull), environ).broker
    return msgspec.structs.replace(broker, prefix=f"demo-{uuid.uuid4().hex[:8]}", declare=True)


def _config(folder: Path, simulators: Simulators, broker: BrokerSettings) -> Config:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tables: dict[str, Any] = {
        "journal": {"url": f"sqlite:///{folder / 'journal.db'}"},
        "worker": {"drain_timeout_s": DRAIN_S},
        "http": {"port": port},
        **simulators.config(),
    }
    file = folder / "order-router.toml"
    file.write_bytes(msgspec.toml.encode(tables))
    return msgspec.structs.replace(load(file, {}), broker=broker)


@asynccontextmanager
async def working(
    config: Config, stop: asyncio.Event | None = None, hint: str = ""
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker with its feeds. Entered once it is ready, or once `stop` was set; yields what ends with the worker.

    Leaving sets `stop` and waits for the worker to drain. Raises what the worker raises, and `UserError`, with `hint`,
    when it is not ready in time.
    """
    stop, ready = stop or asyncio.Event(), asyncio.Event()
    worker = asyncio.create_task(run_worker(config, stop=stop, on_ready=ready.set, feed=True))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({worker, waiting}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        if not worker.done() and not ready.is_set():
            raise UserError(f"the worker was not ready within {READY_S:g} s{hint}")
        if not worker.done() or worker.exception() is None:
            yield worker
    finally:
        waiting.cancel()
        stop.set()
        await worker


async def _feeds_live(config: Config, tell: Tell) -> frozenset[str]:
    """Wait until every venue's feed is live, but not for ever: the commands do not need them. Return which are."""
    told = ""
    ends = time.monotonic() + FEEDS_S
    while True:
        live = await asyncio.to_thread(_live, config)
        missing = ", ".join(sorted(config.accounts.keys() - live))
        if not missing or time.monotonic() >= ends:
            break
        if missing != told:
            tell(f"waiting for the order feeds: {missing}")
            told = missing
        await asyncio.sleep(0.1)
    if missing:
        tell(f"going on without the order feeds of {missing}")
    return live


def _live(config: Config) -> frozenset[str]:
    """Return the venues whose feed is live, by the worker's own metrics."""
    connection = http.client.HTTPConnection(config.http.host, config.http.port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return frozenset()
    finally:
        connection.close()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return frozenset(sample.labels["venue"] for sample in samples if sample.name == FEED_UP and sample.value)


async def _remove(config: Config) -> None:
    """Delete what the worker declared under our prefix."""
    names = Names(config.broker.prefix)
    queues = [names.lane(venue, lane) for venue, lane in config.lanes()]
    connection = await connect(config.broker, "demo")
    try:
        channel = await open_channel(connection)
        for queue in (*queues, names.unrouted_queue, names.results, names.dead, names.alerts, names.journal):
            await channel.queue_delete(queue)
        for exchange in (names.commands, names.unrouted, names.results, names.events, names.dead, names.alerts):
            await channel.exchange_delete(exchange)
    finally:
        await connection.close()


def visible(urls: Mapping[str, str]) -> str:
    """Return the URLs as lines."""
    width = max(map(len, urls))
    return "\n".join(f"{name:<{width}}  {url}" for name, url in urls.items())
