"""Metrics as a busy daemon shows them: every family has samples, so that every expression finds data."""

from __future__ import annotations

from datetime import UTC, datetime

from collectors.base import StoredCounts
from monitor.metrics import Metrics
from monitor.snapshot import Latest, MetricsOptions, Newest, Snapshot, SourceHealth
from thresholds.model import SeriesKey


def clock() -> datetime:
    return datetime.now(UTC)


def picture() -> Snapshot:
    """Two sources, one of them failing and silent; flags of each kind; a queue; nobody on technical duty."""
    now = clock().timestamp()
    pork = SeriesKey("猪肉", "精瘦肉", "元/500克", "集市", "东风市场")
    return Snapshot(
        at=now,
        newest=(
            Newest("演示城市", "肉", now - 3600, 90_000.0),
            Newest("能源", "能源", now - 400_000, 259_200.0),
        ),
        latest=(
            Latest(pork, "萨尔图区", "演示城市", 23.5, now - 3600),
            Latest(SeriesKey("原油", unit="美元/桶"), "", "能源", -37.6, now - 400_000),
        ),
        sources=(
            SourceHealth("演示城市", failing=False, last_success=now - 60, simulated=True),
            SourceHealth("能源", failing=True, last_success=now - 400_000),
        ),
        flags={
            ("open", "三级", "move", "single-move"): 2,
            ("acknowledged", "三级", "move", "single-move"): 1,
            ("over", "", "data", "unit-slip"): 4,
            ("open", "", "silence", "silence"): 1,
        },
        evaluation_oldest=now - 2,
        evaluation_waiting=12,
        messages={("webhook", "queued"): 1, ("webhook", "sent"): 9, ("email", "sent"): 3},
        messages_oldest={"webhook": now - 4},
        duty_gap={"monitoring": False, "technical": True},
    )


def busy() -> Metrics:
    """A daemon that has collected, evaluated, sent and failed at each."""
    metrics = Metrics(clock, picture, MetricsOptions(watched_limit=1))
    metrics.build("0.1.0", "sqlite", {"price-daqing": "2024.1"})
    metrics.declare(
        sources=["演示城市", "能源"],
        channels=["webhook", "email"],
        rules=["single-move"],
        jobs={"evaluate": 5.0, "send": 2.0, "collect:能源": None},
    )
    metrics.observations("演示城市", StoredCounts(700, 20, 3, 2), {"not_a_number": 2})
    metrics.fetch("演示城市", "ok", 0.2)
    metrics.fetch("能源", "timeout", 30.0)
    metrics.evaluation({"read": 0.02, "rules": 0.3, "save": 0.01})
    metrics.rule_failed("single-move")
    metrics.send("webhook", "sent", 0.1, waited=2.0)
    metrics.send("email", "refused", 0.05)
    metrics.told_otherwise("no_one_on_duty", 3)
    metrics.gave_up("email", "address")
    metrics.job("evaluate", "ok", 0.4)
    metrics.job("send", "failed", 0.4)
    metrics.skip("evaluate", "still_running")
    metrics.store_error("locked")
    metrics.clock_step(-30.0)
    metrics.reloaded(True)
    metrics.metrics_errors_total.labels("send").inc()
    return metrics


def go_on(metrics: Metrics) -> None:
    """A little more of everything, so that rates have something to show."""
    metrics.observations("演示城市", StoredCounts(10, 1, 1, 0))
    metrics.fetch("演示城市", "ok", 0.2)
    metrics.evaluation({"read": 0.02, "rules": 0.3, "save": 0.01})
    metrics.send("webhook", "sent", 0.1, waited=2.0)
    metrics.send("email", "refused", 0.05)
    metrics.job("evaluate", "ok", 0.4)
    metrics.job("send", "failed", 0.1)
    metrics.rule_failed("single-move")
