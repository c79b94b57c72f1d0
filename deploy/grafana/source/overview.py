"""总览: is it running, what is open, where is it."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source.parts import (
    GREEN,
    ORANGE,
    RED,
    SOME,
    YELLOW,
    Row,
    Sql,
    lines,
    make,
    number,
    of_database,
    of_metrics,
    prom,
    rows,
)

OPEN = 'state=~"open|acknowledged"'
MINE = 'instance=~"$instance"'


def count(expression: str) -> str:
    """A sum that is 0, not absent, where there is nothing."""
    return f"sum({expression}) or on() vector(0)"


def now(expression: str) -> object:
    return prom(expression, instant=True)


def dashboard() -> Dashboard:
    return make(
        "price-risk-monitor",
        "监测预警：总览",
        "警情、未报送、运行状态一览。明细需要 PostgreSQL 数据库。",
        [*of_metrics(), *of_database()],
        [
            Row("总览", height=4, panels=stats()),
            Row("警情", height=9, panels=flags()),
        ],
    )


def stats() -> list[tuple[int, object]]:
    up = {"1": ("正常", GREEN), "0": ("无响应", RED)}
    return [
        (
            3,
            number(
                "服务", "Prometheus 能否取到指标。", prom(f'min(up{{job="monitor", {MINE}}})', instant=True), texts=up
            ),
        ),
        (3, flag_count("未了警情", "状态为待处理或已确认的警情数。", "move", ORANGE)),
        (3, flag_count("疑似差错", "尚未复核的疑似报送差错。", "data", YELLOW)),
        (3, flag_count("未报送", "应到未到的数据。", "silence", YELLOW)),
        (3, some("失败的来源", "最近一次采集失败的数据来源数。", f"monitor_source_failing{{{MINE}}}")),
        (
            3,
            number(
                "等待最久的通知",
                "到了该发的时候而没有发出的通知，等了多久。",
                prom(f"max(monitor_outbox_queue_age_seconds{{{MINE}}}) or on() vector(0)", instant=True),
                unit="s",
                colours=((None, GREEN), (60, ORANGE), (300, RED)),
            ),
        ),
        (3, some("值班空缺", "此刻无人值班的岗位数（P9）。", f"monitor_duty_gap{{{MINE}}}", RED)),
        (3, some("演示数据来源", "带来模拟数据的来源数；正式使用时应为 0。", f"monitor_source_simulated{{{MINE}}}")),
    ]


def flag_count(title: str, text: str, kind: str, colour: str) -> object:
    asked = prom(count(f'monitor_flags{{{OPEN}, kind="{kind}", {MINE}}}'), instant=True)
    return number(title, text, asked, colours=((None, GREEN), (1, colour)))


def some(title: str, text: str, expression: str, colour: str = ORANGE) -> object:
    return number(title, text, prom(count(expression), instant=True), colours=(SOME[0], (1, colour)))


def flags() -> list[tuple[int, object]]:
    by_grade = f'sum by (grade) (monitor_flags{{{OPEN}, kind="move", {MINE}}}) or on() vector(0)'
    by_kind = f"sum by (kind) (monitor_flags{{{OPEN}, {MINE}}}) or on() vector(0)"
    names = {"state": "状态", "grade": "级别", "kind": "类别", "rule": "规则", "Value": "数量"}
    spread = prom(f"sum by (state, grade, kind, rule) (monitor_flags{{{MINE}}})", instant=True, as_table=True)
    return [
        (8, lines("未了警情（按级别）", "价格和风险的异常变动，按预案级别。", prom(by_grade, "{{grade}}"))),
        (8, lines("未了警情（按类别）", "异常变动、疑似差错、未报送。", prom(by_kind, "{{kind}}"))),
        (8, rows("警情分布", "按状态、级别、类别、规则的警情数，含已结束的。", spread, names=names)),
        (14, rows("未了警情明细", "级别最高、最新的 200 条。", Sql(OPEN_FLAGS))),
        (10, rows("各区域未了警情", "按区域和类别的未了警情数；空为全市。", Sql(BY_AREA))),
    ]


OPEN_FLAGS = """
    SELECT grade AS "级别", item AS "品种", area AS "区域", point AS "监测点",
        CASE direction WHEN 'up' THEN '上涨' WHEN 'down' THEN '下跌' ELSE '' END AS "方向",
        to_timestamp(start_at) AS "起始", value AS "现值", expected AS "预期", reason AS "原因", state AS "状态"
    FROM flag
    WHERE state IN ('open', 'acknowledged')
    ORDER BY grade_rank DESC, first_flagged_at DESC
    LIMIT 200
"""
BY_AREA = """
    SELECT area AS "区域",
        count(*) FILTER (WHERE kind = 'move') AS "异常变动",
        count(*) FILTER (WHERE kind = 'data') AS "疑似差错",
        count(*) FILTER (WHERE kind = 'silence') AS "未报送"
    FROM flag
    WHERE state IN ('open', 'acknowledged')
    GROUP BY area
    ORDER BY count(*) DESC, area
"""
