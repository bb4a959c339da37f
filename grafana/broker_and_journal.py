"""Broker and journal: what comes in, what goes out, and whether it can be written down."""

from typing import Final

from grafana.panels import GREEN, JOB, RATE, RED, UP, Frame, Query, number, quantiles, series, states

IN: Final = (
    states(
        "Consuming",
        "Whether a worker takes commands.",
        Query(f"order_router_consuming{{{JOB}}}", "{{instance}}"),
        mapping={"0": (RED, "not consuming"), "1": (GREEN, "consuming")},
        height=5,
    ),
    states(
        "Draining",
        "Whether a pod finishes before it stops.",
        Query(f"order_router_draining{{{JOB}}}", "{{instance}}"),
        mapping={"0": (GREEN, "works"), "1": ("blue", "draining")},
        height=5,
    ),
    series(
        "Deliveries per second",
        "Commands delivered, and those that the broker delivered before.",
        "reqps",
        Query(f"sum by (instance) (rate(order_router_commands_received_total{{{JOB}}}{RATE}))", "{{instance}}"),
        Query(f"sum(rate(order_router_redeliveries_total{{{JOB}}}{RATE}))", "delivered again"),
        Query(f"sum(rate(order_router_delivery_failures_total{{{JOB}}}{RATE}))", "cut short by a defect"),
    ),
    series(
        "Wait in the queue",
        "From publish to delivery, by the sender's clock, in whole seconds.",
        "s",
        *quantiles("order_router_queue_wait_seconds", JOB, "job", "{{job}}"),
    ),
    series(
        "Dead letters",
        "Messages dead-lettered since the pods' start, by reason.",
        "short",
        Query(f"sum by (reason) (order_router_dead_letters_total{{{JOB}}})", "{{reason}}"),
    ),
)

OUT: Final = (
    number(
        "Results that wait",
        "Results that the broker has not confirmed.",
        "short",
        Query(f"sum(max by (job) (order_router_outbox_pending{{{JOB}}}))", "waiting"),
        red_from=1000,
        height=8,
    ),
    number(
        "Oldest of them",
        "How long ago it was stored.",
        "s",
        Query(f"max(order_router_outbox_oldest_seconds{{{JOB}}})", "oldest"),
        red_from=60,
        height=8,
    ),
    series(
        "Results that wait over time",
        "All pods see the same journal.",
        "short",
        Query(f"max by (job) (order_router_outbox_pending{{{JOB}}})", "{{job}}"),
    ),
    series(
        "Results diverted",
        "Results that went to the results queue since the pods' start, by cause; `none`: no queue was named.",
        "short",
        Query(f"sum by (reason) (order_router_results_diverted_total{{{JOB}}})", "{{reason}}"),
    ),
)

JOURNAL: Final = (
    states(
        "Journal",
        "Whether a pod can write it.",
        Query(f"order_router_journal_up{{{JOB}}}", "{{instance}}"),
        mapping=UP,
    ),
    series(
        "Commits",
        "The time of one commit: every close waits for one before it is sent.",
        "s",
        *quantiles("order_router_journal_commit_seconds", JOB, "job", "{{job}}"),
        width=12,
    ),
    series(
        "Commits per second",
        "Group commit: one carries whatever was waiting.",
        "reqps",
        Query(f"sum by (instance) (rate(order_router_journal_commit_seconds_count{{{JOB}}}{RATE}))", "{{instance}}"),
        width=12,
    ),
    series(
        "Not settled",
        "Rows in doubt and rows that wait for their time, in the whole journal.",
        "short",
        Query(f"sum by (job) (max by (job, venue) (order_router_in_doubt{{{JOB}}}))", "{{job}} in doubt"),
        Query(f"sum by (job) (max by (job, venue) (order_router_parked{{{JOB}}}))", "{{job}} parked"),
        width=12,
    ),
)

FRAME: Final = Frame(
    name="broker-and-journal",
    title="order-router / Broker and journal",
    text="What comes in, what goes out, and whether it can be written down.",
    variables=("job",),
    rows=(("Commands in", IN), ("Results out", OUT), ("Journal", JOURNAL)),
)
