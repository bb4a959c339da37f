"""The journal was put back to an earlier state: what it still shows may have gone on since (rows 37 and 47)."""

from pathlib import Path

import pytest

from router.journal.operations import marks
from tests.unit.commands import promises
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import Core, World


def test_a_parked_close_that_was_executed_since_is_not_called_rejected(world: World) -> None:
    """The copy shows it waiting for its next try; its venue recognises repeats, so nothing else would look first."""
    world.echo.script.append(Answer(kind="retry", after_s=4.0))
    world.publish(world.close(venue="echo", ttl_s=10))
    world.run(0.5)
    copy = world.copy()
    world.run(8)
    assert world.results("c1")[-1].outcome == "accepted"
    world.run(10)
    world.put_back(copy)
    world.run(60)
    assert [result.outcome for result in world.results("c1") if result.final and result.outcome != "accepted"] == []
    promises.check(world)


def test_a_targeted_cancel_that_waits_again_is_not_called_not_found(world: World) -> None:
    """The copy shows it waiting for its target; since then the target came, and its order was canceled."""
    world.publish(world.cancel(target_command_id="c1", ttl_s=15))
    world.run(1)
    copy = world.copy()
    world.publish(world.close())
    world.run(4)
    assert world.results("x1")[-1].outcome == "accepted"
    world.run(15)
    world.put_back(copy)
    world.run(30)
    assert "rejected" not in {result.outcome for result in world.results("x1")}


def test_a_mark_that_the_witness_could_not_take_is_offered_again(tmp_path: Path) -> None:
    """The stream is away for some seconds after a close; a copy from before it is noticed all the same."""
    with World(tmp_path) as world:
        core = world.start()
        world.run(3)
        copy = world.copy()
        world.broker.witness_fault = "unavailable"
        close = world.close("c1", ttl_s=200)
        world.publish(close)
        assert world.final("c1").outcome == "accepted"
        world.run(3)
        world.broker.mend()
        world.run(30)
        world.put_back(copy)
        world.run(5)
        assert not core.journal.first_epoch
        world.publish(close, correlation_id="again")
        world.run(60)
        promises.check(world)


async def retired(core: Core) -> None:
    """Delete what is old."""
    await core.journal.retire(30)


def test_a_quiet_weekend_is_no_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done for long: the stream still shows the last marks, so the journal keeps them."""
    monkeypatch.setattr(marks, "KEPT_US", 60_000_000)
    with World(tmp_path) as world:
        core = world.start()
        world.publish(world.close("c1"))
        world.final("c1")
        world.run(120)
        world.within(core, retired(core))
        world.kill(core)
        core = world.start()
        world.run(3)
        assert core.journal.first_epoch
        world.publish(world.close("c2", position_id="p2", ttl_s=8))
        assert world.final("c2").outcome == "accepted"


def test_a_file_whose_bytes_go_back_under_the_worker_is_noticed(tmp_path: Path) -> None:
    """The volume is rolled back byte for byte, same files, no connection lost: within a second that is noticed."""
    with World(tmp_path) as world:
        core = world.start()
        world.publish(world.close("c0", position_id="p0"))
        world.final("c0")
        world.run(3)
        core.journal._writer._connection.execute("delete from marks")
        world.run(3)
        assert not core.journal.first_epoch
        assert core.journal.writable
