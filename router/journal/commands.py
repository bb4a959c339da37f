"""What is stored of a command between its admission and its last result: save, load, due, neighbours."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from router.job import AttemptEnd, AttemptStart, Job, Outgoing, State
from router.journal import outbox
from router.journal.statements import Steps, optional, storable
from schemas.commands import Close
from schemas.results import Result

ORDERS_SINCE_US: Final = 24 * 3600 * 1_000_000
"""How much earlier than a command another one may have come whose order is still mistaken for its own.

A command is sent within its deadline, minutes after it came, and an order older than the send is never ours. A day
leaves room for long deadlines and wrong clocks, and keeps the answer small however old the journal is.
"""

_job: msgspec.json.Decoder[Job] = msgspec.json.Decoder(Job)

START = """insert into attempts (received_us, command_id, sender, number, started_us) values ($1, $2, $3, $4, $5)"""
# A position once released is never taken again by the same command: a later one may hold it by now.
_SAVE = """update commands set state = $4, version = $5, next_us = $6, order_id = $7, job = $8, updated_us = now_us(),
        position = case when $4 = 'final' then null else position end
    where command_id = $1 and sender = $2 and version = $3 and state <> 'given_up'
    returning reply, asked, joined"""
_END = """update attempts set ended_us = $5, outcome = $6, venue_code = $7, message = $8, sent_us = $9
    where received_us = $1 and command_id = $2 and sender = $3 and number = $4 and ended_us is null returning number"""
_EVIDENCE = """insert into evidence (received_us, command_id, sender, number, at_us, outcome, venue_code, message,
        sent_us)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""
# Whoever saved the newest version owns the command; an attempt left open is that of a process that lost it.
_ABANDON = """update attempts set ended_us = $3, outcome = 'Abandoned'
    where command_id = $1 and sender = $2 and ended_us is null"""
_LOAD = """select job from commands where command_id = $1 and sender = $2 and state <> 'given_up'"""
_DUE = """select next_us, job from commands
    where venue = $1 and next_us is not null and next_us <= $2 order by next_us limit $3"""
_DOUBTS = """select venue, count(*), min(received_us) from commands
    where state in ('open', 'in_doubt', 'unresolved') and state <> 'open' group by venue"""
_TAKEN = """select order_id from commands
    where venue = $1 and account = $2 and received_us >= $3 and order_id is not null and action = 'close'
      and not (command_id = $4 and sender = $5)"""
_RIVALS = """select job from commands
    where venue = $1 and account = $2 and symbol = $3 and state in ('open', 'in_doubt', 'unresolved')
      and action = 'close' and not (command_id = $4 and sender = $5)"""
_LIVE = """select job from commands where state in ('open', 'in_doubt', 'unresolved')
    order by received_us limit $1"""
_LIVE_IN = """select job from commands where state in ('open', 'in_doubt', 'unresolved') and state = $2
    order by received_us limit $1"""
_SETTLED = """select job from commands where state in ('final', 'given_up') and state = 'final'
    order by updated_us desc limit $1"""


def encode_job(job: Job) -> str:
    """Return the stored form of a job."""
    return msgspec.json.encode(job).decode()


def save(
    job: Job, *, start: AttemptStart | None = None, end: AttemptEnd | None = None, result: Result | None = None
) -> Steps[tuple[Job, tuple[Outgoing, ...]] | None]:
    """Run `router.ports.Journal.save`."""
    whole = (job.received_us, job.command_id, job.sender)
    key = whole[1:]
    stored = msgspec.structs.replace(job, version=job.version + 1)
    rows = yield (
        _SAVE,
        (
            *key,
            job.version,
            stored.state,
            stored.version,
            stored.next_us,
            optional(stored.order_id),
            encode_job(stored),
        ),
    )
    if not rows:
        if end is not None:
            yield _EVIDENCE, (*whole, *_seen(end))
        return None
    if end is not None and not (yield _END, (*whole, *_seen(end))):
        yield _EVIDENCE, (*whole, *_seen(end))
    if start is not None:
        if start.number > 1 and end is None:
            yield _ABANDON, (*key, start.at_us)
        yield START, (*whole, start.number, start.at_us)
    if result is None:
        return stored, ()
    reply, asked, joined = rows[0]
    later = yield from outbox.waits(whole, result)
    replies = yield from outbox.owed(whole, result, outbox.decode_reply(reply), asked, joined)
    return stored, (yield from outbox.put(whole, result, replies, waits=later))


def load(sender: str, command_id: str) -> Steps[Job | None]:
    """Run `router.ports.Journal.load`."""
    rows = yield _LOAD, (command_id, sender)
    return _job.decode(rows[0][0]) if rows else None


def due(now_us: int, limit: int, venues: Collection[str]) -> Steps[Sequence[Job]]:
    """Run `router.ports.Journal.due`."""
    found: list[Sequence[Any]] = []
    for venue in venues:
        found += yield _DUE, (venue, now_us, limit)
    return [_job.decode(job) for _, job in sorted(found, key=lambda row: int(row[0]))[:limit]]


def doubts() -> Steps[Mapping[str, tuple[int, int]]]:
    """Count the commands in doubt or unresolved per venue, and say when the oldest came."""
    return {venue: (count, since_us) for venue, count, since_us in (yield _DOUBTS, ())}


def neighbours(job: Job) -> Steps[tuple[frozenset[str], tuple[Close, ...]]]:
    """Run `router.ports.Journal.neighbours`. Only closes place orders, and a dry run places none."""
    command = job.command
    place = (command.venue, command.account)
    itself = (job.command_id, job.sender)
    taken = yield _TAKEN, (*place, job.received_us - ORDERS_SINCE_US, *itself)
    rows = yield _RIVALS, (*place, command.symbol, *itself)
    rivals = [_job.decode(row[0]).command for row in rows]
    return (
        frozenset(row[0] for row in taken),
        tuple(rival for rival in rivals if isinstance(rival, Close) and not rival.dry_run),
    )


def listing(state: State | None, limit: int) -> Steps[Sequence[Job]]:
    """Return commands for a person: what has no settled result first, oldest first, then the latest of the rest."""
    found: list[Job] = []
    if state != "final":
        rows = yield (_LIVE, (limit,)) if state is None else (_LIVE_IN, (limit, state))
        found = [_job.decode(row[0]) for row in rows]
    if state in {None, "final"} and len(found) < limit:
        rows = yield _SETTLED, (limit - len(found),)
        found += [_job.decode(row[0]) for row in rows]
    return found


def _seen(end: AttemptEnd) -> tuple[int, int, str, str | None, str, int | None]:
    code = optional(end.venue_code)
    return end.number, end.at_us, storable(end.outcome), code, storable(end.message), end.sent_us
