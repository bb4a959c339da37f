"""What must hold of every history, whatever went wrong in it: the router's promises, checked against the ledger.

P1 to P8 are the promises of the README. Times here are true ones: the venues' and the senders'.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from router.clock import to_us
from router.commands.decision import MAX_TRIES
from schemas.codec import decode_command, digest
from schemas.commands import Cancel, Close, Command
from schemas.results import Result
from tests.unit.commands.fake_broker import Heard, Message, same_answer
from tests.unit.commands.fake_venue import FakeVenue
from tests.unit.commands.world import World, coid

LATE_S = 1.5
"""A look after a request that left right before the deadline, and the next poll at the latest."""
NETWORK_US = 50_000
UNPROCESSED = {"retry", "throttle", "skew", "ban"}
"""What the venue says of a request that it did not look into."""

Key = tuple[str, str]
"""Sender and command id."""


def check(world: World) -> None:
    """Assert every promise of a world that has come to rest."""
    assert not world.ended, f"a part that must run has ended: {world.ended}"
    assert not world.broker.broken, world.broker.broken
    told = defaultdict(list)
    for heard in world.broker.heard:
        told[heard.sender, heard.result.command_id or ""].append(heard)
    published = _published(world)
    for key, messages in published.items():
        _check_command(world, key, messages, told[key])
    _one_close_per_position(world, published, told)


def _check_command(world: World, key: Key, messages: Sequence[Message], heard: Sequence[Heard]) -> None:
    sender = key[0]
    commands = [decode_command(message.body, message.content_type) for message in messages]
    forgotten = was_forgotten(world, messages)
    _everybody_is_answered(world, messages, heard)
    _unrecorded_only_in_need(world, messages, heard)
    recorded = [h for h in heard if h.result.recorded is not False and _code(h.result) != "command_id_reused"]
    if not forgotten:
        _one_id_one_answer(recorded)
        _in_order(recorded)
        _one_final(world, key, commands, [h.result for h in recorded])
    if len({digest(command) for command in commands}) == 1:
        results = [h.result for h in heard if _code(h.result) != "command_id_reused"]
        _told_the_truth(world, sender, commands[0], results)
    venue = world.venues[commands[0].venue]
    # Each delivery of a cancel may send it once more while the journal is slow: it waits 50 ms to hear of its row.
    slow = any(world.journal_was_away(arrival.at_us) for arrival in venue.sent(command_key(commands[0], sender)))
    more = sum(message.deliveries for message in messages) if slow and isinstance(commands[0], Cancel) else 0
    _sent_as_allowed(venue, sender, commands[0], commands, most=MAX_TRIES + more, forgotten=forgotten)


def was_forgotten(world: World, messages: Iterable[Message]) -> bool:
    """Say whether a journal that was put back may lack what became of any of these."""
    return any((message.sent_us or 0) <= at for message in messages for at in world.restored_us)


def owed(world: World, message: Message) -> bool:
    """Say whether a message is still owed its acknowledgement or its answer."""
    if not message.settled:
        return True
    if message.settled == "dead":
        return False
    answered = (message.sender, message.reply_to, message.correlation_id) in world.broker.answered
    return not answered and not was_forgotten(world, [message])


def in_time(world: World) -> None:
    """P1, as long as a worker, the broker and the message's own queue worked: an answer by the deadline.

    Whatever the journal, the venues and other senders' queues do.
    """
    for message in world.broker.messages:
        command = decode_command(message.body, message.content_type)
        sent_us = message.sent_us or 0
        margin_us = round((world.timeout_s + LATE_S) * 1e6)
        due_us = max(sent_us, to_us(command.not_after)) + margin_us
        if world.troubled(sent_us, due_us, message.reply_to) or not world.heard_by(message):
            continue
        heard_us = min(heard.at_us for heard in world.heard_by(message))
        assert heard_us <= due_us, f"{(heard_us - due_us + margin_us) / 1e6} s after its deadline: {message}"


def _code(result: Result) -> str | None:
    return None if result.reason is None else result.reason.code


def _published(world: World) -> dict[Key, list[Message]]:
    found = defaultdict(list)
    for message in world.broker.messages:
        found[message.sender, decode_command(message.body, message.content_type).command_id].append(message)
    return found


def _everybody_is_answered(world: World, messages: Sequence[Message], heard: Sequence[Heard]) -> None:
    """P1: a final result for every delivery, on its own address; and nothing is left unacknowledged."""
    for message in messages:
        assert message.settled == "acked", f"{message} is {message.settled or 'not settled'}"
        mine = (message.reply_to, message.correlation_id)
        finals = [h for h in heard if h.result.final and (h.reply.reply_to, h.reply.correlation_id) == mine]
        assert finals or was_forgotten(world, [message]), f"nobody answered {message}"


def _unrecorded_only_in_need(world: World, messages: Sequence[Message], heard: Sequence[Heard]) -> None:
    """An answer without a row is given only while the journal is away; for good only where nothing can go wrong."""
    published_us = min(message.sent_us or 0 for message in messages)
    for told in heard:
        result = told.result
        if result.recorded is not False:
            continue
        assert result.seq == 0, f"an unrecorded answer has no number: {result}"
        assert world.journal_was_away_between(published_us, told.at_us), f"the journal worked: {result}"
        if result.final and result.action != "cancel":
            assert _code(result) == "expired", f"unrecorded and final: {result}"


def _one_id_one_answer(heard: Sequence[Heard]) -> None:
    """P6: a result may come again under its id, and then says the same."""
    first: dict[str, Result] = {}
    for told in heard:
        known = first.setdefault(told.result.result_id, told.result)
        assert same_answer(known, told.result), f"{known} and {told.result} share an id"


def _in_order(heard: Sequence[Heard]) -> None:
    """The results of a command come in the order of `seq`."""
    last: dict[tuple[str, str], int] = {}
    for told in heard:
        address = (told.reply.reply_to, told.reply.correlation_id)
        seen = last.setdefault(address, 0)
        if not told.result.duplicate:
            assert told.result.seq <= seen + 1, f"{told.result} came before number {seen + 1}"
            last[address] = max(seen, told.result.seq)


def _one_final(world: World, key: Key, commands: Sequence[Command], told: Sequence[Result]) -> None:
    """One final result; after an unresolved doubt at most one more, and one more that contradicts a venue's lie."""
    finals = {result.result_id: result for result in told if result.final}
    settled = sorted((result for result in finals.values() if result.outcome != "in_doubt"), key=lambda r: r.seq)
    if len(settled) == 2 and command_key(commands[0], key[0]) in world.venues[commands[0].venue].lied:
        first, second = settled
        assert (first.outcome, second.outcome) in {("rejected", "accepted"), ("rejected", "done")}, settled
        settled = settled[1:]
    assert len(settled) <= 1, f"more than one final answer: {settled}"
    assert sum(result.outcome == "in_doubt" for result in finals.values()) <= 1
    doubts = {result.result_id for result in told if not result.final}
    assert len(doubts) <= 1, f"doubted more than once: {told}"


