"""The configuration: every fault at once with file, key, problem and remedy; the shipped file has none."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import get_args

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.channels.factory import AnyChannel
from monitor.check import ADVICE, check
from monitor.config import Config, load_config, read_tables
from monitor.config_checks import CHECKS, cron_problem, secrets_in
from monitor.config_model import Source
from tests.monitor import configuration_doc as documentation
from thresholds.settings import Secret, parse_duration

ROOT = Path(__file__).parents[2]
BAD = ROOT / "tests" / "data" / "bad_config"
FILES = sorted(BAD.glob("*.toml"))

Write = Callable[..., Path]

KINDS = ["folder", "http", "sql", "prometheus", "demo", "push", "webhook", "smtp", "file"]
KEYS = ["kind", "url", "path", "every", "cron", "cadence", "expect", "timezone", "password", "secret", "env", "file"]
KEYS += ["host", "port", "plans", "default_targets", "channel", "address", "history", "columns", "templates", "tell"]

PUSH = '[[source]]\nkind = "push"\nname = "推送"\n'
TOLD = (
    '[alerts]\ndefault_targets = [{ channel = "log", address = "值班室" }]\n'
    '[[channel]]\nkind = "file"\nname = "log"\npath = "alerts.jsonl"\n'
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write text as config.toml and give its path."""

    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "config.toml"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def faults(path: Path) -> list[str]:
    """Faults without the file's name."""
    return [str(fault).removeprefix(f"{path.name}: ") for fault in check(path).faults]


def warnings(path: Path) -> list[str]:
    report = check(path)
    assert report.faults == ()
    return [warning.key for warning in report.warnings]


# --- one faulty file per fault ---


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_faulty_file_gives_exactly_the_message_that_it_states(path: Path) -> None:
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    stated = [line.removeprefix("# fault: ") for line in lines if line.startswith("# fault: ")]
    assert len(stated) == 1
    assert faults(path) == stated
    assert (check(path).config, check(path).policy) == (None, None)


def test_faulty_files_reach_every_check() -> None:
    """A check without a faulty file could be broken unseen."""
    found = {name for path in FILES for name in checks_that_speak(path)}
    assert found == {one.__name__ for one in CHECKS}


def checks_that_speak(path: Path) -> set[str]:
    from monitor.config import read_config

    _, _, draft = read_config(path)
    return set() if draft is None else {one.__name__ for one in CHECKS if list(one(draft))}


def test_every_message_has_a_problem_and_a_remedy() -> None:
    for path in FILES:
        for fault in check(path).faults:
            assert fault.problem, path.name
            assert fault.remedy, path.name
            assert fault.file == path.name


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "gb18030"])
def test_text_that_is_not_utf8_is_said_to_be_so(write: Write, encoding: str) -> None:
    problem = faults(write('[installation]\nname = "价格监测"\n', encoding))
    assert problem == ["the file is not UTF-8 text. Save it again as UTF-8"]


def test_a_file_that_is_not_there_and_a_folder_are_said_to_be_so(tmp_path: Path) -> None:
    assert faults(tmp_path / "absent.toml") == ["the file does not exist. Create it, or name another file"]
    assert faults(tmp_path) == ["the file cannot be read (Is a directory). Check its permissions"]


def test_brackets_nested_beyond_reason_are_a_fault_and_no_crash(write: Write) -> None:
    assert faults(write(f"a = {'[' * 5000}{']' * 5000}")) == [
        "brackets are nested too deeply. Remove the superfluous ones"
    ]


# --- all at once ---


def test_all_faults_of_a_file_are_reported_at_once(write: Write) -> None:
    path = write(
        """
        [installation]
        timezone = "Asia/Daqing"
        [database]
        url = "mysql://db/prices"
        [web]
        port = 70000
        [detection]
        plans = ["no-such-plan"]
        every = 30
        [alerts]
        default_targets = [{ channel = "sms", address = "1" }]
        [[channel]]
        kind = "fax"
        name = "fax"
        [[channel]]
        kind = "webhook"
        name = "hook"
        url = "https://duty.example.org"
        secret = { env = "MONITOR_TEST_NEVER_SET" }
        [[source]]
        kind = "demo"
        name = "演示数据"
        seed = "x"
        [[source]]
        kind = "push"
        name = "演示数据"
        every = "1h"
        [[source]]
        kind = "demo"
        name = "三"
        cron = "0 8 * * 7"
        """
    )
    keys = [fault.key for fault in check(path).faults]
    assert keys == sorted(
        [
            "alerts.default_targets[1].channel",
            "channel[1].kind",
            "channel[2].secret",
            "database.url",
            "detection.every",
            "installation.timezone",
            "source[1]",
            "source[1].seed",
            "source[2].every",
            "source[2].name",
            "source[3]",
            "source[3].cron",
            "web.port",
        ]
    )


