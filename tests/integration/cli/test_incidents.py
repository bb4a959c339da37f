"""Incidents, each told by `order-router journal` alone: what happened, why, in which process, what the venue said."""

import asyncio
import json
import re
from typing import Any

import pytest

from router.simulator.faults import Fault
from tests.integration.cli.test_journal import journal
from tests.sender import Sender, cancel, close, in_seconds
from tests.stack import Stack, until

pytestmark = pytest.mark.integration

SECONDS = re.compile(r" *\d+\.\d{3}  ")


class Incident:
    """A worker of a known name, a sender, a venue that does as it is told, and the journal to ask afterwards."""

    def __init__(self, system: Stack, sender: Sender) -> None:
        self.system = system
        self.sender = sender
        self.venue = system.simulators.venues["gmo_coin"]

    async def worker(self, pod: str = "pod-1", **environ: str) -> None:
        """Start a worker under a name."""
        await self.system.worker({"ORDER_ROUTER_POD": pod, **environ})

    async def told(self, command_id: str, *words: str, pod: str | None = "pod-1") -> str:
        """Wait until the story of a command has these words, on lines that begin with seconds; return it."""
        status, story = 0, ""

        async def complete() -> bool:
            nonlocal status, story
            status, story, _ = await journal(self.system, "show", command_id)
            return all(word in story for word in words)

        try:
            await until(complete, 20)
        except TimeoutError:
            missing = [word for word in words if word not in story]
            pytest.fail(f"{missing} not in\n{story}")
        assert status == 0
        lines = [line for line in story.splitlines() if SECONDS.match(line)]
        assert len(lines) >= 1
        if pod is not None:
            assert any(pod in line for line in lines), story
        return story


@pytest.fixture
def incident(system: Stack, sender: Sender) -> Incident:
    """Yield the place where it happens; no worker runs yet."""
    return Incident(system, sender)


async def test_the_venue_refused(incident: Incident) -> None:
    """Its own code and words, the endpoint and the HTTP status."""
    await incident.worker()
    incident.venue.inject(Fault(on="close", what="error", code="ERR-422"))
    command = close()
    refused = await incident.sender.ask(command)
    assert (refused["outcome"], refused["reason"]["venue_code"]) == ("rejected", "ERR-422")
    story = await incident.told(
        command["command_id"], "attempt", "closeOrder: HTTP 200, to be looked at: ERR-422", "result"
    )
    assert re.search(r"attempt +1 closeOrder: .*, after \d+ ms", story)
    assert "confirmed" in story


async def test_a_key_was_refused(incident: Incident) -> None:
    """What must be mended is ours, and the venue says so."""
    await incident.worker()
    incident.venue.inject(Fault(on="close", what="error", code="ERR-5012", times=None))
    command = close(not_after=in_seconds(2))
    refused = await incident.sender.ask(command)
    assert refused["reason"]["code"] == "auth_failed"
    await incident.told(command["command_id"], "closeOrder: HTTP 200", "ERR-5012", "auth_failed")


async def test_the_clocks_differ(incident: Incident) -> None:
    """Not a wrong key: a wrong clock."""
    await incident.worker()
    incident.venue.inject(Fault(on="close", what="error", code="ERR-5009", times=None))
    command = close(not_after=in_seconds(2))
    refused = await incident.sender.ask(command)
    assert refused["reason"]["code"] == "clock_skew"
    await incident.told(command["command_id"], "ERR-5009", "clock_skew")


async def test_an_answer_was_lost(incident: Incident) -> None:
    """No answer, a doubt, looks, and what they showed; then the order's events."""
    await incident.worker()
    incident.venue.inject(Fault(on="close", when="after", what="drop"))
    command = close()
    settled = await incident.sender.ask(command)
    assert settled["outcome"] == "accepted"
    words = (
        "closeOrder: no answer: it may have been executed",
        "in_doubt",
        "looked",
        "2 accepted",
        f"{settled['order_id']}",
    )
    story = await incident.told(command["command_id"], *words)
    assert story.index("in_doubt") < story.index("looked") < story.index("2 accepted")


async def test_a_process_died_in_the_middle(incident: Incident) -> None:
    """Which one, and which one went on."""
    await incident.worker("pod-1", ORDER_ROUTER_CRASH="after_send:kill")
    command = close()
    await incident.sender.publish(command)
    await until(lambda: incident.system.workers[0].process.returncode is not None, 20)
    await incident.worker("pod-2")
    await incident.sender.final(command["command_id"])
    story = await incident.told(command["command_id"], "begun, and not known to be over", "looked", "result")
    (died,) = [line for line in story.splitlines() if "not known to be over" in line]
    assert "pod-1" in died
    assert all("pod-2" in line for line in story.splitlines() if "looked" in line or " result " in line)


