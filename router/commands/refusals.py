"""Refuse what is not stored under its id, and bury what cannot be handled.

A foreign sender, a reused id, a body or headers that cannot be read: there is no row, so until its answer is confirmed
the delivery keeps it safe. One message never costs another more than that moment.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from router.commands import answers
from router.commands.intake import may_reply
from router.commands.relay import ResultRelay
from router.config import SenderPolicy
from router.errors import PublishFailed
from router.ports import Clock, DeadLetters, RefusalJournal
from router.records.command import Reply, action
from router.records.delivery import Delivery
from router.telemetry import Metrics, final
from schemas.codec import Echo, Undecodable, decode_command
from schemas.commands import Command
from schemas.results import ReasonCode

DEAD_LETTER_S: Final = 2.0
"""How long the dead letters may take; a message that is rejected instead, the broker puts there."""

_log = structlog.get_logger(__name__)


class Refusals:
    """Answers that have no row, and the dead letters."""

    def __init__(
        self,
        *,
        relay: ResultRelay,
        dead_letters: DeadLetters,
        journal: RefusalJournal,
        clock: Clock,
        metrics: Metrics,
        senders: Mapping[str, SenderPolicy],
    ) -> None:
        self._relay = relay
        self._dead_letters = dead_letters
        self._journal = journal
        self._clock = clock
        self._metrics = metrics
        self._senders = senders

    async def poison(self, delivery: Delivery, error: Undecodable) -> None:
        """Dead-letter what is no command, and say so if there is somebody to say it to."""
        self._metrics.received()
        if delivery.reply_to and may_reply(delivery, self._senders):
            reply = delivery.reply(error.echo.command_id)
            await self.refuse(delivery, error.echo, reply, "invalid_command", str(error))
        dead = await self.dead_letter(delivery, "invalid_command", str(error))
        await quietly(delivery.ack if dead else delivery.reject)

    async def damaged(self, delivery: Delivery) -> None:
        """Answer a message whose properties cannot be read, if it says where; the broker dead-letters it as it is."""
        self._metrics.received()
        self.buried("invalid_command", delivery, delivery.damaged)
        try:
            fields = echo(decode_command(delivery.body, delivery.content_type, delivery.content_encoding))
        except Undecodable as error:
            fields = error.echo
        if delivery.reply_to and may_reply(delivery, self._senders):
            reply = delivery.reply(fields.command_id)
            await self.refuse(delivery, fields, reply, "invalid_command", delivery.damaged)
        await quietly(delivery.reject)

    async def dead_letter(self, delivery: Delivery, reason: str, detail: str) -> bool:
        """Publish poison to the dead letters. Returns `False` when that does not work: then the broker is to do it."""
        try:
            async with asyncio.timeout(DEAD_LETTER_S):
                await self._dead_letters.dead_letter(delivery, reason, detail)
        except (PublishFailed, TimeoutError) as error:
            _log.warning("poison is left to the broker", error=str(error) or "not confirmed in time")
            self.buried(reason, delivery, detail)
            return False
        self.buried(reason, delivery, detail)
        return True

    def buried(self, reason: str, delivery: Delivery, detail: str) -> None:
        """Tell of a message that goes to the dead letters, whoever puts it there."""
        self._metrics.dead_letter(reason)
        _log.warning(
            "dead letter",
            reason=reason,
            why=detail,
            sender=delivery.sender,
            routing_key=delivery.routing_key,
            correlation_id=delivery.correlation_id,
            message_id=delivery.message_id,
        )
        self._metrics.alerts.raised("dead_letter", delivery.venue, message=f"{reason}: {detail}")

    async def refuse(self, delivery: Delivery, fields: Echo, reply: Reply, code: ReasonCode, message: str) -> None:
        now = self._clock.now_us()
        result = answers.unrecorded(fields, delivery.sender, delivery.body, code, message, now)
        final(self._metrics, result, delivery.sender)
        why = (code, message)
        self._journal.refused(delivery.sender, fields.command_id, why=why, reply=reply, key=delivery.routing_key)
        await self._relay.answer(reply, result, delivery.sender)


async def quietly(settle: Callable[[], Awaitable[None]]) -> None:
    """Ack or reject. On a channel that is gone it cannot be: the broker delivers again, the journal answers."""
    try:
        await settle()
    except Exception as error:  # whatever the library raises for a stale channel
        _log.info("a delivery could not be settled", error=type(error).__name__)


def echo(command: Command) -> Echo:
    """Return the fields that every answer repeats."""
    return Echo(
        command_id=command.command_id,
        action=action(command),  # type: ignore[arg-type]  # every command's tag is an Action
        venue=command.venue,
        account=command.account,
    )
