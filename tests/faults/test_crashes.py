"""Rows 1 to 5, 13 and 30: every await of a command's life × how it is cut there × both journals.

A worker meets its crash point with the first command it gets. After `kill` and `stop` a second worker takes over;
after `raise` and `cancel` the same one goes on. Whatever happened, the oracle of `Trial.judge` must hold.
"""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from msgspec import Struct

from router.crash_points import POINTS
from router.demo.rabbitmq_node import RabbitMQNode
from router.simulator import Simulators
from tests.faults.batch import Batch
from tests.faults.databases import new_database
from tests.faults.trial import Trial, trial
from tests.stack import WorkerProcess, until

AT_ONCE = 12
NOT_ACKED = {"before_ack"}
"""Cut here the answer is stored but the delivery is not acknowledged: it comes back, and is answered again."""
NOTHING_STORED = {"after_delivery"}
NOTHING_SENT = {"after_delivery", "after_admit", "before_send"}

How = Literal["kill", "stop", "raise", "cancel"]
Action = Literal["close", "cancel"]
Kind = Literal["sqlite", "postgresql"]


class Case(Struct, frozen=True, kw_only=True):
    """One cell of the matrix. `action` is `close` (not repeatable) or `cancel` (repeatable)."""

    point: str
    how: How
    action: Action
    venue: str = "gmo_coin"
    journal: Kind = "sqlite"

    def __str__(self) -> str:
        return f"{self.venue}-{self.action}-{self.point}-{self.how}-{self.journal}"


JOURNALS: tuple[Kind, ...] = ("sqlite", "postgresql")
HOWS: tuple[How, ...] = ("kill", "stop", "raise", "cancel")
ACTIONS: tuple[Action, ...] = ("close", "cancel")
EVERY = [
    Case(point=point, how=how, action=action, journal=journal)
    for journal, how, point, action in itertools.product(JOURNALS, HOWS, POINTS, ACTIONS)
]
RESOLVERS = [
    Case(point="after_send", how="kill", action="close", venue="coinbase"),
    Case(point="after_send", how="kill", action="cancel", venue="coinbase"),
    Case(point="after_send", how="kill", action="cancel", venue="btcturk"),
    Case(point="after_send", how="kill", action="cancel", venue="nami"),
]


def ordinary(case: Case) -> bool:
    """Say whether a case is part of every run: all points once, and every mode and the other journal once."""
    if case.how == "kill" and case.journal == "sqlite":
        return case.action == "close" or case.point in {"before_send", "after_send"}
    if case.how == "stop":
        return case.action == "close" and case.point == "before_send"
    return case.action == "close" and case.point == "after_send" and (case.how == "kill" or case.journal == "sqlite")


CASES = [pytest.param(case, id=str(case), marks=() if ordinary(case) else pytest.mark.slow) for case in EVERY] + [
    pytest.param(case, id=str(case)) for case in RESOLVERS
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def batch(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    node: RabbitMQNode,
    simulators: Simulators,
) -> AsyncIterator[Batch[Case]]:
    """Run the selected cases side by side."""
    callspecs = (getattr(item, "callspec", None) for item in request.session.items)
    chosen = [spec.params["case"] for spec in callspecs if spec and isinstance(spec.params.get("case"), Case)]
    database = request.getfixturevalue("postgresql").url if any(c.journal == "postgresql" for c in chosen) else ""

    async def run(case: Case) -> None:
        directory: Path = tmp_path_factory.mktemp("crash")
        journal_url = await new_database(database) if case.journal == "postgresql" else ""
        async with trial(directory, node.url, simulators, venues=[case.venue], journal_url=journal_url) as made:
            await crash_and_recover(made, case)

    made = Batch(chosen, run, at_once=AT_ONCE)
    yield made
    await made.stop()


@pytest.mark.parametrize("case", CASES)
async def test_a_cut_anywhere_leaves_one_execution_and_one_answer(batch: Batch[Case], case: Case) -> None:
    """Rows 1 to 5 and 13: whatever is cut wherever, a close is sent at most once and every command is answered."""
    await batch.ended(case)


async def crash_and_recover(made: Trial, case: Case) -> None:
    """Cut one command at the case's point, let the successor act, and judge."""
    if case.point == "after_admit":  # however slow the disk is: a cancel would leave before its row is there
        made.change("worker", cancel_without_journal=False)
    first = await made.worker({"ORDER_ROUTER_CRASH": f"{case.point}:{case.how}"})
    command = made.close(case.venue) if case.action == "close" else made.cancel(case.venue)
    command_id = await made.publish(command)
    await _struck(first, case)
    if case.how in {"kill", "stop"}:
        await _successor(made, first)
    result = await made.sender.final(command_id, 45)
    if case.point in NOT_ACKED and case.how != "cancel":
        await until(lambda: any(told["duplicate"] for told in made.sender.results_of(command_id)), 45)
    if case.how == "stop":
        first.signal(signal.SIGCONT)
    if case.how != "kill":
        assert await first.terminate() == 0, first.said()
    await made.judge()
    _judge_what_was_cut(made, case, result["outcome"])


async def _struck(worker: WorkerProcess, case: Case) -> None:
    """Wait until the fault has really happened."""
    await until(lambda: f"crash point {case.point}: {case.how}" in worker.said())
    if case.how == "kill":
        async with asyncio.timeout(60):
            assert await worker.process.wait() == -signal.SIGKILL
    if case.how == "stop":
        await until(lambda: worker.stopped)


async def _successor(made: Trial, first: WorkerProcess) -> None:
    """Start the worker that takes over.

    The first may be frozen inside a transaction on its file: then nobody else can write, and nobody may send.
    """
    second = await made.worker(wait=False)
    await until(lambda: '"ready"' in second.said() or "database is locked" in second.said())
    if '"ready"' not in second.said():
        assert first.stopped
        assert not made.sends(made.venues[0])
        first.signal(signal.SIGCONT)
        await until(second.ready)


def _judge_what_was_cut(made: Trial, case: Case, outcome: str) -> None:
    """Compare with the rows: what was not sent is not executed, what was sent is found, not sent again."""
    closed = len(made.ledger("execution", case.venue))
    if case.action == "cancel":
        assert outcome in {"accepted", "done"}
        assert len(made.ledger("cancel", case.venue)) == 1
    elif case.point in NOTHING_STORED or case.point not in NOTHING_SENT:
        assert (outcome, closed) == ("accepted", 1)
    else:
        # The intent was stored, so nobody may send it any more, and nobody did.
        assert (outcome, closed) == ("rejected", 0)
