"""What the journal promises, on both back ends."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from router.clock import to_time
from router.errors import UnreadableRow
from router.journal import Filter, Store, Unreadable
from router.journal.machine import ThisMachine
from router.ports import Journal
from router.records.command import (
    ABANDONED,
    Admitted,
    AttemptEnd,
    Busy,
    CommandRecord,
    Joined,
    Kind,
    Outgoing,
    Repeat,
    Reused,
    TooLate,
)
from schemas.commands import Close
from schemas.results import Result
from tests.integration.journal.conftest import Open, until
from tests.journal_cases import T0_US, began, cancel, close, doubtful, ended, final, reply, result
from tests.journal_place import Place, lapse

pytestmark = pytest.mark.integration

T0 = to_time(T0_US)


async def admitted(journal: Store, record: CommandRecord) -> CommandRecord:
    """Admit a new command."""
    answer = await journal.admit(record, reply(), "digest")
    assert isinstance(answer, Admitted)
    return answer.record


async def saved(
    journal: Store,
    record: CommandRecord,
    answer: Result | None = None,
    end: AttemptEnd | None = None,
) -> tuple[CommandRecord, Sequence[Outgoing]]:
    """Save a command that nobody else has saved."""
    stored = await journal.save(record, end=end, result=answer)
    assert stored is not None
    return stored.record, stored.outgoing


async def left(journal: Store, limit: int = 10, **room: int) -> Sequence[Outgoing]:
    """Return what nobody publishes, as if every claim had run out."""
    await lapse(journal)
    return await journal.unpublished(room=room, per_queue=limit, limit=limit)


async def due(journal: Store, at_a_time: int = 10) -> list[str]:
    """Take up what is due of one venue, and return the ids."""
    places: dict[Kind, int] = {"act": at_a_time, "look": at_a_time, "own": at_a_time}
    claim_us: dict[Kind, int] = {"act": 60_000_000, "look": 60_000_000, "own": 60_000_000}
    records = await journal.take_up(["gmo_coin"], places=places, busy={}, claim_us=claim_us, limit=100)
    return [record.command_id for record in records]


async def events(journal: Store, command_id: str) -> list[str]:
    """The names of what happened to a command."""
    stories = await journal.story("alpha", command_id)
    return [entry.event for story in stories for entry in story.entries]


def test_the_store_is_a_journal(journal: Store) -> None:
    """Both back ends fulfil the port the core is written against."""
    port: Journal = journal
    assert port.writable


class TestAdmit:
    """A command id is one command, and a position has one close."""

    async def test_a_new_command_is_stored(self, journal: Store) -> None:
        """What was admitted is loaded field for field."""
        record = close("a1")
        before_us, asked_us = journal.earliest_us(), ThisMachine().boot_us()
        answer = await journal.admit(record, reply(), "digest")
        assert isinstance(answer, Admitted)
        assert answer.at is not None
        assert before_us <= answer.at.now_us <= journal.latest_us()
        assert asked_us <= answer.at.asked_us <= ThisMachine().boot_us()
        assert (answer.record, answer.outgoing) == (record, ())
        assert await journal.load("alpha", "a1") == record

    async def test_an_unknown_command_is_nothing(self, journal: Store) -> None:
        """Only the sender's own id finds a command."""
        await admitted(journal, close("a1"))
        assert await journal.load("beta", "a1") is None
        assert await journal.load("alpha", "a2") is None

    async def test_an_open_command_is_joined(self, journal: Store) -> None:
        """The same command that is not answered yet is not run again."""
        await admitted(journal, close("a1"))
        assert await journal.admit(close("a1"), reply("c2"), "digest") == Joined()

    async def test_a_finished_command_is_repeated(self, journal: Store) -> None:
        """The stored result comes back field for field."""
        record = await admitted(journal, began(close("a1")))
        await saved(journal, final(record), result(record), ended())
        assert await journal.admit(close("a1"), reply("c2"), "digest") == Repeat(result(record))
        assert await journal.admit(close("a1"), reply(), "digest") == Repeat(result(record))

    async def test_a_command_that_came_later_repeats_the_stored_one(self, journal: Store) -> None:
        """A repeat is recognised whenever it comes."""
        record = await admitted(journal, began(close("a1")))
        await saved(journal, final(record), result(record), ended())
        later = close("a1", received_us=T0_US + 5_000_000)
        assert await journal.admit(later, reply("c2"), "digest") == Repeat(result(record))

    async def test_an_id_is_one_body(self, journal: Store) -> None:
        """Other fields under a known id are refused, open or finished."""
        record = await admitted(journal, close("a1"))
        assert await journal.admit(close("a1", position="p2"), reply(), "other") == Reused()
        await saved(journal, final(record), result(record))
        assert await journal.admit(close("a1", position="p2"), reply(), "other") == Reused()

    async def test_two_senders_may_use_one_id(self, journal: Store) -> None:
        """An id belongs to its sender."""
        await admitted(journal, close("a1"))
        await admitted(journal, close("a1", sender="beta", position="p2"))

    async def test_one_close_per_position(self, journal: Store) -> None:
        """A second close of a position is busy, a cancel and a dry run never are."""
        await admitted(journal, close("a1"))
        assert await journal.admit(close("a2"), reply(), "digest") == Busy()
        assert await journal.load("alpha", "a2") is None
        await admitted(journal, cancel("a3"))
        await admitted(journal, cancel("a4"))
        await admitted(journal, close("a5", position=None))

    @pytest.mark.parametrize("state", ["in_doubt", "unresolved"])
    async def test_doubt_holds_the_position(self, journal: Store, state: str) -> None:
        """A position is free again only when its close is settled."""
        record = await admitted(journal, began(close("a1")))
        record, _ = await saved(
            journal, doubtful(record, state=state), result(record, outcome="in_doubt", final=False), ended()
        )
        assert await journal.admit(close("a2"), reply(), "digest") == Busy()
        await saved(journal, final(record, seq=2), result(record, 2))
        await admitted(journal, close("a2"))

    async def test_a_settled_close_never_takes_its_position_back(self, journal: Store) -> None:
        """Late doubt about a finished close does not stand in the way of the next one."""
        record = await admitted(journal, began(close("a1")))
        record, _ = await saved(journal, final(record), result(record), ended())
        await admitted(journal, close("a2"))
        assert await journal.save(doubtful(record, state="unresolved")) is not None

    async def test_a_refusal_is_stored(self, journal: Store) -> None:
        """A refusal is the command's final result: it is owed, and it is repeated."""
        await admitted(journal, close("a1"))
        record = close("a2")
        refusal = result(record, outcome="rejected")
        answer = await journal.admit(record, reply("c2"), "digest", result=refusal)
        assert isinstance(answer, Admitted)
        assert [(out.result, out.reply, out.waits) for out in answer.outgoing] == [(refusal, reply("c2"), False)]
        assert answer.record.state == "final"
        assert answer.record.next_us is None
        assert await journal.load("alpha", "a2") == answer.record
        assert await journal.admit(record, reply(), "digest") == Repeat(refusal)
        assert [out.result for out in await left(journal)] == [refusal]

    async def test_what_a_broker_takes_is_stored(self, journal: Store) -> None:
        """No character that a sender or a venue may use makes a command impossible to store."""
        odd = reply("c\0'\"\\é☃", reply_to="q\0/\ue000")
        record = close("a1", venue_code="E\0", message="\0\N{SNOWMAN}")
        answer = await journal.admit(record, odd, "digest")
        assert isinstance(answer, Admitted)
        assert await journal.admit(record, odd, "digest") == Joined()
        assert await journal.admit(record, reply("d\0"), "digest") == Joined()
        journal.note("alpha", "a1", "odd\0", "\ud800")
        _, outgoing = await saved(
            journal, final(record, order_id="1\0"), result(record), ended(message="\0", venue_code="\0")
        )
        assert [out.reply for out in outgoing] == [odd, odd, reply("d\0")]
        stored = await journal.load("alpha", "a1")
        assert stored is not None
        assert stored.order_id == "1\0"


