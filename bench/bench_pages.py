"""Pages of the console under load, beside a page of the same server that only renders a template.

1,000,000 observations in 5,000 series, 2,000 open flags; 20 people at once, each with a session and a connection of
their own, who open a page, look at it for a second and open the next one. The server runs in a process of its own on
loopback, with SQLite in a temporary folder. Prints median and 95th percentile of each page, its weight, and the ratio
of the 95th percentile to that of the template-only page; then, for the same pages, what one server does when nobody
ever waits; and, where Chromium is installed, when each page first paints in a browser that has nothing of it yet.

    python bench/bench_pages.py [--seconds 20] [--people 20] [--series 5000] [--days 200] [--flags 2000]
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from shutil import which
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
from fastapi import Request
from starlette.responses import Response

TEMPLATE = "/template-only"
NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
NAMES = ("大米", "大豆油", "猪肉", "鸡蛋", "大白菜", "黄瓜", "草鱼", "苹果", "汽油", "阿莫西林")
AREAS, POINTS = 8, 50


def fill(folder: Path, n_series: int, days: int, n_flags: int) -> str:
    """The database: series of items at points of areas, a value a day, open flags, a report. Gives its URL."""
    from monitor.documents.model import ReportKind
    from monitor.documents.options import ReportOptions
    from monitor.reporting import Maker
    from monitor.store import observations
    from monitor.store.database import open_database
    from monitor.store.flags import save_evaluation
    from thresholds.catalogue import load_catalogue
    from thresholds.model import Direction, Finding, Flag, Grade, Kind, ObservationBatch, SeriesKey

    url = f"sqlite:///{folder / 'monitor.db'}"
    db = open_database(url)
    n_items = n_series // POINTS
    items = [f"{NAMES[i % len(NAMES)]}{i // len(NAMES) or ''}" for i in range(n_items)]
    keys = [SeriesKey(items[s // POINTS], "", "元/500克", "零售", f"监测点{s % POINTS:02d}") for s in range(n_series)]
    areas = [f"区{s % POINTS * AREAS // POINTS}" for s in range(n_series)]
    last = int(datetime(2026, 3, 1, 16, tzinfo=UTC).timestamp())
    rng = np.random.default_rng(1)
    price = 5 * np.exp(np.cumsum(rng.normal(0, 0.01, (n_series, days)), axis=1))
    for day in range(days):
        batch = ObservationBatch(
            keys=keys,
            areas=areas,
            sources=[""] * n_series,
            series=np.arange(n_series, dtype=np.int64),
            at=np.full(n_series, last - (days - 1 - day) * 86_400, np.int64),
            value=np.round(price[:, day], 2),
            row=np.arange(1, n_series + 1, dtype=np.int64),
        )
        observations.add(db, batch, source="日报", name=f"{day}", now=NOW - timedelta(days=days - 1 - day))
    colours = (Grade(1, "三级", "黄"), Grade(2, "二级", "橙"), Grade(0, "", ""))

    def flag(n: int) -> Flag:
        s = n * n_series // n_flags
        start = datetime.fromtimestamp(last - n % 20 * 86_400, UTC)
        grade = colours[n % 3]
        finding = Finding(
            rule="stat-robust/step", rule_version="1", at=start, direction=Direction.UP, value=6.0, expected=5.0,
            scale=0.1, score=6.5, threshold=5.75, unit="倍", window="250 期", n_used=200,
            reason="较上期上涨 20.0%，为常态波幅的 6.5 倍", contributions=(),
        )  # fmt: skip
        return Flag(
            id=f"flag{n:05d}",
            kind=Kind.DATA if n % 7 == 0 else Kind.MOVE,
            plan="price-daqing",
            plan_version="1",
            rule="stat-robust/step",
            rule_version="1",
            item=keys[s].item,
            point=keys[s].point,
            area=areas[s],
            direction=Direction.UP,
            start=start,
            first_flagged=start,
            last_hit=start,
            end=None,
            end_reason="",
            peak=6.0,
            peak_grade=grade,
            value=6.0,
            expected=5.0,
            threshold=5.75,
            reason=finding.reason,
            findings=(finding,),
            points=(keys[s].point,),
        )

    found = [flag(n) for n in range(n_flags)]
    save_evaluation(db, found, items=set(items), since={}, dirty=[], now=NOW, notify=lambda _c, _changes: None)
    catalogue, faults = load_catalogue()
    assert catalogue is not None, faults
    maker = Maker(db, catalogue, ReportOptions(), ZoneInfo("Asia/Shanghai"))
    maker.make(ReportKind.DAILY, datetime(2026, 3, 2, tzinfo=UTC).date(), "monitor", NOW)
    db.close()
    return url


def serve(url: str, people: int, pipe: Connection) -> None:
    """The server process: the daemon's own application with one more page."""
    from monitor.config_model import Config
    from monitor.entry.tools import tools
    from monitor.rights import Visitor
    from monitor.store import accounts, duties, sessions
    from monitor.store.database import open_database
    from monitor.web.app import create_web
    from monitor.web.console import render
    from monitor.web.context import HealthReport, WebContext, WebSettings
    from monitor.web.server import bind, make_server
    from monitor.web.signed import current
    from thresholds.plan_files import load_policy

    db = open_database(url)
    policy, faults = load_policy()
    assert policy is not None, faults
    catalogue = policy.catalogue
    config = Config()
    given = tools(config.entry, catalogue, ())
    context = WebContext(
        db=db,
        settings=WebSettings(session_idle=timedelta(hours=10)),
        clock=lambda: NOW,
        render_metrics=lambda: (b"", "text/plain"),
        health=lambda: HealthReport([]),
        on_observations=lambda: None,
        entry=lambda: given,
        policy=lambda: policy,
    )
    app = create_web(context)
    duties.refresh(db, context.zone, config.entry, (), catalogue, NOW)

    @app.get(TEMPLATE)
    def template(request: Request) -> Response:
        who: Visitor | None = current(request, context)
        return render.message(request, 200, "样张", "只有模板的页面", visitor=who)

    cookies = []
    roles = {role: {"*"} for role in ("monitor", "approver", "duty", "auditor", "admin")}
    for n in range(people):
        points = [f"监测点{n % POINTS:02d}"]
        who = accounts.add(db, f"user{n}", NOW, roles=roles | {"reporter": {"*"}}, points=points, must_change=False)
        with db.begin() as connection:
            origin = sessions.Origin("127.0.0.1", "bench", "password")
            cookies.append(sessions.start(connection, who.id, NOW, timedelta(hours=12), origin).secret)
    listener = bind("127.0.0.1", 0)
    server = make_server(app)
    pipe.send((listener.getsockname()[1], cookies))

    def stop() -> None:
        pipe.recv()
        server.should_exit = True

    threading.Thread(target=stop, daemon=True).start()
    server.run(sockets=[listener])
    db.close()


