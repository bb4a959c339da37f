"""The journal and the broker fail, deliveries wear out, senders send nonsense, and our own code has defects."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from router.config import SenderPolicy
from router.errors import PublishFailed
from router.venue_protocol import Limit
from schemas.codec import MSGPACK
from tests.unit.commands.fake_broker import PublishFault
from tests.unit.commands.fake_venue import Answer, FakeAdapter
from tests.unit.commands.steady_journal import JournalFault
from tests.unit.commands.world import World, coid


def test_without_a_journal_closes_wait_and_cancels_leave(world: World) -> None:
    """A plain cancel is answered, unrecorded; a close waits, unacknowledged, and goes once it is back."""
    (core,) = world.cores
    world.acme.rest("rest-1")
    core.journal.fault = "down"
    messages = [world.publish(world.close()), world.publish(world.cancel())]
    world.run(5)
    assert [arrival.key for arrival in world.acme.arrivals] == ["x1"]
    assert [m.settled for m in messages] == ["", "acked"]
    (told,) = world.results("x1")
    assert (told.outcome, told.recorded, told.seq) == ("accepted", False, 0)
    core.journal.fault = None
    assert world.final("c1", 2).outcome == "accepted"


def test_without_a_journal_a_deadline_is_answered_once_it_is_back(world: World) -> None:
    """Nothing was tried: `expired`."""
    (core,) = world.cores
    core.journal.fault = "down"
    world.publish(world.close(ttl_s=3))
    world.run(10)
    core.journal.fault = None
    reason = world.final("c1", 2).reason
    assert reason is not None
    assert (reason.code, world.acme.arrivals) == ("expired", [])


def test_an_answer_waits_for_the_journal(world: World) -> None:
    """The journal goes while the venue works: nothing is told before it is stored, and nothing is sent again."""
    (core,) = world.cores
    world.acme.script.append(Answer(takes_s=1.0))
    message = world.publish(world.close())
    world.run(0.5)
    core.journal.fault = "down"
    world.run(20)
    assert (world.results("c1"), message.settled) == ([], "")
    core.journal.fault = None
    result = world.final("c1", 30)
    assert (result.outcome, result.order_id) == ("accepted", "order-1")
    assert len(world.acme.arrivals) == 1


@pytest.mark.parametrize("fault", ["answer lost", "unreadable", "frozen"])
@pytest.mark.parametrize("answer", [Answer(), Answer(kind="reset", executes=True), Answer(kind="retry", after_s=2)])
def test_a_journal_that_lies_costs_no_second_send(world: World, fault: JournalFault, answer: Answer) -> None:
    """Commits that are reported as failed, reads that fail, rows that are lost: one execution, one final answer."""
    (core,) = world.cores
    world.acme.script.append(answer)
    core.journal.fault = fault
    message = world.publish(world.close())
    world.run(4)
    core.journal.fault = None
    result = world.final("c1", 60)
    world.run(10)
    finals = {r.result_id for r in world.results("c1") if r.final}
    assert (len(finals), message.settled) == (1, "acked")
    assert world.acme.executed[coid("c1")] == (result.outcome == "accepted")


def test_a_repeat_that_finds_no_place_says_nothing_of_what_was_sent(tmp_path: Path) -> None:
    """The first worked and has a row; its repeat, while the journal is away, is looked up first."""
    with World(tmp_path, limits=(Limit("act", 1, 30.0),)) as world:
        core = world.start()
        world.acme.rest("rest-1")
        cancel = world.cancel(ttl_s=20)
        world.publish(cancel)
        assert world.final("x1").outcome == "accepted"
        core.journal.fault = "down"
        world.run(1)
        repeat = world.publish(cancel, reply_to="alpha.more")
        world.until(lambda: world.heard_by(repeat), 40.0)
        (heard,) = world.heard_by(repeat)
        assert (heard.result.outcome, heard.result.recorded) == ("done", False)


def test_a_cancel_without_a_row_is_told_what_happened(world: World) -> None:
    """Its answer was lost and the deadline passed: the venue is asked, and nothing is called `expired`."""
    (core,) = world.cores
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind="hang", executes=True), Answer(kind="hang")])
    core.journal.fault = "down"
    world.publish(world.cancel(ttl_s=3))
    result = world.final("x1", 60)
    assert (result.outcome, result.recorded) in {("done", False), ("in_doubt", False)}
    again = world.publish(world.cancel(ttl_s=-1), correlation_id="again")
    world.run(10)
    assert [h.result.outcome for h in world.heard_by(again)] == ["done"]


def test_a_refused_cancel_without_a_row_is_looked_up(world: World) -> None:
    """The refusal speaks of the repeat; the first request did it."""
    (core,) = world.cores
    world.acme.rest("rest-1")
    world.acme.script.extend([Answer(kind="reset", executes=True), Answer(kind="refuse")])
    core.journal.fault = "down"
    world.publish(world.cancel())
    assert world.final("x1", 30).outcome == "done"


def test_a_twin_of_a_cancel_without_a_row_is_answered_too(world: World) -> None:
    """The twin's row is stored while the first is being sent: both addresses are owed the answer."""
    (core,) = world.cores
    world.acme.rest("rest-1")
    world.acme.script.append(Answer(takes_s=1.0))
    core.journal.fault = "down"
    command = world.cancel()
    first = world.publish(command)
    world.run(0.1)
    core.journal.fault = None
    second = world.publish(command, reply_to="alpha.second")
    world.run(20)
    assert [world.heard_by(message) != [] for message in (first, second)] == [True, True]


