"""RabbitMQ through aio-pika: the only importer of it."""

from router.broker.client import CommandClient
from router.broker.connection import close, connect, open_channel
from router.broker.consumer import Consumer
from router.broker.publisher import Publisher
from router.broker.topology import Names, declare, find
from router.broker.witness import Witness

__all__ = [
    "CommandClient",
    "Consumer",
    "Names",
    "Publisher",
    "Witness",
    "close",
    "connect",
    "declare",
    "find",
    "open_channel",
]
