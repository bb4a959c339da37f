"""What the pictures of the README show, as plain numbers; `pictures.py` draws them with another interpreter."""

import statistics
from collections.abc import Iterable, Sequence

from msgspec import Struct

from tests.bench.commands import LANES
from tests.bench.growth import LATENCIES_MS, Growth
from tests.bench.latency import Latency
from tests.bench.lineup import AGAIN, LINEUP, TITLES
from tests.bench.overload import Overload
from tests.bench.race import Race
from tests.bench.targets import ceiling


class Series(Struct, frozen=True, kw_only=True):
    """Points under one name: `[x, y]` on lines, `[row, value, …]` in rows."""

    name: str
    points: list[list[float]]


class Panel(Struct, frozen=True, kw_only=True):
    """One pair of axes.

    `kind` "dots": each value of a row, and their median; "ranges": a row's p50 and p99; "lines": y over x. `labels`
    name the rows, or the places 0, 1, … on the x axis; `across` names that axis.
    """

    kind: str
    title: str
    unit: str
    series: list[Series]
    labels: list[str] = []
    across: str = ""
    log: bool = False


class Picture(Struct, frozen=True, kw_only=True):
    """One file."""

    name: str
    panels: list[Panel]


def race(made: Race) -> Picture:
    """Every heat."""
    names = [one.name for one in LINEUP if any(heat.contestant == one.name for heat in made.heats)]
    panels = []
    for title, unit, field in (("Throughput", "commands/s", "commands_per_s"), ("CPU per command", "µs", "cpu_us")):
        points = [[float(names.index(heat.contestant)), float(getattr(heat, field))] for heat in made.heats]
        series = [Series(name="round", points=points)]
        panels.append(
            Panel(kind="dots", title=title, unit=unit, series=series, labels=[TITLES[name] for name in names])
        )
    return Picture(name="race", panels=panels)


def latency(made: Latency) -> Picture:
    """p50 to p99 of wire and round trip, at each rate."""
    panels = []
    for per_s in sorted({one.per_s for one in made.passes}):
        passes = [one for one in made.passes if one.per_s == per_s]
        names = [one.name for one in LINEUP if one.name != AGAIN and any(p.contestant == one.name for p in passes)]
        series = []
        for what in (*LANES, "trip"):
            points = []
            for row, name in enumerate(names):
                spreads = [p.trip if what == "trip" else p.wire[what] for p in passes if p.contestant == name]
                points.append([float(row), _middle(s.p50 for s in spreads), _middle(s.p99 for s in spreads)])
            series.append(Series(name="round trip" if what == "trip" else f"{what}, wire", points=points))
        labels, title = [TITLES[name] for name in names], f"{per_s} commands/s: p50 – p99"
        panels.append(Panel(kind="ranges", title=title, unit="ms", series=series, labels=labels, log=True))
    return Picture(name="latency", panels=panels)


def growth(made: Growth) -> Picture:
    """The four curves: three of what a command costs, and the rate over the venue's latency with its ceiling."""
    panels = []
    for curve, title in (
        ("rows", "Finished commands in the journal"),
        ("accounts", "Accounts"),
        ("workers", "Workers on one journal"),
        ("latency", "Venue latency, ms"),
    ):
        field = "commands_per_s" if curve == "latency" else "cpu_us"
        points = [point for point in made.points if point.curve == curve]
        places = sorted({point.at for point in points})
        series = [
            Series(
                name=TITLES[name],
                points=[
                    [float(place), _middle(getattr(p, field) for p in points if (p.contestant, p.at) == (name, at))]
                    for place, at in enumerate(places)
                ],
            )
            for name in dict.fromkeys(point.contestant for point in points)
        ]
        unit = "CPU µs per command"
        if curve == "latency":
            unit = "commands/s"
            slow = [[float(places.index(at)), ceiling(made, at)] for at in LATENCIES_MS if at and at in places]
            series.append(Series(name="in flight ÷ latency", points=slow))
        panels.append(
            Panel(
                kind="lines",
                title=title,
                unit=unit,
                series=series,
                labels=[f"{at:,}" for at in places],
                log=curve == "latency",
            )
        )
    return Picture(name="growth", panels=panels)


def overload(made: Overload) -> Picture:
    """Memory and the queue over time."""
    memory = [[second.at_s, second.resident_mib] for second in made.curve]
    waiting = [[second.at_s, float(second.waiting)] for second in made.curve]
    after = f"s after the load began; it ended at {made.seconds:g} s"
    seen = (("Resident memory", "MiB", memory), ("Closes that wait", "", waiting))
    panels = [
        Panel(kind="lines", title=title, unit=unit, series=[Series(name="", points=points)], across=after)
        for title, unit, points in seen
    ]
    return Picture(name="overload", panels=panels)


def _middle(values: Iterable[float]) -> float:
    found: Sequence[float] = list(values)
    return statistics.median(found)
