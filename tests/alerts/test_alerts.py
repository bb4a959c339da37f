"""Every alert, brought about by a real fault, under a real Prometheus and a real Alertmanager (`make test-alerts`).

The rules and the routing are the ones that are shipped; only `for`, windows and the pauses of notifications are
shorter. Bounds in seconds are not: a command is in doubt for sixty real ones here.
"""

import asyncio
import datetime
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest

from router.demo.rabbitmq_node import RabbitMQNode
from tests.alerts.conftest import SEVERITY, Guarded, guarded
from tests.faults.databases import new_database
from tests.postgresql import PostgreSQL
from tests.sender import in_seconds
from tests.stack import until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]

FIRED: set[str] = set()


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMQNode]:
    """Start a broker that may be hurt."""
    with RabbitMQNode() as made:
        yield made


@pytest.fixture
async def guard(tmp_path: Path, node: RabbitMQNode) -> AsyncIterator[Guarded]:
    """Set up an installation on SQLite; no pod runs yet."""
    async with guarded(tmp_path, node) as made:
        yield made


async def fires(guard: Guarded, *names: str, within_s: float = 60.0) -> None:
    """Wait until these are told, and note them."""
    await guard.fires(*names, within_s=within_s)
    FIRED.update(names)


@asynccontextmanager
async def meanwhile(guard: Guarded, **fields: Any) -> AsyncIterator[None]:
    """Publish cancels, one after the other's answer, for the context."""

    async def publish() -> None:
        while True:
            ask = guard.installation.fresh_cancel(**fields)
            await guard.installation.sender.final(await guard.installation.publish(ask))

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_told_at_its_first_event(guard: Guarded) -> None:
    """A dead letter, a diversion, a refused key, a word taken back, a doubt that nobody can settle."""
    installation = guard.installation
    installation.stack.change("worker", resolve_for_s=3)
    await installation.pod("pod-a")
    await guard.healthy()
    await installation.poison()
    await installation.publish(installation.fresh_cancel(), reply_to="nobody.listens")
    await fires(guard, "OrderRouterDeadLetters", "OrderRouterResultsDiverted")
    await installation.refused_execution()
    await fires(guard, "OrderRouterContradiction")
    installation.inject(on="cancel", what="error", code="ERR-5012")
    await installation.sender.final(await installation.publish(installation.fresh_cancel(not_after=in_seconds(3))))
    await fires(guard, "OrderRouterKeyRefused")
    await installation.twins()
    await fires(guard, "OrderRouterUnresolved")


async def test_a_venue_that_does_not_answer(guard: Guarded) -> None:
    """Its errors page; a close in doubt for a minute pages; and no other venue is blamed."""
    installation = guard.installation
    await installation.pod("pod-a")
    await guard.healthy()
    await installation.doubt()
    installation.inject(on="cancel", what="status", times=None)
    async with meanwhile(guard, not_after=in_seconds(300)):
        await fires(guard, "OrderRouterVenueErrors")
    await fires(guard, "OrderRouterInDoubt", within_s=90)
    blamed = await installation.prometheus.get("/api/v1/alerts")
    assert {alert["labels"].get("venue") for alert in blamed["data"]["alerts"]} <= {"gmo_coin", None}


async def test_a_clock(guard: Guarded) -> None:
    """A venue's clock that is off is a ticket; one that refuses our timestamps pages."""
    installation = guard.installation
    await installation.pod("pod-a")
    await guard.healthy()
    installation.stack.simulators.venues["gmo_coin"].clock_offset_ms = 4000
    async with meanwhile(guard):
        await fires(guard, "OrderRouterClockSkew")
    installation.inject(on="cancel", what="error", code="ERR-5008", times=None)
    await installation.sender.final(await installation.publish(installation.fresh_cancel(not_after=in_seconds(3))))
    await fires(guard, "OrderRouterTimestampsRefused")