def test_faults_of_plans_are_reported_together_with_those_of_the_configuration(write: Write, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "local.toml").write_text('kind = "rule"\n')
    (tmp_path / "items.toml").write_text('kind = "catalogue"\nitems = [{ item_class = "粮" }]\nitmes = []\n')
    path = write(
        '[web]\nport = -1\n[detection]\nplan_folders = ["mine"]\ncatalogues = ["items.toml"]\nenable = ["absent"]\n'
    )
    found = {(fault.file, fault.key) for fault in check(path).faults}
    assert found >= {("config.toml", "web.port"), ("config.toml", "detection.enable[1]"), ("local.toml", "kind")}
    assert ("items.toml", "itmes") in {(Path(file).name, key) for file, key in found}


def test_a_channel_with_faults_of_its_own_is_still_there_for_those_who_name_it(write: Write) -> None:
    path = write(TOLD.replace('path = "alerts.jsonl"', "path = 5"))
    assert [fault.key for fault in check(path).faults] == ["channel[1].path"]


def test_the_path_of_a_fault_reads_like_the_file_whatever_the_kind_is_called(write: Write) -> None:
    """`file` is the kind of a channel and a key of a secret; only the one is left out of the path."""
    path = write(
        """
        [[channel]]
        kind = "webhook"
        name = "hook"
        url = "https://duty.example.org"
        secret = { file = 5 }
        [[channel]]
        kind = "file"
        name = "log"
        path = "a"
        file = "b"
        [[source]]
        kind = "sql"
        name = "报价"
        every = "1h"
        url = 5
        query = "select 1"
        """
    )
    keys = {fault.key for fault in check(path).faults}
    assert keys == {"channel[1].secret.file", "channel[2].file", "source[1].url", "source[1]"} - {"source[1]"}


ORDINARY = ["", "a", "演示数据", "1m", "demo", "file", "webhook", "0 8 * * *", "http://a", "sqlite:///a"]
NASTY = ["a\0b", "x" * 5000, "9" * 20 + "y", "postgresql://a:b@c:d/e", "../.."]
TEXTS = st.sampled_from([*ORDINARY, *NASTY])
VALUES = st.recursive(
    TEXTS | st.integers(-5, 70000) | st.booleans() | st.floats(allow_nan=False) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)
ENTRIES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(KEYS, VALUES) | {"kind": st.sampled_from(KINDS) | VALUES, "name": TEXTS | VALUES}
)
TABLES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(Config.model_fields, ENTRIES | VALUES)
    | {name: st.lists(ENTRIES | VALUES, max_size=3) | VALUES for name in ("source", "channel")},
)


@settings(max_examples=100, deadline=None)
@given(TABLES)
def test_no_content_whatever_raises_and_every_fault_is_complete(tables: dict[str, object]) -> None:
    config, problems, draft = read_tables(tables, "config.toml", ROOT)
    assert (config is None) == bool(problems)
    problems += [warning for advice in ADVICE for warning in advice(draft)]
    for fault in problems:
        assert fault.file == "config.toml"
        assert fault.problem
        assert fault.remedy
        assert fault.key


# --- what works ---


def test_the_shipped_configuration_has_neither_faults_nor_warnings() -> None:
    report = check(ROOT / "config.toml")
    assert report.faults == ()
    assert report.warnings == ()
    assert report.policy is not None
    config = report.config
    assert config is not None
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert [source.kind for source in config.source] == ["demo", "folder", "push"]
    assert config.database_url() == "sqlite:///data/monitor.db"
    assert config.base == ROOT


