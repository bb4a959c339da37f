"""A PostgreSQL that changes under a journal in use: put back, its rows locked, out of reach for hours."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest

from deploy.ensure import postgresql as find_programs
from router.app.marks import Marks
from router.clock import SystemClock
from router.journal import open_journal
from router.journal.postgres.database import PostgresJournal
from router.journal.postgres.transactions import ALONE, CONNECTIONS
from router.ports import Mark
from router.records.command import Admitted
from tests.integration.journal.conftest import until
from tests.journal_cases import close, reply
from tests.journal_place import Place

pytestmark = [pytest.mark.integration, pytest.mark.faults]


class Stream:
    """A witness that is always there."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []

    async def read(self, last: int) -> Sequence[Mark]:
        """Return the last marks."""
        return tuple(self.marks[-last:])

    async def write(self, mark: Mark) -> None:
        """Keep a mark."""
        self.marks.append(mark)


async def ran(command: Sequence[str | Path], given: bytes = b"") -> bytes:
    """Run a program to its end and return what it printed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    printed, said = await asyncio.wait_for(process.communicate(given), 60)
    assert process.returncode == 0, said.decode()
    return printed


@pytest.mark.parametrize("options", [("-1",), ()], ids=["one transaction", "statement by statement"])
async def test_a_dump_restored_in_place_is_noticed(shared_place: Place, options: tuple[str, ...]) -> None:
    """Row 37: no connection is lost, and yet the journal knows less than it did: a new epoch begins by itself."""
    programs = find_programs()
    assert programs is not None
    async with await open_journal(shared_place.url, witnessed=True) as journal:
        stream = Stream()
        marks = Marks(journal, stream, SystemClock())
        await marks.certify()
        running = asyncio.create_task(marks.run())
        dump = await ran([programs / "pg_dump", "--clean", "--if-exists", shared_place.url])
        known = len(stream.marks)
        assert isinstance(await journal.admit(close("c1"), reply("c1"), "d"), Admitted)
        async with asyncio.timeout(60):
            while len(stream.marks) == known:
                await asyncio.sleep(0.02)
        await ran([programs / "psql", "-q", *options, "-v", "ON_ERROR_STOP=1", shared_place.url], dump)

        async def noticed() -> bool:
            return not journal.first_epoch and journal.writable

        await until(noticed, 60)
        running.cancel()


async def test_rows_that_somebody_has_locked_hold_nobody_else(shared_place: Place) -> None:
    """Twice as many locked rows as there are connections: new commands are stored meanwhile, and it counts as well."""
    async with await open_journal(shared_place.url) as journal:
        records = []
        for number in range(2 * CONNECTIONS):
            admitted = await journal.admit(close(f"c{number}", position=f"p{number}"), reply(f"c{number}"), "d")
            assert isinstance(admitted, Admitted)
            records.append(admitted.record)
        connection = await asyncpg.connect(shared_place.url)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("select * from commands for update")
        saves = [asyncio.create_task(journal.save(record)) for record in records]
        assert isinstance(journal, PostgresJournal)
        async with asyncio.timeout(30):
            while not journal._run.patient.locked():
                await asyncio.sleep(0.01)
        for number in range(5):
            assert isinstance(
                await journal.admit(close(f"i{number}", position=f"i{number}"), reply("i"), "d"), Admitted
            )
            assert journal.writable
        assert ALONE < CONNECTIONS
        await transaction.rollback()
        await connection.close()
        await asyncio.gather(*saves, return_exceptions=True)


async def test_the_watch_outlives_whatever_the_library_raises(
    shared_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncpg's own defects are no errors of its interface: the journal is looked at again a second later."""
    async with await open_journal(shared_place.url) as journal:
        assert isinstance(journal, PostgresJournal)
        real, failures = asyncpg.connect, 0

        async def connect(*arguments: object, **options: object) -> object:
            nonlocal failures
            if not failures:
                failures += 1
                raise asyncpg.InternalClientError("unexpected message")
            return await real(*arguments, **options)

        monkeypatch.setattr(asyncpg, "connect", connect)

        async def again() -> bool:
            return bool(failures) and journal.writable

        await until(again, 60)
        assert journal._watching is not None
        assert not journal._watching.done()


async def test_hours_out_of_reach_do_not_set_the_clock(shared_place: Place) -> None:
    """What two clocks may have drifted apart in an outage is not added to the journal's time, for good or at all."""
    async with await open_journal(shared_place.url) as journal:
        assert isinstance(journal, PostgresJournal)
        ahead_s = journal.latest_us() / 1e6 - time.time()
        journal._bounds._at_us -= 6 * 3600 * 1_000_000  # as an outage of six hours leaves it
        journal._fail()

        async def back() -> bool:
            return journal.writable

        await until(back, 60)
        assert journal._run.offset_us == 0
        assert abs(journal.latest_us() / 1e6 - time.time() - ahead_s) < 5
