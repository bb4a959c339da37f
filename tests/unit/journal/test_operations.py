"""The journal's logic without threads, servers or files that last."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from router.errors import ConfigError
from router.journal import open_journal
from router.journal.operations import admission, batch, commands, marks, places, results, retention, timeline
from router.journal.operations.deferred import Deferred
from router.journal.operations.statements import Operation, Rows, Steps, T, storable
from router.journal.postgres import server
from router.journal.schema import migrations
from router.journal.sqlite import file, filesystem
from router.records.command import Admitted, CommandRecord, Moment
from tests.journal_cases import T0_US, began, cancel, close, doubtful, ended, final, reply, result

NOW_US = 1_790_000_000_000_000


def drive(connection: sqlite3.Connection, operation: Operation[T]) -> T:
    """Run an operation at one moment."""
    return file.drive(connection, operation, NOW_US)


def opened(timeline: str) -> Steps[migrations.Epoch]:
    """Bring the schema up to date and return the epoch, as a back end does."""
    yield from migrations.migrate()
    clock = yield from migrations.read_clock()
    yield from migrations.set_clock("boot", 0, max(NOW_US, clock.seen_us))
    return (yield from migrations.open_epoch(timeline))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """An empty database that holds the schema."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        drive(connection, lambda: opened("one"))
        yield connection


def _asked(sql: str) -> Steps[Any]:
    return (yield sql, ())[0][0]


def counted(connection: sqlite3.Connection, operation: Operation[T]) -> tuple[T, int]:
    """Run an operation and count its statements."""
    count = 0

    def counting() -> Steps[T]:
        nonlocal count
        steps = operation()
        rows: Rows = ()
        try:
            statement = next(steps)
            while True:
                count += 1
                rows = yield statement
                statement = steps.send(rows)
        except StopIteration as stop:
            value: T = stop.value
            return value

    return drive(connection, counting), count


def plan(connection: sqlite3.Connection, sql: str) -> str:
    """How SQLite would find the rows of a statement."""
    params = max([0, *map(int, re.findall(r"[$?](\d+)", sql))])
    text, timed = file.numbered(sql, params)
    rows = connection.execute(f"explain query plan {text}", [1] * (params + timed)).fetchall()
    return "\n".join(row[3] for row in rows)


class TestCost:
    """Every statement is a round trip, and every row it reads without an index grows with the journal."""

    def test_statements_of_a_command(self, connection: sqlite3.Connection) -> None:
        """A close that is answered on its first attempt costs four statements, and many of them no more than one."""
        records = [began(close(f"a{number}", position=f"p{number}")) for number in range(50)]
        answer, admitting = counted(connection, admission.Admit(records[0], reply(), "digest"))
        assert answer == Admitted(records[0], (), Moment(0, NOW_US))
        saves = [commands.Save(final(record), ended(), result(record)) for record in records]
        _, saving = counted(connection, saves[0])
        assert (admitting, saving) == (1, 3)
        admits = [admission.Admit(record, reply(), "digest") for record in records[1:]]
        answers, admitting = counted(connection, lambda: batch.run(admits))
        assert answers == [Admitted(record, (), Moment(0, NOW_US)) for record in records[1:]]
        _, saving = counted(connection, lambda: batch.run(saves[1:]))
        assert (admitting, saving) == (1, 3)

    @pytest.mark.parametrize(
        "sql",
        [
            *(value for module in (admission, commands, results, retention, marks) for value in vars(module).values()
              if isinstance(value, str) and value.lstrip().startswith(("select", "update", "delete", "with"))),
            *retention._CHILDREN,
            *places._CLAIMS.values(),
            places._HOT,
            places._ASIDE,
            results._QUEUES,
            *(file.values(many, 64)[0] for many in (
                admission._INSERT, commands._SAVE, commands._END, results._PUT, results._MARK, results._RENEW,
                timeline._NOTE)),
        ],
    )  # fmt: skip
    def test_no_statement_scans_a_table(self, connection: sqlite3.Connection, sql: str) -> None:
        """Whatever runs for a command, for a sweep or for a retirement finds its rows by an index."""
        for line in plan(connection, sql).splitlines():
            few = (
                "INDEX|CONSTANT|SCAN (given|picked|queues|clock|suspects)"  # of the last two there are hardly any rows
            )
            scans = line.startswith("SCAN") and not re.search(few, line)
            assert not scans, line


