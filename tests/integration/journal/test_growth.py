"""The cost of a command does not grow with the journal."""

import statistics
import time
from pathlib import Path

import pytest

from router.job import Admitted
from router.journal import Store
from tests.integration.journal.conftest import Open, Place
from tests.journal_cases import T0_US, began, close, ended, final, reply, result

pytestmark = pytest.mark.integration

# Finished commands like the test's own, in the columns that have indexes; the bodies have a real one's size.
FILL = """
insert into commands (command_id, sender, digest, venue, account, action, symbol, position, state, version, next_us,
    order_id, received_us, updated_us, reply, asked, joined, job)
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {rows})
select {id}, 'alpha', 'digest', 'gmo_coin', 'main', 'close', 'BTC_JPY', null, 'final', 1, null,
    'order' || n, {t0} - n * 1000, {t0} - n * 1000, '{{}}', 1, 0, '{body}' from numbers;
insert into attempts (received_us, command_id, sender, number, started_us, ended_us, outcome)
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {rows})
select {t0} - n * 1000, {id}, 'alpha', 1, {t0}, {t0}, 'Accepted' from numbers;
insert into outbox (received_us, command_id, sender, seq, copy, reply, result, created_us, next_us, confirmed_us)
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {rows})
select {t0} - n * 1000, {id}, 'alpha', 1, 0, '{{}}', '{body}', {t0}, {t0}, {t0} from numbers;
"""
SCATTERED = "substr('0123456789abcdef', 1 + n * 7919 % 16, 1) || (n * 7919 % 1000003) || '-' || n"


async def median_s(journal: Store, prefix: str, commands: int = 150) -> float:
    """The median time of a command's whole life in the journal."""
    times = []
    for number in range(commands):
        job = close(f"{number * 7919 % 16:x}{prefix}{number}", position=f"{prefix}{number}", received_us=T0_US + number)
        start = time.perf_counter()
        assert isinstance(await journal.admit(job, reply(), "digest", start=began()), Admitted)
        stored = await journal.save(final(job, order_id=f"{prefix}{number}"), end=ended(), result=result(job))
        assert stored is not None
        await journal.due(T0_US, 10)
        times.append(time.perf_counter() - start)
        journal.published(out.outbox_id for out in stored[1])
    return statistics.median(times)


@pytest.mark.parametrize("rows", [200_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
async def test_a_full_journal_costs_what_an_empty_one_does(open_place: Open, place: Place, rows: int) -> None:
    """Admit, save and look for work take the same time with many finished commands as with none."""
    journal = await open_place()
    await median_s(journal, "warm", 30)
    empty = await median_s(journal, "empty")
    for statement in FILL.format(rows=rows, id=SCATTERED, t0=T0_US, body="x" * 700).split(";"):
        if statement.strip():
            await place.sql(statement)
    await median_s(journal, "rewarm", 30)
    full = await median_s(journal, "full")
    print(f"{Path(place.url).suffix or 'postgresql'} {rows} rows: {empty * 1e3:.3f} ms empty, {full * 1e3:.3f} ms full")
    # A table scan of 200,000 rows takes tens of milliseconds; a disk that others use may be three times slower.
    assert full < 3 * empty + 0.01
