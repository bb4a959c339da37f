"""How many order events one process takes, and how much later than the venue's own stream they reach the topic.

    python -m tests.bench.feed_load [--rate 1000] [--seconds 20] [--warm-up 3] [--broker URL] [--journal URL]

Three processes on loopback beside the broker: the simulated Coinbase, `order-router feed`, and this one, which listens
to the same account twice: to the venue's stream, and to the topic exchange. The difference of the two arrivals is what
the router adds: read, recorded (a commit on disk), numbered, published and confirmed. Prints one line of JSON.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import jwt
import msgspec
from aio_pika.abc import AbstractIncomingMessage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from router.demo.rabbitmq_node import RabbitMQNode

VENUE, ACCOUNT = "coinbase", "main"
SYMBOL = "BIT-28JUL23-CDE"
ORDER_ROUTER = Path(sys.executable).with_name("order-router")
WORDS = {"OPEN": "working", "CANCELLED": "canceled"}
SETTLE_S = 5.0

Seen = dict[tuple[str, str], float]


async def start(*arguments: str, log: Path) -> asyncio.subprocess.Process:
    """Start the program; what it says on stderr goes to `log`."""
    with log.open("wb") as out:
        return await asyncio.create_subprocess_exec(
            str(ORDER_ROUTER), *arguments, stdout=asyncio.subprocess.PIPE, stderr=out
        )


@asynccontextmanager
async def running(*arguments: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the program as long as the context lasts."""
    process = await start(*arguments, log=log)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def token(secrets: dict[str, str]) -> str:
    """Return a token for the user endpoint."""
    key, secret, now_s = secrets["api_key"], secrets["api_secret"], int(time.time())
    claims = {"sub": key, "iss": "cdp", "nbf": now_s - 5, "exp": now_s + 115}
    headers = {"kid": key, "nonce": uuid.uuid4().hex}
    if secret.startswith("-----"):
        return jwt.encode(claims, secret, "ES256", headers)
    seed = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)[:32])
    return jwt.encode(claims, seed, "EdDSA", headers)


async def hear_venue(session: aiohttp.ClientSession, url: str, secrets: dict[str, str], seen: Seen) -> None:
    """Note when the venue's own stream told what."""
    async with session.ws_connect(url) as socket:
        await socket.send_json({"type": "subscribe", "channel": "user", "jwt": token(secrets)})
        async for message in socket:
            now = time.monotonic()
            for event in json.loads(message.data).get("events", []):
                for order in event.get("orders", []):
                    seen.setdefault((order["order_id"], WORDS.get(order["status"], order["status"])), now)


async def hear_topic(url: str, exchange: str, seen: Seen, live: asyncio.Event) -> None:
    """Note when the topic exchange told what."""
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    topic = await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(topic, f"{VENUE}.{ACCOUNT}.#")

    async def hear(message: AbstractIncomingMessage) -> None:
        now = time.monotonic()
        event = msgspec.json.decode(message.body)
        if event["type"] == "order_event":
            seen.setdefault((event["order_id"], event["status"]), now)
        elif event["status"] == "live":
            live.set()

    await queue.consume(hear, no_ack=True)
    try:
        await asyncio.Future()
    finally:
        await connection.close()


async def cpu_s(process: asyncio.subprocess.Process) -> float:
    """Return the processor time a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Run the load and return what was seen."""
    prefix = f"b{uuid.uuid4().hex[:8]}"
    raw, told, live = Seen(), Seen(), asyncio.Event()
    async with running("simulate", log=directory / "simulate.log") as simulate, aiohttp.ClientSession() as session:
        assert simulate.stdout is not None
        said = json.loads(await simulate.stdout.readline())
        secrets = said["config"]["accounts"][VENUE][ACCOUNT]
        config = {
            "broker": {"url": options.broker, "prefix": prefix},
            "journal": {"url": options.journal or f"sqlite:///{directory}/journal.db"},
            "http": {"port": 0},
            "venues": {VENUE: said["config"]["venues"][VENUE]},
            "accounts": {VENUE: {ACCOUNT: secrets}},
        }
        file = directory / "order-router.toml"
        file.write_bytes(msgspec.toml.encode(config))
        listening = [
            asyncio.create_task(hear_topic(options.broker, f"{prefix}.events", told, live)),
            asyncio.create_task(hear_venue(session, config["venues"][VENUE]["ws_url"], secrets, raw)),
        ]
        async with running("feed", "--config", str(file), log=directory / "feed.log") as feed:
            async with asyncio.timeout(30):
                await live.wait()
            control = said["venues"][VENUE]["control_url"]
            load = {"account": ACCOUNT, "rate": options.rate, "symbol": SYMBOL}
            timeout = aiohttp.ClientTimeout(total=options.seconds * 3 + 60)
            async with session.post(control + "/load", json=load | {"seconds": options.warm_up}, timeout=timeout):
                pass
            await asyncio.sleep(1.0)
            before = set(raw)
            used = await cpu_s(feed)
            async with session.post(
                control + "/load", json=load | {"seconds": options.seconds}, timeout=timeout
            ) as answer:
                report = await answer.json()
            async with asyncio.timeout(options.seconds + SETTLE_S):
                while not raw.keys() <= told.keys():
                    await asyncio.sleep(0.1)
            used = await cpu_s(feed) - used
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    added = sorted((told[key] - at) * 1000 for key, at in raw.items() if key not in before)
    quantiles = statistics.quantiles(added, n=1000)
    return {
        "events": report["events"],
        "seconds": round(report["seconds"], 2),
        "events_per_s": round(report["events"] / report["seconds"]),
        "heard": len(added),
        "added_ms": {
            name: round(quantiles[at - 1], 2) for name, at in (("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999))
        }
        | {"max": round(added[-1], 2)},
        "feed_cpu_us_per_event": round(used / report["events"] * 1e6),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--broker", default=os.environ.get("ORDER_ROUTER_BROKER__URL"), help="default: a private node")
    parser.add_argument("--journal", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        options.broker = options.broker or stack.enter_context(RabbitMQNode()).url
        print(json.dumps(asyncio.run(measure(options, Path(directory)))))


if __name__ == "__main__":
    main()
