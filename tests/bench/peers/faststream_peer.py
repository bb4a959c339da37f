"""The bare script's work in FastStream.

    python -m tests.bench.peers.faststream_peer --broker URL --venue URL --prefix PREFIX [--prefetch 64]

What the handler returns, FastStream publishes to the command's reply_to under its correlation id; it acknowledges once
that publish is confirmed. Each delivery is a task of its own, so the prefetch alone bounds how many run at once.
"""

import logging
from argparse import Namespace

import aiohttp
import msgspec
import uvloop
from faststream import FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue, RabbitResponse

from schemas.commands import Command
from tests.bench.peers.call import LANES, arguments, request_of, result_of

_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


async def decode(message: RabbitMessage) -> Command:
    """Decode a command straight from the body."""
    return _commands.decode(message.body)


async def run(options: Namespace) -> None:
    """Work until told to end."""
    broker = RabbitBroker(
        options.broker,
        default_channel=Channel(prefetch_count=options.prefetch, on_return_raises=True),
        decoder=decode,
        apply_types=False,  # the decoder has validated; injection would only look at every argument again
        logger=logging.getLogger(__name__),  # errors to stderr; its own would write two lines per message to stdout
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def dispatch(command: Command) -> RabbitResponse:
            path, body, headers = request_of(command)
            async with session.post(options.venue + path, data=body, headers=headers) as response:
                result = result_of(command, await response.read())
            return RabbitResponse(
                result, persist=True, mandatory=True, content_type="application/json", message_id=command.command_id
            )

        for lane in LANES:
            queue = RabbitQueue(f"{options.prefix}.commands.gmo_coin.{lane}", declare=False)
            broker.subscriber(queue)(dispatch)
        await FastStream(broker).run()


if __name__ == "__main__":
    uvloop.run(run(arguments(__doc__).parse_args()))
