"""Rows 6 to 11: what the broker, and the network to it, can do to a command under way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aio_pika
import pytest
from aio_pika.exceptions import AMQPError

from router.demo.rabbitmq_node import RabbitMQNode
from tests.faults.conftest import Trials
from tests.faults.journals import states
from tests.faults.proxy import Proxy
from tests.faults.trial import TIMEOUT_S, Trial
from tests.integration.broker.case import case, reply, result
from tests.stack import WorkerProcess, until

T = TypeVar("T")

ALARMS = {
    "memory": (("set_vm_memory_high_watermark", "0.00001"), ("set_vm_memory_high_watermark", "absolute", "1GB")),
    "disk": (("set_disk_free_limit", "100000GB"), ("set_disk_free_limit", "50MB")),
}
PATIENT_S = 60.0
"""A venue's time limit that no slow machine reaches while a test holds its answer."""
_node_thread = ThreadPoolExecutor(1, "node")
"""Lives as long as the process: the kernel ends a node together with the thread that started it."""


async def off_loop(act: Callable[[], T]) -> T:
    """Do something slow to the node while the simulators go on."""
    return await asyncio.get_running_loop().run_in_executor(_node_thread, act)


@asynccontextmanager
async def behind_a_proxy(
    made: Trial, node: RabbitMQNode, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[tuple[Proxy, WorkerProcess]]:
    """Start a worker whose way to the broker can be cut."""
    made.wait_for("gmo_coin", timeout_s)
    async with Proxy(node.port) as proxy:
        worker = await made.worker(url=f"amqp://guest:guest@127.0.0.1:{proxy.port}/")
        yield proxy, worker


async def test_a_lost_broker_connection_does_not_cut_a_request(one: Trial, node: RabbitMQNode) -> None:
    """Row 6: the connection dies while the venue works; the call goes on, the redelivery joins it, one execution."""
    async with behind_a_proxy(one, node, timeout_s=PATIENT_S) as (proxy, worker):
        one.inject(on="close", what="hold")
        command_id = await one.publish(one.close())
        await until(lambda: one.ledger("execution"))
        proxy.cut()
        await until(lambda: worker.metric("order_router_redeliveries_total"))
        one.release()
        result = await one.sender.final(command_id)
        assert (result["outcome"], result["evidence"]) == ("accepted", "response")
        await one.judge()


async def test_an_acknowledgement_on_a_stale_channel_is_dropped(one: Trial, node: RabbitMQNode) -> None:
    """Row 6: the answer comes while there is no broker; its ack is dropped, and the redelivery is answered again."""
    async with behind_a_proxy(one, node, timeout_s=PATIENT_S) as (proxy, worker):
        one.inject(on="close", what="hold")
        command_id = await one.publish(one.close())
        await until(lambda: one.ledger("execution"))
        proxy.refuse()
        one.release()
        await until(lambda: states(one).get(command_id) == "final")
        proxy.accept()
        assert (await one.sender.final(command_id))["outcome"] == "accepted"
        await until(lambda: worker.metric("order_router_redeliveries_total"))
        await until(worker.ready)
        await one.judge()


async def test_a_worker_cut_off_and_its_successor_send_once(one: Trial, node: RabbitMQNode) -> None:
    """Row 7: a black-holed worker keeps its request, the second one gets the command too and does not send it."""
    async with behind_a_proxy(one, node, timeout_s=PATIENT_S) as (proxy, first):
        one.inject(on="close", what="hold")
        command_id = await one.publish(one.close())
        await until(lambda: one.ledger("execution"))
        proxy.black_hole()
        second = await one.worker()
        await until(lambda: second.metric("order_router_redeliveries_total"))
        one.release()
        result = await one.sender.final(command_id)
        assert result["outcome"] == "accepted"
        assert proxy.held, "nothing was swallowed"
        proxy.heal()
        await until(first.ready)
        await one.judge()


@pytest.mark.slow
async def test_what_a_cut_off_worker_concluded_is_published_by_another(one: Trial, node: RabbitMQNode) -> None:
    """Row 7: the second worker joins, the first concludes and cannot publish: the second finds the result and does."""
    async with behind_a_proxy(one, node, timeout_s=PATIENT_S) as (proxy, _):
        one.inject(on="close", what="hold")
        command_id = await one.publish(one.close())
        await until(lambda: one.ledger("execution"))
        proxy.black_hole()
        second = await one.worker()
        await until(lambda: second.metric("order_router_redeliveries_total"))
        assert states(one)[command_id] == "open"
        one.release()
        assert (await one.sender.final(command_id, 45))["outcome"] == "accepted"
        assert proxy.held, "nothing was swallowed"
        await one.judge()


async def test_a_restart_in_a_burst_loses_and_doubles_nothing(one: Trial, node: RabbitMQNode) -> None:
    """Row 8: the broker restarts under a burst; every close is executed and answered once, within half a minute."""
    worker = await one.worker()
    commands = [one.fresh_close() for _ in range(40)]
    restart: asyncio.Task[None] | None = None
    for number, command in enumerate(commands):
        if number == len(commands) // 2:
            restart = asyncio.create_task(off_loop(lambda: restarted(node)))
        await _publish_anyhow(one, command)
    assert restart is not None
    await restart
    await _connect_again(one)
    async with asyncio.timeout(30):
        await until(worker.ready)
    await one.finals()
    assert worker.said().count('"consuming"') >= 2
    await one.judge()


def restarted(node: RabbitMQNode) -> None:
    """Restart the broker in order.

    Killed instead, RabbitMQ 3.10 may lose what it knows of a quorum queue declared seconds ago, and then answers
    every use of it with INTERNAL_ERROR.
    """
    node.ctl("stop_app")
    node.ctl("start_app")


async def _publish_anyhow(made: Trial, command: dict[str, Any]) -> None:
    """Publish as a sender does that never heard a confirm: again, under the same id."""
    while True:
        try:
            async with asyncio.timeout(2):
                await made.publish(command)
                return
        except (AMQPError, OSError, TimeoutError, RuntimeError):
            await _connect_again(made)


async def _connect_again(made: Trial) -> None:
    while made.sender.lost:
        try:
            await made.sender.connect()
        except (AMQPError, OSError):
            await asyncio.sleep(0.2)  # a sender's pause between two tries, not a wait for something


@pytest.mark.parametrize("alarm", ["memory", pytest.param("disk", marks=pytest.mark.slow)])
async def test_under_an_alarm_results_wait_and_no_new_closes_pile_up(
    trials: Trials, node: RabbitMQNode, alarm: str
) -> None:
    """Row 9: while the broker takes nothing, a lane sends no more than its prefetch, and then all are answered."""
    prefetch, commands = 2, 6
    raised, lifted = ALARMS[alarm]
    async with trials() as made:
        made.change("broker", prefetch=prefetch)
        made.wait_for("gmo_coin", PATIENT_S)
        await made.worker()
        made.inject(on="close", what="hold", times=prefetch)
        for _ in range(commands):
            await made.publish(made.fresh_close())
        try:
            await until(lambda: len(made.ledger("execution")) == prefetch)
            await off_loop(lambda: node.ctl(*raised))
            assert f"{{resource_limit,{alarm}," in await off_loop(
                lambda: node.ctl("eval", "rabbit_alarm:get_alarms().")
            )
            made.release()
            await until(lambda: list(states(made).values()).count("final") == prefetch)
            assert not made.sender.heard
            assert len(made.sends()) == prefetch
        finally:
            await off_loop(lambda: node.ctl(*lifted))
        await made.finals()
        await made.judge()


@pytest.mark.slow
async def test_under_an_alarm_a_result_waits_and_is_written_once(node: RabbitMQNode) -> None:
    """Row 9: however long it lasts, one copy arrives: its confirm may still come while the connection lives."""
    raised, lifted = ALARMS["memory"]
    async with case(node.url) as made:
        queue = await made.queue()
        await made.publisher.publish(reply(queue.name), result(), "a")
        await off_loop(lambda: node.ctl(*raised))
        try:
            published = asyncio.create_task(made.publisher.publish(reply(queue.name), result(), "a"))
            await until(lambda: made.publisher.blocked)
            assert not (await asyncio.wait({published}, timeout=12.0))[0]
        finally:
            await off_loop(lambda: node.ctl(*lifted))
        await published
        assert not made.publisher.blocked
        found = await made.channel.declare_queue(queue.name, passive=True)
        assert found.declaration_result.message_count == 2


async def test_a_lost_confirm_repeats_the_result_under_its_id(one: Trial, node: RabbitMQNode) -> None:
    """Row 10: the broker took the result but its confirm never came: it is published again, with the same id."""
    async with behind_a_proxy(one, node, timeout_s=PATIENT_S) as (proxy, _):
        await one.ask(one.fresh_close())  # the connection that publishes is opened by the first result
        one.inject(on="close", what="hold")
        command_id = await one.publish(one.close())
        await until(lambda: one.ledger("execution", position_id="1000342"))
        proxy.black_hole(forth=False)
        one.release()
        await one.sender.final(command_id)
        proxy.heal(drop=True)
        proxy.cut()
        results = await one.sender.results(command_id, 2)
        assert len({result["result_id"] for result in results}) == 1
        await one.judge()


async def test_a_lost_publishing_connection_is_opened_again(one: Trial, node: RabbitMQNode) -> None:
    """Row 10: results go on after every connection was reset, the one they are published on included."""
    async with behind_a_proxy(one, node) as (proxy, worker):
        await one.ask(one.fresh_close())
        proxy.cut()
        await until(lambda: worker.said().count('"consuming"') == 2)
        assert (await one.ask(one.fresh_close(), 15))["outcome"] == "accepted"
        await one.judge()


async def test_a_missing_reply_queue_costs_only_its_own_sender(one: Trial) -> None:
    """Row 10: a result whose reply queue is gone waits in the results queue; others are answered as ever."""
    await one.worker()
    gone = one.fresh_close()
    await one.sender.publish(gone, reply_to="sender.gone")
    assert (await one.ask(one.fresh_close()))["outcome"] == "accepted"
    parked = await one.fetch("results")
    assert parked["command_id"] == gone["command_id"]
    assert parked["outcome"] == "accepted"
    await one.judge(close_sends=2)


async def test_a_reply_queue_that_refuses_does_not_stop_its_lane(trials: Trials) -> None:
    """Row 10: results that a full reply queue refuses wait; other replies are unaffected; none is lost."""
    async with trials() as made:
        made.change("broker", prefetch=2)
        await made.worker()
        full = f"sender.full.{made.prefix}"
        arguments: Any = {"x-max-length": 0, "x-overflow": "reject-publish"}
        await made.sender.channel.declare_queue(full, arguments=arguments, exclusive=True)
        refused = [made.fresh_close() for _ in range(4)]
        for command in refused:
            await made.sender.publish(command, reply_to=full)
        await until(lambda: len(made.sends()) >= 2)
        assert (await made.ask(made.fresh_close(), 15))["outcome"] == "accepted"
        await made.sender.channel.queue_delete(full)
        parked = {(await made.fetch("results"))["command_id"] for _ in refused}
        assert parked == {command["command_id"] for command in refused}


async def test_a_deleted_command_queue_is_told_and_consumed_again(trials: Trials) -> None:
    """Row 11: the broker cancels the consumer; not ready and said so, consuming again once the queue is back."""
    async with trials() as made:
        await (await made.worker()).terminate()
        made.change("broker", declare=False)
        worker = await made.worker()
        lane = f"{made.prefix}.commands.gmo_coin.close"
        await made.sender.channel.queue_delete(lane)
        await until(lambda: '"not consuming"' in worker.said())
        assert not await worker.ready()
        await _declare_again(made, lane)
        await until(worker.ready)
        assert (await made.ask(made.close()))["outcome"] == "accepted"
        await made.judge()


async def _declare_again(made: Trial, lane: str) -> None:
    arguments: Any = {
        "x-queue-type": "quorum",
        "x-delivery-limit": 10,
        "x-dead-letter-exchange": f"{made.prefix}.dead",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    async with await aio_pika.connect(made.broker_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(lane, durable=True, arguments=arguments)
        await queue.bind(f"{made.prefix}.commands", "gmo_coin.*.close")