class TestGivenUpTargets:
    """A close that comes after the cancel that waited for it does nothing."""

    async def test_it_is_too_late(self, journal: Store) -> None:
        """The close is refused, and its refusal is repeated."""
        await journal.give_up_target("alpha", "a1")
        await journal.give_up_target("alpha", "a1")
        record = close("a1")
        assert await journal.load("alpha", "a1") is None
        assert await journal.admit(record, reply(), "digest") == TooLate()
        refusal = result(record, outcome="rejected")
        assert isinstance(await journal.admit(record, reply(), "digest", result=refusal), Admitted)
        assert await journal.admit(record, reply(), "digest") == Repeat(refusal)

    async def test_only_closes_are(self, journal: Store) -> None:
        """A cancel under that id is a command of its own."""
        await journal.give_up_target("alpha", "a1")
        await admitted(journal, cancel("a1"))

    async def test_a_close_that_was_there_stays(self, journal: Store) -> None:
        """Giving up changes no command, and marks no other sender's."""
        record = await admitted(journal, close("a1"))
        await journal.give_up_target("alpha", "a1")
        assert await journal.load("alpha", "a1") == record
        await journal.give_up_target("beta", "a2")
        await admitted(journal, close("a2", position="p2"))

    async def test_it_is_no_work(self, journal: Store) -> None:
        """A tombstone is neither due nor listed, and its story says what it is."""
        await journal.give_up_target("alpha", "a1")
        assert await due(journal) == []
        assert await journal.listing() == []
        (told,) = await journal.story(None, "a1")
        assert told.record is None
        assert [entry.event for entry in told.entries] == ["given_up"]


