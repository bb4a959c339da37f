"""RabbitMQ through aio-pika: the only importer of it."""

from router.broker.client import CommandClient
from router.broker.connection import close, connect, open_channel
from router.broker.consumer import Consumer
from router.broker.mark_stream import MarkStream
from router.broker.publisher import Publisher
from router.broker.survey import survey
from router.broker.topology import Names, declare

__all__ = [
    "CommandClient",
    "Consumer",
    "MarkStream",
    "Names",
    "Publisher",
    "close",
    "connect",
    "declare",
    "open_channel",
    "survey",
]
