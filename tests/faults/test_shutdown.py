"""Row 30: SIGTERM with a hundred in flight, with time enough and without."""

import asyncio
import signal

from tests.faults.conftest import Trials
from tests.faults.trial import Trial
from tests.sender import in_seconds
from tests.stack import until

IN_FLIGHT = 100


async def test_a_drain_finishes_what_has_begun(trials: Trials) -> None:
    """Row 30: asked to stop, the worker takes nothing new, answers all hundred in flight, and exits with 0."""
    async with trials() as made:
        made.change("broker", prefetch=2 * IN_FLIGHT)
        made.change("venues.gmo_coin", limits="off")
        made.wait_for("gmo_coin", 15.0)
        made.inject(on="close", when="after", what="answer", delay_s=4.0, times=None)
        worker = await made.worker()
        for _ in range(IN_FLIGHT):
            await made.publish(made.fresh_close(not_after=in_seconds(60)))
        await until(lambda: len(made.sends()) == IN_FLIGHT)
        assert not made.sender.heard
        worker.signal(signal.SIGTERM)
        await until(lambda: '"draining"' in worker.said())
        assert not await worker.ready()
        await until(lambda: _let_go(made))
        waiting = await made.sender.publish(made.fresh_close())
        async with asyncio.timeout(40):
            assert await worker.process.wait() == 0
        assert all(result["outcome"] == "accepted" for result in await made.finals())
        assert not made.sender.results_of(waiting), "taken after the drain began"
        assert len(made.sends()) == IN_FLIGHT
        await made.judge()


async def _let_go(made: Trial) -> bool:
    """Whether nobody consumes the lane of closes any more."""
    lane = await made.sender.channel.declare_queue(f"{made.prefix}.commands.gmo_coin.close", passive=True)
    return lane.declaration_result.consumer_count == 0


async def test_what_a_short_grace_leaves_is_settled_by_another_pod(trials: Trials) -> None:
    """Row 30: the grace ends with requests in flight: each was sent once, and the next pod finds what became of it."""
    async with trials() as made:
        made.change("worker", drain_timeout_s=0.2)
        made.wait_for("gmo_coin", 2.0)
        made.inject(on="close", when="after", what="answer", delay_s=1.8, times=None)
        first = await made.worker()
        for number in range(10):
            # Different sizes: the venue's rows do not say which command an order belongs to.
            await made.publish(made.fresh_close(size=f"1.{number}", not_after=in_seconds(60)))
        await until(lambda: len(made.ledger("execution")) == 10)
        assert await first.terminate() == 0
        assert '"left to other pods"' in first.said()
        assert not made.sender.heard
        await made.worker()
        assert all(result["outcome"] == "accepted" for result in await made.finals(60))
        assert len(made.sends()) == 10
        await made.judge()