Times = dict[str, list[float]]


def person(n: int, url: str, cookie: str, pages: Sequence[str], seconds: float, pause: float, found: Times) -> None:
    """One person's visit; the times go into `found`, by the page's pattern."""
    rng = random.Random(n)
    with httpx.Client(
        base_url=url, cookies={"session": cookie}, timeout=60, headers={"Accept": "text/html"}
    ) as client:
        end = time.monotonic() + seconds
        time.sleep(rng.random() * pause)
        while time.monotonic() < end:
            page = rng.choice(pages)
            path = page.format(flag=f"flag{rng.randrange(2000):05d}", item=rng.choice(NAMES))
            begin = time.perf_counter()
            answer = client.get(path)
            took = time.perf_counter() - begin
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
            found.setdefault(page, []).append(took)
            time.sleep(pause)


def visit(url: str, cookies: Sequence[str], pages: Sequence[str], seconds: float, pause: float) -> Times:
    parts: list[Times] = [{} for _ in cookies]
    work = [
        threading.Thread(target=person, args=(n, url, cookie, pages, seconds, pause, parts[n]))
        for n, cookie in enumerate(cookies)
    ]
    for one in work:
        one.start()
    for one in work:
        one.join()
    merged: Times = {}
    for part in parts:
        for page, times in part.items():
            merged.setdefault(page, []).extend(times)
    return merged


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far (Linux; elsewhere 0)."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(client: httpx.Client, page: str, pid: int, times: int = 20) -> float:
    """Processor seconds that one page takes the server, with nobody else there."""
    before = cpu_seconds(pid)
    for n in range(times):
        client.get(page.format(flag=f"flag{n * 97 % 2000:05d}", item=NAMES[n % len(NAMES)]))
    return (cpu_seconds(pid) - before) / times


