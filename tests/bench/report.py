"""Render README.md and the pictures from the JSON in results/: every number between the markers comes from there.

python -m tests.bench.report
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from tests.bench import charts, feed, footprint, growth, latency, overload, race, tables, targets
from tests.bench.charts import Picture
from tests.bench.contestants import PEERS, ROOT
from tests.bench.results import RESULTS, load
from tests.bench.targets import Target

README: Final = Path(__file__).with_name("README.md")
BLOCK: Final = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


class Section(Struct, frozen=True):
    """How a section's record is shown."""

    kind: type[Any]
    table: Callable[[Any], str]
    targets: Callable[[Any], list[Target]] | None = None
    chart: Callable[[Any], Picture] | None = None


SECTIONS: Final = {
    "race": Section(race.Race, tables.race, targets.of_race, charts.race),
    "latency": Section(latency.Latency, tables.latency, targets.of_latency, charts.latency),
    "footprint": Section(footprint.Footprint, tables.footprint, targets.of_footprint),
    "growth": Section(growth.Growth, tables.growth, targets.of_growth, charts.growth),
    "overload": Section(overload.Overload, tables.overload, targets.of_overload, charts.overload),
    "feed": Section(feed.Feed, tables.feed),
}


def records(directory: Path) -> dict[str, Any]:
    """Return what was measured, by section."""
    found = {name: load(directory, name, section.kind) for name, section in SECTIONS.items()}
    return {name: record for name, record in found.items() if record is not None}


def judged(made: dict[str, Any]) -> list[Target]:
    """Return every target that something was measured for."""
    return [
        target for name, record in made.items() if (of := SECTIONS[name].targets) is not None for target in of(record)
    ]


def blocks(made: dict[str, Any]) -> dict[str, str]:
    """Return the text between each pair of markers."""
    found = dict.fromkeys([*SECTIONS, "targets"], "Not measured.")
    found |= {name: SECTIONS[name].table(record) for name, record in made.items()}
    for name in (name for name in made if SECTIONS[name].chart):
        found[name] += f"\n\n![{name}](results/{name}.svg)"
    if made:
        found["machine"] = tables.machine({name: record.run for name, record in made.items()})
    if judgements := judged(made):
        found["targets"] = tables.targets(judgements)
    return found


def render() -> None:
    """Write README.md and the pictures."""
    made = records(RESULTS)
    found = blocks(made)

    def filled(block: re.Match[str]) -> str:
        return f"{block[1]}{found[block[2]]}\n{block[3]}" if block[2] in found else block[0]

    README.write_text(BLOCK.sub(filled, README.read_text()))
    pictures = [chart(record) for name, record in made.items() if (chart := SECTIONS[name].chart) is not None]
    python = PEERS / "bin/python"
    if not python.exists():
        sys.exit(f"bench: the pictures need matplotlib, which is in {PEERS}. `make peers` makes it")
    command = [str(python), "-m", "tests.bench.pictures", str(RESULTS)]
    subprocess.run(command, cwd=ROOT, input=msgspec.json.encode(pictures), check=True)


def verdict(directory: Path) -> int:
    """Print every target, and return the exit status: 1 if a bound does not hold or something did not count."""
    made = records(directory)
    found = judged(made)
    print(tables.targets(found))
    failures = [failure for record in made.values() for failure in getattr(record, "failures", [])]
    print("\n".join(failures))
    return int(bool(failures) or not all(target.holds for target in found))


if __name__ == "__main__":
    render()
