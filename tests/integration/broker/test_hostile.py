"""Row 31: properties and headers that aiormq dies of cost their own message, and nobody anything else."""

import asyncio

import pytest

from tests.bench import amqp
from tests.hostile import message, nested, properties, table
from tests.integration.broker.case import Case
from tests.stack import until

pytestmark = [pytest.mark.integration, pytest.mark.faults]

HOSTILE = {
    "tables": properties(headers=nested(600), reply_to=b"replies", correlation_id=b"c"),
    "arrays": properties(headers=nested(2000, b"A"), reply_to=b"replies", correlation_id=b"c"),
    "no text": properties(content_type=b"application/\xff", reply_to=b"replies", correlation_id=b"c"),
    "a name": properties(headers=table(b"\xff", b"v"), reply_to=b"replies", correlation_id=b"c"),
    "long": properties(headers=table(b"x", b"y" * 100_000), reply_to=b"replies", correlation_id=b"c"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("key", [b"gmo_coin.main.close", b"nobody.main.close"], ids=["lane", "unrouted"])
async def test_a_message_that_cannot_be_read_costs_nobody_anything(one: Case, name: str, key: bytes) -> None:
    """It is delivered with a mark and what could be read of it, rejected, and kept by the broker as it is."""
    line = await amqp.connect(one.config.url)
    for number in range(3):
        line.publish(message(one.names.commands, key, properties(), b"%d" % number))
        line.publish(message(one.names.commands, key, HOSTILE[name], b"odd"))
    await line.settled()
    await until(lambda: len(one.got) == 6)
    odd = [delivery for delivery in one.got if delivery.damaged]
    assert [delivery.body for delivery in odd] == [b"odd"] * 3
    assert {(delivery.reply_to, delivery.correlation_id) for delivery in odd} == {("replies", "c")}
    for delivery in one.got:
        await (delivery.reject() if delivery.damaged else delivery.ack())
    assert await one.heard_raw(one.names.dead, 3) == [b"odd"] * 3
    assert one.consumer.consuming
    await line.close()


async def test_a_routing_key_that_is_no_text(one: Case) -> None:
    """It is delivered with what can be read of its key, which is then not that of its command."""
    line = await amqp.connect(one.config.url)
    line.publish(message(one.names.commands, b"gmo_coin.\xff\xfe.close", properties(), b"{}"))
    line.publish(message(one.names.commands, b"nobody.\xff.close", properties(), b"{}"))
    await line.settled()
    await until(lambda: len(one.got) == 2)
    assert {delivery.routing_key for delivery in one.got} == {"gmo_coin.??.close", "nobody.?.close"}
    await asyncio.gather(*(delivery.ack() for delivery in one.got))
    assert one.consumer.consuming
    await line.close()
