"""The same command again, another one under its id, and two closes of one position."""

import pytest

from router.venue_protocol import Limit
from schemas.codec import MSGPACK, encode_command
from tests.unit.commands.fake_broker import same_answer
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import World, coid


def test_a_duplicate_while_open_joins(world: World) -> None:
    """It is sent once, and each delivery gets its own answer on its own address."""
    world.acme.script.append(Answer(takes_s=0.5))
    command = world.close()
    first = world.publish(command)
    world.run(0.1)
    twin = world.publish(command)
    other = world.publish(command, reply_to="alpha.second", correlation_id="another")
    world.run(5)
    assert len(world.acme.arrivals) == 1
    heard = world.heard("c1")
    assert sorted(h.reply.correlation_id for h in heard) == ["another", "c1", "c1"]
    assert len({h.result.result_id for h in heard}) == 1
    assert [h.result.duplicate for h in heard].count(False) == 1
    assert all(same_answer(heard[0].result, h.result) for h in heard)
    assert [message.settled for message in (first, twin, other)] == ["acked"] * 3


def test_a_duplicate_after_the_end_is_told_the_same(world: World) -> None:
    """A stored answer is repeated under its id, also in another codec, also after the deadline."""
    command = world.close(ttl_s=5)
    world.publish(command)
    result = world.final("c1")
    world.run(10)
    later = world.close(ttl_s=30)
    world.publish_raw(encode_command(later, MSGPACK), content_type=MSGPACK, correlation_id="again")
    world.run(1)
    (again,) = [h for h in world.heard("c1") if h.reply.correlation_id == "again"]
    assert again.result.duplicate
    assert same_answer(again.result, result)
    assert again.reply.content_type == MSGPACK
    assert len(world.acme.arrivals) == 1


def test_a_duplicate_in_doubt_is_told_so_and_hears_the_end(world: World) -> None:
    """The last stored result at once, and every later one on every address on record."""
    world.acme.script.append(Answer(kind="reset"))
    command = world.close()
    world.publish(command)
    world.run(2)
    world.publish(command, reply_to="alpha.second", correlation_id="another")
    world.run(0.1)
    (doubt,) = [h.result for h in world.heard("c1") if h.reply.correlation_id == "another"]
    assert (doubt.outcome, doubt.duplicate, doubt.seq) == ("in_doubt", True, 1)
    world.final("c1", 60)
    world.run(1)
    ends = [(h.reply.reply_to, h.result.seq) for h in world.heard("c1") if h.result.final]
    assert sorted(ends) == [("alpha.results", 2), ("alpha.second", 2)]
    assert len(world.acme.arrivals) == 1


def test_a_repeat_never_extends_the_deadline(world: World) -> None:
    """What is stored is what counts."""
    world.acme.script.extend([Answer(kind="retry", after_s=1.5) for _ in range(20)])
    world.publish(world.close(ttl_s=5))
    world.run(1)
    world.publish(world.close(ttl_s=60))
    world.final("c1", 5)
    world.run(60)
    assert world.acme.arrivals[-1].at_us < world.acme.arrivals[0].at_us + 5_000_000


@pytest.mark.parametrize("wait_s", [0.1, 5.0])
def test_another_body_under_the_id_is_refused(world: World, wait_s: float) -> None:
    """`command_id_reused`, whether the first is open or done; the first is untouched."""
    world.acme.script.append(Answer(takes_s=1.0))
    world.publish(world.close())
    world.run(wait_s)
    stranger = world.publish(world.close(size="2"), correlation_id="stranger")
    world.run(5)
    told = {h.reply.correlation_id: h.result for h in world.heard("c1")}
    assert told["c1"].outcome == "accepted"
    assert told["stranger"].reason is not None
    assert (told["stranger"].outcome, told["stranger"].reason.code) == ("rejected", "command_id_reused")
    assert (told["stranger"].seq, told["stranger"].final) == (1, True)
    assert told["stranger"].result_id != told["c1"].result_id
    assert (len(world.acme.arrivals), stranger.settled) == (1, "acked")


def test_ids_belong_to_their_sender(world: World) -> None:
    """Two senders may use one id; neither hears the other's answer."""
    world.publish(world.close(position_id="p1"), sender="alpha")
    world.publish(world.close(position_id="p2"), sender="beta")
    world.run(1)
    assert [r.outcome for r in world.results("c1", "alpha") + world.results("c1", "beta")] == ["accepted"] * 2
    assert [arrival.key for arrival in world.acme.arrivals] == [coid("c1", "alpha"), coid("c1", "beta")]


