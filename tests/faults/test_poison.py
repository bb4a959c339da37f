"""Rows 12 and 13: what is no command, and what the worker itself gets wrong."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from router.commands.worker import DEFECTS
from router.demo.rabbitmq_node import RabbitMQNode
from router.simulator import Simulators
from tests import sender
from tests.faults.conftest import Trials
from tests.faults.trial import Trial, trial

KEY = "gmo_coin.main.close"
GOOD = sender.close(command_id="poisoned", not_after="2026-01-01T00:00:00Z")


def but(**fields: Any) -> bytes:
    """Return a close that is wrong in one field."""
    return json.dumps({**GOOD, **fields}).encode()


POISON: dict[str, tuple[bytes, str | None]] = {
    "bad JSON": (b'{"type": "close",', None),
    "no JSON": (b"close everything!", None),
    "empty": (b"", None),
    "a list": (b"[1, 2, 3]", None),
    "null": (b"null", None),
    "wrong type": (but(size=3.44), "poisoned"),
    "NaN": (but().replace(b'"3.44"', b"NaN"), None),
    "infinite": (but(size="Infinity"), "poisoned"),
    "huge int": (but().replace(b'"3.44"', b"9" * 30), "poisoned"),
    "an int of 5,000 digits": (but().replace(b'"3.44"', b"9" * 5000), None),
    "huge exponent": (but().replace(b'"3.44"', b"1e999999999"), None),
    "10 MB": (but(params={"padding": "x" * 10_000_000}), None),
    "deep nesting": (b'{"type":"close","params":' + b"[" * 30_000 + b"]" * 30_000 + b"}", None),
    "invalid UTF-8": (but().replace(b"BTC_JPY", b"BTC\xff\xfeJPY"), None),
    "lone surrogate": (but().replace(b"BTC_JPY", b"\\ud800"), None),
    "unknown field": (but(leverage="100"), "poisoned"),
    "unknown type": (but(type="open"), "poisoned"),
    "no type": (b'{"command_id": "poisoned"}', "poisoned"),
    "control characters": (but(symbol="BTC\r\nJPY"), "poisoned"),
    "an id that is none": (but(command_id="../../etc"), None),
    "naive time": (but(not_after="2026-01-01T00:00:00"), "poisoned"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, node: RabbitMQNode, simulators: Simulators
) -> AsyncIterator[Trial]:
    """Set up a trial with one worker that gets all the poison."""
    async with trial(tmp_path_factory.mktemp("poison"), node.url, simulators) as made:
        await made.worker()
        yield made


@pytest.mark.parametrize(("body", "command_id"), POISON.values(), ids=POISON)
async def test_poison_is_answered_and_buried_with_its_reason(
    shared: Trial, body: bytes, command_id: str | None, request: pytest.FixtureRequest
) -> None:
    """Row 12: a body that is no command is answered `invalid_command` and dead-lettered unchanged; the worker lives."""
    correlation_id = request.node.name
    await shared.sender.publish_raw(body, KEY, correlation_id=correlation_id, headers={"traceparent": "00-ab-cd-01"})
    answer = await shared.sender.final(correlation_id, 15)
    assert (answer["outcome"], answer["reason"]["code"]) == ("rejected", "invalid_command")
    assert answer["command_id"] == command_id
    assert answer["reason"]["message"]
    dead = await shared.take("dead")
    assert dead.body == body
    assert dead.headers["x-dead-reason"] == "invalid_command"
    assert dead.headers["x-dead-detail"]
    assert dead.headers["traceparent"] == "00-ab-cd-01"
    assert not shared.sends()


async def test_poison_without_an_address_is_buried_in_silence(shared: Trial) -> None:
    """Row 12: poison that names no reply queue is dead-lettered, and nothing is published to the results queue."""
    await shared.sender.publish_raw(b"?", KEY, reply_to=None)
    assert (await shared.take("dead")).body == b"?"
    results = await shared.sender.channel.get_queue(f"{shared.prefix}.results")
    assert results.declaration_result.message_count == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/msgpack", "application/json; charset=latin-1"])
async def test_a_body_in_the_wrong_codec_is_poison_unless_it_is_json(shared: Trial, content_type: str) -> None:
    """Row 12: the content type says how the body is read; JSON named otherwise is no command."""
    shared.renew()
    command = shared.fresh_close()
    await shared.sender.publish(
        command, key=f"gmo_coin.{shared.account}.close", content_type=content_type, correlation_id=content_type
    )
    if content_type.startswith("application/json"):
        assert (await shared.sender.final(content_type))["outcome"] == "accepted"
        return
    assert (await shared.take("dead")).headers["x-dead-reason"] == "invalid_command"
    assert not shared.sends()


async def test_a_worker_fed_with_poison_still_closes_positions(shared: Trial) -> None:
    """Row 12: after all of it the same worker executes the next close."""
    shared.renew()
    assert (await shared.ask(shared.fresh_close()))["outcome"] == "accepted"
    assert len(shared.workers) == 1
    await shared.judge()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def _no_leftovers(shared: Trial) -> None:
    """Empty the dead-letter queue: a test that failed may have left its poison there."""
    await (await shared.sender.channel.get_queue(f"{shared.prefix}.dead", ensure=False)).purge()


BUGGY = """
import router.commands.plan
from router.cli import main

plan = router.commands.plan.Planner.plan

def buggy(self, delivery, fresh):
    if fresh.command_id.startswith("unlucky"):
        raise ZeroDivisionError("a bug")
    return plan(self, delivery, fresh)

router.commands.plan.Planner.plan = buggy
main()
"""


@pytest.mark.slow
async def test_a_bug_frees_its_slot_and_is_buried_with_an_answer(trials: Trials, tmp_path: Path) -> None:
    """Row 13: a command that fails every time blocks nobody, is counted, and ends answered and dead-lettered."""
    script = tmp_path / "buggy.py"
    script.write_text(BUGGY)
    async with trials() as made:
        made.change("broker", prefetch=1)
        made.program = [sys.executable, str(script)]
        worker = await made.worker()
        unlucky = await made.publish(made.fresh_close(command_id="unlucky-1", not_after=sender.in_seconds(60)))
        assert (await made.ask(made.fresh_close(not_after=sender.in_seconds(60))))["outcome"] == "accepted"
        answer = await made.sender.final(unlucky, 60)
        assert (answer["outcome"], answer["reason"]["code"]) == ("rejected", "internal_error")
        assert (await made.take("dead")).headers["x-dead-reason"] == "internal_error"
        assert worker.said().count('"a delivery failed"') == DEFECTS - 1
        await made.judge()
