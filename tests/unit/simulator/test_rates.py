"""The three kinds of window."""

from router.simulator.rates import Meter, Rate


def admitted(meter: Meter, times_s: list[float], account: str = "a", ip: str = "i") -> list[bool]:
    """Return which of the requests were admitted."""
    return [meter.take("s", account=account, ip=ip, now_s=now_s) is None for now_s in times_s]


def test_a_sliding_window_counts_any_period() -> None:
    """No second, wherever it begins, holds more than the count."""
    meter = Meter([Rate(scope="s", count=2, period_s=1)])
    assert admitted(meter, [0.0, 0.9, 0.95, 1.0, 1.05, 1.9, 1.95]) == [True, True, False, True, False, True, False]


def test_a_window_from_the_first_request_blocks_after_a_breach() -> None:
    """The window starts with its first request; a breach blocks for the block time, which a retry does not extend."""
    meter = Meter([Rate(scope="s", count=2, period_s=1, shape="first", block_s=5)])
    assert admitted(meter, [0.5, 1.4, 1.45, 3.0, 6.4, 6.5]) == [True, True, False, False, False, True]


def test_a_window_of_the_clock_starts_with_the_minute() -> None:
    """The count starts anew at the full minute."""
    meter = Meter([Rate(scope="s", count=2, period_s=60, shape="clock")])
    assert admitted(meter, [58.0, 59.0, 59.5, 60.0, 61.0, 62.0, 119.9, 120.0]) == [
        True, True, False, True, True, False, False, True
    ]  # fmt: skip


def test_accounts_have_windows_of_their_own() -> None:
    """A limit per account does not mix accounts; one per address does."""
    per_account = Meter([Rate(scope="s", count=1, period_s=1)])
    assert admitted(per_account, [0.0], account="a") + admitted(per_account, [0.0], account="b") == [True, True]
    per_ip = Meter([Rate(scope="s", count=1, period_s=1, per="ip")])
    assert admitted(per_ip, [0.0], account="a") + admitted(per_ip, [0.0], account="b") == [True, False]


def test_a_refused_request_counts_nowhere() -> None:
    """Where two limits guard an endpoint, what one refuses the other does not count."""
    meter = Meter([Rate(scope="s", count=1, period_s=1), Rate(scope="s", count=2, period_s=60)])
    assert admitted(meter, [0.0, 0.1, 0.2, 1.0, 2.0]) == [True, False, False, True, False]


def test_a_breach_tells_how_long_to_wait() -> None:
    """After the wait a request is admitted, and just before it is not."""
    for shape, block_s in (("sliding", 0), ("first", 0), ("first", 3), ("clock", 0)):
        meter = Meter([Rate(scope="s", count=1, period_s=1, shape=shape, block_s=block_s)])  # type: ignore[arg-type]  # literals
        meter.take("s", account="a", ip="i", now_s=10.25)
        breach = meter.take("s", account="a", ip="i", now_s=10.5)
        assert breach is not None
        again_s = 10.5 + breach.wait_s
        assert admitted(meter, [again_s - 0.001, again_s]) == [False, True]


def test_scopes_do_not_mix() -> None:
    """A request draws from its own scope alone."""
    meter = Meter([Rate(scope="s", count=1, period_s=1)])
    assert admitted(meter, [0.0]) == [True]
    assert meter.take("other", account="a", ip="i", now_s=0.0) is None
