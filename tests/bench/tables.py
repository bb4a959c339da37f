"""The tables of the README, from the published rounds."""

import statistics
from collections.abc import Iterable, Sequence

from tests.bench.commands import LANES
from tests.bench.feed import Feed
from tests.bench.footprint import Footprint
from tests.bench.growth import Growth, Point
from tests.bench.latency import Latency, Pass, pooled
from tests.bench.lineup import BARE, LINEUP, SQLITE, TITLES
from tests.bench.medians import Median, median
from tests.bench.overload import GRACE_S, TIMES, Overload
from tests.bench.race import Heat, Race
from tests.bench.results import Run
from tests.bench.targets import NEVER, Target, ceiling, cost, ratios, speed

BEHIND_MS = 1_000
"""A contestant that needs longer than this after the last command did not keep up with the rate."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Return three significant digits, or the whole number."""
    if value == NEVER:
        return "never"
    value = round(value, 2) + 0.0  # no "-0.00"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def interval(found: Median) -> str:
    """Return a median and where it lies."""
    if found.count == 1:
        return number(found.value)
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"


def machine(runs: dict[str, Run]) -> str:
    """Say what was measured when on what; sections that were made alike share a line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, run in runs.items():
        where = run.machine
        text = f"{where.cpu}, {where.cores} cores, {where.memory_gib} GiB, {where.system}, Linux {where.kernel}"
        versions = ", ".join(f"{package} {version}" for package, version in run.versions.items())
        alike.setdefault((text, versions), []).append(f"{name} {run.date[:16].replace('T', ' ')} at {run.commit}")
    return "\n\n".join(
        f"Machine: {text}.\n\nVersions: {versions}.\n\nMeasured (UTC, commit): {'; '.join(when)}."
        for (text, versions), when in alike.items()
    )


def targets(found: Sequence[Target]) -> str:
    """The table of what must hold."""
    rows = []
    for target in found:
        sign = "≥" if target.at_least else "≤"
        bound, goal = (f"{sign} {number(line)}" if line is not None else "" for line in (target.bound, target.goal))
        holds = "" if target.bound is None else "yes" if target.holds else "**no**"
        if target.goal is not None and target.holds:
            holds += ", goal reached" if target.reached else ", goal not"
        measured = f"{interval(target.found)} {target.unit}".strip()
        rows.append([target.what, bound, goal, measured, str(target.found.count), holds])
    return table(["what", "bound", "goal", "measured", "of", "holds"], rows)


def race(made: Race) -> str:
    """Backlogs."""
    rows = []
    for one in LINEUP:
        heats = [heat for heat in made.heats if heat.contestant == one.name]
        if heats:
            rows.append(_racer(made.heats, heats, one.name))
    head = ["", "commands/s", "÷ bare", "CPU µs per command", "÷ bare", "peak MiB", "rounds"]
    p50, p99 = (median([getattr(disk, name) for disk in made.disk]) for name in ("p50_ms", "p99_ms"))
    said = f"A backlog of {made.backlog:,} commands, prefetch {made.prefetch} per queue. "
    said += f"fdatasync of that disk, in each round: p50 {interval(p50)} ms, p99 {interval(p99)} ms."
    return "\n\n".join([said, table(head, rows), *failures(made.failures)])


def _racer(all_heats: Sequence[Heat], heats: Sequence[Heat], name: str) -> list[str]:
    cells = [TITLES[name]]
    for of in (speed, cost):
        against = ratios(all_heats, name, BARE, of)
        cells += [interval(median([of(heat) for heat in heats])), interval(median(against)) if against else ""]
    return [*cells, number(max(heat.peak_mib for heat in heats)), str(len(heats))]


def latency(made: Latency) -> str:
    """Latencies: the medians over the rounds of each round's quantiles."""
    rows = []
    for per_s in sorted({one.per_s for one in made.passes}):
        for name in (one.name for one in LINEUP):
            passes = [one for one in made.passes if (one.contestant, one.per_s) == (name, per_s)]
            if passes:
                rows.append([TITLES[name], str(per_s), *_latencies(passes)])
    head = [
        "",
        "per s",
        "cancel, wire p50 / p99",
        "close, wire p50 / p99",
        "round trip p50 / p99",
        "p99.9",
        "late",
        "of",
    ]
    said = f"Milliseconds, {made.seconds:g} s per round and rate after {made.warm_up} commands that do not count; half "
    said += "cancels, half closes. *late*: how much later than planned the sender itself published, p99."
    return "\n\n".join([said, table(head, rows), *failures(made.failures)])


def _latencies(passes: Sequence[Pass]) -> list[str]:
    wires = [[one.wire[lane] for one in passes] for lane in LANES]
    trips = [one.trip for one in passes]
    cells = [
        f"{number(_middle(s.p50 for s in one))} / {number(_middle(s.p99 for s in one))}" for one in (*wires, trips)
    ]
    if _middle(one.behind_ms for one in passes) > BEHIND_MS:
        cells[-1] += " (fell behind)"
    count = sum(one.count for one in trips)
    # Below ten thousand the last thousandth is a handful of commands.
    beyond = number(pooled(trips, 0.999)) if count >= 10_000 else ""
    return [*cells, beyond, number(_middle(one.late_p99_ms for one in passes)), f"{count:,}"]


