"""For each alert rule: series for which it must fire, and such for which it must not."""

from __future__ import annotations

from dataclasses import dataclass

UP = {'up{job="monitor", instance="a"}': "1x200"}


@dataclass(frozen=True)
class Case:
    """Series as promtool writes them, one value a minute from 0:00, and whether the alert fires `at` that time."""

    alert: str
    why: str
    fires: bool
    at: str
    series: dict[str, str]


def sends(sent: str, refused: str) -> dict[str, str]:
    labels = 'instance="a", channel="sms"'
    return {
        f'monitor_sends_total{{{labels}, result="sent"}}': sent,
        f'monitor_sends_total{{{labels}, result="refused"}}': refused,
    }


def runs(ok: str, failed: str) -> dict[str, str]:
    labels = 'instance="a", job_name="send"'
    return {
        f'monitor_job_runs_total{{{labels}, outcome="ok"}}': ok,
        f'monitor_job_runs_total{{{labels}, outcome="failed"}}': failed,
    }


def rows(accepted: str, rejected: str) -> dict[str, str]:
    labels = 'instance="a", source="sheet"'
    return {
        f'monitor_observations_total{{{labels}, outcome="accepted"}}': accepted,
        f'monitor_observations_total{{{labels}, outcome="rejected"}}': rejected,
    }


def silence(age: str) -> dict[str, str]:
    labels = 'instance="a", source="sheet", group="肉"'
    return {
        f"monitor_newest_observation_age_seconds{{{labels}}}": age,
        f"monitor_observation_expected_within_seconds{{{labels}}}": "86400x60",
    }


def last_success(at: str) -> dict[str, str]:
    return {
        'monitor_time_seconds{instance="a"}': "0+60x120",
        'monitor_job_last_success_timestamp_seconds{instance="a", job_name="evaluate"}': at,
        'monitor_job_interval_seconds{instance="a", job_name="evaluate"}': "5x120",
    }


def stages(fast: str, all_: str) -> dict[str, str]:
    labels = 'instance="a", stage="rules"'
    return {
        f'monitor_evaluation_seconds_bucket{{{labels}, le="1"}}': fast,
        f'monitor_evaluation_seconds_bucket{{{labels}, le="30"}}': fast,
        f'monitor_evaluation_seconds_bucket{{{labels}, le="60"}}': all_,
        f'monitor_evaluation_seconds_bucket{{{labels}, le="+Inf"}}': all_,
    }


def picture(at: str) -> dict[str, str]:
    return {'monitor_time_seconds{instance="a"}': "0+60x60", 'monitor_snapshot_timestamp_seconds{instance="a"}': at}


def clock(values: str) -> dict[str, str]:
    return {'monitor_time_seconds{instance="a"}': values}


DOWN = {'up{job="monitor", instance="a"}': "1x5 0x60"}
STARTS = "monitor_process_start_time_seconds"

