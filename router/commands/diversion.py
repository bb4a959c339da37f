"""An answer that cannot go to its reply queue goes to the results queue: published, counted, logged, told."""

from typing import Final

import structlog

from router.ports import Publisher
from router.records.command import Reply
from router.telemetry import Metrics
from schemas.results import Result

WHY: Final = {
    "none": "the command named no reply queue",
    "ours": "answers do not go to a queue of that name",
    "refused": "the reply queue is gone, or refuses the message",
    "stuck": "the reply queue confirms nothing",
}
"""The causes of a diversion, as they are counted and in words."""

_log = structlog.get_logger(__name__)


async def divert(
    publisher: Publisher, metrics: Metrics, reply: Reply, *, result: Result, sender: str, cause: str
) -> None:
    """Publish an answer to the results queue, and say so. Raises `PublishFailed`."""
    await publisher.divert(reply, result, sender)
    metrics.diverted(cause)
    told = _log.info if cause == "none" else _log.warning
    line = {"command_id": result.command_id, "sender": sender, "reply_to": reply.reply_to}
    told("a result went to the results queue", cause=WHY[cause], **line)
    if cause != "none":
        metrics.alerts.raised(
            "result_diverted",
            result.venue,
            result.account,
            command_id=result.command_id or "",
            message=f"{WHY[cause]}: {reply.reply_to}",
        )
