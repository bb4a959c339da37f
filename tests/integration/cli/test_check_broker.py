"""What `check` says of the broker, on a real one: each fault by its name, and a worker says the same."""

import asyncio
import datetime
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity
from yarl import URL

from router.broker.topology import Names, lane_arguments
from router.demo.rabbitmq_node import RabbitMQNode, free_ports
from router.journal import open_journal
from tests.integration.broker.certificate import DAY, self_signed
from tests.integration.cli.checking import SECRET, check, refuses, waits
from tests.sender import close as a_close
from tests.stack import Stack

pytestmark = pytest.mark.integration


@pytest.fixture
def stack(system: Stack, node: RabbitMQNode) -> Stack:
    """Return a stack on a broker that has other users and vhosts when we say so."""
    system.broker_url = node.url
    system.change("broker", url=node.url)
    return system


async def ctl(node: RabbitMQNode, *arguments: str) -> None:
    """Run `rabbitmqctl` beside the test's loop."""
    await asyncio.to_thread(node.ctl, *arguments)


@asynccontextmanager
async def channel_of(stack: Stack) -> AsyncIterator[AbstractChannel]:
    """Yield a channel of somebody who may do everything."""
    connection = await aio_pika.connect(stack.broker_url)
    async with connection:
        yield await connection.channel()


@asynccontextmanager
async def user(stack: Stack, node: RabbitMQNode, configure: str, write: str, read: str) -> AsyncIterator[str]:
    """Let the stack be somebody who may do only this, and yield the name."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    await ctl(node, "add_user", name, SECRET)
    await ctl(node, "set_permissions", name, configure, write, read)
    try:
        stack.change("broker", url=str(URL(node.url).with_user(name).with_password(SECRET)))
        yield name
    finally:
        await ctl(node, "delete_user", name)


async def test_check_finds_nothing_and_leaves_nothing(stack: Stack) -> None:
    """On a broker that has never seen a worker nothing is declared; the exit status is 0."""
    found = await check(stack, "--online")
    assert found.failed == {}
    assert found.status == 0
    assert found.said("ok")["topology"].startswith("the worker will declare what is missing: ")
    assert "is not there yet" in found.said("ok")["journal"]
    assert not Path(stack.directory, "journal.db").exists()
    assert not list(stack.directory.glob(".check*"))
    async with channel_of(stack) as channel:
        with pytest.raises(ChannelNotFoundEntity):
            await channel.declare_queue(f"{stack.prefix}.commands.gmo_coin.close", passive=True)


async def test_check_takes_no_command(stack: Stack) -> None:
    """What waits in a lane while nobody consumes stays there, and counts no delivery."""
    await (await stack.worker()).terminate()
    async with channel_of(stack) as channel:
        exchange = await channel.get_exchange(f"{stack.prefix}.commands", ensure=False)
        await exchange.publish(aio_pika.Message(json.dumps(a_close()).encode()), "gmo_coin.main.close")
        found = await check(stack)
        assert (found.status, found.failed) == (0, {})
        assert found.said("ok")["topology"].startswith("all 19 exchanges and queues are as they must be")
        assert found.said("ok")["witness"] == f"{stack.prefix}.journal knows of no other journal"
        message = await (await channel.get_queue(f"{stack.prefix}.commands.gmo_coin.close")).get()
        assert message is not None
        assert not message.redelivered
        for name in ("results", "dead", "alerts"):
            queue = await channel.declare_queue(f"{stack.prefix}.{name}", passive=True)
            assert queue.declaration_result.message_count == 0, name


@pytest.mark.parametrize("declare", [True, False])
async def test_a_wrong_password(stack: Stack, node: RabbitMQNode, *, declare: bool) -> None:
    """Names the user; the password is nowhere."""
    stack.change("broker", url=str(URL(node.url).with_password(SECRET)), declare=declare)
    found = await check(stack)
    assert found.status == 1
    sentence = f"127.0.0.1:{node.port} does not know user guest, or not with this password"
    assert found.failed == {"broker": f"cannot connect to amqp://guest:…@127.0.0.1:{node.port}/: {sentence}"}
    await waits(stack, sentence)


async def test_a_vhost_that_is_not_there(stack: Stack, node: RabbitMQNode) -> None:
    """Names it."""
    stack.change("broker", url=str(URL(node.url).with_path("/nowhere")))
    found = await check(stack)
    assert found.status == 1
    assert found.failed["broker"].endswith(f"127.0.0.1:{node.port}/nowhere: there is no vhost nowhere")
    await waits(stack, "there is no vhost nowhere")


async def test_a_vhost_that_is_another_s(stack: Stack, node: RabbitMQNode) -> None:
    """Names user and vhost."""
    vhost = uuid.uuid4().hex[:8]
    await ctl(node, "add_vhost", vhost)
    async with user(stack, node, ".*", ".*", ".*") as name:
        stack.change("broker", url=str(URL(stack.config["broker"]["url"]).with_path(f"/{vhost}")))
        found = await check(stack)
        assert found.failed["broker"].endswith(f": user {name} may not use vhost {vhost}")
        await waits(stack, f"user {name} may not use vhost {vhost}")
    await ctl(node, "delete_vhost", vhost)


@pytest.mark.parametrize("where", ["nobody", "unknown", "silent", "other"])
async def test_no_broker(stack: Stack, where: str) -> None:
    """Nobody listens, there is no such host, or what listens is none."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if where == "silent":
            await reader.read()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        (unused,) = free_ports(1)
        listening = server.sockets[0].getsockname()[1]
        at = {"nobody": f"127.0.0.1:{unused}", "unknown": "no-such-host.invalid:5672"}.get(
            where, f"127.0.0.1:{listening}"
        )
        said = {
            "nobody": f"nothing listens at {at}",
            "unknown": "there is no host no-such-host.invalid, or no name server that knows it",
            "silent": f"no answer from {at} within 10 s",
            "other": f"{at} hung up",
        }[where]
        stack.change("broker", url=f"amqp://u:{SECRET}@{at}/")
        found = await check(stack)
        assert (found.status, found.failed) == (1, {"broker": f"cannot connect to amqp://u:…@{at}/: {said}"})
        await waits(stack, said)


