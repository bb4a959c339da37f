"""How a fresh command begins (`router.commands.plan`): refused, sent at once, waiting, or looked up first."""

from collections.abc import Iterator
from typing import Any

import pytest

from router.access.configured import Account, Venue
from router.access.limiter import Limiter
from router.clock import to_time
from router.commands.attempt import SEND_BY_US, TAKE_UP_MARGIN_US, begin
from router.commands.plan import LEASE_US, Plan, Planner
from router.records.command import CommandRecord
from router.venue_protocol import Limit, Options, Secrets
from schemas.commands import Command
from tests.unit.commands.fake_venue import FakeAdapter
from tests.unit.commands.test_intake import cancel, close, delivery
from tests.unit.commands.virtual_time import BEGAN_US, VirtualClock, VirtualLoop

S = 1_000_000
NOW_US = BEGAN_US
TIMEOUT_S = 2.0


class Epochs:
    """All that planning asks of a journal."""

    def __init__(self, epoch_us: int = NOW_US - 1000 * S, *, first: bool = True) -> None:
        self.epoch_us = self.since_us = epoch_us
        self.first_epoch = first

    def earliest_us(self) -> int:
        """Return the one moment of these tests."""
        return NOW_US

    def latest_us(self) -> int:
        """Return the same."""
        return NOW_US


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    """A clock that stands still."""
    loop = VirtualLoop()
    yield VirtualClock(loop)
    loop.close()


def planner(clock: VirtualClock, epochs: Epochs | None = None, *limits: Limit) -> Planner:
    """Return a planner of two venues."""
    venues = {}
    for name in ("acme", "echo"):
        adapter = FakeAdapter(name, recognises_repeats=name == "echo")
        account = Account("main", adapter.signer(Secrets(api_key="key", api_secret="secret")))
        options = Options(rest_url=f"https://{name}", timeout_s=TIMEOUT_S)
        limiter = Limiter(limits, clock)
        accounts = {"main": account}
        venues[name] = Venue(name=name, adapter=adapter, options=options, accounts=accounts, limiter=limiter)
    return Planner(venues, epochs or Epochs(), clock, max_horizon_s=300)


def fresh(command: Command, **fields: Any) -> CommandRecord:
    """Return a command as the worker begins it."""
    return CommandRecord(
        sender="alpha",
        command_id=command.command_id,
        command=command,
        client_order_id="coid",
        received_us=NOW_US,
        order_id=getattr(command, "order_id", None),
        **fields,
    )


def plan(made: Planner, command: Command, *, known: dict[str, Any] | None = None, **fields: Any) -> Plan:
    """Plan a command's delivery."""
    return made.plan(delivery(command, **{"venue": command.venue, **fields}), fresh(command, **(known or {})))


def soon(command: Any, **fields: Any) -> Any:
    """Return a command that is in time by the virtual clock."""
    return command(**{"not_after": to_time(NOW_US + 10 * S), **fields})


def test_a_close_begins_with_its_intent_on_disk(clock: VirtualClock) -> None:
    """The first attempt is admitted with it, reads as if sent at the last moment it may be, and is never sent again."""
    made = plan(planner(clock), soon(close))
    assert made.intent is not None
    assert (made.record.tries, made.record.began_us) == (1, NOW_US)
    assert (made.result, made.record.position) == (None, "BTC")
    assert (made.record.tries, made.record.attempts, made.record.step) == (1, 1, "look")
    assert made.record.last_sent_us == NOW_US + SEND_BY_US
    assert made.record.next_us == NOW_US + SEND_BY_US + round(TIMEOUT_S * S) + TAKE_UP_MARGIN_US
    assert made.intent is not None
    assert (made.intent.before.tries, made.intent.before.attempts, made.intent.before.first_sent_us) == (0, 0, None)


def test_an_intent_ends_with_the_deadline(clock: VirtualClock) -> None:
    """What may not be sent after it reads as sent by then at the latest."""
    made = plan(planner(clock), soon(close, not_after=to_time(NOW_US + S)))
    assert made.record.last_sent_us == NOW_US + S


def test_without_a_place_it_waits_and_does_not_look_sent(clock: VirtualClock) -> None:
    """No attempt, no count, and left to this process for a while."""
    limited = planner(clock, None, Limit("act", 1, 1.0))
    plan(limited, soon(close))
    made = plan(limited, soon(close))
    assert (made.intent, made.record.attempts, made.record.tries, made.record.step) == (None, 0, 0, "send")
    assert made.record.next_us == NOW_US + LEASE_US


def test_refusals_are_stored_and_take_no_place(clock: VirtualClock) -> None:
    """Ours and the venue's own code's: final, without an attempt."""
    limited = planner(clock, None, Limit("act", 1, 1.0))
    expired = plan(limited, soon(close, not_after=to_time(NOW_US)))
    unsupported = plan(limited, soon(close, order_type="stop", price="1"))
    for made, code in ((expired, "expired"), (unsupported, "unsupported")):
        assert made.result is not None
        assert made.result.reason is not None
        assert (made.result.reason.code, made.intent, made.record.state) == (code, None, "final")
    assert plan(limited, soon(close)).intent is not None


