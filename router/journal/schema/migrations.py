"""The schema's versions, plain SQL, each applied once; and the epoch, which says since when the journal knows all.

Both run in one transaction that the back end has made exclusive (`begin immediate`, an advisory lock).
"""

import secrets
from functools import cache
from importlib import resources

from msgspec import Struct

from router.errors import ConfigError
from router.journal.operations.statements import Steps

_TABLE = """create table if not exists migrations (number bigint not null primary key, applied_us bigint not null)"""
_APPLIED = """select number from migrations order by number"""
_RECORD = """insert into migrations (number, applied_us) values ($1, now_us())"""
_EPOCHS = """select began_us, timeline from epochs order by began_us"""
_BEGIN = """insert into epochs (began_us, timeline, seen_us) select max(us), $1, now_us()
    from (select now_us() as us union all select began_us + 1 from epochs) times"""
_LOST = """insert into epochs (began_us, timeline, seen_us) values ($1, 'lost', $1)"""
PROVE = """update clock set seen_us = now_us() where seen_us < now_us()"""
SEEN = """select seen_us from clock"""
_CLOCK = """select boot_id, offset_us, since_us from clock"""
_SET_CLOCK = """insert into clock (number, boot_id, offset_us, seen_us, since_us) values (1, $1, $2, $3, $3)
    on conflict (number) do update set boot_id = excluded.boot_id, offset_us = excluded.offset_us,
        since_us = excluded.since_us"""
_NAME = """insert into identity (number, journal_id) values (1, $1) on conflict do nothing"""
_IDENTITY = """select journal_id from identity"""
_HIGHEST = """select max(seen_us) from (select seen_us from clock union all select seen_us from epochs
    union all select max(at_us) from marks) highest"""


class Epoch(Struct, frozen=True):
    """Since when the journal knows every command, and whether that is since its creation."""

    began_us: int
    first: bool


@cache
def scripts() -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Return every migration's number and statements, in order."""
    folder = resources.files(__package__)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return tuple((int(file.name.partition(".")[0]), _statements(file.read_text("utf-8"))) for file in files)


class StoredClock(Struct, frozen=True):
    """The journal's clock as it is stored.

    `offset_us` is added to the clock below it, which is that of `boot_id`. `seen_us` is the highest time on disk,
    `since_us` since when the clock has gone on without a break.
    """

    boot_id: str
    offset_us: int
    seen_us: int
    since_us: int


def read_clock() -> Steps[StoredClock]:
    """Return the clock. Before it was ever set nothing is known of it. The schema must be up to date."""
    rows = yield _CLOCK, ()
    highest = (yield _HIGHEST, ())[0][0] or 0
    boot_id, offset_us, since_us = rows[0] if rows else ("", 0, 0)
    return StoredClock(boot_id, offset_us, highest, since_us)


def set_clock(boot_id: str, offset_us: int, now_us: int) -> Steps[None]:
    """Let the clock go on from `now_us`, `offset_us` ahead of the one below it."""
    yield _SET_CLOCK, (boot_id, offset_us, now_us)


def open_epoch(timeline: str, witnessed_us: int = 0) -> Steps[Epoch]:
    """Prove that the journal can be written, and return its epoch. Schema and clock must be up to date.

    `timeline` is what the back end can tell a restored or promoted copy by; one that changed begins a new epoch.
    So does a journal that was last written before `witnessed_us`, when somebody saw it being written.
    """
    seen_us = (yield SEEN, ())[0][0]
    epochs = yield _EPOCHS, ()
    restored = bool(epochs) and seen_us < witnessed_us
    if not epochs and witnessed_us:
        yield _LOST, (witnessed_us,)
    yield PROVE, ()
    if not epochs or restored or epochs[-1][1] != timeline:
        yield from begin_epoch(timeline)
    return (yield from present_epoch())


def begin_epoch(timeline: str) -> Steps[None]:
    """Begin a new epoch, now: after every other, also where the clock shows the moment in which the last began."""
    yield _BEGIN, (timeline,)


def present_epoch() -> Steps[Epoch]:
    """Return the epoch."""
    epochs = yield _EPOCHS, ()
    return Epoch(epochs[-1][0], len(epochs) == 1)


def identify() -> Steps[str]:
    """Return the journal's own name, made with it."""
    yield _NAME, (secrets.token_hex(16),)
    return str((yield _IDENTITY, ())[0][0])


def migrate() -> Steps[None]:
    """Bring the schema up to date."""
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
