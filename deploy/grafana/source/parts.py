"""Panels, variables and data sources in the shapes that all dashboards share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model

METRICS = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
DATABASE = model.DataSourceRef(type_val="grafana-postgresql-datasource", uid="${postgres}")
TAG = "price-risk-monitor"
WIDTH = 24
GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"


@dataclass
class SqlQuery(Dataquery):
    """A query of the PostgreSQL data source, for which the SDK has no model."""

    sql: str
    format: str  # "table", or "time_series" with columns time, metric, value
    ref: str = "A"

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref,
            "datasource": DATABASE,
            "editorMode": "code",
            "format": self.format,
            "rawQuery": True,
            "rawSql": self.sql,
        }


class Sql(Builder[Dataquery]):
    """Builder of a `SqlQuery`; the text is stripped of the indentation it has in the code."""

    def __init__(self, sql: str, format: str = "table") -> None:
        lines = [line.strip() for line in sql.strip().splitlines()]
        self.query = SqlQuery("\n".join(line for line in lines if line), format)

    def build(self) -> SqlQuery:
        return self.query


def prom(expression: str, legend: str = "", *, instant: bool = False, as_table: bool = False) -> prometheus.Dataquery:
    """An expression for Prometheus, over the shown time or (instant) as of its end."""
    query = prometheus.Dataquery().expr(expression).legend_format(legend).datasource(METRICS)
    query = query.editor_mode(prometheus_model.QueryEditorMode.CODE)
    if as_table:
        query = query.format(prometheus_model.PromQueryFormat.TABLE)
    return query.instant() if instant else query.range()


Query = prometheus.Dataquery | Sql
Panel = stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel


def steps(*pairs: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours by value: (None, colour) first, then (from this value on, colour)."""
    found = [model.Threshold(value=value, color=colour) for value, colour in pairs]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


PLAIN = ((None, GREEN),)
SOME = ((None, GREEN), (1, ORANGE))


def words(texts: dict[str, tuple[str, str]]) -> list[model.ValueMapping]:
    """Values shown as (word, colour)."""
    options = {
        value: model.ValueMappingResult(text=text, color=colour, index=n)
        for n, (value, (text, colour)) in enumerate(texts.items())
    }
    return [model.ValueMap(options=options)]


def filled(panel: Any, title: str, description: str, queries: Sequence[Query], unit: str) -> Any:
    """What every panel has: title, description, unit, one data source, queries named A, B, …"""
    source = DATABASE if isinstance(queries[0], Sql) else METRICS
    panel = panel.title(title).description(description).unit(unit).datasource(source)
    for n, query in enumerate(queries):
        ref = chr(ord("A") + n)
        if isinstance(query, Sql):
            query.query.ref = ref
        else:
            query = query.ref_id(ref)
        panel = panel.with_target(query)
    return panel


def number(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "short",
    colours: Sequence[tuple[float | None, str]] = PLAIN,
    texts: dict[str, tuple[str, str]] | None = None,
) -> stat.Panel:
    """One number on its colour."""
    panel: stat.Panel = filled(stat.Panel(), title, description, [query], unit)
    panel = panel.thresholds(steps(*colours)).color_mode(common_model.BigValueColorMode.BACKGROUND)
    panel = panel.graph_mode(common_model.BigValueGraphMode.NONE).reduce_options(last())
    return panel.mappings(words(texts)) if texts else panel


def last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def lines(
    title: str, description: str, *queries: Query, unit: str = "short", points: bool = False
) -> timeseries.Panel:
    """Lines over time."""
    panel: timeseries.Panel = filled(timeseries.Panel(), title, description, queries, unit)
    show = common_model.VisibilityMode.ALWAYS if points else common_model.VisibilityMode.NEVER
    legend = common.VizLegendOptions().display_mode(common_model.LegendDisplayMode.LIST)
    legend = legend.placement(common_model.LegendPlacement.BOTTOM).show_legend(True)
    tooltip = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
    panel = panel.line_width(1).show_points(show).span_nulls(points).legend(legend)
    return panel.tooltip(tooltip.sort(common_model.SortOrder.DESCENDING))