def test_a_dry_run_takes_no_place_and_no_position(clock: VirtualClock) -> None:
    """It is answered without the venue."""
    limited = planner(clock, None, Limit("act", 1, 1.0))
    made = plan(limited, soon(close, dry_run=True))
    assert made.result is not None
    assert (made.result.dry_run, made.record.position, made.intent) == (True, None, None)
    assert plan(limited, soon(close)).intent is not None


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_cancel_by_target_begins_by_finding_it(clock: VirtualClock, dry_run: bool) -> None:
    """Due at once, nothing sent."""
    made = plan(planner(clock), soon(cancel, target_command_id="c1", dry_run=dry_run))
    assert (made.record.step, made.record.next_us, made.intent, made.result) == ("find", NOW_US, None, None)


def test_a_cancel_by_target_is_refused_at_once_for_params_that_no_venue_takes(clock: VirtualClock) -> None:
    """Whatever order is found later: nothing waits for a command that cannot be sent."""
    made = plan(planner(clock), soon(cancel, target_command_id="c1", params={"nobody": 1}))
    assert made.result is not None
    assert made.result.reason is not None
    assert made.result.reason.code == "invalid_command"


OLD = NOW_US - 5 * S
HORIZON_US = 300 * S
LOST = [
    # seconds since the epoch began, whether it is the first -> may have been sent before
    (1, True, False),
    (1, False, True),
    (1000, True, False),
    (301, False, True),
    (303, False, False),
]


@pytest.mark.parametrize("redelivered", [False, True])
@pytest.mark.parametrize(("began_s", "first", "looks"), LOST)
def test_a_close_that_a_lost_journal_may_have_sent_is_looked_up(
    clock: VirtualClock, began_s: int, first: bool, looks: bool, redelivered: bool
) -> None:
    """Whatever its delivery says, until all that the lost journal admitted has expired (router/README.md, 6)."""
    lost = planner(clock, Epochs(NOW_US - began_s * S, first=first))
    made = plan(lost, soon(close), redelivered=redelivered, sent_us=NOW_US)
    assert (made.record.step == "look" and made.intent is None) == looks
    if looks:
        assert made.record.sent_ms == (NOW_US - HORIZON_US) // 1000, (
            "it may have come with the longest deadline there is"
        )
        assert made.record.last_sent_us == NOW_US - began_s * S + SEND_BY_US
        assert (made.record.next_us, made.record.attempts, made.record.unanswered) == (NOW_US, 0, True)
        assert made.record.position == "BTC", "it holds its position from the beginning"


def test_such_a_close_is_not_called_expired(clock: VirtualClock) -> None:
    """The answer is what happened, and until then its position is held."""
    lost = planner(clock, Epochs(NOW_US - S, first=False))
    made = plan(lost, soon(close, not_after=to_time(NOW_US - 1)), redelivered=True, sent_us=OLD)
    assert (made.record.step, made.result, made.record.position) == ("look", None, "BTC")


def test_a_cancel_that_comes_again_may_have_left_without_a_row(clock: VirtualClock) -> None:
    """Its repeat is harmless; but a refusal of the repeat proves nothing."""
    command = soon(cancel, order_id="1")
    made = planner(clock).plan(delivery(command, sent_us=OLD), fresh(command), again=True)
    assert made.intent is not None
    assert (made.intent.before.attempts, made.intent.before.unanswered, made.record.attempts) == (1, True, 2)
    late = soon(cancel, order_id="1", not_after=to_time(NOW_US))
    looked = planner(clock).plan(delivery(late, sent_us=OLD), fresh(late), again=True)
    assert (looked.result, looked.intent, looked.record.step) == (None, None, "look"), "and it is not called expired"
    first = plan(planner(clock), soon(cancel, order_id="1"))
    assert first.intent is not None
    assert first.intent.before.attempts == 0


def test_a_new_attempt_forgets_what_the_last_one_was_told(clock: VirtualClock) -> None:
    """A crash after its bytes must not be looked up by an older answer's code, nor count older looks."""
    told = fresh(soon(close), venue_code="E1", message="no", looks=3, absences=2)
    venue = planner(clock)._venues["acme"]
    begun = begin(told, venue, NOW_US, NOW_US // 1000)
    assert (begun.venue_code, begun.message, begun.looks, begun.absences) == (None, "", 0, 0)


def test_stamps_increase_and_follow_the_clock() -> None:
    """One account never uses a stamp twice; a clock set far back does not leave its stamps in the future."""
    account = Account("main", FakeAdapter("acme").signer(Secrets(api_key="key", api_secret="secret")))
    stamps = [account.stamp(NOW_US).now_ms for _ in range(3)]
    assert stamps == [NOW_US // 1000 + n for n in range(3)]
    back = account.stamp(NOW_US - 300 * S).now_ms
    assert abs(back - (NOW_US - 300 * S) // 1000) <= 1