def test_one_open_close_per_position(world: World) -> None:
    """The second is `busy` until the first is settled, and `busy` for good under its id."""
    world.acme.script.append(Answer(takes_s=1.0))
    world.publish(world.close("c1"))
    world.run(0.1)
    busy = world.publish(world.close("c2"))
    elsewhere = world.publish(world.close("c3", account="other"))
    world.run(3)
    (told,) = world.results("c2")
    assert told.reason is not None
    assert (told.outcome, told.reason.code, told.attempts) == ("rejected", "busy", 0)
    assert world.final("c3").outcome == "accepted", "another account's position is another position"
    world.publish(world.close("c2"))
    world.run(1)
    assert world.results("c2")[-1].reason == told.reason
    world.publish(world.close("c4"))
    assert world.final("c4").outcome == "accepted"
    assert (busy.settled, elsewhere.settled) == ("acked", "acked")


def test_two_workers_send_one_command_once(world: World) -> None:
    """The same command to two workers at once, and two closes of a position at once: the journal decides."""
    world.start()
    command = world.close("c1")
    for _ in range(6):
        world.publish(command)
    for n in range(6):
        world.publish(world.close(f"d{n}", position_id="p2"))
    world.run(5)
    outcomes = [world.final(f"d{n}").outcome for n in range(6)]
    assert len(world.acme.sent(coid("c1"))) == 1
    assert sorted(outcomes) == ["accepted"] + ["rejected"] * 5
    assert len(world.results("c1")) == 6


def test_cancels_are_never_exclusive(world: World) -> None:
    """Two cancels of one order both go."""
    world.acme.rest("rest-1")
    world.publish(world.cancel("x1"))
    world.publish(world.cancel("x2"))
    assert {world.final("x1").outcome, world.final("x2").outcome} <= {"accepted", "done"}
    assert len(world.acme.arrivals) >= 2


def test_a_redelivery_while_it_runs_is_acknowledged_instead(world: World) -> None:
    """The connection is cut while the venue works: nothing is cut or repeated, and the new delivery is acked."""
    world.acme.script.append(Answer(takes_s=1.5))
    message = world.publish(world.close())
    world.run(0.2)
    world.cores[0].reconnect()
    world.run(5)
    assert (message.deliveries, message.settled) == (1, "acked")
    assert len(world.acme.arrivals) == 1
    assert [r.outcome for r in world.results("c1")] == ["accepted"]


def test_all_twins_of_a_cut_connection_are_acknowledged(world: World) -> None:
    """Two deliveries of one command, both unacknowledged when the connection goes: none stays behind."""
    world.acme.script.append(Answer(takes_s=1.5))
    command = world.close()
    messages = [world.publish(command), world.publish(command), world.publish(world.close(size="3"))]
    world.run(0)
    world.cores[0].reconnect()
    world.run(10)
    assert [message.settled for message in messages] == ["acked"] * 3
    reasons = [r.reason.code for r in world.results("c1") if r.reason]
    assert reasons.count("command_id_reused") >= 1
    assert len(world.acme.arrivals) == 1


def test_a_redelivery_with_another_body_is_no_redelivery_of_this(world: World) -> None:
    """Its first delivery was another worker's; here it is refused while the command runs."""
    world.acme.script.append(Answer(takes_s=1.5))
    world.publish(world.close())
    world.run(0.1)
    stranger = world.publish(world.close(size="3"))
    stranger.redelivered, stranger.deliveries = True, 1
    world.run(0.5)
    assert [r.reason.code for r in world.results("c1") if r.reason] == ["command_id_reused"]
    assert stranger.settled == "acked"


@pytest.mark.parametrize("limited", [{"limits": (Limit("act", 1, 5.0),)}], indirect=True)
def test_a_duplicate_of_a_parked_command_joins(limited: World) -> None:
    """It is answered with the one result, and does not bring the send forward."""
    world = limited
    world.publish(world.close("c0", position_id="p0"))
    command = world.close("c1")
    world.publish(command)
    world.run(2)
    world.publish(command, reply_to="alpha.second")
    world.final("c1", 10)
    world.run(1)
    assert sorted(h.reply.reply_to for h in world.heard("c1")) == ["alpha.results", "alpha.second"]
    assert len(world.acme.sent(coid("c1"))) == 1
