"""Commands, replies and results for tests of the journal."""

import datetime
from typing import Any

import msgspec

from router.records.command import AttemptEnd, CommandRecord, Reply
from schemas import ids
from schemas.commands import Cancel, Close, Command
from schemas.results import Outcome, Reason, Result

T0_US = 1_790_000_000_000_000
"""When the tests' commands came."""
_T0 = datetime.datetime.fromtimestamp(T0_US / 1e6, datetime.UTC)


def close(command_id: str, *, position: str | None = "p1", sender: str = "alpha", **fields: Any) -> CommandRecord:
    """A close that nobody has sent yet; `fields` replace those of the command."""
    command = Close(
        command_id=command_id,
        venue="gmo_coin",
        account="main",
        symbol="BTC_JPY",
        not_after=_T0 + datetime.timedelta(seconds=30),
        position_id=position,
        side="sell",
        size="0.0100",
    )
    return _record(command, sender, {"position": position} | fields)


def cancel(command_id: str, *, sender: str = "alpha", **fields: Any) -> CommandRecord:
    """A cancel by order id."""
    command = Cancel(
        command_id=command_id,
        venue="gmo_coin",
        account="main",
        symbol="BTC_JPY",
        not_after=_T0 + datetime.timedelta(seconds=30),
        order_id="637000",
    )
    return _record(command, sender, fields)


def reply(correlation_id: str = "c1", reply_to: str = "alpha.replies") -> Reply:
    """Where a delivery is answered."""
    return Reply(reply_to=reply_to, correlation_id=correlation_id, content_type="application/json")


def result(record: CommandRecord, seq: int = 1, outcome: Outcome = "accepted", *, final: bool = True) -> Result:
    """An answer to a command's command, some milliseconds after it came."""
    return Result(
        result_id=ids.result_id(record.sender, record.command_id, seq),
        seq=seq,
        final=final,
        command_id=record.command_id,
        action="close",
        venue=record.command.venue,
        account=record.command.account,
        outcome=outcome,
        reason=Reason(code="timeout", message="no answer") if outcome == "in_doubt" else None,
        client_order_id=record.client_order_id,
        attempts=1,
        received_at=_T0,
        completed_at=_T0 + datetime.timedelta(milliseconds=5 * seq),
    )


def final(record: CommandRecord, **fields: Any) -> CommandRecord:
    """The command once its last result is settled."""
    return msgspec.structs.replace(record, **{"state": "final", "next_us": None, "seq": 1} | fields)


def doubtful(record: CommandRecord, **fields: Any) -> CommandRecord:
    """The command once it was answered `in_doubt`."""
    return msgspec.structs.replace(record, **{"state": "in_doubt", "step": "look", "seq": 1, "attempts": 1} | fields)


def began(record: CommandRecord, number: int = 1) -> CommandRecord:
    """The command once an attempt was begun."""
    return msgspec.structs.replace(record, tries=number, began_us=T0_US + number * 1000)


def ended(number: int = 1, outcome: str = "Accepted", **fields: Any) -> AttemptEnd:
    """The end of an attempt whose first byte left."""
    began_us = T0_US + number * 1000
    values = {"began_us": began_us, "at_us": began_us + 500, "sent_us": began_us + 100} | fields
    return AttemptEnd(number=number, outcome=outcome, **values)


def _record(command: Command, sender: str, fields: dict[str, Any]) -> CommandRecord:
    values = {"received_us": T0_US, "next_us": T0_US + 60_000_000, "tries": 1} | fields
    return CommandRecord(
        sender=sender,
        command_id=command.command_id,
        command=command,
        client_order_id=ids.client_order_id(sender, command.command_id),
        **values,
    )
