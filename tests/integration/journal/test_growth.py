"""The cost of a command does not grow with the journal."""

import statistics
import time
from pathlib import Path

import pytest

from router.journal import Store
from router.records.command import Admitted
from tests.integration.journal.conftest import Open
from tests.integration.journal.test_journal import due
from tests.journal_cases import T0_US, close, ended, final, reply, result
from tests.journal_place import Place

pytestmark = pytest.mark.integration


async def median_s(journal: Store, prefix: str, commands: int = 150) -> float:
    """The median time of a command's whole life in the journal."""
    times = []
    for number in range(commands):
        record = close(
            f"{number * 7919 % 16:x}{prefix}{number}", position=f"{prefix}{number}", received_us=T0_US + number
        )
        start = time.perf_counter()
        assert isinstance(await journal.admit(record, reply(), "digest"), Admitted)
        stored = await journal.save(final(record, order_id=f"{prefix}{number}"), end=ended(), result=result(record))
        assert stored is not None
        await due(journal)
        times.append(time.perf_counter() - start)
        journal.published(out.outbox_id for out in stored.outgoing)
    return statistics.median(times)


@pytest.mark.parametrize("rows", [200_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
async def test_a_full_journal_costs_what_an_empty_one_does(open_place: Open, place: Place, rows: int) -> None:
    """Admit, save and look for work take the same time with many finished commands as with none."""
    journal = await open_place()
    await median_s(journal, "warm", 30)
    empty = await median_s(journal, "empty")
    await place.fill(rows, T0_US)
    await median_s(journal, "rewarm", 30)
    full = await median_s(journal, "full")
    print(f"{Path(place.url).suffix or 'postgresql'} {rows} rows: {empty * 1e3:.3f} ms empty, {full * 1e3:.3f} ms full")
    # A table scan of 200,000 rows takes tens of milliseconds; a disk that others use may be three times slower.
    assert full < 3 * empty + 0.01
