"""The alert rules as data: what `rules.yaml` is written from (`make rules`).

Page: somebody gets up now. Ticket: somebody looks within the working day.

`job` is one installation: the pods that share a journal. What they read from that journal (in doubt, parked, outbox)
every pod exports alike, so it is taken with `max`, never with `sum`.

A counter is born with its first event, and `increase` does not see a birth. So what is new in a counter is the whole of
a series that was not there before, else its increase: `new`.
"""

from typing import Final, Literal

from msgspec import Struct

OURS: Final = (
    "account_restricted",
    "auth_failed",
    "clock_skew",
    "expired",
    "internal_error",
    "rate_limited",
    "timeout",
    "unresolved",
    "venue_unavailable",
)
"""Reasons for which a command did not get in time what it asked for, through no mistake of its sender."""

SENDERS: Final = (
    "busy",
    "command_id_reused",
    "insufficient_funds",
    "insufficient_position",
    "invalid_command",
    "invalid_price",
    "invalid_size",
    "order_not_found",
    "position_not_found",
    "too_late",
    "unauthorized_sender",
    "unknown_account",
    "unknown_venue",
    "unsupported",
    "venue_rejected",
)
"""Reasons that are a sender's mistake, or a race that it lost: neither good nor bad for us."""

CLOSED: Final = ("halted", "market_closed", "venue_maintenance")
"""Reasons that an operator or the venue decided on, and announced: left out as well."""

NO_ANSWER: Final = ("error", "maybe_sent", "not_sent")
"""Classes of requests that a venue did not answer. A write counts as an error of that name, too; a read does not."""

OBJECTIVE: Final = 0.999
"""So much of what is not a sender's mistake is answered in time, over thirty days."""

Severity = Literal["page", "ticket"]


class Recording(Struct, frozen=True, kw_only=True):
    """A ratio that is computed once, for several alerts and panels."""

    record: str
    expr: str


class Alert(Struct, frozen=True, kw_only=True):
    """One alert rule. `for_s`: how long it must hold; `summary` is a template of Prometheus."""

    name: str
    severity: Severity
    expr: str
    summary: str
    for_s: int = 0


def one_of(words: tuple[str, ...]) -> str:
    """Return a regular expression that matches one of these words."""
    return "|".join(words)


def new(counter: str, window: str) -> str:
    """Return an expression for what a counter counted within a window, births included."""
    return f"(({counter} unless {counter} offset {window}) or increase({counter}[{window}]))"


def _ended(window: str) -> Recording:
    return Recording(
        record=f"job_reason:order_router_commands:new{window}",
        expr=f"sum by (job, reason) {new('order_router_commands_total', window)}",
    )


def _late(window: str) -> Recording:
    ended = f"job_reason:order_router_commands:new{window}"
    return Recording(
        record=f"job:order_router_late:ratio{window}",
        expr=f"""sum by (job) ({ended}{{reason=~"{one_of(OURS)}"}})
  /
sum by (job) ({ended}{{reason!~"{one_of(SENDERS + CLOSED)}"}})""",
    )


def _burns(long: str, short: str, times: float) -> str:
    """Return a condition: the error budget of thirty days is spent this many times too fast, and still is."""
    bound = f"{times} * {round(1 - OBJECTIVE, 6)}"
    return f"(job:order_router_late:ratio{long} > {bound} and job:order_router_late:ratio{short} > {bound})"


def _quantile(share: float, histogram: str, window: str, *labels: str) -> str:
    by = ", ".join(("job", *labels, "le"))
    return f"histogram_quantile({share}, sum by ({by}) (rate({histogram}_bucket[{window}])))"


_WINDOWS: Final = ("5m", "30m", "1h", "6h", "3d")
_NOT_FAILURES: Final = one_of((*SENDERS, *NO_ANSWER, "http_4xx", "unclear"))
"""`unclear` is mostly a cancel that lost its race, and is looked up; what cannot be told then is in doubt."""
RECORDINGS: Final = (
    *(_ended(window) for window in _WINDOWS),
    *(_late(window) for window in _WINDOWS),
    Recording(
        record="job_venue:order_router_venue_failures:ratio5m",
        expr=f"""sum by (job, venue) (
    rate(order_router_venue_errors_total{{reason!~"{_NOT_FAILURES}"}}[5m])
  or
    rate(order_router_venue_requests_total{{code_class=~"{one_of(NO_ANSWER)}"}}[5m])
)
  /
sum by (job, venue) (rate(order_router_venue_requests_total[5m]))""",
    ),
)

MONEY: Final = (
    Alert(
        name="OrderRouterInDoubt",
        severity="page",
        expr="max by (job, venue) (order_router_in_doubt_oldest_seconds) > 60",
        summary="{{ $labels.venue }}: in doubt for {{ $value | humanizeDuration }} whether a command was executed",
    ),
    Alert(
        name="OrderRouterUnresolved",
        severity="page",
        expr=f"""sum by (job, venue) {new('order_router_commands_total{reason="unresolved"}', "1h")} > 0""",
        summary="{{ $labels.venue }} could not tell what became of a command: it needs your verdict",
    ),
    Alert(
        name="OrderRouterContradiction",
        severity="page",
        expr=f"sum by (job, venue) {new('order_router_contradictions_total', '1h')} > 0",
        summary="{{ $labels.venue }} took back a final answer: a sender acted on what was not true",
    ),
    Alert(
        name="OrderRouterResultsDiverted",
        severity="ticket",
        expr=f"""sum by (job, reason) {new('order_router_results_diverted_total{reason!="none"}', "10m")} > 0""",
        summary="Results went to the results queue instead of their senders ({{ $labels.reason }})",
    ),
    Alert(
        name="OrderRouterOutboxOld",
        severity="page",
        for_s=60,
        expr="max by (job) (order_router_outbox_oldest_seconds) > 60",
        summary="A result has waited for {{ $value | humanizeDuration }}: its sender does not know what happened",
    ),
    Alert(
        name="OrderRouterDeadLetters",
        severity="ticket",
        expr=f"sum by (job, reason) {new('order_router_dead_letters_total', '10m')} > 0",
        summary="Messages were dead-lettered ({{ $labels.reason }})",
    ),
)

