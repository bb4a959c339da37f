"""What is stored of a command between its admission and its last result: save, load, due, neighbours."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from router.clock import to_us
from router.errors import UnreadableRow
from router.journal.operations import results
from router.journal.operations.statements import Key, Many, Params, Statement, Steps, optional, storable
from router.records.command import ABANDONED, AttemptEnd, CommandRecord, Moment, Outgoing, Saved, kind
from router.telemetry.logs import POD
from schemas.commands import Close
from schemas.results import Result

ORDERS_SINCE_US: Final = 24 * 3600 * 1_000_000
"""How much earlier than a command another one may have come whose order is still mistaken for its own.

A command is sent within its deadline, minutes after it came, and an order older than the send is never ours. A day
leaves room for long deadlines and wrong clocks, and keeps the answer small however old the journal is.
"""

_record: msgspec.json.Decoder[CommandRecord] = msgspec.json.Decoder(CommandRecord)

# A position once released is never taken again by the same command: a later one may hold it by now.
_SAVE: Final = Many(
    """update commands set state = given.state, version = given.version + 1, next_us = given.next_us,
        order_id = given.order_id, kind = given.kind, own_us = given.own_us, job = given.job, updated_us = now_us(),
        position = case when given.state = 'final' then null else commands.position end
    from given where commands.command_id = given.command_id and commands.sender = given.sender
        and commands.version = given.version and commands.received_us = given.received_us
        and commands.state <> 'given_up'
    returning commands.command_id, commands.sender, reply, asked, joined, now_us()""",
    "command_id text, sender text, version bigint, received_us bigint, state text, next_us bigint, order_id text, "
    "kind text, own_us bigint, job text",
)
_END: Final = Many(
    """insert into attempts (received_us, command_id, sender, number, started_us, ended_us, outcome, venue_code,
        message, sent_us, endpoint, http_status, pod)
    select received_us, command_id, sender, number, started_us, ended_us, outcome, venue_code, message, sent_us,
        endpoint, http_status, pod
    from given where received_us is not null
    on conflict do nothing returning command_id, sender""",
    "received_us bigint, command_id text, sender text, number bigint, started_us bigint, ended_us bigint, "
    "outcome text, venue_code text, message text, sent_us bigint, endpoint text, http_status bigint, pod text",
)
_EVIDENCE = """insert into evidence (received_us, command_id, sender, number, at_us, outcome, venue_code, message,
        sent_us, endpoint, http_status, pod)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"""
_LOAD = """select job from commands where command_id = $1 and sender = $2 and state <> 'given_up'"""
# One statement, so that a close that settles meanwhile is in one of the two sets.
_NEIGHBOURS = """select order_id, null as job from commands
    where venue = $1 and account = $2 and received_us >= $3 and order_id is not null and action = 'close'
      and not (command_id = $4 and sender = $5)
    union all
    select null, job from commands
    where venue = $1 and account = $2 and symbol = $6 and state in ('open', 'in_doubt', 'unresolved')
      and action = 'close' and not (command_id = $4 and sender = $5)"""


def encode_record(record: CommandRecord) -> str:
    """Return the stored form of a command."""
    return msgspec.json.encode(record).decode()


def decode_record(text: str, command_id: str) -> CommandRecord:
    """Read a stored command. Raises `UnreadableRow` for one that this version cannot read."""
    try:
        return _record.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnreadableRow(f"the row of command {command_id} cannot be read by this version") from error


def row_key(record: CommandRecord) -> Key:
    """Return what the keys of a command's rows in other tables begin with."""
    return record.received_us, record.command_id, record.sender


class Save(Struct, frozen=True):
    """Run `router.ports.Journal.save`."""

    record: CommandRecord
    end: AttemptEnd | None = None
    result: Result | None = None
    asked_us: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """The command it is about."""
        return self.record.command_id, self.record.sender

    def stored(self) -> CommandRecord:
        """Return the command as it is stored."""
        return msgspec.structs.replace(self.record, version=self.record.version + 1)

    def told(self, reply: str, asked: int, joined: int) -> Steps[tuple[Outgoing, ...]]:
        """Return a copy of the result, if there is one, for everybody who is owed it. They have to be stored."""
        if self.result is None:
            return ()
        key, first = row_key(self.record), results.decode_reply(reply)
        later = yield from results.waits(key, self.result)
        replies = yield from results.owed(key, self.result, first, asked, joined)
        return results.copies(key, self.result, replies, waits=later)

    def saved(self, record: CommandRecord, outgoing: tuple[Outgoing, ...], now_us: int) -> Saved:
        """Return the verdict on what is stored now."""
        return Saved(record, outgoing, Moment(self.asked_us, now_us))

    def __call__(self) -> Steps[Saved | None]:
        """Do it by itself."""
        stored = self.stored()
        rows = yield update([changes(stored)])
        if not rows:
            yield from evidence(self)
            return None
        if self.end is not None and not (yield end([ended(self.record, self.end)])):
            yield from evidence(self)
        *who, now_us = rows[0][2:]
        outgoing = yield from self.told(*who)
        if outgoing:
            yield results.store(results.put(row_key(stored), outgoing))
        return self.saved(stored, outgoing, now_us)


def update(rows: Sequence[Params]) -> Statement:
    """Return the statement that changes commands and returns who has waited for those that it changed."""
    return _SAVE, rows


def changes(stored: CommandRecord) -> Params:
    """Return a row of `update`."""
    # By its time it is told from a row of that id which took its place since, in a journal that was put back.
    key = stored.command_id, stored.sender, stored.version - 1, stored.received_us
    return *key, stored.state, stored.next_us, optional(stored.order_id), *place(stored), encode_record(stored)


def place(record: CommandRecord) -> tuple[str, int | None]:
    """Return what a due command needs a place for, and from when on it needs no venue."""
    needs = kind(record, 0)
    return needs, to_us(record.command.not_after) if needs == "act" and not record.attempts else None


def end(rows: Sequence[Params]) -> Statement:
    """Return the statement that stores what attempts came to and returns the keys of those that were not known."""
    return _END, rows


def ended(record: CommandRecord, end: AttemptEnd) -> Params:
    """Return a row of `end`."""
    return *row_key(record), end.number, end.began_us, *_seen(end)


def evidence(save: Save) -> Steps[None]:
    """Keep what an attempt came to when its row, or its command, is somebody else's by now."""
    if save.end is not None and save.end.outcome != ABANDONED:
        yield _EVIDENCE, (*row_key(save.record), save.end.number, *_seen(save.end))


def load(sender: str, command_id: str) -> Steps[CommandRecord | None]:
    """Run `router.ports.Journal.load`."""
    rows = yield _LOAD, (command_id, sender)
    return decode_record(rows[0][0], command_id) if rows else None


def neighbours(record: CommandRecord) -> Steps[tuple[frozenset[str], tuple[Close, ...]]]:
    """Run `router.ports.Journal.neighbours`. Only closes place orders, and a dry run places none."""
    command = record.command
    since_us = record.received_us - ORDERS_SINCE_US
    key = (command.venue, command.account, since_us, record.command_id, record.sender, command.symbol)
    rows = yield _NEIGHBOURS, key
    rivals = [decode_record(text, "").command for _, text in rows if text is not None]
    return (
        frozenset(order_id for order_id, _ in rows if order_id is not None),
        tuple(rival for rival in rivals if isinstance(rival, Close) and not rival.dry_run),
    )


def _seen(end: AttemptEnd) -> Params:
    code, where = optional(end.venue_code), (end.endpoint or None, end.status, end.pod or POD)
    return end.at_us, storable(end.outcome), code, storable(end.message), end.sent_us, *where
