"""An installation that a Prometheus watches, and the troubles that it can have: for dashboards and alerts."""

import datetime
import itertools
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from grafana.dashboards import FRAMES
from grafana.panels import dashboard
from router.demo.rabbitmq_node import RabbitMQNode
from router.simulator.faults import Fault
from router.simulator.feed import FeedFault
from router.simulator.seeds import OrderSeed, PositionSeed
from tests.prometheus import Alertmanager, Prometheus
from tests.sender import Sender, cancel, close, in_seconds
from tests.stack import Stack, WorkerProcess, stack, until

QUARANTINE_S: Final = 1.5
VALUES: Final = {"$job": "order-router", "$venue": ".+", "$instance": ".+", "$__rate_interval": "10s"}
SINGLE: Final = {"$venue": "gmo_coin"}
"""What Grafana puts for the variables: `All`, or the one that was chosen; and four scrapes at least."""
RESTING: Final = {
    "gmo_coin": OrderSeed(symbol="BTC_JPY", size=Decimal("0.8"), price=Decimal(876045), time_in_force="FAS"),
    "coinbase": OrderSeed(symbol="BIT-28JUL23-CDE", size=Decimal(3), price=Decimal(31000)),
    "btcturk": OrderSeed(symbol="BTCTRY", size=Decimal("0.5"), price=Decimal(1200000)),
    "nami": OrderSeed(symbol="BTCUSDT", size=Decimal("0.07474"), price=Decimal("62877.99")),
}
"""An order of each venue that rests on its book."""

_positions = itertools.count(3_000_001)


