"""Boards as dashboards of Grafana's SDK, schema version 36."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from boards.parts import Board, Note, Panel, Query, Variable

#: Identity of the data source that `provisioning/datasources/laserve.yaml` declares.
DATA_SOURCE = "laserve-prometheus"
#: What a panel without data says.
NO_DATA = "no data"
HEIGHT = 8
#: Grafana queries at least this far apart, and so finds each scrape of the shipped configuration.
INTERVAL = "15s"
ALL = model.VariableOption(selected=True, text="All", value="$__all")
#: Panels with one bar, or one row, for each series: they show the present.
INSTANT = ("bars", "table")
CHOSEN = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


class Annotation(model.AnnotationQuery):
    """An annotation of Prometheus, with the texts that the SDK's class lacks."""

    text = ""

    def to_json(self) -> dict[str, object]:
        texts = {"step": INTERVAL, "titleFormat": self.name, "textFormat": self.text}
        return super().to_json() | texts


def render(board: Board) -> model.Dashboard:
    """The dashboard of a board; its panels are numbered in their order."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["laserve"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("laserve")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags(["laserve"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .variables([_data_source(), *map(_variable, board.variables)])
    )
    numbers = itertools.count(1)
    for row in board.rows:
        builder = builder.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            builder = builder.with_panel(_panel(panel).id(next(numbers)))
    rendered = builder.build()
    rendered.annotations = model.AnnotationContainer(list_val=[_note(note) for note in board.notes])
    return rendered


def _data_source() -> Any:
    chosen = model.VariableOption(selected=True, text="laserve Prometheus", value=DATA_SOURCE)
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus").current(chosen)


def _variable(variable: Variable) -> Any:
    if not variable.queried:
        values = variable.query.split(",")
        options = [
            model.VariableOption(selected=value == variable.default, text=value, value=value)
            for value in values
        ]
        chosen = next(option for option in options if option.selected)
        return (
            dashboard.CustomVariable(variable.name)
            .label(variable.label)
            .values(variable.query)
            .options(options)
            .current(chosen)
        )
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(CHOSEN)
        .query({"query": variable.query, "refId": variable.name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(ALL)
    )


def _note(note: Note) -> Annotation:
    annotation = Annotation(
        name=note.name, datasource=CHOSEN, enable=True, icon_color=note.colour, expr=note.expr
    )
    annotation.text = note.text
    return annotation


def _panel(panel: Panel) -> Any:
    builder = {
        "lines": _lines,
        "stacked": _stacked,
        "bars": _bars,
        "states": _states,
        "heatmap": _heatmap,
        "table": _table,
    }[panel.kind](panel)
    builder = (
        builder.title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(CHOSEN)
        .interval(INTERVAL)
        .span(panel.width)
        .height(HEIGHT)
        .no_value(NO_DATA)
        .targets(list(_targets(panel)))
    )
    if panel.low is not None:
        builder = builder.min(panel.low)
    if panel.high is not None:
        builder = builder.max(panel.high)
    if panel.repeat is not None:
        builder = builder.repeat(panel.repeat).repeat_direction("h")
    if panel.texts:
        texts = {
            str(value): model.ValueMappingResult(text=text, index=index)
            for index, (value, text) in enumerate(panel.texts.items())
        }
        builder = builder.mappings([model.ValueMap(options=texts)])
    return builder


def _targets(panel: Panel) -> Iterator[Any]:
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(CHOSEN)
        target = target.instant() if panel.kind in INSTANT else target.range()
        formats = {"table": PromQueryFormat.TABLE, "heatmap": PromQueryFormat.HEATMAP}
        yield target.format(formats.get(panel.kind, PromQueryFormat.TIME_SERIES)).legend_format(query.legend)


def _legend() -> Any:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(common_model.LegendDisplayMode.LIST)
        .placement(common_model.LegendPlacement.BOTTOM)
    )


def _lines(panel: Panel) -> Any:
    builder = (
        timeseries.Panel()
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI))
        .line_width(1)
        .show_points(common_model.VisibilityMode.AUTO)
    )
    if panel.band:
        band = [model.DynamicConfigValue(id_val="custom.lineWidth", value=0)]
        fill = [
            model.DynamicConfigValue(id_val="custom.fillBelowTo", value="low"),
            model.DynamicConfigValue(id_val="custom.fillOpacity", value=20),
        ]
        builder = builder.override_by_name("low", band).override_by_name("high", band + fill)
    return builder


def _stacked(panel: Panel) -> Any:
    stacking = common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A")
    return _lines(panel).stacking(stacking).fill_opacity(40)


def _bars(panel: Panel) -> Any:
    return (
        bargauge.Panel()
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _states(panel: Panel) -> Any:
    return statetimeline.Panel().legend(_legend()).merge_values(True)


def _heatmap(panel: Panel) -> Any:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_model.HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .steps(64)
            .exponent(0.5)
            .fill("dark-blue")
        )
        .y_axis(heatmap.YAxisConfig().unit(panel.unit))
        .cell_values(heatmap.CellValues().unit("reqps"))
        .show_legend()
    )


def _table(panel: Panel) -> Any:
    """A row for each series, a label or the value of a query in each column."""
    names = {
        f"Value #{letter}": query.legend for letter, query in zip("ABCDEFGH", panel.queries, strict=False)
    }
    if len(panel.queries) == 1:
        names = {"Value": panel.queries[0].legend}
    hidden = dict.fromkeys(("Time", "__name__", "job", *panel.hidden), True)
    return (
        tables.Panel()
        .show_header(True)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize", options={"excludeByName": hidden, "indexByName": {}, "renameByName": names}
            )
        )
    )


def labels_of(query: Query) -> set[str]:
    """Labels that the legend of a query names."""
    return set(re.findall(r"{{\s*(\w+)\s*}}", query.legend))
