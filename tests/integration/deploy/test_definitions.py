"""What deploy/rabbitmq/definitions.json lets a worker and an upstream do, on a real broker, over TLS."""

import asyncio
import contextlib
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPConnectionError, AMQPError, ChannelPreconditionFailed
from aiormq.exceptions import ChannelAccessRefused

from deploy.rabbitmq.definitions import KEDA, OPERATOR, VHOST, WORKER, permissions, read_config
from router.broker.survey import survey
from router.broker.topology import Names
from router.config import BrokerSettings
from router.simulator import Simulators
from tests import sender as wire
from tests.integration.deploy.secured_node import RABBITMQ, SecuredNode
from tests.stack import Stack, until

LANES = [("gmo_coin", "cancel"), ("gmo_coin", "close")]
Attempt = Callable[[AbstractChannel], Awaitable[object]]


@pytest_asyncio.fixture
async def alpha(broker: SecuredNode) -> AsyncIterator[AbstractChannel]:
    """Yield a channel of the upstream `alpha`, which may command gmo_coin/main and nothing else."""
    connection = await broker.connect("alpha")
    yield await connection.channel(on_return_raises=True)
    with contextlib.suppress(AMQPError):
        await connection.close()


@pytest_asyncio.fixture
async def system(tmp_path: Path, broker: SecuredNode) -> AsyncIterator[Stack]:
    """Yield simulators and a worker that declares nothing, is the user of the definitions, and knows their senders."""
    _, senders = read_config(RABBITMQ / "senders.example.toml")
    async with Simulators(rate_limits=False) as simulators:
        made = Stack(tmp_path, "", simulators, f"sqlite:///{broker.journal}")
        made.config["broker"] = {**broker.config(WORKER), "prefix": "orders"}
        made.config["senders"] = {
            name: {"accounts": it.accounts, "commands": it.commands, "reply_to": it.reply_to}
            for name, it in senders.items()
        }
        try:
            yield made
        finally:
            await made.stop()


def publishing(exchange: str, key: str, **properties: Any) -> Attempt:
    """Return what publishes there, confirmed, and raises what the broker says of it."""

    async def attempt(channel: AbstractChannel) -> None:
        where = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        await where.publish(aio_pika.Message(b"{}", **properties), key, mandatory=False)

    return attempt


def consuming(queue: str) -> Attempt:
    """Return what takes one message of a queue."""

    async def attempt(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).get(fail=False)

    return attempt


def purging(queue: str) -> Attempt:
    """Return what empties a queue."""

    async def attempt(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).purge()

    return attempt


def binding(queue: str, exchange: str) -> Attempt:
    """Return what lets a queue have a copy of everything in an exchange."""

    async def attempt(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).bind(exchange, "#")

    return attempt


def chaining(destination: str, source: str) -> Attempt:
    """Return what leads one exchange's messages to another, past the permissions on routing keys."""

    async def attempt(channel: AbstractChannel) -> None:
        await (await channel.get_exchange(destination, ensure=False)).bind(source, "#")

    return attempt


FORBIDDEN: dict[str, Attempt] = {
    "publish for another account": publishing("orders.commands", "gmo_coin.other.close"),
    "publish for another venue": publishing("orders.commands", "coinbase.main.close"),
    "publish a type that is not allowed": publishing("orders.commands", "gmo_coin.main.close_all"),
    "publish a key that only begins well": publishing("orders.commands", "gmo_coin.main.close.x"),
    "publish to the default exchange": publishing("", "orders.commands.gmo_coin.close"),
    "publish into its own reply queue": publishing("", "alpha.results"),
    "publish into another's reply queue": publishing("", "beta.results"),
    "publish results": publishing("orders.results", "gmo_coin.main.accepted"),
    "publish events": publishing("orders.events", "gmo_coin.main.BTC_JPY.filled"),
    "publish dead letters": publishing("orders.dead", "x"),
    "publish alerts": publishing("orders.alerts", "page.contradiction.gmo_coin"),
    "publish to amq.topic": publishing("amq.topic", "x"),
    "read another's results": consuming("beta.results"),
    "read another's events": consuming("beta.events"),
    "read everybody's results": consuming("orders.results"),
    "read commands": consuming("orders.commands.gmo_coin.close"),
    "read the journal's marks": consuming("orders.journal"),
    "empty another's queue": purging("beta.results"),
    "empty a lane": purging("orders.commands.gmo_coin.cancel"),
    "take a copy of all events": binding("alpha.events", "orders.events"),
    "take a copy of all commands": binding("alpha.events", "orders.commands"),
    "lead events to the commands": chaining("orders.commands", "orders.events"),
    "lead an exchange of the broker's to the commands": chaining("orders.commands", "amq.topic"),
    "declare an exchange of its own": lambda channel: channel.declare_exchange("alpha.exchange", durable=True),
    "declare a queue of its own": lambda channel: channel.declare_queue("alpha.more", durable=True),
    "declare a queue that the broker names": lambda channel: channel.declare_queue(exclusive=True),
    "delete its own queue": lambda channel: channel.queue_delete("alpha.results"),
    "delete a lane": lambda channel: channel.queue_delete("orders.commands.gmo_coin.close"),
    "delete the commands": lambda channel: channel.exchange_delete("orders.commands"),
}


