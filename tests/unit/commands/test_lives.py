"""Random lives keep every promise. Many more of them: `python -m tests.unit.commands.lives --lives 100000`."""

import time
from collections import Counter
from pathlib import Path

from tests.unit.commands.lives import live, workplace

BUDGET_S = 15.0
FIRST_SEED = 500_000
MANY = 3000
FEW = 50


def test_random_lives_break_no_promise() -> None:
    """As many as there is time for, the first ones always."""
    ends = time.monotonic() + BUDGET_S
    faults: Counter[str] = Counter()
    with workplace() as directory:
        for number in range(MANY):
            assert live(FIRST_SEED + number, Path(directory), faults) is None
            if number >= FEW and time.monotonic() > ends:
                break
    assert len(faults) > 10, f"hardly anything went wrong: {faults}"
