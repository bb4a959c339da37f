"""RabbitMQ: the only importer of aio_pika."""

from router.broker.caller import Caller
from router.broker.connection import connect, open_channel
from router.broker.consumer import Consumer
from router.broker.publisher import Publisher
from router.broker.topology import Names, check, declare

__all__ = ["Caller", "Consumer", "Names", "Publisher", "check", "connect", "declare", "open_channel"]