def test_an_empty_file_is_a_configuration_that_watches_nothing(write: Write) -> None:
    path = write("")
    config, problems = load_config(path)
    assert problems == []
    assert config is not None
    assert config.model_dump() == Config().model_dump()
    assert warnings(path) == ["channel", "source"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_byte_order_marks_of_windows_are_understood(write: Write, newline: str, encoding: str) -> None:
    config, problems = load_config(write('[installation]\nname = "大庆"\n'.replace("\n", newline), encoding))
    assert problems == []
    assert config is not None
    assert config.installation.name == "大庆"


def test_relative_paths_are_relative_to_the_file_and_not_to_the_working_folder(write: Write, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    config, _ = load_config(write('[detection]\nplan_folders = ["mine"]\n'))
    assert config is not None
    assert config.plan_folders == (tmp_path / "mine",)


def test_the_password_comes_into_the_url_from_its_secret(write: Write, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word\n")
    (tmp_path / "password").chmod(0o600)
    path = write(
        '[database]\nurl = "postgresql+psycopg://monitor@db/prices"\npassword = { file = "password" }\n' + TOLD + PUSH
    )
    config, problems = load_config(path)
    assert problems == []
    assert config is not None
    assert config.database_url() == "postgresql+psycopg://monitor:p%40ss%2Fword@db/prices"
    assert "p@ss" not in repr(config)
    assert warnings(path) == []


def test_checking_changes_nothing(write: Write, tmp_path: Path) -> None:
    path = write((ROOT / "config.toml").read_text("utf-8"))
    assert check(path).faults == ()
    assert [one.name for one in tmp_path.iterdir()] == ["config.toml"]


def test_durations_are_read_and_others_refused() -> None:
    assert parse_duration("1h30m") == timedelta(minutes=90)
    assert parse_duration("5y") == timedelta(days=1825)
    assert parse_duration("100ms") == timedelta(milliseconds=100)
    for wrong in ("", "5", "h", "1 month", "-1h", 5, None, "1h,30m"):
        with pytest.raises(ValueError, match="is not a duration"):
            parse_duration(wrong)


@pytest.mark.parametrize(
    "cron", ["0 8 * * *", "*/5 8-18 * * mon-fri", "30 9 1,11,21 * *", "0 0 29 2 *", "0 8 * * */2"]
)
def test_schedules_that_work_are_accepted(cron: str) -> None:
    assert cron_problem(cron, "Asia/Shanghai") is None
    assert CronTrigger.from_crontab(cron)


@pytest.mark.parametrize("weekday", ["0", "7", "1-5", "mon,3", "0/2", "sat-7"])
def test_weekdays_as_numbers_are_refused_because_they_would_mean_another_day(weekday: str) -> None:
    assert cron_problem(f"0 8 * * {weekday}", "Asia/Shanghai") is not None


# --- unwise but possible ---


def test_metrics_and_page_open_to_the_network_are_warned_of_only_there(write: Write) -> None:
    opened = 'open_metrics = "all"\nopen_page = "all"\n'
    for host in ("127.0.0.1", "localhost", "::1"):
        assert warnings(write(f'[web]\nhost = "{host}"\n{opened}{TOLD}{PUSH}')) == []
    for host in ("0.0.0.0", "::", "192.0.2.7", "monitor.example.org"):
        found = warnings(write(f'[web]\nhost = "{host}"\n{opened}{TOLD}{PUSH}'))
        assert found == ["web.open_metrics", "web.open_page"]
    assert warnings(write(f'[web]\nhost = "0.0.0.0"\n{TOLD}{PUSH}')) == []


def test_an_installation_in_which_nobody_is_told_is_warned_of(write: Write) -> None:
    channel = TOLD.partition("\n")[2].partition("\n")[2]
    assert warnings(write(PUSH)) == ["channel"]
    assert warnings(write("[[channel]]" + channel.partition("[[channel]]")[2] + PUSH)) == ["alerts.default_targets"]


def test_links_that_lead_nowhere_are_warned_of(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_TEST_SECRET", "s")
    hook = '[[channel]]\nkind = "webhook"\nname = "hook"\nurl = "https://duty.example.org"\n'
    text = TOLD + hook + 'secret = { env = "MONITOR_TEST_SECRET" }\n' + PUSH
    assert warnings(write(text)) == ["web.public_url"]
    assert warnings(write('[web]\npublic_url = "https://monitor.example.org"\n' + text)) == []


def test_a_source_whose_silence_cannot_be_noticed_is_warned_of(write: Write) -> None:
    demo = '[[source]]\nkind = "demo"\nname = "演示数据"\nevery = "1m"\n'
    assert warnings(write(TOLD + demo)) == ["source[1].cadence"]
    assert warnings(write(TOLD + demo + 'cadence = "1d"\n')) == []
    assert warnings(write(TOLD + demo + "enabled = false\n")) == ["source"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_secret_that_everybody_can_read_is_warned_of(write: Write, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("geheim")
    text = '[database]\nurl = "postgresql+psycopg://m@db/p"\npassword = { file = "password" }\n' + TOLD + PUSH
    secret.chmod(0o644)
    assert warnings(write(text)) == ["database.password"]
    secret.chmod(0o640)
    assert warnings(write(text)) == []


def test_every_warning_has_been_seen_above() -> None:
    assert [one.__name__ for one in ADVICE] == [
        "open_to_the_network",
        "nobody_told",
        "silent_silence",
        "readable_secrets",
    ]


def test_secrets_are_found_wherever_they_are() -> None:
    nested = {"a": (Secret(env="X"), {"b": Secret(file="y")})}
    assert [key for key, _ in secrets_in(nested, "root")] == ["root.a[1]", "root.a[2].b"]


# --- documentation ---


def test_every_key_is_documented_as_the_models_are_now() -> None:
    page = documentation.PAGE.read_text("utf-8")
    again = "docs/configuration.md is not up to date: run python -m tests.monitor.configuration_doc"
    assert documentation.render(page) == page, again


def test_every_model_has_its_section_and_every_key_its_meaning() -> None:
    page = documentation.PAGE.read_text("utf-8")
    models = documentation.sections()
    assert {match["name"] for match in documentation.BLOCK.finditer(page)} == set(models)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(documentation.own_keys(name, model)) for name, model in models.items())
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_kind_of_source_and_channel_can_be_chosen() -> None:
    sources, channels = get_args(Source)[0], get_args(AnyChannel)[0]
    assert isinstance(sources, UnionType)
    kinds = [{get_args(m.model_fields["kind"].annotation)[0] for m in get_args(u)} for u in (sources, channels)]
    assert kinds == [{"folder", "http", "sql", "prometheus", "demo", "push"}, {"webhook", "smtp", "file"}]