def _told_the_truth(world: World, sender: str, command: Command, told: Sequence[Result]) -> None:
    """P2, P3: executed at most once, and never called rejected when it was."""
    venue, key = world.venues[command.venue], command_key(command, sender)
    executed = venue.executed[key]
    assert executed <= 1, f"executed {executed} times: {command}"
    for result in told:
        if result.outcome == "rejected" and key not in venue.lied and executed:
            assert _tells_of_another(world, result, told, venue.executed_us[key]), f"executed, but told {result}"
        if result.outcome == "accepted" and isinstance(command, Close) and not result.dry_run:
            assert executed, f"not executed, but told {result}"
        if result.outcome == "done" and isinstance(command, Cancel) and result.order_id is not None:
            assert venue.status.get(result.order_id) != "working"


def _tells_of_another(world: World, result: Result, told: Sequence[Result], executed_us: int) -> bool:
    """Say whether a refusal may speak of another sending than of the one that worked.

    A journal that was put back has forgotten what it answered; what is proven not to be executed then is sent. And what
    left without a row, as only cancels do, is known only to the process that sent it (contract, section 2).
    """
    completed_us = to_us(result.completed_at)
    if any(completed_us <= at_us <= executed_us for at_us in world.restored_us):
        return True
    if result.action != "cancel":
        return False
    unrecorded = any(other.recorded is False for other in told) or world.journal_was_away(executed_us)
    return unrecorded and (result.evidence != "query" or executed_us > completed_us)


def _sent_as_allowed(
    venue: FakeVenue, sender: str, command: Command, commands: Sequence[Command], *, most: int, forgotten: bool
) -> None:
    """P2, P5: nothing leaves late, nor too often, nor again after it may have been executed."""
    sent = venue.sent(command_key(command, sender))
    latest_us = max(to_us(each.not_after) for each in commands) + NETWORK_US
    assert all(arrival.at_us < latest_us for arrival in sent), f"sent after not_after: {sent}"
    processed = [arrival for arrival in sent if arrival.kind not in UNPROCESSED]
    assert len(processed) <= most, f"{len(processed)} requests for {command}"
    if isinstance(command, Close) and command.venue != "echo" and not forgotten:
        assert all(arrival.kind in UNPROCESSED for arrival in sent[:-1]), f"sent again blindly: {sent}"


def _one_close_per_position(
    world: World, published: Mapping[Key, list[Message]], told: Mapping[Key, Sequence[Heard]]
) -> None:
    """P8: no close leaves while another one of its position may be under way, from its first request to its end."""
    spans = defaultdict(list)
    for (sender, command_id), messages in published.items():
        command = decode_command(messages[0].body, messages[0].content_type)
        sent = world.venues[command.venue].sent(coid(command_id, sender))
        if not isinstance(command, Close) or not sent or was_forgotten(world, messages):
            continue
        if len({message.body for message in messages}) > 1:
            continue  # which of them came first, and so which position it is about, is the broker's choice
        ends_us = world.settled_us.get((sender, command_id))
        finals = [h.result for h in told[sender, command_id] if h.result.final and h.result.recorded is not False]
        if ends_us is None and finals:  # its worker died of the commit, which was made
            ends_us = min(to_us(result.completed_at) for result in finals)
        place = (command.venue, command.account, command.position_id)
        spans[place].append((sent[0].at_us, sent[-1].at_us, ends_us, command_id))
    for place, taken in spans.items():
        for one, other in combinations(sorted(taken, key=lambda span: span[0]), 2):
            settled_us = one[2]
            assert settled_us is not None, f"a close went beside one that is not settled at {place}: {taken}"
            assert settled_us <= other[0], f"two closes at once at {place}: {taken}"


def outcomes(world: World) -> Counter[str]:
    """Count what was told, for a story."""
    return Counter(f"{heard.result.outcome} {_code(heard.result) or ''}".strip() for heard in world.broker.heard)


def command_key(command: Command, sender: str) -> str:
    return coid(command.command_id, sender) if isinstance(command, Close) else command.command_id