async def test_a_queue_with_other_arguments(stack: Stack) -> None:
    """Names the queue, the argument, what it is and what is wanted. Nothing is consumed from it."""
    name = f"{stack.prefix}.commands.gmo_coin.close"
    wanted = lane_arguments(Names(stack.prefix))
    async with channel_of(stack) as channel:
        await channel.declare_queue(name, durable=True, arguments={**wanted, "x-delivery-limit": 7})
    found = await check(stack)
    sentence = f"queue {name} in vhost / has x-delivery-limit 7, wanted is 100"
    assert (found.status, found.failed) == (1, {f"queue {name}": sentence})
    await waits(stack, sentence)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("fanout", "has type fanout, wanted is topic"),
        ("topic", "has no alternate-exchange, wanted is {prefix}.unrouted"),
    ],
)
async def test_an_exchange_of_another_kind(stack: Stack, kind: str, said: str) -> None:
    """Names the exchange and what differs."""
    name = f"{stack.prefix}.commands"
    async with channel_of(stack) as channel:
        await channel.declare_exchange(name, kind, durable=True)
    found = await check(stack)
    sentence = f"exchange {name} in vhost / {said.format(prefix=stack.prefix)}"
    assert (found.status, found.failed) == (1, {f"exchange {name}": sentence})
    await waits(stack, sentence)


async def test_a_right_to_declare_that_is_missing(stack: Stack, node: RabbitMQNode) -> None:
    """What is not there yet would have to be declared."""
    name = f"{stack.prefix}.commands.gmo_coin.close"
    async with user(stack, node, f"^(?!{name}$).*", ".*", ".*") as who:
        found = await check(stack)
        sentence = f"user {who} may not configure queue {name} in vhost /"
        assert (found.status, found.failed) == (1, {f"queue {name}": sentence})
        await waits(stack, sentence)


@pytest.mark.parametrize("declare", [True, False])
async def test_a_right_to_read_that_is_missing(stack: Stack, node: RabbitMQNode, *, declare: bool) -> None:
    """A lane that may not be consumed."""
    await (await stack.worker()).terminate()
    stack.change("broker", declare=declare)
    name = f"{stack.prefix}.commands.gmo_coin.cancel"
    async with user(stack, node, ".*", ".*", f"^(?!{name}$).*") as who:
        found = await check(stack)
        sentence = f"user {who} may not read queue {name} in vhost /"
        assert (found.status, found.failed) == (1, {f"queue {name}": sentence})
        await waits(stack, sentence)


@pytest.mark.parametrize("exchange", ["results", "dead", "events", "alerts"])
async def test_a_right_to_write_that_is_missing(stack: Stack, node: RabbitMQNode, exchange: str) -> None:
    """Found without a message that anybody would receive; what a worker says: test_permissions.py."""
    await (await stack.worker()).terminate()
    stack.change("broker", declare=False)
    name = f"{stack.prefix}.{exchange}"
    async with user(stack, node, "^$", f"^(?!{name}$).*", ".*") as who:
        found = await check(stack)
        sentence = f"user {who} may not write to exchange {name} in vhost /"
        assert (found.status, found.failed) == (1, {f"exchange {name}": sentence})


