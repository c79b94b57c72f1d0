"""通知: what was sent, what waits, what was given up, who acknowledged and how soon."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source.parts import Row, Sql, lines, make, of_database, of_metrics, prom, rows

MINE = 'instance=~"$instance"'
RANGE = "[$__rate_interval]"


def dashboard() -> Dashboard:
    return make(
        "price-risk-monitor-delivery",
        "监测预警：通知送达",
        "通知的发送、等待、放弃和确认。逐条明细需要 PostgreSQL 数据库。",
        [*of_metrics(), *of_database()],
        [
            Row("发送", panels=sending()),
            Row("没有送到的", panels=failing()),
            Row("确认", panels=acknowledging(), height=9),
        ],
    )


def slow(metric: str) -> str:
    return f"histogram_quantile(0.9, sum by (channel, le) (rate({metric}_bucket{{{MINE}}}{RANGE})))"


def sending() -> list[tuple[int, object]]:
    sent = f"60 * sum by (channel, result) (rate(monitor_sends_total{{{MINE}}}{RANGE}))"
    took = prom(slow("monitor_send_seconds"), "{{channel}} 发送")
    waited = prom(slow("monitor_message_wait_seconds"), "{{channel}} 等待")
    queue = f"monitor_outbox_queue_age_seconds{{{MINE}}}"
    return [
        (8, lines("发送结果", "每分钟发送次数，按渠道和结果。", prom(sent, "{{channel}} {{result}}"))),
        (8, lines("发送耗时与等待", "九成的通知在此时间之内。", took, waited, unit="s")),
        (8, lines("待发通知等待时间", "到时未发的通知中等得最久的。", prom(queue, "{{channel}}"), unit="s")),
    ]


def failing() -> list[tuple[int, object]]:
    stored = prom(f"sum by (channel, state) (monitor_outbox_messages{{{MINE}}})", instant=True, as_table=True)
    names = {"channel": "渠道", "state": "状态", "Value": "条数"}
    given = f"sum by (channel, reason) (increase(monitor_messages_given_up_total{{{MINE}}}[1h]))"
    other = f"sum by (reason) (increase(monitor_telling_exceptions_total{{{MINE}}}[1h]))"
    gap = f"monitor_duty_gap{{{MINE}}}"
    return [
        (6, rows("发件箱", "各渠道、各状态的通知数。", stored, names=names)),
        (6, lines("放弃的通知", "一小时内不再重试的通知，按渠道和原因。", prom(given, "{{channel}} {{reason}}"))),
        (6, lines("未按值班表通知", "一小时内没有按值班表通知的变动，按原因。", prom(other, "{{reason}}"))),
        (6, lines("值班空缺", "1：此岗位无人值班（P9）。", prom(gap, "{{duty}}"))),
        (24, rows("未送到的通知", "排队、重试中或已放弃的通知，最新的 100 条；不含正文。", Sql(NOT_SENT))),
    ]


def acknowledging() -> list[tuple[int, object]]:
    return [
        (
            12,
            rows(
                "确认用时（30 天）",
                "各渠道送出的通知中已确认的比例，以及从写下到确认的时间（分钟）。",
                Sql(ACKNOWLEDGED),
            ),
        ),
        (12, rows("尚未确认", "已送出、要求确认而没有确认的通知，最早的 100 条。", Sql(UNACKNOWLEDGED))),
    ]


NOT_SENT = """
    SELECT to_timestamp(created_at) AS "写下", channel AS "渠道", person AS "收件人", change AS "变化",
        state AS "状态", attempts AS "次数", to_timestamp(not_before) AS "下次", last_reason AS "原因"
    FROM notification
    WHERE state NOT IN ('sent', 'superseded')
    ORDER BY created_at DESC
    LIMIT 100
"""
ACKNOWLEDGED = """
    SELECT channel AS "渠道", count(*) AS "送出", count(acked_at) AS "已确认",
        round(100.0 * count(acked_at) / count(*), 1) AS "确认 %",
        round((percentile_cont(0.5) WITHIN GROUP (ORDER BY acked_at - created_at) / 60)::numeric, 1) AS "中位数",
        round((percentile_cont(0.9) WITHIN GROUP (ORDER BY acked_at - created_at) / 60)::numeric, 1) AS "九成之内"
    FROM notification
    WHERE sent_at IS NOT NULL AND created_at > $__unixEpochTo() - 30 * 86400
    GROUP BY channel
    ORDER BY channel
"""
UNACKNOWLEDGED = """
    SELECT to_timestamp(sent_at) AS "送出", channel AS "渠道", person AS "收件人", subject AS "标题"
    FROM notification
    WHERE sent_at IS NOT NULL AND acked_at IS NULL AND ack_hash <> ''
    ORDER BY sent_at
    LIMIT 100
"""