@pytest.mark.parametrize("fault", ["refused", "confirm lost"])
def test_a_result_that_is_not_confirmed_is_published_again(world: World, fault: PublishFault) -> None:
    """It is on disk, so its delivery does not wait for it; and it keeps its id."""
    world.broker.fault = fault
    message = world.publish(world.close())
    world.run(20)
    assert message.settled == "acked"
    world.broker.fault = None
    result = world.final("c1", 10)
    world.run(20)
    assert message.settled == "acked"
    assert {r.result_id for r in world.results("c1")} == {result.result_id}
    assert len(world.acme.arrivals) == 1


def test_a_result_left_behind_is_published_by_the_next_worker(world: World) -> None:
    """The worker dies between the commit and the confirm."""
    (core,) = world.cores
    world.broker.fault = "refused"
    world.publish(world.close())
    world.run(1)
    world.broker.queue.clear()
    world.kill(core)
    world.broker.queue.clear()
    world.broker.fault = None
    world.start()
    assert world.final("c1", 10).outcome == "accepted"


def test_results_keep_their_order_through_an_outage(world: World) -> None:
    """The doubt is told before its end, although both waited for the broker."""
    world.broker.fault = "refused"
    world.acme.script.append(Answer(kind="reset", executes=True))
    world.publish(world.close())
    world.run(20)
    world.broker.fault = None
    world.final("c1", 20)
    world.run(20)
    seen = [r.seq for r in world.results("c1")]
    assert [seq for n, seq in enumerate(seen) if seq not in seen[:n]] == [1, 2]


def test_poison_is_answered_dead_lettered_and_acknowledged(world: World) -> None:
    """With whatever could be read of it, the reason, and the worker alive."""
    bodies = [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"type":"close","command_id":"c9","venue":"acme"}']
    bodies += [b"[" * 60_000, b"x" * 70_000, b'{"type":"close","command_id":"c9","bogus":NaN}']
    messages = [world.publish_raw(body, correlation_id=f"poison-{n}") for n, body in enumerate(bodies)]
    silent = world.publish_raw(b"{", reply_to="")
    world.run(2)
    assert all(message.settled == "acked" for message in [*messages, silent])
    assert [buried.reason for buried in world.broker.buried] == ["invalid_command"] * (len(bodies) + 1)
    heard = {h.reply.correlation_id: h.result for h in world.broker.heard}
    assert set(heard) == {f"poison-{n}" for n in range(len(bodies))}
    for result in heard.values():
        assert result.reason is not None
        assert (result.outcome, result.final, result.reason.code) == ("rejected", True, "invalid_command")
    assert (heard["poison-5"].command_id, heard["poison-5"].venue, heard["poison-5"].account) == ("c9", "acme", None)
    world.publish(world.close())
    assert world.final("c1", 2).outcome == "accepted"


PARAMS = [
    b'{"x": 18446744073709551616}',
    b'{"x": -9223372036854775809}',
    b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"x": 1e300}',
    b'{"\\u0000": "\\u0000"}',
]


@pytest.mark.parametrize("params", PARAMS, ids=["big", "small", "deep", "float", "nul"])
def test_strange_params_are_answered(world: World, params: bytes) -> None:
    """What decodes is answered, whatever it holds: stored and refused, or as poison; never left to wear out."""
    fields = b'"type":"close","command_id":"c1","venue":"acme","account":"main","symbol":"BTC"'
    when = world.close().not_after.isoformat().encode()
    message = world.publish_raw(b"{" + fields + b',"not_after":"' + when + b'","params":' + params + b"}")
    world.run(5)
    assert (message.settled, message.deliveries) == ("acked", 0)
    assert world.broker.heard


