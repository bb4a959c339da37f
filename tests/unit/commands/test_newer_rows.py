"""Rows of a newer version, in a rolling upgrade (row 32): nothing is lost of them, and nobody is told wrong things."""

import json
from pathlib import Path
from typing import Any

from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World


def database(core: Any) -> Any:
    """Return a core's connection to the journal."""
    return core.journal._writer._connection


def test_a_repeat_of_what_a_newer_version_answered_is_left_to_that_version(tmp_path: Path) -> None:
    """This one cannot read the answer: it tells the doubt by the deadline, buries nothing, and keeps the delivery."""
    with World(tmp_path) as world:
        core = world.start()
        close = world.close("c1", ttl_s=20)
        world.publish(close)
        world.final("c1")
        world.run(1)
        database(core).execute(
            "update outbox set result = json_set(result, '$.evidence', 'oracle') where command_id = 'c1'"
        )
        message = world.publish(close, correlation_id="again")
        world.run(60)
        assert [(heard.result.outcome, heard.result.recorded) for heard in world.heard_by(message)] == [
            ("in_doubt", False)
        ]
        assert (message.settled, len(world.broker.buried)) == ("", 0)


def test_what_a_newer_version_added_to_a_row_is_not_dropped(tmp_path: Path) -> None:
    """A row with a field that this version does not know is set aside: saving it would lose the field."""
    with World(tmp_path) as world:
        core = world.start()
        world.acme.reads_fail = True
        world.acme.script.append(Answer(kind="reset", executes=True))
        world.publish(world.close("c1"))
        world.run(3)
        database(core).execute("update commands set job = json_set(job, '$.held_until', 17) where command_id = 'c1'")
        world.acme.reads_fail = False
        world.run(30)
        (record,) = database(core).execute("select job from commands where command_id = 'c1'").fetchone()
        assert json.loads(record)["held_until"] == 17
