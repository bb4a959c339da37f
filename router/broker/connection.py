"""Open connections and channels to the broker, and say in one sentence why one did not open.

Every call to the broker has a time limit, and whatever the library raises means the same: the connection is broken. A
`CancelledError` that nobody here asked for is such a thing, too: aiormq cancels what waits when a connection ends.
"""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection
from yarl import URL

from router.broker.causes import in_words, of_connecting
from router.broker.screen import Screen, ScreenedTransport
from router.config import BrokerSettings, masked
from router.config.tls import tls_context
from router.errors import BrokerUnavailable, ConfigError, RouterError

CALL_S: Final = 10.0
"""How long any call to the broker may take."""
CLOSE_S: Final = 3.0

BROKEN: Final = Exception
"""What aio-pika and aiormq raise on a connection or a channel that is gone, or about to be: errors of theirs,
`RuntimeError`, `ValueError`, `AttributeError`, and `Exception` itself to whoever waits while it is closed."""


def _is_not_ours_to_tell(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("error when creating transport")


# aiormq logs in its own words what it raises as well, and what is told in ours.
logging.getLogger("aiormq.connection").addFilter(_is_not_ours_to_tell)


@contextmanager
def named(what: str, permission: str = "use") -> Iterator[None]:
    """Raise `BrokerUnavailable` for whatever says that the broker cannot be used; our own cancellation stays.

    `permission` is the one that is needed: RabbitMQ 3.10 does not say which of the three it was that lacked.
    """
    try:
        yield
    except RouterError:
        raise
    except BROKEN as error:
        raise BrokerUnavailable(f"{what}: {in_words(error, permission)}") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable(f"{what}: the connection ended meanwhile") from None


async def connect(config: BrokerSettings, name: str) -> AbstractConnection:
    """Open one connection, not a self-healing one: who uses it decides what a loss means.

    Raises `BrokerUnavailable` with a sentence that holds no password.
    """
    return (await connect_screened(config, name))[0]


async def connect_screened(config: BrokerSettings, name: str) -> tuple[AbstractConnection, Screen]:
    """Open one connection as `connect` does, and return what its frames pass through."""
    socket = ScreenedTransport()
    cannot = f"cannot connect to {masked(config.url)}"
    with named(cannot):
        connection = aio_pika.Connection(
            URL(config.url).update_query(heartbeat=str(config.heartbeat_s)),
            ssl_context=_tls(config),
            client_properties={"connection_name": f"order-router {name}"},
        )
        connection.kwargs["transport_factory"] = socket  # aio_pika hands these to aiormq, and has no argument for it
        try:
            async with asyncio.timeout(CALL_S):
                await connection.connect(timeout=CALL_S)
        except BROKEN as error:
            closing = socket.screen.closing if socket.screen is not None else None
            raise BrokerUnavailable(f"{cannot}: {of_connecting(error, closing, config, CALL_S)}") from None
    if socket.screen is None:
        raise BrokerUnavailable(cannot)
    return connection, socket.screen


async def open_channel(connection: AbstractConnection) -> AbstractChannel:
    """Open a channel whose publishes are confirmed, and raise when nothing took the message."""
    with named("cannot open a channel"):
        async with asyncio.timeout(CALL_S):
            return await connection.channel(publisher_confirms=True, on_return_raises=True)


async def open_underlay(connection: AbstractConnection) -> aiormq.Channel:
    """Open a channel as `open_channel` does and return what aio-pika publishes and consumes by.

    aio-pika's own messages cost about as much processor time again as everything that is done with one of them.
    """
    channel = await open_channel(connection)
    with named("cannot open a channel"):
        underlay = await channel.get_underlay_channel()
    assert isinstance(underlay, aiormq.Channel)
    return underlay


async def close(connection: AbstractConnection | None) -> None:
    """Close a connection, as far as that is possible."""
    if connection is not None:
        with suppress(BrokerUnavailable), named("cannot close"):
            async with asyncio.timeout(CLOSE_S):
                await connection.close()


def _tls(config: BrokerSettings) -> ssl.SSLContext | None:
    if not config.url.startswith("amqps"):
        return None
    try:
        return tls_context(config)
    except ConfigError as error:  # the files were right at the start; who changes them now is to mend them
        raise BrokerUnavailable("; ".join(error.lines)) from None
