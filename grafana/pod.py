"""One pod: its version, its load, and whether its event loop keeps up."""

from typing import Final

from grafana.panels import GREEN, JOB, POD, RATE, RED, Frame, Query, number, quantiles, series, states

STATE: Final = (
    number(
        "Up for",
        "Since the process started.",
        "s",
        Query(f"time() - process_start_time_seconds{{{POD}}}", "{{instance}}"),
        width=6,
    ),
    number(
        "Consuming",
        "Pods of this choice that take commands.",
        "short",
        Query(f"sum(order_router_consuming{{{POD}}})", "consuming"),
        green_from=1,
        width=6,
    ),
    number(
        "In flight",
        "Commands that it sends now.",
        "short",
        Query(f"sum(order_router_in_flight{{{POD}}})", "in flight"),
        width=6,
    ),
    number(
        "Versions",
        "Versions that run in the installation.",
        "short",
        Query(f"count(count by (version, commit) (order_router_build_info{{{JOB}}}))", "versions"),
        red_from=2,
        width=6,
    ),
    states(
        "Version",
        "Which version and commit a pod runs.",
        Query(f"order_router_build_info{{{POD}}}", "{{instance}} {{version}} {{commit}}"),
        mapping={"1": (GREEN, "runs")},
        height=6,
    ),
    states(
        "Ready to work",
        "Journal writable, and not draining.",
        Query(f"order_router_journal_up{{{POD}}}", "{{instance}} journal"),
        Query(f"1 - order_router_draining{{{POD}}}", "{{instance}} not draining"),
        mapping={"0": (RED, "no"), "1": (GREEN, "yes")},
        height=6,
    ),
)

LOAD: Final = (
    series(
        "Commands per second",
        "Delivered to this pod.",
        "reqps",
        Query(f"sum by (instance) (rate(order_router_commands_received_total{{{POD}}}{RATE}))", "{{instance}}"),
    ),
    series(
        "Requests per second",
        "Sent to venues by this pod.",
        "reqps",
        Query(
            f"sum by (instance, venue) (rate(order_router_venue_requests_total{{{POD}}}{RATE}))",
            "{{instance}} {{venue}}",
        ),
    ),
    series(
        "Delivery to the venue",
        "From the delivery of a command to the first byte of its request.",
        "s",
        *quantiles("order_router_dispatch_seconds", POD, "instance", "{{instance}}"),
    ),
    series(
        "Lag of the event loop",
        "How late a timer ran: beyond 0.1 s the pod has more than it can do.",
        "s",
        *quantiles("order_router_event_loop_lag_seconds", POD, "instance", "{{instance}}"),
    ),
    series(
        "Commits",
        "The time of one commit of the journal, as this pod sees it.",
        "s",
        *quantiles("order_router_journal_commit_seconds", POD, "instance", "{{instance}}"),
    ),
    series(
        "Processor",
        "Share of one core; one pod uses one.",
        "percentunit",
        Query(f"rate(process_cpu_seconds_total{{{POD}}}{RATE})", "{{instance}}"),
    ),
    series(
        "Memory",
        "Resident.",
        "bytes",
        Query(f"process_resident_memory_bytes{{{POD}}}", "{{instance}}"),
    ),
    series(
        "Open files",
        "Sockets and files.",
        "short",
        Query(f"process_open_fds{{{POD}}}", "{{instance}} open"),
    ),
    series(
        "Garbage collections",
        "Per second and generation.",
        "ops",
        Query(
            f"sum by (instance, generation) (rate(python_gc_collections_total{{{POD}}}{RATE}))",
            "{{instance}} generation {{generation}}",
        ),
    ),
)

FRAME: Final = Frame(
    name="pod",
    title="order-router / One pod",
    text="Its version, its load, and whether its event loop keeps up.",
    variables=("job", "instance"),
    rows=(("State", STATE), ("Load", LOAD)),
)
