"""`order-router journal`: the story of a command, and an operator's verdict."""

import asyncio
import json

import pytest

from router.simulator.faults import Fault
from tests.sender import Sender, close
from tests.stack import ORDER_ROUTER, Stack

pytestmark = pytest.mark.integration


async def journal(system: Stack, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        str(ORDER_ROUTER), "journal", *arguments, "--config", str(system.write_config()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_an_operator_settles_what_the_venue_cannot_tell(system: Stack, sender: Sender) -> None:
    """A close whose answer and records are lost ends unresolved; list and show tell it, a verdict settles it."""
    system.change("worker", resolve_for_s=2)
    await system.worker()
    venue = system.simulators.venues["gmo_coin"]
    venue.inject(Fault(on="close", when="after", what="drop", times=2))
    # The venue's records show two orders that fit two closes, and no execution that tells whose is whose.
    command, twin = close(), close(position_id="1000343")
    await sender.publish(twin)
    identity = command["command_id"]
    given_up = await sender.ask(command)
    assert (given_up["outcome"], given_up["reason"]["code"]) == ("in_doubt", "unresolved")

    status, listed, _ = await journal(system, "list", "--state", "unresolved", "--json")
    assert status == 0
    assert identity in [record["command_id"] for record in json.loads(listed)]
    status, told, _ = await journal(system, "show", identity)
    assert status == 0
    for word in ("received", "attempt", "closeOrder: no answer", "in_doubt", "looked", "unresolved", "confirmed"):
        assert word in told, told

    verdict = (
        "--outcome",
        "accepted",
        "--order-id",
        "637001",
        "--message",
        "seen in the venue's own app",
        "--by",
        "mika",
    )
    status, said, _ = await journal(system, "resolve", identity, *verdict)
    assert status == 0, said
    last = (await sender.results(identity, given_up["seq"] + 1))[-1]
    assert (last["seq"], last["final"], last["outcome"]) == (given_up["seq"] + 1, True, "accepted")
    assert last["order_id"] == "637001"
    assert venue.ledger.count("execution", position_id="1000342") == 1

    status, told, _ = await journal(system, "show", identity)
    assert "by mika: accepted, seen in the venue's own app" in told
    status, _, why = await journal(system, "resolve", identity, *verdict)
    assert (status, "is not in doubt" in why) == (1, True)
    status, _, why = await journal(system, "show", "nobody-sent-this")
    assert (status, "knows no command" in why) == (1, True)