class TestBatch:
    """Operations that are run together get the verdicts that each would have got alone."""

    def test_the_verdicts_are_those_of_one_after_another(self, connection: sqlite3.Connection) -> None:
        """New, repeated, reused, busy, refused, saved, stale: in one transaction as in one for each."""
        known = began(close("known", position="p0"))
        refusal = result(cancel("refused"), outcome="rejected")
        operations: list[Operation[Any]] = [
            admission.Admit(began(close("a1")), reply(), "digest"),
            admission.Admit(close("a1"), reply("c2"), "digest"),
            admission.Admit(close("a1"), reply(), "other"),
            admission.Admit(close("a2"), reply(), "digest"),
            admission.Admit(cancel("refused"), reply(), "digest", refusal),
            admission.Admit(cancel("a3"), reply(), "digest"),
            commands.Save(doubtful(known), ended(), result(known, outcome="in_doubt", final=False)),
            commands.Save(final(known), ended(), result(known)),
            commands.Save(final(close("nobody")), ended(), result(close("nobody"))),
        ]
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as other:
            drive(other, lambda: opened("one"))
            for place in (connection, other):
                drive(place, admission.Admit(known, reply(), "digest"))
            together = drive(connection, lambda: batch.run(operations))
            assert together == [drive(other, operation) for operation in operations]
            for table in ("commands", "attempts", "evidence", "replies", "outbox"):
                rows = f"select * from {table} order by 1, 2, 3, 4"
                found, expected = (
                    [tuple(v for v in row if not isinstance(v, int) or v < 10**15) for row in place.execute(rows)]
                    for place in (connection, other)
                )
                assert found == expected, table
        assert [type(verdict).__name__ for verdict in together] == [
            "Admitted", "Joined", "Reused", "Busy", "Admitted", "Admitted", "Saved", "NoneType", "NoneType",
        ]  # fmt: skip


class TestMigrations:
    """The schema is applied once and has one history."""

    def test_they_are_applied_once(self, connection: sqlite3.Connection) -> None:
        """Opening a journal again changes neither its schema nor its epoch."""
        first = drive(connection, lambda: opened("one"))
        assert first == drive(connection, lambda: opened("one"))
        assert first.first
        numbers = [number for number, _ in migrations.scripts()]
        assert connection.execute("select number from migrations").fetchall() == [(number,) for number in numbers]

    def test_another_timeline_is_another_epoch(self, connection: sqlite3.Connection) -> None:
        """A journal that was restored or promoted knows that it may lack the end of the one before."""
        connection.execute("update epochs set began_us = 5")
        second = drive(connection, lambda: opened("two"))
        assert not second.first
        assert second.began_us > 5
        assert second == drive(connection, lambda: opened("two"))

    def test_a_newer_schema_is_refused(self, connection: sqlite3.Connection) -> None:
        """An older program does not write into a newer journal."""
        connection.execute("insert into migrations values (99, 0)")
        with pytest.raises(ConfigError, match="newer version"):
            drive(connection, lambda: opened("one"))

    def test_the_schema_is_one(self) -> None:
        """Both back ends run the same text, which uses two types and nobody's dialect."""
        for _, statements in migrations.scripts():
            for statement in statements:
                words = statement.lower().replace("(", " ").split()
                assert not {"autoincrement", "serial", "jsonb", "integer", "blob", "boolean", "rowid"} & set(words)


class TestJobs:
    """A command is stored whole."""

    def test_every_field_comes_back(self, connection: sqlite3.Connection) -> None:
        """No field of a command is lost, whatever is added to it."""
        record = close(
            "a1", step="find", order_id="1", code="timeout", venue_code="E", message="m", looks=2, doubt_us=3,
            attempts=4, first_sent_us=5, last_sent_us=6, seq=1, state="in_doubt",
        )  # fmt: skip
        drive(connection, admission.Admit(record, reply(), "digest"))
        assert drive(connection, lambda: commands.load("alpha", "a1")) == record

    def test_an_order_id_of_any_bytes_is_stored(self) -> None:
        """Text that a database does not take is made storable, other text stays as it is."""
        assert storable("a\0b\ud800") == "a\N{REPLACEMENT CHARACTER}b?"
        assert storable("ünï☃\U0001f600") == "ünï☃\U0001f600"


class TestSpelling:
    """Statements are written once."""

    def test_parameters_and_clock(self) -> None:
        """Each back end spells parameters and the clock its own way."""
        sql = "select now_us() - $1"
        assert file.numbered(sql, 1) == ("select ?2 - ?1", True)
        assert file.numbered("select $1", 1) == ("select ?1", False)
        assert "$1" in server.numbered(sql, 0)
        assert "now_us" not in server.numbered(sql, 0)
        assert server.numbered(sql, 5) != server.numbered(sql, 6), "the journal's clock is ahead of the server's"

    def test_members_of_json_and_locks(self) -> None:
        """What the two databases say differently is spelled for each."""
        sql = "select json_text(job, 'step') from commands limit $1 for update skip locked"
        assert file.numbered(sql, 1)[0] == "select json_extract(job, '$.step') from commands limit ?1"
        assert server.numbered(sql, 0) == "select (job::json ->> 'step') from commands limit $1 for update skip locked"

    def test_the_clock_is_a_parameter(self, connection: sqlite3.Connection) -> None:
        """Nobody's wall clock is read by the database."""
        assert drive(connection, lambda: _asked("select now_us()")) == NOW_US


