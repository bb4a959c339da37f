"""Rows 28 and 44: without the journal only plain cancels leave; the rest is answered in time, and goes on later."""

import asyncio
import datetime
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest

from tests.faults.conftest import Trials
from tests.faults.databases import new_database
from tests.faults.journals import path
from tests.faults.trial import Trial
from tests.integration.cli.test_journal import journal
from tests.postgresql import PostgreSQL
from tests.sender import in_seconds
from tests.stack import WorkerProcess, until

FULL_BYTES = 16 * 1024
"""Enough for the log, too little for one more commit."""
HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin immediate")
print("locked", flush=True)
sys.stdin.read()
"""


async def _closes_wait_and_cancels_do_not(
    made: Trial, worker: WorkerProcess, restore: Callable[[], object], *, readable: bool
) -> None:
    """Publish while the journal is away; bring it back once everybody has been told what can be told (row 44)."""
    close = await made.publish(made.close(not_after=in_seconds(60)))
    await _not_ready(worker)
    deadline = in_seconds(4)
    short = await made.publish(made.fresh_close(not_after=deadline))
    cancel = await made.publish(made.cancel(not_after=in_seconds(60)))
    told = await made.sender.final(cancel)
    assert (told["outcome"], told["recorded"], told["seq"]) == ("accepted", False, 0)
    first = (await made.sender.results(short, 1))[0]
    late_s = (when(first["completed_at"]) - when(deadline)).total_seconds()
    assert late_s < 1.0, "answered not later than a second after its deadline"
    heard = (first["outcome"], first["reason"]["code"], first["final"])
    # A file that is full may look writable for a moment; a commit that was tried then leaves a doubt.
    assert heard == ("in_doubt", "timeout", False) or (readable and heard == ("rejected", "expired", True))
    assert first["recorded"] is False
    assert [entry.endpoint for entry in made.sends()] == ["cancel_order"], "only the cancel has left"
    assert not made.sender.results_of(close)
    restore()
    await until(worker.ready)
    assert (await made.sender.final(close))["outcome"] == "accepted"
    assert (await made.sender.final(short))["reason"]["code"] == "expired"
    assert len([entry for entry in made.sends() if entry.endpoint == "close_order"]) == 1
    await made.judge()


def when(text: str) -> datetime.datetime:
    """Return a time of the wire."""
    return datetime.datetime.fromisoformat(text)


async def _not_ready(worker: WorkerProcess) -> None:
    async def told() -> bool:
        status, body = await worker.get("/readyz")
        return status == 503 and '"journal":false' in body.replace(" ", "")

    await until(told)


@asynccontextmanager
async def _frozen_in_a_transaction(made: Trial) -> AsyncIterator[asyncio.subprocess.Process]:
    """Let another process begin a transaction on the journal's file and freeze it there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLD_THE_LOCK,
        str(path(made)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    process.send_signal(SIGSTOP)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(SIGKILL)
        await process.wait()


async def test_a_process_frozen_inside_a_transaction_makes_the_others_wait(one: Trial) -> None:
    """Rows 28 and 44: the file is locked for as long as somebody likes; closes go when it is free."""
    worker = await one.worker()
    async with _frozen_in_a_transaction(one) as other:

        def thaw() -> None:
            other.send_signal(SIGCONT)
            other.send_signal(SIGKILL)

        await _closes_wait_and_cancels_do_not(one, worker, thaw, readable=True)


@pytest.mark.slow
async def test_a_worker_that_starts_while_the_journal_is_locked_waits(one: Trial) -> None:
    """Row 28: a worker whose journal cannot be had yet is not ready and consumes nothing until it is there."""
    await (await one.worker()).terminate()
    async with _frozen_in_a_transaction(one) as other:
        worker = await one.worker(wait=False)
        await until(lambda: "journal" in worker.said())
        command_id = await one.publish(one.close(not_after=in_seconds(40)))
        assert not await worker.ready()
        other.send_signal(SIGKILL)
        await other.wait()
        await until(worker.ready)
        assert (await one.sender.final(command_id))["outcome"] == "accepted"
    await one.judge()


async def test_a_full_disk_stops_closes_until_there_is_room(one: Trial) -> None:
    """Rows 28 and 44: the journal's file cannot grow; closes go when it can."""
    worker = await one.worker()
    no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    await _closes_wait_and_cancels_do_not(
        one, worker, lambda: resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, no_limit), readable=True
    )


async def test_a_postgresql_that_is_gone_stops_closes_until_it_is_back(trials: Trials, postgresql: PostgreSQL) -> None:
    """Rows 28 and 44: the database crashes; closes go after its recovery."""
    async with trials(journal_url=await new_database(postgresql.url)) as made:
        worker = await made.worker()
        postgresql.kill()
        try:
            await _closes_wait_and_cancels_do_not(made, worker, postgresql.start, readable=False)
        finally:
            postgresql.restart()


@pytest.mark.slow
async def test_an_answer_that_cannot_be_stored_waits_for_the_journal(one: Trial) -> None:
    """Row 28: the journal goes away while the venue works: the answer is stored, and told, when it is back."""
    await one.worker()
    one.wait_for("gmo_coin", 5.0)
    worker = one.workers[0]
    one.inject(on="close", when="after", what="answer", delay_s=0.4)
    command_id = await one.publish(one.close(not_after=in_seconds(40)))
    await until(lambda: one.ledger("execution"))
    async with _frozen_in_a_transaction(one) as other:
        await until(lambda: "waits for the journal" in worker.said())
        assert not one.sender.heard
        other.send_signal(SIGKILL)
        assert (await one.sender.final(command_id))["outcome"] == "accepted"
    assert len(one.sends()) == 1
    await one.judge()


async def test_a_lost_journal_is_not_replaced_unasked(one: Trial) -> None:
    """Row 47: the file is lost after a send; the worker refuses the new one, until an operator says that it is right.

    Then the redelivered close is looked up before anything is sent.
    """
    first = await one.worker({"ORDER_ROUTER_CRASH": "after_send:kill"})
    command_id = await one.publish(one.close(not_after=in_seconds(120)), timestamp=datetime.datetime.now(datetime.UTC))
    await first.process.wait()
    assert one.ledger("execution")
    for file in path(one).parent.glob(path(one).name + "*"):
        file.unlink()
    refused = await one.worker(wait=False)
    async with asyncio.timeout(30):
        status = await refused.process.wait()
    assert status == 78, refused.said()
    assert "order-router journal adopt" in refused.said()
    adopted, _, why = await journal(one, "adopt")
    assert adopted == 0, why
    await one.worker()
    result = await one.sender.final(command_id)
    assert (result["outcome"], result["evidence"]) == ("accepted", "query")
    assert len(one.sends()) == 1
    await one.judge()
