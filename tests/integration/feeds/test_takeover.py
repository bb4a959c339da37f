"""Two feed processes, one owner: taken over when it dies or freezes, and the one that comes back says nothing new."""

import asyncio
import signal
import time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest

from router.errors import LeaseLost
from router.journal import open_journal
from router.journal.postgres.server import SETTLED_S
from router.records.event import Lease, OrderReport
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from router.venue_protocol.stream import Change
from tests.faults.databases import new_database
from tests.faults.proxy import Proxy
from tests.integration.feeds.listening import Feeding, only, truth
from tests.postgresql import PostgreSQL
from tests.stack import WorkerProcess, until

pytestmark = [pytest.mark.integration, pytest.mark.faults]

LEASE_S = 4.0
VENUE, SYMBOL = "coinbase", "BIT-28JUL23-CDE"


async def two_feeds(feeding: Feeding, first_url: str = "") -> tuple[WorkerProcess, WorkerProcess]:
    """Start two processes; the first one owns the account."""
    only(feeding.stack, VENUE)
    feeding.stack.config["accounts"][VENUE] = {"main": feeding.stack.config["accounts"][VENUE]["main"]}
    feeding.stack.change("worker", lease_s=LEASE_S)
    owner = await feeding.stack.worker(command=("feed",), url=first_url)
    await feeding.live(VENUE)
    heir = await feeding.stack.worker(command=("feed",))
    return owner, heir


def place(feeding: Feeding, count: int = 1) -> list[str]:
    """Put orders on the book."""
    seed = OrderSeed(symbol=SYMBOL, size=Decimal(2), price=Decimal(100), count=count)
    return [order.order_id for order in feeding.simulators.venues[VENUE].add_orders(seed)]


def complete(feeding: Feeding) -> bool:
    """Say whether the last word on every order is the truth."""
    return feeding.topic.last(VENUE) == truth(feeding.simulators.venues[VENUE].truth())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_taken_over(feeding: Feeding, number: signal.Signals) -> None:
    """An owner that is killed or frozen is replaced within the lease; what happened meanwhile is published."""
    owner, _ = await two_feeds(feeding)
    first, second = place(feeding, 2)
    await feeding.until(lambda: {first, second} <= feeding.topic.last(VENUE).keys())
    owner.signal(number)
    began = time.monotonic()
    feeding.simulators.venues[VENUE].move(Move(do="fill", order_id=first, size=Decimal(1)))
    feeding.simulators.venues[VENUE].move(Move(do="cancel", order_id=second))
    await feeding.live(VENUE, times=2)
    assert time.monotonic() - began < LEASE_S
    assert complete(feeding)
    numbered = len(feeding.topic.events(VENUE))
    owner.signal(signal.SIGCONT)
    place(feeding)
    await feeding.until(lambda: complete(feeding))
    if number is signal.SIGSTOP:
        await feeding.until(lambda: "a lease has run out" in owner.said(), 2 * LEASE_S)
        assert feeding.topic.statuses(VENUE) == ["gap", "live", "gap", "live"]
    assert len(feeding.topic.events(VENUE)) == numbered + 1
    feeding.topic.check()


async def _settled(url: str) -> bool:
    """Say whether the server has been up for so long that whoever holds no lock has died."""
    connection: Any = await asyncpg.connect(url)
    try:
        up = f"select statement_timestamp() - pg_postmaster_start_time() > interval '{SETTLED_S} s'"
        return bool(await connection.fetchval(up))
    finally:
        await connection.close()


async def test_a_dead_owner_is_replaced_within_a_second(feeding: Feeding, postgresql: PostgreSQL) -> None:
    """PostgreSQL lets go of what a process that was killed held; the lease of 15 s is for one that is frozen."""
    feeding.stack.config["journal"]["url"] = feeding.stack.journal_url = await new_database(postgresql.url)
    only(feeding.stack, VENUE)
    feeding.stack.config["accounts"][VENUE] = {"main": feeding.stack.config["accounts"][VENUE]["main"]}
    owner = await feeding.stack.worker(command=("feed",))
    await feeding.live(VENUE)
    await until(partial(_settled, postgresql.url), 20)
    async with await open_journal(feeding.stack.journal_url) as journal:
        for times in (2, 3, 4):
            heir = await feeding.stack.worker(command=("feed",))
            (before,) = await journal.lease_holders()
            assert before.left_us > 0, "its owner lives"
            await owner.kill()
            began = time.monotonic()
            while (await journal.lease_holders())[0].owner == before.owner:
                assert time.monotonic() - began < 1.0
            await feeding.live(VENUE, times=times)
            owner = heir
        holder, *_ = await journal.lease_holders()
        owner.signal(signal.SIGSTOP)
        await asyncio.sleep(1.0)
        assert (await journal.lease_holders())[0].left_us > 0, "it may only be frozen"
        assert await journal.take_lease(VENUE, "main", "somebody", 1_000_000) is None
        assert (await journal.lease_holders())[0].owner == holder.owner


async def test_an_orderly_end_is_no_wait(feeding: Feeding) -> None:
    """An owner that is told to end says so, lets go of the account, and the other one has it a moment later."""
    owner, _ = await two_feeds(feeding)
    began = time.monotonic()
    assert await owner.terminate() == 0
    await feeding.live(VENUE, times=2)
    assert time.monotonic() - began < LEASE_S / 2 + 1
    assert feeding.topic.statuses(VENUE) == ["gap", "live", "down", "gap", "live"]


async def test_an_old_fence_numbers_nothing(feeding: Feeding) -> None:
    """Whoever owned an account before can store no event under its old fence."""
    owner, _ = await two_feeds(feeding)
    async with await open_journal(feeding.stack.journal_url) as journal:
        (holder,) = await journal.lease_holders()
        old = Lease(venue=VENUE, account="main", owner=holder.owner, fence=1)
        await owner.kill()
        await feeding.live(VENUE, times=2)
        late = OrderReport(change=Change(order_id="late", status="working"), source="stream", received_us=1)
        with pytest.raises(LeaseLost):
            await journal.record(old, [late])
    assert "late" not in feeding.topic.last(VENUE)


async def test_a_broker_outage_loses_no_event(feeding: Feeding, tmp_path: Path) -> None:
    """Events that happen while the broker is away are published when it is back, in order and without a hole."""
    port = int(feeding.stack.broker_url.rpartition(":")[2].partition("/")[0])
    async with Proxy(port) as proxy:
        feeding.stack.change("broker", heartbeat_s=2)
        url = feeding.stack.broker_url.replace(f":{port}", f":{proxy.port}")
        owner, heir = await two_feeds(feeding, url)
        heir.signal(signal.SIGSTOP)
        proxy.black_hole()
        orders = place(feeding, 40)
        for order_id in orders[:20]:
            feeding.simulators.venues[VENUE].move(Move(do="cancel", order_id=order_id))
        await asyncio.sleep(1.0)
        proxy.cut()
        proxy.heal()
        await feeding.until(lambda: complete(feeding), within_s=30)
        assert owner.process.returncode is None
    feeding.topic.check()