class TestSave:
    """Whoever read an older version has lost."""

    async def test_the_next_version_is_stored(self, journal: Store) -> None:
        """A save returns what it stored."""
        record = await admitted(journal, close("a1"))
        stored, outgoing = await saved(journal, msgspec.structs.replace(record, next_us=5, looks=3))
        assert (stored.version, stored.looks, outgoing) == (1, 3, ())
        assert await journal.load("alpha", "a1") == stored

    async def test_a_stale_version_stores_nothing(self, journal: Store) -> None:
        """The loser's result is not sent; what it saw is kept as evidence."""
        record = await admitted(journal, began(close("a1")))
        winner, _ = await saved(journal, doubtful(record))
        late = ended(outcome="Refused", venue_code="ERR-201")
        assert await journal.save(final(record), end=late, result=result(record)) is None
        assert await journal.load("alpha", "a1") == winner
        assert await left(journal) == ()
        (told,) = await journal.story("alpha", "a1")
        (seen,) = [entry.detail for entry in told.entries if entry.event == "evidence"]
        assert seen == "attempt 1 refused: ERR-201"

    async def test_a_row_that_took_its_place_is_another(self, journal: Store, place: Place) -> None:
        """The journal was put back under a living process, and the command was admitted again, by its repeat."""
        old = await admitted(journal, close("a1"))
        await place.sql("delete from commands")
        new = await admitted(journal, close("a1", received_us=T0_US + 5_000_000))
        assert (new.version, new.received_us) != (old.version, old.received_us)
        assert await journal.save(final(old), result=result(old)) is None
        assert await journal.load("alpha", "a1") == new

    async def test_a_command_that_is_not_there_is_not_saved(self, journal: Store) -> None:
        """Saving creates no command, not even out of a tombstone."""
        assert await journal.save(close("a1")) is None
        await journal.give_up_target("alpha", "a1")
        assert await journal.save(close("a1")) is None

    async def test_one_of_many_wins(self, open_place: Open) -> None:
        """Of any number of saves of one version, by any process, one is stored."""
        pods = [await open_place(), await open_place()]
        record = await admitted(pods[0], close("a1"))
        results = await asyncio.gather(
            *(pods[i % 2].save(final(record, looks=i), result=result(record)) for i in range(10))
        )
        assert len([stored for stored in results if stored is not None]) == 1
        assert len(await left(pods[0])) == 1

    async def test_one_attempt_is_open(self, journal: Store) -> None:
        """Whoever takes a command over ends the attempt that was left open, and loses nothing it hears later."""
        record = await admitted(journal, began(close("a1")))
        lost = ended(1, ABANDONED, sent_us=None)
        record, _ = await saved(journal, began(record, 2), end=lost)
        record, _ = await saved(journal, began(record, 3), end=ended(2, "Retry"))
        assert await journal.save(msgspec.structs.replace(record, version=0), end=lost) is None
        record, _ = await saved(journal, final(record), result(record), end=ended(1, "Refused"))
        (told,) = await journal.story("alpha", "a1")
        details = [(entry.event, entry.detail) for entry in told.entries]
        assert ("attempt", "1 its process did not live to tell") in details
        assert ("attempt", "2 to be tried again") in details
        assert ("attempt", "3 begun, and not known to be over") in details
        assert [detail for event, detail in details if event == "evidence"] == ["attempt 1 refused"]

    async def test_a_result_has_its_own_seq(self, journal: Store) -> None:
        """A second result under a number that is taken is a defect, and stores nothing."""
        record = await admitted(journal, close("a1"))
        record, _ = await saved(journal, doubtful(record), result(record, outcome="in_doubt", final=False))
        other = close("a2", position="p2")
        outcomes = await asyncio.gather(
            journal.save(final(record), result=result(record)),
            journal.admit(other, reply(), "digest"),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], Exception)
        assert isinstance(outcomes[1], Admitted)
        assert await journal.load("alpha", "a1") == record

    async def test_a_cancelled_caller_loses_nothing(self, journal: Store) -> None:
        """A save that was begun is stored although nobody waits for it any more."""
        record = await admitted(journal, close("a1"))
        saving = asyncio.create_task(journal.save(final(record), result=result(record)))
        await asyncio.sleep(0)
        saving.cancel()

        async def stored_as_final() -> bool:
            stored = await journal.load("alpha", "a1")
            return stored is not None and stored.state == "final"

        await until(stored_as_final)


