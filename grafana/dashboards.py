"""`python -m grafana.dashboards`: write the dashboards beside this file; `--check`: fail if they are different."""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import broker_and_journal, feeds, overview, pod, venue
from grafana.panels import Frame, dashboard

FOLDER: Final = Path(__file__).parent
FRAMES: Final[tuple[Frame, ...]] = (
    overview.FRAME,
    venue.FRAME,
    feeds.FRAME,
    broker_and_journal.FRAME,
    pod.FRAME,
)


def path(frame: Frame) -> Path:
    """Return where a dashboard is kept."""
    return FOLDER / f"{frame.name}.json"


def text(frame: Frame) -> str:
    """Return a dashboard as Grafana provisions it."""
    return json.dumps(dashboard(frame), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write or check all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for frame in FRAMES:
        if not check:
            path(frame).write_text(text(frame))
        elif path(frame).read_text() != text(frame):
            sys.exit(f"{path(frame)}: not what its source says; run `make dashboards`")


if __name__ == "__main__":
    main()
