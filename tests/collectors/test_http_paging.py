"""The HTTP collector and sources that answer in pages, against a real local server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from collectors.base import CollectError
from collectors.http_json import HttpCollector, HttpOptions
from tests.collectors.asking import GOOD, ROWS, Asking, values
from tests.collectors.servers import Exchange, WebServer


def by_page(e: Exchange) -> None:
    n = int(e.params["p"])
    e.json({"rows": ROWS[n - 1 : n], "meta": {"pages": 3}})


def by_first_page_zero(e: Exchange) -> None:
    n = int(e.params["p"])
    e.json({"rows": ROWS[2 * n : 2 * n + 2]})


def by_offset(e: Exchange) -> None:
    start, size = int(e.params["skip"]), int(e.params["limit"])
    e.json({"rows": ROWS[start : start + size]})


def by_token(e: Exchange) -> None:
    n = int(e.params.get("after", "t0")[1:])
    e.json({"rows": ROWS[n : n + 1], "next": f"t{n + 1}" if n < 2 else None})


def by_next(e: Exchange) -> None:
    n = int(e.params.get("n", "0"))
    e.json({"rows": ROWS[n : n + 1], "links": {"next": f"/pages?n={n + 1}" if n < 2 else ""}})


def by_link(e: Exchange) -> None:
    n = int(e.params.get("n", "0"))
    link: dict[str, Any] = (
        {"link": f'</pages?n=0>; rel="first", <?n={n + 1}>; title="a, b"; rel="next last"'} if n < 2 else {}
    )
    e.json({"rows": ROWS[n : n + 1]}, **link)


@pytest.mark.parametrize(
    ("answer", "paging", "requests"),
    [
        (by_page, {"kind": "page", "param": "p"}, 4),
        (by_page, {"kind": "page", "param": "p", "pages": "meta.pages"}, 3),
        (by_first_page_zero, {"kind": "page", "param": "p", "first": 0, "size": 2}, 2),
        (by_offset, {"kind": "offset", "param": "skip", "size": 2, "size_param": "limit"}, 2),
        (by_token, {"kind": "cursor", "param": "after", "path": "next"}, 3),
        (by_next, {"kind": "next", "path": "links.next"}, 3),
        (by_link, {"kind": "link"}, 3),
    ],
)
def test_all_pages_are_read_and_not_one_more_than_needed(
    web: WebServer, ask: Asking, answer: Callable[[Exchange], None], paging: dict[str, Any], requests: int
) -> None:
    fetched = ask(web.on("/pages", answer), rows="rows", paging=paging)
    assert values(fetched) == GOOD
    assert [reject.row for reject in fetched.rejects] == [2]
    assert len(web.asked) == requests


def test_after_max_pages_the_next_fetch_goes_on_with_the_same_question(
    web: WebServer, ask: Asking, now: datetime
) -> None:
    options: dict[str, Any] = {
        "rows": "rows",
        "paging": {"kind": "page", "param": "p"},
        "params": {"since": "{since:epoch}"},
    }
    url = web.on("/pages", by_page)
    first = ask(url, max_pages=2, **options)
    ask.now = now + timedelta(days=3)
    second = ask(url, first.cursor, max_pages=2, **options)
    assert (values(first), values(second)) == ([("大米", 5.2)], [("猪肉", 20.5)])
    assert [e.params["p"] for e in web.asked] == ["1", "2", "3", "4"]
    assert len({e.params["since"] for e in web.asked}) == 1
    assert second.cursor.keys() == {"for", "last_at"}


def test_a_failure_on_a_later_page_keeps_the_pages_before_it(web: WebServer, ask: Asking) -> None:
    def answer(e: Exchange) -> None:
        by_page(e) if e.params["p"] != "3" else e.send("broken", 500)

    url = web.on("/pages", answer)
    options = HttpOptions.model_validate(
        {"name": "s", "kind": "http", "url": url, "rows": "rows", "paging": {"kind": "page", "param": "p"}}
    )
    fetch = HttpCollector(options).fetch({}, ask.now)
    kept = next(fetch)
    assert (values(kept), len(kept.rejects)) == ([("大米", 5.2)], 1)
    with pytest.raises(CollectError, match="status 500"):
        next(fetch)
    web.on("/pages", by_page)
    (rest,) = HttpCollector(options).fetch(kept.cursor, ask.now)
    assert values(rest) == [("猪肉", 20.5)]


def test_a_page_token_that_has_expired_starts_the_pages_anew(web: WebServer, ask: Asking) -> None:
    options: dict[str, Any] = {"rows": "rows", "paging": {"kind": "cursor", "param": "after", "path": "next"}}
    url = web.on("/pages", by_token)
    first = ask(url, max_pages=1, **options)
    web.on(
        "/pages",
        lambda e: e.send("expired", 410) if e.params.get("after") == "t1" and len(web.asked) < 3 else by_token(e),
    )
    assert values(ask(url, first.cursor, **options)) == GOOD


@pytest.mark.parametrize(
    ("answer", "paging"),
    [
        (lambda e: e.json({"rows": ROWS}), {"kind": "page", "param": "p"}),
        (lambda e: e.json({"rows": ROWS, "next": "same"}), {"kind": "cursor", "param": "c", "path": "next"}),
        (lambda e: e.json({"rows": ROWS, "next": {"a": 1}}), {"kind": "cursor", "param": "c", "path": "next"}),
        (lambda e: e.json({"rows": ROWS}), {"kind": "page", "param": "p", "pages": "meta.pages"}),
    ],
)
def test_pages_that_lead_nowhere_are_an_error_and_not_an_endless_loop(
    web: WebServer, now: datetime, answer: Callable[[Exchange], None], paging: dict[str, Any]
) -> None:
    url = web.on("/pages", answer)
    options = HttpOptions.model_validate({"name": "s", "kind": "http", "url": url, "rows": "rows", "paging": paging})
    with pytest.raises(CollectError) as caught:
        list(HttpCollector(options).fetch({}, now))
    assert caught.value.reason == "paging"
    assert len(web.asked) <= 3