class TestLater:
    """Marks and notes wait in order."""

    def test_what_failed_is_kept_in_order(self) -> None:
        """What could not be committed goes before what came meanwhile, and times never go back."""
        later = Deferred()
        assert not later
        later.note("alpha", "a1", "one", "")
        taken = later.take()
        later.note("alpha", "a1", "two", "")
        later.put_back(taken)
        notes = later.take().notes
        assert [note[3] for note in notes] == ["one", "two"]
        assert notes[0][2] < notes[1][2]  # type: ignore[operator]  # both are times
        assert not later

    def test_any_sender_can_be_marked(self) -> None:
        """A sender's name may hold the sign that divides an outbox id."""
        assert results.confirmation(f"a/b//c1/{T0_US}/2/0", 7) == (T0_US, "c1", "a/b/", 2, 0, 7)


class TestPlaces:
    """A journal is refused where it could not keep its promises."""

    MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:25 / /data rw - nfs4 server:/export rw
31 21 0:26 / /with\\040space rw - fuse.sshfs host: rw
32 30 0:27 / /data/local rw - xfs /dev/vdb rw
33 21 0:28 / /twice rw - ext4 /dev/vdc rw
34 33 0:29 / /twice rw - cifs //server/share rw
broken line
"""

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/journal.db", "ext4"),
            ("/data/x/journal.db", "nfs4"),
            ("/database/journal.db", "ext4"),
            ("/data/local/journal.db", "xfs"),
            ("/with space/journal.db", "fuse.sshfs"),
            ("/twice/journal.db", "cifs"),
        ],
    )
    def test_the_mount_that_holds_a_file(self, path: str, kind: str) -> None:
        """The longest mount point counts, and of several on one point the last."""
        assert filesystem.filesystem_of(Path(path), self.MOUNTS) == kind

    async def test_a_network_file_system(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A SQLite journal on a network file system is refused by name."""
        mounts = tmp_path / "mountinfo"
        mounts.write_text("21 1 254:0 / / rw shared:1 - nfs4 server:/ rw\n")
        monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
        with pytest.raises(ConfigError, match=r"network file system \(nfs4\)"):
            await open_journal(f"sqlite:///{tmp_path}/journal.db")

    @pytest.mark.parametrize(
        "url", ["", "journal.db", "mysql://host/db", "sqlite://", "sqlite:///", "sqlite://journal.db",
                "sqlite:///:memory:", "sqlite:///a.db?mode=ro"],
    )  # fmt: skip
    async def test_a_url_that_names_no_journal(self, url: str) -> None:
        """Anything but a file or a PostgreSQL is a wrong configuration."""
        with pytest.raises(ConfigError, match=r"journal\.url"):
            await open_journal(url)

    async def test_a_place_without_a_journal(self, tmp_path: Path) -> None:
        """A missing folder, a folder, and a file that is something else are a wrong configuration."""
        (tmp_path / "text.db").write_text("no database " * 100)
        for name in ("missing/journal.db", "", "text.db"):
            with pytest.raises(ConfigError, match=r"journal\.url"):
                await open_journal(f"sqlite:///{tmp_path}/{name}")

    async def test_a_relative_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Three slashes name a file beside the working directory."""
        monkeypatch.chdir(tmp_path)
        async with await open_journal("sqlite:///my%20journal.db") as journal:
            assert await journal.load("alpha", "a1") is None
        assert (tmp_path / "my journal.db").exists()


def test_states_are_those_of_a_job() -> None:
    """The schema's partial indexes name every state that a command can have."""
    schema = "".join(statement for _, statements in migrations.scripts() for statement in statements)
    states = CommandRecord.__annotations__["state"].__args__
    assert all(f"'{state}'" in schema for state in states)


def test_an_epoch_begins_also_in_the_moment_in_which_the_last_one_did(connection: sqlite3.Connection) -> None:
    """A journal put back to its first moment: the clock shows that moment again, and it has forgotten all the same."""
    first = drive(connection, migrations.present_epoch)
    epoch, found = drive(connection, lambda: marks.certify(["a mark that it lacks"], "one"))
    assert (found, epoch.first, epoch.began_us > first.began_us) == ("put back", False, True)
