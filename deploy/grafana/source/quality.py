"""数据质量: what comes in, what is late, what was rejected, doubted and corrected."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source.parts import (
    METRICS,
    SOURCE,
    Row,
    Sql,
    bars,
    lines,
    make,
    of_database,
    of_metrics,
    prom,
    query_variable,
    rows,
)

CHOSEN = 'source=~"$source", instance=~"$instance"'


def rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{CHOSEN}}}[$__rate_interval]))"


def dashboard() -> Dashboard:
    return make(
        "price-risk-monitor-quality",
        "监测预警：数据质量",
        "收到的数据、迟报和缺报、拒收、疑似差错和更正。监测点的明细需要 PostgreSQL 数据库。",
        [*of_metrics(query_variable(*SOURCE, METRICS)), *of_database()],
        [
            Row("收到的数据", panels=arrivals()),
            Row("采集", panels=fetches()),
            Row("差错与更正", panels=errors(), height=9),
        ],
    )


def arrivals() -> list[tuple[int, object]]:
    age = f"max by (source, group) (monitor_newest_observation_age_seconds{{{CHOSEN}}})"
    within = f"max by (source, group) (monitor_observation_expected_within_seconds{{{CHOSEN}}})"
    late = f"{age} / {within}"
    return [
        (
            8,
            lines(
                "收到的数据",
                "每秒收到的观测值，按结果。",
                prom(rate("monitor_observations_total", "outcome"), "{{outcome}}"),
                unit="cps",
            ),
        ),
        (
            8,
            lines(
                "各来源收到的数据",
                "每秒收到的观测值，按来源。",
                prom(rate("monitor_observations_total", "source"), "{{source}}"),
                unit="cps",
            ),
        ),
        (8, bars("最新数据距今", "各来源、各类最新观测值的年龄。", prom(age, "{{source}} {{group}}", instant=True))),
        (
            12,
            lines(
                "距缺报还有多远",
                "最新数据的年龄与应报间隔加宽限之比；1 以上为缺报。",
                prom(late, "{{source}} {{group}}"),
                unit="percentunit",
            ),
        ),
        (12, rows("各监测点报送（30 天）", "最近 30 天各监测点报送的天数、条数和最近一次报送（P15）。", Sql(POINTS))),
    ]


def fetches() -> list[tuple[int, object]]:
    slow = f"histogram_quantile(0.9, {rate('monitor_fetch_seconds_bucket', 'source, le')})"
    return [
        (
            8,
            lines(
                "采集结果",
                "每分钟采集次数，按来源和结果。",
                prom("60 * " + rate("monitor_fetches_total", "source, outcome"), "{{source}} {{outcome}}"),
            ),
        ),
        (8, lines("采集耗时", "九成的采集在此时间之内。", prom(slow, "{{source}}"), unit="s")),
        (8, lines("失败的来源", "1：最近一次采集失败。", prom(f"monitor_source_failing{{{CHOSEN}}}", "{{source}}"))),
    ]


def errors() -> list[tuple[int, object]]:
    rejected = f"sum by (source, reason) (increase(monitor_rejects_total{{{CHOSEN}}}[1h])) or on() vector(0)"
    return [
        (8, lines("拒收的行", "一小时内拒收的行数，按来源和原因。", prom(rejected, "{{source}} {{reason}}"))),
        (8, rows("拒收最多的来源（30 天）", "最近 30 天各来源、各原因的拒收行数。", Sql(REJECTS))),
        (8, rows("更正过的值（30 天）", "最近 30 天收到的更正，最新的 100 条。", Sql(REVISED))),
        (12, rows("疑似差错", "尚未复核的疑似差错。", Sql(DOUBTS))),
        (
            12,
            rows(
                "复核结论（90 天）",
                "最近 90 天提示的复核结论，按规则；差错和预期之内多的规则值得调整。",
                Sql(VERDICTS),
            ),
        ),
    ]


POINTS = """
    SELECT s.point AS "监测点", s.area AS "区域",
        count(DISTINCT (to_timestamp(o.at) AT TIME ZONE 'Asia/Shanghai')::date) AS "报送天数",
        count(*) AS "条数", to_timestamp(max(o.at)) AS "最近一次"
    FROM series s JOIN observation o ON o.series_id = s.id
    WHERE o.revision = 1 AND s.point <> '' AND o.at > $__unixEpochTo() - 30 * 86400 AND o.at <= $__unixEpochTo()
    GROUP BY s.point, s.area
    ORDER BY 3, 1
"""
REJECTS = """
    SELECT b.source AS "来源", r.reason AS "原因", count(*) AS "行数", to_timestamp(max(b.received_at)) AS "最近一次"
    FROM reject r JOIN batch b ON b.id = r.batch_id
    WHERE b.received_at > $__unixEpochTo() - 30 * 86400
    GROUP BY b.source, r.reason
    ORDER BY count(*) DESC
    LIMIT 100
"""
REVISED = """
    SELECT to_timestamp(b.received_at) AS "收到", s.item AS "品种", s.point AS "监测点", to_timestamp(o.at) AS "日期",
        p.value AS "原值", o.value AS "更正为", b.source AS "来源"
    FROM observation o
    JOIN batch b ON b.id = o.batch_id
    JOIN series s ON s.id = o.series_id
    JOIN observation p ON p.series_id = o.series_id AND p.at = o.at AND p.revision = o.revision - 1
    WHERE o.revision > 1 AND b.received_at > $__unixEpochTo() - 30 * 86400
    ORDER BY b.received_at DESC
    LIMIT 100
"""
DOUBTS = """
    SELECT item AS "品种", point AS "监测点", area AS "区域", to_timestamp(start_at) AS "起始", value AS "报送值",
        expected AS "预期", reason AS "原因"
    FROM flag
    WHERE kind = 'data' AND state IN ('open', 'acknowledged')
    ORDER BY first_flagged_at DESC
    LIMIT 200
"""
VERDICTS = """
    SELECT rule AS "规则",
        count(*) FILTER (WHERE verdict = 'real_move') AS "真实变动",
        count(*) FILTER (WHERE verdict = 'data_error') AS "数据差错",
        count(*) FILTER (WHERE verdict = 'expected') AS "预期之内",
        count(*) FILTER (WHERE verdict = 'to_check') AS "待核实",
        count(*) FILTER (WHERE verdict = '') AS "未复核"
    FROM flag
    WHERE raised_at > $__unixEpochTo() - 90 * 86400
    GROUP BY rule
    ORDER BY count(*) DESC
"""
