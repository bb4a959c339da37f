"""Retention: old commands leave once their result is final and every copy of it is confirmed."""

from typing import Final

from router.journal.operations.statements import Params, Steps

CHUNK: Final = 100
"""Commands per transaction, so that nobody waits long for one."""

# Deleting the command first locks it, and says exactly whose rows go with it.
_DELETE = """delete from commands where state in ('final', 'given_up') and (command_id, sender) in (
        select c.command_id, c.sender from commands c
        where c.state in ('final', 'given_up') and c.updated_us < now_us() - $1
          and not exists (select 1 from outbox o where o.received_us = c.received_us and o.command_id = c.command_id
                          and o.sender = c.sender and o.confirmed_us is null)
        order by c.updated_us limit $2)
    returning received_us, command_id, sender"""
# Written out, because SQLite finds no index for a list of row values.
_WHOLE = " or ".join(
    f"(received_us = ${3 * row + 1} and command_id = ${3 * row + 2} and sender = ${3 * row + 3})"
    for row in range(CHUNK)
)
_CHILDREN = tuple(
    f"delete from {table} where {_WHOLE}"  # noqa: S608 - our own words
    for table in ("attempts", "outbox", "replies", "evidence", "history")
)


def retire(older_than_us: int) -> Steps[int]:
    """Delete up to `CHUNK` commands whose last change is older than that, and return how many there were."""
    rows = yield _DELETE, (older_than_us, CHUNK)
    if not rows:
        return 0
    keys: list[str | int] = []
    for row in range(CHUNK):
        # Always as many as the statement has places, so that it is prepared once; the last key is repeated.
        keys += rows[min(row, len(rows) - 1)]
    params: Params = tuple(keys)
    for delete in _CHILDREN:
        yield delete, params
    return len(rows)
