"""Four real workers at one account: the venue's own limit is the oracle."""

import asyncio
from decimal import Decimal
from typing import Any, Final

import pytest

from router.simulator.seeds import OrderSeed, PositionSeed
from tests import sender as wire
from tests.sender import Sender, in_seconds
from tests.stack import Stack

pytestmark = pytest.mark.integration

CLOSES: Final = 120
CANCELS: Final = 8


async def test_four_workers_together_keep_to_the_limit_and_use_it(system: Stack, sender: Sender) -> None:
    """A hundred and twenty closes at once, twenty requests a second allowed, four of them kept for cancels."""
    venue = system.simulators.venues["gmo_coin"]
    workers = await asyncio.gather(*(system.worker() for _ in range(4)))
    for n in range(CLOSES):
        position: dict[str, Any] = {"symbol": "BTC_JPY", "side": "SELL", "size": Decimal("0.1"), "price": Decimal(1)}
        venue.add_positions(PositionSeed(position_id=str(5_000_000 + n), **position))
    for n in range(CANCELS):
        order: dict[str, Any] = {"symbol": "BTC_JPY", "size": Decimal("0.1"), "price": Decimal(876045)}
        venue.add_orders(OrderSeed(order_id=str(6_000_000 + n), time_in_force="FAS", **order))
    closes = [wire.close(position_id=str(5_000_000 + n), size="0.1", not_after=in_seconds(60)) for n in range(CLOSES)]
    for command in closes:
        await sender.publish(command)
    cancels = []
    for n in range(CANCELS):
        await sender.final(closes[8 * (n + 2)]["command_id"], 60)
        cancel = wire.cancel(order_id=str(6_000_000 + n), not_after=in_seconds(60))
        cancels.append(await sender.publish(cancel))
    answers = [await sender.final(command["command_id"], 60) for command in closes]
    canceled = [await sender.final(command_id, 60) for command_id in cancels]
    assert {answer["outcome"] for answer in answers} == {"accepted"}
    assert {answer["outcome"] for answer in canceled} <= {"accepted", "done"}
    assert venue.ledger.select("throttled") == []
    times = [entry.at_ms for entry in venue.ledger.select("execution")]
    middle = sorted(times)[16:-16]
    assert (len(middle) - 1) / (middle[-1] - middle[0]) * 1000 >= 0.9 * 16
    sent = [await worker.metric("order_router_venue_requests_total") for worker in workers]
    assert all(sent), f"one did all the work: {sent}"
