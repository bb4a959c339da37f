"""Commands, replies and results for tests of the journal."""

import datetime
from typing import Any

import msgspec

from router.records.command import AttemptEnd, Job, Reply
from schemas import ids
from schemas.commands import Cancel, Close, Command
from schemas.results import Outcome, Reason, Result

T0_US = 1_790_000_000_000_000
"""When the tests' commands came."""
_T0 = datetime.datetime.fromtimestamp(T0_US / 1e6, datetime.UTC)


def close(command_id: str, *, position: str | None = "p1", sender: str = "alpha", **fields: Any) -> Job:
    """A close that nobody has sent yet; `fields` replace those of the job."""
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
    return _job(command, sender, {"position": position} | fields)


def cancel(command_id: str, *, sender: str = "alpha", **fields: Any) -> Job:
    """A cancel by order id."""
    command = Cancel(
        command_id=command_id,
        venue="gmo_coin",
        account="main",
        symbol="BTC_JPY",
        not_after=_T0 + datetime.timedelta(seconds=30),
        order_id="637000",
    )
    return _job(command, sender, fields)


def reply(correlation_id: str = "c1", reply_to: str = "alpha.replies") -> Reply:
    """Where a delivery is answered."""
    return Reply(reply_to=reply_to, correlation_id=correlation_id, content_type="application/json")


def result(job: Job, seq: int = 1, outcome: Outcome = "accepted", *, final: bool = True) -> Result:
    """An answer to a job's command, some milliseconds after it came."""
    return Result(
        result_id=ids.result_id(job.sender, job.command_id, seq),
        seq=seq,
        final=final,
        command_id=job.command_id,
        action="close",
        venue=job.command.venue,
        account=job.command.account,
        outcome=outcome,
        reason=Reason(code="timeout", message="no answer") if outcome == "in_doubt" else None,
        client_order_id=job.client_order_id,
        attempts=1,
        received_at=_T0,
        completed_at=_T0 + datetime.timedelta(milliseconds=5 * seq),
    )


def final(job: Job, **fields: Any) -> Job:
    """The job once its last result is settled."""
    return msgspec.structs.replace(job, **{"state": "final", "next_us": None, "seq": 1} | fields)


def doubtful(job: Job, **fields: Any) -> Job:
    """The job once it was answered `in_doubt`."""
    return msgspec.structs.replace(job, **{"state": "in_doubt", "step": "look", "seq": 1, "attempts": 1} | fields)


def began(job: Job, number: int = 1) -> Job:
    """The job once an attempt was begun."""
    return msgspec.structs.replace(job, tries=number, began_us=T0_US + number * 1000)


def ended(number: int = 1, outcome: str = "Accepted", **fields: Any) -> AttemptEnd:
    """The end of an attempt whose first byte left."""
    began_us = T0_US + number * 1000
    values = {"began_us": began_us, "at_us": began_us + 500, "sent_us": began_us + 100} | fields
    return AttemptEnd(number=number, outcome=outcome, **values)


def _job(command: Command, sender: str, fields: dict[str, Any]) -> Job:
    values = {"received_us": T0_US, "next_us": T0_US + 60_000_000, "tries": 1} | fields
    return Job(
        sender=sender,
        command_id=command.command_id,
        command=command,
        client_order_id=ids.client_order_id(sender, command.command_id),
        **values,
    )