class Watched:
    """A stack with a sender, on a broker of its own, scraped by a Prometheus."""

    def __init__(self, made: Stack, sender: Sender, node: RabbitMQNode, prometheus: Prometheus) -> None:
        self.stack = made
        self.sender = sender
        self.node = node
        self.prometheus = prometheus
        self.pods: dict[str, WorkerProcess] = {}

    async def pod(
        self, name: str, environ: Mapping[str, str] | None = None, *, command: tuple[str, ...] = ("worker", "--feed")
    ) -> WorkerProcess:
        """Start a worker under a name, and scrape it."""
        worker = await self.stack.worker({"ORDER_ROUTER_POD": name, **(environ or {})}, command=command)
        self.pods[name] = worker
        self.prometheus.scrape({name: pod.port for name, pod in self.pods.items()})
        return worker

    def inject(self, venue: str = "gmo_coin", **fault: Any) -> None:
        """Script a fault of a venue."""
        self.stack.simulators.venues[venue].inject(Fault(**fault))

    def heal(self, venue: str = "gmo_coin") -> None:
        """Take all faults of a venue back."""
        self.stack.simulators.venues[venue].faults.clear()

    def disturb(self, venue: str, **fault: Any) -> None:
        """Script a fault of a venue's private feed."""
        self.stack.simulators.venues[venue].disturb(FeedFault(**fault))

    def fresh_close(self, **fields: Any) -> dict[str, Any]:
        """Return a close of a GMO Coin position that nothing else touches."""
        position_id = str(next(_positions))
        seed = PositionSeed(
            position_id=position_id, symbol="BTC_JPY", side="SELL", size=Decimal("10.32"), price=Decimal(876045)
        )
        self.stack.simulators.venues["gmo_coin"].add_positions(seed)
        return close(position_id=position_id, **fields)

    def fresh_cancel(self, venue: str = "gmo_coin", **fields: Any) -> dict[str, Any]:
        """Return a cancel of an order that nothing else touches."""
        (order,) = self.stack.simulators.venues[venue].add_orders(RESTING[venue])
        return cancel(venue=venue, order_id=order.order_id, symbol=RESTING[venue].symbol, **fields)

    async def publish(self, command: dict[str, Any], **properties: Any) -> str:
        """Publish a command with the time of its publishing."""
        return await self.sender.publish(command, timestamp=datetime.datetime.now(datetime.UTC), **properties)

    async def poison(self) -> None:
        """Publish what is no command."""
        key = uuid.uuid4().hex
        await self.sender.publish_raw(b"{", "gmo_coin.main.close", correlation_id=key)
        await self.sender.final(key)

    async def refused_execution(self) -> None:
        """Have Coinbase refuse a close that it executes."""
        self.inject("coinbase", on="close", when="after", what="error", code="INSUFFICIENT_FUND")
        command = {
            "type": "close",
            "command_id": uuid.uuid4().hex,
            "venue": "coinbase",
            "account": "main",
            "symbol": "BIT-28JUL23-CDE",
            "size": "3",
            "not_after": in_seconds(20),
        }
        await self.publish(command)
        await self.sender.results(command["command_id"], 2)

    async def doubt(self) -> str:
        """Lose the answer of a close, with every read failing from then on, and return its id."""
        self.inject(on="read", what="status", times=None)
        self.inject(on="close", when="after", what="drop")
        command_id = await self.publish(self.fresh_close())
        await self.sender.results(command_id)
        return command_id

    async def twins(self) -> list[str]:
        """Lose the answers of two closes whose orders look alike: the venue cannot tell whose is whose."""
        self.inject(on="close", when="after", what="drop", times=2)
        ids = [await self.publish(self.fresh_close(price="85333")) for _ in range(2)]
        for command_id in ids:
            await self.sender.results(command_id)
        return ids

    async def load(self, *venues: str) -> None:
        """Send commands to GMO Coin, mistakes and a repeat among them, and one to each of `venues`; wait for answers.

        No venue named: to every one.
        """
        commands = [self.fresh_cancel(venue) for venue in venues or RESTING]
        commands += [self.fresh_cancel() for _ in range(6)]
        commands += [self.fresh_close(), self.fresh_close(size="99"), cancel(order_id="5")]
        ids = [await self.publish(command) for command in commands]
        for command_id in ids:
            await self.sender.final(command_id)
        await self.publish(commands[0])
        await self.sender.results(ids[0], 2)

    @asynccontextmanager
    async def frozen_broker(self) -> AsyncIterator[None]:
        """Freeze the broker for the context: it confirms nothing, and no connection is lost if that is short."""
        os.kill(self.node.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.node.pid, signal.SIGCONT)

    async def held_answer(self) -> str:
        """Have the venue hold the answer of a close until its faults are healed; return the close's id."""
        self.inject(on="close", when="after", what="hold")
        command_id = await self.publish(self.fresh_close())
        ledger = self.stack.simulators.venues["gmo_coin"].ledger
        count = len(ledger.select("execution"))
        await until(lambda: len(ledger.select("execution")) > count or self.sender.results_of(command_id))
        return command_id

    async def have_troubles(self) -> None:
        """Have everything go wrong once that a panel shows; doubts end as unresolved after `worker.resolve_for_s`."""
        await self.load()
        await self.poison()
        await self.refused_execution()
        self.inject(on="cancel", what="throttle", retry_after_s=0.2)
        await self.sender.final(await self.publish(self.fresh_cancel()))
        await self.publish(self.fresh_cancel(), reply_to="nobody.listens")
        self.disturb("gmo_coin", do="cut")
        held = await self.held_answer()
        async with self.frozen_broker():
            self.heal()
            await until(lambda: self.prometheus.values("max(order_router_outbox_oldest_seconds)"))
        await self.sender.final(held)
        for twin in await self.twins():
            assert (await self.sender.final(twin))["reason"]["code"] == "unresolved"


def dashboard_queries() -> Iterator[tuple[str, str, str, str]]:
    """Yield dashboard, panel, letter and text of every query of every dashboard, its variables replaced."""
    for frame in FRAMES:
        for panel in dashboard(frame).panels or ():
            for target in getattr(panel, "targets", None) or ():
                content = target.to_json()
                expr = content["expr"]
                for name, value in VALUES.items():
                    single = name.removeprefix("$") in frame.single
                    expr = expr.replace(name, SINGLE[name] if single else value)
                yield frame.name, str(panel.title), content["refId"], expr


@asynccontextmanager
async def watched(
    directory: Path, node: RabbitMQNode, rules: str, *, journal_url: str = "", alertmanager: Alertmanager | None = None
) -> AsyncIterator[Watched]:
    """Run broker prefix, simulators, sender and Prometheus for the context; pods are started on demand."""
    async with (
        stack(directory, node.url, journal_url=journal_url or None) as made,
        Prometheus(directory, rules, alertmanager) as prometheus,
        Sender(node.url, made.prefix) as sender,
    ):
        for venue in made.config["venues"].values():
            venue.update(timeout_s=1.0, timestamp_window_s=0.5, quarantine_s=QUARANTINE_S)
        yield Watched(made, sender, node, prometheus)