class TestOutbox:
    """Every delivery is answered, and later results follow the earlier ones."""

    async def test_every_delivery_gets_an_answer(self, journal: Store) -> None:
        """Deliveries that joined are answered where they asked, and only the first copy is not a duplicate."""
        record = await admitted(journal, close("a1"))
        for correlation_id in ("c1", "c2", "c2", "c1"):
            assert await journal.admit(record, reply(correlation_id), "digest") == Joined()
        _, outgoing = await saved(journal, final(record), result(record))
        assert [(out.reply.correlation_id, out.result.duplicate) for out in outgoing] == [
            ("c1", False), ("c1", True), ("c1", True), ("c2", True), ("c2", True),
        ]  # fmt: skip
        assert len({out.outbox_id for out in outgoing}) == 5
        assert await left(journal) == outgoing

    async def test_later_results_go_to_every_address_once(self, journal: Store) -> None:
        """Whoever was told of the doubt, also by a repeat, is told what became of it."""
        record = await admitted(journal, close("a1"))
        for correlation_id in ("c1", "c2", "c2"):
            await journal.admit(record, reply(correlation_id), "digest")
        doubt = result(record, outcome="in_doubt", final=False)
        record, _ = await saved(journal, doubtful(record), doubt)
        for correlation_id in ("c1", "c3", "c3"):
            assert await journal.admit(record, reply(correlation_id), "digest") == Repeat(doubt)
        record, outgoing = await saved(journal, final(record, seq=2), result(record, 2))
        assert [(out.reply.correlation_id, out.result.duplicate) for out in outgoing] == [
            ("c1", False), ("c2", True), ("c3", True),
        ]  # fmt: skip
        assert await journal.admit(record, reply("c4"), "digest") == Repeat(result(record, 2))

    async def test_a_result_does_not_overtake(self, journal: Store) -> None:
        """A later result waits until the earlier one is confirmed."""
        record = await admitted(journal, close("a1"))
        record, first = await saved(journal, doubtful(record), result(record, outcome="in_doubt", final=False))
        assert [out.waits for out in first] == [False]
        record, second = await saved(journal, final(record, seq=2), result(record, 2))
        assert [out.waits for out in second] == [True]
        claimed = await journal.unpublished(room={}, per_queue=10, limit=10)
        assert claimed == (), "whoever stored the first publishes it, the second waits for it"
        assert await left(journal) == first
        journal.published(out.outbox_id for out in first)
        assert [out.result.seq for out in await left(journal)] == [2]

    async def test_a_confirmed_result_is_not_waited_for(self, journal: Store) -> None:
        """Once the earlier result is confirmed, the later one may go at once."""
        record = await admitted(journal, close("a1"))
        record, first = await saved(journal, doubtful(record), result(record, outcome="in_doubt", final=False))
        journal.published(out.outbox_id for out in first)
        _, second = await saved(journal, final(record, seq=2), result(record, 2))
        assert [out.waits for out in second] == [False]

    async def test_a_confirmed_result_is_not_sent_again(self, journal: Store) -> None:
        """Marks count, whoever's sender name they carry."""
        record = close("a1", sender="team/alpha/1")
        await journal.admit(record, reply(), "digest")
        _, outgoing = await saved(journal, final(record), result(record))
        journal.published([outgoing[0].outbox_id])
        assert await left(journal) == ()

    async def test_whoever_stores_a_result_has_it_first(self, journal: Store) -> None:
        """A result is born claimed; let go of, or left by a process that died, it is anybody's."""
        record = await admitted(journal, close("a1"))
        _, outgoing = await saved(journal, final(record), result(record))
        assert await journal.unpublished(room={}, per_queue=10, limit=10) == ()
        ids = [out.outbox_id for out in outgoing]
        await journal.release(ids)
        assert await journal.unpublished(room={}, per_queue=10, limit=10) == outgoing
        await journal.renew(ids)
        assert await journal.unpublished(room={}, per_queue=10, limit=10) == ()

    async def test_a_queue_has_only_so_much_at_a_time(self, journal: Store) -> None:
        """Each reply queue has a line of its own; one that has no room, or is paused, leaves the others theirs."""
        for number in range(12):
            record = cancel(f"a{number}")
            await journal.admit(record, reply(reply_to=f"q{number % 3}"), "digest")
            await saved(journal, final(record), result(record))
        await lapse(journal)
        found = await journal.unpublished(room={"q0": 0, "q1": 1}, per_queue=2, limit=100)
        assert sorted(out.reply.reply_to for out in found) == ["q1", "q2", "q2"]
        await lapse(journal)
        assert await journal.pause("q2", 60_000_000) < 1_000_000
        found = await journal.unpublished(room={}, per_queue=2, limit=100)
        assert sorted(out.reply.reply_to for out in found) == ["q0", "q0", "q1", "q1"]

    async def test_a_pause_knows_since_when(self, journal: Store) -> None:
        """Until the queue takes something again; an ended pause alone forgets nothing."""
        assert await journal.pause("q", 1) == 0
        stuck_us = await journal.pause("q", 0)
        assert stuck_us > 0
        assert await journal.pause("q", 0) > stuck_us
        await journal.resume("q")
        assert await journal.pause("q", 0) == 0

    async def test_a_result_is_claimed_once(self, open_place: Open) -> None:
        """Pods that look for leftovers at the same time do not find the same ones."""
        pods = [await open_place(), await open_place()]
        for number in range(40):
            record = await admitted(pods[0], close(f"a{number}", position=f"p{number}"))
            await saved(pods[0], final(record), result(record))
        await lapse(pods[0])
        claims = await asyncio.gather(*(pods[i % 2].unpublished(room={}, per_queue=10, limit=10) for i in range(8)))
        ids = [out.outbox_id for claim in claims for out in claim]
        assert len(ids) == len(set(ids))
        rest = [out.outbox_id for out in await pods[0].unpublished(room={}, per_queue=40, limit=40)]
        assert len(set(ids + rest)) == len(ids + rest) == 40


