"""The bare script: the same libraries as the router's, and nothing of what makes it safe.

    python -m tests.bench.bare --broker URL --venue URL --prefix PREFIX [--prefetch 64]

Consume from the two quorum queues, decode, sign, POST with aiohttp, publish the answer with a confirm, acknowledge. No
journal, no retry, no limit, no metric, no deadline: what is lost here is lost. It is the floor to measure against.
"""

import argparse
import asyncio
from typing import Any

import aio_pika
import aiohttp
import msgspec
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from schemas.commands import Command
from tests.bench.peers.call import LANES, arguments, request_of, result_of

decode = msgspec.json.Decoder(Command).decode


async def run(options: argparse.Namespace) -> None:
    """Work until killed."""
    connection, publishing = await aio_pika.connect(options.broker), await aio_pika.connect(options.broker)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=options.prefetch)
    replies = (await publishing.channel(publisher_confirms=True, on_return_raises=True)).default_exchange
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def handle(message: AbstractIncomingMessage) -> None:
            command = decode(message.body)
            path, body, headers = request_of(command)
            async with session.post(options.venue + path, data=body, headers=headers) as response:
                answer = await response.read()
            reply = aio_pika.Message(
                result_of(command, answer),
                content_type="application/json",
                correlation_id=message.correlation_id,
                message_id=command.command_id,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await replies.publish(reply, message.reply_to or "", mandatory=True)
            await message.ack()

        for lane in LANES:
            queue = await channel.get_queue(f"{options.prefix}.commands.gmo_coin.{lane}", ensure=False)
            await queue.consume(handle)
        await asyncio.Future[Any]()


def main() -> None:
    """Work."""
    uvloop.run(run(arguments(__doc__).parse_args()))


if __name__ == "__main__":
    main()
