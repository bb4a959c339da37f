"""What is read of commands, and what the broker hears of them."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.exceptions import MessageProcessError
from yarl import URL

from router.config import BrokerSettings
from router.demo.rabbitmq_node import RabbitMQNode
from schemas.codec import JSON
from tests.integration.broker.case import LONG, NOW, Case, case, reply, result
from tests.integration.broker.certificate import self_signed
from tests.stack import until

pytestmark = pytest.mark.integration


async def test_a_command_is_read_as_it_was_published(one: Case) -> None:
    """Every property that counts, as RabbitMQ passes it on, and a body of several frames."""
    message = aio_pika.Message(
        LONG,
        content_type=JSON,
        content_encoding="identity",
        correlation_id="c-1",
        reply_to="replies",
        user_id="guest",
        timestamp=NOW,
        headers={"traceparent": "00-abc-01", "n": 7},
    )
    await one.send(message, aio_pika.Message(b""))
    full, empty = one.got
    assert (full.body, full.venue, full.routing_key) == (LONG, "gmo_coin", "gmo_coin.main.close")
    assert (full.sender, full.reply_to, full.correlation_id) == ("guest", "replies", "c-1")
    assert (full.content_type, full.content_encoding, full.traceparent) == (JSON, "identity", "00-abc-01")
    assert (full.sent_us, full.headers["n"], full.redelivered) == (1_767_323_045_000_000, 7, False)
    assert (empty.body, empty.sender, empty.reply_to, empty.sent_us) == (b"", "", "", None)


async def test_nothing_is_consumed_before_the_journal_is_certified(one: Case) -> None:
    """The hook is awaited once the topology is there, on every connection."""
    assert one.certified == 1


async def test_what_is_rejected_is_dead_lettered_by_the_broker(one: Case) -> None:
    """As it is, and beside nothing else."""
    await one.send(aio_pika.Message(b"1", headers={"n": 1}), aio_pika.Message(b"2"))
    await one.got[0].reject()
    dead = await one.heard(one.names.dead)
    assert (dead.body, dead.headers["n"]) == (b"1", 1)
    assert "x-death" in dead.headers
    await one.got[1].ack()


async def test_the_broker_forgets_what_was_acknowledged_and_nothing_else(one: Case) -> None:
    """In whatever order and company: what was not asked for is still there when the connection is closed."""
    await one.send(*(aio_pika.Message(b"%d" % number) for number in range(300)))
    chance = random.Random(7)
    at_work = list(one.got)
    chance.shuffle(at_work)
    kept = {delivery.body for delivery in at_work[:40]}
    for delivery in at_work[40:]:
        await delivery.ack()
        if chance.random() < 0.1:
            await asyncio.sleep(0)
    await one.end()
    left = {(await one.heard(one.names.lane("gmo_coin", "close"))).body for _ in range(40)}
    assert left == kept
    queue = await one.channel.declare_queue(one.names.lane("gmo_coin", "close"), passive=True)
    assert queue.declaration_result.message_count == 0


async def test_a_delivery_is_settled_once(one: Case) -> None:
    """A second time raises and reaches nobody: the broker would close the channel, with all its deliveries."""
    await one.send(*(aio_pika.Message(b"%d" % number) for number in range(2)))
    acked, last = one.got
    await acked.ack()
    for settle in (acked.ack, acked.reject):
        with pytest.raises(MessageProcessError):
            await settle()
    await last.ack()
    assert one.consumer.consuming
    await one.end()
    queue = await one.channel.declare_queue(one.names.lane("gmo_coin", "close"), passive=True)
    assert queue.declaration_result.message_count == 0


async def test_what_is_held_makes_room_for_more(rabbitmq: RabbitMQNode) -> None:
    """Deliveries that stay unacknowledged for long do not keep others from coming: the lane is consumed once more."""
    async with case(rabbitmq.url, prefetch=2) as made:
        exchange = await made.channel.get_exchange(made.names.commands, ensure=False)
        for number in range(7):
            await exchange.publish(aio_pika.Message(b"%d" % number), "gmo_coin.main.close")
        held = 0

        def all_came() -> bool:
            nonlocal held
            for delivery in made.got[held:]:
                delivery.hold()
                held += 1
            return held == 7

        await until(all_came)
        for delivery in made.got:
            await delivery.ack()


async def test_what_was_asked_for_leaves_before_the_connection_is_closed(one: Case) -> None:
    """A worker that ends leaves nothing behind that it has answered, however much that is at once."""
    await one.send(*(aio_pika.Message(b"%d" % number) for number in range(50)))
    for delivery in one.got[1::2]:
        await delivery.ack()
    await one.consumer.stop()  # else it would connect again
    await one.consumer.close()
    left = {(await one.heard(one.names.lane("gmo_coin", "close"))).body for _ in range(25)}
    assert left == {b"%d" % number for number in range(0, 50, 2)}
    queue = await one.channel.declare_queue(one.names.lane("gmo_coin", "close"), passive=True)
    assert queue.declaration_result.message_count == 0


@asynccontextmanager
async def behind_tls(url: str, directory: Path) -> AsyncIterator[tuple[str, str]]:
    """Yield an address that speaks TLS for a broker, and the file of its certificate."""
    certificate, key = self_signed(directory)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    broker = URL(url)

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(broker.host, broker.port)
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        yield str(broker.with_scheme("amqps").with_host("localhost").with_port(port)), str(certificate)


async def test_over_tls_all_of_it_is_the_same(rabbitmq: Any, tmp_path: Path) -> None:
    """`amqps` is the same frames on another socket."""
    async with case(rabbitmq.url) as plain, behind_tls(rabbitmq.url, tmp_path) as (url, ca_file):
        await plain.end()
        made = Case(BrokerSettings(url=url, prefix=plain.config.prefix, ca_file=ca_file), plain.channel)
        await made.consume()
        await made.send(aio_pika.Message(LONG))
        assert made.got[0].body == LONG
        await made.got[0].ack()
        queue = await made.queue()
        await made.publisher.publish(reply(queue.name), result(), "a")
        assert (await made.heard(queue.name)).type == "order.result"
        await made.end()
