"""What must hold of every history, whatever went wrong in it: the router's promises, checked against the ledger."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from router.clock import to_us
from router.decision import MAX_TRIES
from schemas.codec import decode_command, digest
from schemas.commands import Cancel, Close, Command
from schemas.results import Result
from tests.unit.core.fake_broker import Heard, Message, same_answer
from tests.unit.core.fake_venue import FakeVenue
from tests.unit.core.world import TIMEOUT_S, World, coid

LATE_S = TIMEOUT_S + 1.5
"""A request that left right before the deadline may be waited for; then a look, and the next poll at the latest."""

Key = tuple[str, str]
"""Sender and command id."""


def check(world: World) -> None:
    """Assert every promise of a world that has come to rest."""
    published = _published(world)
    for (sender, command_id), messages in published.items():
        heard = world.heard(command_id, sender)
        commands = [decode_command(message.body, message.content_type) for message in messages]
        _everybody_is_answered(messages, heard)
        _one_id_one_answer(heard)
        _in_order(heard)
        told = [h.result for h in heard if h.result.reason is None or h.result.reason.code != "command_id_reused"]
        _one_final(told)
        forgotten = command_id in world.forgotten
        if len({digest(command) for command in commands}) == 1 and not (forgotten and isinstance(commands[0], Cancel)):
            _told_the_truth(world, sender, commands[0], told)
        if not forgotten:
            _sent_as_allowed(world.venues[commands[0].venue], sender, commands[0], commands)
    _one_close_per_position(world, published)


def in_time(world: World) -> None:
    """P1, where neither broker nor journal failed: everybody hears something soon after `not_after` at the latest."""
    for message in world.broker.messages:
        command = decode_command(message.body, message.content_type)
        heard_us = min(heard.at_us for heard in world.heard_by(message))
        due_us = max(message.sent_us or 0, to_us(command.not_after)) + round(LATE_S * 1e6)
        assert heard_us <= due_us, f"{(heard_us - due_us) / 1e6 + LATE_S} s after its deadline: {message}"


def _published(world: World) -> dict[Key, list[Message]]:
    found = defaultdict(list)
    for message in world.broker.messages:
        found[message.sender, decode_command(message.body, message.content_type).command_id].append(message)
    return found


def _everybody_is_answered(messages: Sequence[Message], heard: Sequence[Heard]) -> None:
    """P1: a final result for every delivery, on its own address; and nothing is left unacknowledged."""
    for message in messages:
        assert message.settled == "acked", f"{message} is {message.settled or 'not settled'}"
        mine = (message.reply_to, message.correlation_id)
        finals = [h for h in heard if h.result.final and (h.reply.reply_to, h.reply.correlation_id) == mine]
        assert finals, f"nobody answered {message}"


def _one_id_one_answer(heard: Sequence[Heard]) -> None:
    """A result may come again under its id, and then says the same."""
    first: dict[str, Result] = {}
    for told in heard:
        known = first.setdefault(told.result.result_id, told.result)
        if told.result.reason is None or told.result.reason.code != "command_id_reused":
            assert same_answer(known, told.result), f"{known} and {told.result} share an id"


def _in_order(heard: Sequence[Heard]) -> None:
    """The results of a command come in the order of `seq`."""
    last: dict[tuple[str, str], int] = {}
    for told in heard:
        if not told.result.duplicate:
            address = (told.reply.reply_to, told.reply.correlation_id)
            seen = last.setdefault(address, 0)
            assert told.result.seq <= seen + 1, f"{told.result} came before number {seen + 1}"
            last[address] = max(seen, told.result.seq)


def _one_final(told: Sequence[Result]) -> None:
    """One final result, and after an unresolved doubt at most one more."""
    finals = {result.result_id: result for result in told if result.final}
    settled = [result for result in finals.values() if result.outcome != "in_doubt"]
    assert len(settled) <= 1, f"more than one final answer: {settled}"
    assert len(finals) - len(settled) <= 1
    doubts = {result.result_id for result in told if not result.final}
    assert len(doubts) <= 1, f"doubted more than once: {told}"


def _told_the_truth(world: World, sender: str, command: Command, told: Sequence[Result]) -> None:
    """P2, P3: executed at most once, and never called rejected when it was."""
    executed = world.venues[command.venue].executed[_key(command, sender)]
    assert executed <= 1, f"executed {executed} times: {command}"
    for result in told:
        if result.outcome == "rejected":
            assert not executed, f"executed, but told {result}"
        if result.outcome == "accepted" and isinstance(command, Close) and not result.dry_run:
            assert executed, f"not executed, but told {result}"
        if result.outcome == "done" and isinstance(command, Cancel) and result.order_id is not None:
            assert world.venues[command.venue].status.get(result.order_id) != "working"


def _sent_as_allowed(venue: FakeVenue, sender: str, command: Command, commands: Sequence[Command]) -> None:
    """P2, P5: nothing leaves late, nor too often, nor again after it may have been executed."""
    sent = venue.sent(_key(command, sender))
    latest_us = max(to_us(each.not_after) for each in commands)
    assert all(arrival.at_us < latest_us for arrival in sent), f"sent after not_after: {sent}"
    processed = [arrival for arrival in sent if arrival.kind != "retry"]
    assert len(processed) <= MAX_TRIES, f"{len(processed)} requests for {command}"
    if isinstance(command, Close) and command.venue != "echo":
        assert all(arrival.kind == "retry" for arrival in sent[:-1]), f"sent again blindly: {sent}"


def _one_close_per_position(world: World, published: dict[Key, list[Message]]) -> None:
    """P8: no close leaves while another one of its position is not settled."""
    spans = defaultdict(list)
    for (sender, command_id), messages in published.items():
        command = decode_command(messages[0].body, messages[0].content_type)
        finals = [result for result in world.results(command_id, sender) if result.final]
        sent = world.venues[command.venue].sent(coid(command_id, sender))
        known = command_id not in world.forgotten
        if isinstance(command, Close) and known and sent and finals and finals[0].reason is None:
            place = (command.venue, command.account, command.position_id)
            spans[place].append((sent[0].at_us, to_us(finals[0].completed_at), sent[-1].at_us))
    for place, taken in spans.items():
        taken.sort()
        for one, other in pairwise(taken):
            assert one[1] <= other[0], f"two closes at once at {place}: {taken}"


def _key(command: Command, sender: str) -> str:
    return coid(command.command_id, sender) if isinstance(command, Close) else command.command_id
