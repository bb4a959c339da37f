"""The journal on PostgreSQL as deploy/README.md sets it up: its role, and its TLS."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest

from tests.integration.deploy.authority import Authority
from tests.postgresql import PostgreSQL
from tests.sender import Sender, close
from tests.stack import Stack, until

pytestmark = pytest.mark.integration


async def test_owning_its_database_is_enough(system: Stack, sender: Sender, postgresql: PostgreSQL) -> None:
    """No superuser, no role of the server's: deploy/README.md makes it so."""
    name, password = f"role_{secrets.token_hex(6)}", secrets.token_hex(8)
    connection: Any = await asyncpg.connect(postgresql.url)
    try:
        await connection.execute(f"create role {name} login password '{password}'")
        await connection.execute(f"create database {name} owner {name}")
        await connection.execute(f"revoke all on database {name} from public")
    finally:
        await connection.close()
    address = urlsplit(postgresql.url)
    place = f"{name}:{password}@{address.hostname}:{address.port}"
    system.change("journal", url=urlunsplit(address._replace(netloc=place, path=f"/{name}")))
    worker = await system.worker(command=("worker", "--feed"))
    assert await worker.ready()
    assert (await sender.ask(close()))["outcome"] == "accepted"
    assert '"level":"error"' not in worker.said()


async def encrypted(server: PostgreSQL, authority: Authority) -> None:
    """Let a server speak TLS, with a certificate of this authority, and refuse whoever does not."""
    connection: Any = await asyncpg.connect(server.url)
    try:
        data = Path(await connection.fetchval("show data_directory"))
        for source, name in zip(authority.server(), ("server.crt", "server.key"), strict=True):
            shutil.copy(source, data / name)
            os.chown(data / name, data.stat().st_uid, data.stat().st_gid)
        hba = data / "pg_hba.conf"
        hba.write_text(hba.read_text().replace("host  ", "hostssl"))
        await connection.execute("alter system set ssl = on")
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()


async def refuses_plain_text(server: PostgreSQL) -> bool:
    """Say whether the server turns away who speaks no TLS."""
    try:
        await (await asyncpg.connect(server.url, ssl=False)).close()
    except asyncpg.InvalidAuthorizationSpecificationError:
        return True
    return False


async def test_the_journal_is_reached_over_tls(system: Stack, sender: Sender, tmp_path: Path) -> None:
    """`sslmode=verify-full` and `sslrootcert` hold. A server that shows another certificate is waited for."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "foreign").mkdir()
    authority, foreign = Authority(tmp_path / "ours"), Authority(tmp_path / "foreign")
    with PostgreSQL() as server:
        await encrypted(server, authority)
        await until(lambda: refuses_plain_text(server))
        system.change("journal", url=f"{server.url}?sslmode=verify-full&sslrootcert={foreign.certificate}")
        cautious = await system.worker(wait=False)
        await until(lambda: "waiting for the journal" in cautious.said() or cautious.process.returncode is not None)
        assert f"is signed by no authority in {foreign.certificate}" in cautious.said()
        await cautious.kill()
        system.change("journal", url=f"{server.url}?sslmode=verify-full&sslrootcert={authority.certificate}")
        worker = await system.worker()
        assert (await sender.ask(close()))["outcome"] == "accepted"
        assert await worker.ready()
