"""Secrets never appear in what the program writes."""

import base64
import json
import uuid
from pathlib import Path

import aio_pika
import pytest
from aiohttp import web

from tests.sender import Sender, cancel, close
from tests.stack import Stack, until

pytestmark = pytest.mark.integration

KEY = f"canary-key-{uuid.uuid4().hex}"
SECRET = f"canary-secret-{uuid.uuid4().hex}"
PASSWORD = f"canary-password-{uuid.uuid4().hex}"
BTCTURK_SECRET = base64.b64encode(f"canary-raw-{uuid.uuid4().hex}".encode()).decode()


async def _echoing_venue() -> tuple[web.AppRunner, str, list[str]]:
    """Serve a venue that answers everything with all that it was sent: the worst that can be logged or stored."""
    signatures: list[str] = []

    async def echo(request: web.Request) -> web.Response:
        body = await request.text()
        # Credentials first: a message is cut to a length.
        names = ("API-SIGN", "API-KEY", "X-Signature", "X-PCK", "x-api-key")
        told = " ".join(request.headers[name] for name in names if name in request.headers) + f" {body[-90:]}"
        signatures.extend(request.headers.get(name, "") for name in ("API-SIGN", "X-Signature"))
        if body.startswith("{"):
            signatures.append(json.loads(body).get("signature", ""))
        messages = [{"message_code": "ERR-201", "message_string": told}]
        return web.json_response({"status": 1, "messages": messages, "message": told, "code": 6104, "success": False})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}", signatures


async def _dead_letters(url: str, prefix: str) -> list[bytes]:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{prefix}.dead")
        found = []
        while (message := await queue.get(fail=False)) is not None:
            found.append(message.body + repr(message.headers).encode())
        return found


async def test_no_secret_is_written_anywhere(system: Stack, sender: Sender, tmp_path: Path) -> None:
    """Keys, secrets, signatures and passwords appear in no log, metric, journal, result or dead letter."""
    runner, root, signatures = await _echoing_venue()
    for venue in ("gmo_coin", "btcturk", "nami"):
        system.config["venues"][venue]["rest_url"] = root
        system.config["accounts"][venue]["main"].update(api_key=KEY, api_secret=SECRET)
    system.config["accounts"]["btcturk"]["main"]["api_secret"] = BTCTURK_SECRET
    system.config["broker"]["url"] = system.broker_url
    worker = await system.worker({"CANARY_PASSWORD": PASSWORD})

    results = [
        await sender.ask(close()),
        await sender.ask(close(venue="coinbase", symbol="BIT-28JUL23-CDE")),
        *[(await sender.results(await sender.publish(cancel(venue=venue, symbol="BTCUSDT", order_id="1"))))[0]
          for venue in ("gmo_coin", "btcturk", "nami")],
    ]  # fmt: skip
    await sender.publish_raw(b'{"type": "close", "oops": 1}', "gmo_coin.main.close", correlation_id="poison")
    await sender.results("poison")
    _, metrics = await worker.get("/metrics")
    dead: list[bytes] = []
    while not dead:  # it may come a moment after the answer
        dead = await _dead_letters(system.broker_url, system.prefix)
    assert await worker.terminate() == 0
    await runner.cleanup()

    assert [signature for signature in signatures if signature]
    written = [worker.said().encode(), metrics.encode(), json.dumps(results).encode(), *dead]
    written += [file.read_bytes() for file in tmp_path.glob("journal.db*")]
    assert sum(map(len, written)) > 10_000
    raw = base64.b64decode(BTCTURK_SECRET).decode()
    for canary in (KEY, SECRET, BTCTURK_SECRET, raw, *filter(None, signatures)):
        assert not [text for text in written if canary.encode() in text], f"{canary[:12]}… was written"


async def test_a_broken_configuration_names_no_secret(system: Stack) -> None:
    """A file that is wrong in every account says so with exit status 78, each line without the secret."""
    for account in system.config["accounts"].values():
        account["main"].update(api_key=KEY, api_secret=SECRET, oops=PASSWORD)
    system.config["broker"]["url"] = f"ampq://guest:{PASSWORD}@127.0.0.1/"
    worker = await system.worker(wait=False)
    await until(lambda: worker.process.returncode is not None)
    assert worker.process.returncode == 78
    lines = worker.said().splitlines()
    assert len([line for line in lines if "accounts." in line]) >= 4
    for canary in (KEY, SECRET, PASSWORD):
        assert canary not in worker.said()