@pytest.mark.parametrize("attempt", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_an_upstream_may_not(alpha: AbstractChannel, attempt: Attempt) -> None:
    """The broker refuses it by its permissions, whatever a worker would say."""
    with pytest.raises(ChannelAccessRefused):
        await attempt(alpha)


async def test_an_upstream_cannot_say_that_it_is_another(alpha: AbstractChannel) -> None:
    """`user_id` is who is connected, or the message is refused."""
    with pytest.raises(ChannelPreconditionFailed):
        await publishing("orders.commands", "gmo_coin.main.close", user_id="beta")(alpha)


@pytest.mark.parametrize("user", ["", "stranger"])
async def test_nobody_else_gets_in(broker: SecuredNode, user: str) -> None:
    """Neither without a certificate, nor with one whose name is no user's."""
    url = broker.config("alpha")["url"]
    context = ssl.create_default_context(cafile=broker.authority.certificate)
    if user:
        context.load_cert_chain(*broker.authority.client(user))
    with pytest.raises((AMQPConnectionError, OSError)):
        await asyncio.wait_for(aio_pika.connect(url, ssl_context=context), 20)


@pytest.mark.parametrize("password", ["", "guest", "alpha"])
async def test_no_password_is_right(broker: SecuredNode, password: str) -> None:
    """Not even for a user of the definitions that shows a certificate: the broker offers no other way in."""
    config = broker.config("alpha")
    context = ssl.create_default_context(cafile=config["ca_file"])
    context.load_cert_chain(config["cert_file"], config["key_file"])
    url = f"amqps://{OPERATOR}:{password}@localhost:{broker.tls_port}/{VHOST}"
    with pytest.raises((AMQPConnectionError, OSError)):
        await asyncio.wait_for(aio_pika.connect(url, ssl_context=context), 20)


async def told(channel: AbstractChannel, queue: str, kind: str) -> dict[str, Any]:
    """Take messages off a queue until one is of that kind, and return it."""
    source = await channel.get_queue(queue, ensure=False)
    async with asyncio.timeout(30), source.iterator() as messages:
        async for message in messages:
            await message.ack()
            if message.type == kind:
                content: dict[str, Any] = json.loads(message.body)
                return content
    raise AssertionError


async def test_an_upstream_is_served(system: Stack, alpha: AbstractChannel) -> None:
    """It commands its account, is answered on its own queue, and is told of its orders."""
    worker = await system.worker(command=("worker", "--feed"))
    assert await worker.ready()
    commands = await alpha.get_exchange("orders.commands", ensure=False)
    body = json.dumps(wire.close()).encode()
    await commands.publish(
        aio_pika.Message(body, user_id="alpha", reply_to="alpha.results", delivery_mode=2), "gmo_coin.main.close"
    )
    assert (await told(alpha, "alpha.results", "order.result"))["outcome"] == "accepted"
    assert (await told(alpha, "alpha.events", "order.event"))["account"] == "main"
    assert "a permission is missing" not in worker.said()


async def test_nobody_is_answered_on_anothers_queue(system: Stack, broker: SecuredNode, alpha: AbstractChannel) -> None:
    """The worker may write to every queue; `senders.alpha.reply_to` is what keeps it from another's."""
    await system.worker()
    commands = await alpha.get_exchange("orders.commands", ensure=False)
    foreign = wire.close()
    await commands.publish(
        aio_pika.Message(json.dumps(foreign).encode(), user_id="alpha", reply_to="beta.results", delivery_mode=2),
        "gmo_coin.main.close",
    )
    async with await broker.connect(OPERATOR) as operator:
        refusal = await told(await operator.channel(), "orders.results", "order.result")
    assert (refusal["command_id"], refusal["reason"]["code"]) == (foreign["command_id"], "unauthorized_sender")
    async with await broker.connect("beta") as beta:
        assert await (await (await beta.channel()).get_queue("beta.results", ensure=False)).get(fail=False) is None


async def test_a_copy_under_another_key_is_refused(system: Stack, alpha: AbstractChannel) -> None:
    """RabbitMQ routes by the `CC` header too, and 3.10 looks at the first key only: the worker looks at the body."""
    worker = await system.worker()
    command = wire.close(account="other")
    commands = await alpha.get_exchange("orders.commands", ensure=False)
    message = aio_pika.Message(
        json.dumps(command).encode(),
        headers={"CC": ["gmo_coin.other.close"]},
        user_id="alpha",
        reply_to="alpha.results",
    )
    try:
        await commands.publish(message, "gmo_coin.main.close")
    except ChannelAccessRefused:
        return  # a newer RabbitMQ
    result = await told(alpha, "alpha.results", "order.result")
    assert (result["outcome"], result["attempts"]) == ("rejected", 0)
    assert result["reason"]["code"] in {"invalid_command", "unauthorized_sender"}
    assert not await worker.metric('order_router_venue_requests_total{venue="gmo_coin",endpoint="close_order"')


async def test_the_worker_has_all_that_it_needs(broker: SecuredNode) -> None:
    """`order-router check` finds nothing to complain of."""
    found = [one async for one in survey(BrokerSettings(**broker.config(WORKER)), LANES)]
    assert [one for one in found if one.fault] == []


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("amq\\.default", "amq.default"),
        ("orders\\.results", "orders.results"),
        ("orders\\.dead", "orders.dead"),
        ("orders\\.events", "orders.events"),
        ("orders\\.alerts", "orders.alerts"),
        ("orders\\.journal", "orders.journal"),
        ("orders\\.commands\\.unrouted", "orders.commands.unrouted"),
        ("orders\\.commands\\.[a-z0-9_]+\\.(cancel|close)", "orders.commands.gmo_coin.cancel"),
    ],
)
async def test_the_worker_has_nothing_more(broker: SecuredNode, what: str, named: str) -> None:
    """Without any one of them something that it does is refused."""
    write, read = permissions(Names("orders"), {})[WORKER]
    assert what in write + read
    nothing = uuid.uuid4().hex
    loop = asyncio.get_running_loop()

    def allow(write: str, read: str) -> None:
        broker.ctl("set_permissions", "-p", VHOST, WORKER, "^$", write, read)

    await loop.run_in_executor(None, allow, write.replace(what, nothing), read.replace(what, nothing))
    try:
        found = [one async for one in survey(BrokerSettings(**broker.config(WORKER)), LANES)]
    finally:
        await loop.run_in_executor(None, allow, write, read)
    assert named in " ".join(one.name for one in found if one.fault)


