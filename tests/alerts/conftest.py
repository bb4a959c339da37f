"""What `make test-alerts` shares: a receiver of notifications, and an installation whose alerts are heard."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from deploy.prometheus.alerts import GROUPS
from deploy.prometheus.render import RULES, render
from router.demo.rabbitmq_node import RabbitMQNode, free_ports
from tests.prometheus import Alertmanager
from tests.stack import until
from tests.watched import Watched, watched

FACTOR = 1 / 60
"""What takes a minute in rules.yaml takes a second here."""
SEVERITY = {alert.name: alert.severity for group in GROUPS.values() for alert in group}


class Receiver:
    """Where Alertmanager sends what it tells people: the names of the alerts, by the last part of the address."""

    def __init__(self) -> None:
        self.heard: dict[str, set[str]] = {"page": set(), "ticket": set()}

    async def hear(self, request: web.Request) -> web.Response:
        """Keep what is said."""
        told = await request.json()
        firing = {alert["labels"]["alertname"] for alert in told["alerts"] if alert["status"] == "firing"}
        self.heard[request.match_info["severity"]] |= firing
        return web.Response()


class Guarded:
    """An installation whose alerts are heard."""

    def __init__(self, installation: Watched, alertmanager: Alertmanager, receiver: Receiver) -> None:
        self.installation = installation
        self.alertmanager = alertmanager
        self.receiver = receiver

    async def healthy(self) -> None:
        """Wait until every pod is scraped and what fired before there was one has ended; forget what was told of it."""
        prometheus, pods = self.installation.prometheus, len(self.installation.pods)

        async def quiet() -> bool:
            scraped = await prometheus.values("count(order_router_build_info)") == [pods]
            return scraped and await prometheus.firing() == set()

        await until(quiet)
        for told in self.receiver.heard.values():
            told.clear()

    async def fires(self, *names: str, within_s: float = 60.0) -> None:
        """Wait until each of these has fired and reached the receiver of its severity, or was kept back by a rule."""
        told: set[str] = set()

        async def all_told() -> bool:
            nonlocal told
            told |= {name for name in names if name in self.receiver.heard[SEVERITY[name]]}
            told |= {name for name in names if name in await self._kept_back()}
            return told >= set(names)

        try:
            await until(all_told, within_s)
        except TimeoutError:
            firing = await self.installation.prometheus.firing()
            pytest.fail(f"not told: {sorted(set(names) - told)}; firing: {sorted(firing)}; {self.receiver.heard}")

    async def _kept_back(self) -> Collection[str]:
        return {
            alert["labels"]["alertname"]
            for alert in await self.alertmanager.get("/api/v2/alerts")
            if alert["status"]["inhibitedBy"]
            and [receiver["name"] for receiver in alert["receivers"]] == [SEVERITY[alert["labels"]["alertname"]]]
        }


@asynccontextmanager
async def guarded(directory: Path, node: RabbitMQNode, journal_url: str = "") -> AsyncIterator[Guarded]:
    """Run an installation under the rules and the Alertmanager configuration that are shipped, only quicker."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{severity}", receiver.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    (port,) = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    config = RULES.with_name("alertmanager.yaml").read_text()
    for shipped, quick in (
        ("http://alert-receiver:8080", f"http://127.0.0.1:{port}"),
        ("group_wait: 30s", "group_wait: 1s"),
        ("group_interval: 5m", "group_interval: 1s"),
        ("group_interval: 1m", "group_interval: 1s"),
    ):
        assert shipped in config
        config = config.replace(shipped, quick)
    try:
        alerting = Alertmanager(directory, config)
        watching = watched(directory, node, render(FACTOR), journal_url=journal_url, alertmanager=alerting)
        async with alerting, watching as installation:
            yield Guarded(installation, alerting, receiver)
    finally:
        await runner.cleanup()