async def test_a_reply_queue_was_gone(incident: Incident) -> None:
    """Where the answer went instead, and why."""
    await incident.worker()
    command = close()
    await incident.sender.publish(command, reply_to="nobody.listens")
    await incident.told(command["command_id"], "to nobody.listens", "diverted", "to the results queue: ")


async def test_the_venue_throttled_us(incident: Incident) -> None:
    """It waited, and was sent again."""
    await incident.worker()
    incident.venue.inject(Fault(on="close", what="throttle", retry_after_s=1.0))
    command = close()
    assert (await incident.sender.ask(command))["outcome"] == "accepted"
    await incident.told(command["command_id"], "1 closeOrder: HTTP", "to be tried again", "2 closeOrder: HTTP 200")


async def test_a_position_was_held_by_another_close(incident: Incident) -> None:
    """Which one does not matter to the money; that it is busy does."""
    await incident.worker()
    incident.venue.inject(Fault(on="close", when="after", what="drop", hide_s=60))
    first = close()
    await incident.sender.publish(first)
    await incident.sender.results(first["command_id"])
    second = close()
    refused = await incident.sender.ask(second)
    assert refused["reason"]["code"] == "busy"
    await incident.told(second["command_id"], "1 rejected (busy")


async def test_it_came_too_late(incident: Incident) -> None:
    """Nothing was sent, and the story says that there was no attempt."""
    await incident.worker()
    command = cancel(not_after=in_seconds(-1))
    assert (await incident.sender.ask(command))["reason"]["code"] == "expired"
    story = await incident.told(command["command_id"], "expired")
    assert "attempt  " not in story


async def test_an_id_was_used_again(incident: Incident) -> None:
    """The refusal has no row of its own, and is found by the id, by the sender and by the time."""
    await incident.worker()
    command = close()
    await incident.sender.ask(command)
    await incident.sender.publish({**command, "size": "1"}, correlation_id="again")
    (refused,) = await incident.sender.results("again")
    assert refused["reason"]["code"] == "command_id_reused"
    await incident.told(command["command_id"], "refused", "command_id_reused", "(correlation id again)")
    status, out, _ = await journal(incident.system, "refusals", "--since", "5m", "--json")
    assert status == 0
    (row,) = json.loads(out)
    assert (row["command_id"], row["reason"]["code"], row["pod"]) == (
        command["command_id"],
        "command_id_reused",
        "pod-1",
    )
    assert row["at"].endswith("Z")


async def test_a_sender_was_not_allowed(incident: Incident) -> None:
    """Nothing is stored of its command, and whoever asks finds the refusal."""
    incident.system.change("senders.alpha", accounts=["gmo_coin/main"], reply_to=".*")
    await incident.worker()
    command = close()
    refused = await incident.sender.ask(command)
    assert refused["reason"]["code"] == "unauthorized_sender"
    await incident.told(command["command_id"], "refused", "unauthorized_sender")
    status, out, _ = await journal(incident.system, "refusals")
    assert status == 0
    assert "pod pod-1" in out
    status, out, err = await journal(incident.system, "refusals", "--sender", "somebody-else")
    assert (status, out, err) == (0, "", "no refusals\n")


async def test_the_list_is_narrowed(incident: Incident) -> None:
    """By outcome, venue, account and time; JSON has times that programs read."""
    await incident.worker()
    good, bad = close(), cancel(not_after=in_seconds(-1))
    await asyncio.gather(incident.sender.ask(good), incident.sender.ask(bad))

    async def listed(*filters: str) -> list[dict[str, Any]]:
        status, out, _ = await journal(incident.system, "list", "--json", *filters)
        assert status == 0
        rows: list[dict[str, Any]] = json.loads(out)
        return rows

    every = await listed()
    assert {row["command_id"] for row in every} == {good["command_id"], bad["command_id"]}
    (row,) = await listed("--outcome", "rejected", "--venue", "gmo_coin", "--account", "main", "--since", "1h")
    assert (row["command_id"], row["reason"]["code"], row["state"]) == (bad["command_id"], "expired", "final")
    assert row["received_at"].endswith("Z")
    for nothing in (("--venue", "nami"), ("--sender", "beta"), ("--state", "open")):
        assert await listed(*nothing) == []
    status, _, err = await journal(incident.system, "list", "--since", "yesterday")
    assert status == 2
    assert "expected 30s, 10m, 2h, 1d or a time such as" in " ".join(err.split())