async def test_a_queue_that_nobody_declares(stack: Stack) -> None:
    """With `declare = false` all of it must be there."""
    await (await stack.worker()).terminate()
    stack.change("broker", declare=False)
    name = f"{stack.prefix}.commands.nami.close"
    async with channel_of(stack) as channel:
        await channel.queue_delete(name)
        await channel.exchange_delete(f"{stack.prefix}.events")
    found = await check(stack)
    assert found.status == 1
    assert found.failed == {
        f"queue {name}": f"there is no queue {name}, and broker.declare is false",
        f"exchange {stack.prefix}.events": f"there is no exchange {stack.prefix}.events in vhost /",
    }
    await waits(stack, f"there is no queue {name}")


async def test_another_journal_than_before(stack: Stack) -> None:
    """The broker knows which journal was used; a worker would not begin on another."""
    await (await stack.worker()).terminate()
    stack.change("journal", url=f"sqlite:///{stack.directory / 'other.db'}")
    found = await check(stack)
    sentence = "this is not the journal that was used on this broker before"
    assert (found.status, list(found.failed)) == (1, ["witness"])
    assert sentence in found.failed["witness"]
    await refuses(stack, sentence)


@pytest.mark.parametrize("lacking", ["configure", "read", "write"])
async def test_a_sender_that_may_not(stack: Stack, node: RabbitMQNode, lacking: str) -> None:
    """`send` says which right it lacks, and of what: its reply queue, or the exchange of commands."""
    await (await stack.worker()).terminate()
    commands = f"{stack.prefix}.commands"
    rights = {"configure": ".*", "write": ".*", "read": ".*", lacking: "^$"}
    async with user(stack, node, **rights) as who:
        what = ("send", "cancel", "--venue", "gmo_coin", "--account", "main", "--order-id", "1")
        sending = await stack.worker(wait=False, command=what)
        assert await sending.process.wait() == 1
        said = {
            "configure": f"cannot open a reply queue: user {who} may not configure queue reply.",
            "read": f"cannot open a reply queue: user {who} may not read queue reply.",
            "write": f"the command was not taken: user {who} may not write to exchange {commands} in vhost /",
        }[lacking]
        assert said in sending.said()


@asynccontextmanager
async def behind_tls(node: RabbitMQNode, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Stand before the broker and speak TLS; yield the port."""
    pipes: set[asyncio.Task[None]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", node.port)
        for pair in ((reader, inner_writer), (inner_reader, writer)):
            task = asyncio.create_task(pipe(*pair))
            pipes.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    with closing(server):
        yield int(server.sockets[0].getsockname()[1])
    for task in pipes:
        task.cancel()
    await asyncio.gather(*pipes, return_exceptions=True)


@pytest.mark.parametrize("fault", ["none", "untrusted", "other authority", "other host", "expired", "wants ours"])
async def test_a_certificate(stack: Stack, node: RabbitMQNode, tmp_path: Path, fault: str) -> None:
    """Names the host and the file of those who may sign; a right one is accepted."""
    certificate, key = self_signed(
        tmp_path,
        "elsewhere.test" if fault == "other host" else "localhost",
        -datetime.timedelta(hours=1) if fault == "expired" else DAY,
    )
    other = tmp_path / "other"
    other.mkdir()
    authority = self_signed(other)[0] if fault == "other authority" else certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    if fault == "wants ours":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    async with behind_tls(node, context) as port:
        at = f"localhost:{port}"
        stack.change("broker", url=f"amqps://guest:guest@{at}/")
        if fault != "untrusted":
            stack.change("broker", ca_file=str(authority))
        found = await check(stack)
        said = {
            "untrusted": f"the certificate of {at} is signed by no authority that this machine knows",
            "other authority": f"the certificate of {at} is signed by no authority in {authority}",
            "other host": f"the certificate of {at} is for another host name than localhost",
            "expired": f"the certificate of {at} has expired",
            "wants ours": f"{at} hung up: it may want a certificate of ours (broker.cert_file)",
        }.get(fault)
        if said is None:
            assert (found.status, found.failed) == (0, {})
            return
        assert (found.status, found.failed) == (1, {"broker": f"cannot connect to amqps://guest:…@{at}/: {said}"})
        await waits(stack, said)


async def test_tls_where_there_is_none(stack: Stack, node: RabbitMQNode) -> None:
    """The plain port, asked for TLS."""
    stack.change("broker", url=str(URL(node.url).with_scheme("amqps")))
    found = await check(stack)
    assert found.status == 1
    assert found.failed["broker"].endswith(f": 127.0.0.1:{node.port} does not speak TLS")
    await waits(stack, f"127.0.0.1:{node.port} does not speak TLS")


async def test_the_journal_is_that_of_the_worker(stack: Stack) -> None:
    """A journal that is there is opened, not made anew."""
    url = f"sqlite:///{stack.directory / 'journal.db'}"
    async with await open_journal(url) as journal:
        name = journal.journal_id
    assert (await check(stack)).said("ok")["journal"].endswith("can be written")
    async with await open_journal(url) as journal:
        assert journal.journal_id == name
