"""A PostgreSQL database per trial: two trials in one would take up each other's commands."""

import uuid
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types


async def new_database(url: str) -> str:
    """Create a database on a cluster and return its URL."""
    name = f"trial_{uuid.uuid4().hex[:12]}"
    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute(f"create database {name}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
