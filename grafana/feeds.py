"""The feeds: are the order events of every account complete, and who follows them?"""

from typing import Final

from grafana.panels import RATE, UP, VENUE, Frame, Query, number, series, states

COMPLETE: Final = (
    number(
        "Feeds that are complete",
        "Accounts whose events are complete now.",
        "short",
        Query(f"sum(max by (job, venue, account) (order_router_feed_up{{{VENUE}}}))", "complete"),
        green_from=1,
        width=8,
    ),
    number(
        "Feeds that are not",
        "Accounts with an open gap, or with no feed.",
        "short",
        Query(f"sum(1 - max by (job, venue, account) (order_router_feed_up{{{VENUE}}}))", "incomplete"),
        red_from=1,
        width=8,
    ),
    number(
        "Longest silence",
        "The account that was not heard for the longest time.",
        "s",
        Query(
            f"max(time() - max by (job, venue, account) (order_router_feed_last_message_timestamp_seconds{{{VENUE}}}))",
            "silence",
        ),
        red_from=60,
        width=8,
    ),
    states(
        "Complete",
        "Per account, whichever process follows it: down while a gap is open.",
        Query(f"max by (job, venue, account) (order_router_feed_up{{{VENUE}}})", "{{venue}}/{{account}}"),
        mapping=UP,
        width=24,
        height=6,
    ),
    states(
        "Owner",
        "Which pod follows an account completely.",
        Query(
            f"max by (venue, account, instance) (order_router_feed_up{{{VENUE}}})", "{{venue}}/{{account}} {{instance}}"
        ),
        mapping={"0": ("text", "not"), "1": ("green", "owner")},
        width=24,
        height=6,
    ),
)

FLOW: Final = (
    series(
        "Last heard",
        "Seconds since the venue said anything, heartbeats and polls included.",
        "s",
        Query(
            f"time() - max by (job, venue, account) (order_router_feed_last_message_timestamp_seconds{{{VENUE}}})",
            "{{venue}}/{{account}}",
        ),
        width=12,
    ),
    series(
        "Events per second",
        "Changes of orders, numbered and published.",
        "reqps",
        Query(
            f"sum by (venue, status) (rate(order_router_order_events_total{{{VENUE}}}{RATE}))", "{{venue}} {{status}}"
        ),
        width=12,
    ),
    series(
        "Gaps",
        "Gaps announced, since the pods' start: one for every take-over is normal.",
        "short",
        Query(f"sum by (venue) (order_router_feed_gaps_total{{{VENUE}}})", "{{venue}}"),
        width=12,
    ),
    series(
        "Reconnects",
        "Streams begun again, since the pods' start.",
        "short",
        Query(f"sum by (venue) (order_router_feed_reconnects_total{{{VENUE}}})", "{{venue}}"),
        width=12,
    ),
)

FRAME: Final = Frame(
    name="feeds",
    title="order-router / Feeds",
    text="Are the order events of every account complete, and who follows them?",
    variables=("job", "venue"),
    rows=(("Completeness", COMPLETE), ("Flow", FLOW)),
)
