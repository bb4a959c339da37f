"""From what is known of a job to the result that its sender hears. Pure.

An unknown outcome is never reported as `rejected`: that would invite the sender to close twice.
"""

from msgspec.structs import replace

from router.clock import to_time
from router.records.command import Job
from router.venue_protocol import Accepted, Done, Refused
from schemas.codec import Echo
from schemas.ids import refusal_id, result_id
from schemas.results import Evidence, OrderState, Outcome, Reason, ReasonCode, Result


def settled(job: Job, outcome: Accepted | Done | Refused, evidence: Evidence, now_us: int) -> tuple[Job, Result]:
    """Answer for good with what the venue said or showed."""
    order = outcome.order or job.order
    order_id = outcome.order_id or job.order_id
    job = replace(job, order=order, order_id=order_id, outcome=_name(outcome))
    job = replace(job, state="final", next_us=None, seq=job.seq + 1)
    if isinstance(outcome, Refused):
        reason = Reason(code=outcome.code, venue_code=outcome.venue_code, message=outcome.message)
        return job, _result(job, "rejected", now_us, reason=reason, evidence=evidence)
    return job, _result(job, _name(outcome), now_us, evidence=evidence)


def _name(outcome: Accepted | Done | Refused) -> Outcome:
    if isinstance(outcome, Refused):
        return "rejected"
    return "accepted" if isinstance(outcome, Accepted) else "done"


def refused(job: Job, code: ReasonCode, message: str, now_us: int) -> tuple[Job, Result]:
    """Refuse without having asked the venue."""
    return settled(job, Refused(code=code, message=message), "router", now_us)


def dry(job: Job, now_us: int) -> tuple[Job, Result]:
    """Answer a dry run: everything held but the send."""
    job = replace(job, state="final", outcome="accepted", next_us=None, seq=job.seq + 1)
    return job, replace(_result(job, "accepted", now_us), dry_run=True)


def doubted(job: Job, now_us: int) -> tuple[Job, Result]:
    """Say that it may have been executed; a final result follows."""
    job = replace(job, state="in_doubt", outcome="in_doubt", doubt_us=now_us, seq=job.seq + 1)
    reason = Reason(code="timeout", venue_code=job.venue_code, message=job.message)
    return job, _result(job, "in_doubt", now_us, reason=reason, final=False)


def unresolved(job: Job, message: str, now_us: int) -> tuple[Job, Result]:
    """Give up asking. Late evidence or an operator settles it with one more result."""
    job = replace(job, state="unresolved", outcome="in_doubt", seq=job.seq + 1)
    reason = Reason(code="unresolved", venue_code=job.venue_code, message=message)
    return job, _result(job, "in_doubt", now_us, reason=reason, evidence="query")


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
    job: Job,
    outcome: Outcome,
    now_us: int,
    *,
    reason: Reason | None = None,
    evidence: Evidence = "router",
    final: bool = True,
) -> Result:
    command = job.command
    order: OrderState | None = job.order
    return Result(
        result_id=result_id(job.sender, job.command_id, job.seq),
        seq=job.seq,
        final=final,
        command_id=job.command_id,
        action=command.__struct_config__.tag,  # type: ignore[arg-type]  # every command's tag is an Action
        venue=command.venue,
        account=command.account,
        outcome=outcome,
        reason=reason,
        order_id=job.order_id,
        client_order_id=job.client_order_id,
        order=order,
        evidence=evidence,
        attempts=job.attempts,
        received_at=to_time(job.received_us),
        sent_at=None if job.first_sent_us is None or not job.attempts else to_time(job.first_sent_us),
        completed_at=to_time(now_us),
    )
