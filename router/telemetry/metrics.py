"""Metrics with the names and labels of the contract, section 7.

No label ever takes a text from the wire: a venue that is not ours is counted as `unknown`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from router.telemetry.alerts import AlertBoard
from router.telemetry.series import UNKNOWN, Ages, Labelled, Seen, program
from router.venues import names
from schemas.results import ReasonCode, Result

PREFIX: Final = "order_router"
NONE: Final = "none"
"""The reason of a command that has none: it was accepted, or its goal holds."""
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_REASONS: Final = frozenset(get_args(ReasonCode))


class Metrics:
    """Every metric of one process, in a registry of its own, and its board of alerts. Times are seconds."""

    def __init__(self, venues: Iterable[str] | None = None) -> None:
        # A second series for the birth of every one; nothing reads them.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        self.registry = CollectorRegistry()
        self.alerts = AlertBoard()
        self._venues = frozenset(names() if venues is None else venues)
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.PlatformCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        self._define_commands()
        self._define_venues()
        self._define_feeds()
        self._define_process()

    def _define_commands(self) -> None:
        self._received = self._counter("commands_received", "Commands delivered")
        self._commands = Labelled(
            self._counter("commands", "Commands with a final result", "venue", "action", "outcome", "reason")
        )
        self._command_seconds = Labelled(
            self._histogram("command_seconds", "Delivery to confirmed final result", "venue", "action")
        )
        self._dispatch_seconds = Labelled(
            self._histogram("dispatch_seconds", "Delivery to the first byte to the venue", "venue", "action")
        )
        self._queue_seconds = Labelled(
            self._histogram(
                "queue_wait_seconds", "Publish to delivery; a timestamp has whole seconds", "venue", "action"
            )
        )
        self._parked = Labelled(self._gauge("parked", "Commands that wait in the journal for their time", "venue"))
        self._duplicates = Labelled(self._counter("duplicates", "Repeats of a known command", "venue"))
        self._dead_letters = Labelled(self._counter("dead_letters", "Messages dead-lettered", "reason"))
        self._redeliveries = self._counter("redeliveries", "Deliveries the broker made again")
        self._diverted = Labelled(
            self._counter("results_diverted", "Results that went to the results queue instead, by cause", "reason")
        )
        self._contradictions = Labelled(
            self._counter("contradictions", "Final answers that evidence contradicted later", "venue")
        )
        self._unreadable = Labelled(
            self._counter("rows_unreadable", "Rows of the journal that this version cannot read, set aside", "venue")
        )
        self._failures = self._counter("delivery_failures", "Deliveries that a defect cut short")

    def _define_venues(self) -> None:
        self._requests = Labelled(
            self._counter("venue_requests", "Requests to a venue", "venue", "endpoint", "code_class")
        )
        self._request_seconds = Labelled(
            self._histogram("venue_request_seconds", "One request to a venue", "venue", "endpoint")
        )
        self._errors = Labelled(
            self._counter(
                "venue_errors", "Requests that the venue did not take, or no answer", "venue", "endpoint", "reason"
            )
        )
        self._retries = Labelled(self._counter("retries", "Requests sent again, by cause", "venue", "reason"))
        self._limit_seconds = Labelled(
            self._histogram("rate_limit_wait_seconds", "Waits for a turn under a venue's limit", "venue")
        )
        self._in_flight = Labelled(self._gauge("in_flight", "Commands being sent", "venue"))
        self._in_doubt = Labelled(self._gauge("in_doubt", "Commands whose outcome is not known yet", "venue"))
        self._oldest = self._ages("in_doubt_oldest_seconds", "How long ago the oldest command in doubt came", "venue")
        self._skew = Labelled(self._gauge("clock_skew_seconds", "The venue's clock less ours", "venue"))
        self._halted = Labelled(self._gauge("halted", "1 while an operator has stopped sending", "venue"))
        for venue in self._venues:
            for gauge in (self._in_flight, self._in_doubt, self._parked, self._halted):
                gauge[venue,].set(0)

    def _define_feeds(self) -> None:
        self._events = Labelled(self._counter("order_events", "Changes of orders, numbered", "venue", "status"))
        self._feed_up = Labelled(self._gauge("feed_up", "1 while an account's events are complete", "venue", "account"))
        self._feed_heard = Labelled(
            self._gauge("feed_last_message_timestamp_seconds", "When the venue was last heard", "venue", "account")
        )
        self._gaps = Labelled(self._counter("feed_gaps", "Gaps announced", "venue"))
        self._reconnects = Labelled(self._counter("feed_reconnects", "Streams begun again", "venue"))

    def _define_process(self) -> None:
        self._commit_seconds = self._histogram("journal_commit_seconds", "One commit of the journal")
        self._lag_seconds = self._histogram("event_loop_lag_seconds", "How late the event loop ran a timer")
        self._pending = self._gauge("outbox_pending", "Results that the broker has not confirmed")
        self._pending_oldest = self._ages("outbox_oldest_seconds", "How long ago the oldest of these was stored")
        self._gauge("build_info", "Always 1", "version", "commit").labels(*program()).set(1)

    def received(self) -> None:
        """Count a delivery of a command. By venue and action it is counted once it is answered."""
        self._received.inc()

    def redelivered(self) -> None:
        """Count a delivery that the broker made before."""
        self._redeliveries.inc()

    def duplicate(self, venue: str) -> None:
        """Count a command that was known already."""
        self._duplicates[self._known(venue),].inc()

    def failed(self) -> None:
        """Count a delivery that a defect of ours cut short."""
        self._failures.inc()

    def dead_letter(self, reason: str) -> None:
        """Count a message given to the dead-letter queue."""
        self._dead_letters[reason if reason in _REASONS else "other",].inc()

    def diverted(self, reason: str) -> None:
        """Count a result that went to the results queue: `none` named, `ours`, `refused` by its queue, or `stuck`."""
        self._diverted[reason,].inc()

    def row_unreadable(self, venue: str) -> None:
        """Count a row that was set aside."""
        self._unreadable[self._known(venue),].inc()

    def contradiction(self, venue: str) -> None:
        """Count a final answer that was contradicted later."""
        self._contradictions[self._known(venue),].inc()

    def command_final(self, result: Result) -> None:
        """Count a final result, once per command."""
        reason = result.reason.code if result.reason is not None else NONE
        self._commands[self._known(result.venue), _action_of(result), result.outcome, reason].inc()

    def command_confirmed(self, result: Result) -> None:
        """Time a final result that the broker has just confirmed, from the delivery of its command."""
        waited_s = max(time.time() - result.received_at.timestamp(), 0.0)
        self._command_seconds[self._known(result.venue), _action_of(result)].observe(waited_s)

    def queued(self, venue: str, action: str, seconds: float) -> None:
        """Time a command from its publish to its delivery, by the sender's clock and ours."""
        self._queue_seconds[self._known(venue), action].observe(max(seconds, 0.0))

    def dispatched(self, venue: str, action: str, seconds: float) -> None:
        """Time a command from its delivery to the first byte to the venue."""
        self._dispatch_seconds[self._known(venue), action].observe(seconds)

    @contextmanager
    def in_flight(self, venue: str) -> Iterator[None]:
        """Count a command as in flight within the context."""
        gauge = self._in_flight[self._known(venue),]
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def venue_request(self, venue: str, endpoint: str) -> Seen:
        """Count and time one request within the context."""
        venue = self._known(venue)

        def done(code_class: str, seconds: float) -> None:
            self._requests[venue, endpoint, code_class].inc()
            self._request_seconds[venue, endpoint].observe(seconds)

        return Seen(done)

    def venue_error(self, venue: str, endpoint: str, reason: str) -> None:
        """Count a request that the venue did not take, in whatever HTTP status it said so, or did not answer."""
        self._errors[self._known(venue), endpoint, reason].inc()

    def retry(self, venue: str, reason: str) -> None:
        """Count a request that is sent again."""
        self._retries[self._known(venue), reason].inc()

    def rate_limit_wait(self, venue: str, seconds: float) -> None:
        """Time a wait for a turn under a venue's limit."""
        self._limit_seconds[self._known(venue),].observe(seconds)

    def backlog(self, venue: str, *, in_doubt: int, oldest_s: float | None, parked: int) -> None:
        """Say how many commands of a venue are in doubt, how old the oldest is if there is one, and how many wait."""
        venue = self._known(venue)
        self._in_doubt[venue,].set(in_doubt)
        self._oldest.set((venue,), oldest_s)
        self._parked[venue,].set(parked)

    def unconfirmed(self, count: int, oldest_s: float | None) -> None:
        """Say how many results wait for the broker's confirm, and how old the oldest is if there is one."""
        self._pending.set(count)
        self._pending_oldest.set((), oldest_s)

    def watch(self, name: str, text: str, holds: Callable[[], bool]) -> None:
        """Show at each scrape whether something holds."""
        self._gauge(name, text).set_function(lambda: float(holds()))

    def clock_skew(self, venue: str, seconds: float) -> None:
        """Say how far ahead of ours a venue's clock is."""
        self._skew[self._known(venue),].set(seconds)

    def halted(self, venue: str, *, halted: bool) -> None:
        """Say whether sending to a venue is stopped."""
        self._halted[self._known(venue),].set(halted)

    def order_event(self, venue: str, status: str) -> None:
        """Count a change of an order."""
        self._events[self._known(venue), status].inc()

    def feed_up(self, venue: str, account: str, *, up: bool) -> None:
        """Say whether an account's events are complete. Accounts are configured, never taken from the wire."""
        self._feed_up[self._known(venue), account].set(up)

    def feed_heard(self, venue: str, account: str, at_s: float) -> None:
        """Say when (seconds since 1970) a venue's feed was last heard."""
        self._feed_heard[self._known(venue), account].set(at_s)

    def feed_gap(self, venue: str) -> None:
        """Count a gap that was announced."""
        self._gaps[self._known(venue),].inc()

    def feed_reconnected(self, venue: str) -> None:
        """Count a stream that is begun again."""
        self._reconnects[self._known(venue),].inc()

    def journal_commit(self, seconds: float) -> None:
        """Time one commit."""
        self._commit_seconds.observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """Note how late the event loop was."""
        self._lag_seconds.observe(seconds)

    def totals(self) -> dict[str, int]:
        """Return how many commands got which outcome, and how many messages came."""
        found: dict[str, int] = {"received": 0}
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == f"{PREFIX}_commands_received_total":
                    found["received"] = int(sample.value)
                elif sample.name == f"{PREFIX}_commands_total":
                    outcome = sample.labels["outcome"]
                    found[outcome] = found.get(outcome, 0) + int(sample.value)
        return found

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics as a scraper wants them, and the content type."""
        encode, content_type = prometheus_client.exposition.choose_encoder(accept)
        return encode(self.registry), content_type

    def _known(self, venue: str | None) -> str:
        return venue if venue in self._venues else UNKNOWN

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _ages(self, name: str, text: str, *labels: str) -> Ages:
        ages = Ages(f"{PREFIX}_{name}", text, *labels)
        self.registry.register(ages)
        return ages

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace=PREFIX, registry=self.registry, buckets=BUCKETS)


def _action_of(result: Result) -> str:
    return result.action or UNKNOWN
