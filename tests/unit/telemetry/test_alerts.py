"""The board of alerts: a flood pages once, what is over is told, and nothing is told twice."""

import pytest

from router.telemetry.alerts import EVERY_US, NAMED, QUIET_US, SEVERITY, AlertBoard
from schemas.alerts import Alert, AlertCode

T0 = 1_790_000_000_000_000


def brief(alerts: list[Alert]) -> list[tuple[str, int, bool]]:
    """Return what matters of alerts."""
    return [(alert.code, alert.count, alert.resolved) for alert in alerts]


def test_a_flood_pages_once_and_then_once_a_minute() -> None:
    """Every dead letter counts; only the first is told at once, the others together."""
    board = AlertBoard()
    board.raised("dead_letter", "nami", command_id="a")
    assert brief(board.due(T0)) == [("dead_letter", 1, False)]
    for number in range(500):
        board.raised("dead_letter", "nami", command_id=f"c{number}")
    assert board.due(T0 + 1_000_000) == []
    (alert,) = board.due(T0 + EVERY_US)
    assert (alert.count, len(alert.command_ids)) == (501, NAMED)


def test_venues_and_accounts_are_told_apart() -> None:
    """One trouble per code, venue and account."""
    board = AlertBoard()
    for place in (("nami", None), ("nami", "main"), ("coinbase", "main")):
        board.raised("auth_failed", *place)
    assert len(board.due(T0)) == 3


def test_a_moment_is_over_when_none_follows_for_a_while() -> None:
    """Its last message says so, once."""
    board = AlertBoard()
    board.raised("contradiction", "nami", "main")
    board.due(T0)
    assert board.due(T0 + QUIET_US - 1) == []
    assert brief(board.due(T0 + QUIET_US)) == [("contradiction", 1, True)]
    assert board.due(T0 + 2 * QUIET_US) == []


def test_a_standing_trouble_lasts_until_it_is_cleared() -> None:
    """However often it is seen to stand, it is told once; then that it is over."""
    board = AlertBoard()
    for second in range(1000):
        board.raised("journal_down", standing=True)
        assert len(board.due(T0 + second * 1_000_000)) == (second == 0)
    board.cleared("journal_down")
    assert brief(board.due(T0 + 1_000_000_000)) == [("journal_down", 1, True)]


def test_what_was_over_before_it_was_told_is_not_told() -> None:
    """A reconnect of a moment pages nobody."""
    board = AlertBoard()
    board.raised("feed_gap", "nami", "main", standing=True)
    board.cleared("feed_gap", "nami", "main")
    assert board.due(T0) == []


def test_a_trouble_that_comes_back_is_a_new_one() -> None:
    """It is told again, with its own beginning."""
    board = AlertBoard()
    for round_ in range(2):
        board.raised("feed_down", "nami", "main", standing=True)
        (began,) = board.due(T0 + round_ * 120_000_000)
        assert not began.resolved
        board.cleared("feed_down", "nami", "main")
        (over,) = board.due(T0 + round_ * 120_000_000 + 1)
        assert (over.resolved, over.since) == (True, began.since)


def test_a_key_that_works_ends_what_was_said_of_it() -> None:
    """Only at that venue and account."""
    board = AlertBoard()
    board.raised("auth_failed", "nami", "main", standing=True)
    board.raised("auth_failed", "nami", "other", standing=True)
    board.due(T0)
    board.key_works("nami", "main")
    assert [(alert.account, alert.resolved) for alert in board.due(T0 + 1)] == [("main", True)]


def test_pods_tell_of_one_trouble_under_one_id() -> None:
    """Whoever listens drops repeats by it; another minute, another place or the end has another one."""
    first, second = AlertBoard(), AlertBoard()
    for board in (first, second):
        board.raised("journal_down", standing=True)
    ((one,), (two,)) = first.due(T0), second.due(T0 + 1)
    assert one.alert_id == two.alert_id
    first.cleared("journal_down")
    assert first.due(T0 + 2)[0].alert_id != one.alert_id


@pytest.mark.parametrize("code", list(SEVERITY))
def test_every_code_has_a_severity(code: AlertCode) -> None:
    """It is the first word of the routing key."""
    board = AlertBoard()
    board.raised(code, message="x" * 1000)
    (alert,) = board.due(T0)
    assert alert.severity in {"page", "ticket"}
    assert len(alert.message) <= 300
