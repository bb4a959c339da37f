"""Marks for the witness, epochs, and messages under suspicion."""

import secrets
from collections.abc import Collection
from typing import Final

from router.journal.operations.statements import Steps
from router.journal.schema.migrations import Epoch, begin_epoch, present_epoch
from router.ports import Comparison

KEPT_US: Final = 172_800_000_000
"""Two days."""
KEPT: Final = 10_000
"""So many stay however old they are: the witness keeps its last for as long as nothing is done."""
HANDLED_US: Final = 3_000_000
"""A message that is handled alone is done within that, and one that was is forgotten within that once asked for."""
ASKED: Final = "asked "
"""Stands before a process that was given so long to say that it lives: its journal may have been away."""

_MARK = """insert into marks (id, at_us) values ($1, now_us()) on conflict do nothing returning id"""
_ANY = """select 1 from marks limit 1"""
_THERE = """select 1 from marks where id = $1"""
_RETIRE = """delete from marks where at_us < now_us() - $1
    and at_us < (select min(at_us) from (select at_us from marks order by at_us desc limit $2) newest) returning id"""
_SEEN = """update clock set seen_us = now_us() where seen_us < now_us()"""
_SUSPECT = """select pod, ended, now_us() - at_us from suspects where message = $1"""
_PUT_SUSPECT = """insert into suspects (message, pod, ended, at_us) values ($1, $2, $3, now_us())
    on conflict (message) do update set pod = excluded.pod, ended = excluded.ended, at_us = excluded.at_us"""
_CLEAR = """delete from suspects where message = $1 and (pod = $2 or pod = $3)"""
_RETIRE_SUSPECTS = """delete from suspects where at_us < now_us() - $1 returning message"""


def mark() -> Steps[str]:
    """Store a new mark and return it; and that the clock has come this far."""
    name = secrets.token_hex(12)
    yield _MARK, (name,)
    yield _SEEN, ()
    return name


def certify(marks: Collection[str], timeline: str) -> Steps[tuple[Epoch, Comparison]]:
    """Store the marks that are missing; any that is begins a new epoch. Return the epoch, and what was found."""
    if not marks and (yield _ANY, ()):
        return (yield from present_epoch()), "unwitnessed"
    missing = False
    for name in marks:
        missing = bool((yield _MARK, (name,))) or missing
    if missing:
        yield from begin_epoch(timeline)
    return (yield from present_epoch()), "put back" if missing else "same"


def retire() -> Steps[int]:
    """Delete marks that nobody asks for any more."""
    yield _RETIRE_SUSPECTS, (KEPT_US,)
    return len((yield _RETIRE, (KEPT_US, KEPT)))


def there(name: str) -> Steps[bool]:
    """Say whether a mark is still stored."""
    return bool((yield _THERE, (name,)))


def suspect(message: str, pod: str) -> Steps[tuple[int, int]]:
    """Run `router.ports.Journal.suspect`."""
    rows = yield _SUSPECT, (message,)
    ended = 0
    if rows:
        other, ended, age_us = rows[0]
        others = other not in {pod, ASKED + pod}
        if others and age_us < HANDLED_US:
            return ended, HANDLED_US - age_us
        if others and not other.startswith(ASKED):
            yield _PUT_SUSPECT, (message, ASKED + other, ended)
            return ended, HANDLED_US
        ended += others
    yield _PUT_SUSPECT, (message, pod, ended)
    return ended, 0


def cleared(message: str, pod: str) -> Steps[None]:
    """Run `router.ports.Journal.cleared`."""
    yield _CLEAR, (message, pod, ASKED + pod)