CONSUMING: Final = (
    Alert(
        name="OrderRouterNotConsuming",
        severity="page",
        for_s=60,
        expr="sum by (job) (order_router_consuming) == 0",
        summary="No worker of {{ $labels.job }} consumes commands: nothing is closed or cancelled",
    ),
    Alert(
        name="OrderRouterGone",
        severity="page",
        for_s=120,
        expr="absent(order_router_consuming)",
        summary="Prometheus sees no worker at all",
    ),
    Alert(
        name="OrderRouterPodNotConsuming",
        severity="ticket",
        for_s=180,
        expr="order_router_consuming == 0 unless order_router_draining == 1",
        summary="{{ $labels.instance }} runs and consumes nothing",
    ),
    Alert(
        name="OrderRouterQueueAge",
        severity="page",
        for_s=120,
        expr=f"{_quantile(0.9, 'order_router_queue_wait_seconds', '2m', 'venue')} > 5",
        summary="Commands for {{ $labels.venue }} wait {{ $value | humanizeDuration }} in their queue",
    ),
    Alert(
        name="OrderRouterMixedVersions",
        severity="ticket",
        for_s=1800,
        expr="count by (job) (count by (job, version, commit) (order_router_build_info)) > 1",
        summary="{{ $labels.job }} runs {{ $value }} versions: a deploy stopped half way",
    ),
)

VENUES: Final = (
    Alert(
        name="OrderRouterVenueErrors",
        severity="page",
        for_s=300,
        expr="job_venue:order_router_venue_failures:ratio5m > 0.2",
        summary="{{ $labels.venue }} fails {{ $value | humanizePercentage }} of our requests",
    ),
    Alert(
        name="OrderRouterKeyRefused",
        severity="page",
        expr=(
            "sum by (job, venue, reason) "
            f"""{new('order_router_venue_errors_total{reason=~"auth_failed|account_restricted"}', "10m")} > 0"""
        ),
        summary="{{ $labels.venue }} refuses a key or an account ({{ $labels.reason }})",
    ),
    Alert(
        name="OrderRouterClockSkew",
        severity="ticket",
        for_s=120,
        expr="max by (job, venue) (abs(order_router_clock_skew_seconds)) > 2",
        summary="Our clock and that of {{ $labels.venue }} are {{ $value | humanizeDuration }} apart",
    ),
    Alert(
        name="OrderRouterTimestampsRefused",
        severity="page",
        expr=f"""sum by (job, venue) {new('order_router_commands_total{reason="clock_skew"}', "10m")} > 0""",
        summary="{{ $labels.venue }} refuses our timestamps: commands are rejected",
    ),
)

_FEED: Final = "max by (job, venue, account)"
_FEED_UP: Final = f"{_FEED} (order_router_feed_up)"
FEEDS: Final = (
    Alert(
        name="OrderRouterFeedDown",
        severity="page",
        for_s=300,
        expr=f"{_FEED_UP} == 0\n  or\n({_FEED} (order_router_feed_up offset 15m) unless {_FEED_UP})",
        summary="{{ $labels.venue }}/{{ $labels.account }}: no order events",
    ),
    Alert(
        name="OrderRouterFeedGap",
        severity="ticket",
        for_s=60,
        expr=f"{_FEED_UP} == 0",
        summary="{{ $labels.venue }}/{{ $labels.account }}: a gap in the order events stays open",
    ),
    Alert(
        name="OrderRouterFeedSilent",
        severity="page",
        for_s=60,
        expr=f"time() - {_FEED} (order_router_feed_last_message_timestamp_seconds) > 180",
        summary="{{ $labels.venue }}/{{ $labels.account }}: nothing heard for {{ $value | humanizeDuration }}",
    ),
)

JOURNAL: Final = (
    Alert(
        name="OrderRouterJournalDown",
        severity="page",
        for_s=30,
        expr="count by (job) (order_router_journal_up == 0) > 0",
        summary="{{ $value }} pods cannot write the journal: closes wait, only plain cancels leave",
    ),
    Alert(
        name="OrderRouterJournalSlow",
        severity="ticket",
        for_s=300,
        expr=f"{_quantile(0.99, 'order_router_journal_commit_seconds', '5m')} > 0.25",
        summary="A commit of the journal takes {{ $value | humanizeDuration }}: so much later every close leaves",
    ),
)

BUDGET: Final = (
    Alert(
        name="OrderRouterBudgetBurnsFast",
        severity="page",
        for_s=120,
        expr=f"{_burns('1h', '5m', 14.4)}\n  or\n{_burns('6h', '30m', 6)}",
        summary="{{ $value | humanizePercentage }} of commands do not get in time what they ask for",
    ),
    Alert(
        name="OrderRouterBudgetBurns",
        severity="ticket",
        for_s=3600,
        expr=_burns("3d", "6h", 1),
        summary="{{ $value | humanizePercentage }} of commands over three days did not get in time what they asked for",
    ),
)

GROUPS: Final = {
    "money": MONEY,
    "consuming": CONSUMING,
    "venues": VENUES,
    "feeds": FEEDS,
    "journal": JOURNAL,
    "budget": BUDGET,
}
"""The groups that `rules.yaml` has, in the order of the runbook."""
