"""What the broker's user has to be allowed, and what a permission that is missing costs."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from yarl import URL

from router.demo.rabbitmq_node import RabbitMQNode
from tests.faults.conftest import Trials
from tests.faults.test_broker import off_loop
from tests.faults.trial import Trial
from tests.stack import WorkerProcess, until


def read_by_a_worker(prefix: str) -> str:
    """Return what a worker that declares nothing reads."""
    return rf"^{prefix}\.(commands\..*|journal)$"


def written_by_a_worker(prefix: str) -> str:
    """Return what it writes to: reply queues and the journal's stream are reached by the default exchange."""
    return rf"^(amq\.default|{prefix}\.(results|dead|events|alerts))$"


@contextmanager
def user(node: RabbitMQNode, write: str, read: str) -> Iterator[str]:
    """Yield the address of the broker for a user who may do only this, and configure nothing."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    node.ctl("add_user", name, "password")
    node.ctl("set_permissions", name, "^$", write, read)
    try:
        yield str(URL(node.url).with_user(name).with_password("password"))
    finally:
        node.ctl("delete_user", name)


@asynccontextmanager
async def limited(made: Trial, node: RabbitMQNode, write: str) -> AsyncIterator[WorkerProcess]:
    """Run a worker as such a user, on a topology that another has declared."""
    await (await made.worker()).terminate()
    made.change("broker", declare=False)
    users = user(node, write, read_by_a_worker(made.prefix))
    url = await off_loop(users.__enter__)
    try:
        yield await made.worker(url=url)
    finally:
        await off_loop(lambda: users.__exit__(None, None, None))


async def test_a_worker_that_declares_nothing_configures_nothing(trials: Trials, node: RabbitMQNode) -> None:
    """Least privilege: it consumes, answers, dead-letters and keeps its mark. README says the same."""
    async with trials() as made, limited(made, node, written_by_a_worker(made.prefix)) as worker:
        assert (await made.ask(made.fresh_close()))["outcome"] == "accepted"
        await made.sender.publish_raw(b"no command", "gmo_coin.main.close", correlation_id="poison")
        assert (await made.sender.results("poison"))[0]["reason"]["code"] == "invalid_command"
        assert await worker.ready()
        assert "not allowed" not in worker.said()


@pytest.mark.parametrize("exchange", ["results", "dead"])
async def test_a_missing_permission_costs_its_own_exchange_only(
    trials: Trials, node: RabbitMQNode, exchange: str
) -> None:
    """What cannot be written there waits or is dead-lettered by the broker, once; readiness and one line tell."""
    async with trials() as made:
        write = written_by_a_worker(made.prefix).replace(f"{exchange}|", "")
        async with limited(made, node, write) as worker:
            gone = made.fresh_close()
            await made.sender.publish(gone, reply_to="sender.gone")
            await made.sender.publish_raw(b"no command", "gmo_coin.main.close", correlation_id="poison")
            await until(lambda: "a permission is missing" in worker.said())
            assert (await made.ask(made.fresh_close()))["outcome"] == "accepted"
            assert (await made.sender.results("poison"))[0]["reason"]["code"] == "invalid_command"
            assert not await worker.ready()
            lines = [line for line in worker.said().splitlines() if "a permission is missing" in line]
            assert len(lines) == 1
            assert f"exchange {made.prefix}.{exchange}" in lines[0]
            assert (await made.take("dead")).body == b"no command"
            dead = await made.sender.channel.declare_queue(f"{made.prefix}.dead", passive=True)
            assert dead.declaration_result.message_count == 0, "one copy of it"
