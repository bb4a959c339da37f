"""Every query of every dashboard has data, from a real Prometheus that scraped two real workers in trouble."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.prometheus.render import render
from router.demo.rabbitmq_node import RabbitMQNode
from tests.faults.databases import new_database
from tests.postgresql import PostgreSQL
from tests.stack import until
from tests.watched import Watched, dashboard_queries, watched

pytestmark = pytest.mark.integration

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
    return {f"{name}: {title}: {letter}": expr for name, title, letter, expr in dashboard_queries()}


async def test_every_query_of_every_panel_has_data(installation: Watched) -> None:
    """Numbers, not only series: at some moment of a life of two workers under load and faults."""
    first = await installation.stack.worker({"ORDER_ROUTER_CRASH": "after_delivery:kill"})
    await installation.publish(installation.fresh_cancel())  # redelivered to the others once this one is dead
    await until(lambda: first.process.returncode is not None)
    await installation.pod("pod-a")
    await installation.pod("pod-b")
    await installation.have_troubles()
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
