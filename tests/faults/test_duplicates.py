"""Rows 14, 15 and 27: the same command twice, the same id twice, the same position twice."""

import asyncio

from tests.faults.conftest import Trials
from tests.faults.trial import Trial
from tests.sender import Sender
from tests.stack import until


async def test_parallel_duplicates_at_two_workers_are_one_execution(one: Trial) -> None:
    """Row 14: ten deliveries of one close, taken by two workers at once: one execution, ten equal answers."""
    one.wait_for("gmo_coin", 60.0)
    workers = [await one.worker(), await one.worker()]
    one.inject(on="close", what="hold")
    command = one.close()
    await asyncio.gather(*[one.publish(command) for _ in range(10)])
    for worker in workers:
        await until(lambda worker=worker: worker.metric("order_router_commands_received_total"))
    await until(lambda: one.ledger("execution"))
    one.release()
    answers = await one.sender.results(command["command_id"], 10)
    assert len({answer["result_id"] for answer in answers}) == 1
    assert [answer["duplicate"] for answer in answers].count(False) == 1
    assert all([await worker.metric("order_router_commands_received_total") for worker in workers])
    assert len(one.sends()) == 1
    await one.judge()


async def test_a_duplicate_after_the_answer_gets_the_same_answer(one: Trial) -> None:
    """Row 14: a repeat of an answered close, with a later deadline too, gets the stored result; nothing is sent."""
    await one.worker()
    command = one.close()
    answer = await one.ask(command)
    again = {**command, "not_after": one.close()["not_after"]}
    await one.sender.publish(again, correlation_id="again")
    assert await one.sender.final("again") == {**answer, "duplicate": True}
    assert len(one.sends()) == 1
    await one.judge()


async def test_a_duplicate_of_a_close_in_doubt_is_not_sent_and_hears_the_end(trials: Trials) -> None:
    """Row 14: a repeat of a close in doubt gets the doubt at once and the final result later, on its own address."""
    async with trials() as made:
        made.change("venues.gmo_coin", quarantine_s=1.5)
        await made.worker()
        made.inject(on="close", when="before", what="drop")
        command = made.close()
        command_id = await made.publish(command)
        await made.sender.results(command_id)
        async with Sender(made.broker_url, made.prefix) as other:
            await other.publish(command, correlation_id="other")
            doubt, *_ = await other.results("other")
            assert (doubt["outcome"], doubt["final"], doubt["duplicate"]) == ("in_doubt", False, True)
            final = await other.final("other")
        assert final["outcome"] == "rejected"
        assert final["result_id"] == (await made.sender.final(command_id))["result_id"]
        assert len(made.sends()) == 1
        await made.judge()


async def test_the_same_id_with_another_body_is_refused(one: Trial) -> None:
    """Row 15: another body under a known id is refused, open or answered, and the first one goes its way."""
    one.wait_for("gmo_coin", 60.0)
    await one.worker()
    one.inject(on="close", what="hold")
    command = one.close()
    await one.publish(command)
    await until(lambda: one.ledger("execution"))
    await one.sender.publish({**command, "size": "1"}, correlation_id="while open")
    await one.sender.final("while open")
    one.release()
    first = await one.sender.final(command["command_id"])
    await one.sender.publish({**command, "side": "sell"}, correlation_id="after")
    for correlation_id in ("while open", "after"):
        refusal = await one.sender.final(correlation_id)
        assert (refusal["outcome"], refusal["reason"]["code"]) == ("rejected", "command_id_reused")
        assert refusal["result_id"] != first["result_id"]
    assert first["outcome"] == "accepted"
    assert len(one.sends()) == 1
    await one.judge()


async def test_two_senders_closing_one_position_are_one_close_and_one_busy(one: Trial) -> None:
    """Row 27: of two closes of a position, through two workers, one goes and the other is `busy`."""
    await one.worker()
    await one.worker()
    one.inject(on="close", when="after", what="answer", delay_s=0.5)
    commands = [one.close(), one.close()]
    await asyncio.gather(*map(one.publish, commands))
    outcomes = {(r["outcome"], (r["reason"] or {}).get("code")) for r in await one.finals()}
    assert outcomes == {("accepted", None), ("rejected", "busy")}
    assert len(one.sends()) == 1
    assert (await one.ask(one.close()))["outcome"] == "accepted", "a settled close holds its position no longer"
    await one.judge()


async def test_a_close_in_doubt_holds_its_position(trials: Trials) -> None:
    """Row 27: while a close may have been executed, another close of that position is `busy`; a cancel is not."""
    async with trials() as made:
        made.change("venues.gmo_coin", quarantine_s=1.5)
        await made.worker()
        made.inject(on="close", when="before", what="drop")
        first = await made.publish(made.close())
        assert (await made.sender.results(first))[0]["outcome"] == "in_doubt"
        second = await made.ask(made.close())
        assert second["reason"]["code"] == "busy"
        assert (await made.ask(made.cancel()))["outcome"] == "accepted"
        assert (await made.sender.final(first))["outcome"] == "rejected"
        assert len([entry for entry in made.sends() if entry.endpoint == "close_order"]) == 1
        await made.judge()
