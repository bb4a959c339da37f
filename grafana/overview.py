"""The overview: money at stake first, then the rate, errors and duration of commands."""

from typing import Final

from grafana.panels import GREEN, JOB, RATE, RED, VENUE, Frame, Query, number, quantiles, series, states

MONEY: Final = (
    number(
        "In doubt",
        "Commands that may have been executed, and nobody can say yet; unresolved ones with them.",
        "short",
        Query(f"sum(max by (job, venue) (order_router_in_doubt{{{VENUE}}}))", "in doubt"),
        red_from=1,
    ),
    number(
        "Oldest in doubt",
        "How long ago the oldest of these came.",
        "s",
        Query(f"max(order_router_in_doubt_oldest_seconds{{{VENUE}}})", "oldest"),
        red_from=60,
    ),
    number(
        "Unresolved, 3 days",
        "Commands that the venue could not tell about: each needs an operator's verdict.",
        "short",
        Query(f'sum(job_reason:order_router_commands:new3d{{{JOB}, reason="unresolved"}})', "unresolved"),
        red_from=1,
    ),
    number(
        "Contradictions",
        "Final answers that evidence contradicted, since the pods' start.",
        "short",
        Query(f"sum(order_router_contradictions_total{{{VENUE}}})", "contradictions"),
        red_from=1,
    ),
    number(
        "Oldest unsent result",
        "How long the oldest result has waited for the broker's confirm.",
        "s",
        Query(f"max(order_router_outbox_oldest_seconds{{{JOB}}})", "oldest"),
        red_from=60,
    ),
    number(
        "Pods that consume",
        "Workers that take commands now.",
        "short",
        Query(f"sum(order_router_consuming{{{JOB}}})", "consuming"),
        green_from=1,
    ),
    states(
        "Alerts",
        "Alerts that fire; the runbook has a section for each.",
        Query(
            'max by (alertname, venue, severity) (ALERTS{alertname=~"OrderRouter.+", alertstate="firing"})',
            "{{severity}} {{alertname}} {{venue}}",
        ),
        mapping={"1": (RED, "firing")},
    ),
    states(
        "Halted",
        "Venues to which an operator stopped sending.",
        Query(f"max by (venue) (order_router_halted{{{VENUE}}})", "{{venue}}"),
        mapping={"0": (GREEN, "open"), "1": (RED, "halted")},
    ),
    series(
        "In doubt by venue",
        "The same number over time.",
        "short",
        Query(f"max by (job, venue) (order_router_in_doubt{{{VENUE}}})", "{{venue}}"),
    ),
    series(
        "Age of the oldest in doubt",
        "Sixty seconds page somebody.",
        "s",
        Query(f"max by (job, venue) (order_router_in_doubt_oldest_seconds{{{VENUE}}})", "{{venue}}"),
    ),
    series(
        "Parked",
        "Commands that wait in the journal for their time: a limit, a maintenance, another pod's answer.",
        "short",
        Query(f"max by (job, venue) (order_router_parked{{{VENUE}}})", "{{venue}}"),
    ),
)

RATES: Final = (
    series(
        "Commands per second",
        "What comes in, and what gets its final result.",
        "reqps",
        Query(f"sum(rate(order_router_commands_received_total{{{JOB}}}{RATE}))", "delivered"),
        Query(f"sum by (action) (rate(order_router_commands_total{{{VENUE}}}{RATE}))", "{{action}} answered"),
    ),
    series(
        "Outcomes by reason",
        "Final results; `none` is the reason of what was accepted or holds.",
        "reqps",
        Query(
            f"sum by (outcome, reason) (rate(order_router_commands_total{{{VENUE}}}{RATE}))", "{{outcome}} {{reason}}"
        ),
        stacked=True,
    ),
    series(
        "Answered in time",
        "Of the commands that are no mistake of their sender: the share that got what it asked for in time.",
        "percentunit",
        Query(f"1 - job:order_router_late:ratio5m{{{JOB}}}", "five minutes"),
        Query(f"1 - job:order_router_late:ratio1h{{{JOB}}}", "one hour"),
        Query(f"1 - job:order_router_late:ratio3d{{{JOB}}}", "three days"),
    ),
    series(
        "Failures of venues",
        "The share of requests without an answer, or with a refusal that is no sender's mistake.",
        "percentunit",
        Query(f"job_venue:order_router_venue_failures:ratio5m{{{VENUE}}}", "{{venue}}"),
    ),
    series(
        "In flight",
        "Commands that are being sent.",
        "short",
        Query(f"sum by (venue) (order_router_in_flight{{{VENUE}}})", "{{venue}}"),
    ),
    series(
        "Order events per second",
        "Changes of orders, numbered and published.",
        "reqps",
        Query(f"sum by (venue) (rate(order_router_order_events_total{{{VENUE}}}{RATE}))", "{{venue}}"),
    ),
)

DURATIONS: Final = (
    series(
        "Delivery to result",
        "From the delivery of a command to the broker's confirm of its final result.",
        "s",
        *quantiles("order_router_command_seconds", VENUE, "action", "{{action}}"),
    ),
    series(
        "Delivery to the venue",
        "From the delivery of a command to the first byte of its request.",
        "s",
        *quantiles("order_router_dispatch_seconds", VENUE, "action", "{{action}}"),
    ),
    series(
        "Wait in the queue",
        "From publish to delivery, by the sender's clock, in whole seconds.",
        "s",
        *quantiles("order_router_queue_wait_seconds", VENUE, "action", "{{action}}"),
    ),
)

FRAME: Final = Frame(
    name="overview",
    title="order-router / Overview",
    text="Is money at stake, and do commands get their answers in time?",
    variables=("job", "venue"),
    rows=(("Money at stake", MONEY), ("Rate and errors", RATES), ("Duration", DURATIONS)),
)
