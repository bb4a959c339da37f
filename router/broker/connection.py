"""Open connections to the broker and say in one sentence why one did not open."""

import ssl

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError
from aiormq.abc import AbstractChannel as Underlay
from yarl import URL

from router.config import Broker, masked
from router.errors import BrokerUnavailable

CONNECT_S = 10.0


async def connect(config: Broker, name: str) -> AbstractConnection:
    """Open one connection, not a self-healing one: who uses it decides what a loss means.

    Raises `BrokerUnavailable` with a sentence that holds no password.
    """
    try:
        return await aio_pika.connect(
            URL(config.url).update_query(heartbeat=str(config.heartbeat_s)),
            timeout=CONNECT_S,
            client_properties={"connection_name": f"order-router {name}"},
            ssl_context=_tls(config) if config.url.startswith("amqps") else None,
        )
    except (AMQPError, OSError, TimeoutError, ValueError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise BrokerUnavailable(f"cannot connect to {masked(config.url)}: {why}") from None


async def open_channel(connection: AbstractConnection) -> AbstractChannel:
    """Open a channel whose publishes are confirmed, and raise when nothing took the message."""
    try:
        return await connection.channel(publisher_confirms=True, on_return_raises=True)
    except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
        raise BrokerUnavailable(f"cannot open a channel: {type(error).__name__}") from None


async def underlay(channel: AbstractChannel) -> Underlay:
    """Return aiormq's channel below: what runs for every command costs about half as much there."""
    return await channel.get_underlay_channel()


def _tls(config: Broker) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ca_file or None)
    if config.cert_file:
        context.load_cert_chain(config.cert_file, config.key_file or None)
    return context