@pytest.mark.parametrize("params", [b"\x81\xa1x\xc7\x01\x05x", b"\x81\x01\x02", b"\x81\xa1x\xc4\x01x"])
def test_strange_messagepack_is_answered(world: World, params: bytes) -> None:
    """Extension types, keys that are no text, bytes: nothing that JSON could not say is let in."""
    fields = {"type": "close", "command_id": "c1", "venue": "acme", "account": "main", "symbol": "BTC"}
    body = bytearray([0x80 | 7])
    for name, value in {**fields, "not_after": world.close().not_after.isoformat()}.items():
        body += bytes([0xA0 | len(name)]) + name.encode() + bytes([0xD9, len(value)]) + value.encode()
    body += b"\xa6params" + params
    message = world.publish_raw(bytes(body), content_type=MSGPACK)
    world.run(5)
    assert (message.settled, message.deliveries) == ("acked", 0)
    assert world.broker.heard


def test_a_defect_costs_a_delivery_a_try_and_ends_with_an_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again where it is; at the third time it is answered and dead-lettered."""

    def defect(*_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(FakeAdapter, "request", defect)
    message = world.publish(world.close())
    result = world.final("c1", 120)
    world.run(1)
    assert result.reason is not None
    assert (result.outcome, result.reason.code) == ("rejected", "internal_error")
    assert (message.deliveries, message.settled) == (0, "acked")
    assert [buried.reason for buried in world.broker.buried] == ["internal_error"]


def test_what_cannot_be_buried_is_left_to_the_broker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered and refused; the dead letters take nothing, so it is rejected, and the broker puts it there."""

    def defect(*_: object) -> Any:
        raise ZeroDivisionError

    async def nowhere(*_: object) -> None:
        raise PublishFailed("not confirmed")

    monkeypatch.setattr(FakeAdapter, "request", defect)
    monkeypatch.setattr(world.cores[0].publisher, "dead_letter", nowhere)
    message = world.publish(world.close())
    assert world.final("c1", 120).outcome == "rejected"
    world.run(1)
    assert message.settled == "dead"


