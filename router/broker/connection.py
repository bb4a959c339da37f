"""Open connections to the broker and say in one sentence why one did not open."""

import ssl

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError
from aiormq.abc import AbstractChannel as Underlay
from yarl import URL

from router.broker.wire import Socket, Wire
from router.config import Broker, masked
from router.errors import BrokerUnavailable

CONNECT_S = 10.0


async def connect(config: Broker, name: str) -> AbstractConnection:
    """Open one connection, not a self-healing one: who uses it decides what a loss means.

    Raises `BrokerUnavailable` with a sentence that holds no password.
    """
    return (await connect_wire(config, name))[0]


async def connect_wire(config: Broker, name: str) -> tuple[AbstractConnection, Wire]:
    """Open one connection as `connect` does, and return what lies under it too, for channels of our own."""
    socket = Socket()
    connection = aio_pika.Connection(
        URL(config.url).update_query(heartbeat=str(config.heartbeat_s)),
        ssl_context=_tls(config) if config.url.startswith("amqps") else None,
        client_properties={"connection_name": f"order-router {name}"},
    )
    connection.kwargs["transport_factory"] = socket  # aio_pika hands these to aiormq, and has no argument for this one
    try:
        await connection.connect(timeout=CONNECT_S)
    except (AMQPError, OSError, TimeoutError, ValueError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise BrokerUnavailable(f"cannot connect to {masked(config.url)}: {why}") from None
    assert socket.wire is not None
    return connection, socket.wire


async def open_channel(connection: AbstractConnection) -> AbstractChannel:
    """Open a channel whose publishes are confirmed, and raise when nothing took the message."""
    try:
        return await connection.channel(publisher_confirms=True, on_return_raises=True)
    except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
        raise BrokerUnavailable(f"cannot open a channel: {type(error).__name__}") from None


async def underlay(channel: AbstractChannel) -> tuple[Underlay, int, int]:
    """Return aiormq's channel, its number, and how long a frame on it may be."""
    found = await channel.get_underlay_channel()
    assert channel.number is not None
    return found, channel.number, found.connection.connection_tune.frame_max


def _tls(config: Broker) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ca_file or None)
    if config.cert_file:
        context.load_cert_chain(config.cert_file, config.key_file or None)
    return context
