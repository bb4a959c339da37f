"""A venue is one folder, and nothing else is touched: a made-up one is put into a temporary directory and runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from router import venues
from router.app.wiring import build_venues
from router.cli.schema import generate
from router.clock import SystemClock
from router.config import load
from router.venue_protocol import Absent, Response, Unknown
from tests.contract import test_venues
from tests.contract.golden import Golden, new_adapter

HERE = Path(__file__).parent
CONFIG = """
[venues.harbour]
timeout_s = 2.0
limits = { "all" = "5/1s" }

[accounts.harbour.main]
api_key = "key"
api_secret = "secret"
"""


@pytest.fixture
def harbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Golden]:
    """Add the folder, as if it lay in router/venues/; return its golden case."""
    shutil.copytree(HERE / "harbour", tmp_path / "venues" / "harbour", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "harbour_cases", tmp_path / "fixtures" / "harbour")
    monkeypatch.setattr(venues, "__path__", [*venues.__path__, str(tmp_path / "venues")])
    case = Golden(venue="harbour", folder=tmp_path / "fixtures" / "harbour" / "cancel_taken")
    monkeypatch.setattr(test_venues, "CASES", (*test_venues.CASES, case))
    venues.names.cache_clear()
    venues.adapter_type.cache_clear()
    yield case
    venues.names.cache_clear()
    venues.adapter_type.cache_clear()


def test_a_folder_is_a_venue(harbour: Golden, tmp_path: Path) -> None:
    """It is found, configured, given lanes and limits, and its `params` join the schema."""
    assert "harbour" in venues.names()
    file = tmp_path / "order-router.toml"
    file.write_text(CONFIG)
    config = load(file, {})
    assert config.lanes() == (("harbour", "cancel"), ("harbour", "close"))
    venue = build_venues(config, SystemClock())["harbour"]
    assert venue.options.timeout_s == 2.0
    assert list(venue.accounts) == ["main"]
    assert "harbour" in str(generate())


def test_it_keeps_the_contract_of_every_venue(harbour: Golden) -> None:
    """The tests of all venues hold for it, word for word."""
    case = harbour
    test_venues.test_the_signed_request_is_golden(case, False)
    test_venues.test_the_verdict_is_golden(case, False)
    test_venues.test_a_request_draws_only_from_limits_that_exist(case)
    test_venues.test_a_signed_request_shows_no_secret(case)
    for test in (
        test_venues.test_a_venue_describes_itself,
        test_venues.test_a_repeated_build_is_the_same_request,
        test_venues.test_a_verdict_survives_any_answer,
        test_venues.test_a_lookup_survives_any_answers,
        test_venues.test_a_probe_survives_any_answer,
        test_venues.test_a_lookup_concludes_nothing_from_a_list_that_is_not_whole,
    ):
        test(venue="harbour")


def test_what_it_takes_from_the_vocabulary_is_right_at_once(harbour: Golden) -> None:
    """Pages, statuses and doubts are not written again: a page that fails in the middle proves nothing."""
    venue = new_adapter("harbour", {})
    rows = ",".join(f'{{"id":"{n}","status":"open"}}' for n in range(50))
    flow = venue.lookup(harbour.command(), test_venues.attempt())
    next(flow)
    flow.send(Response(200, {}, f'{{"book":[{rows}]}}'.encode()))
    with pytest.raises(StopIteration) as stop:
        flow.send(Response(503, {}, b"<html>"))
    assert isinstance(stop.value.value, Unknown)
    assert not stop.value.value.whole
    flow = venue.lookup(harbour.command(), test_venues.attempt())
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(Response(200, {}, b'{"book":[]}'))
    assert isinstance(stop.value.value, Absent)
