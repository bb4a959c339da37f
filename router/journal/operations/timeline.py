"""Everything that is on record about a command, in time order, for the person who asks what happened."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from router.errors import UnreadableRow
from router.journal.operations.commands import decode_record
from router.journal.operations.statements import Many, Params, Rows, Statement, Steps, storable
from router.records.command import CommandRecord, Reply
from schemas.results import Result

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_result: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)

_WHOSE = """select sender, state, updated_us, reply, job from commands where command_id = $1 order by sender"""
_ATTEMPTS = """select number, started_us, ended_us, outcome, venue_code, message, sent_us from attempts
    where received_us = $1 and command_id = $2 and sender = $3 order by number"""
_EVIDENCE = """select at_us, number, outcome, venue_code, message, sent_us from evidence
    where received_us = $1 and command_id = $2 and sender = $3 order by at_us"""
_RESULTS = """select created_us, confirmed_us, reply, result from outbox
    where received_us = $1 and command_id = $2 and sender = $3 order by seq, copy"""
_JOINED = """select reply, asked from replies
    where received_us = $1 and command_id = $2 and sender = $3 order by address"""
_HISTORY = """select at_us, event, detail from history
    where received_us = $1 and command_id = $2 and sender = $3 order by at_us"""
_NOTE: Final = Many(
    """insert into history (received_us, command_id, sender, at_us, event, detail)
    select c.received_us, c.command_id, c.sender, given.at_us, given.event, given.detail
    from given join commands c on c.command_id = given.command_id and c.sender = given.sender""",
    "command_id text, sender text, at_us bigint, event text, detail text",
)


class Entry(Struct, frozen=True):
    """One thing that happened. `at_us` is microseconds since 1970, UTC."""

    at_us: int
    event: str
    detail: str = ""


class Timeline(Struct, frozen=True, kw_only=True):
    """One command's story. `record` is `None` for a close that never came and that a cancel stopped waiting for."""

    sender: str
    command_id: str
    record: CommandRecord | None
    entries: tuple[Entry, ...]


def append(notes: Sequence[Params]) -> Statement:
    """Return the statement that appends to the history of commands that are stored, and nothing to any other."""
    return _NOTE, notes


def note(sender: str, command_id: str, at_us: int, event: str, detail: str) -> Params:
    """Return a row of `append`."""
    return storable(command_id), storable(sender), at_us, storable(event), storable(detail)


def story(sender: str | None, command_id: str) -> Steps[Sequence[Timeline]]:
    """Tell the story of every command with that id, or of that sender's alone. Empty when there is none."""
    rows = yield _WHOSE, (command_id,)
    stories = []
    for owner, state, updated_us, reply, record in rows:
        if sender not in {None, owner}:
            continue
        if state == "given_up":
            entries = [Entry(updated_us, "given_up", "a cancel stopped waiting for this close")]
            stories.append(Timeline(sender=owner, command_id=command_id, record=None, entries=tuple(entries)))
        else:
            try:
                known = decode_record(record, command_id)
            except UnreadableRow as error:
                entries = [Entry(updated_us, "unreadable", str(error))]
                stories.append(Timeline(sender=owner, command_id=command_id, record=None, entries=tuple(entries)))
            else:
                stories.append((yield from _told(owner, command_id, known, _reply.decode(reply))))
    return stories


def _told(sender: str, command_id: str, record: CommandRecord, reply: Reply) -> Steps[Timeline]:
    key = (record.received_us, command_id, sender)
    entries = [Entry(record.received_us, "received", _joined("answer to", _address(reply)))]
    entries += _of_attempts(record, (yield _ATTEMPTS, key))
    entries += [
        Entry(at_us, "evidence", _joined(f"attempt {number}", outcome, code, message, _sent(sent_us)))
        for at_us, number, outcome, code, message, sent_us in (yield _EVIDENCE, key)
    ]
    entries += _of_results((yield _RESULTS, key))
    entries += [
        Entry(record.received_us, "joined", _joined(f"{asked} more", "answer to", _address(_reply.decode(stored))))
        for stored, asked in (yield _JOINED, key)
    ]
    entries += [Entry(at_us, event, detail) for at_us, event, detail in (yield _HISTORY, key)]
    if record.next_us is not None:
        entries.append(Entry(record.next_us, "due", record.step))
    # sorted() is stable: what happened in the same microsecond stays in the order of a command's life.
    return Timeline(
        sender=sender, command_id=command_id, record=record, entries=tuple(sorted(entries, key=lambda e: e.at_us))
    )


def _of_attempts(record: CommandRecord, rows: Rows) -> list[Entry]:
    entries, ended = [], 0
    for number, started_us, ended_us, outcome, code, message, sent_us in rows:
        entries.append(Entry(started_us, "attempt", str(number)))
        if ended_us is not None:
            entries.append(Entry(ended_us, "attempt_ended", _joined(number, outcome, code, message, _sent(sent_us))))
            ended = number
    if record.began_us is not None and record.tries > ended:
        entries.append(Entry(record.began_us, "attempt", str(record.tries)))
    return entries


def _of_results(rows: Rows) -> list[Entry]:
    entries = []
    for created_us, confirmed_us, reply, stored in rows:
        result = _result.decode(stored)
        code = result.reason.code if result.reason else None
        what = _joined(f"seq {result.seq}", result.outcome, code, "final" if result.final else "not final")
        to = _joined("to", _address(_reply.decode(reply)), "duplicate" if result.duplicate else None)
        entries.append(Entry(created_us, "result", f"{what} {to}"))
        if confirmed_us is not None:
            entries.append(Entry(confirmed_us, "confirmed", f"seq {result.seq} {to}"))
    return entries


def _address(reply: Reply) -> str:
    return f"{reply.reply_to or 'the results queue'} ({reply.correlation_id})"


def _sent(sent_us: int | None) -> str:
    return "nothing left" if sent_us is None else f"first byte at {sent_us}"


def _joined(*words: object) -> str:
    return " ".join(str(word) for word in words if word not in {None, ""})
