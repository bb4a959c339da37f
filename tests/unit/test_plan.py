"""How a fresh command begins (`router.plan`): refused, sent at once, waiting, or looked up first."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from router.answers import to_time
from router.attempt import SEND_BY_US, TAKE_UP_MARGIN_US, begin
from router.decision import MAX_TRIES
from router.job import Job
from router.limiter import Limiter
from router.plan import LEASE_US, SENDER_CLOCK_US, Plan, Planner
from router.ports import Journal
from router.venue import Account, Venue
from router.venue_protocol import Limit, Options, Secrets
from schemas.commands import Command
from tests.unit.core.fake_venue import FakeExchange
from tests.unit.core.virtual_time import BEGAN_US, VirtualClock, VirtualLoop
from tests.unit.test_intake import cancel, close, delivery

S = 1_000_000
NOW_US = BEGAN_US
TIMEOUT_S = 2.0


class Epochs:
    """All that planning asks of a journal."""

    def __init__(self, epoch_us: int = NOW_US - 1000 * S, *, first: bool = True) -> None:
        self.epoch_us = epoch_us
        self.first_epoch = first


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
        exchange = FakeExchange(name, recognises_repeats=name == "echo")
        account = Account("main", exchange.signer(Secrets(api_key="key", api_secret="secret")))
        options = Options(rest_url=f"https://{name}", timeout_s=TIMEOUT_S)
        limiter = Limiter(limits, clock)
        accounts = {"main": account}
        venues[name] = Venue(name=name, exchange=exchange, options=options, accounts=accounts, limiter=limiter)
    return Planner(venues, cast(Journal, epochs or Epochs()), clock, max_horizon_s=300)


def fresh(command: Command, **fields: Any) -> Job:
    """Return a job as the worker begins it."""
    return Job(
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
    assert made.before is not None
    assert (made.job.tries, made.job.began_us) == (1, NOW_US)
    assert (made.early, made.result, made.job.position) == (False, None, "BTC")
    assert (made.job.tries, made.job.attempts, made.job.step) == (1, 1, "look")
    assert made.job.last_sent_us == NOW_US + SEND_BY_US
    assert made.job.next_us == NOW_US + SEND_BY_US + round(TIMEOUT_S * S) + TAKE_UP_MARGIN_US
    assert made.before is not None
    assert (made.before.tries, made.before.attempts, made.before.first_sent_us) == (0, 0, None)


def test_an_intent_ends_with_the_deadline(clock: VirtualClock) -> None:
    """What may not be sent after it reads as sent by then at the latest."""
    made = plan(planner(clock), soon(close, not_after=to_time(NOW_US + S)))
    assert made.job.last_sent_us == NOW_US + S


@pytest.mark.parametrize(
    "command", [soon(cancel, order_id="1"), soon(close, venue="echo")], ids=["cancel", "repeatable"]
)
def test_what_may_be_repeated_need_not_wait_for_the_disk(clock: VirtualClock, command: Command) -> None:
    """Whoever finds it after a crash sends it again."""
    made = plan(planner(clock), command)
    assert (made.early, made.job.step, made.before is not None) == (True, "send", True)


def test_without_a_place_it_waits_and_does_not_look_sent(clock: VirtualClock) -> None:
    """No attempt, no count, and left to this process for a while."""
    limited = planner(clock, None, Limit("act", 1, 1.0))
    plan(limited, soon(close))
    made = plan(limited, soon(close))
    assert (made.before, made.job.attempts, made.job.tries, made.job.step) == (None, 0, 0, "send")
    assert made.job.next_us == NOW_US + LEASE_US


def test_refusals_are_stored_and_take_no_place(clock: VirtualClock) -> None:
    """Ours and the venue's own code's: final, without an attempt."""
    limited = planner(clock, None, Limit("act", 1, 1.0))
    expired = plan(limited, soon(close, not_after=to_time(NOW_US)))
    unsupported = plan(limited, soon(close, order_type="stop", price="1"))
    for made, code in ((expired, "expired"), (unsupported, "unsupported")):
        assert made.result is not None
        assert made.result.reason is not None
        assert (made.result.reason.code, made.before, made.job.state) == (code, None, "final")
    assert plan(limited, soon(close)).before is not None


def test_a_dry_run_takes_no_place_and_no_position(clock: VirtualClock) -> None:
    """It is answered without the venue."""
    limited = planner(clock, None, Limit("act", 1, 1.0))
    made = plan(limited, soon(close, dry_run=True))
    assert made.result is not None
    assert (made.result.dry_run, made.job.position, made.before) == (True, None, None)
    assert plan(limited, soon(close)).before is not None


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_cancel_by_target_begins_by_finding_it(clock: VirtualClock, dry_run: bool) -> None:
    """Due at once, nothing sent."""
    made = plan(planner(clock), soon(cancel, target_command_id="c1", dry_run=dry_run))
    assert (made.job.step, made.job.next_us, made.before, made.result) == ("find", NOW_US, None, None)


OLD = NOW_US - 5 * S
YOUNG, AGED = 1, 1000
LOST = [
    # seconds since the journal began, its first epoch, redelivered, sender's time stamp -> may have been sent before
    (YOUNG, True, False, OLD, False),
    (YOUNG, True, True, OLD, True),
    (YOUNG, False, False, OLD, True),
    (YOUNG, False, True, OLD, True),
    (AGED, True, True, OLD, False),
    (AGED, False, True, OLD, False),
    (YOUNG, True, True, NOW_US + 5 * S, False),
    (YOUNG, False, False, NOW_US + 5 * S, False),
    # nobody says how old it is
    (YOUNG, True, False, None, False),
    (YOUNG, True, True, None, True),
    (AGED, True, True, None, False),
    (AGED, False, True, None, True),
]


@pytest.mark.parametrize(("began_s", "first", "redelivered", "sent_us", "looks"), LOST)
def test_a_close_that_a_lost_journal_may_have_sent_is_looked_up(
    clock: VirtualClock, began_s: int, first: bool, redelivered: bool, sent_us: int | None, looks: bool
) -> None:
    """Older than the journal, and either redelivered or the journal is not the first (design, section 5)."""
    lost = planner(clock, Epochs(NOW_US - began_s * S, first=first))
    made = plan(lost, soon(close), redelivered=redelivered, sent_us=sent_us)
    assert (made.job.step == "look" and made.before is None) == looks
    if looks:
        first_us = NOW_US if sent_us is None else sent_us
        assert made.job.first_sent_us == first_us - SENDER_CLOCK_US, "the sender's clock may be ahead"
        assert (made.job.next_us, made.job.attempts, made.job.unanswered) == (NOW_US, 0, True)
        assert made.job.position == "BTC"


def test_the_senders_own_time_counts_without_a_time_stamp(clock: VirtualClock) -> None:
    """`issued_at` stands in for it."""
    lost = planner(clock, Epochs(NOW_US - S, first=False))
    made = plan(lost, soon(close, issued_at=to_time(OLD)))
    assert (made.job.step, made.job.first_sent_us) == ("look", OLD - SENDER_CLOCK_US)
    assert plan(lost, soon(close, issued_at=to_time(NOW_US))).before is not None


def test_such_a_close_is_not_called_expired(clock: VirtualClock) -> None:
    """The answer is what happened."""
    lost = planner(clock, Epochs(NOW_US - S))
    made = plan(lost, soon(close, not_after=to_time(NOW_US - 1)), redelivered=True, sent_us=OLD)
    assert (made.job.step, made.result) == ("look", None)


def test_a_cancel_under_a_lost_journal_is_simply_sent(clock: VirtualClock) -> None:
    """Its repeat is harmless; but a redelivered one may have gone before, so a refusal of it proves nothing."""
    lost = planner(clock, Epochs(NOW_US - S, first=False))
    made = plan(lost, soon(cancel, order_id="1"), redelivered=True, sent_us=OLD)
    assert made.before is not None
    assert made.before.attempts == 1


def test_what_went_out_before_its_row_was_lost_keeps_its_counts(clock: VirtualClock) -> None:
    """Begun again it is a second attempt, is not called expired, and is not sent for ever."""
    sent = {"attempts": 1, "tries": 1, "first_sent_us": OLD, "last_sent_us": OLD}
    again = plan(planner(clock), soon(cancel, order_id="1"), known=sent)
    assert again.before is not None
    assert (again.job.tries, again.job.attempts, again.job.first_sent_us) == (2, 2, OLD)
    late = plan(planner(clock), soon(cancel, order_id="1", not_after=to_time(NOW_US)), known=sent)
    worn = plan(planner(clock), soon(cancel, order_id="1"), known={**sent, "tries": MAX_TRIES})
    assert [(made.job.step, made.before, made.result) for made in (late, worn)] == [("look", None, None)] * 2


def test_a_new_attempt_forgets_what_the_last_one_was_told(clock: VirtualClock) -> None:
    """A crash after its bytes must not be looked up by an older answer's code, nor count older looks."""
    told = fresh(soon(close), venue_code="E1", message="no", looks=3, absences=2)
    venue = planner(clock)._venues["acme"]
    begun = begin(told, venue, NOW_US)
    assert (begun.venue_code, begun.message, begun.looks, begun.absences) == (None, "", 0, 0)


def test_stamps_increase_and_follow_the_clock() -> None:
    """One account never uses a stamp twice; a clock set far back does not leave its stamps in the future."""
    account = Account("main", FakeExchange("acme").signer(Secrets(api_key="key", api_secret="secret")))
    stamps = [account.stamp(NOW_US).now_ms for _ in range(3)]
    assert stamps == [NOW_US // 1000 + n for n in range(3)]
    back = account.stamp(NOW_US - 300 * S).now_ms
    assert abs(back - (NOW_US - 300 * S) // 1000) <= 1
