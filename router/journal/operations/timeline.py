"""The story of a command: what was noted by the way, and everything told together for an operator."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from router.errors import UnreadableRow
from router.journal.operations import refusals
from router.journal.operations.commands import decode_record
from router.journal.operations.statements import Key, Many, Params, Rows, Statement, Steps, storable
from router.records.command import ABANDONED, CommandRecord, Reply
from router.records.event import Copy
from router.telemetry.logs import POD
from schemas.events import OrderEvent
from schemas.results import Result

EVENTS: Final = 500
"""So many of an order's events are told, the latest."""

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_result: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)
_event: msgspec.json.Decoder[OrderEvent] = msgspec.json.Decoder(OrderEvent)
_copies: msgspec.json.Decoder[tuple[Copy, ...]] = msgspec.json.Decoder(tuple[Copy, ...])

_WHOSE = """select sender, state, updated_us, reply, job from commands where command_id = $1 order by sender"""
_ATTEMPTS = """select number, started_us, ended_us, outcome, venue_code, message, sent_us, endpoint, http_status, pod
    from attempts where received_us = $1 and command_id = $2 and sender = $3 order by number"""
_EVIDENCE = """select at_us, number, outcome, venue_code, message, sent_us, endpoint, http_status, pod from evidence
    where received_us = $1 and command_id = $2 and sender = $3 order by at_us"""
_RESULTS = """select created_us, confirmed_us, reply, result, pod from outbox
    where received_us = $1 and command_id = $2 and sender = $3 order by seq, copy"""
_JOINED = """select reply, asked from replies
    where received_us = $1 and command_id = $2 and sender = $3 order by address"""
_HISTORY = """select at_us, event, detail, pod from history
    where received_us = $1 and command_id = $2 and sender = $3 order by at_us"""
_EVENTS = """select created_us, event, copies from events where venue = $1 and account = $2 and order_id = $3
    order by seq desc limit $4"""
_NOTE: Final = Many(
    """insert into history (received_us, command_id, sender, at_us, event, detail, pod)
    select c.received_us, c.command_id, c.sender, given.at_us, given.event, given.detail, given.pod
    from given join commands c on c.command_id = given.command_id and c.sender = given.sender""",
    "command_id text, sender text, at_us bigint, event text, detail text, pod text",
)
WORDS: Final = {
    "Accepted": "accepted",
    "Done": "done",
    "Refused": "refused",
    "Retry": "to be tried again",
    "Look": "to be looked at",
    "DeadlinePassed": "nothing was sent: its deadline passed",
    "Unknown": "not known: it may have been executed",
    "MaybeSent": "no answer: it may have been executed",
    "NotSent": "nothing was sent",
    "Abandoned": "its process did not live to tell",
    "Absent": "the venue shows nothing of it",
    "Working": "the order works",
}
"""What an attempt or a look came to, for a person; the rows hold the names of our types."""


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that happened. Times are microseconds since 1970, UTC; `took_us` is how long it was under way.

    `times`: so often in a row, the last time at `last_us`. `pod` is empty where it is not on record.
    """

    at_us: int
    event: str
    detail: str = ""
    pod: str = ""
    took_us: int | None = None
    times: int = 1
    last_us: int | None = None


class Timeline(Struct, frozen=True, kw_only=True):
    """One command's story. `record` is `None` where no command is stored: a close that never came and that a cancel
    stopped waiting for, a refusal that was answered and not stored, a row that this version cannot read.
    """

    sender: str
    command_id: str
    record: CommandRecord | None
    entries: tuple[Entry, ...]


def append(notes: Sequence[Params]) -> Statement:
    """Return the statement that appends to the history of commands that are stored, and nothing to any other."""
    return _NOTE, notes


def note(sender: str, command_id: str, at_us: int, event: str, detail: str) -> Params:
    """Return a row of `append`."""
    return storable(command_id), storable(sender), at_us, storable(event), storable(detail), POD


def story(sender: str | None, command_id: str) -> Steps[Sequence[Timeline]]:
    """Tell the story of every command with that id, or of that sender's alone. Empty when there is none."""
    rows = yield from _rows(sender, command_id)
    refused = yield from refusals.of_command(command_id, sender)
    stories = []
    for owner, state, updated_us, reply, stored in rows:
        record, entries = None, [_of_refusal(row) for row in refused if row.sender == owner]
        if state == "given_up":
            entries.append(Entry(at_us=updated_us, event="given_up", detail="a cancel stopped waiting for this close"))
        else:
            try:
                record = decode_record(stored, command_id)
            except UnreadableRow as error:
                entries.append(Entry(at_us=updated_us, event="unreadable", detail=str(error)))
            else:
                entries = (yield from _told(record, _reply.decode(reply))) + entries
        stories.append(Timeline(sender=owner, command_id=command_id, record=record, entries=folded(entries)))
    for owner in dict.fromkeys(row.sender for row in refused if row.sender not in {story.sender for story in stories}):
        entries = [_of_refusal(row) for row in refused if row.sender == owner]
        stories.append(Timeline(sender=owner, command_id=command_id, record=None, entries=folded(entries)))
    return stories


