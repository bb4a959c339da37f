"""From what is known of a command to the result that its sender hears. Pure.

An unknown outcome is never reported as `rejected`: that would invite the sender to close twice.
"""

from msgspec.structs import replace

from router.clock import to_time
from router.records.command import CommandRecord
from router.venue_protocol import Accepted, Done, Refused
from schemas.codec import Echo
from schemas.ids import refusal_id, result_id
from schemas.results import Evidence, OrderState, Outcome, Reason, ReasonCode, Result


def settled(
    record: CommandRecord, outcome: Accepted | Done | Refused, evidence: Evidence, now_us: int
) -> tuple[CommandRecord, Result]:
    """Answer for good with what the venue said or showed."""
    order = outcome.order or record.order
    order_id = outcome.order_id or record.order_id
    record = replace(record, order=order, order_id=order_id, outcome=_name(outcome))
    record = replace(record, state="final", next_us=None, seq=record.seq + 1)
    if isinstance(outcome, Refused):
        reason = Reason(code=outcome.code, venue_code=outcome.venue_code, message=outcome.message)
        # For whoever lists commands: the last cause is why it was refused.
        record = replace(record, code=outcome.code, venue_code=outcome.venue_code, message=outcome.message)
        return record, _result(record, "rejected", now_us, reason=reason, evidence=evidence)
    return record, _result(record, _name(outcome), now_us, evidence=evidence)


def _name(outcome: Accepted | Done | Refused) -> Outcome:
    if isinstance(outcome, Refused):
        return "rejected"
    return "accepted" if isinstance(outcome, Accepted) else "done"


def refused(record: CommandRecord, code: ReasonCode, message: str, now_us: int) -> tuple[CommandRecord, Result]:
    """Refuse without having asked the venue."""
    return settled(record, Refused(code=code, message=message), "router", now_us)


def dry(record: CommandRecord, now_us: int) -> tuple[CommandRecord, Result]:
    """Answer a dry run: everything held but the send."""
    record = replace(record, state="final", outcome="accepted", next_us=None, seq=record.seq + 1)
    return record, replace(_result(record, "accepted", now_us), dry_run=True)


def doubted(record: CommandRecord, now_us: int) -> tuple[CommandRecord, Result]:
    """Say that it may have been executed; a final result follows."""
    record = replace(record, state="in_doubt", outcome="in_doubt", doubt_us=now_us, seq=record.seq + 1)
    reason = Reason(code="timeout", venue_code=record.venue_code, message=record.message)
    return record, _result(record, "in_doubt", now_us, reason=reason, final=False)


def unresolved(record: CommandRecord, message: str, now_us: int) -> tuple[CommandRecord, Result]:
    """Give up asking. Late evidence or an operator settles it with one more result."""
    record = replace(record, state="unresolved", outcome="in_doubt", seq=record.seq + 1)
    reason = Reason(code="unresolved", venue_code=record.venue_code, message=message)
    return record, _result(record, "in_doubt", now_us, reason=reason, evidence="query")


def unrecorded(echo: Echo, sender: str, body: bytes, code: ReasonCode, message: str, now_us: int) -> Result:
    """Refuse what is not stored under its id: a foreign sender, a reused id, an undecodable body."""
    return Result(
        result_id=refusal_id(sender, body),
        seq=1,
        final=True,
        command_id=echo.command_id,
        action=echo.action,
        venue=echo.venue,
        account=echo.account,
        outcome="rejected",
        reason=Reason(code=code, message=message[:500]),
        received_at=to_time(now_us),
        completed_at=to_time(now_us),
    )


def _result(
    record: CommandRecord,
    outcome: Outcome,
    now_us: int,
    *,
    reason: Reason | None = None,
    evidence: Evidence = "router",
    final: bool = True,
) -> Result:
    command = record.command
    order: OrderState | None = record.order
    return Result(
        result_id=result_id(record.sender, record.command_id, record.seq),
        seq=record.seq,
        final=final,
        command_id=record.command_id,
        action=command.__struct_config__.tag,  # type: ignore[arg-type]  # every command's tag is an Action
        venue=command.venue,
        account=command.account,
        outcome=outcome,
        reason=reason,
        order_id=record.order_id,
        client_order_id=record.client_order_id,
        order=order,
        evidence=evidence,
        attempts=record.attempts,
        received_at=to_time(record.received_us),
        sent_at=None if record.first_sent_us is None or not record.attempts else to_time(record.first_sent_us),
        completed_at=to_time(now_us),
    )
