"""A worker dies at every place where it can; another one starts on the same journal. The promises hold.

Each history is first run without a crash, which lists the places; then once for every place. The one where the worker
was never killed would prove nothing, so that is asserted too.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from router.venue_protocol import Limit
from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World, coid

History = Callable[[World], None]


def plain(world: World) -> None:
    """A close that is taken."""
    world.publish(world.close())


def refused(world: World) -> None:
    """A close that is refused."""
    world.acme.script.append(Answer(kind="refuse"))
    world.publish(world.close())


def lost(world: World) -> None:
    """A close whose answer is lost."""
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())


def lost_unexecuted(world: World) -> None:
    """A close that is lost altogether."""
    world.acme.script.append(Answer(kind="reset"))
    world.publish(world.close())


def retried(world: World) -> None:
    """A close that does not leave, is put off, put off longer, and taken."""
    world.acme.script.extend(
        [Answer(kind="unsent"), Answer(kind="retry", after_s=0.3), Answer(kind="retry", after_s=2)]
    )
    world.publish(world.close())


def repeated(world: World) -> None:
    """A close that the venue would recognise, its answer lost once."""
    world.echo.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close(venue="echo"))


def canceled(world: World) -> None:
    """A cancel whose first answer is lost."""
    world.acme.rest("rest-1")
    world.acme.script.append(Answer(kind="unknown"))
    world.publish(world.cancel())


def watched(world: World) -> None:
    """A cancel by target that waits for its close and for the proof."""
    world.publish(world.cancel(target_command_id="c1", await_final=True))
    world.publish(world.close())


def twice(world: World) -> None:
    """Two deliveries of one close, another body under its id, and another close of its position."""
    command = world.close()
    world.publish(command)
    world.publish(command, correlation_id="again")
    world.publish(world.close(size="2"), correlation_id="stranger")
    world.publish(world.close("c2"))


HISTORIES: list[History] = [plain, refused, lost, lost_unexecuted, retried, repeated, canceled, watched, twice]
LIMITED = (Limit("act", 1, 3.0),)
CASES = [pytest.param(history, (), id=history.__name__) for history in HISTORIES] + [
    pytest.param(history, LIMITED, id=f"{history.__name__}-limited") for history in (retried, watched, twice)
]


def played(
    directory: Path, history: History, limits: tuple[Limit, ...], dies_at: int | None
) -> tuple[World, list[str]]:
    """Play a history to its end, the first worker dying at one of its places; return those it came to."""
    with World(directory, limits=limits) as world:
        first = world.start()
        first.dies_at = dies_at
        history(world)
        world.until(lambda: settled(world), 120)
        world.run(10)
        if dies_at is not None:
            assert not first.alive, "the worker was not killed"
        promises.check(world)
        return world, list(first.points)


def settled(world: World) -> bool:
    """Say whether every message is answered for good; start another worker when the first has died."""
    if not world.cores:
        world.start()
    return all(
        message.settled and any(heard.result.final for heard in world.heard_by(message))
        for message in world.broker.messages
    )


@pytest.mark.parametrize(("history", "limits"), CASES)
def test_a_worker_may_die_anywhere(tmp_path: Path, history: History, limits: tuple[Limit, ...]) -> None:
    """One execution at most, one final answer for every delivery, and never a refusal of what was executed."""
    whole = tmp_path / "whole"
    whole.mkdir()
    _, points = played(whole, history, limits, None)
    assert len(points) > 5
    for point in range(len(points)):
        directory = tmp_path / str(point)
        directory.mkdir()
        played(directory, history, limits, point)


def test_an_intent_without_a_send_ends_refused(tmp_path: Path) -> None:
    """Killed after the attempt is stored and before a byte: zero executions, answered after quarantine."""
    world = died(tmp_path, "connect")
    result = world.final("c1")
    assert (result.outcome, result.evidence, world.acme.arrivals) == ("rejected", "query", [])


@pytest.mark.parametrize("point", ["written", "answered"])
def test_a_send_without_a_stored_answer_is_found(tmp_path: Path, point: str) -> None:
    """Killed after the bytes, or after the response: one execution, found by a look, no second request."""
    world = died(tmp_path, point)
    result = world.final("c1")
    assert (result.outcome, result.evidence, world.acme.executed[coid("c1")]) == ("accepted", "query", 1)
    assert len(world.acme.arrivals) == 1


@pytest.mark.parametrize("point", ["publishing", "published", "settling", "settled"])
def test_a_stored_answer_is_only_repeated(tmp_path: Path, point: str) -> None:
    """Killed between the stored result and the acknowledgement: the same result id again at most."""
    world = died(tmp_path, point)
    result = world.final("c1")
    assert result.evidence == "response"
    assert {r.result_id for r in world.results("c1")} == {result.result_id}
    assert len(world.acme.arrivals) == 1


def died(directory: Path, point: str) -> World:
    """Return what became of a close whose worker died at a named place."""
    whole = directory / "whole"
    whole.mkdir()
    _, places = played(whole, plain, (), None)
    world, points = played(directory, plain, (), places.index(point))
    assert points[-1] == point
    return world
