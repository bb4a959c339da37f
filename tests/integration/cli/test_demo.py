"""`order-router demo` shows what the documents say, on its own broker or a given one, and leaves nothing behind."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import aio_pika.abc
import pytest

from router.demo.rabbitmq_node import RabbitMQNode

pytestmark = pytest.mark.integration

ORDER_ROUTER = str(Path(sys.executable).with_name("order-router"))


@asynccontextmanager
async def demonstrating(folder: Path, *options: str, broker: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the demo with a temporary folder of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ORDER_ROUTER_")}
    environ |= {"TMPDIR": str(folder)} | ({"ORDER_ROUTER_BROKER__URL": broker} if broker else {})
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        ORDER_ROUTER, "demo", *options, env=environ, cwd=folder, stdout=pipe, stderr=pipe
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_six_commands_end_as_documented_on_a_given_broker(tmp_path: Path, rabbitmq: RabbitMQNode) -> None:
    """Each is one signed request, one result and its order events; the topology it declared is gone afterwards."""
    async with demonstrating(tmp_path, "--json", broker=rabbitmq.url) as process:
        out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, err.decode()
    rows = json.loads(out)
    assert [(row["command"]["venue"], row["command"]["type"], row["result"]["outcome"]) for row in rows] == [
        ("gmo_coin", "close", "accepted"),
        ("gmo_coin", "cancel", "accepted"),
        ("coinbase", "close", "accepted"),
        ("coinbase", "cancel", "accepted"),
        ("btcturk", "cancel", "accepted"),
        ("nami", "cancel", "done"),
    ]
    assert all(len(row["sent"]) == 1 and row["right"] for row in rows)
    seen = [{(event["status"], event["source"]) for event in row["events"]} for row in rows]
    assert ("working", "stream") in seen[0]
    assert ("canceled", "stream") in seen[1]
    assert ("filled", "stream") in seen[2]
    assert ("canceled", "stream") in seen[3]
    assert all(
        event["command_id"] == row["result"]["command_id"] and event["after_ms"] < 4000
        for row in rows
        for event in row["events"]
    )
    assert not list(tmp_path.iterdir())
    if isinstance(rabbitmq, RabbitMQNode):
        assert "demo-" not in rabbitmq.ctl("list_queues", "name") + rabbitmq.ctl("list_exchanges", "name")


async def test_without_a_terminal_it_prints_lines_for_each_command(tmp_path: Path, rabbitmq: RabbitMQNode) -> None:
    """Command, request, answer, result, latency, and the order events below; header names, never their values."""
    async with demonstrating(tmp_path, broker=rabbitmq.url) as process:
        out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, err.decode()
    below: list[list[str]] = []
    lines = []
    for line in out.decode().splitlines():
        if line.startswith("   "):
            below[-1].append(line)
        else:
            lines.append(line)
            below.append([])
    assert len(lines) == 6
    assert all(below)
    assert below[2][-1].startswith("   event seq ")
    assert "filled 3 of 3 at " in below[2][-1]
    assert below[2][-1].endswith(" ms after the result")
    assert all(line.count("  →  ") == 4 and line.endswith(tuple("0123456789")) for line in lines)
    assert lines[0].startswith("close gmo_coin 1000342  →  POST /private/v1/closeOrder [API-KEY, ")
    assert "-simulated-" not in out.decode() + err.decode()
    assert "Traceback" not in err.decode()


@pytest.mark.parametrize(
    ("said", "number", "status"),
    [
        (b"starting a private", signal.SIGINT, 1),
        (b"starting a private", signal.SIGTERM, 1),
        (b"starting the worker", signal.SIGTERM, 1),
        (b"staying up", signal.SIGINT, 0),
    ],
)
async def test_a_signal_leaves_nothing_behind(tmp_path: Path, said: bytes, number: signal.Signals, status: int) -> None:
    """While its node starts, while it works and while it stays: no folder, no process, no traceback."""
    async with demonstrating(tmp_path, "--stay") as process:
        assert process.stderr is not None
        heard = b""
        async with asyncio.timeout(100):
            while said not in heard:
                line = await process.stderr.readline()
                assert line, heard.decode()
                heard += line
        process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == status, err.decode()
    assert b"Traceback" not in err
    assert not list(tmp_path.iterdir())
    assert not [line for line in _command_lines() if str(tmp_path) in line]


async def test_send_publishes_and_says_when_nobody_answers(tmp_path: Path, rabbitmq: RabbitMQNode) -> None:
    """On a broker without topology the command is not taken, and that is what it says."""
    environ = {**os.environ, "ORDER_ROUTER_BROKER__URL": rabbitmq.url, "ORDER_ROUTER_BROKER__PREFIX": "nobody"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        ORDER_ROUTER, "send", "cancel", "--venue=nami", "--account=main", "--order-id=1", "--ttl=1",
        env=environ, cwd=tmp_path, stdout=pipe, stderr=pipe,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"order-router: ")
    assert len(err.splitlines()) == 1


async def test_send_prints_the_order_events_that_come_before_the_last_result(
    tmp_path: Path, rabbitmq: RabbitMQNode
) -> None:
    """What the AMQP type calls an event is one, what it calls neither event nor result is not printed."""
    connection = await aio_pika.connect(rabbitmq.url)
    try:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("talk.commands", aio_pika.ExchangeType.TOPIC, auto_delete=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "#")

        async def answer(command: aio_pika.abc.AbstractIncomingMessage) -> None:
            at, about = "2026-01-01T00:00:00Z", {"venue": "nami", "account": "main", "order_id": "1"}
            event = {
                "type": "order_event", "event_id": "e", "seq": 1, "symbol": "s", "side": "buy", "order_type": "limit",
                "status": "canceled", "size": "2", "filled_size": "0", "source": "stream", "received_at": at,
            }  # fmt: skip
            result = {
                "type": "result", "result_id": "r", "seq": 1, "final": True, "command_id": command.correlation_id,
                "action": "cancel", "outcome": "accepted", "received_at": at, "completed_at": at,
            }  # fmt: skip
            for kind, body in (("order.event", event), ("order.else", event), ("order.result", result)):
                message = aio_pika.Message(json.dumps({**about, **body}).encode(), type=kind)
                await channel.default_exchange.publish(message, command.reply_to or "")

        await queue.consume(answer, no_ack=True)
        environ = {**os.environ, "ORDER_ROUTER_BROKER__URL": rabbitmq.url, "ORDER_ROUTER_BROKER__PREFIX": "talk"}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            ORDER_ROUTER, "send", "cancel", "--venue=nami", "--account=main", "--order-id=1",
            env=environ, cwd=tmp_path, stdout=pipe, stderr=pipe,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        await connection.close()
    assert (process.returncode, err) == (0, b"")
    assert out.decode().splitlines() == [
        "event seq 1  nami/main  order 1  canceled, filled 0 of 2  by stream",
        "accepted  cancel nami/main  order 1  by router",
    ]


def _command_lines() -> list[str]:
    lines = []
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            lines.append(process.read_bytes().decode(errors="replace"))
        except OSError:
            pass  # it is gone, or not ours
    return lines
