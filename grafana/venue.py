"""One venue: what we ask of it, how it answers, and what waits for it."""

from typing import Final

from grafana.panels import RATE, VENUE, Frame, Query, quantiles, series

REQUESTS: Final = (
    series(
        "Requests per second",
        "By endpoint and class of the HTTP status; `maybe_sent`: no answer, `not_sent`: proven not to have left.",
        "reqps",
        Query(
            f"sum by (venue, endpoint, code_class) (rate(order_router_venue_requests_total{{{VENUE}}}{RATE}))",
            "{{endpoint}} {{code_class}}",
        ),
        width=12,
    ),
    series(
        "Errors per second",
        "Requests that the venue did not take, in whatever HTTP status it said so; `unclear` has to be looked up.",
        "reqps",
        Query(
            f"sum by (venue, endpoint, reason) (rate(order_router_venue_errors_total{{{VENUE}}}{RATE}))",
            "{{endpoint}} {{reason}}",
        ),
        width=12,
    ),
    series(
        "Time of a request",
        "From the first byte out to the whole answer: of a hundred, the slowest.",
        "s",
        quantiles("order_router_venue_request_seconds", VENUE, "venue, endpoint", "{{endpoint}}")[1],
        width=12,
    ),
    series(
        "Requests sent again",
        "By the cause of the repeat.",
        "reqps",
        Query(f"sum by (venue, reason) (rate(order_router_retries_total{{{VENUE}}}{RATE}))", "{{reason}}"),
        width=12,
    ),
)

LIMITS: Final = (
    series(
        "Waits under limits per second",
        "Requests that had to wait for their turn.",
        "reqps",
        Query(f"sum by (venue) (rate(order_router_rate_limit_wait_seconds_count{{{VENUE}}}{RATE}))", "{{venue}}"),
    ),
    series(
        "Length of these waits",
        "A longer wait than a second parks the command.",
        "s",
        *quantiles("order_router_rate_limit_wait_seconds", VENUE, "venue", "{{venue}}"),
    ),
    series(
        "Clock skew",
        "How far the venue's clock is from ours, either way.",
        "s",
        Query(f"max by (job, venue) (abs(order_router_clock_skew_seconds{{{VENUE}}}))", "{{venue}}"),
        reaches=2,
    ),
)

COMMANDS: Final = (
    series(
        "Commands by action and outcome",
        "Final results per second.",
        "reqps",
        Query(
            f"sum by (venue, action, outcome) (rate(order_router_commands_total{{{VENUE}}}{RATE}))",
            "{{action}} {{outcome}}",
        ),
        stacked=True,
    ),
    series(
        "Reasons",
        "Why commands did not get what they asked for, per second.",
        "reqps",
        Query(
            f'sum by (venue, reason) (rate(order_router_commands_total{{{VENUE}, reason!="none"}}{RATE}))',
            "{{reason}}",
        ),
    ),
    series(
        "Delivery to the venue",
        "From the delivery of a command to the first byte of its request.",
        "s",
        *quantiles("order_router_dispatch_seconds", VENUE, "venue, action", "{{action}}"),
    ),
    series(
        "In flight, in doubt, parked",
        "What is not settled at this venue.",
        "short",
        Query(f"sum by (venue) (order_router_in_flight{{{VENUE}}})", "in flight"),
        Query(f"max by (job, venue) (order_router_in_doubt{{{VENUE}}})", "in doubt"),
        Query(f"max by (job, venue) (order_router_parked{{{VENUE}}})", "parked"),
    ),
    series(
        "Repeats of known commands",
        "Nothing is sent for them; the stored answer comes again.",
        "reqps",
        Query(f"sum by (venue) (rate(order_router_duplicates_total{{{VENUE}}}{RATE}))", "{{venue}}"),
    ),
    series(
        "Order events by status",
        "Changes of orders per second.",
        "reqps",
        Query(f"sum by (venue, status) (rate(order_router_order_events_total{{{VENUE}}}{RATE}))", "{{status}}"),
    ),
)

FRAME: Final = Frame(
    name="venue",
    title="order-router / Venue",
    text="What we ask of a venue, how it answers, and what waits for it.",
    variables=("job", "venue"),
    single=("venue",),
    rows=(("Requests", REQUESTS), ("Limits and clock", LIMITS), ("Commands and orders", COMMANDS)),
)
