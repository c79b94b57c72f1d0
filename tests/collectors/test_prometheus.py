"""The Prometheus collector against a real Prometheus with a known past, and against one that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from collectors.base import CollectError, Fetched
from collectors.prometheus import PrometheusCollector, PrometheusOptions
from tests.collectors.conftest import NOW
from tests.collectors.prometheus_server import BINARY, RealPrometheus, real_prometheus
from tests.collectors.servers import Exchange, WebServer, web_server

START = int(NOW.timestamp()) - 3600


def past() -> str:
    """An hour of three series each minute; 肉 is NaN every twentieth minute."""
    lines = ["# TYPE price gauge"]
    for item, market, first in (("米", "A", 5.0), ("米", "B", 5.5), ("肉", "A", 20.0)):
        for minute in range(60):
            value = "NaN" if item == "肉" and minute % 20 == 0 else first + minute / 100
            lines.append(f'price{{item="{item}",market="{market}"}} {value} {START + 60 * minute}')
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPrometheus]:
    if BINARY is None:
        pytest.skip("Prometheus is not installed (apt-get install prometheus)")
    with web_server() as web:
        exposition = "# TYPE live gauge\nlive 4.5\n"
        web.on("/metrics", lambda e: e.send(exposition, content_type="text/plain; version=0.0.4"))
        target = web.url.removeprefix("http://")
        with real_prometheus(tmp_path_factory.mktemp("prometheus"), past=past(), target=target) as server:
            yield server


def fetch(url: str, now: datetime = NOW, cursor: Mapping[str, Any] | None = None, **options: Any) -> list[Fetched]:
    given: dict[str, Any] = {
        "name": "监控",
        "kind": "prometheus",
        "url": url,
        "query": "price",
        "delay": "0s",
        "history": "1h",
    }
    given |= {"columns": {"point": "market"}, **options}
    waits: list[float] = []
    return list(
        PrometheusCollector(PrometheusOptions.model_validate(given), sleep=waits.append).fetch(cursor or {}, now)
    )


def fails(url: str, **options: Any) -> CollectError:
    with pytest.raises(CollectError) as caught:
        fetch(url, **options)
    return caught.value


def points(fetched: list[Fetched]) -> dict[tuple[str, str, int], float]:
    found: dict[tuple[str, str, int], float] = {}
    for one in fetched:
        for code, at, value in zip(one.batch.series, one.batch.at, one.batch.value, strict=True):
            place = (one.batch.keys[code].item, one.batch.keys[code].point, (int(at) - START) // 60)
            assert place not in found
            found[place] = float(value)
    return found


real = pytest.mark.prometheus


@real
def test_a_range_becomes_one_observation_for_each_series_and_step(prometheus: RealPrometheus) -> None:
    found = points(fetch(prometheus.url))
    assert found["米", "A", 0] == 5.0
    assert found["米", "B", 59] == pytest.approx(6.09)
    assert {minute for item, _, minute in found if item == "米"} == set(range(61))


@real
def test_values_that_are_no_numbers_are_rejected_once_for_each_series_with_their_times(
    prometheus: RealPrometheus,
) -> None:
    (fetched,) = fetch(prometheus.url)
    (reject,) = fetched.rejects
    assert (reject.reason, reject.content) == ("not_finite", 'price{item="肉", market="A"}')
    assert "3 个值" in reject.detail
    assert "2026-03-10T09:00:00+08:00" in reject.detail
    assert ("肉", "A", 20) not in points([fetched])


@real
def test_a_long_range_is_asked_in_pieces_that_give_the_same_and_go_on_after_an_interruption(
    prometheus: RealPrometheus,
) -> None:
    whole, pieces = fetch(prometheus.url), fetch(prometheus.url, max_points=7)
    assert len(pieces) == 9
    assert points(pieces) == points(whole)
    rest = fetch(prometheus.url, cursor=pieces[3].cursor, overlap="0s", max_points=7)
    assert points(pieces[:4]) | points(rest) == points(whole)


@real
def test_asking_again_at_an_odd_second_gives_the_same_points(prometheus: RealPrometheus) -> None:
    whole = fetch(prometheus.url)
    anew = fetch(prometheus.url, NOW + timedelta(seconds=37))
    assert all(at % 60 == 0 for one in anew for at in one.batch.at)
    again = fetch(prometheus.url, NOW + timedelta(seconds=37), whole[-1].cursor, overlap="10m")
    assert points(again).items() <= points(whole).items()
    assert again[-1].stale_since == datetime.fromtimestamp(int(whole[-1].batch.at.max()), UTC)


@real
def test_what_a_real_server_scrapes_comes_through_an_instant_query(prometheus: RealPrometheus) -> None:
    prometheus.until("live")
    options: dict[str, Any] = {"query": "live", "mode": "instant", "step": "1s", "columns": {"item": "__name__"}}
    (fetched,) = fetch(prometheus.url, datetime.now(UTC) + timedelta(seconds=1), **options)
    assert (fetched.batch.keys[0].item, fetched.batch.value.tolist()) == ("live", [4.5])


@real
def test_labels_become_columns_by_name_or_template(prometheus: RealPrometheus) -> None:
    columns = {"item": "{item}({market})", "point": "market", "channel": "nosuch"}
    (fetched,) = fetch(prometheus.url, columns=columns, defaults={"channel": "零售", "unit": "元"})
    key = min(fetched.batch.keys)
    assert (key.item, key.point, key.channel, key.unit) == ("米(A)", "A", "零售", "元")


@real
def test_two_series_that_become_one_are_told_apart_by_a_reject(prometheus: RealPrometheus) -> None:
    (fetched,) = fetch(prometheus.url, columns={})
    assert next((r.reason, r.content) for r in fetched.rejects) == ("ambiguous", 'price{item="米", market="B"}')
    assert points([fetched])["米", "", 0] == 5.0


@real
def test_a_scalar_needs_an_item(prometheus: RealPrometheus) -> None:
    options: dict[str, Any] = {"query": "scalar(sum(price))", "mode": "instant", "columns": {}}
    now = NOW - timedelta(minutes=2)
    assert [r.reason for r in fetch(prometheus.url, now, **options)[0].rejects] == ["no_item"]
    (fetched,) = fetch(prometheus.url, now, defaults={"item": "合计"}, **options)
    assert fetched.batch.keys[0].item == "合计"


@real
@pytest.mark.parametrize(
    ("query", "mode", "reason", "permanent"),
    [
        ("price{", "range", "query", True),
        ("nosuchfunction(price)", "range", "query", True),
        ("price * on(item) price", "range", "query", False),
        ("'text'", "instant", "query", True),
    ],
)
def test_what_the_server_says_of_a_query_is_passed_on(
    prometheus: RealPrometheus, query: str, mode: str, reason: str, permanent: bool
) -> None:
    error = fails(prometheus.url, query=query, mode=mode)
    assert (error.reason, error.permanent) == (reason, permanent)
    assert "监控: " in str(error)


@real
def test_a_clock_that_was_set_back_asks_for_nothing(prometheus: RealPrometheus) -> None:
    (first,) = fetch(prometheus.url)
    assert fetch(prometheus.url, NOW - timedelta(days=1), first.cursor) == []


# --- a server that misbehaves --------------------------------------------------------------------------------------


def answering(web: WebServer, answer: Callable[[Exchange], None]) -> str:
    web.on("/api/v1/query_range", answer)
    return web.url


def success(result: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}


@pytest.mark.parametrize(
    ("status", "kind", "reason", "permanent", "requests"),
    [
        (400, "bad_data", "query", True, 1),
        (422, "execution", "query", False, 1),
        (503, "timeout", "timeout", False, 1),
        (503, "canceled", "timeout", False, 1),
        (503, "unavailable", "http_status", False, 4),
        (500, "internal", "http_status", False, 1),
        (200, "execution", "query", False, 1),
        (200, "odd", "source", False, 1),
    ],
)
def test_every_error_type_has_its_reason(
    web: WebServer, status: int, kind: str, reason: str, permanent: bool, requests: int
) -> None:
    body = {"status": "error", "errorType": kind, "error": "it is so"}
    error = fails(answering(web, lambda e: e.json(body, status)))
    assert (error.reason, error.permanent, len(web.asked)) == (reason, permanent, requests)
    assert "it is so" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"status": "success"}',
        '{"status": "success", "data": null}',
        '{"status": "success", "data": {"resultType": "matrix", "result": [5]}}',
        json.dumps(success([{"metric": {"item": "x"}, "values": [5]}])),
        json.dumps(success([{"metric": {"item": "x"}, "values": [[1, "five"]]}])),
        json.dumps(success([{"metric": {"item": "x"}, "values": [[1e400, "5"]]}])),
    ],
)
def test_an_answer_of_another_shape_is_named_and_not_a_crash(web: WebServer, body: str) -> None:
    assert fails(answering(web, lambda e: e.send(body, content_type="application/json"))).reason == "shape"


def test_warnings_of_the_server_are_logged(web: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    fetch(answering(web, lambda e: e.json(success([], warnings=["store 3 is unreachable"]))))
    assert ("WARNING", "store 3 is unreachable") in [
        (r.levelname, r.getMessage().rpartition(": ")[2]) for r in caplog.records
    ]


def test_histograms_are_rejected_with_a_remedy(web: WebServer) -> None:
    series = {"metric": {"item": "x"}, "histograms": [[START, {"count": "1"}]]}
    (fetched,) = fetch(answering(web, lambda e: e.json(success([series]))))
    assert [reject.reason for reject in fetched.rejects] == ["histogram"]


def test_more_points_than_are_wanted_are_refused(web: WebServer) -> None:
    series = {"metric": {"item": "x"}, "values": [[START + n, "1"] for n in range(50)]}
    assert fails(answering(web, lambda e: e.json(success([series]))), max_samples=49).reason == "too_large"


def test_the_newest_point_is_as_old_as_the_delay(web: WebServer) -> None:
    fetch(answering(web, lambda e: e.json(success([]))), delay="90s")
    asked = web.asked[0].params
    assert (int(asked["end"]), int(asked["start"])) == (int(NOW.timestamp()) - 120, START)
    assert (asked["step"], asked["query"]) == ("60", "price")


def test_no_request_is_larger_than_the_server_allows(web: WebServer) -> None:
    fetch(answering(web, lambda e: e.json(success([]))), history="60d")
    sizes = [(int(e.params["end"]) - int(e.params["start"])) // 60 + 1 for e in web.asked]
    assert max(sizes) <= 11_000
    assert sum(sizes) == 60 * 24 * 60 + 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"step": "500ms"}, "whole number of seconds"),
        ({"columns": {"value": "x"}}, "unknown column 'value'"),
        ({"columns": {"item": "{a"}}, "expected '}'"),
        ({"max_points": 20_000}, "less than or equal to 11000"),
        ({"query": ""}, "at least 1"),
        ({"mode": "moment"}, "range"),
    ],
)
def test_a_faulty_option_is_refused_with_its_problem(options: dict[str, Any], problem: str) -> None:
    given = {"name": "s", "kind": "prometheus", "url": "http://host", "query": "up", **options}
    with pytest.raises(ValidationError, match=problem):
        PrometheusOptions.model_validate(given)
