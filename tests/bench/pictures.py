"""Draw what `charts.py` says: the only user of matplotlib, so it runs in the peers' environment.

    .tools/peers/bin/python -m tests.bench.pictures DIR < PICTURES

Reads the pictures as JSON from its input and writes DIR/<name>.svg, text as text, without a date: equal numbers give an
equal file.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found]  # it is in the peers' environment only

mpl.use("svg")
from matplotlib import pyplot, ticker

COLORS = ("#1f77b4", "#d95f02", "#4d4d4d", "#7570b3")
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "order-router",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
BAND = 0.22
"""How far the ranges of one row lie apart."""


def draw_dots(axes: Any, panel: dict[str, Any]) -> None:
    """Draw each value as a dot, and the median of each row as a bar."""
    for series in panel["series"]:
        for row in range(len(panel["labels"])):
            values = [value for at, value in series["points"] if at == row]
            axes.plot(values, [row] * len(values), "o", color=COLORS[0], alpha=0.35, markersize=4)
            axes.plot([statistics.median(values)], [row], "|", color=COLORS[1], markersize=16, markeredgewidth=2)
    axes.set_xlim(left=0)


def draw_ranges(axes: Any, panel: dict[str, Any]) -> None:
    """Draw a line from the p50 to the p99 of each row, the series below one another."""
    for index, series in enumerate(panel["series"]):
        color = COLORS[index]
        shift = (index - (len(panel["series"]) - 1) / 2) * BAND
        for row, low, high in series["points"]:
            axes.plot([low, high], [row + shift] * 2, "-", color=color, linewidth=2)
        rows = [row + shift for row, _, _ in series["points"]]
        axes.plot([low for _, low, _ in series["points"]], rows, "o", color=color, markersize=4, label=series["name"])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(panel["series"]))


def draw_lines(axes: Any, panel: dict[str, Any]) -> None:
    """Draw y over x."""
    for index, series in enumerate(panel["series"]):
        marker = "o-" if panel["labels"] else "-"
        x, y = zip(*series["points"], strict=True)
        axes.plot(x, y, marker, color=COLORS[index], markersize=4, label=series["name"] or None)
    if any(series["name"] for series in panel["series"]):
        axes.legend()
    if panel["labels"]:
        axes.set_xticks(range(len(panel["labels"])), panel["labels"])
    axes.set_ylabel(panel["unit"])
    axes.set_xlabel(panel["across"])
    if panel["log"]:
        axes.set_yscale("log")
        plain(axes.yaxis)
    else:
        axes.set_ylim(0, 1.1 * max(y for series in panel["series"] for _, y in series["points"]))


def draw(axes: Any, panel: dict[str, Any]) -> None:
    """Draw one panel."""
    axes.set_title(panel["title"], loc="left")
    if panel["kind"] == "lines":
        draw_lines(axes, panel)
        return
    (draw_dots if panel["kind"] == "dots" else draw_ranges)(axes, panel)
    axes.set_yticks(range(len(panel["labels"])), panel["labels"])
    axes.invert_yaxis()
    axes.set_xlabel(panel["unit"])
    if panel["log"]:
        axes.set_xscale("log")
        plain(axes.xaxis)


def plain(axis: Any) -> None:
    """Write the numbers of a logarithmic axis as they are, at 1, 2, 5, 10, …"""
    axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def save(picture: dict[str, Any], directory: Path) -> None:
    """Draw a picture, its panels two in a row, and write it."""
    panels = picture["panels"]
    rows = (len(panels) + 1) // 2
    figure, grid = pyplot.subplots(rows, 2, figsize=(9, 3 * rows), squeeze=False, layout="constrained")
    for axes, panel in zip(grid.flat, panels, strict=False):
        draw(axes, panel)
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    figure.savefig(directory / f"{picture['name']}.svg", metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    """Draw all."""
    with pyplot.rc_context(SETTINGS):
        for picture in json.load(sys.stdin):
            save(picture, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
