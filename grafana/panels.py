"""What every dashboard is made of: panels of three kinds, the variables, and a frame around them.

A panel has a title, one sentence that says what it tells, a unit, and queries in PromQL. `JOB`, `VENUE` and `POD` are
the selectors of the variables at the top of a dashboard.
"""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import common, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from msgspec import Struct

SOURCE: Final = options.DataSourceRef(type_val="prometheus", uid="${datasource}")
JOB: Final = 'job=~"$job"'
VENUE: Final = f'{JOB}, venue=~"$venue"'
POD: Final = f'{JOB}, instance=~"$instance"'
RATE: Final = "[$__rate_interval]"

TAG: Final = "order-router"
GREEN, AMBER, RED = "green", "orange", "red"
UP: Final = {"0": (RED, "down"), "1": (GREEN, "up")}

_REACHES: Final = {"percentunit": 0.25, "reqps": 1.0, "short": 1.0}
"""How far an axis reaches when all is 0: without, Grafana draws 0 under 100 requests per second, or 10,000 %."""

Builder = timeseries.Panel | stat.Panel | statetimeline.Panel


class Query(Struct, frozen=True):
    """One query, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str


class Frame(Struct, frozen=True, kw_only=True):
    """A dashboard: its name in addresses and files, title, one sentence, variables, and rows of panels.

    Of a variable in `single` one value is chosen, of any other several or all.
    """

    name: str
    title: str
    text: str
    variables: tuple[str, ...]
    single: tuple[str, ...] = ()
    rows: Sequence[tuple[str, Sequence[Builder]]]


def quantiles(histogram: str, selector: str, by: str, legend: str) -> tuple[Query, Query]:
    """Return the median and the 99th percentile of a histogram, per label `by` (one name, or several with commas)."""
    median, slowest = (
        Query(f"histogram_quantile({share}, sum by ({by}, le) (rate({histogram}_bucket{{{selector}}}{RATE})))", name)
        for share, name in ((0.5, f"{legend} p50"), (0.99, f"{legend} p99"))
    )
    return median, slowest


def series(
    title: str,
    text: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    stacked: bool = False,
    reaches: float | None = None,
) -> Builder:
    """Return curves over time. Units are Grafana's: `s`, `reqps`, `short`, `percentunit`, `bytes`.

    The axis begins at 0 and ends at `reaches` at the earliest; else where it makes sense for the unit.
    """
    panel = (
        timeseries.Panel()
        .fill_opacity(20 if stacked else 5)
        .line_width(1)
        .show_points(options.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
        .min(0)
        .unit(unit)
    )
    reaches = _REACHES.get(unit) if reaches is None else reaches
    if reaches is not None:
        panel.axis_soft_max(reaches)
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    return _finished(panel, title, text, queries, width=width, height=8)


def number(
    title: str,
    text: str,
    unit: str,
    query: Query,
    *,
    red_from: float | None = None,
    green_from: float | None = None,
    width: int = 4,
    height: int = 4,
) -> Builder:
    """Return one number of now: `none` if there is none.

    It is red from `red_from` on, or below `green_from`; plain where neither is given.
    """
    if red_from is not None:
        steps = [model.Threshold(color=GREEN), model.Threshold(value=red_from, color=RED)]
    elif green_from is not None:
        steps = [model.Threshold(color=RED), model.Threshold(value=green_from, color=GREEN)]
    else:
        steps = [model.Threshold(color="text")]
    panel = (
        stat.Panel()
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
        .no_value("none")
        .unit(unit)
    )
    return _finished(panel, title, text, [query], width=width, height=height, now=True)


def states(
    title: str, text: str, *queries: Query, mapping: dict[str, tuple[str, str]], width: int = 12, height: int = 8
) -> Builder:
    """Return bars over time, one per series: `mapping` gives each value a colour and a word."""
    results = {value: model.ValueMappingResult(color=color, text=word) for value, (color, word) in mapping.items()}
    panel = (
        statetimeline.Panel()
        .mappings([model.ValueMap(options=results)])
        .show_value(options.VisibilityMode.NEVER)
        .row_height(0.8)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .unit("short")
    )
    return _finished(panel, title, text, queries, width=width, height=height)


def dashboard(frame: Frame) -> model.Dashboard:
    """Return a frame as Grafana's own model."""
    made = (
        build.Dashboard(frame.title)
        .uid(f"{TAG}-{frame.name}")
        .description(frame.text)
        .tags([TAG])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .timezone("utc")
        .refresh("10s")
        .link(
            build.DashboardLink("order-router")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for name in frame.variables:
        made.with_variable(_variable(name, single=name in frame.single))
    for title, panels in frame.rows:
        made.with_row(build.Row(title))
        for panel in panels:
            made.with_panel(panel)
    built = made.build()
    for place, drawn in enumerate(built.panels or (), start=1):
        drawn.id_val = place  # else Grafana gives new ones, and links to a panel break
    return built


_VALUES: Final = {
    "job": ("Installation", "label_values(order_router_build_info, job)"),
    "venue": ("Venue", 'label_values(order_router_in_flight{job=~"$job"}, venue)'),
    "instance": ("Pod", 'label_values(order_router_build_info{job=~"$job"}, instance)'),
}


def _variable(name: str, *, single: bool) -> build.QueryVariable:
    label, query = _VALUES[name]
    variable = (
        build.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if not single:
        everything = model.VariableOption(selected=True, text="All", value="$__all")
        variable.multi(True).include_all(True).all_value(".+").current(everything)
    return variable


def _finished(
    panel: Builder, title: str, text: str, queries: Sequence[Query], *, width: int, height: int, now: bool = False
) -> Builder:
    panel.title(title).description(text).datasource(SOURCE).span(width).height(height)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        asked = Dataquery().expr(query.expr).legend_format(query.legend).datasource(SOURCE).ref_id(letter)
        panel.with_target(asked.instant() if now else asked.range())
    return panel
