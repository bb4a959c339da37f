"""What the journal says of commands, as rows for people and as objects for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from router.cli.output import Column, as_json, lines, on_terminal, rfc3339, table
from router.clock import to_time
from router.records.command import CommandRecord, action
from schemas.commands import Cancel, Close

if TYPE_CHECKING:
    from router.journal import Entry, Timeline, Unreadable, Unstored

LISTED: Final = (Column("state", coloured=True), Column("command_id", whole=True), Column("what"))
TOLD: Final = (Column("s", right=True, whole=True), Column("pod"), Column("event"), Column("what"))
REFUSED: Final = (Column("at (UTC)", whole=True), Column("sender"), Column("command_id"), Column("why"))
SHORT: Final = 14
"""The longest name of a pod that stands in a column on a terminal; longer ones are named once, above."""


def print_listing(rows: "Sequence[CommandRecord | Unreadable]", *, json: bool) -> None:
    """Print commands, one a row."""
    if json:
        as_json([_fields(row) if isinstance(row, CommandRecord) else _unreadable(row) for row in rows])
        return
    table(LISTED, [_row(row) if isinstance(row, CommandRecord) else _damaged(row) for row in rows])


def print_timelines(stories: "Sequence[Timeline]", *, json: bool) -> None:
    """Print everything on record about a command; of several senders', one after the other."""
    if json:
        as_json([_story(story) for story in stories])
        return
    for number, story in enumerate(stories):
        if number:
            lines("")
        _print_story(story)


def print_refusals(rows: "Sequence[Unstored]", *, json: bool) -> None:
    """Print refusals that are stored under no command."""
    if json:
        as_json([_refusal(row) for row in rows])
        return
    answered = [f"{row.reply_to or 'the results queue'} ({row.correlation_id})" for row in rows]
    table(
        REFUSED,
        [
            (
                f"{to_time(row.at_us):%m-%d %H:%M:%S}",
                row.sender or "(none)",
                row.command_id or "(unreadable)",
                f"{row.code}: {row.message}; key {row.routing_key}, answered to {to}, pod {row.pod}",
            )
            for row, to in zip(rows, answered, strict=True)
        ],
    )


def summary(record: CommandRecord) -> str:
    """Say in one line how a command stands."""
    parts = [f"received {to_time(record.received_us):%Y-%m-%d %H:%M:%S} UTC", f"attempts {record.attempts}"]
    if record.order_id:
        parts.append(f"order {record.order_id}")
    if record.order is not None and record.order.status != "unknown":
        parts.append(record.order.status)
    if record.next_us is not None:
        parts.append(f"next: {record.step} at {to_time(record.next_us):%H:%M:%S}")
    why = _reason(record)
    if why is not None:
        parts.append(f"last: {' '.join(filter(None, why.values()))}")
    return ", ".join(parts)


def _row(record: CommandRecord) -> tuple[str, str, str]:
    sender = f"of {record.sender}" if record.sender else "of no sender"
    return _stands(record), record.command_id, f"{_what(record)} {sender}, {summary(record)}"


def _stands(record: CommandRecord) -> str:
    return record.outcome or "final" if record.state == "final" else record.state


def _what(record: CommandRecord) -> str:
    command = record.command
    parts = [action(command), f"{command.venue}/{command.account}", command.symbol]
    if isinstance(command, Close) and command.position_id:
        parts.append(f"position {command.position_id}")
    if isinstance(command, Cancel):
        parts.append(f"order {command.order_id}" if command.order_id else f"of close {command.target_command_id}")
    return " ".join(filter(None, parts))


def _reason(record: CommandRecord) -> dict[str, str | None] | None:
    """Return the last cause, unless what it caused is overcome."""
    if record.outcome in {"accepted", "done"} or not (record.code or record.venue_code or record.message):
        return None
    return {"code": record.code, "venue_code": record.venue_code, "message": record.message}


def _damaged(row: "Unreadable") -> tuple[str, str, str]:
    why = f"{row.venue}, written by a newer version, or damaged: it cannot be read"
    return row.state, row.command_id, why


def _print_story(story: "Timeline") -> None:
    record, entries = story.record, story.entries
    lines(f"{story.command_id} of sender {story.sender or '(none)'}")
    if record is not None:
        lines(f"{_stands(record)}: {_what(record)}", summary(record))
    began_us = record.received_us if record is not None else entries[0].at_us
    if record is None:
        lines(f"seconds since {to_time(began_us):%Y-%m-%d %H:%M:%S} UTC")
    names = _pods(entries)
    lines(*(f"pod {short}: {pod}" for pod, short in names.items() if short != pod))
    table(TOLD, [_told(entry, began_us, names) for entry in entries])


def _pods(entries: "Sequence[Entry]") -> dict[str, str]:
    """Return what each pod is called in the column."""
    pods = dict.fromkeys(entry.pod for entry in entries if entry.pod)
    long = on_terminal() and any(len(pod) > SHORT for pod in pods)
    return {pod: chr(ord("A") + number % 26) if long else pod for number, pod in enumerate(pods)}


def _told(entry: "Entry", began_us: int, names: dict[str, str]) -> tuple[str, str, str, str]:
    after = f"{(entry.at_us - began_us) / 1e6:.3f}"
    often = ""
    if entry.last_us is not None:
        often = f", {entry.times} times until {(entry.last_us - began_us) / 1e6:.3f}"
    took = "" if entry.took_us is None else f", after {entry.took_us / 1000:.0f} ms"
    return after, names.get(entry.pod, ""), entry.event, f"{entry.detail}{took}{often}"


def _story(story: "Timeline") -> dict[str, Any]:
    record = story.record
    known = _fields(record) if record is not None else {"command_id": story.command_id, "sender": story.sender}
    began_us = record.received_us if record is not None else story.entries[0].at_us
    return {**known, "entries": [_entry(entry, began_us) for entry in story.entries]}


def _entry(entry: "Entry", began_us: int) -> dict[str, Any]:
    return {
        "at": rfc3339(entry.at_us),
        "after_s": (entry.at_us - began_us) / 1e6,
        "event": entry.event,
        "detail": entry.detail,
        "pod": entry.pod or None,
        "took_s": None if entry.took_us is None else entry.took_us / 1e6,
        "times": entry.times,
        "last_at": rfc3339(entry.last_us),
    }


def _fields(record: CommandRecord) -> dict[str, Any]:
    return {
        "command_id": record.command_id,
        "sender": record.sender,
        "state": record.state,
        "outcome": record.outcome,
        "reason": _reason(record),
        "action": action(record.command),
        "venue": record.command.venue,
        "account": record.command.account,
        "order_id": record.order_id,
        "client_order_id": record.client_order_id,
        "order": record.order,
        "attempts": record.attempts,
        "seq": record.seq,
        "received_at": rfc3339(record.received_us),
        "next_step": record.step if record.next_us is not None else None,
        "next_at": rfc3339(record.next_us),
        "command": record.command,
    }


def _unreadable(row: "Unreadable") -> dict[str, Any]:
    known = {"command_id": row.command_id, "sender": row.sender, "state": row.state, "venue": row.venue}
    return {**known, "unreadable": True}


def _refusal(row: "Unstored") -> dict[str, Any]:
    return {
        "at": rfc3339(row.at_us),
        "sender": row.sender,
        "command_id": row.command_id,
        "reason": {"code": row.code, "venue_code": None, "message": row.message},
        "reply_to": row.reply_to or None,
        "correlation_id": row.correlation_id,
        "routing_key": row.routing_key,
        "pod": row.pod,
    }
