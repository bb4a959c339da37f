"""Numbers that tell the processes of a journal apart, each held for a while (`router.access.slots`)."""

from typing import Final

from router.journal.operations.statements import Steps

_TRIES: Final = 3
_KEEP: Final = """update slots set until_us = now_us() + $2 where process = $1 returning number"""
_TAKE: Final = """update slots set process = $1, until_us = now_us() + $2
    where until_us <= now_us() and number = (select min(number) from slots where until_us <= now_us())
    returning number"""
_ADD: Final = """insert into slots (number, process, until_us)
    select count(*), $1, now_us() + $2 from slots having count(*) < $3
    on conflict do nothing returning number"""
_RELEASE: Final = """update slots set until_us = now_us() + $2, process = '' where process = $1 returning number"""
REST_US: Final = 5_000_000
"""How long a number rests after its process: the next one's clock may be behind what its stamps were made by."""


def take(process: str, count: int, hold_us: int) -> Steps[int | None]:
    """Run `router.ports.SlotJournal.take_slot`."""
    rows = yield _KEEP, (process, hold_us)
    for _ in range(_TRIES):  # another process may take the same one at the same moment
        rows = rows or (yield _TAKE, (process, hold_us)) or (yield _ADD, (process, hold_us, count))
    return int(rows[0][0]) if rows else None


def release(process: str) -> Steps[None]:
    """Run `router.ports.SlotJournal.release_slot`."""
    yield _RELEASE, (process, REST_US)