def test_a_defect_after_the_bytes_is_not_called_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verdict` raises: the close was sent, so it is looked for, however often the message comes back."""

    def defect(*_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(FakeAdapter, "verdict", defect)
    world.publish(world.close())
    result = world.final("c1", 60)
    assert (result.outcome, result.evidence, len(world.acme.arrivals)) == ("accepted", "query", 1)


def test_a_library_that_lets_a_cancellation_slip_is_a_defect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cancelled us: the delivery is tried again instead of being held for ever."""
    slips = [True]

    def slip(*_: object) -> Any:
        if slips:
            slips.clear()
            raise asyncio.CancelledError
        return FakeAdapter("acme")

    monkeypatch.setattr(FakeAdapter, "position", lambda *_: slip() and "p1")
    message = world.publish(world.close())
    assert world.final("c1", 5).outcome == "accepted"
    world.run(0.1)
    assert (message.deliveries, message.settled) == (0, "acked")


def test_a_defect_after_a_reconnect_puts_the_new_delivery_back(world: World) -> None:
    """The delivery that joined must not be left unsettled with the one that failed."""
    (core,) = world.cores
    world.acme.script.append(Answer(kind="look", executes=True, takes_s=1.0))
    message = world.publish(world.close())
    world.run(0.5)
    core.reconnect()
    core.journal.fault = "unreadable"
    world.run(2)
    core.journal.fault = None
    assert world.final("c1", 60).outcome == "accepted"
    world.run(1)
    assert message.settled == "acked"


def die_over(world: World, points: int) -> None:
    """Let the worker die after so many more places, and another one start."""
    (core,) = world.cores
    core.dies_at = len(core.points) + points
    world.until(lambda: not core.alive, 30)
    world.run(0)
    world.start()


def consuming(world: World) -> None:
    """Wait until the worker consumes; hold what is in the queue back meanwhile."""
    held = list(world.broker.queue)
    world.broker.queue.clear()
    world.until(lambda: world.cores[0].connection is not None)
    world.broker.queue.extend(held)


def test_a_message_that_ends_processes_is_refused_at_the_third_time(world: World) -> None:
    """Row 40: the first death may be anybody's, the second was over it alone; innocent ones are answered properly."""
    consuming(world)
    message = world.publish(world.close(ttl_s=200))
    innocent = [world.publish(world.close(f"i{n}", position_id=f"i{n}", ttl_s=200)) for n in range(3)]
    die_over(world, 0)
    assert all(each.redelivered for each in (message, *innocent))
    # The odd one comes first and alone: its note is written, and then the process ends before its row is.
    others = [each for each in world.broker.queue if each is not message]
    world.broker.queue.clear()
    consuming(world)
    world.broker.queue.append(message)
    die_over(world, 0)
    assert message.deliveries == 2
    world.broker.queue.extend(others)
    result = world.final("c1", 30)
    world.run(30)
    assert result.reason is not None
    assert (result.outcome, result.reason.code) == ("rejected", "internal_error")
    assert world.acme.sent(coid("c1")) == []
    (buried,) = world.broker.buried
    assert (buried.message.body, message.settled) == (message.body, "acked")
    assert [world.results(f"i{n}")[-1].outcome for n in range(3)] == ["accepted"] * 3


def test_lost_connections_say_nothing_against_a_message(world: World) -> None:
    """Row 39: twenty cuts while the journal is away; nothing is refused and nothing dead-lettered."""
    (core,) = world.cores
    core.journal.fault = "down"
    messages = [world.publish(world.close(f"c{n}", position_id=f"p{n}", ttl_s=200)) for n in range(20)]
    for _ in range(20):
        world.run(2)
        core.reconnect()
    assert min(message.deliveries for message in messages) == 20
    core.journal.fault = None
    for n in range(20):
        assert world.final(f"c{n}", 60).outcome == "accepted"
    assert (world.broker.buried, world.broker.rejected) == ([], [])


def test_what_was_sent_is_left_to_the_resolver_however_often_it_comes(world: World) -> None:
    """Something was sent: what happened is told, and nothing is buried."""
    world.acme.script.append(Answer(kind="hang", executes=True))
    message = world.publish(world.close())
    world.run(0.1)
    for _ in range(3):
        world.kill(world.cores[0])
        world.start()
        world.run(1)
    result = world.final("c1", 60)
    world.run(1)
    assert (result.outcome, world.broker.buried, message.settled) == ("accepted", [], "acked")


SENDERS = {
    "alpha": SenderPolicy(accounts=("acme/main",), commands=("close",), reply_to=r"^alpha\."),
    "beta": SenderPolicy(accounts=("acme/other",)),
}


@pytest.mark.parametrize("limited", [{"senders": SENDERS}], indirect=True)
def test_nobody_does_what_he_may_not(limited: World) -> None:
    """A foreign account, action, reply queue or user: refused, not stored, never answered on a stranger's queue."""
    world = limited
    world.publish(world.close("c1", account="other"))
    world.publish(world.cancel("x1"))
    world.publish(world.close("c2"), reply_to="beta.results")
    world.publish(world.close("c3"), sender="nobody", reply_to="alpha.results")
    world.run(1)
    told = {h.result.command_id: h for h in world.broker.heard}
    assert set(told) == {"c1", "x1", "c2", "c3"}
    for heard in told.values():
        assert heard.result.reason is not None
        assert (heard.result.outcome, heard.result.reason.code) == ("rejected", "unauthorized_sender")
    replies = {name: heard.reply.reply_to for name, heard in told.items()}
    assert (replies["c1"], replies["x1"], replies["c2"]) == ("alpha.results", "alpha.results", "")
    world.publish(world.close("c1", account="main"))
    world.run(1)
    assert world.results("c1")[-1].outcome == "accepted", "the refusal did not take the id"


def test_draining_finishes_what_has_begun(world: World) -> None:
    """What can end in time ends; what cannot is left to the next worker, which does not send it again."""
    (core,) = world.cores
    world.acme.scripts[coid("c1")].append(Answer(takes_s=1.0, executes=True))
    world.acme.scripts[coid("c2")].append(Answer(kind="hang", executes=True))
    world.publish(world.close("c1", position_id="p1"))
    world.publish(world.close("c2", position_id="p2"))
    world.run(0.1)
    left = world.loop.run_until_complete(core.worker.drain(1.5))
    assert left == 1
    assert world.results("c1")[0].outcome == "accepted"
    world.kill(core)
    world.start()
    assert world.final("c2", 60).outcome == "accepted"
    assert len(world.acme.arrivals) == 2
