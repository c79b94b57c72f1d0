"""What the metrics count, what they survive, and that the documentation knows each of them."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from collectors.base import StoredCounts
from monitor.metrics import LONGEST_LABEL, STAGES, Metrics
from monitor.snapshot import OTHER, Latest, MetricsOptions, Newest, Snapshot, SourceHealth, bound, choose
from tests.deploy.content import busy
from tests.thresholds.build import found, quotes, shipped
from thresholds.model import SeriesKey

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
AT = NOW.timestamp()
DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def clock() -> datetime:
    return NOW


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"monitor_{name}", labels)


def showing(snapshot: Snapshot, **options: object) -> CollectorRegistry:
    return Metrics(clock, lambda: snapshot, MetricsOptions.model_validate(options)).registry


def latest(item: str, value: float = 1.0, point: str = "") -> Latest:
    return Latest(SeriesKey(item, unit="元", point=point), "让胡路区", "sheet", value, AT)


def test_observations_are_counted_by_source_and_outcome_and_rejects_by_reason() -> None:
    metrics = Metrics(clock)
    metrics.observations("sheet", StoredCounts(5, 4, 3, 2), {"not_a_number": 2})
    metrics.observations("sheet", StoredCounts(accepted=1))
    assert sample(metrics.registry, "observations_total", source="sheet", outcome="accepted") == 6
    assert sample(metrics.registry, "observations_total", source="sheet", outcome="duplicate") == 4
    assert sample(metrics.registry, "observations_total", source="sheet", outcome="revised") == 3
    assert sample(metrics.registry, "observations_total", source="sheet", outcome="rejected") == 2
    assert sample(metrics.registry, "rejects_total", source="sheet", reason="not_a_number") == 2


def test_a_failed_run_counts_but_is_no_success() -> None:
    metrics = Metrics(clock)
    metrics.declare(jobs={"collect": 60.0})
    metrics.job("collect", "failed", 0.1)
    assert sample(metrics.registry, "job_runs_total", job_name="collect", outcome="failed") == 1
    assert sample(metrics.registry, "job_last_success_timestamp_seconds", job_name="collect") == 0
    metrics.job("collect", "ok", 0.1)
    assert sample(metrics.registry, "job_last_success_timestamp_seconds", job_name="collect") == AT
    assert sample(metrics.registry, "job_seconds_count", job_name="collect") == 2


def test_the_stages_of_an_evaluation_show_zeros_before_the_first() -> None:
    metrics = Metrics(clock)
    metrics.declare()
    assert set(found(quotes(values=[2.0, 2.0, 2.0]), shipped()).seconds) - {"silence"} == set(STAGES)
    for stage in STAGES:
        assert sample(metrics.registry, "evaluation_seconds_count", stage=stage) == 0


def test_what_was_declared_shows_zeros_before_anything_happens() -> None:
    metrics = Metrics(clock)
    metrics.declare(sources=["sheet"], channels=["email"], jobs={"send": None})
    assert sample(metrics.registry, "observations_total", source="sheet", outcome="rejected") == 0
    assert sample(metrics.registry, "sends_total", channel="email", result="sent") == 0
    assert sample(metrics.registry, "job_skips_total", job_name="send", reason="still_running") == 0
    assert sample(metrics.registry, "store_errors_total", reason="full") == 0
    assert sample(metrics.registry, "job_interval_seconds", job_name="send") is None


def test_a_job_that_is_gone_is_not_expected_to_run_any_more() -> None:
    metrics = Metrics(clock)
    metrics.declare(jobs={"collect:old": 60.0, "send": 5.0})
    metrics.job("collect:old", "ok", 0.1)
    metrics.declare(jobs={"send": 10.0})
    assert sample(metrics.registry, "job_interval_seconds", job_name="collect:old") is None
    assert sample(metrics.registry, "job_last_success_timestamp_seconds", job_name="collect:old") is None
    assert sample(metrics.registry, "job_runs_total", job_name="collect:old", outcome="ok") == 1
    assert sample(metrics.registry, "job_interval_seconds", job_name="send") == 10


def test_sends_are_counted_by_result_with_their_time_and_the_time_waited() -> None:
    metrics = Metrics(clock)
    metrics.send("sms", "sent", 0.2, waited=70.0)
    metrics.send("sms", "timeout", 5.0)
    metrics.gave_up("sms", "expired")
    assert sample(metrics.registry, "sends_total", channel="sms", result="sent") == 1
    assert sample(metrics.registry, "sends_total", channel="sms", result="timeout") == 1
    assert sample(metrics.registry, "send_seconds_sum", channel="sms") == pytest.approx(5.2)
    assert sample(metrics.registry, "message_wait_seconds_bucket", channel="sms", le="60.0") == 0
    assert sample(metrics.registry, "message_wait_seconds_bucket", channel="sms", le="300.0") == 1
    assert sample(metrics.registry, "messages_given_up_total", channel="sms", reason="expired") == 1


def test_a_reload_replaces_the_plans_shown_and_a_refused_one_is_seen() -> None:
    metrics = Metrics(clock)
    metrics.build("1.0", "sqlite", {"old": "1"})
    metrics.build("1.0", "sqlite", {"new": "2"})
    metrics.reloaded(False)
    assert sample(metrics.registry, "plan_info", plan="old", version="1") is None
    assert sample(metrics.registry, "plan_info", plan="new", version="2") == 1
    assert sample(metrics.registry, "config_reload_success") == 0
    assert sample(metrics.registry, "config_reload_timestamp_seconds") == AT


def test_a_clock_step_is_counted_by_its_direction() -> None:
    metrics = Metrics(clock)
    metrics.clock_step(-5.0)
    assert sample(metrics.registry, "clock_steps_total", direction="back") == 1


def test_a_metric_that_fails_raises_nothing_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics(clock)
    with caplog.at_level(logging.ERROR):
        metrics.send(None, "sent", 0.1)  # type: ignore[arg-type]  # the bug of a caller
        metrics.send("sms", "sent", "soon")  # type: ignore[arg-type]
    assert sample(metrics.registry, "metrics_errors_total", call="send") == 2
    assert len(caplog.records) == 1


def test_a_snapshot_that_fails_leaves_the_counters_visible() -> None:
    def broken() -> Snapshot:
        raise RuntimeError

    metrics = Metrics(clock, broken)
    metrics.store_error("locked")
    text = metrics.render()[0].decode()
    assert 'monitor_store_errors_total{reason="locked"} 1.0' in text
    metrics.render()
    assert sample(metrics.registry, "metrics_errors_total", call="snapshot") == 2


def test_no_snapshot_yet_shows_no_stored_state() -> None:
    metrics = Metrics(clock)
    assert sample(metrics.registry, "time_seconds") == AT
    assert sample(metrics.registry, "snapshot_timestamp_seconds") is None
    assert sample(metrics.registry, "evaluation_queue_age_seconds") is None


def test_names_beyond_the_bound_are_counted_together() -> None:
    metrics = Metrics(clock, options=MetricsOptions(groups=10))
    for number in range(25):
        metrics.rule_failed(f"rule-{number}")
    assert sample(metrics.registry, "rule_failures_total", rule="rule-9") == 1
    assert sample(metrics.registry, "rule_failures_total", rule="rule-10") is None
    assert sample(metrics.registry, "rule_failures_total", rule=OTHER) == 15


def test_a_label_is_never_longer_than_its_bound() -> None:
    metrics = Metrics(clock)
    metrics.store_error("x" * 5000)
    assert sample(metrics.registry, "store_errors_total", reason="x" * LONGEST_LABEL) == 1


def test_ages_are_counted_up_to_the_scrape_and_not_to_the_snapshot() -> None:
    registry = showing(
        Snapshot(
            at=AT - 40,
            newest=[Newest("sheet", "肉", AT - 100, expected=86_400.0), Newest("push", "粮", AT - 7)],
            evaluation_oldest=AT - 50,
            messages={("email", "queued"): 2, ("sms", "sent"): 1},
            messages_oldest={"email": AT - 60},
        )
    )
    assert sample(registry, "newest_observation_age_seconds", source="sheet", group="肉") == 100
    assert sample(registry, "observation_expected_within_seconds", source="sheet", group="肉") == 86_400
    assert sample(registry, "observation_expected_within_seconds", source="push", group="粮") is None
    assert sample(registry, "evaluation_queue_age_seconds") == 50
    assert sample(registry, "outbox_queue_age_seconds", channel="email") == 60
    assert sample(registry, "outbox_queue_age_seconds", channel="sms") == 0
    assert sample(registry, "outbox_messages", channel="email", state="queued") == 2
    assert sample(registry, "snapshot_timestamp_seconds") == AT - 40


def test_flags_sources_and_duty_gaps_show_as_stored() -> None:
    registry = showing(
        Snapshot(
            at=AT,
            flags={("open", "三级", "move", "single"): 3},
            sources=[SourceHealth("a", True, None), SourceHealth("b", False, AT - 5, simulated=True)],
            duty_gap={"monitoring": True, "technical": False},
        )
    )
    assert sample(registry, "flags", state="open", grade="三级", kind="move", rule="single") == 3
    assert sample(registry, "source_failing", source="a") == 1
    assert sample(registry, "source_last_success_timestamp_seconds", source="a") is None
    assert sample(registry, "source_last_success_timestamp_seconds", source="b") == AT - 5
    assert sample(registry, "source_simulated", source="b") == 1
    assert sample(registry, "duty_gap", duty="monitoring") == 1
    assert sample(registry, "duty_gap", duty="technical") == 0


def test_latest_values_are_those_watched_up_to_the_limit_and_the_rest_is_counted() -> None:
    many = [latest("猪肉", 20.0, point=f"点{n}") for n in range(5)] + [latest("白菜", 2.0)]
    registry = showing(Snapshot(at=AT, latest=many), watched=["猪*"], watched_limit=3)
    labels = {"item": "猪肉", "spec": "", "unit": "元", "channel": "", "area": "让胡路区", "source": "sheet"}
    assert sample(registry, "latest_value", point="点2", **labels) == 20
    assert sample(registry, "latest_value", point="点3", **labels) is None
    assert sample(registry, "latest_values_dropped") == 2


def test_the_choice_of_watched_series_does_not_depend_on_values_or_order() -> None:
    options = MetricsOptions(watched_limit=2)
    first = [latest("c", 1), latest("a", 2), latest("b", 3)]
    later = [latest("b", 9), latest("c", 8), latest("a", 7)]
    kept, dropped = choose(first, options)
    assert [one.key.item for one in kept] == ["a", "b"] == [one.key.item for one in choose(later, options)[0]]
    assert dropped == 1


def test_series_that_differ_only_in_spec_or_channel_are_told_apart() -> None:
    one = Latest(SeriesKey("猪肉", "精瘦肉", "元", "超市", "东风"), "", "sheet", 30.0, AT)
    two = Latest(SeriesKey("猪肉", "五花肉", "元", "集市", "东风"), "", "sheet", 25.0, AT)
    text = Metrics(clock, lambda: Snapshot(at=AT, latest=[one, two])).render()[0].decode()
    assert text.count("\nmonitor_latest_value{") == 2


def test_rows_beyond_the_bound_become_one_that_keeps_the_sum_or_the_worst() -> None:
    rows: dict[tuple[str, ...], float] = {(f"r{n:02}",): float(n) for n in range(20)}
    summed = bound(rows, 10, lambda a, b: a + b)
    assert len(summed) == 10
    assert sum(summed.values()) == sum(rows.values())
    assert bound(rows, 10, max)[(OTHER,)] == 19
    assert bound(rows, 20, max) == rows


def test_labels_with_quotes_newlines_and_backslashes_survive_the_exposition() -> None:
    odd = 'a"b\\c\nd'
    metrics = Metrics(clock, lambda: Snapshot(at=AT, latest=[latest(odd)]))
    body, content_type = metrics.render()
    families = {f.name: f for f in text_string_to_metric_families(body.decode())}
    assert families["monitor_latest_value"].samples[0].labels["item"] == odd
    assert content_type.startswith("text/plain")


def test_no_amount_of_data_floods_prometheus() -> None:
    many = range(3000)
    flood = Snapshot(
        at=AT,
        newest=[Newest(f"s{n}", f"g{n}", AT, 60.0) for n in many],
        latest=[latest(f"item {n}") for n in many],
        sources=[SourceHealth(f"s{n}", False, AT) for n in many],
        flags={("open", "三级", "move", f"rule {n}"): 1 for n in many},
        messages={(f"c{n}", "queued"): 1 for n in many},
    )
    metrics = Metrics(clock, lambda: flood, MetricsOptions(watched_limit=100, groups=50))
    for n in many:
        metrics.observations(f"s{n}", StoredCounts(accepted=1))
        metrics.job(f"j{n}", "ok", 0.1)
    sizes = {family.name: len(family.samples) for family in metrics.registry.collect()}
    histogram = 15
    assert max(sizes.values()) <= (50 + 1) * histogram  # every name once, and `_other`
    assert sizes["monitor_latest_value"] == 100
    assert sizes["monitor_flags"] == 50


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    """{metric: (type, labels)} from the tables of docs/metrics.md."""
    rows = re.findall(r"^\| `(monitor_\w+)` \| (\w+) \|([^|]*)\|", DOCS.read_text("utf-8"), re.MULTILINE)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exposed() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The same from a registry in which every family has samples."""
    found = {}
    for family in busy().registry.collect():
        labels = [name for name in family.samples[0].labels if name != "le"]
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, tuple(labels))
    return found


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other() -> None:
    shown, described = exposed(), documented()
    assert {name: (kind, set(labels)) for name, (kind, labels) in described.items()} == {
        name: (kind, set(labels)) for name, (kind, labels) in shown.items()
    }


def test_every_metric_has_our_prefix_and_a_help_text() -> None:
    for family in busy().registry.collect():
        assert family.name.startswith("monitor_")
        assert family.documentation.strip()
