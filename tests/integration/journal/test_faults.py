"""What the journal does when processes die, disks fill up and servers go away."""

import asyncio
import resource
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest

from router.errors import ConfigError, JournalUnavailable
from router.journal import Store, open_journal
from router.journal.operations.statements import Steps
from router.journal.postgres.database import PostgresJournal
from router.journal.postgres.transactions import Transactions
from router.journal.sqlite.database import SqliteJournal
from router.journal.sqlite.writer import Writer
from router.records.command import Admitted, Joined
from tests.integration.journal.conftest import Open, until
from tests.integration.journal.test_journal import left
from tests.journal_cases import began, cancel, close, ended, final, reply, result
from tests.journal_place import Place
from tests.postgresql import PostgreSQL

pytestmark = [pytest.mark.integration, pytest.mark.faults]

ROOT = Path(__file__).parents[3]


class Gate:
    """Holds commits, in a thread or in the loop, until it is opened."""

    def __init__(self) -> None:
        self.thread = threading.Event()
        self.loop = asyncio.Event()
        self.open()

    def open(self) -> None:
        """Let commits pass."""
        self.thread.set()
        self.loop.set()

    def close(self) -> None:
        """Hold commits from here on."""
        self.thread.clear()
        self.loop.clear()


@asynccontextmanager
async def pod(url: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process on the same journal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.journal.pod", url, *arguments,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def stopped(process: asyncio.subprocess.Process) -> None:
    """Wait until a process is frozen."""

    async def frozen() -> bool:
        stat = await asyncio.to_thread(Path(f"/proc/{process.pid}/stat").read_text)
        return stat.rpartition(")")[2].split()[0] == "T"

    await until(frozen)


async def admit(journal: Store, command_id: str, position: str = "p1") -> Admitted:
    """Admit a new close."""
    record = began(close(command_id, position=position))
    answer = await journal.admit(record, reply(), "digest")
    assert isinstance(answer, Admitted)
    return answer


async def unwritable(journal: Store) -> bool:
    """Whether the journal says that it cannot be written."""
    return not journal.writable


async def recovered(journal: Store) -> None:
    """Wait until the journal can be written again."""

    async def writable() -> bool:
        return journal.writable

    await until(writable)


class TestProcesses:
    """Several processes share one journal, and any of them may die at any point."""

    async def test_two_processes_admit_every_command_once(self, place: Place) -> None:
        """Of two processes that get the same commands, each command is new to one."""
        async with pod(place.url, "count", "200") as first, pod(place.url, "count", "200") as second:
            for process in (first, second):
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            counts = [
                int(output) for output, _ in await asyncio.gather(first.communicate(b"\n"), second.communicate(b"\n"))
            ]
        assert sum(counts) == 200

    async def test_killed_before_the_commit_nothing_is_stored(self, place: Place, open_place: Open) -> None:
        """A process that is killed inside a transaction leaves nothing, and nobody waits for it (row 1)."""
        async with pod(place.url, "before", "a1") as process:
            assert await process.wait() == -signal.SIGKILL
            journal = await open_place()
            assert await journal.load("alpha", "a1") is None
            await admit(journal, "a2")

    async def test_killed_after_the_commit_everything_is_stored(self, place: Place, open_place: Open) -> None:
        """What a process was told is stored survives its death (row 2)."""
        async with pod(place.url, "after", "a1") as process:
            assert await process.wait() == -signal.SIGKILL
            journal = await open_place()
            assert await journal.load("alpha", "a1") == began(close("a1"))
            assert await journal.admit(close("a1"), reply(), "digest") == Joined()
            (told,) = await journal.story(None, "a1")
            assert "attempt" in [entry.event for entry in told.entries]

    async def test_a_frozen_process_makes_the_others_wait(self, tmp_path: Path) -> None:
        """While another process is frozen inside a transaction nothing is stored; afterwards all goes on (row 28)."""
        path = tmp_path / "frozen.db"
        async with await SqliteJournal.open(path, busy_s=0.3) as journal:
            async with pod(f"sqlite:///{path}", "freeze", "a1") as process:
                await stopped(process)
                with pytest.raises(JournalUnavailable):
                    await admit(journal, "a2")
                assert not journal.writable
                with pytest.raises(JournalUnavailable):
                    await admit(journal, "a3")
                assert await journal.load("alpha", "a1") is None, "what is not committed is not seen"
                process.send_signal(signal.SIGCONT)
                assert process.stdout is not None
                assert await process.stdout.readline() == b"stored\n"
            await recovered(journal)
            assert await journal.load("alpha", "a1") is not None
            await admit(journal, "a2", "p2")

    async def test_a_frozen_pod_holds_only_its_own_rows(self, shared_place: Place) -> None:
        """On a shared server other commands go on while a pod is frozen inside a transaction."""
        async with pod(shared_place.url, "freeze", "a1") as process, await open_journal(shared_place.url) as journal:
            await stopped(process)
            await admit(journal, "a2", "p2")
            assert await journal.load("alpha", "a1") is None
            assert journal.writable


class TestCommits:
    """What waits for the disk, and what does not."""

    @pytest.fixture
    async def gate(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
        """What commits have to pass."""
        gate = Gate()
        end, commit = Writer._end, Transactions.commit

        def held_end(writer: Writer) -> None:
            gate.thread.wait(20)
            end(writer)

        async def held_commit(postgres: Transactions, connection: Any, transaction: Any) -> None:
            await gate.loop.wait()
            await commit(postgres, connection, transaction)

        monkeypatch.setattr(Writer, "_end", held_end)
        monkeypatch.setattr(Transactions, "commit", held_commit)
        yield gate
        gate.open()

    async def test_everything_waits_for_the_disk(self, journal: Store, gate: Gate) -> None:
        """A cancel, a close, a refusal, and a delivery that joins wait for their commit."""
        known, refused = cancel("known"), cancel("refused")
        await journal.admit(known, reply(), "digest")
        gate.close()
        waiting = [
            asyncio.create_task(admission)
            for admission in (
                journal.admit(close("a1"), reply(), "digest"),
                journal.admit(known, reply("c2"), "digest"),
                journal.admit(refused, reply(), "digest", result=result(refused, outcome="rejected")),
            )
        ]
        done, _ = await asyncio.wait(waiting, timeout=0.2)
        assert not done
        gate.open()
        answers = await asyncio.gather(*waiting)
        assert [type(answer) for answer in answers] == [Admitted, Joined, Admitted]

    async def test_what_has_not_begun_can_be_taken_back(self, journal: Store, gate: Gate) -> None:
        """An admission that still waits is withdrawn and never written; one that is being written is not."""
        gate.close()
        begun = [asyncio.create_task(journal.admit(cancel(f"b{n}"), reply(), "digest")) for n in range(3)]
        assert not (await asyncio.wait(begun, timeout=0.2))[0]
        many = [asyncio.create_task(journal.admit(cancel(f"a{n}"), reply(), "digest")) for n in range(1200)]
        assert not (await asyncio.wait(many, timeout=0.2))[0]
        assert not journal.withdraw("alpha", "b0")
        assert not journal.withdraw("alpha", "nobody")
        taken_back = [journal.withdraw("alpha", f"a{n}") for n in range(1200)]
        assert any(taken_back)
        gate.open()
        answers = await asyncio.gather(*begun, *many, return_exceptions=True)
        assert all(isinstance(answer, Admitted) for answer in answers[:3])
        for number, back in enumerate(taken_back):
            assert isinstance(answers[3 + number], JournalUnavailable if back else Admitted)
            assert (await journal.load("alpha", f"a{number}") is None) == back

    async def test_a_command_costs_two_commits(self, open_place: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """Marks and history have no commit of their own while others commit."""
        monkeypatch.setattr("router.journal.store.FLUSH_S", 60)  # a slow machine is not told from a quiet one
        commits: list[float] = []
        journal = await open_place(on_commit=commits.append)
        before = len(commits)
        for number in range(5):
            answer = await admit(journal, f"a{number}", f"p{number}")
            stored = await journal.save(final(answer.record), end=ended(), result=result(answer.record))
            assert stored is not None
            journal.published(out.outbox_id for out in stored.outgoing)
            journal.note("alpha", f"a{number}", "looked")
        assert len(commits) - before <= 10

    async def test_marks_are_kept_when_the_journal_is_closed(self, open_place: Open, place: Place) -> None:
        """A drained process leaves no result behind that looks unpublished."""
        async with await open_journal(place.url) as journal:
            answer = await admit(journal, "a1")
            stored = await journal.save(final(answer.record), end=ended(), result=result(answer.record))
            assert stored is not None
            journal.published(out.outbox_id for out in stored.outgoing)
        later = await open_place()
        assert await left(later) == ()


class TestSqliteFile:
    """Row 28: the file cannot be written, is gone, or is another one."""

    @pytest.fixture
    async def journal(self, tmp_path: Path) -> AsyncIterator[Store]:
        """A journal in a file of its own."""
        async with await open_journal(f"sqlite:///{tmp_path}/journal.db") as journal:
            yield journal

    async def test_a_full_disk(self, journal: Store) -> None:
        """Nothing is stored on a full disk, everything stored before is there, and it recovers by itself."""
        await admit(journal, "a1")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            with pytest.raises(JournalUnavailable):
                await admit(journal, "a2", "p2")
            assert not journal.writable
            assert await journal.load("alpha", "a1") == began(close("a1"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await recovered(journal)
        assert await journal.load("alpha", "a2") is None
        await admit(journal, "a2", "p2")

    async def test_marks_survive_a_full_disk(self, journal: Store) -> None:
        """What was confirmed while nothing could be written is marked once it can."""
        answer = await admit(journal, "a1")
        stored = await journal.save(final(answer.record), result=result(answer.record))
        assert stored is not None
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            journal.published(out.outbox_id for out in stored.outgoing)
            with pytest.raises(JournalUnavailable):
                await admit(journal, "a2", "p2")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await recovered(journal)
        assert await left(journal) == ()

    async def test_a_file_put_back_from_a_copy_is_a_new_epoch(self, journal: Store, tmp_path: Path) -> None:
        """A journal that may lack what happened since the copy says so."""
        await admit(journal, "a1")
        assert journal.first_epoch
        began_us = journal.epoch_us
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path, copy)
        async with await open_journal(f"sqlite:///{copy}/journal.db") as restored:
            assert await restored.load("alpha", "a1") == began(close("a1"))
            assert not restored.first_epoch
            assert restored.epoch_us > began_us

    async def test_a_replaced_file_is_noticed(self, journal: Store, tmp_path: Path) -> None:
        """Nothing is written to a file that is not the journal any more; the new one is a journal of its own."""
        await admit(journal, "a1")
        for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
            (tmp_path / name).rename(tmp_path / f"old-{name}")
        (tmp_path / "journal.db").touch()
        with pytest.raises(JournalUnavailable):
            await admit(journal, "a2", "p2")
        assert not journal.writable
        await recovered(journal)
        assert await journal.load("alpha", "a1") is None
        await admit(journal, "a2", "p2")

    async def test_the_epoch_is_kept(self, journal: Store, tmp_path: Path) -> None:
        """Opening a journal again is no new epoch."""
        async with await open_journal(f"sqlite:///{tmp_path}/journal.db") as again:
            assert (again.epoch_us, again.first_epoch) == (journal.epoch_us, True)


class TestPostgresServer:
    """The server goes away, or is not one to trust."""

    async def test_it_recovers(self, server: str, shared_place: Place) -> None:
        """Without its server the journal stores nothing; it comes back by itself, with its epoch."""
        name = urlsplit(shared_place.url).path[1:]
        async with await open_journal(shared_place.url) as journal:
            await admit(journal, "a1")
            epoch_us = journal.epoch_us
            await Place(server).sql(f"alter database {name} with allow_connections false")
            await Place(server).sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
            with pytest.raises(JournalUnavailable):
                await admit(journal, "a2", "p2")
            assert not journal.writable
            with pytest.raises(JournalUnavailable):
                await journal.load("alpha", "a1")
            await Place(server).sql(f"alter database {name} with allow_connections true")
            await recovered(journal)
            await admit(journal, "a2", "p2")
            assert (journal.epoch_us, journal.first_epoch) == (epoch_us, True)

    async def test_a_crash(self) -> None:
        """What was stored survives the server's crash, and marks that wait are written afterwards."""
        with PostgreSQL() as server:
            async with await open_journal(server.url) as journal:
                answer = await admit(journal, "a1")
                stored = await journal.save(final(answer.record), end=ended(), result=result(answer.record))
                assert stored is not None
                await asyncio.to_thread(server.kill)
                journal.published(out.outbox_id for out in stored.outgoing)
                await until(lambda: unwritable(journal))
                with pytest.raises(JournalUnavailable):
                    await admit(journal, "a2", "p2")
                await asyncio.to_thread(server.start)
                await recovered(journal)
                assert await journal.load("alpha", "a1") == stored.record
                assert await left(journal) == ()

    async def test_a_lost_race_is_run_again(self, shared_place: Place) -> None:
        """A transaction that the server chose as a deadlock's victim did nothing, and is begun anew."""
        tries = []

        def operation() -> Steps[str]:
            tries.append(1)
            yield "select 1", ()
            if len(tries) < 3:
                raise asyncpg.DeadlockDetectedError
            return "done"

        async with await PostgresJournal.open(shared_place.url) as journal:
            assert await journal._write(operation) == "done"
            assert journal.writable
        assert len(tries) == 3

    async def test_a_commit_that_a_standby_lacks(self) -> None:
        """A commit whose replication the server gave up waiting for counts as none, although it says it is done."""
        with PostgreSQL() as server:
            beside = Place(server.url)
            async with await open_journal(server.url) as journal:
                await beside.sql("alter system set synchronous_standby_names = 'nobody'")
                await beside.sql("select pg_reload_conf()")
                admitting = asyncio.create_task(admit(journal, "a1"))
                waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep'"

                async def replicating() -> bool:
                    return bool(await beside.sql(waiting))

                await until(replicating)
                await beside.sql(f"select pg_cancel_backend(pid) from ({waiting}) as commits")
                with pytest.raises(JournalUnavailable, match="synchronous replication"):
                    await admitting
                assert not journal.writable
                await beside.sql("alter system reset synchronous_standby_names")
                await beside.sql("select pg_reload_conf()")
                await recovered(journal)
                assert await journal.admit(close("a1"), reply(), "digest") == Joined()

    async def test_a_commit_that_is_not_durable_is_refused(self, server: str, shared_place: Place) -> None:
        """A server that confirms before the disk does cannot keep the journal."""
        name = urlsplit(shared_place.url).path[1:]
        await Place(server).sql(f"alter database {name} set synchronous_commit = off")
        with pytest.raises(ConfigError, match="synchronous_commit"):
            await open_journal(shared_place.url)

    async def test_a_wrong_url_is_a_wrong_configuration(self, server: str) -> None:
        """An unknown database is a fault of the configuration, an unreachable server is not; no password is told."""
        missing = urlsplit(server)._replace(path="/nowhere").geturl()
        with pytest.raises(ConfigError) as fault:
            await open_journal(missing)
        with pytest.raises(ConfigError) as unreadable:
            await open_journal("postgresql://user:geheim@[::1/db")
        with pytest.raises(JournalUnavailable) as gone:
            await open_journal("postgresql://user:geheim@127.0.0.1:1/db")
        assert "geheim" not in f"{fault.value}{unreadable.value}{gone.value}"


async def test_a_process_that_only_looks_takes_no_log_away(tmp_path: Path) -> None:
    """Another process opens and closes the file: the log of the one that writes stays, and so does what is in it.

    A process that opens its own file once more and closes that again loses its locks (POSIX): SQLite then takes the
    file for unused.
    """
    path = tmp_path / "journal.db"
    async with await open_journal(f"sqlite:///{path}") as journal:
        await journal.admit(close("a1"), reply(), "digest")
        assert await journal.load("alpha", "a1") is not None
        looking = (
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('select count(*) from commands').fetchall()"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", looking, str(path))
        assert await process.wait() == 0
        log = path.with_name(path.name + "-wal")
        assert log.stat().st_size > 0
