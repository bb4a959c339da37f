"""What reaches the queues, and what becomes of what does not."""

import asyncio
import datetime

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from msgspec.structs import replace

from router.errors import PublishFailed, Unroutable
from router.records.event import Copy
from schemas.codec import JSON
from tests.integration.broker.case import LONG, Case, event, reply, result
from tests.stack import until

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
    """Taken, without a queue and refused, all under way together: each hears what became of it."""
    queue = await one.queue()
    full = await one.queue(**{"x-max-length": 0, "x-overflow": "reject-publish"})
    places = [chosen for _ in range(40) for chosen in (queue.name, "gone", full.name)]
    ends = await asyncio.gather(
        *(one.publisher.publish(reply(place), result(command_id=f"c-{n}"), "a") for n, place in enumerate(places)),
        return_exceptions=True,
    )
    assert [type(end) for end in ends] == [type(None), Unroutable, Unroutable] * 40
    assert await count(one, queue.name) == 40


async def test_what_goes_elsewhere_is_in_the_results_queue(one: Case) -> None:
    """Contract, section 4: topic exchange and queue of the same name."""
    await one.publisher.divert(reply("gone"), result(), "a")
    message = await one.heard(one.names.results)
    assert (message.routing_key, message.type) == ("gmo_coin.main.accepted", "order.result")


async def test_where_results_may_go(one: Case) -> None:
    """Not to our own queues, nor to the broker's; those that it has named for others are as good as any."""
    names = {
        "alpha": True,
        "amq.gen-x": True,
        "amq.rabbitmq.reply-to.g1": True,
        "amq.direct": False,
        "amq.other": False,
    }
    for name, may in {**names, one.names.results: False, one.names.lane("gmo_coin", "close"): False}.items():
        assert one.publisher.may_publish(name) == may, name


async def test_a_direct_reply_is_delivered_once(one: Case) -> None:
    """Whoever asks from the broker's pseudo-queue hears its answer, although it would be returned as unroutable."""
    heard: list[bytes] = []

    async def hear(message: AbstractIncomingMessage) -> None:
        heard.append(message.body)

    direct = await one.channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
    await direct.consume(hear, no_ack=True)
    await one.channel.default_exchange.publish(aio_pika.Message(b"", reply_to=direct.name), one.names.unrouted_queue)
    await until(lambda: len(one.got) == 1)
    assert one.got[0].reply_to.startswith("amq.rabbitmq.reply-to.")
    await one.publisher.publish(reply(one.got[0].reply_to), result(), "a")
    await until(lambda: len(heard) == 1)


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


async def test_poison_whose_headers_fill_a_frame_is_kept(one: Case) -> None:
    """With the reason they would be longer than a frame may be, which costs the connection: only the reason stays."""
    await one.send(aio_pika.Message(b"?"))
    queue = await one.queue()
    await one.publisher.publish(reply(queue.name), result(), "a")
    for size in (16_300, 20_000, 130_000, 200_000):
        await one.publisher.dead_letter(replace(one.got[0], headers={"x": "y" * size}), "invalid_command", "no")
        dead = await one.heard(one.names.dead)
        assert dead.headers["x-dead-reason"] == "invalid_command"
    await one.publisher.publish(reply(queue.name), result(), "a")
    assert not one.publisher.blocked


async def test_an_exchange_that_is_gone_costs_only_its_own_channel(one: Case) -> None:
    """While events fail because nobody declared their exchange, results go on over their own connection."""
    queue = await one.queue()
    await one.publisher.publish(reply(queue.name), result(), "a")
    line = one.publisher._line
    await one.channel.exchange_delete(one.names.events)
    for _ in range(3):
        events = [one.publisher.publish_event(event()) for _ in range(20)]
        results = [one.publisher.publish(reply(queue.name), result(), "a") for _ in range(20)]
        ends = await asyncio.gather(*events, *results, return_exceptions=True)
        assert [type(end) for end in ends] == [PublishFailed] * 20 + [type(None)] * 20
    await one.channel.declare_exchange(one.names.events, "topic", durable=True)
    await until(lambda: _works(one))  # the exchange's own connection may have been lost with the last failure
    assert one.publisher._line is line


async def _works(one: Case) -> bool:
    try:
        await one.publisher.publish_event(event())
    except PublishFailed:
        return False
    return True


async def test_an_event_and_its_copies(one: Case) -> None:
    """The topic has it; a reply queue gets a copy; one that is gone says so."""
    queue = await one.queue()
    await queue.bind(one.names.events, "gmo_coin.main.BTC_JPY.working")
    replies = await one.queue()
    await one.publisher.publish_event(event())
    assert (await one.heard(queue.name)).headers["x-status"] == "working"
    await one.publisher.publish_copy(event().event, Copy(reply=reply(replies.name), command_id="c-1"))
    copy = await one.heard(replies.name)
    assert (copy.type, copy.correlation_id, copy.headers["traceparent"]) == ("order.event", "c-1", "00-abc-01")
    with pytest.raises(Unroutable):
        await one.publisher.publish_copy(event().event, Copy(reply=reply("gone"), command_id="c-1"))


async def count(one: Case, queue: str) -> int:
    """Return how many messages wait in a queue."""
    found = await one.channel.declare_queue(queue, passive=True)
    return found.declaration_result.message_count or 0
