"""The dashboards: what their source says, nothing overlaps, and every metric is looked at in the right way."""

import itertools
import json
import re
from typing import Any

import pytest

from deploy.prometheus.render import RULES
from grafana.dashboards import FRAMES, path, text
from grafana.panels import Frame
from router.telemetry import Metrics

NAMES = [frame.name for frame in FRAMES]
SHARED = ("in_doubt", "in_doubt_oldest_seconds", "parked", "outbox_pending", "outbox_oldest_seconds")
"""Gauges that every pod reads from the journal that all share."""
UNSHOWN = {"rows_unreadable"}
"""Metrics that no panel shows: born only where two versions meet, and told on the broker."""


def content(frame: Frame) -> dict[str, Any]:
    """Return a dashboard as it is kept."""
    read: dict[str, Any] = json.loads(path(frame).read_text())
    return read


def panels(frame: Frame) -> list[dict[str, Any]]:
    """Return its panels without the rows."""
    return [panel for panel in content(frame)["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Return every query of every dashboard."""
    return [target["expr"] for frame in FRAMES for panel in panels(frame) for target in panel["targets"]]


@pytest.mark.parametrize("frame", FRAMES, ids=NAMES)
def test_the_files_are_what_their_source_says(frame: Frame) -> None:
    """`make dashboards` has been run."""
    assert path(frame).read_text() == text(frame)


@pytest.mark.parametrize("frame", FRAMES, ids=NAMES)
def test_a_panel_says_what_it_shows_in_which_unit(frame: Frame) -> None:
    """Title, sentence, unit, a name for every series; and the newest schema of the classic form."""
    assert content(frame)["schemaVersion"] >= 41
    titles = [panel["title"] for panel in panels(frame)]
    assert len(titles) == len(set(titles))
    for panel in panels(frame):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("frame", FRAMES, ids=NAMES)
def test_no_panel_lies_over_another(frame: Frame) -> None:
    """Rows included; and nothing is wider than the grid's 24 columns."""
    places = [panel["gridPos"] for panel in content(frame)["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, two in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        above = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or above, (one, two)


@pytest.mark.parametrize("gauge", SHARED)
def test_gauges_of_the_shared_journal_are_never_added_up(gauge: str) -> None:
    """Two pods that both see one command in doubt see one, in dashboards and in rules."""
    used = [query for query in [*queries(), RULES.read_text()] if re.search(rf"order_router_{gauge}\b", query)]
    assert used
    for query in used:
        uses = len(re.findall(rf"order_router_{gauge}\b", query))
        assert len(re.findall(rf"max(?: by \([\w, ]+\))? ?\(order_router_{gauge}\b", query)) == uses, query


def test_every_metric_is_on_a_dashboard() -> None:
    """What nobody can see need not be counted."""
    metrics = Metrics()
    for name in ("journal_up", "consuming", "draining"):
        metrics.watch(name, name, lambda: True)
    families = {family.name.removeprefix("order_router_") for family in metrics.registry.collect()}
    families = {name for name in families if not name.startswith(("process_", "python_"))}
    told = " ".join(queries())
    assert {
        name for name in families if not re.search(rf"order_router_{name}(_total|_bucket|_count)?\b", told)
    } == UNSHOWN


def test_every_variable_of_a_query_is_offered() -> None:
    """A selector whose variable the dashboard lacks would find nothing."""
    for frame in FRAMES:
        offered = {variable["name"] for variable in content(frame)["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(content(frame)["panels"])))
        assert used - {"__rate_interval"} <= offered
