"""The feeds on a PostgreSQL journal: the worker and the feed are two processes with connections of their own."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from router.simulator.seeds import OrderSeed
from tests.integration.feeds.listening import Feeding, Topic, only
from tests.journal_place import database
from tests.sender import Sender, cancel
from tests.stack import stack

pytestmark = [pytest.mark.integration]


def ended(sender: Sender, command_id: str) -> bool:
    """Say whether a command has heard of the end of its order."""
    return "canceled" in [event["status"] for event in sender.events_of(command_id)]


async def test_cancels_hear_of_their_orders(tmp_path: Path, rabbitmq: Any, postgresql: Any) -> None:
    """Every cancel hears of its order's end, though its own row may be committed after the event is there."""
    async with database(postgresql.url) as place, stack(tmp_path, rabbitmq.url, journal_url=place.url) as whole:
        only(whole, "coinbase")
        async with Topic(whole.broker_url, whole.prefix) as topic, Sender(whole.broker_url, whole.prefix) as sender:
            feeding = Feeding(whole, topic, sender)
            await whole.worker()
            await whole.worker(command=("feed",))
            await feeding.live("coinbase")
            commands = []
            for number in range(10):
                order_id = f"00000000-0000-0000-0000-{number:012}"
                seed = OrderSeed(order_id=order_id, symbol="BIT-28JUL23-CDE", size=Decimal(1), price=Decimal(100))
                whole.simulators.venues["coinbase"].add_orders(seed)
                commands.append(cancel(venue="coinbase", order_id=order_id, symbol=None))
                result = await sender.ask(commands[-1])
                assert result["outcome"] in {"accepted", "done"}
            await feeding.until(lambda: all(ended(sender, command["command_id"]) for command in commands))
        topic.check()