def folded(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries in the order of time; the same one several times in a row is one."""
    told: list[Entry] = []
    # sorted() is stable: what happened in the same microsecond stays in the order of a command's life.
    for entry in sorted(entries, key=lambda entry: entry.at_us):
        last = told[-1] if told else None
        if last is not None and (last.event, last.detail, last.pod) == (entry.event, entry.detail, entry.pod):
            told[-1] = msgspec.structs.replace(last, times=last.times + 1, last_us=entry.at_us)
        else:
            told.append(entry)
    return tuple(told)


def _rows(sender: str | None, command_id: str) -> Steps[Rows]:
    rows = yield _WHOSE, (command_id,)
    return [row for row in rows if sender in {None, row[0]}]


def _told(record: CommandRecord, reply: Reply) -> Steps[list[Entry]]:
    key: Key = (record.received_us, record.command_id, record.sender)
    entries = [
        Entry(at_us=record.received_us, event="received", detail=f"answer to {_address(reply, record.command_id)}")
    ]
    entries += _of_attempts(record, (yield _ATTEMPTS, key))
    entries += [
        Entry(at_us=at_us, event="evidence", detail=_joined(f"attempt {number}", _seen(*seen)), pod=pod or "")
        for at_us, number, *seen, pod in (yield _EVIDENCE, key)
    ]
    entries += _of_results(record.command_id, (yield _RESULTS, key))
    for stored, asked in (yield _JOINED, key):
        detail = f"{asked} more, answer to {_address(_reply.decode(stored), record.command_id)}"
        entries.append(Entry(at_us=record.received_us, event="joined", detail=detail))
    entries += [_of_history(*row) for row in (yield _HISTORY, key)]
    if record.order_id is not None:
        place = (record.command.venue, record.command.account, record.order_id, EVENTS)
        entries += _of_events(reversed((yield _EVENTS, place)))
    if record.next_us is not None:
        entries.append(Entry(at_us=record.next_us, event="due", detail=record.step))
    return entries


def _of_attempts(record: CommandRecord, rows: Rows) -> list[Entry]:
    entries, ended = [], 0
    for number, started_us, ended_us, *seen, pod in rows:
        detail = _joined(number, _seen(*seen))
        took_us = None if ended_us is None or seen[0] == ABANDONED else max(0, ended_us - started_us)
        entries.append(Entry(at_us=started_us, event="attempt", detail=detail, pod=pod or "", took_us=took_us))
        ended = number
    if record.began_us is not None and record.tries > ended:
        detail = f"{record.tries} begun, and not known to be over"
        entries.append(Entry(at_us=record.began_us, event="attempt", detail=detail, pod=record.began_by))
    return entries


def _seen(*seen: object) -> str:
    """Say what an attempt came to: where it went, what was answered, what that means."""
    outcome, code, message, sent_us, endpoint, status = seen
    answered = None if status is None else f"HTTP {status}"
    what = WORDS.get(str(outcome), str(outcome))
    left = "nothing left" if sent_us is None and outcome not in {"NotSent", "Abandoned"} else None
    came_to = ", ".join(filter(None, (answered, what, left)))
    return ": ".join(filter(None, (str(endpoint or ""), came_to, _joined(code, message))))


def _of_history(at_us: int, event: str, detail: str, pod: str | None) -> Entry:
    if event == "looked":
        kind, _, words = detail.partition(" ")
        detail = WORDS.get(kind, kind) + (f": {words}" if words else "")
    return Entry(at_us=at_us, event=event, detail=detail, pod=pod or "")


def _of_results(command_id: str, rows: Rows) -> list[Entry]:
    entries = []
    for created_us, confirmed_us, reply, stored, pod in rows:
        result = _result.decode(stored)
        reason = result.reason
        why = _joined(reason.code, reason.venue_code, reason.message) if reason else None
        what = _joined(
            result.seq, result.outcome, f"({why})" if why else None, "final" if result.final else "not final"
        )
        to = _joined("to", _address(_reply.decode(reply), command_id), "as a duplicate" if result.duplicate else None)
        took_us = None if confirmed_us is None else max(0, confirmed_us - created_us)
        detail = f"{what}, {to}, {'not confirmed yet' if took_us is None else 'confirmed'}"
        entries.append(Entry(at_us=created_us, event="result", detail=detail, pod=pod or "", took_us=took_us))
    return entries


def _finality(result: Result) -> str:
    return "final" if result.final else "not final"


def _of_events(rows: Iterable[Sequence[str]]) -> list[Entry]:
    entries = []
    for created_us, stored, addressed in rows:
        event = _event.decode(stored)
        filled = f", {event.filled_size} of {event.size or '?'} filled" if event.filled_size != "0" else ""
        price = event.last_fill.price if event.last_fill else None
        what = f"{event.seq} {event.status}{filled}{f' at {price}' if price else ''}, by {event.source}"
        to = [copy.reply.reply_to for copy in _copies.decode(addressed) if copy.reply.reply_to]
        detail = what + (f", to {', '.join(to)}" if to else "")
        entries.append(Entry(at_us=int(created_us), event="event", detail=detail))
    return entries


def _of_refusal(row: refusals.Unstored) -> Entry:
    answered = Reply(reply_to=row.reply_to, correlation_id=row.correlation_id, content_type="")
    detail = (
        f"{row.code}: {row.message}; answered to {_address(answered, row.command_id)}, and not stored as its result"
    )
    return Entry(at_us=row.at_us, event="refused", detail=detail, pod=row.pod)


def _address(reply: Reply, command_id: str | None) -> str:
    to = reply.reply_to or "the results queue"
    return to if reply.correlation_id == command_id else f"{to} (correlation id {reply.correlation_id})"


def _joined(*words: object) -> str:
    return " ".join(str(word) for word in words if word not in {None, ""})
