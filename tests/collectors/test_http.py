"""The HTTP collector against a real local server: formats, encodings, only what is new, options."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from collectors.http_json import HttpOptions
from tests.collectors.asking import CSV, CSV_COLUMNS, GOOD, ROWS, TEXT, Asking, values
from tests.collectors.servers import Exchange, WebServer


@pytest.mark.parametrize(
    ("body", "kind", "options"),
    [
        (TEXT, "application/json", {}),
        (TEXT, "application/vnd.api+json; charset=utf-8", {}),
        (TEXT, "text/plain", {}),
        (TEXT, "", {}),
        ("\ufeff" + TEXT, "application/json", {}),
        (TEXT.encode("gb18030"), "application/json; charset=gb2312", {}),
        (TEXT.encode("gb18030"), "application/json", {}),
        (TEXT.encode("utf-16"), "application/json", {}),
        (TEXT.encode("utf-16-le"), "application/json", {}),
        (TEXT, "application/json; charset=iso-8859-1", {}),
        (TEXT.encode("cp936"), "application/json; charset=utf-8", {"encoding": "cp936"}),
        ("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), "application/x-ndjson", {}),
        ("\x1e" + "\n\x1e".join(json.dumps(row) for row in ROWS), "application/json-seq", {}),
        ("\r\n".join(json.dumps(row) for row in ROWS), "text/plain", {"format": "jsonl"}),
        (CSV, "text/csv", {"columns": CSV_COLUMNS}),
        (CSV.encode("gb18030"), "text/csv", {"columns": CSV_COLUMNS}),
        (CSV.encode("gb18030"), "text/plain", {"columns": CSV_COLUMNS, "format": "csv"}),
        (gzip.compress(CSV.encode(), mtime=0), "text/csv", {"columns": CSV_COLUMNS}),
    ],
)
def test_every_format_and_encoding_gives_the_same_rows(
    web: WebServer, ask: Asking, body: bytes | str, kind: str, options: dict[str, Any]
) -> None:
    headers: dict[str, Any] = {"content_type": kind} if kind else {}
    fetched = ask(web.on("/prices", lambda e: e.send(body, **headers)), **options)
    assert values(fetched) == GOOD
    assert [reject.reason for reject in fetched.rejects] == ["no_value"]


def test_a_bad_line_is_rejected_alone_with_its_number(web: WebServer, ask: Asking) -> None:
    lines = [json.dumps(ROWS[0]), "", "{half", json.dumps(ROWS[2])]
    fetched = ask(web.on("/lines", lambda e: e.send("\n".join(lines))), format="jsonl")
    assert values(fetched) == GOOD
    assert [(reject.row, reject.reason) for reject in fetched.rejects] == [(3, "not_json")]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
def test_packed_answers_are_unpacked(web: WebServer, ask: Asking, coding: str) -> None:
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {
        "gzip": gzip.compress(TEXT[:50].encode()) + gzip.compress(TEXT[50:].encode()),
        "deflate": zlib.compress(TEXT.encode()),
        "raw deflate": raw.compress(TEXT.encode()) + raw.flush(),
    }[coding]
    header = coding.rpartition(" ")[2]
    url = web.on("/packed", lambda e: e.send(packed, content_encoding=header, content_type="application/json"))
    assert values(ask(url)) == GOOD


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        ("<!DOCTYPE html><p>维护中", {"content_type": "text/html"}, "not_json"),
        ("  <html>", {"content_type": "application/json"}, "not_json"),
        ("<html>", {"content_type": "text/csv"}, "not_csv"),
        ('{"a":', {"content_type": "application/json"}, "not_json"),
        ("", {"content_type": "application/json"}, "not_json"),
        ("hello", {"content_type": "text/plain"}, "not_json"),
        ("[" * 100_000, {"content_type": "application/json"}, "not_json"),
        ('"text"', {"content_type": "application/json"}, "shape"),
        ('{"code": 1}', {"content_type": "application/json"}, "shape"),
        (b"\xff\xff\xff", {"content_type": "application/json"}, "encoding"),
        ("x", {"content_encoding": "gzip"}, "encoding"),
        (gzip.compress(b"[]" * 999, mtime=0)[:-9], {"content_encoding": "gzip"}, "encoding"),
        ("x", {"content_encoding": "br"}, "encoding"),
        (gzip.compress(gzip.compress(b"[]", mtime=0), mtime=0), {"content_encoding": "gzip, gzip"}, "encoding"),
        ("a,b\n1,2\n", {"content_type": "text/csv"}, "not_csv"),
        ("bad\nworse\n", {"content_type": "application/x-ndjson"}, "not_json"),
    ],
)
def test_an_answer_that_is_no_data_is_a_named_error_that_shows_what_came(
    web: WebServer, ask: Asking, body: bytes | str, headers: dict[str, Any], reason: str
) -> None:
    error = ask.fails(web.on("/prices", lambda e: e.send(body, **headers)))
    assert error.reason == reason
    assert not error.permanent  # the source may be mended without us
    assert f"市场: {web.url}/prices: " in str(error)


def test_the_error_for_a_page_for_people_shows_status_type_and_first_characters(web: WebServer, ask: Asking) -> None:
    error = ask.fails(
        web.on("/p", lambda e: e.send("<!DOCTYPE html>\n<h1>系统维护中</h1>", content_type="text/html"))
    )
    assert "status 200, content type text/html, begins '<!DOCTYPE html> <h1>系统维护中</h1>'" in str(error)


def test_an_error_inside_a_200_answer_is_an_error(web: WebServer, ask: Asking) -> None:
    success = {"path": "code", "equals": ["0"], "message": "msg"}
    url = web.in_turn(
        "/p", lambda e: e.json({"code": 0, "data": ROWS}), lambda e: e.json({"code": 401, "msg": "令牌过期"})
    )
    assert values(ask(url, rows="data", success=success)) == GOOD
    error = ask.fails(url, rows="data", success=success)
    assert (error.reason, "code is 401, saying 令牌过期" in str(error)) == ("source", True)


def test_no_content_is_no_error_and_no_row(web: WebServer, ask: Asking) -> None:
    assert len(ask(web.on("/p", lambda e: e.send("", 204))).batch) == 0


def test_an_unchanged_answer_is_not_sent_again(web: WebServer, ask: Asking) -> None:
    def answer(e: Exchange) -> None:
        unchanged = e.headers.get("if-none-match") == '"v1"' and "if-modified-since" in e.headers
        e.send("" if unchanged else TEXT, 304 if unchanged else 200, etag='"v1"', last_modified="Mon, 09 Mar 2026")

    url = web.on("/p.json", answer)
    first = ask(url)
    assert ask.all(url, first.cursor) == []
    assert values(ask(url, first.cursor, defaults={"unit": "元/公斤"})) == GOOD  # understood otherwise: read again


def test_a_validator_is_only_sent_for_the_very_same_request(web: WebServer, ask: Asking, now: datetime) -> None:
    url = web.on("/p", lambda e: e.send(TEXT, etag='"v1"', content_type="application/json"))
    first = ask(url, params={"day": "{now:%Y%m%d}"})
    ask.now = now + timedelta(days=1)
    ask.all(url, first.cursor, params={"day": "{now:%Y%m%d}"})
    assert [("if-none-match" in e.headers, e.params["day"]) for e in web.asked] == [
        (False, "20260310"),
        (False, "20260311"),
    ]


def test_the_next_question_begins_an_overlap_before_the_newest_value(
    web: WebServer, ask: Asking, now: datetime
) -> None:
    url = web.on("/p", lambda e: e.json(ROWS))
    params = {"from": "{since:%Y-%m-%d}", "to": "{now:iso}", "e": "{since:epoch}", "ms": "{since:epoch_ms}"}
    first = ask(url, params=params, history="30d", overlap="2d")
    ask(url, first.cursor, params=params, history="30d", overlap="2d")
    one, two = web.asked[0].params, web.asked[1].params
    assert (one["from"], one["to"]) == ("2026-02-08", "2026-03-10T10:00:00+08:00")
    assert two["from"] == "2026-03-07"
    assert (int(one["e"]), int(one["ms"])) == (int(now.timestamp()) - 30 * 86400, int(one["e"]) * 1000)


def test_a_question_may_be_a_posted_json_with_times_and_page(web: WebServer, ask: Asking) -> None:
    def answer(e: Exchange) -> None:
        page = json.loads(e.body)["page"]
        e.json({"rows": ROWS[page - 1 : page]})

    body = {"query": {"days": ["{since:%Y%m%d}"]}, "size": 1}
    paging = {"kind": "page", "param": "page"}
    fetched = ask(web.on("/p", answer), body=body, rows="rows", paging=paging, history="1d")
    assert values(fetched) == GOOD
    assert json.loads(web.asked[0].body) == {"query": {"days": ["20260309"]}, "size": 1, "page": 1}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "prices.example/x"}, "is not a whole URL"),
        ({"url": "ftp://host/x"}, "is not a whole URL"),
        ({"url": "http://user:pw@host/"}, "holds a name or password"),
        ({"params": {"d": "{yesterday}"}}, "{yesterday} is not a known placeholder"),
        ({"params": {"d": "{since:day}"}}, "is not a known placeholder"),
        ({"body": {"a": [{"b": "{x}"}]}}, "{x} is not a known placeholder"),
        ({"rows": "a..b"}, "is not a path"),
        ({"columns": {"price": "p"}}, "unknown column 'price'"),
        ({"columns": {"item": "{a"}}, "expected '}'"),
        ({"paging": {"kind": "page"}}, "needs param"),
        ({"paging": {"kind": "next"}}, "needs path"),
        ({"paging": {"kind": "offset", "param": "o", "size_param": "n"}}, "size_param without size"),
        ({"format": "csv", "paging": {"kind": "next", "path": "n"}}, "paging.path needs JSON"),
        ({"bearer": {"env": "A"}, "basic": {"user": "u", "password": {"env": "B"}}}, "both bearer and basic"),
        ({"bearer": "t0ken"}, "plain text"),
        ({"timeout": "5s"}, "Extra inputs"),
    ],
)
def test_a_faulty_option_is_refused_with_its_problem(options: dict[str, Any], problem: str) -> None:
    given = {"name": "s", "kind": "http", "url": "http://host/x", **options}
    with pytest.raises(ValidationError, match="(?s)" + problem.replace("{", r"\{").replace(".", r"\.")):
        HttpOptions.model_validate(given)
