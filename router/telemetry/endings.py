"""One line, one count and, where somebody must act, one alert for what a sender is told of a command."""

import structlog

from router.telemetry.alerts import of_a_key
from router.telemetry.metrics import Metrics
from schemas.results import Result

_log = structlog.get_logger("router.results")


def final(metrics: Metrics, result: Result, sender: str) -> None:
    """Tell of a command's final result, once per command."""
    metrics.command_final(result)
    reason = result.reason
    _log.info("result", **_line(result, sender))
    if reason is not None and reason.code == "unresolved":
        metrics.alerts.raised(
            "unresolved",
            result.venue,
            result.account,
            command_id=result.command_id or "",
            message=f"the venue cannot tell: {reason.message}; `order-router journal resolve` settles it",
            standing=False,
        )
    elif result.outcome == "accepted" and result.evidence == "response" and result.venue and result.account:
        metrics.alerts.key_works(result.venue, result.account)


def doubted(result: Result, sender: str) -> None:
    """Tell that a command has fallen into doubt: it may have been executed, and nobody can say yet."""
    _log.warning("in doubt", **_line(result, sender))


def needs_operator(metrics: Metrics, result: Result) -> None:
    """Raise what an operator must mend at the venue: a key, a permission, a clock."""
    reason, venue, account = result.reason, result.venue, result.account
    if reason is None:
        return
    words = " ".join(filter(None, (reason.venue_code, reason.message)))
    _log.error("needs an operator", venue=venue, account=account, code=reason.code, why=words)
    metrics.alerts.raised(of_a_key(reason.code), venue, account, command_id=result.command_id or "", message=words)


def _line(result: Result, sender: str) -> dict[str, object]:
    reason, took = result.reason, result.completed_at - result.received_at
    line: dict[str, object] = {
        "command_id": result.command_id,
        "sender": sender,
        "venue": result.venue,
        "account": result.account,
        "action": result.action,
        "outcome": result.outcome,
        "reason": reason.code if reason is not None else None,
        "ms": round(took.total_seconds() * 1000, 1),
    }
    if reason is not None:
        line["why"] = " ".join(filter(None, (reason.venue_code, reason.message)))
    return line