class TestWork:
    """What is parked is found again, by any pod."""

    async def test_what_is_due(self, journal: Store) -> None:
        """Past work comes; what is not due, or owes nothing, does not; what was taken up is left alone for a while."""
        now = journal.earliest_us()
        for number in (3, 1, 2):
            await admitted(journal, close(f"a{number}", position=f"p{number}", next_us=now - 10_000_000 + number))
        await admitted(journal, close("a9", position="p9", next_us=now + 60_000_000))
        record = await admitted(journal, close("a0", position="p0", next_us=now - 10_000_000))
        await saved(journal, final(record), result(record))
        assert await due(journal, 2) == ["a1", "a2"]
        assert await due(journal) == ["a3"]
        assert await due(journal) == []

    async def test_a_claim_leaves_the_version(self, journal: Store) -> None:
        """Whoever saves first has the command: the one who took it up, or the one who still had it."""
        record = await admitted(journal, close("a1", next_us=1))
        assert await due(journal) == ["a1"]
        assert await journal.save(final(record), result=result(record)) is not None

    async def test_each_account_has_its_places(self, journal: Store) -> None:
        """Hundreds that are due at one account leave the others what is theirs, and looks have places of their own."""
        for number in range(300):
            record = close(f"a{number}", position=f"p{number}", next_us=number, step="look")
            await admitted(journal, replaced(record, account="crowded"))
        for number in range(3):
            record = close(f"b{number}", position=f"p{number}", next_us=1000)
            await admitted(journal, replaced(record, not_after=to_time(journal.latest_us() + 600_000_000)))
        late = replaced(close("late", position="late", next_us=1000), account="crowded", not_after=T0)
        await admitted(journal, late)
        await admitted(journal, cancel("find", next_us=1000, step="find"))
        assert sorted(await due(journal, 2)) == ["a0", "a1", "b0", "b1", "find", "late"]
        busy: dict[tuple[str, str, Kind], int] = {("gmo_coin", "crowded", "look"): 5, ("gmo_coin", "main", "act"): 4}
        places: dict[Kind, int] = {"act": 5, "look": 5, "own": 5}
        claim_us: dict[Kind, int] = {"act": 1_000_000, "look": 1_000_000, "own": 1_000_000}
        records = await journal.take_up(["gmo_coin"], places=places, busy=busy, claim_us=claim_us, limit=100)
        assert [record.command_id for record in records] == ["b2"]
        assert await journal.take_up([], places=places, busy={}, claim_us=claim_us, limit=100) == []

    async def test_a_row_that_cannot_be_read_stops_nobody(self, journal: Store, place: Place) -> None:
        """It is left to whoever can read it, counted, and shown; all else goes on (row 32)."""
        heard: list[str] = []
        journal.on_unreadable = heard.append
        for name in ("good", "newer", "other"):
            await admitted(journal, close(name, position=name, next_us=1))
        await place.sql("update commands set job = '{\"from\": \"tomorrow\"}' where command_id = 'newer'")
        assert sorted(await due(journal)) == ["good", "other"]
        assert heard == ["gmo_coin"]
        assert await due(journal) == []
        with pytest.raises(UnreadableRow, match="newer"):
            await journal.load("alpha", "newer")
        me = close("me", position="me")
        with pytest.raises(UnreadableRow):
            await journal.neighbours(me)
        listed = [row for row in await journal.listing() if isinstance(row, Unreadable)]
        assert [(row.command_id, row.venue, row.state) for row in listed] == [("newer", "gmo_coin", "open")]
        (told,) = await journal.story(None, "newer")
        assert [entry.event for entry in told.entries] == ["unreadable"]
        assert await journal.admit(close("newer", position="newer"), reply(), "digest") == Joined()

    async def test_neighbours(self, journal: Store) -> None:
        """Attribution sees the orders of other closes of the account, and the closes that may have placed one."""
        me = await admitted(journal, close("me", position="p0", order_id="1"))
        done = await admitted(journal, close("done", position="p1"))
        await saved(journal, final(done, order_id="2"), result(done))
        await admitted(journal, close("open", position="p2", order_id="3"))
        await admitted(journal, cancel("cancel", order_id="4"))
        dry = close("dry", position=None)
        await admitted(journal, replaced(dry, dry_run=True))
        await admitted(journal, replaced(close("elsewhere", position="p3", order_id="5"), account="other"))
        await admitted(journal, replaced(close("symbol", position="p4", order_id="6"), symbol="ETH_JPY"))
        old = T0_US - 25 * 3600 * 1_000_000
        await admitted(journal, close("old", position="p5", order_id="7", received_us=old))
        taken, rivals = await journal.neighbours(me)
        assert taken == {"2", "3", "6"}
        assert sorted(rival.command_id for rival in rivals) == ["old", "open"]

    async def test_the_list_for_people(self, journal: Store) -> None:
        """What is not settled comes first, oldest first; one state can be asked for."""
        done = await admitted(journal, close("done", position="p1"))
        await saved(journal, final(done), result(done))
        await admitted(journal, close("new", position="p2", received_us=T0_US + 2))
        doubt = await admitted(journal, close("doubt", position="p3", received_us=T0_US + 1))
        await saved(journal, doubtful(doubt), result(doubt, outcome="in_doubt", final=False))
        assert [row.command_id for row in await journal.listing()] == ["doubt", "new", "done"]
        assert [row.command_id for row in await journal.listing(limit=1)] == ["doubt"]
        assert [row.command_id for row in await journal.listing(Filter(state="open"))] == ["new"]
        assert [row.command_id for row in await journal.listing(Filter(state="final"))] == ["done"]

    async def test_no_text_of_a_sender_passes_for_an_outcome(self, journal: Store) -> None:
        """What a sender wrote into `params` is in the stored command too."""
        forged = replaced(close("forged"), params={"outcome": "done"})
        await admitted(journal, forged)
        await saved(journal, final(forged, outcome="rejected"), result(forged, outcome="rejected"))
        assert await journal.listing(Filter(outcome="done")) == []
        assert [row.command_id for row in await journal.listing(Filter(outcome="rejected"))] == ["forged"]

    async def test_a_story_is_in_order(self, journal: Store) -> None:
        """A person reads what happened in the order it happened, from arrival to the last note."""
        record = await admitted(journal, began(close("a1")))
        await journal.admit(record, reply("c2"), "digest")
        _, outgoing = await saved(journal, final(record), result(record), ended())
        journal.published(out.outbox_id for out in outgoing)
        journal.note("alpha", "a1", "looked")
        journal.note("alpha", "nobody", "looked")

        async def noted() -> bool:
            (told,) = await journal.story("alpha", "a1")
            return "looked" in str(told) and str(told).count(", confirmed") == 2

        await until(noted)
        names = await events(journal, "a1")
        assert names == [
            "received",
            "joined",
            "attempt",
            *["result"] * 2,
            "looked",
        ]
        assert await journal.story(None, "nobody") == []

    async def test_one_id_of_two_senders_is_two_stories(self, journal: Store) -> None:
        """Without a sender every command of that id is told."""
        await admitted(journal, close("a1"))
        await admitted(journal, close("a1", sender="beta", position="p2"))
        assert [told.sender for told in await journal.story(None, "a1")] == ["alpha", "beta"]
        assert [told.sender for told in await journal.story("beta", "a1")] == ["beta"]


