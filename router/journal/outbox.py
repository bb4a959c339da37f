"""Results on their way: stored with the state they report, published at least once, in order per command."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from router.job import Outgoing, Reply
from router.journal.statements import Key, Many, Params, Statement, Steps, storable
from schemas.results import Result

HOLD_US: Final = 5_000_000
"""How long a claimed result is left to whoever claimed it. A confirm takes milliseconds or the broker is gone."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_result: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)

_PUT: Final = Many(
    """insert into outbox (received_us, command_id, sender, seq, copy, reply, result, created_us, next_us)
    select received_us, command_id, sender, seq, copy, reply, result, created_us, now_us() from given
    where received_us is not null""",
    "received_us bigint, command_id text, sender text, seq bigint, copy bigint, reply text, result text, "
    "created_us bigint",
)
_WAITS = """select 1 from outbox where received_us = $1 and command_id = $2 and sender = $3 and seq < $4
    and confirmed_us is null limit 1"""
_REPLIES = (
    """select reply, asked from replies where received_us = $1 and command_id = $2 and sender = $3 order by address"""
)
_CLAIM = """update outbox set next_us = now_us() + $3
    where confirmed_us is null and next_us <= now_us() and (received_us, command_id, sender, seq, copy) in (
        select o.received_us, o.command_id, o.sender, o.seq, o.copy from outbox o
        where o.confirmed_us is null and o.next_us <= now_us() and o.created_us <= $1
          and not exists (select 1 from outbox e where e.received_us = o.received_us and e.command_id = o.command_id
                          and e.sender = o.sender and e.seq < o.seq and e.confirmed_us is null)
        order by o.next_us limit $2)
    returning received_us, command_id, sender, seq, copy, reply, result, created_us"""
_MARK: Final = Many(
    """update outbox set confirmed_us = given.confirmed_us from given
    where outbox.received_us = given.received_us and outbox.command_id = given.command_id
      and outbox.sender = given.sender and outbox.seq = given.seq and outbox.copy = given.copy
      and outbox.confirmed_us is null""",
    "received_us bigint, command_id text, sender text, seq bigint, copy bigint, confirmed_us bigint",
)
_LAST = """select result from outbox where received_us = $1 and command_id = $2 and sender = $3
    order by seq desc, copy limit 1"""


def decode_reply(text: str) -> Reply:
    """Read a stored reply address."""
    return _reply.decode(text)


def encode(value: Reply | Result) -> str:
    """Return a stored form."""
    return msgspec.json.encode(value).decode()


def copies(key: Key, result: Result, replies: Sequence[Reply], *, waits: bool) -> tuple[Outgoing, ...]:
    """Return one copy of a result per entry of `replies`; every copy but the first says `duplicate`."""
    again = msgspec.structs.replace(result, duplicate=True) if len(replies) > 1 else result
    return tuple(
        _outgoing(key, copy, reply, again if copy else result, waits=waits) for copy, reply in enumerate(replies)
    )


def put(key: Key, outgoing: Iterable[Outgoing]) -> list[Params]:
    """Return the rows of `store` for the copies of one command's result."""
    return [
        (
            *key,
            item.result.seq,
            copy,
            encode(item.reply),
            encode(item.result),
            (item.result.completed_at - _EPOCH) // _MICROSECOND,
        )
        for copy, item in enumerate(outgoing)
    ]


def store(rows: Sequence[Params]) -> Statement:
    """Return the statement that stores results."""
    return _PUT, rows


def owed(key: Key, result: Result, first: Reply, asked: int, joined: int) -> Steps[list[Reply]]:
    """Return whom a result goes to.

    The first result goes to every delivery that came, later ones once to every distinct address.
    """
    addresses = [(first, asked)]
    if joined:
        rows = yield _REPLIES, key
        addresses += [(_reply.decode(reply), count) for reply, count in rows]
    return [reply for reply, count in addresses for _ in range(count if result.seq == 1 else 1)]


def waits(key: Key, result: Result) -> Steps[bool]:
    """Say whether an earlier result of the command is not confirmed yet."""
    if result.seq == 1:
        return False
    return bool((yield _WAITS, (*key, result.seq)))


def last(key: Key) -> Steps[Result | None]:
    """Return the last result that was stored, as its first address was told it."""
    rows = yield _LAST, key
    return _result.decode(rows[0][0]) if rows else None


def claim(older_than_us: int, limit: int) -> Steps[tuple[Outgoing, ...]]:
    """Take results completed before an instant, and hold them back from other claims for `HOLD_US`.

    Of each command only the lowest unconfirmed `seq` is taken, so nothing is ever overtaken.
    """
    rows = yield _CLAIM, (older_than_us, limit, HOLD_US)
    return tuple(
        _outgoing(tuple(key), copy, _reply.decode(reply), _result.decode(result), waits=False)
        for *key, _, copy, reply, result, _ in sorted(rows, key=lambda row: (row[7], *row[:5]))
    )


def confirm(marks: Sequence[Params]) -> Statement:
    """Return the statement that marks results as confirmed."""
    return _MARK, marks


def confirmation(outbox_id: str, at_us: int) -> Params:
    """Return a row of `confirm`."""
    # Neither a command id nor a number holds a slash; a sender may.
    sender, command_id, received_us, seq, copy = outbox_id.rsplit("/", 4)
    return int(received_us), storable(command_id), storable(sender), int(seq), int(copy), at_us


def _outgoing(key: Key, copy: int, reply: Reply, result: Result, *, waits: bool) -> Outgoing:
    received_us, command_id, sender = key
    return Outgoing(
        outbox_id=f"{sender}/{command_id}/{received_us}/{result.seq}/{copy}",
        sender=sender,
        command_id=command_id,
        reply=reply,
        result=result,
        waits=waits,
    )
