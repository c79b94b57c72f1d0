"""运行: evaluation, jobs, process, database."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source.parts import Row, bars, lines, make, of_metrics, prom, rows

MINE = 'instance=~"$instance"'
RANGE = "[$__rate_interval]"


def dashboard() -> Dashboard:
    return make(
        "price-risk-monitor-health",
        "监测预警：运行状态",
        "评估、任务、进程和数据库，供技术值班人员使用。",
        of_metrics(),
        [
            Row("评估", panels=evaluation()),
            Row("任务", panels=jobs()),
            Row("进程与数据库", panels=process()),
        ],
    )


def slow(metric: str, by: str) -> str:
    return f"histogram_quantile(0.9, sum by ({by}, le) (rate({metric}_bucket{{{MINE}}}{RANGE})))"


def hourly(metric: str, by: str) -> str:
    return f"sum by ({by}) (increase({metric}{{{MINE}}}[1h]))"


def evaluation() -> list[tuple[int, object]]:
    stages = prom(slow("monitor_evaluation_seconds", "stage"), "{{stage}}")
    waiting = prom(f"monitor_evaluation_queue_age_seconds{{{MINE}}}", "等待")
    series = prom(f"monitor_evaluation_queue_series{{{MINE}}}", "待评估序列")
    failed = prom(hourly("monitor_rule_failures_total", "rule") + " or on() vector(0)", "{{rule}} 出错")
    return [
        (8, lines("评估耗时", "九成的评估在此时间之内，按步骤。", stages, unit="s")),
        (8, lines("等待评估", "最早的未评估观测值等了多久。", waiting, unit="s")),
        (8, lines("待评估序列与规则出错", "待评估的序列数；一小时内规则出错的次数。", series, failed)),
    ]


def jobs() -> list[tuple[int, object]]:
    runs = f"60 * sum by (job_name, outcome) (rate(monitor_job_runs_total{{{MINE}}}{RANGE}))"
    since = (
        f"monitor_time_seconds{{{MINE}}} - on (instance) group_right () "
        f"(monitor_job_last_success_timestamp_seconds{{{MINE}}} > 0)"
    )
    skips = prom(hourly("monitor_job_skips_total", "job_name, reason"), "{{job_name}} {{reason}}")
    return [
        (6, lines("任务运行", "每分钟运行次数，按任务和结果。", prom(runs, "{{job_name}} {{outcome}}"))),
        (6, bars("距上次成功", "各任务距上次成功的时间。", prom(since, "{{job_name}}", instant=True))),
        (
            6,
            lines(
                "任务耗时",
                "九成的运行在此时间之内。",
                prom(slow("monitor_job_seconds", "job_name"), "{{job_name}}"),
                unit="s",
            ),
        ),
        (6, lines("跳过的运行", "一小时内没有运行的次数，按原因。", skips)),
    ]


def process() -> list[tuple[int, object]]:
    cpu = prom(f"rate(monitor_process_cpu_seconds_total{{{MINE}}}{RANGE})", "{{instance}}")
    memory = prom(f"monitor_process_resident_memory_bytes{{{MINE}}}", "{{instance}}")
    errors = prom(hourly("monitor_store_errors_total", "reason"), "数据库 {{reason}}")
    clock = prom(hourly("monitor_clock_steps_total", "direction"), "时钟 {{direction}}")
    builds = prom(f"monitor_build_info{{{MINE}}}", instant=True, as_table=True)
    plans = prom(f"monitor_plan_info{{{MINE}}}", instant=True, as_table=True)
    picture = prom(
        f"monitor_time_seconds{{{MINE}}} - on (instance) monitor_snapshot_timestamp_seconds", "{{instance}}"
    )
    version = {"version": "版本", "python": "Python", "database": "数据库", "Value": ""}
    plan = {"plan": "预案或规则包", "version": "版本", "Value": ""}
    return [
        (6, lines("内存", "常驻内存。", memory, unit="bytes")),
        (6, lines("处理器", "占用的核数。", cpu)),
        (6, lines("数据库错误与时钟跳变", "一小时内的次数。", errors, clock)),
        (6, lines("状态图的年龄", "从数据库读出的状态距今多久；指标里的积压由此而来。", picture, unit="s")),
        (10, rows("程序", "版本与数据库。", builds, names=version)),
        (14, rows("在用的预案和规则包", "版本随警情留存，可据以重算。", plans, names=plan)),
    ]
