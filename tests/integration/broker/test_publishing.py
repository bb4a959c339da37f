"""What reaches the queues, and what becomes of what does not."""

import asyncio
import datetime

import aio_pika
import pytest
from msgspec.structs import replace

from router.errors import PublishFailed
from router.events import Copy
from schemas.codec import JSON
from tests.integration.broker.case import LONG, Case, event, reply, result

pytestmark = pytest.mark.integration


async def test_a_result_has_the_properties_of_the_contract(one: Case) -> None:
    """Contract, section 2, as another library reads them."""
    queue = await one.queue()
    await one.publisher.publish(reply(queue.name), result(), "alpha")
    first = await one.heard(queue.name)
    assert (first.content_type, first.correlation_id, first.type) == (JSON, "c-1", "order.result")
    assert (first.app_id, first.delivery_mode) == ("order-router", 2)
    assert first.headers == {
        "x-sender": "alpha",
        "x-venue": "gmo_coin",
        "x-account": "main",
        "x-outcome": "accepted",
        "traceparent": "00-abc-01",
    }
    assert first.timestamp is not None
    assert abs(first.timestamp - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(seconds=5)
    await one.publisher.publish(reply(queue.name), result(), "alpha")
    assert (await one.heard(queue.name)).message_id != first.message_id


async def test_many_publishes_at_once_each_have_their_own_end(one: Case) -> None:
    """Taken, without a queue and refused, all under way together: only the taken ones reach their queue."""
    queue = await one.queue()
    full = await one.queue(**{"x-max-length": 0, "x-overflow": "reject-publish"})
    places = [chosen for _ in range(40) for chosen in (queue.name, "gone", full.name)]
    await asyncio.gather(
        *(one.publisher.publish(reply(place), result(command_id=f"c-{n}"), "a") for n, place in enumerate(places))
    )
    counts = {}
    for name in (queue.name, full.name, one.names.results):
        counts[name] = (await one.channel.declare_queue(name, passive=True)).declaration_result.message_count
    assert counts == {queue.name: 40, full.name: 0, one.names.results: 80}


async def test_poison_is_kept_unchanged(one: Case) -> None:
    """A dead letter has the body, however long, and the headers of its command, and the reason."""
    await one.send(aio_pika.Message(LONG, content_type="x/y", reply_to="r", headers={"n": 1, "list": [1, "a"]}))
    await one.publisher.dead_letter(one.got[0], "invalid_command", "no")
    dead = await one.heard(one.names.dead)
    assert (dead.body, dead.content_type, dead.reply_to) == (LONG, "x/y", "r")
    added = {"x-dead-reason": "invalid_command", "x-dead-detail": "no"}
    assert {**dead.headers, "x-delivery-count": 0} == {"n": 1, "list": [1, "a"], "x-delivery-count": 0, **added}


async def test_poison_whose_headers_cannot_be_written_is_kept(one: Case) -> None:
    """Text that is no UTF-8 is read as bytes, which no table takes: the message is kept without such headers."""
    await one.send(aio_pika.Message(b"?"))
    await one.publisher.dead_letter(replace(one.got[0], headers={"x": b"\xff"}), "invalid_command", "no")
    dead = await one.heard(one.names.dead)
    assert (dead.body, dead.headers["x-dead-reason"]) == (b"?", "invalid_command")


async def test_an_exchange_that_is_gone_costs_only_its_own_channel(one: Case) -> None:
    """While events fail because nobody declared their exchange, results go on over the same connection."""
    queue = await one.queue()
    await one.publisher.publish(reply(queue.name), result(), "a")
    connection = one.publisher._connection
    await one.channel.exchange_delete(one.names.events)
    for _ in range(3):
        events = [one.publisher.publish_event(event()) for _ in range(20)]
        results = [one.publisher.publish(reply(queue.name), result(), "a") for _ in range(20)]
        ends = await asyncio.gather(*events, *results, return_exceptions=True)
        assert [type(end) for end in ends] == [PublishFailed] * 20 + [type(None)] * 20
    await one.channel.declare_exchange(one.names.events, "topic", durable=True)
    await one.publisher.publish_event(event())
    assert one.publisher._connection is connection


async def test_a_copy_without_a_queue_is_dropped(one: Case) -> None:
    """The others are published, and the event too."""
    queue = await one.queue()
    await queue.bind(one.names.events, "gmo_coin.main.BTC_JPY.working")
    replies = await one.queue()
    copies = tuple(Copy(reply=reply(name), command_id="c-1") for name in ("gone", replies.name))
    await one.publisher.publish_event(event(copies))
    assert (await one.heard(queue.name)).headers["x-status"] == "working"
    copy = await one.heard(replies.name)
    assert (copy.type, copy.correlation_id, copy.headers["traceparent"]) == ("order.event", "c-1", "00-abc-01")
