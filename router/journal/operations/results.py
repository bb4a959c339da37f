"""Results on their way: stored with the state they report, published at least once, in order per command."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from router.errors import UnreadableRow
from router.journal.operations.statements import Key, Many, Params, Statement, Steps, storable
from router.records.command import Outgoing, Reply
from router.telemetry.logs import POD
from schemas.results import Result

HOLD_US: Final = 5_000_000
"""How long a result is left to whoever stored or claimed it. Who keeps it longer renews the claim."""

STALE_US: Final = 120_000_000
"""A pause that ended longer ago than this was of another trouble. A queue that stays stuck is paused again sooner."""

_log = structlog.get_logger(__name__)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_result: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)

_PUT: Final = Many(
    """insert into outbox (received_us, command_id, sender, seq, copy, reply_to, reply, result, created_us,
        next_us, pod)
    select received_us, command_id, sender, seq, copy, reply_to, reply, result, created_us, now_us() + hold_us, pod
    from given where received_us is not null""",
    "received_us bigint, command_id text, sender text, seq bigint, copy bigint, reply_to text, reply text, "
    "result text, created_us bigint, hold_us bigint, pod text",
)
_WAITS = """select 1 from outbox where received_us = $1 and command_id = $2 and sender = $3 and seq < $4
    and confirmed_us is null limit 1"""
_REPLIES = (
    """select reply, asked from replies where received_us = $1 and command_id = $2 and sender = $3 order by address"""
)
# From one queue's first row to the next queue's: however many rows wait for one, that costs the others nothing.
_QUEUES = """with recursive queues (name) as (
        select min(reply_to) from outbox where confirmed_us is null
        union all
        select (select min(reply_to) from outbox where confirmed_us is null and reply_to > queues.name)
        from queues where queues.name is not null)
    select name from queues where name is not null
      and exists (select 1 from outbox where reply_to = name and confirmed_us is null and next_us <= now_us())
      and not exists (select 1 from pauses where pauses.reply_to = name and until_us > now_us())"""
# Picked first, and once: within `in (…)` PostgreSQL may run the selection again for each row.
_CLAIM = """with picked as materialized (
        select o.received_us, o.command_id, o.sender, o.seq, o.copy from outbox o
        where o.reply_to = $1 and o.confirmed_us is null and o.next_us <= now_us()
          and not exists (select 1 from outbox e where e.received_us = o.received_us and e.command_id = o.command_id
                          and e.sender = o.sender and e.seq < o.seq and e.confirmed_us is null)
        order by o.next_us limit $2 for update skip locked)
    update outbox set next_us = now_us() + $3 from picked
    where outbox.received_us = picked.received_us and outbox.command_id = picked.command_id
      and outbox.sender = picked.sender and outbox.seq = picked.seq and outbox.copy = picked.copy
      and outbox.confirmed_us is null and outbox.next_us <= now_us()
    returning outbox.received_us, outbox.command_id, outbox.sender, outbox.seq, outbox.copy, reply, result,
        created_us"""
_RENEW: Final = Many(
    """update outbox set next_us = now_us() + given.hold_us from given
    where outbox.received_us = given.received_us and outbox.command_id = given.command_id
      and outbox.sender = given.sender and outbox.seq = given.seq and outbox.copy = given.copy
      and outbox.confirmed_us is null""",
    "received_us bigint, command_id text, sender text, seq bigint, copy bigint, hold_us bigint",
)
_PAUSE = """insert into pauses (reply_to, until_us, since_us) values ($1, now_us() + $2, now_us())
    on conflict (reply_to) do update set until_us = excluded.until_us,
        since_us = case when pauses.until_us + $3 < excluded.since_us then excluded.since_us else pauses.since_us end
    returning now_us() - since_us"""
_RESUME = """delete from pauses where reply_to = $1"""
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
            storable(item.reply.reply_to),
            encode(item.reply),
            encode(item.result),
            (item.result.completed_at - _EPOCH) // _MICROSECOND,
            0 if item.waits else HOLD_US,
            POD,
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
    """Return the last result that was stored, as its first address was told it. Raises `UnreadableRow`."""
    rows = yield _LAST, key
    try:
        return _result.decode(rows[0][0]) if rows else None
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreadableRow(f"a result of command {key[1]} cannot be read by this version") from error


def claim(room: Mapping[str, int], per_queue: int, limit: int) -> Steps[tuple[Outgoing, ...]]:
    """Run `router.ports.ResultJournal.unpublished`.

    Of each command only the lowest unconfirmed `seq` is taken, so nothing is ever overtaken.
    """
    found: list[Sequence[Any]] = []
    for (name,) in (yield _QUEUES, ()):
        places = min(room.get(name, per_queue), limit - len(found))
        if places > 0:
            found += yield _CLAIM, (name, places, HOLD_US)
    outgoing = []
    for *key, _, copy, reply, result, _ in sorted(found, key=lambda row: (row[7], *row[:5])):
        try:
            read = _reply.decode(reply), _result.decode(result)
        except (msgspec.DecodeError, RecursionError) as error:
            # A newer version's: one of its processes will get it out.
            _log.error("row_unreadable", table="outbox", command_id=key[1], error=type(error).__name__)
            continue
        outgoing.append(_outgoing(tuple(key), copy, *read, waits=False))
    return tuple(outgoing)


def renew(outbox_ids: Collection[str], hold_us: int) -> Steps[None]:
    """Keep claims for so long from now, or with 0 let go of them."""
    if outbox_ids:
        yield _RENEW, [(*confirmation(outbox_id, 0)[:-1], hold_us) for outbox_id in outbox_ids]


def pause(reply_to: str, for_us: int) -> Steps[int]:
    """Run `router.ports.ResultJournal.pause`."""
    rows = yield _PAUSE, (storable(reply_to), for_us, STALE_US)
    return int(rows[0][0])


def resume(reply_to: str) -> Steps[None]:
    """Run `router.ports.ResultJournal.resume`."""
    yield _RESUME, (storable(reply_to),)


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
