"""Commands from any AMQP client that follows the contract, answered as it says."""

import asyncio
import datetime
import json
import uuid
from typing import Any

import aio_pika
import msgspec
import pytest

from tests.sender import Sender, cancel, close, in_seconds
from tests.stack import Stack

pytestmark = pytest.mark.integration

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "order-router")


def without(command: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a command without some of its fields."""
    return {name: value for name, value in command.items() if name not in names}


async def get_from(stack: Stack, queue: str, timeout_s: float = 10.0) -> Any:
    """Wait for a message in a durable queue and take it."""
    connection = await aio_pika.connect(stack.broker_url)
    async with connection:
        channel = await connection.channel()
        found: asyncio.Queue[Any] = asyncio.Queue()
        consumed = await channel.get_queue(queue)
        await consumed.consume(found.put, no_ack=True)
        async with asyncio.timeout(timeout_s):
            return await found.get()


async def test_every_venue_answers_as_its_document_says(system: Stack, sender: Sender) -> None:
    """A close or a cancel with the documents' own values is executed once and answered with the venue's ids."""
    await system.worker()
    contracts = close(venue="coinbase", symbol="BIT-28JUL23-CDE", size="3", order_type="market")
    commands = [
        (close(), "accepted"),
        (cancel(), "accepted"),
        (without(contracts, "position_id", "side", "price", "time_in_force"), "accepted"),
        (cancel(venue="coinbase", order_id="11111-00000-000000"), "accepted"),
        (cancel(venue="btcturk", order_id="123456789"), "accepted"),
        (cancel(venue="nami", order_id="435372", symbol="BTCUSDT"), "done"),
    ]
    for command, outcome in commands:
        result = await sender.ask(command)
        assert (result["outcome"], result["reason"], result["attempts"]) == (outcome, None, 1), result
        assert result["order_id"]
        assert result["evidence"] == "response"
        name = f"/{command['command_id']}"
        assert result["result_id"] == str(uuid.uuid5(NAMESPACE, f"{name}/1"))
        assert result["client_order_id"] == str(uuid.uuid5(NAMESPACE, name))
    for venue, kind, count in (
        ("gmo_coin", "execution", 1),
        ("gmo_coin", "cancel", 1),
        ("coinbase", "execution", 1),
        ("coinbase", "cancel", 1),
        ("btcturk", "cancel", 1),
        ("nami", "cancel", 1),
    ):
        assert system.simulators.venues[venue].ledger.kinds[kind] == count, (venue, kind)


async def test_an_answer_has_the_properties_of_the_contract(system: Stack, sender: Sender) -> None:
    """A result is persistent, typed, correlated, and tells in its headers whom and what it is about."""
    await system.worker()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    command = cancel()
    await sender.publish(command, correlation_id="my own", headers={"traceparent": parent})
    result = await sender.final("my own")
    message = next(message for _, message in sender.heard if message.correlation_id == "my own")
    assert (message.type, message.app_id, message.delivery_mode) == ("order.result", "order-router", 2)
    assert message.content_type == "application/json"
    assert message.message_id
    assert message.timestamp is not None
    expected = {"x-sender": "", "x-venue": "gmo_coin", "x-account": "main", "x-outcome": "accepted"}
    assert {name: message.headers[name] for name in expected} == expected
    assert message.headers["traceparent"] == parent
    times = [datetime.datetime.fromisoformat(result[name]) for name in ("received_at", "sent_at", "completed_at")]
    assert times == sorted(times)


async def test_messagepack_is_answered_in_messagepack(system: Stack, sender: Sender) -> None:
    """The answer comes in the command's own codec, and the same command in the other codec is a repeat."""
    await system.worker()
    command = cancel()
    key = "gmo_coin.main.cancel"
    body = msgspec.msgpack.encode(command)
    await sender.publish_raw(body, key, correlation_id="packed", content_type="application/msgpack")
    first = await sender.final("packed")
    message = next(message for _, message in sender.heard if message.correlation_id == "packed")
    assert message.content_type == "application/msgpack"
    await sender.publish(command, correlation_id="plain")
    again = await sender.final("plain")
    assert again == {**first, "duplicate": True}
    assert system.simulators.venues["gmo_coin"].ledger.kinds["cancel"] == 1


async def test_results_without_a_reply_queue_are_kept(system: Stack, sender: Sender) -> None:
    """Without reply_to, with one that is gone or reserved, the result goes to the results queue."""
    await system.worker()
    for reply_to in (None, "gone.long.ago", f"{system.prefix}.dead", "amq.rabbitmq.trace"):
        command = cancel(command_id=str(uuid.uuid4()))
        await sender.publish(command, reply_to=reply_to)
        message = await get_from(system, f"{system.prefix}.results")
        assert json.loads(message.body)["command_id"] == command["command_id"], reply_to


async def test_refusals_name_their_reason(system: Stack, sender: Sender) -> None:
    """What cannot be tried is rejected with the contract's code, and no venue hears of it."""
    system.change("worker", max_horizon_s=60)
    await system.worker()
    soon = in_seconds(10)
    for command, code in (
        (close(venue="kraken"), "unknown_venue"),
        (close(account="other"), "unknown_account"),
        (close(not_after=in_seconds(90)), "invalid_command"),
        (close(not_after=in_seconds(-1)), "expired"),
        (close(issued_at=soon), "invalid_command"),
        (without(close(), "price"), "invalid_command"),
        (close(order_type="market"), "invalid_command"),
        (without(close(), "position_id"), "invalid_command"),
        (close(position_id="abc"), "invalid_command"),
        (close(params={"cancel_before": True}), "unsupported"),
        (close(params={"oops": 1}), "invalid_command"),
        (close(venue="nami"), "unsupported"),
        (close(venue="btcturk"), "unsupported"),
        (close(venue="coinbase"), "unsupported"),
        (without(cancel(), "order_id"), "invalid_command"),
        (cancel(target_command_id="x"), "invalid_command"),
        (cancel(venue="nami"), "invalid_command"),
    ):
        result = await sender.ask(command)
        assert (result["outcome"], result["reason"]["code"]) == ("rejected", code), result
        assert (result["attempts"], result["evidence"], result["sent_at"]) == (0, "router", None)
    moved = close()
    await sender.publish(moved, key="gmo_coin.other.close")
    assert (await sender.final(moved["command_id"]))["reason"]["code"] == "invalid_command"
    assert not any(venue.ledger.kinds["request"] for venue in system.simulators.venues.values())


async def test_a_dry_run_sends_nothing(system: Stack, sender: Sender) -> None:
    """A dry run is accepted as such, and the venue hears nothing."""
    await system.worker()
    result = await sender.ask(close(dry_run=True))
    assert (result["outcome"], result["dry_run"], result["attempts"]) == ("accepted", True, 0)
    assert not system.simulators.venues["gmo_coin"].ledger.kinds["request"]


async def test_only_listed_senders_may_send(system: Stack, sender: Sender) -> None:
    """Once a sender is configured, others, other accounts and other reply queues are refused, and not stored."""
    system.config["senders"] = {"guest": {"accounts": ["gmo_coin/main"], "commands": ["cancel"], "reply_to": "^sender"}}
    await system.worker()
    for command, user_id in ((close(), "guest"), (cancel(), None), (cancel(venue="nami"), "guest")):
        await sender.publish(command, user_id=user_id)
        result = await sender.final(command["command_id"])
        assert (result["outcome"], result["reason"]["code"]) == ("rejected", "unauthorized_sender")
    command = cancel()
    await sender.publish(command, user_id="guest")
    assert (await sender.final(command["command_id"]))["outcome"] == "accepted"
    elsewhere = cancel()
    await sender.publish(elsewhere, user_id="guest", reply_to="a.stranger")
    message = await get_from(system, f"{system.prefix}.results")
    assert json.loads(message.body)["reason"]["code"] == "unauthorized_sender"


async def test_a_cancel_finds_the_order_of_the_close_it_targets(system: Stack, sender: Sender) -> None:
    """A cancel by target_command_id cancels what the close placed, also when it comes before the close."""
    await system.worker()
    target = close()
    early = {**without(cancel(await_final=True), "order_id"), "target_command_id": target["command_id"]}
    await sender.publish(early)
    placed = await sender.ask(target)
    result = await sender.final(early["command_id"])
    assert (result["outcome"], result["order_id"]) == ("done", placed["order_id"])
    assert result["order"]["status"] == "canceled"


async def test_a_close_that_comes_after_its_cancel_gave_up_is_too_late(system: Stack, sender: Sender) -> None:
    """A target that never came is order_not_found at the deadline; should it come later, it is not sent."""
    await system.worker()
    target = close()
    lone = {**without(cancel(not_after=in_seconds(1.5)), "order_id"), "target_command_id": target["command_id"]}
    assert (await sender.ask(lone))["reason"]["code"] == "order_not_found"
    assert (await sender.ask(target))["reason"]["code"] == "too_late"
    assert not system.simulators.venues["gmo_coin"].ledger.kinds["execution"]
