"""The console's pages are loaded while the server already answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.web.app import create_api, load_pages
from monitor.web.context import WebSettings
from tests.conftest import sqlite_url
from tests.web.conftest import Running, serving

PERSON = {"Accept": "text/html"}


@pytest.fixture
def early(tmp_path: Path, templates: dict[str, Any]) -> Iterator[Running]:
    """A server whose pages are still to be loaded."""
    with serving(sqlite_url(tmp_path / "monitor.db", templates), WebSettings(), build=create_api) as running:
        yield running


@pytest.fixture
def first(early: Running) -> Iterator[list[Future[httpx.Response]]]:
    """The first requests for pages, all at once, none of them answered yet."""
    asked = [("GET", "/signin"), ("GET", "/signin"), ("GET", "/nothing"), ("HEAD", "/queue"), ("OPTIONS", "/signin")]
    with ThreadPoolExecutor(len(asked)) as pool:
        waiting = [
            pool.submit(httpx.request, method, early.url + path, headers=PERSON, timeout=30) for method, path in asked
        ]
        done, _ = wait(waiting, 0.2)
        assert not done
        yield waiting
        wait(waiting)


def test_programs_are_answered_before_there_are_pages(early: Running, first: object) -> None:
    """The first requests for pages wait meanwhile."""
    with early.client() as client:
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/flags"):
            assert client.get(path).status_code == 200
        assert client.get("/api/v1/nothing", headers=PERSON).status_code == 404
    load_pages(early.app)


def test_first_requests_at_once_all_get_what_later_ones_get(
    early: Running, first: list[Future[httpx.Response]]
) -> None:
    load_pages(early.app)
    answers = [one.result() for one in first]
    with early.anonymous() as client:
        later = [client.request(one.request.method, one.request.url, headers=PERSON) for one in answers]
    assert [one.status_code for one in answers] == [200, 200, 404, 405, 405]
    assert [one.status_code for one in answers] == [one.status_code for one in later]
    assert "登录" in answers[0].text
    assert "没有这个页面" in answers[2].text


def test_the_description_of_the_api_is_complete_before_there_are_pages(early: Running) -> None:
    before = early.app.openapi()
    early.app.openapi_schema = None
    load_pages(early.app)
    assert early.app.openapi() == before
    assert "/api/v1/observations" in before["paths"]


def test_pages_that_cannot_be_loaded_are_told_to_those_who_wait_and_to_the_daemon(
    early: Running, first: list[Future[httpx.Response]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "monitor.web.console.pages", None)
    with pytest.raises(ImportError):
        load_pages(early.app)
    with early.anonymous() as client:
        for answer in (first[0].result(), client.get("/signin")):
            assert answer.status_code == 503
            assert "网页程序无法加载" in answer.json()["detail"]
        assert client.get("/healthz").status_code == 200


def test_who_goes_away_while_waiting_does_not_end_the_loading_for_others(early: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(early.url + "/signin", timeout=0.1)
    load_pages(early.app)
    assert httpx.get(early.url + "/signin", timeout=30).status_code == 200