CASES = [
    Case("MonitorDown", "no answer for 2 minutes", True, "9m", DOWN),
    Case("MonitorDown", "no answer for 1 minute", False, "7m", DOWN),
    Case("MonitorDown", "not scraped at all", True, "5m", {'up{job="other"}': "1x60"}),
    Case("MonitorDown", "all is well", False, "30m", UP),
    Case(
        "MonitorRestarting", "a restart every 5 minutes", True, "40m", {STARTS: "1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x9"}
    ),
    Case("MonitorRestarting", "one restart", False, "40m", {STARTS: "1x20 2x40"}),
    Case("MonitorWatchdog", "nothing but time", True, "1m", UP),
    Case("SourceFailing", "16 minutes", True, "16m", {'monitor_source_failing{source="sheet"}': "1x60"}),
    Case(
        "SourceFailing", "a single failure", False, "16m", {'monitor_source_failing{source="sheet"}': "0x10 1 0x60"}
    ),
    Case("SourceSilent", "a day and an hour", True, "10m", silence("90000x60")),
    Case("SourceSilent", "half a day", False, "10m", silence("43200x60")),
    Case("RowsRejected", "half of the rows", True, "60m", rows("0+10x60", "0+10x60")),
    Case("RowsRejected", "one in a hundred", False, "60m", rows("0+99x60", "0+1x60")),
    Case("RowsRejected", "no rows at all", False, "60m", rows("5x60", "5x60")),
    Case(
        "EvaluationQueueOld",
        "growing to 10 minutes",
        True,
        "10m",
        {"monitor_evaluation_queue_age_seconds": "0+60x60"},
    ),
    Case("EvaluationQueueOld", "always 10 seconds", False, "10m", {"monitor_evaluation_queue_age_seconds": "10x60"}),
    Case("EvaluationSlow", "half of them over 30 s", True, "30m", stages("0+5x60", "0+10x60")),
    Case("EvaluationSlow", "all within a second", False, "30m", stages("0+10x60", "0+10x60")),
    Case("RuleFailing", "once", True, "12m", {'monitor_rule_failures_total{rule="r"}': "0x10 1x60"}),
    Case("RuleFailing", "once, an hour ago", False, "80m", {'monitor_rule_failures_total{rule="r"}': "0x10 1x90"}),
    Case("JobNotRunning", "no success since 10 minutes ago", True, "30m", last_success("0+60x15 900x100")),
    Case("JobNotRunning", "never a success", True, "30m", last_success("0x120")),
    Case("JobNotRunning", "success every minute", False, "30m", last_success("0+60x120")),
    Case("JobFailing", "every run", True, "30m", runs("0x60", "0+1x60")),
    Case("JobFailing", "every second run", False, "30m", runs("0+1x60", "0+1x60")),
    Case(
        "JobOverrunning", "every minute", True, "40m", {'monitor_job_skips_total{reason="still_running"}': "0+1x60"}
    ),
    Case("JobOverrunning", "once", False, "40m", {'monitor_job_skips_total{reason="still_running"}': "0x10 1x60"}),
    Case("OutboxQueueOld", "10 minutes", True, "10m", {'monitor_outbox_queue_age_seconds{channel="sms"}': "0+60x60"}),
    Case("OutboxQueueOld", "empty", False, "10m", {'monitor_outbox_queue_age_seconds{channel="sms"}': "0x60"}),
    Case("SendsFailing", "all refused, the first one too", True, "20m", sends("0x60", "_x5 1+1x60")),
    Case("SendsFailing", "some refused", False, "20m", sends("0+1x60", "0+1x60")),
    Case("SendsFailing", "nothing to send", False, "20m", sends("7x60", "3x60")),
    Case(
        "MessagesGivenUp",
        "the first one",
        True,
        "30m",
        {
            'monitor_messages_given_up_total{channel="sms", reason="expired"}': "0x120",
            'monitor_messages_given_up_total{channel="sms", reason="address"}': "_x20 1x100",
        },
    ),
    Case(
        "MessagesGivenUp",
        "one, two hours ago",
        False,
        "120m",
        {
            'monitor_messages_given_up_total{channel="sms", reason="expired"}': "0 1x130",
        },
    ),
    Case(
        "NobodyTold", "one change", True, "12m", {'monitor_telling_exceptions_total{reason="no_target"}': "0x10 1x60"}
    ),
    Case(
        "NobodyTold",
        "the default targets",
        False,
        "12m",
        {'monitor_telling_exceptions_total{reason="no_contact"}': "0x10 1x60"},
    ),
    Case(
        "TemplateFailing",
        "once",
        True,
        "12m",
        {'monitor_telling_exceptions_total{reason="template_error"}': "0x10 1x60"},
    ),
    Case(
        "TemplateFailing",
        "too old to tell",
        False,
        "12m",
        {'monitor_telling_exceptions_total{reason="too_old"}': "0x10 1x60"},
    ),
    Case("DutyGap", "nobody on technical duty", True, "3m", {'monitor_duty_gap{duty="technical"}': "1x60"}),
    Case("DutyGap", "both on duty", False, "3m", {'monitor_duty_gap{duty="technical"}': "0x60"}),
    Case(
        "DatabaseErrors", "the disk is full", True, "12m", {'monitor_store_errors_total{reason="full"}': "0x10 1x60"}
    ),
    Case("DatabaseErrors", "none lately", False, "30m", {'monitor_store_errors_total{reason="full"}': "0 1x60"}),
    Case("StateNotRefreshed", "stopped 10 minutes ago", True, "20m", picture("0+60x10 600x60")),
    Case("StateNotRefreshed", "never came", True, "5m", clock("0+60x60")),
    Case("StateNotRefreshed", "fresh", False, "20m", picture("0+60x60")),
    Case("ClockStep", "set back", True, "12m", {'monitor_clock_steps_total{direction="back"}': "0x10 1x60"}),
    Case("ClockStep", "no step", False, "12m", {'monitor_clock_steps_total{direction="back"}': "0x60"}),
    Case("ClockWrong", "an hour ahead", True, "10m", clock("3600+60x60")),
    Case("ClockWrong", "an hour behind", True, "90m", clock("-3600+60x100")),
    Case("ClockWrong", "the same", False, "10m", clock("0+60x60")),
    Case("ConfigRefused", "refused", True, "5m", {"monitor_config_reload_success": "0x60"}),
    Case("ConfigRefused", "in force", False, "5m", {"monitor_config_reload_success": "1x60"}),
    Case("MetricsBroken", "one", True, "5m", {'monitor_metrics_errors_total{call="send"}': "1x60"}),
    Case("MetricsBroken", "none", False, "5m", {"monitor_time_seconds": "0+60x60"}),
]
