"""SIGTERM, SIGHUP and a second daemon: quick, honest, and nothing lost."""

from __future__ import annotations

import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.daemon import Daemon, daemon, drop, monitor, names, until
from tests.faults.receiver import Receiver, receiving
from tests.faults.scene import SECRET, check_repeats
from tests.faults.sheets import ITEMS, planted
from tests.faults.sources import Source, source, yesterday

pytestmark = pytest.mark.slow

CONFIG = """
[database]
url = "sqlite:///monitor.db"
[alerts]
max_age = "36500d"
storm_limit = 100000
default_targets = [{{ channel = "phone", address = "duty" }}]
[[channel]]
kind = "webhook"
name = "phone"
url = "{phone}"
secret = {{ env = "DUTY_SECRET" }}
timeout = "60s"
[[source]]
kind = "folder"
name = "inbox"
path = "inbox"
every = "1s"
settle = "10ms"
[[source]]
kind = "http"
name = "web"
url = "{source}"
format = "csv"
every = "1s"
connect_timeout = "60s"
read_timeout = "60s"
deadline = "2m"
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def far_source() -> Iterator[Source]:
    with source([ITEMS[5]], yesterday()) as one:
        yield one


@contextmanager
def slow_request(one: Daemon) -> Iterator[None]:
    """A request whose body does not come to its end."""
    with socket.create_connection(("127.0.0.1", one.port)) as client:
        head = "POST /api/v1/observations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: 100000\r\n\r\n{{".encode())
        yield


def test_a_stop_waits_for_nothing_that_hangs_and_loses_nothing(
    tmp_path: Path, receiver: Receiver, far_source: Source
) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    far_source.mood = "hangs"
    receiver.hanging.set()
    with daemon(tmp_path, config, env=SECRET) as one:
        drop(tmp_path / "inbox", "a.csv", planted("a.csv", ITEMS[0], yesterday()).text)
        until(lambda: receiver.asked and far_source.asked, "a message and a question are under way")
        with slow_request(one):
            code, _ = one.stop(seconds=10)
        assert code == 0, one.tail()
        assert one.said("still under way at the end, done again after the next start: collect:web, send:phone")
        assert "Traceback" not in one.tail()
        waiting = int(one.one("SELECT count(*) FROM notification WHERE state IN ('pending', 'leased')"))
        assert waiting >= 1
        receiver.hanging.clear()
        far_source.mood = "well"
        one.started()
        until(lambda: one.one("SELECT count(*) FROM notification WHERE state = 'sent'") == waiting, "all are told")
        until(lambda: one.one("SELECT count(*) FROM series WHERE source = 'web'") > 0, "the source is asked again")
        assert one.one("SELECT count(*) FROM source_state WHERE failing_since IS NOT NULL") == 0
        assert one.stop()[0] == 0
    check_repeats(receiver.calls)
    assert sum(call.repeat for call in receiver.calls) == 1, "only the one under way is in doubt"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_the_middle_of_much_work_is_quick_and_clean(
    tmp_path: Path, receiver: Receiver, far_source: Source, number: signal.Signals
) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    with daemon(tmp_path, config, env=SECRET) as one:
        for n in range(8):
            drop(tmp_path / "inbox", f"{n}.csv", planted(f"{n}.csv", ITEMS[n], yesterday()).text)
        until(lambda: names(tmp_path / "inbox" / "done"), "it is at work")
        one.signal(number)
        assert one.running.wait(10) == 0
        assert one.said("stopped")
        assert "Traceback" not in one.tail()
    with closing(sqlite3.connect(tmp_path / "monitor.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_stop_during_the_start_leaves_a_database_that_starts(
    tmp_path: Path, receiver: Receiver, far_source: Source
) -> None:
    one = Daemon(tmp_path, CONFIG.format(phone=receiver.url, source=far_source.url), env=SECRET)
    try:
        one.start()
        until(lambda: one.database.exists(), "the database is being made", every=0.001)
        one.signal(signal.SIGTERM)
        assert one.running.wait(15) in (0, -signal.SIGTERM)
        one.started()
        assert one.stop()[0] == 0
    finally:
        one.close()


def test_a_new_configuration_comes_into_force_by_sighup(
    tmp_path: Path, receiver: Receiver, far_source: Source
) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    with daemon(tmp_path, config, env=SECRET) as one:
        second = '[[source]]\nkind = "folder"\nname = "second"\npath = "second"\nevery = "1s"\nsettle = "10ms"\n'
        one.write(config.replace('name = "inbox"\npath = "inbox"', 'name = "inbox"\npath = "moved"') + second)
        one.signal(signal.SIGHUP)
        until(lambda: one.said("the new configuration is in force"), "it is in force")
        drop(tmp_path / "second", "a.csv", planted("a.csv", ITEMS[0], yesterday()).text)
        drop(tmp_path / "moved", "b.csv", planted("b.csv", ITEMS[1], yesterday()).text)
        drop(tmp_path / "inbox", "c.csv", planted("c.csv", ITEMS[2], yesterday()).text)
        until(lambda: names(tmp_path / "second" / "done"), "the new source is asked")
        until(lambda: names(tmp_path / "moved" / "done"), "the changed source is asked at its new place")
        assert names(tmp_path / "inbox") == ["c.csv"], "the old place is not looked at any more"
        assert one.metric("monitor_config_reload_success") == 1
        one.write(config.replace("[[source]]", "[[source]]\nenabled = false", 1))
        one.signal(signal.SIGHUP)
        until(lambda: one.log.read_text("utf-8").count("the new configuration is in force") == 2, "it is in force")
        drop(tmp_path / "second", "d.csv", planted("d.csv", ITEMS[3], yesterday()).text)
        before = one.metric("monitor_job_runs_total", job_name="collect:web", outcome="ok")
        until(
            lambda: one.metric("monitor_job_runs_total", job_name="collect:web", outcome="ok") > before + 1,
            "the other source is still asked",
        )
        assert names(tmp_path / "second") == ["d.csv"], "a source that is gone is not asked any more"
        assert one.stop()[0] == 0


def test_a_faulty_configuration_is_refused_with_every_fault_and_the_old_one_stays(
    tmp_path: Path, receiver: Receiver, far_source: Source
) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    with daemon(tmp_path, config, env=SECRET) as one:
        one.write(config.replace('every = "1s"', 'every = "often"', 1).replace("storm_limit", "storm_limits"))
        one.signal(signal.SIGHUP)
        until(lambda: one.metric("monitor_config_reload_success") == 0, "the metric says that it was refused")
        for fault in ("source[1].every: 'often' is not a duration", "alerts.storm_limits: the key is unknown"):
            assert one.said(f"the new configuration is refused, the old one stays: config.toml: {fault}")
        one.path.unlink()
        one.signal(signal.SIGHUP)
        until(lambda: one.said("the file does not exist"), "a missing file is a fault too")
        drop(tmp_path / "inbox", "a.csv", planted("a.csv", ITEMS[0], yesterday()).text)
        until(lambda: names(tmp_path / "inbox" / "done"), "the old configuration works on")
        one.write(config)
        one.signal(signal.SIGHUP)
        until(lambda: one.metric("monitor_config_reload_success") == 1, "the mended one is in force")
        assert one.status() == 200
        assert one.stop()[0] == 0


def test_a_change_of_address_or_database_waits_for_the_next_start_and_says_so(
    tmp_path: Path, receiver: Receiver, far_source: Source
) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    with daemon(tmp_path, config, env=SECRET) as one:
        one.write(config.replace("monitor.db", "other.db"))
        one.signal(signal.SIGHUP)
        until(lambda: one.said("[database] has changed: that comes into force at the next start"), "it says so")
        drop(tmp_path / "inbox", "a.csv", planted("a.csv", ITEMS[0], yesterday()).text)
        until(lambda: names(tmp_path / "inbox" / "done"), "it works on")
        assert one.one("SELECT count(*) FROM observation") > 0
        assert not (tmp_path / "other.db").exists()


def test_the_log_tells_more_or_less_by_sighup(tmp_path: Path, receiver: Receiver, far_source: Source) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    with daemon(tmp_path, config, env=SECRET) as one:
        assert not one.said("DEBUG")
        one.write(config + '\n[logging]\nlevel = "debug"\n')
        one.signal(signal.SIGHUP)
        until(lambda: one.get("/healthz") and one.said("GET /healthz"), "requests are in the log")
        assert one.stop()[0] == 0


def test_a_second_daemon_on_one_database_says_so_and_the_first_is_not_disturbed(
    tmp_path: Path, receiver: Receiver, far_source: Source
) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    with daemon(tmp_path, config, env=SECRET) as one:
        other = tmp_path / "other.toml"
        other.write_text(config, "utf-8")
        refused = monitor("run", "--config", other, env=one.env)
        assert refused.returncode == 1
        assert f"A daemon (process {one.running.pid}) already works on this database" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert one.status() == 200
        one.kill()
        one.started()
        assert one.stop()[0] == 0


def test_a_port_that_is_taken_is_told(tmp_path: Path, receiver: Receiver, far_source: Source) -> None:
    config = CONFIG.format(phone=receiver.url, source=far_source.url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = Daemon(tmp_path, config, env=SECRET)
        one.port = taken.getsockname()[1]
        one.write(config)
        refused = monitor("run", "--config", one.path, env=one.env)
        one.close()
    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{one.port}: Address already in use" in refused.stderr
    assert "choose another [web] port" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "Errno" not in refused.stderr


def test_with_port_0_the_log_and_the_banner_name_the_port_in_use(tmp_path: Path) -> None:
    one = Daemon(tmp_path, "")
    one.port = 0
    one.write("")
    try:
        one.start()
        until(lambda: one.said("the console is at http://127.0.0.1:"), "it is ready")
        text = one.log.read_text("utf-8")
        port = int(text.split("listening on 127.0.0.1 port ")[1].split()[0])
        assert port > 0
        assert f"the console is at http://127.0.0.1:{port}/" in text
        assert one.stop()[0] == 0
    finally:
        one.close()
