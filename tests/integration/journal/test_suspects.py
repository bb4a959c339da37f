"""Whoever notes that a message is handled alone, and whoever asks whether the other has ended over it."""

import pytest

from router.journal.operations import marks
from tests.integration.journal.conftest import Open

pytestmark = pytest.mark.integration

HANDLED_US = 1


async def test_only_who_does_not_answer_has_ended(open_place: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lives takes its note back, however late, and then nobody has ended; of one that does not, it counts."""
    monkeypatch.setattr(marks, "HANDLED_US", HANDLED_US)
    one, other = await open_place(), await open_place()
    for message in ("lives", "ends"):
        assert await one.suspect(message) == (0, 0)
        assert await other.suspect(message) == (0, HANDLED_US), "it has time to say that it lives"
    await one.cleared("lives")
    assert await other.suspect("lives") == (0, 0)
    assert await other.suspect("ends") == (1, 0)
    await one.cleared("ends")
    assert await other.suspect("ends") == (1, 0), "the note is another's by now"
