"""价格: by item and area, over the years, from the database; newest values from the metrics."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source.parts import (
    DATABASE,
    METRICS,
    SOURCE,
    Row,
    Sql,
    lines,
    make,
    of_database,
    of_metrics,
    prom,
    query_variable,
    rows,
)

ITEMS = "SELECT DISTINCT item FROM series ORDER BY item"
AREAS = "SELECT DISTINCT area FROM series ORDER BY area"
CHOSEN = "s.item IN (${item:sqlstring}) AND s.area IN (${area:sqlstring})"
NEWEST = """
    NOT EXISTS (
        SELECT 1 FROM observation n
        WHERE n.series_id = o.series_id AND n.at = o.at AND n.revision > o.revision
    )"""
SHOWN_TIME = "o.at BETWEEN $__unixEpochFrom() AND $__unixEpochTo()"
LATEST = f"""
    WITH latest AS (
        SELECT s.item, s.spec, s.unit, s.channel, s.point, s.area, p.at, p.value, p.before_value
        FROM series s
        CROSS JOIN LATERAL (
            SELECT o.at, o.value, lead(o.value) OVER (ORDER BY o.at DESC) AS before_value
            FROM observation o
            WHERE o.series_id = s.id AND o.at <= $__unixEpochTo() AND {NEWEST}
            ORDER BY o.at DESC
            LIMIT 2
        ) p
        WHERE {CHOSEN} AND p.before_value IS NOT NULL
    )"""


def dashboard() -> Dashboard:
    source = query_variable(*SOURCE, METRICS)
    item = query_variable("item", "品种", ITEMS, DATABASE)
    area = query_variable("area", "区域", AREAS, DATABASE)
    return make(
        "price-risk-monitor-prices",
        "监测预警：价格与指标",
        "各品种、各区域的价格和指标，最新一版的值；历史需要 PostgreSQL 数据库。",
        [*of_metrics(source), *of_database(item, area)],
        [
            Row("走势", height=10, panels=history()),
            Row("今日", height=10, panels=today()),
        ],
    )


def history() -> list[tuple[int, object]]:
    return [
        (12, lines("各监测点", "所选品种各监测点的值，单位见图例。", Sql(BY_POINT, "time_series"), points=True)),
        (
            12,
            lines(
                "区域均价",
                "同一天内各监测点的算术平均，按品种、规格、单位和区域。",
                Sql(BY_AREA, "time_series"),
                points=True,
            ),
        ),
    ]


def today() -> list[tuple[int, object]]:
    newest = 'monitor_latest_value{source=~"$source", instance=~"$instance"}'
    names = {
        "item": "品种", "spec": "规格", "unit": "单位", "channel": "渠道", "point": "监测点",
        "area": "区域", "source": "来源", "Value": "最新值",
    }  # fmt: skip
    return [
        (12, rows("变动最大", "最近两次报送之间变动最大的 50 个序列。", Sql(MOVERS))),
        (12, rows("监测点对比", "最新值与同品种各点中位数之比。", Sql(COMPARED))),
        (
            12,
            rows(
                "最新值一览",
                "配置 [metrics] 中所列品种的最新值。",
                prom(newest, instant=True, as_table=True),
                names=names,
            ),
        ),
        (
            12,
            lines(
                "最新值", "配置 [metrics] 中所列品种的值。", prom(newest, "{{item}} {{spec}} {{point}}（{{unit}}）")
            ),
        ),
    ]


NAME = "concat_ws(' ', s.item, nullif(s.spec, ''), nullif(s.channel, ''), nullif(s.point, ''), nullif(s.unit, ''))"
BY_POINT = f"""
    SELECT to_timestamp(o.at) AS "time", {NAME} AS metric, o.value
    FROM series s JOIN observation o ON o.series_id = s.id
    WHERE {CHOSEN} AND {SHOWN_TIME} AND {NEWEST}
    ORDER BY 1
"""
BY_AREA = f"""
    SELECT date_trunc('day', to_timestamp(o.at) AT TIME ZONE 'Asia/Shanghai') AT TIME ZONE 'Asia/Shanghai' AS "time",
        concat_ws(' ', s.item, nullif(s.spec, ''), nullif(s.channel, ''), nullif(s.unit, ''), nullif(s.area, ''))
            AS metric,
        avg(o.value) AS value
    FROM series s JOIN observation o ON o.series_id = s.id
    WHERE {CHOSEN} AND {SHOWN_TIME} AND {NEWEST}
    GROUP BY 1, 2
    ORDER BY 1
"""
MOVERS = f"""
    {LATEST}
    SELECT item AS "品种", spec AS "规格", point AS "监测点", area AS "区域", unit AS "单位",
        to_timestamp(at) AS "时间", before_value AS "上期", value AS "本期",
        round(((value / nullif(before_value, 0) - 1) * 100)::numeric, 1) AS "变动 %"
    FROM latest
    WHERE before_value > 0
    ORDER BY abs(value / before_value - 1) DESC, item, point
    LIMIT 50
"""
COMPARED = f"""
    {LATEST},
    middle AS (
        SELECT item, spec, unit, channel, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS value, count(*) AS n
        FROM latest
        GROUP BY item, spec, unit, channel
    )
    SELECT l.item AS "品种", l.spec AS "规格", l.point AS "监测点", l.area AS "区域", l.value AS "最新值",
        m.value AS "各点中位数", round((l.value / nullif(m.value, 0))::numeric, 2) AS "比值"
    FROM latest l JOIN middle m USING (item, spec, unit, channel)
    WHERE m.n > 1 AND m.value > 0
    ORDER BY abs(ln(greatest(l.value, 1e-9) / m.value)) DESC, l.item, l.point
    LIMIT 100
"""
