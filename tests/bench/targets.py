"""What must hold, what is aimed at, and what was found: every number is made from the published rounds."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from msgspec import Struct

from tests.bench.commands import LANES
from tests.bench.footprint import Footprint
from tests.bench.growth import LATENCIES_MS, Growth
from tests.bench.latency import RATES, Latency, Pass
from tests.bench.lineup import AGAIN, BARE, FASTSTREAM, POSTGRESQL, SQLITE
from tests.bench.medians import Median, median
from tests.bench.overload import Cancels, Overload
from tests.bench.race import Heat, Race

NEVER = float("inf")


class Target(Struct, frozen=True, kw_only=True):
    """A number that must not be below (`at_least`) or above its bound. Without a bound it is only shown."""

    what: str
    found: Median
    bound: float | None = None
    goal: float | None = None
    at_least: bool = False
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the median is on the right side of the bound."""
        return self.bound is None or self._reaches(self.bound)

    @property
    def reached(self) -> bool:
        """Whether the median is on the right side of the goal, if there is one."""
        return self.goal is None or self._reaches(self.goal)

    def _reaches(self, line: float) -> bool:
        return self.found.value >= line if self.at_least else self.found.value <= line


def exactly(value: float) -> Median:
    """Return what was counted or seen once."""
    return Median(value=value, low=value, high=value, count=1, confidence=0.0)


def ratios(heats: Iterable[Heat], name: str, against: str, of: Callable[[Heat], float]) -> list[float]:
    """Return one contestant's numbers over another's, round by round."""
    by = {(heat.contestant, heat.round): of(heat) for heat in heats}
    rounds = sorted(number for contestant, number in by if contestant == name and (against, number) in by)
    return [by[name, number] / by[against, number] for number in rounds]


def speed(heat: Heat) -> float:
    """Return how fast a heat was."""
    return heat.commands_per_s


def cost(heat: Heat) -> float:
    """Return what a command cost in a heat."""
    return heat.cpu_us


def of_race(race: Race) -> list[Target]:
    """Throughput and processor time, pair by pair."""
    found = []
    for what, name, against, of, bound, goal in (
        ("throughput, SQLite ÷ bare", SQLITE, BARE, speed, 0.85, 0.9),
        ("throughput, SQLite ÷ FastStream", SQLITE, FASTSTREAM, speed, 1.15, 1.5),
        ("CPU per command, SQLite ÷ bare", SQLITE, BARE, cost, 1.25, 1.1),
        ("throughput, PostgreSQL ÷ bare", POSTGRESQL, BARE, speed, 0.6, 0.7),
        ("noise floor: throughput, bare ÷ bare", AGAIN, BARE, speed, None, None),
        ("noise floor: CPU per command, bare ÷ bare", AGAIN, BARE, cost, None, None),
    ):
        if values := ratios(race.heats, name, against, of):
            at_least = of is speed
            found.append(Target(what=what, found=median(values), bound=bound, goal=goal, at_least=at_least, unit="×"))
    return found


def of_latency(latency: Latency) -> list[Target]:
    """Wire latency beside the bare script's, pair by pair."""
    fsync_ms = median([disk.p50_ms for disk in latency.disk]).value
    found = []
    for name, per_s, lane in product((SQLITE, AGAIN), RATES, LANES):
        pairs = list(_pairs(latency.passes, name, per_s))
        if not pairs:
            continue
        more = median([one.wire[lane].p50 - bare.wire[lane].p50 for one, bare in pairs])
        tail = median([one.wire[lane].p99 / bare.wire[lane].p99 for one, bare in pairs])
        where = f"{lane}s at {per_s}/s"
        if name == AGAIN:
            found += [
                Target(what=f"noise floor: wire p50, bare − bare, {where}", found=more, unit="ms"),
                Target(what=f"noise floor: wire p99, bare ÷ bare, {where}", found=tail, unit="×"),
            ]
        else:
            bound = 1.0 if lane == "cancel" else round(1.0 + fsync_ms, 3)
            most = 2.0 if per_s > RATES[0] else 1.5
            found += [
                Target(what=f"wire p50, SQLite − bare, {where}", found=more, bound=bound, unit="ms"),
                Target(what=f"wire p99, SQLite ÷ bare, {where}", found=tail, bound=most, unit="×"),
            ]
    return found


def _pairs(passes: Sequence[Pass], name: str, per_s: int) -> Iterable[tuple[Pass, Pass]]:
    """Return a contestant's pass and the bare script's of every round in which both ran."""
    by = {(one.contestant, one.round): one for one in passes if one.per_s == per_s}
    for number in sorted({number for _, number in by}):
        if (name, number) in by and (BARE, number) in by:
            yield by[name, number], by[BARE, number]


def of_footprint(made: Footprint) -> list[Target]:
    """Memory and start."""
    starts = [start.seconds for start in made.starts if start.contestant == SQLITE]
    peaks = [memory.peak_mib for memory in made.memory]
    memory, first = f"peak memory, {made.accounts:,} accounts", "start to first result"
    found = [Target(what=memory, found=median(peaks), bound=120.0, unit="MiB")] if peaks else []
    return found + ([Target(what=first, found=median(starts), bound=1.5, unit="s")] if starts else [])


def ceiling(growth: Growth, latency_ms: int) -> float:
    """Return how many commands a second the in-flight count allows at a venue's latency."""
    return growth.in_flight / (latency_ms / 1000)


def of_growth(growth: Growth) -> list[Target]:
    """A slow venue: the in-flight count is the limit."""
    slowest = max(LATENCIES_MS)
    shares = [
        point.commands_per_s / ceiling(growth, slowest)
        for point in growth.points
        if (point.curve, point.contestant, point.at) == ("latency", SQLITE, slowest)
    ]
    what = f"rate ÷ what the in-flight count allows, venue {slowest} ms"
    return [Target(what=what, found=median(shares), bound=0.9, at_least=True, unit="×")] if shares else []


def of_overload(seen: Overload) -> list[Target]:
    """Three times the sustainable rate."""
    (trip, wire), (bare_trip, bare_wire) = _slowed(seen.cancels), _slowed(seen.bare_cancels)
    peak = max(second.resident_mib for second in seen.curve)
    recovery_s = NEVER if seen.recovery_s is None else seen.recovery_s
    wanted: Sequence[tuple[str, float, float | None, str]] = (
        ("overload: highest resident memory", peak, 120.0, "MiB"),
        ("overload: cancels' round trip p99 ÷ unloaded", trip, 2.0, "×"),
        ("overload: the same of the bare script", bare_trip, None, "×"),
        ("overload: cancels' wire p99 ÷ unloaded", wire, 2.0, "×"),
        ("overload: the same of the bare script", bare_wire, None, "×"),
        ("overload: answers later than deadline and grace", seen.late.after_grace, 0.0, ""),
        ("overload: commands without an answer", seen.unanswered, 0.0, ""),
        ("overload: recovery", recovery_s, 10.0, "s"),
    )
    return [Target(what=what, found=exactly(value), bound=bound, unit=unit) for what, value, bound, unit in wanted]


def _slowed(cancels: Cancels) -> tuple[float, float]:
    """Return how much slower cancels are under load: round trip and wire, p99."""
    return cancels.trip.p99 / cancels.calm_trip.p99, cancels.wire.p99 / cancels.calm_wire.p99
