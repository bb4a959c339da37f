"""What can be said against a command before any venue is asked. Pure."""

import re
from collections.abc import Mapping

from msgspec import Struct

from router.access.configured import Venue
from router.clock import to_us
from router.config import SenderPolicy
from router.records.command import CommandRecord, action
from router.records.delivery import Delivery
from schemas.commands import Cancel, Close, CloseAll, Command
from schemas.ids import client_order_id
from schemas.results import ReasonCode

FUTURE_US = 2_000_000
"""How far ahead of our clock a sender's `issued_at` may be."""


class Objection(Struct, frozen=True):
    """Why a command is refused without asking the venue."""

    code: ReasonCode
    message: str


def unauthorized(delivery: Delivery, command: Command, senders: Mapping[str, SenderPolicy]) -> str | None:
    """Say what the sender may not do. Without any sender configured everyone may do everything."""
    if not senders:
        return None
    sender = senders.get(delivery.sender)
    if sender is None:
        return f"sender {delivery.sender!r} is not configured"
    if f"{command.venue}/{command.account}" not in sender.accounts:
        return f"sender {delivery.sender!r} may not use account {command.venue}/{command.account}"
    if action(command) not in sender.commands:
        return f"sender {delivery.sender!r} may not send {action(command)}"
    if not may_reply(delivery, senders):
        return f"sender {delivery.sender!r} may not be answered on {delivery.reply_to!r}"
    return None


def may_reply(delivery: Delivery, senders: Mapping[str, SenderPolicy]) -> bool:
    """Say whether an answer may go to the delivery's reply queue. Where nothing is said of the sender, it may."""
    sender = senders.get(delivery.sender)
    return sender is None or not delivery.reply_to or re.search(sender.reply_to, delivery.reply_to) is not None


def objection(
    delivery: Delivery, command: Command, venues: Mapping[str, Venue], max_horizon_us: int, now_us: int
) -> Objection | None:
    """Say why a command cannot be tried, or `None`."""
    key = f"{command.venue}.{command.account}.{action(command)}"
    if delivery.routing_key != key:
        return Objection(
            "invalid_command", f'routing key: expected "{key}", as the body says, got "{delivery.routing_key[:128]}"'
        )
    venue = venues.get(command.venue)
    if venue is None or delivery.venue is None:
        return Objection("unknown_venue", f'venue: no worker serves "{command.venue}"{_served(venues)}')
    if command.account not in venue.accounts:
        return Objection("unknown_account", f'account: {command.venue} has none named "{command.account}"')
    not_after = to_us(command.not_after)
    if not_after > now_us + max_horizon_us:
        return Objection("invalid_command", f"not_after: expected at most {max_horizon_us / 1e6:g} s ahead")
    if command.issued_at is not None and to_us(command.issued_at) > now_us + FUTURE_US:
        return Objection("invalid_command", "issued_at: it is more than 2 s ahead of our clock")
    against = _against_fields(command)
    if against is None and not_after <= now_us:
        return Objection("expired", "not_after: it had passed before anything was tried")
    return against


def _served(venues: Mapping[str, Venue]) -> str:
    return f"; served: {', '.join(sorted(venues))}" if venues else ""


def _against_fields(command: Command) -> Objection | None:
    """Check the contract's rules across fields, the same for every venue."""
    match command:
        case Close(order_type="market", price=str()):
            return Objection("invalid_command", "price: not taken with order_type market; expected with limit or stop")
        case Close(order_type="limit" | "stop", price=None):
            needed = f'expected a decimal in a string, such as "85201", with order_type {command.order_type}'
            return Objection("invalid_command", f"price: it is missing; {needed}")
        case Cancel(order_id=None, target_command_id=None):
            return Objection("invalid_command", "order_id, target_command_id: expected one of them, got none")
        case Cancel(order_id=str(), target_command_id=str()):
            return Objection("invalid_command", "order_id, target_command_id: expected one of them, got both")
        case Close() | Cancel():
            return None
        case CloseAll() | _:
            return Objection(
                "unsupported", f'type: {action(command)} is not offered by this version; expected "close" or "cancel"'
            )


def fresh_record(sender: str, command: Command, received_us: int) -> CommandRecord:
    """Return what is known of a command that has just come."""
    return CommandRecord(
        sender=sender,
        command_id=command.command_id,
        command=command,
        client_order_id=client_order_id(sender, command.command_id),
        received_us=received_us,
        order_id=command.order_id if isinstance(command, Cancel) else None,
    )
