"""Logs that hold no secret, and metrics with exactly the names and labels of the contract, section 7."""

import io
import json
import logging
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from router.errors import DeadlinePassed, MaybeSent
from router.telemetry import Metrics, configure_logging, redact
from router.telemetry.logs import POD
from schemas.results import Result

SECRET = "s3cr3t/with+signs="
PEM = (
    "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIMmvqdhFunUWa1whV2ex1pNO\nAwEHoUQDQgAEYP7UuiVanTHJYet0xjVt\n"
    "-----END EC PRIVATE KEY-----\n"
)
VENUES = ("gmo_coin", "nami")


class Log(io.StringIO):
    """A stream that can be read back as events."""

    def events(self) -> list[dict[str, Any]]:
        """Decode every line."""
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    """Log to memory, with two secrets known."""
    stream = Log()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logging([SECRET, PEM, "", "abc"], stream=stream)
    yield stream
    configure_logging([])
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_event_is_one_line_of_json(log: Log) -> None:
    """A collector reads one object a line, with level and time."""
    structlog.get_logger().info("sent", venue="gmo_coin", ms=1.5, ok=True, of=[1, "x"], nothing=None)
    (event,) = log.events()
    assert event.pop("timestamp").endswith("Z")
    assert event.pop("pod") == POD
    assert event == {
        "event": "sent", "level": "info", "venue": "gmo_coin", "ms": 1.5, "ok": True, "of": [1, "x"], "nothing": None
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"before {SECRET} after",
        SECRET.encode(),
        bytearray(SECRET.encode()),
        {"nested": [{"deep": (SECRET,)}]},
        {SECRET: 1},
        {SECRET},
        ValueError(SECRET),
        "https://x/?key=s3cr3t%2Fwith%2Bsigns%3D",
        PEM,
        repr(PEM),
        json.dumps(PEM),
        "MHcCAQEEIMmvqdhFunUWa1whV2ex1pNO",
    ],
    ids=lambda value: f"{type(value).__name__}-{value!r}",
)
def test_a_secret_is_cut_out_wherever_it_turns_up(log: Log, value: object) -> None:
    """As it is, encoded, in containers, in exceptions, and line by line of a PEM key."""
    structlog.get_logger().info("event", value=value)
    text = log.getvalue()
    assert "[redacted]" in text
    assert not any(piece in text for piece in ("s3cr3t", "MHcCAQEEI", "AwEHoUQDQ"))


@pytest.mark.parametrize(
    "key",
    ["Authorization", "API-SIGN", "api_sign", "X-API-KEY", "signature", "jwt", "token", "body", "password", "X-PCK",
     "X-Signature", "headers"],
)  # fmt: skip
def test_keys_that_carry_credentials_are_dropped(log: Log, key: str) -> None:
    """Whatever their value: a signature is no known secret, and is one."""
    structlog.get_logger().info("event", **{key: "zzz", "inner": {key: "zzz"}, "kept": 1})
    (event,) = log.events()
    assert "zzz" not in log.getvalue()
    assert event["kept"] == 1
    assert event["inner"] == {}


def test_a_traceback_holds_no_secret(log: Log) -> None:
    """Neither its message nor the source lines."""

    def fail() -> None:
        raise ValueError(SECRET)

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("failed")
    (event,) = log.events()
    assert "ValueError: [redacted]" in event["exception"]
    assert SECRET not in log.getvalue()


def test_records_of_other_libraries_take_the_same_way(log: Log) -> None:
    """The standard library's records from warning on, and Python's warnings, are redacted lines of JSON too."""
    other = logging.getLogger("aiormq")
    other.warning("connection to %s lost", SECRET)
    other.info("not told")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(SECRET, stacklevel=1)
    first, second = log.events()
    assert (first["logger"], first["level"], first["event"]) == ("aiormq", "warning", "connection to [redacted] lost")
    assert second["logger"] == "py.warnings"
    assert SECRET not in log.getvalue()


