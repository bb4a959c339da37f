"""The bare script: the same libraries as the router's, and nothing of what makes it safe.

    python -m tests.bench.bare --broker URL --venue URL --prefix PREFIX [--prefetch 64]

Consume from the two quorum queues, decode, sign, POST with aiohttp, publish the answer with a confirm, acknowledge. No
journal, no retry, no limit, no metric, no deadline: what is lost here is lost. It is the floor to measure against.
"""

import argparse
import asyncio
import hashlib
import hmac
import time
from typing import Any

import aio_pika
import aiohttp
import msgspec
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from schemas.commands import Close, Command

SECRET = b"secret"


class Answer(msgspec.Struct):
    """What the venue said."""

    status: int
    data: str = ""


class Result(msgspec.Struct, tag_field="type", tag="result"):
    """What the sender hears."""

    command_id: str
    venue: str
    account: str
    outcome: str
    order_id: str
    final: bool = True


decode = msgspec.json.Decoder(Command).decode
decode_answer = msgspec.json.Decoder(Answer).decode
encode = msgspec.json.Encoder().encode


def body_of(command: Command) -> tuple[str, bytes]:
    """Return path and body of the request."""
    if isinstance(command, Close):
        position = {"positionId": int(command.position_id or 0), "size": command.size}
        fields = {"symbol": command.symbol, "side": (command.side or "").upper(), "executionType": "MARKET"}
        return "/v1/closeOrder", encode(fields | {"settlePosition": [position]})
    return "/v1/cancelOrder", encode({"orderId": int(getattr(command, "order_id", 0))})


def headers_of(path: str, body: bytes) -> dict[str, str]:
    """Sign."""
    stamp = str(time.time_ns() // 1_000_000)
    signature = hmac.new(SECRET, stamp.encode() + b"POST" + path.encode() + body, hashlib.sha256).hexdigest()
    return {"API-KEY": "key", "API-TIMESTAMP": stamp, "API-SIGN": signature, "Content-Type": "application/json"}


async def run(options: argparse.Namespace) -> None:
    """Work until killed."""
    connection, publishing = await aio_pika.connect(options.broker), await aio_pika.connect(options.broker)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=options.prefetch)
    replies = (await publishing.channel(publisher_confirms=True, on_return_raises=True)).default_exchange
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def handle(message: AbstractIncomingMessage) -> None:
            command = decode(message.body)
            path, body = body_of(command)
            async with session.post(options.venue + path, data=body, headers=headers_of(path, body)) as response:
                answer = decode_answer(await response.read())
            result = Result(command.command_id, command.venue, command.account, "accepted", answer.data)
            reply = aio_pika.Message(
                encode(result),
                content_type="application/json",
                correlation_id=message.correlation_id,
                message_id=command.command_id,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await replies.publish(reply, message.reply_to or "", mandatory=True)
            await message.ack()

        for lane in ("cancel", "close"):
            queue = await channel.get_queue(f"{options.prefix}.commands.gmo_coin.{lane}", ensure=False)
            await queue.consume(handle)
        await asyncio.Future[Any]()


def main() -> None:
    """Work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--venue", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--prefetch", type=int, default=64)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