def first_paints(address: str, cookie: str, pages: Sequence[str]) -> dict[str, float]:
    """Milliseconds from asking for a page to the first thing seen of it, each in a browser with empty cache."""
    from playwright.sync_api import sync_playwright

    path = next((at for name in ("chromium", "chromium-browser", "google-chrome") if (at := which(name))), None)
    if path is None:
        return {}
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--disable-gpu", *root])
        for page in pages:
            context = browser.new_context(base_url=address, locale="zh-CN")
            context.add_cookies([{"name": "session", "value": cookie, "domain": "127.0.0.1", "path": "/"}])
            tab = context.new_page()
            tab.goto(page.format(flag="flag00001", item=NAMES[0]))
            while (painted := tab.evaluate(f"{PAINT}?.startTime")) is None:
                tab.wait_for_timeout(20)  # the browser's clock: pages forbid scripts that would wait in them
            found[page] = float(painted)
            context.close()
        browser.close()
    return found


PAINT = "performance.getEntriesByName('first-contentful-paint')[0]"


def p95(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)] if len(times) > 1 else times[0]


PAGES = (
    TEMPLATE, "/queue", "/queue?area=区1&kind=move", "/flags/{flag}", "/flags/{flag}/chart.json", "/wall", "/items",
    "/items/{item}", "/reports", "/reports/1", "/entry", "/reports-due", "/records", "/admin/audit", "/profile",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--series", type=int, default=5000)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--flags", type=int, default=2000)
    given: Any = parser.parse_args()
    context = mp.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        url = fill(Path(folder), given.series, given.days, given.flags)
        print(
            f"{given.series * given.days} observations, {given.flags} flags, "
            f"made in {time.perf_counter() - begin:.0f} s"
        )
        pipe, other = context.Pipe()
        server = context.Process(target=serve, args=(url, given.people, other), daemon=True)
        server.start()
        port, cookies = pipe.recv()
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(
            base_url=address, cookies={"session": cookies[0]}, headers={"Accept": "text/html"}
        ) as client:
            weights, costs, there = {}, {}, []
            for page in PAGES:
                answer = client.get(page.format(flag="flag00001", item=NAMES[0]))
                if answer.status_code == 200:
                    there.append(page)
                    weights[page] = len(answer.content)
                    costs[page] = cost(client, page, server.pid or 0)
                else:
                    print(f"{page}: {answer.status_code}, left out")
        found = visit(address, cookies, there, given.seconds, 1.0)
        alone = p95(found[TEMPLATE])
        print(f"{given.people} people, a second of reading between pages:")
        for page in there:
            times = found.get(page, [float("nan")])
            print(
                f"  {page:28} median {statistics.median(times) * 1000:6.1f} ms  p95 {p95(times) * 1000:6.1f} ms "
                f"({p95(times) / alone:4.1f} x template)  "
                f"processor {costs[page] * 1000:5.1f} ms  {weights[page] / 1000:6.1f} kB  n {len(times)}"
            )
        every = [took for times in found.values() for took in times]
        slowest = max(p95(times) for times in found.values())
        print(f"  all pages p95 {p95(every) * 1000:.0f} ms, slowest page p95 {slowest * 1000:.0f} ms")
        rushed = visit(address, cookies, there, given.seconds / 4, 0.0)
        every = [took for times in rushed.values() for took in times]
        print(f"nobody ever waits: {len(every) / (given.seconds / 4):.0f} pages/s, p95 {p95(every) * 1000:.0f} ms")
        paints = first_paints(address, cookies[0], [page for page in there if not page.endswith(".json")])
        slow = sorted(paints.items(), key=lambda one: -one[1])
        said = ", ".join(f"{page} {took:.0f} ms" for page, took in slow[:3]) if slow else "no Chromium here"
        print(f"first paint with an empty cache, the slowest of {len(slow)} pages: {said}")
        pipe.send("stop")
        server.join(20)


if __name__ == "__main__":
    main()