def test_a_record_with_wrong_arguments_is_told_without_them(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    """The standard library's own way out prints the arguments, whatever they hold."""
    record = logging.LogRecord("aiormq", logging.ERROR, "", 0, "%d of %s", (SECRET,), None)
    for handler in logging.getLogger().handlers:
        if type(handler).__module__.startswith("router."):
            handler.handle(record)
    (event,) = log.events()
    assert event["logger"] == "aiormq"
    assert "s3cr3t" not in log.getvalue() + capsys.readouterr().err


def test_short_secrets_are_left_alone(log: Log) -> None:
    """Cutting "abc" out of everything would spoil the logs and protect nothing."""
    assert redact("abcdef") == "abcdef"
    assert redact("") == ""


def test_a_terminal_gets_readable_text() -> None:
    """People read lines, not JSON; the secrets are gone all the same."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure_logging([SECRET], stream=stream)
    structlog.get_logger().warning("something", value=SECRET)
    configure_logging([])
    structlog.reset_defaults()
    assert "something" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    assert "s3cr3t" not in stream.getvalue()


@given(secret=st.text(min_size=8, max_size=40).filter(lambda text: len(text.strip()) >= 8), around=st.text(max_size=20))
def test_redaction_never_leaves_the_secret(secret: str, around: str) -> None:
    """Whatever characters a secret is made of."""
    configure_logging([secret], stream=io.StringIO())
    try:
        assert secret.strip() not in redact(f"{around}{secret}{around}").replace("[redacted]", "")
    finally:
        configure_logging([], stream=io.StringIO())


def _result(**changes: Any) -> Result:
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "result_id": "r", "seq": 1, "final": True, "command_id": "c", "action": "close", "venue": "gmo_coin",
        "account": "main", "outcome": "accepted", "received_at": now - timedelta(seconds=2), "completed_at": now,
    }  # fmt: skip
    return Result(**fields | changes)


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"order_router_{name}", labels)


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of two venues."""
    return Metrics(VENUES)


def _use_all(metrics: Metrics, venue: str) -> None:
    metrics.received()
    metrics.redelivered()
    metrics.duplicate(venue)
    metrics.failed()
    metrics.dead_letter("invalid_command")
    metrics.diverted("none")
    metrics.contradiction(venue)
    metrics.row_unreadable(venue)
    metrics.command_final(_result(venue=venue))
    metrics.command_confirmed(_result(venue=venue))
    metrics.dispatched(venue, "close", 0.01)
    with metrics.in_flight(venue), metrics.venue_request(venue, "closeOrder") as seen:
        seen.status = 200
    metrics.retry(venue, "rate_limited")
    metrics.rate_limit_wait(venue, 0.1)
    metrics.backlog(venue, in_doubt=2, oldest_s=3.5, parked=1)
    metrics.unconfirmed(2, 0.5)
    metrics.queued(venue, "close", 0.5)
    metrics.venue_error(venue, "closeOrder", "insufficient_funds")
    metrics.clock_skew(venue, -0.2)
    metrics.halted(venue, halted=True)
    metrics.journal_commit(0.001)
    metrics.loop_lag(0.002)
    metrics.feed_up(venue, "main", up=True)
    metrics.feed_heard(venue, "main", 1_700_000_000.0)
    metrics.feed_gap(venue)
    metrics.feed_reconnected(venue)
    metrics.order_event(venue, "filled")


CONTRACT = {
    "commands_received": (), "commands": ("venue", "action", "outcome", "reason"),
    "command_seconds": ("venue", "action"), "dispatch_seconds": ("venue", "action"),
    "venue_requests": ("venue", "endpoint", "code_class"),
    "venue_request_seconds": ("venue", "endpoint"), "retries": ("venue", "reason"),
    "rate_limit_wait_seconds": ("venue",), "in_flight": ("venue",), "in_doubt": ("venue",),
    "in_doubt_oldest_seconds": ("venue",), "parked": ("venue",), "queue_wait_seconds": ("venue", "action"),
    "venue_errors": ("venue", "endpoint", "reason"), "outbox_pending": (), "outbox_oldest_seconds": (),
    "duplicates": ("venue",), "dead_letters": ("reason",),
    "redeliveries": (), "results_diverted": ("reason",),
    "contradictions": ("venue",), "journal_commit_seconds": (), "clock_skew_seconds": ("venue",),
    "event_loop_lag_seconds": (), "halted": ("venue",), "build_info": ("version", "commit"),
    "order_events": ("venue", "status"), "feed_up": ("venue", "account"),
    "feed_last_message_timestamp_seconds": ("venue", "account"), "feed_gaps": ("venue",), "feed_reconnects": ("venue",),
}  # fmt: skip
"""Name → labels, typed from the contract. What a process shows of itself (`journal_up`, `consuming`, `draining`)
is asked for at the scrape: see tests/integration/telemetry."""


def test_names_and_labels_are_the_contracts(metrics: Metrics) -> None:
    """Dashboards are built on them."""
    _use_all(metrics, "gmo_coin")
    text, content_type = metrics.exposition()
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert content_type.startswith("text/plain")
    for name, labels in CONTRACT.items():
        family = families[f"order_router_{name}"]
        found = {tuple(sorted(set(sample.labels) - {"le"})) for sample in family.samples}
        assert found == {tuple(sorted(labels))}, name
    ours = {name for name in families if name.startswith("order_router_")}
    assert ours - {f"order_router_{name}" for name in CONTRACT} == {
        "order_router_delivery_failures",
        "order_router_rows_unreadable",
    }
    assert {"process_cpu_seconds", "python_info", "python_gc_collections"} <= families.keys()


def test_no_label_takes_a_text_from_the_wire(metrics: Metrics) -> None:
    """A sender that invents venues does not fill the memory of the monitoring."""
    for number in range(50):
        _use_all(metrics, f"venue{number}")
        metrics.dead_letter(f"reason {number}")
    metrics.command_final(_result(venue=None, action=None))
    samples = [s for family in metrics.registry.collect() for s in family.samples if s.name.startswith("order_router")]
    assert {s.labels["venue"] for s in samples if "venue" in s.labels} == {*VENUES, "unknown"}
    assert {s.labels["reason"] for s in samples if s.name.endswith("dead_letters_total")} == {
        "invalid_command",
        "other",
    }
    assert _value(metrics, "duplicates_total", venue="unknown") == 50


def test_a_command_is_counted_and_timed_from_its_delivery(metrics: Metrics) -> None:
    """`command_seconds` ends when the broker has confirmed the result."""
    metrics.command_final(_result(outcome="in_doubt"))
    metrics.command_confirmed(_result())
    assert _value(metrics, "commands_total", venue="gmo_coin", action="close", outcome="in_doubt", reason="none") == 1
    seconds = _value(metrics, "command_seconds_sum", venue="gmo_coin", action="close")
    assert seconds is not None
    assert 2 <= seconds < 60


@pytest.mark.parametrize(
    ("status", "code_class"), [(200, "2xx"), (302, "3xx"), (404, "4xx"), (599, "5xx"), (999, "other"), (0, "other")]
)
def test_a_request_is_counted_by_the_class_of_its_status(metrics: Metrics, status: int, code_class: str) -> None:
    """Five classes, and one for what is no HTTP status."""
    with metrics.venue_request("nami", "cancel") as seen:
        seen.status = status
    assert _value(metrics, "venue_requests_total", venue="nami", endpoint="cancel", code_class=code_class) == 1
    assert _value(metrics, "venue_request_seconds_count", venue="nami", endpoint="cancel") == 1


def test_a_request_without_an_answer_is_counted_by_what_may_have_happened(metrics: Metrics) -> None:
    """Whether it was told or escaped as an exception."""
    with metrics.venue_request("nami", "cancel") as seen:
        seen.failed(MaybeSent("reset"))
    with pytest.raises(DeadlinePassed), metrics.venue_request("nami", "cancel"):
        raise DeadlinePassed("late")
    for code_class in ("maybe_sent", "not_sent"):
        assert _value(metrics, "venue_requests_total", venue="nami", endpoint="cancel", code_class=code_class) == 1


def _fail(*, within: bool) -> None:
    raise ValueError("x" if within else "not counted")


def test_in_flight_goes_back_down_after_a_failure(metrics: Metrics) -> None:
    """A gauge that leaks is worse than none."""
    within = metrics.in_flight("nami")
    with pytest.raises(ValueError, match="x"), within:
        _fail(within=_value(metrics, "in_flight", venue="nami") == 1)
    assert _value(metrics, "in_flight", venue="nami") == 0


def test_gauges_of_every_venue_are_there_from_the_start(metrics: Metrics) -> None:
    """An alert on a series that does not exist yet never fires."""
    for name in ("in_flight", "in_doubt", "parked", "halted"):
        assert [_value(metrics, name, venue=venue) for venue in VENUES] == [0, 0]


def test_counting_costs_little(metrics: Metrics) -> None:
    """Label children are kept: a count is far below a hundredth of a command's millisecond (20 times that here)."""
    began = time.perf_counter()
    for _ in range(1000):
        metrics.retry("nami", "rate_limited")
    assert time.perf_counter() - began < 0.2