async def test_a_feed_that_cannot_connect(guard: Guarded) -> None:
    """A gap that stays open, a feed that is down, and at last a silence of three minutes."""
    installation = guard.installation
    await installation.pod("pod-a")
    feed = 'order_router_feed_up{venue="btcturk"} == 1'
    await until(lambda: installation.prometheus.values(feed))
    await guard.healthy()
    installation.disturb("btcturk", do="refuse", times=None)
    installation.disturb("btcturk", do="cut")
    await fires(guard, "OrderRouterFeedGap", "OrderRouterFeedDown")
    await fires(guard, "OrderRouterFeedSilent", within_s=240)


async def test_a_broker_that_hangs(guard: Guarded) -> None:
    """Nobody consumes, and a result waits for a minute."""
    installation = guard.installation
    installation.stack.change("broker", heartbeat_s=2)
    installation.stack.change("venues.gmo_coin", timeout_s=8, quarantine_s=9)
    await installation.pod("pod-a")
    await installation.pod("pod-b")
    await guard.healthy()
    held = await installation.held_answer()
    async with installation.frozen_broker():
        installation.heal()
        await fires(guard, "OrderRouterNotConsuming", "OrderRouterPodNotConsuming")
        await fires(guard, "OrderRouterOutboxOld", within_s=120)
    assert installation.pods["pod-a"].process.returncode is None
    await until(installation.pods["pod-a"].ready)
    await installation.sender.connect()
    assert held


async def test_pods_that_are_gone(guard: Guarded) -> None:
    """No sample of any worker."""
    await guard.installation.pod("pod-a")
    await guard.healthy()
    await guard.installation.pods["pod-a"].kill()
    await fires(guard, "OrderRouterGone")


async def test_commands_that_come_late(guard: Guarded) -> None:
    """Commands that are ten seconds old when they are delivered, and then some that have expired."""
    installation = guard.installation
    await installation.pod("pod-a")
    await guard.healthy()

    async def publish(**fields: Any) -> None:
        published = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=10)
        ask = installation.fresh_cancel(**fields)
        await installation.sender.publish(ask, timestamp=published)
        await installation.sender.final(ask["command_id"])

    async def publish_on(**fields: Any) -> None:
        while True:
            await publish(**fields)

    task = asyncio.create_task(publish_on())
    await fires(guard, "OrderRouterQueueAge")
    task.cancel()
    task = asyncio.create_task(publish_on(not_after=in_seconds(-1)))
    await fires(guard, "OrderRouterBudgetBurnsFast")
    await fires(guard, "OrderRouterBudgetBurns", within_s=120)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_two_versions(guard: Guarded) -> None:
    """For half an hour, which is half a minute here."""
    await guard.installation.pod("pod-a", {"ORDER_ROUTER_COMMIT": "abc"})
    await guard.healthy()
    await guard.installation.pod("pod-b", {"ORDER_ROUTER_COMMIT": "def"})
    await fires(guard, "OrderRouterMixedVersions")


async def test_a_journal_that_is_slow_and_then_away(tmp_path: Path, node: RabbitMQNode) -> None:
    """Commits take 0.4 s; then the server dies."""
    with PostgreSQL() as server:
        url = await new_database(server.url)
        async with guarded(tmp_path, node, journal_url=url) as guard:
            pod = await guard.installation.pod("pod-a")
            await guard.healthy()
            await _slow_commits(url)
            async with meanwhile(guard):
                await fires(guard, "OrderRouterJournalSlow")
            server.kill()
            await fires(guard, "OrderRouterJournalDown")
            server.start()
            await until(pod.ready)


async def _slow_commits(url: str) -> None:
    """Have every commit that changes a command take 0.4 s: a deferred trigger runs within the commit."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """create function slow() returns trigger language plpgsql as
                 'begin perform pg_sleep(0.4); return null; end';
               create constraint trigger slow after insert or update on commands
                 deferrable initially deferred for each row execute function slow()"""
        )
    finally:
        await connection.close()


def test_no_alert_was_left_out() -> None:
    """Each alert of the rules has fired above."""
    assert sorted(FIRED) == sorted(SEVERITY)
