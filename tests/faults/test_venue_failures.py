"""Rows 19 to 24: what a venue, and the way to it, can do to a request.

One worker serves all tests of this file; every close has a position of its own.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from router.demo.rabbitmq_node import RabbitMQNode, free_ports
from router.simulator import Simulators
from tests.faults.proxy import Proxy
from tests.faults.trial import TIMEOUT_S, TRIES, Trial, trial
from tests.sender import in_seconds
from tests.stack import until

BROKEN_ANSWERS: dict[str, dict[str, Any]] = {
    "reset after headers": {"what": "reset_after_headers"},
    "truncated body": {"what": "truncate"},
    "200 with HTML": {"what": "malformed", "body": "html"},
    "wrong content type": {"what": "malformed", "body": "content_type"},
    "gzip bomb": {"what": "malformed", "body": "gzip_bomb"},
    "cut JSON": {"what": "malformed", "body": "truncated"},
    "empty": {"what": "malformed", "body": "empty"},
    "not UTF-8": {"what": "malformed", "body": "not_utf8"},
    "nested too deep": {"what": "malformed", "body": "deep"},
}
GATEWAYS = (500, 502, 503, 504)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, node: RabbitMQNode, simulators: Simulators
) -> AsyncIterator[Trial]:
    """Set up a trial with a running worker for two venues."""
    directory = tmp_path_factory.mktemp("venue")
    async with trial(directory, node.url, simulators, venues=["gmo_coin", "btcturk"]) as made:
        await made.worker()
        yield made


@pytest.fixture
def running(shared: Trial) -> Trial:
    """Return the shared trial with an empty slate: no commands to judge, no faults left over."""
    shared.renew()
    return shared


@pytest.mark.parametrize("fault", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_an_unreadable_answer_is_settled_by_a_look(running: Trial, fault: dict[str, Any]) -> None:
    """Row 20: a close whose answer cannot be read was sent once, and what the venue shows is the answer."""
    running.inject(on="close", when="after", **fault)
    result = await running.ask(running.fresh_close())
    assert result["outcome"] == "accepted", result
    assert len(running.ledger("fault")) == 1
    await running.judge()


@pytest.mark.parametrize("status", GATEWAYS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_gateway_error_is_never_followed_by_a_second_close(running: Trial, status: int, when: str) -> None:
    """Row 23: after a 5xx the venue is asked; only what it shows is reported, executed or not."""
    running.inject(on="close", when=when, what="status", status=status)
    result = await running.ask(running.fresh_close())
    assert result["outcome"] == ("accepted" if when == "after" else "rejected"), result
    assert result["evidence"] == "query"
    assert len(running.sends()) == 1
    await running.judge()


async def test_a_slow_answer_that_was_executed_is_one_execution(running: Trial) -> None:
    """Row 21: a close answered after the timeout was executed once and is reported so."""
    running.inject(on="close", when="after", what="answer", delay_s=TIMEOUT_S * 2)
    command = running.fresh_close()
    command_id = await running.publish(command)
    doubt, *_ = await running.sender.results(command_id)
    assert (doubt["outcome"], doubt["final"]) == ("in_doubt", False)
    assert (await running.sender.final(command_id))["outcome"] == "accepted"
    assert len(running.ledger("fault")) == 1
    await running.judge()


async def test_a_request_still_executing_after_quarantine_shows_up_as_late_truth(running: Trial) -> None:
    """Row 21: an order that reads do not show yet is not called absent within quarantine."""
    running.inject(on="close", when="after", what="drop", hide_s=0.6)
    result = await running.ask(running.fresh_close())
    assert result["outcome"] == "accepted", result
    await running.judge()


@pytest.mark.parametrize("venue", ["gmo_coin", "btcturk"])
async def test_a_keep_alive_socket_that_died_is_not_written_to_twice(running: Trial, venue: str) -> None:
    """Row 22: when the venue closes a kept socket as we write, the HTTP client repeats nothing by itself."""
    if venue == "gmo_coin":
        await running.ask(running.fresh_close())  # leaves a socket to be used again
        running.renew()
        running.inject(on="close", when="before", what="drop")
        await running.ask(running.fresh_close())
        assert len(running.sends()) == 1
    else:
        await running.ask(running.fresh_cancel(venue))
        running.renew()
        # A cancel is repeated on purpose, later and signed again: the first answer lost, the second not.
        running.inject(venue, on="cancel", when="before", what="drop")
        await running.ask(running.fresh_cancel(venue))
        first, second = running.sends(venue)
        assert second.at_ms - first.at_ms >= 150, "a repeat of ours comes after a pause"
    await running.judge()


async def test_a_refused_connection_is_tried_again_within_the_deadline(trials: Any) -> None:
    """Row 19: nothing listens, so nothing was sent, so even a close goes again until somebody does."""
    async with trials() as made:
        (port,) = free_ports(1)
        made.change("venues.gmo_coin", rest_url=f"http://127.0.0.1:{port}/private")
        worker = await made.worker()
        command_id = await made.publish(made.close())
        await until(lambda: worker.metric('order_router_retries_total{reason="venue_unavailable",venue="gmo_coin"}'))
        async with Proxy(made.venue_port("gmo_coin"), port):
            result = await made.sender.final(command_id)
        assert (result["outcome"], result["attempts"]) == ("accepted", 1)
        await made.judge()


@pytest.mark.parametrize(
    "rest_url", ["http://no-such-host.invalid/private", "https://127.0.0.1:{port}/private"], ids=["DNS", "TLS"]
)
async def test_a_venue_that_cannot_be_reached_was_not_sent_to(trials: Any, rest_url: str) -> None:
    """Row 19: no name, no TLS: retried until the deadline is near, then `rejected`, for nothing was sent."""
    async with trials() as made:
        made.change("venues.gmo_coin", rest_url=rest_url.format(port=made.venue_port("gmo_coin")))
        worker = await made.worker()
        result = await made.ask(made.close(not_after=in_seconds(2.5)))
        assert (result["outcome"], result["reason"]["code"]) == ("rejected", "venue_unavailable"), result
        assert result["attempts"] == 0
        assert await worker.metric('order_router_retries_total{reason="venue_unavailable",venue="gmo_coin"}') >= 1
        assert not made.sends()
        await made.judge()


async def test_a_venue_that_is_down_costs_neither_answers_nor_retries(trials: Any) -> None:
    """Row 24: with a hundred closes waiting for a dead venue all are answered by their deadlines, unsent."""
    commands, not_after_s = 100, 4.0
    async with trials() as made:
        made.change("venues.gmo_coin", rest_url=f"http://127.0.0.1:{free_ports(1)[0]}/private", limits="off")
        worker = await made.worker()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(commands):
            await made.publish(made.close(position_id=str(2_000_000 + number), not_after=in_seconds(not_after_s)))
        answers = await made.finals()
        assert loop.time() - began < not_after_s + 4
        assert {(answer["outcome"], answer["reason"]["code"]) for answer in answers} == {
            ("rejected", "venue_unavailable")
        }
        retried = await worker.metric('order_router_retries_total{reason="venue_unavailable",venue="gmo_coin"}')
        assert commands <= retried <= TRIES * commands
        assert await worker.ready()
        await made.judge()
