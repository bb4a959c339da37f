"""Row 33 and 45: a reply queue that takes messages and never confirms holds up nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router.broker import line
from router.errors import PublishFailed
from tests.integration.broker.case import Case, reply, result
from tests.stack import until

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SUSPEND = '{{ok,Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{}">>)), sys:{}(amqqueue:get_pid(Q)).'


@asynccontextmanager
async def suspended(node: Any, *queues: str) -> AsyncIterator[None]:
    """Stop the processes of some queues at the broker: they take messages and say nothing."""

    async def ask(what: str) -> None:
        words = " ".join(SUSPEND.format(queue, what).replace("Q", f"Q{n}") for n, queue in enumerate(queues))
        await asyncio.to_thread(node.ctl, "eval", words.replace("). {", "), {"))

    await ask("suspend")
    try:
        yield
    finally:
        await ask("resume")


async def publishes(one: Case, queue: str, count: int) -> list[asyncio.Task[None]]:
    """Publish some results to a queue."""
    return [asyncio.create_task(one.publisher.publish(reply(queue), result(), "a")) for _ in range(count)]


async def in_time(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do something that must take no more than a moment."""
    async with asyncio.timeout(60):
        await work()


async def test_a_queue_that_never_confirms_holds_up_no_other(one: Case, rabbitmq: Any) -> None:
    """Results, the results queue, dead letters and events go on; its own arrive once it goes on."""
    stuck, healthy = await one.queue(), await one.queue()
    await one.publisher.publish(reply(stuck.name), result(), "a")
    async with suspended(rabbitmq, stuck.name):
        waiting = await publishes(one, stuck.name, 16)
        for _ in range(20):
            await in_time(lambda: one.publisher.publish(reply(healthy.name), result(), "a"))
        fresh = await one.queue()
        await in_time(lambda: one.publisher.publish(reply(fresh.name), result(), "a"))
        await in_time(lambda: one.publisher.divert(reply("gone"), result(), "a"))
        assert not any(task.done() for task in waiting), "it confirms nothing"
    await asyncio.gather(*waiting)


async def test_what_is_given_up_fails_alone(one: Case, rabbitmq: Any) -> None:
    """Its channel is closed; the others stay."""
    stuck, healthy = await one.queue(), await one.queue()
    await one.publisher.publish(reply(stuck.name), result(), "a")
    await one.publisher.publish(reply(healthy.name), result(), "a")
    async with suspended(rabbitmq, stuck.name):
        waiting = await publishes(one, stuck.name, 3)
        await asyncio.wait(waiting, timeout=0.2)
        one.publisher.abandon(stuck.name)
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [PublishFailed] * 3
        await in_time(lambda: one.publisher.publish(reply(healthy.name), result(), "a"))


async def test_when_much_hangs_the_others_get_a_connection_of_their_own(one: Case, rabbitmq: Any) -> None:
    """Several hundred that are not confirmed hold a whole connection (router/README.md, section 6)."""
    stuck = [await one.queue() for _ in range(4)]
    for queue in stuck:
        await one.publisher.publish(reply(queue.name), result(), "a")
    first = one.publisher._line
    async with suspended(rabbitmq, *(queue.name for queue in stuck)):
        waiting = [task for queue in stuck for task in await publishes(one, queue.name, 200)]
        await until(lambda: one.publisher._line is not first)
        healthy = await one.queue()
        await in_time(lambda: one.publisher.publish(reply(healthy.name), result(), "a"))
        assert first is not None
        assert first.under_way == 800
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert ends == [None] * 800, "what was under way there is confirmed there"
    await until(lambda: not one.publisher._old)


async def test_a_queue_that_is_owed_nothing_keeps_no_channel(one: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels go round: many senders come and go."""
    monkeypatch.setattr(line, "IDLE_S", 0.1)
    for _ in range(30):
        queue = await one.queue()
        await one.publisher.publish(reply(queue.name), result(), "a")
    used = one.publisher._line
    assert used is not None
    await until(lambda: not used._lanes and 0 < len(used._spare) <= 2 * line.SPARE)
