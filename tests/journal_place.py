"""Where a journal of the tests and benchmarks is, and how it is filled with finished commands."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types

from router.journal import Store
from router.journal.operations.statements import Steps

# In the columns that have indexes the rows are like those of real commands; the bodies have a real one's size. The ids
# lie everywhere in the index, as senders' random ids do.
FILL = """
insert into commands (command_id, sender, digest, venue, account, action, symbol, position, state, version, next_us,
    order_id, received_us, updated_us, reply, asked, joined, job)
with recursive numbers(n) as (select cast(1 as bigint) union all select n + 1 from numbers where n < {rows})
select {id}, 'alpha', 'digest', 'gmo_coin', 'main', 'close', 'BTC_JPY', null, 'final', 1, null,
    'order' || n, {t0} - n * 1000, {t0} - n * 1000, '{{}}', 1, 0, '{body}' from numbers;
insert into attempts (received_us, command_id, sender, number, started_us, ended_us, outcome)
with recursive numbers(n) as (select cast(1 as bigint) union all select n + 1 from numbers where n < {rows})
select {t0} - n * 1000, {id}, 'alpha', 1, {t0}, {t0}, 'Accepted' from numbers;
insert into outbox (received_us, command_id, sender, seq, copy, reply, result, created_us, next_us, confirmed_us)
with recursive numbers(n) as (select cast(1 as bigint) union all select n + 1 from numbers where n < {rows})
select {t0} - n * 1000, {id}, 'alpha', 1, 0, '{{}}', '{body}', {t0}, {t0}, {t0} from numbers;
"""
SCATTERED = "substr('0123456789abcdef', cast(1 + n * 7919 % 16 as integer), 1) || (n * 7919 % 1000003) || '-' || n"
BODY = "x" * 700


class Place:
    """Where a journal is, and what is in it besides what the journal tells."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.embedded = url.startswith("sqlite")

    @property
    def path(self) -> Path:
        """The file of an embedded journal."""
        return Path(self.url.removeprefix("sqlite:///"))

    async def sql(self, statement: str) -> Sequence[Any]:
        """Run a statement beside the journal."""
        if self.embedded:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
                return connection.execute(statement).fetchall()
        connection = await asyncpg.connect(self.url)
        try:
            rows: Sequence[Any] = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    async def fill(self, rows: int, t0_us: int) -> None:
        """Add finished commands that came before `t0_us`, a thousand a second. A million takes a minute or two."""
        for statement in FILL.format(rows=rows, id=SCATTERED, t0=t0_us, body=BODY).split(";"):
            if statement.strip():
                await self.sql(statement)


@asynccontextmanager
async def database(server: str) -> AsyncIterator[Place]:
    """An empty database."""
    name = f"journal_{uuid4().hex}"
    await Place(server).sql(f"create database {name}")
    try:
        yield Place(urlsplit(server)._replace(path=f"/{name}").geturl())
    finally:
        await Place(server).sql(f"drop database {name} with (force)")


async def lapse(journal: Store) -> None:
    """Let every claim on a result run out, as when the processes that had it have died."""

    def operation() -> Steps[None]:
        yield "update outbox set next_us = 0 where confirmed_us is null", ()

    await journal._write(operation)
