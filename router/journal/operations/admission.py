"""Admit: store a new command, or say what is stored under its id.

A new command costs one statement, shared with others (`batch.py`). Only when that statement did not insert it does
anybody look why: the id is taken, or the position is.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from router.errors import JournalUnavailable
from router.journal.operations import results
from router.journal.operations.commands import encode_record, place, row_key
from router.journal.operations.statements import Key, Many, Params, Statement, Steps, optional
from router.records.command import (
    Admission,
    Admitted,
    Busy,
    CommandRecord,
    Joined,
    Moment,
    Repeat,
    Reply,
    Reused,
    TooLate,
)
from schemas.commands import Close
from schemas.results import Result

_TRIES: Final = 5
"""Every pass but the last lost a race against another process that changed the same row."""

_INSERT: Final = Many(
    """insert into commands (command_id, sender, digest, venue, account, action, symbol, position, state, version,
        next_us, order_id, received_us, updated_us, reply, asked, joined, kind, own_us,
        client_order_id, job)
    select command_id, sender, digest, venue, account, action, symbol, position, state, version, next_us, order_id,
        received_us, now_us(), reply, 1, 0, kind, own_us, client_order_id, job
    from given where command_id is not null
    on conflict do nothing returning command_id, sender, now_us()""",
    "command_id text, sender text, digest text, venue text, account text, action text, symbol text, position text, "
    "state text, version bigint, next_us bigint, order_id text, received_us bigint, reply text, kind text, "
    "own_us bigint, client_order_id text, job text",
)
_FIND = """select state, digest, reply, received_us from commands where command_id = $1 and sender = $2"""
_FORGET = """delete from commands where command_id = $1 and sender = $2 and state = 'given_up'"""
_ASK_AGAIN = """update commands set asked = asked + 1
    where command_id = $1 and sender = $2 and state = 'open' returning state"""
_JOIN = """update commands set joined = joined + 1
    where command_id = $1 and sender = $2 and state = $3 returning state"""
_ADDRESS = """insert into replies (received_us, command_id, sender, address, asked, reply)
    values ($1, $2, $3, $4, 1, $5)
    on conflict (received_us, command_id, sender, address) do update set asked = replies.asked + 1"""
_GIVE_UP = """insert into commands (command_id, sender, digest, venue, account, action, state, version, received_us,
        updated_us, reply, asked, joined, job)
    values ($1, $2, '', '', '', 'close', 'given_up', 0, now_us(), now_us(), '', 0, 0, '')
    on conflict do nothing"""


class Admit(Struct, frozen=True):
    """Run `router.ports.Journal.admit`. A refusal is stored as final, whatever state the command says."""

    record: CommandRecord
    reply: Reply
    digest: str
    result: Result | None = None
    asked_us: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """The command it is about."""
        return self.record.command_id, self.record.sender

    def stored(self) -> CommandRecord:
        """Return the command as it is stored."""
        if self.result is None:
            return self.record
        return msgspec.structs.replace(self.record, state="final", next_us=None, seq=self.result.seq)

    def admitted(self, record: CommandRecord, now_us: int) -> Admitted:
        """Return the verdict on a new command; a refusal's copies have to be stored as well."""
        at = Moment(self.asked_us, now_us)
        if self.result is None:
            return Admitted(record, (), at)
        return Admitted(record, results.copies(row_key(record), self.result, [self.reply], waits=False), at)

    def __call__(self) -> Steps[Admission]:
        """Do it by itself."""
        record = self.stored()
        for _ in range(_TRIES):
            inserted = yield insert([columns(self, record)])
            if inserted:
                admitted = self.admitted(record, inserted[0][2])
                if admitted.outgoing:
                    yield results.store(results.put(row_key(record), admitted.outgoing))
                return admitted
            found = yield _FIND, self.key
            if not found:
                if record.position is not None:
                    return Busy()
                continue  # whatever was in the way is gone
            state, stored_digest, first, received_us = found[0]
            if state == "given_up":
                # What may have been sent before it was admitted is looked up, whoever gave it up meanwhile.
                tried = record.unanswered and record.began_us is None
                if isinstance(record.command, Close) and self.result is None and not tried:
                    return TooLate()
                yield _FORGET, self.key
                continue
            if stored_digest != self.digest:
                return Reused()
            answer = yield from _again(state, (received_us, *self.key), self.reply, results.decode_reply(first))
            if answer is not None:
                return answer
        raise JournalUnavailable(f"the row of command {record.command_id} changed {_TRIES} times while it was read")


def insert(rows: Sequence[Params]) -> Statement:
    """Return the statement that stores new commands and returns the keys of those it stored."""
    return _INSERT, rows


def give_up_target(sender: str, command_id: str) -> Steps[None]:
    """Run `router.ports.Journal.give_up_target`. A command that is there by now stays what it is."""
    yield _GIVE_UP, (command_id, sender)


def _again(state: str, whole: Key, reply: Reply, first: Reply) -> Steps[Joined | Repeat | None]:
    """Answer a command that is stored already; `None` when its state changed meanwhile.

    The row is updated before the address is added: whoever concludes the command waits for that row, and sees it.
    """
    key = whole[1:]
    known = _address(reply) == _address(first)
    if state == "open":
        if not (yield (_ASK_AGAIN, key) if known else (_JOIN, (*key, state))):
            return None
        if not known:
            yield _ADDRESS, (*whole, _address(reply), results.encode(reply))
        return Joined()
    if state != "final" and not known:
        if not (yield _JOIN, (*key, state)):
            return None
        yield _ADDRESS, (*whole, _address(reply), results.encode(reply))
    result = yield from results.last(whole)
    if result is None:
        raise LookupError(f"command {whole[1]} is {state} and has no result on record")
    return Repeat(result)


def _address(reply: Reply) -> str:
    # As JSON, because a broker takes characters that a text column does not.
    return msgspec.json.encode((reply.reply_to, reply.correlation_id)).decode()


def columns(admit: Admit, record: CommandRecord) -> Params:
    """Return a row of `insert`."""
    command = record.command
    return (
        *admit.key,
        admit.digest,
        command.venue,
        command.account,
        command.__struct_config__.tag,
        command.symbol,
        None if record.state == "final" else record.position,
        record.state,
        record.version,
        record.next_us,
        optional(record.order_id),
        record.received_us,
        results.encode(admit.reply),
        *place(record),
        record.client_order_id if isinstance(command, Close) else None,
        encode_record(record),
    )