def bars(title: str, description: str, query: Query, *, unit: str = "s") -> bargauge.Panel:
    """One bar for each newest value."""
    panel: bargauge.Panel = filled(bargauge.Panel(), title, description, [query], unit)
    panel = panel.display_mode(common_model.BarGaugeDisplayMode.BASIC).reduce_options(last())
    return panel.orientation(common_model.VizOrientation.HORIZONTAL)


HIDDEN = ("Time", "__name__", "instance", "job")


def rows(
    title: str, description: str, *queries: Query, names: dict[str, str] | None = None, unit: str = "short"
) -> table.Panel:
    """A table. `names` renames columns; for SQL the query names them itself."""
    panel: table.Panel = filled(table.Panel(), title, description, queries, unit)
    panel = panel.show_header(True).cell_height(common_model.TableCellHeight.SM)
    if names is None:
        return panel
    if len(queries) > 1:
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    options = {"excludeByName": dict.fromkeys(HIDDEN, True), "indexByName": {}, "renameByName": names}
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))


def query_variable(name: str, label: str, query: str, source: model.DataSourceRef) -> dashboard.QueryVariable:
    """Values to choose several from, all at first."""
    asked: str | dict[str, object] = query
    everything = {}
    if source is METRICS:
        asked = {"qryType": 1, "query": query, "refId": f"Variable-{name}"}
        everything = {"value": ".*"}
    made = dashboard.QueryVariable(name).label(label).query(asked).datasource(source)
    made = made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    made = made.multi(True).include_all(True)
    if everything:
        made = made.all_value(everything["value"])
    return made.current(model.VariableOption(text=["All"], value=["$__all"]))


def source_variable(name: str, label: str, kind: str) -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable(name).label(label).type(kind)


def of_metrics(*more: dashboard.QueryVariable) -> list[Any]:
    """Variables of a dashboard that reads Prometheus."""
    instance = query_variable("instance", "实例", "label_values(monitor_build_info, instance)", METRICS)
    return [source_variable("datasource", "指标", "prometheus"), instance, *more]


def of_database(*more: dashboard.QueryVariable) -> list[Any]:
    """Variables of a dashboard that reads the database."""
    return [source_variable("postgres", "数据库", "grafana-postgresql-datasource"), *more]


SOURCE = ("source", "来源", "label_values(monitor_observations_total, source)")


@dataclass
class Row:
    """A heading and panels side by side, each with its width in 24ths; those that do not fit go on below."""

    title: str
    panels: list[tuple[int, Any]]
    height: int = 8
    heights: dict[str, int] = field(default_factory=dict)


def make(uid: str, title: str, description: str, variables: Sequence[Any], rows: Sequence[Row]) -> model.Dashboard:
    """A dashboard with numbered panels, laid out row by row."""
    made = dashboard.Dashboard(title).uid(uid).description(description).tags([TAG]).timezone("Asia/Shanghai")
    made = made.refresh("30s" if uid != "price-risk-monitor-prices" else "5m").week_start("monday").readonly()
    made = made.time(*(("now-90d", "now") if uid == "price-risk-monitor-prices" else ("now-6h", "now")))
    made = made.tooltip(model.DashboardCursorSync.CROSSHAIR).fiscal_year_start_month(0).live_now(False)
    link = dashboard.DashboardLink("监测预警").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    made = made.link(link.keep_time(True).include_vars(False)).version(1)
    for variable in variables:
        made = made.with_variable(variable)
    if any(isinstance(one, dashboard.DatasourceVariable) and one.build().name == "datasource" for one in variables):
        restarted = 'changes(monitor_process_start_time_seconds{instance=~"$instance"}[1m]) > 0'
        made = made.annotation(
            dashboard.AnnotationQuery()
            .name("重启")
            .datasource(METRICS)
            .enable(True)
            .icon_color(ORANGE)
            .expr(restarted)
        )
    number, y = 1, 0
    for row in rows:
        heading = dashboard.Row(row.title).id(number).grid_pos(model.GridPos(h=1, w=WIDTH, x=0, y=y))
        made = made.with_row(heading)
        number, y, x = number + 1, y + 1, 0
        for width, panel in row.panels:
            if x + width > WIDTH:
                x, y = 0, y + row.height
            place = model.GridPos(h=row.height, w=width, x=x, y=y)
            made = made.with_panel(panel.id(number).grid_pos(place))
            number, x = number + 1, x + width
        y += row.height
    return made.build()