async def test_keda_sees_what_a_worker_holds(broker: SecuredNode, alpha: AbstractChannel) -> None:
    """Over HTTP, as KEDA asks: ready and unacknowledged messages together, of the lanes alone."""
    password = uuid.uuid4().hex
    await asyncio.get_running_loop().run_in_executor(None, broker.ctl, "change_password", KEDA, password)
    lane = Names("orders").lane("gmo_coin", "cancel")
    asked = {"page": "1", "page_size": "100", "use_regex": "true", "name": r"^orders\.commands\..*\.(cancel|close)$"}

    async def counted(http: aiohttp.ClientSession) -> tuple[int, int]:
        url = f"http://127.0.0.1:{broker.http_port}/api/queues/{VHOST}"
        async with http.get(url, params=asked) as answer:
            assert answer.status == 200, await answer.text()
            items = (await answer.json())["items"]
        assert len(items) == 8
        return sum(it.get("messages", 0) for it in items), sum(it.get("messages_unacknowledged", 0) for it in items)

    for _ in range(5):
        await publishing("orders.commands", "gmo_coin.main.cancel", user_id="alpha")(alpha)
    async with (
        await broker.connect(WORKER) as connection,
        aiohttp.ClientSession(headers={"Authorization": aiohttp.encode_basic_auth(KEDA, password)}) as http,
    ):
        queue = await (await connection.channel()).get_queue(lane, ensure=False)
        held = [await queue.get() for _ in range(3)]

        async def holds() -> bool:
            return await counted(http) == (5, 3)

        await until(holds)
        for message in held:
            await message.ack()
        await queue.purge()
