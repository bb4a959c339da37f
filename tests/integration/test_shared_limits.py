"""Four real workers at one account: the venue's own limit is the oracle."""

import asyncio
import signal
import time
from collections import Counter
from decimal import Decimal
from typing import Any, Final

import pytest

from router.access.shares import HOLD_US
from router.simulator.seeds import OrderSeed, PositionSeed
from tests import sender as wire
from tests.sender import Sender, in_seconds
from tests.stack import Stack, until

pytestmark = pytest.mark.integration

CLOSES: Final = 120
CANCELS: Final = 8


@pytest.fixture
def closes(system: Stack) -> list[dict[str, Any]]:
    """A hundred and twenty closes of as many positions, each with a minute."""
    position: dict[str, Any] = {"symbol": "BTC_JPY", "side": "SELL", "size": Decimal("0.1"), "price": Decimal(1)}
    ids = [str(5_000_000 + n) for n in range(CLOSES)]
    for position_id in ids:
        system.simulators.venues["gmo_coin"].add_positions(PositionSeed(position_id=position_id, **position))
    return [wire.close(position_id=position_id, size="0.1", not_after=in_seconds(60)) for position_id in ids]


async def test_four_workers_together_keep_to_the_limit_and_use_it(
    system: Stack, sender: Sender, closes: list[dict[str, Any]]
) -> None:
    """All closes at once, twenty requests a second allowed, four of them kept for cancels."""
    venue = system.simulators.venues["gmo_coin"]
    workers = await asyncio.gather(*(system.worker() for _ in range(4)))
    for n in range(CANCELS):
        order: dict[str, Any] = {"symbol": "BTC_JPY", "size": Decimal("0.1"), "price": Decimal(876045)}
        venue.add_orders(OrderSeed(order_id=str(6_000_000 + n), time_in_force="FAS", **order))
    for command in closes:
        await sender.publish(command)
    cancels = []
    for n in range(CANCELS):
        await sender.final(closes[8 * (n + 2)]["command_id"], 60)
        cancels.append(await sender.publish(wire.cancel(order_id=str(6_000_000 + n), not_after=in_seconds(60))))
    answers = [await sender.final(command["command_id"], 60) for command in closes]
    canceled = [await sender.final(command_id, 60) for command_id in cancels]
    assert {answer["outcome"] for answer in answers} == {"accepted"}
    assert {answer["outcome"] for answer in canceled} <= {"accepted", "done"}
    assert venue.ledger.select("throttled") == []
    middle = sorted(entry.at_ms for entry in venue.ledger.select("execution"))[16:-16]
    # Less than there is, as four processes and a broker may have one slow processor; exactly in tests/unit/access.
    assert (len(middle) - 1) / (middle[-1] - middle[0]) * 1000 >= 0.75 * 16
    sent = [await worker.metric("order_router_venue_requests_total") for worker in workers]
    assert all(sent), f"one did all the work: {sent}"


async def test_workers_that_die_or_freeze_break_no_limit(
    system: Stack, sender: Sender, closes: list[dict[str, Any]]
) -> None:
    """One is killed and another takes its place, one is frozen for longer than its lease and wakes; all are loaded."""
    venue = system.simulators.venues["gmo_coin"]
    killed, frozen, _ = await asyncio.gather(*(system.worker() for _ in range(3)))
    for command in closes:
        await sender.publish(command)
    await until(lambda: len(venue.ledger.select("execution")) >= 20)
    frozen.signal(signal.SIGSTOP)
    await killed.kill()
    began_s = time.monotonic()
    newcomer = await system.worker()
    await until(lambda: time.monotonic() - began_s > HOLD_US / 1e6 + 1.0)
    frozen.signal(signal.SIGCONT)
    for command in closes:
        await sender.final(command["command_id"], 60)
    assert venue.ledger.select("throttled") == []
    executed = Counter(entry.position_id for entry in venue.ledger.select("execution"))
    assert max(executed.values()) == 1
    assert "the shares of the limits ran out" in frozen.said()
    assert await newcomer.metric("order_router_venue_requests_total")
