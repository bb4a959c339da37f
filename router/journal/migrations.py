"""The schema's versions, plain SQL, each applied once; and the epoch, which says since when the journal knows all.

Both run in one transaction that the back end has made exclusive (`begin immediate`, an advisory lock).
"""

from functools import cache
from importlib import resources

from msgspec import Struct

from router.errors import ConfigError
from router.journal.statements import Steps

_TABLE = """create table if not exists migrations (number bigint not null primary key, applied_us bigint not null)"""
_APPLIED = """select number from migrations order by number"""
_RECORD = """insert into migrations (number, applied_us) values ($1, now_us())"""
_EPOCHS = """select began_us, timeline from epochs order by began_us"""
_BEGIN = """insert into epochs (began_us, timeline, seen_us) values (now_us(), $1, now_us())"""
_LOST = """insert into epochs (began_us, timeline, seen_us) values ($1, 'lost', $1)"""
PROVE = """update epochs set seen_us = now_us()"""
SEEN = """select max(seen_us) from epochs"""


class Epoch(Struct, frozen=True):
    """Since when the journal knows every command, and whether that is since its creation."""

    began_us: int
    first: bool


@cache
def scripts() -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Return every migration's number and statements, in order."""
    folder = resources.files(__package__) / "schema"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return tuple((int(file.name.partition(".")[0]), _statements(file.read_text("utf-8"))) for file in files)


def open_epoch(timeline: str, witnessed_us: int = 0) -> Steps[Epoch]:
    """Bring the schema up to date, prove that the journal can be written, and return its epoch.

    `timeline` is what the back end can tell a restored or promoted copy by; one that changed begins a new epoch.
    So does a journal that was last written before `witnessed_us`, when somebody saw it being written.
    """
    yield from _migrate()
    seen_us = (yield SEEN, ())[0][0]
    restored = seen_us is not None and seen_us < witnessed_us
    if seen_us is None and witnessed_us:
        yield _LOST, (witnessed_us,)
    yield PROVE, ()
    epochs = yield _EPOCHS, ()
    if not epochs or restored or epochs[-1][1] != timeline:
        yield _BEGIN, (timeline,)
        epochs = yield _EPOCHS, ()
    return Epoch(epochs[-1][0], len(epochs) == 1)


def _migrate() -> Steps[None]:
    yield _TABLE, ()
    applied = {row[0] for row in (yield _APPLIED, ())}
    known = scripts()
    if newer := sorted(applied - {number for number, _ in known}):
        raise ConfigError([f"journal.url: this journal was written by a newer version (schema {newer[-1]})"])
    for number, statements in known:
        if number not in applied:
            for statement in statements:
                yield statement, ()
            yield _RECORD, (number,)


def _statements(script: str) -> tuple[str, ...]:
    lines = (line for line in script.splitlines() if not line.lstrip().startswith("--"))
    return tuple(part.strip() for part in "\n".join(lines).split(";") if part.strip())
