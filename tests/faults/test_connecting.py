"""Row 34: the network freezes at some step between connecting and consuming, for 15 s, and heals."""

import asyncio
import uuid

import aio_pika

from router.config import BrokerSettings
from router.demo.rabbitmq_node import RabbitMQNode
from tests.faults.proxy import Proxy
from tests.integration.broker.case import Case
from tests.stack import until

FROZEN_S = 15.0
HEALED_S = 30.0


async def test_a_freeze_at_any_step_of_connecting_passes(node: RabbitMQNode) -> None:
    """Whatever the broker had answered when it froze: half a minute after it heals the lane is consumed."""
    async with Proxy(node.port) as proxy:
        steps = await _consumes(node, proxy, 10.0)
    assert steps > 8, "every call on the way is a step"
    async with asyncio.TaskGroup() as group:
        for step in range(steps):
            group.create_task(_freezes(node, step))


async def _freezes(node: RabbitMQNode, step: int) -> None:
    """Freeze after so many answers of the broker, and every connection that is tried meanwhile."""
    async with Proxy(node.port) as proxy:
        proxy.stalls_after = step
        asyncio.get_running_loop().call_later(FROZEN_S, proxy.heal)
        await _consumes(node, proxy, FROZEN_S + HEALED_S)
        assert proxy.held, f"step {step}: nothing was frozen"


async def _consumes(node: RabbitMQNode, proxy: Proxy, limit_s: float) -> int:
    """Connect by the proxy, have a message delivered, and return how many answers it took until a lane was consumed."""
    url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/"
    async with await aio_pika.connect(node.url) as connection:
        config = BrokerSettings(url=url, prefix=f"t{uuid.uuid4().hex[:8]}")
        made = Case(config, await connection.channel())
        running = asyncio.create_task(made.consumer.run())
        try:
            async with asyncio.timeout(limit_s):
                await until(lambda: made.consumer.consuming, limit_s)
                steps = proxy.answered
                exchange = await made.channel.get_exchange(made.names.commands, ensure=False)
                await exchange.publish(aio_pika.Message(b"hello"), "gmo_coin.main.close")
                await until(lambda: made.got, limit_s)
            return steps
        finally:
            await made.end()
            await running
            await made.delete()
