"""Every query of every dashboard has data, from a real Prometheus that scraped two real workers in trouble."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.prometheus.render import render
from grafana.dashboards import FRAMES
from grafana.panels import dashboard
from router.demo.rabbitmq_node import RabbitMQNode
from tests.faults.databases import new_database
from tests.postgresql import PostgreSQL
from tests.stack import until
from tests.watched import Watched, watched

pytestmark = pytest.mark.integration

VALUES = {"$job": "order-router", "$venue": ".+", "$instance": ".+", "$__rate_interval": "10s"}
"""What Grafana puts for the variables: `All`, and four scrapes at least."""
SHORT = 1 / 60
ROUNDS = 20


@pytest_asyncio.fixture
async def installation(tmp_path: Path, postgresql: PostgreSQL) -> AsyncIterator[Watched]:
    """Set up an installation on PostgreSQL with a limit that is soon met and a short time for doubts."""
    with RabbitMQNode() as node:
        journal_url = await new_database(postgresql.url)
        async with watched(tmp_path, node, render(SHORT), journal_url=journal_url) as made:
            made.stack.change("venues.gmo_coin", limits={"post": "8/1s"})
            made.stack.change("worker", resolve_for_s=5)
            yield made


def queries() -> dict[str, str]:
    """Return every query by its dashboard, panel and letter."""
    found = {}
    for frame in FRAMES:
        for panel in dashboard(frame).panels or ():
            for target in getattr(panel, "targets", None) or ():
                expr = target.to_json()["expr"]
                for name, value in VALUES.items():
                    expr = expr.replace(name, value)
                found[f"{frame.name}: {panel.title}: {target.ref_id}"] = expr
    return found


async def have_troubles(installation: Watched) -> None:
    """Have everything go wrong once that a panel shows."""
    await installation.load()
    await installation.poison()
    await installation.refused_execution()
    installation.inject(on="cancel", what="throttle", retry_after_s=0.2)
    await installation.sender.final(await installation.publish(installation.fresh_cancel()))
    await installation.publish(installation.fresh_cancel(), reply_to="nobody.listens")
    installation.disturb("gmo_coin", do="cut")
    held = await installation.held_answer()
    async with installation.frozen_broker():
        installation.heal()
        oldest = "order_router_outbox_oldest_seconds"
        await until(lambda: installation.prometheus.values(f"max({oldest})"))
    await installation.sender.final(held)
    for twin in await installation.twins():
        assert (await installation.sender.final(twin))["reason"]["code"] == "unresolved"


async def test_every_query_of_every_panel_has_data(installation: Watched) -> None:
    """Numbers, not only series: at some moment of a life of two workers under load and faults."""
    first = await installation.stack.worker({"ORDER_ROUTER_CRASH": "after_delivery:kill"})
    await installation.publish(installation.fresh_cancel())  # redelivered to the others once this one is dead
    await until(lambda: first.process.returncode is not None)
    await installation.pod("pod-a")
    await installation.pod("pod-b")
    await have_troubles(installation)
    missing = queries()
    for _ in range(ROUNDS):
        await installation.load()  # curves need more than one moment
        missing = {name: expr for name, expr in missing.items() if not await _has_data(installation, expr)}
        if not missing:
            break
    assert missing == {}


async def _has_data(installation: Watched, expr: str) -> bool:
    series = await installation.prometheus.series(expr)
    return any(not math.isnan(float(value)) for one in series for _, value in one["values"])


async def test_two_workers_see_one_command_in_doubt(installation: Watched) -> None:
    """The overview's first number counts commands, not the pods that tell of them."""
    installation.stack.change("worker", resolve_for_s=600)
    await installation.pod("pod-a")
    await installation.pod("pod-b")
    await installation.doubt()
    (panel,) = [expr for name, expr in queries().items() if name == "overview: In doubt: A"]
    told = 'count(order_router_in_doubt{venue="gmo_coin"} == 1)'
    await until(lambda: _equals(installation, told, 2.0))
    assert await installation.prometheus.values(panel) == [1.0]


async def test_a_feed_is_no_worker_that_consumes_nothing(installation: Watched) -> None:
    """A feed that runs alone has no sample of `consuming`: the alerts on it are about workers."""
    feed = await installation.pod("feed", command=("feed",))
    _, text = await feed.get("/metrics")
    assert "order_router_draining 0.0" in text
    assert "order_router_consuming" not in text


async def _equals(installation: Watched, expr: str, value: float) -> bool:
    return await installation.prometheus.values(expr) == [value]