def _middle(values: Iterable[float]) -> float:
    return statistics.median(values)


def footprint(made: Footprint) -> str:
    """Start and memory."""
    rows = []
    for name in dict.fromkeys(start.contestant for start in made.starts):
        starts = [start.seconds for start in made.starts if start.contestant == name]
        rows.append([f"{TITLES[name]}: start to first result", f"{interval(median(starts))} s", str(len(starts))])
    after = f"after {made.commands:,} commands for {made.accounts:,} accounts"
    for what in ("resident", "peak"):
        sizes = [getattr(memory, f"{what}_mib") for memory in made.memory]
        rows.append([f"{TITLES[SQLITE]}: {what} memory {after}", f"{interval(median(sizes))} MiB", str(len(sizes))])
    return table(["what", "median", "of"], rows)


def growth(made: Growth) -> str:
    """Four curves: the medians at each point."""
    parts = [f"A backlog of {made.backlog:,} commands at each point, times the workers where there are several."]
    for curve, title in (
        ("rows", "finished commands in the journal"),
        ("accounts", "accounts"),
        ("workers", "workers on one journal"),
        ("latency", "venue latency, ms"),
    ):
        points = [point for point in made.points if point.curve == curve]
        keys = sorted({(point.contestant, point.at) for point in points})
        rows = [
            _point(
                made,
                [point for point in points if (point.contestant, point.at) == key],
                with_ceiling=curve == "latency",
            )
            for key in keys
        ]
        head = ["", title, "CPU µs per command", "commands/s", "peak MiB", "rounds"]
        parts.append(table([*head, "÷ ceiling"] if curve == "latency" else head, rows))
    if repeats := sum(point.repeats for point in made.points):
        parts.append(f"{repeats} results were delivered twice, under the same `result_id`.")
    return "\n\n".join(parts)


def _point(made: Growth, points: Sequence[Point], *, with_ceiling: bool) -> list[str]:
    first = points[0]
    rate = median([point.commands_per_s for point in points])
    cells = [TITLES[first.contestant], f"{first.at:,}", interval(median([point.cpu_us for point in points]))]
    cells += [interval(rate), number(max(point.peak_mib for point in points)), str(len(points))]
    if with_ceiling:
        cells.append(number(rate.value / ceiling(made, first.at)) if first.at else "")
    return cells


def overload(made: Overload) -> str:
    """Three times too much."""
    said = f"{made.sustainable_per_s:,.0f} closes/s are worked off from a full queue; {TIMES} × as much, "
    said += f"{made.offered_per_s:,.0f}/s, was published for {made.seconds:g} s, {made.cancels_per_s} of them cancels. "
    said += f"Deadline {made.ttl_s:g} s, grace {GRACE_S:g} s."
    late = made.late
    rows = [
        ["closes published", f"{made.closes:,}"],
        *([f"closes answered `{outcome}`", f"{count:,}"] for outcome, count in made.outcomes.items()),
        *([f"cancels answered `{outcome}`", f"{count:,}"] for outcome, count in made.cancel_outcomes.items()),
        ["commands without an answer", str(made.unanswered)],
        ["answers after the deadline", f"{late.after_deadline:,}"],
        ["how late, p50 / max", f"{number(late.p50_s)} / {number(late.max_s)} s"],
        ["of these after the grace", f"{late.after_grace:,}"],
        ["most closes that waited", f"{max(second.waiting for second in made.curve):,}"],
        ["highest resident memory", f"{max(second.resident_mib for second in made.curve)} MiB"],
        ["recovery", "none within the limit" if made.recovery_s is None else f"{number(made.recovery_s)} s"],
    ]
    head = ["cancels, ms", "wire p50 / p99", "overloaded", "round trip p50 / p99", "overloaded"]
    cancels = [
        [name, *(f"{number(one.p50)} / {number(one.p99)}" for one in (of.calm_wire, of.wire, of.calm_trip, of.trip))]
        for name, of in (("router, SQLite", made.cancels), ("bare script, as many closes, no limit", made.bare_cancels))
    ]
    return f"{said}\n\n{table(['what', 'seen'], rows)}\n\n{table(head, cancels)}"


def feed(made: Feed) -> str:
    """Order events."""
    rows = [
        [
            f"{load.heard:,} of {load.events:,}",
            f"{load.events_per_s:,}",
            *(number(value) for value in (load.added_ms.p50, load.added_ms.p90, load.added_ms.p99, load.added_ms.max)),
            str(load.feed_cpu_us_per_event),
        ]
        for load in made.loads
    ]
    return table(["published", "per s", "added p50 ms", "p90", "p99", "max", "CPU µs per event"], rows)


def failures(found: Sequence[str]) -> list[str]:
    """Say plainly what did not count."""
    return [f"**{len(found)} did not count:** " + "; ".join(found)] if found else []
