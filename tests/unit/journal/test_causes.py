"""What the journals' errors mean: the file, or the server, its user and database; never a password."""

import sqlite3
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types
import pytest

from router.errors import ConfigError
from router.journal.postgres import causes as postgres
from router.journal.sqlite import causes as sqlite

URL = "postgresql://desk:hu%2Fsh@db.test:6432/orders"


def test_a_place_that_cannot_be_written_is_named_with_its_modes(tmp_path: Path) -> None:
    """A worker ends with it: it does not pass by itself."""
    path = tmp_path / "journal.db"
    path.mkdir(mode=0o750)
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(path)
    refused = sqlite.refused(caught.value, path)
    assert isinstance(refused, ConfigError)
    assert str(refused).startswith(f"journal.url: {path} cannot be written by user ")
    assert "the file has mode 0750 and owner " in str(refused)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.InvalidPasswordError("hu/sh"), "PostgreSQL at db.test:6432 does not know user desk, or not with this"),
        (asyncpg.InvalidCatalogNameError("x"), "there is no database orders at PostgreSQL at db.test:6432"),
        (
            asyncpg.InsufficientPrivilegeError("permission denied"),
            "user desk may not use database orders at PostgreSQL",
        ),
        (ValueError("invalid port 'hu/sh'"), "PostgreSQL's client cannot read this address"),
    ],
)
def test_why_a_server_refuses(error: Exception, said: str) -> None:
    """It is the configuration's fault."""
    assert isinstance(error, postgres.REFUSALS)
    words = postgres.refusal(error, URL)
    assert words.startswith(f"journal.url: {said}")
    assert "sh" not in words.replace("permission", "")


@pytest.mark.parametrize(
    "url", ["postgresql://desk:hu/sh@db/orders", "postgresql://desk:hu@sh@db/x", "postgresql://h:x/"]
)
def test_an_address_that_reads_otherwise_is_not_repeated(url: str) -> None:
    """A raw "/" or "@" in a password puts a piece of it where the host or the database stands."""
    for error in (asyncpg.InvalidPasswordError("x"), asyncpg.InvalidCatalogNameError("x"), ValueError("x")):
        assert "sh" not in postgres.refusal(error, url)
    assert "sh" not in postgres.in_words(ConnectionRefusedError(), url)
