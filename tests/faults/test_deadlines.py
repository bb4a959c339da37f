"""Rows 16 to 18: deadlines that pass wherever a command is, and clocks that are wrong."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from router.demo.rabbitmq_node import RabbitMQNode
from router.simulator import Simulators
from tests.faults.conftest import Trials
from tests.faults.journals import waiting
from tests.faults.trial import ORDER, TRIES, Trial, ms, trial
from tests.sender import in_seconds
from tests.stack import until


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, node: RabbitMQNode, simulators: Simulators
) -> AsyncIterator[Trial]:
    """Set up a trial with one worker for all venues."""
    async with trial(tmp_path_factory.mktemp("deadlines"), node.url, simulators, venues=list(ORDER)) as made:
        await made.worker()
        yield made


@pytest.fixture
def running(shared: Trial) -> Trial:
    """Return the shared trial with an empty slate."""
    shared.renew()
    return shared


@pytest.mark.parametrize("late_s", [600.0, 0.01])
async def test_a_command_that_arrives_late_is_expired(running: Trial, late_s: float) -> None:
    """Row 16: a close that arrives after its deadline is `expired`, and the venue hears nothing."""
    result = await running.ask(running.fresh_close(not_after=in_seconds(-late_s)))
    assert (result["outcome"], result["reason"]["code"]) == ("rejected", "expired")
    assert result["attempts"] == 0
    assert not running.ledger("request")
    await running.judge()


@pytest.mark.slow
async def test_a_deadline_that_passes_in_the_queue_is_expired(one: Trial) -> None:
    """Row 16: a close that waits in its queue beyond the deadline, no worker alive, is `expired`."""
    await (await one.worker()).terminate()
    command = one.close(not_after=in_seconds(0.5))
    await one.publish(command)
    await until(lambda: ms(in_seconds(0)) > ms(command["not_after"]))
    await one.worker()
    result = await one.sender.final(command["command_id"])
    assert (result["outcome"], result["reason"]["code"]) == ("rejected", "expired")
    assert not one.ledger("request")
    await one.judge()


async def test_a_deadline_that_passes_after_the_send_is_answered_with_what_happened(one: Trial) -> None:
    """Row 16: the pod died after sending and the deadline passed in the queue: the answer is the execution."""
    first = await one.worker({"ORDER_ROUTER_CRASH": "after_send:kill"})
    command = one.close(not_after=in_seconds(2))
    await one.publish(command)
    await first.process.wait()
    assert one.ledger("execution")
    await until(lambda: ms(in_seconds(0)) > ms(command["not_after"]))
    await one.worker()
    result = await one.sender.final(command["command_id"])
    assert (result["outcome"], result["evidence"]) == ("accepted", "query")
    await one.judge()


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_wait_beyond_the_deadline_is_answered_in_time(trials: Trials, form: str) -> None:
    """Row 17: a Retry-After that ends after the deadline is answered before it, and nothing more is sent."""
    async with trials(venues=["btcturk"]) as made:
        await made.worker()
        made.inject("btcturk", on="cancel", what="throttle", times=None, retry_after_s=30.0, retry_after_form=form)
        command = made.cancel("btcturk", not_after=in_seconds(3))
        result = await made.ask(command)
        assert (result["outcome"], result["reason"]["code"]) == ("rejected", "rate_limited"), result
        assert ms(result["completed_at"]) <= ms(command["not_after"])
        assert len(made.sends("btcturk")) == 1
        await made.judge()


@pytest.mark.parametrize("form", ["seconds", pytest.param("date", marks=pytest.mark.slow)])
async def test_a_wait_within_the_deadline_is_kept_by_whoever_lives(trials: Trials, form: str) -> None:
    """Row 17: a Retry-After is parked in the journal; the pod dies, another sends after the wait, not before."""
    async with trials(venues=["btcturk"]) as made:
        first = await made.worker()
        made.inject("btcturk", on="cancel", what="throttle", retry_after_s=3.0, retry_after_form=form)
        command_id = await made.publish(made.cancel("btcturk"))
        await until(lambda: waiting(made, command_id))
        await first.kill()
        await made.worker()
        assert (await made.sender.final(command_id))["outcome"] in {"accepted", "done"}
        throttled, sent = made.sends("btcturk")
        assert sent.at_ms - throttled.at_ms >= 2000, "a date has whole seconds only"
        await made.judge()


@pytest.mark.parametrize("offset_s", [-300, 300])
@pytest.mark.parametrize("venue", ORDER)
async def test_a_clock_that_is_off_makes_no_storm_of_signatures(running: Trial, venue: str, offset_s: int) -> None:
    """Row 18: with the clocks five minutes apart a cancel is refused or goes through, after few requests."""
    simulator = running.simulators.venues[venue]
    simulator.clock_offset_ms = offset_s * 1000
    try:
        result = await running.ask(running.fresh_cancel(venue, not_after=in_seconds(2.5)))
    finally:
        simulator.clock_offset_ms = 0
    wrong = running.ledger("bad_signature", venue)
    if result["outcome"] == "rejected":
        # Where the venue says that it is the timestamp, the sender hears that.
        assert result["reason"]["code"] in {"clock_skew", "auth_failed"}, result
        assert wrong
    assert len(wrong) <= TRIES
    await running.judge(ahead_ms=offset_s * 1000)


async def test_a_clock_that_jumps_back_lets_the_next_try_through(running: Trial) -> None:
    """Row 18: a stamp refused as stale was not processed: the close goes again, and is executed once."""
    simulator = running.simulators.venues["gmo_coin"]
    for _ in range(2):  # so that the router believes the clock to be right, whatever it saw in earlier tests
        await running.ask(running.fresh_cancel())
    simulator.clock_offset_ms = 300_000
    try:
        command_id = await running.publish(running.fresh_close())
        await until(lambda: running.ledger("bad_signature") or running.sender.results_of(command_id))
    finally:
        simulator.clock_offset_ms = 0
    result = await running.sender.final(command_id)
    assert running.ledger("bad_signature")
    assert result["outcome"] == "accepted", result
    await running.judge(close_sends=TRIES, ahead_ms=300_000)