class TestRetention:
    """Old commands go, unless something is still owed."""

    async def test_only_settled_commands_go(self, journal: Store, place: Place) -> None:
        """Final and confirmed commands leave with everything about them; any other stays, however old."""
        for number in range(150):
            record = await admitted(journal, began(close(f"a{number}")))
            _, outgoing = await saved(journal, final(record), result(record), ended())
            journal.published(out.outbox_id for out in outgoing)
            journal.note("alpha", f"a{number}", "looked")
        await admitted(journal, began(close("open", position="p1")))
        for state in ("in_doubt", "unresolved"):
            record = await admitted(journal, began(close(state, position=state)))
            doubt = result(record, outcome="in_doubt", final=False)
            _, outgoing = await saved(journal, doubtful(record, state=state), doubt, ended())
            journal.published(out.outbox_id for out in outgoing)
        owed = await admitted(journal, close("owed", position="p2"))
        await saved(journal, final(owed), result(owed))
        await journal.give_up_target("alpha", "never")

        async def noted() -> bool:
            return len(await place.sql("select 1 from history")) == 150

        await until(noted)
        assert await journal.retire(1) == 0
        await place.sql("update commands set updated_us = updated_us - 10 * 86400000000")
        assert await journal.retire(30) == 0
        assert await journal.retire(9) == 151
        left = [row.command_id for row in await journal.listing()]
        assert sorted(left) == ["in_doubt", "open", "owed", "unresolved"]
        assert len(await place.sql("select 1 from attempts")) == 2
        assert len(await place.sql("select 1 from outbox")) == 3
        assert await place.sql("select 1 from history") == []


def replaced(record: CommandRecord, **fields: object) -> CommandRecord:
    """The command with another command body."""
    command = msgspec.structs.replace(record.command, **fields)
    assert isinstance(command, Close)
    return msgspec.structs.replace(record, command=command)
