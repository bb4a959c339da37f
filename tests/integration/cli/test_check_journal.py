"""What `check` says of the journal, on real files and servers: each fault by its name, and a worker says the same."""

import asyncio
import stat
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest
from yarl import URL

from router.config import load
from router.errors import ConfigError
from router.journal import open_journal
from router.journal.sqlite import filesystem
from tests.integration.cli.checking import SECRET, check, refuses, waits
from tests.postgresql import PostgreSQL
from tests.stack import Stack

pytestmark = pytest.mark.integration


@asynccontextmanager
async def role(server: PostgreSQL, *grants: str) -> AsyncIterator[URL]:
    """Make a database and a role that may only connect, and yield the role's URL."""
    name = f"r{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(f"create database {name}")
        await connection.execute(f"create role {name} login password '{SECRET}'")
        for grant in grants:
            await connection.execute(grant.format(name=name))
        yield URL(server.url).with_path(f"/{name}").with_user(name).with_password(SECRET)
        await connection.execute(f"drop database {name} with (force)")
        await connection.execute(f"drop owned by {name}")
        await connection.execute(f"drop role {name}")
    finally:
        await connection.close()


@pytest.mark.parametrize("fault", ["password", "user", "database"])
async def test_who_and_where(system: Stack, postgresql: PostgreSQL, fault: str) -> None:
    """A wrong password, user or database is a mistake of the configuration, and is named; a worker ends with 78."""
    right = URL(postgresql.url)
    where = f"PostgreSQL at {right.host}:{right.port}"
    url, said = {
        "password": (
            right.with_password(SECRET),
            f"{where} does not know user order_router, or not with this password",
        ),
        "user": (right.with_user("nobody"), f"{where} does not know user nobody, or not with this password"),
        "database": (right.with_path("/nowhere"), f"there is no database nowhere at {where}"),
    }[fault]
    system.change("journal", url=str(url))
    found = await check(system)
    assert (found.status, found.failed) == (1, {"journal": f"journal.url: {said}"})
    await refuses(system, said)


@pytest.mark.parametrize("grants", [(), ("revoke connect on database {name} from public",)])
async def test_a_role_that_may_not(system: Stack, postgresql: PostgreSQL, grants: tuple[str, ...]) -> None:
    """It may not connect, or make no tables: the role and the database are named."""
    async with role(postgresql, *grants) as url:
        system.change("journal", url=str(url))
        found = await check(system)
        said = (
            f"user {url.user} may not use database {url.user} at PostgreSQL at 127.0.0.1:{url.port}: permission denied"
        )
        assert found.status == 1
        assert found.failed["journal"].startswith(f"journal.url: {said} for ")
        await refuses(system, said)


async def test_a_server_that_is_away(system: Stack, postgresql: PostgreSQL) -> None:
    """That passes: a worker waits, and says the same."""
    url = URL(postgresql.url).with_port(1).with_password(SECRET)
    system.change("journal", url=str(url))
    found = await check(system)
    said = "the journal cannot be used: nothing listens at 127.0.0.1:1"
    assert (found.status, found.failed) == (1, {"journal": said})
    await waits(system, said)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("sslmode=require", "PostgreSQL at 127.0.0.1:{port} does not speak TLS, which sslmode asks for"),
        ("sslmode=verify-full&sslrootcert=/no/ca.pem", "journal.url: sslrootcert: there is no file /no/ca.pem"),
        ("sslmode=maybe", "journal.url: PostgreSQL's client cannot read this address"),
    ],
)
async def test_tls_to_the_server(system: Stack, postgresql: PostgreSQL, parameters: str, said: str) -> None:
    """What the URL asks for and the server or the machine has not."""
    url = URL(postgresql.url)
    system.change("journal", url=f"{url}?{parameters}")
    found = await check(system)
    assert found.status == 1
    assert said.format(port=url.port) in found.failed["journal"]


async def test_a_file_that_others_can_read(system: Stack) -> None:
    """The journal says who trades what. Its name and mode are told; made by us it is nobody else's."""
    await (await system.worker()).terminate()
    path = system.directory / "journal.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await check(system)).failed == {}
    path.chmod(0o604)
    found = await check(system)
    said = f"{path} can be read or written by every user of this machine (mode 0604): chmod 600"
    assert (found.status, found.failed) == (1, {"journal": f"journal.url: {said}"})
    await refuses(system, said)
    path.chmod(0o660)  # as a volume's group on Kubernetes has it
    assert (await check(system)).failed == {}


async def test_a_file_that_is_none(system: Stack) -> None:
    """Another file under that name stays as it is."""
    path = system.directory / "journal.db"
    path.write_text("not a database, by any means" * 100)
    path.chmod(0o600)
    found = await check(system)
    said = f"{path} is not a SQLite database"
    assert (found.status, found.failed) == (1, {"journal": f"journal.url: {said}"})
    await refuses(system, said)
    assert path.read_text().startswith("not a database")


async def test_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` opens the journal as a worker does, so it meets the same refusal."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw,noatime shared:1 - nfs4 server:/export rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    with pytest.raises(ConfigError, match=r"is on a network file system \(nfs4\)"):
        await open_journal(url)
    from router.app import checks

    config = load(None, {"ORDER_ROUTER_JOURNAL__URL": url})
    found = [one async for one in checks._journal(config, witnessed=False)]
    assert [one.status for one in found] == ["failed"]
    assert "is on a network file system (nfs4)" in found[0].message


async def test_check_leaves_a_running_worker_alone(system: Stack) -> None:
    """It can be run beside one, on the same journal and broker."""
    worker = await system.worker()
    found = await asyncio.gather(check(system), check(system))
    assert [one.failed for one in found] == [{}, {}]
    assert await worker.ready()
