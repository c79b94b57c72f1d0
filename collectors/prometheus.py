"""Values from a Prometheus server: a range query in steps, or an instant query at each turn.

Times are multiples of `step`, so that asking again gives the same points and not new ones between them. A range is
asked in pieces that stay below the server's limit of 11,000 points to a series; each piece is stored by itself and
moves the cursor on, because the pieces come in order of time.
"""

from __future__ import annotations

import json
import logging
import math
import random as randomness
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from collectors.base import CollectError, Cursor, Fetched
from collectors.deadline import Deadline
from collectors.http_body import check_structures, looks_like_html
from collectors.http_client import (
    Answer,
    ClientOptions,
    Request,
    SourceClient,
    Transport,
    check_status,
    make_transport,
)
from collectors.paths import MISSING, compile_column
from collectors.retry import Random, RetryableError, Sleep
from collectors.rows import NAMES, BatchBuilder, Rows, in_range, read_name
from collectors.sheet_values import CellError
from collectors.timing import Span, latest, signature
from thresholds.model import Reject, SeriesKey
from thresholds.settings import Duration

log = logging.getLogger(__name__)

SERVER_LIMIT = 11_000
"""points to a series in one range query; Prometheus refuses more"""


class PrometheusOptions(ClientOptions):
    """A source that is a PromQL query; docs/collectors.md describes every key.

    `url` is the server's own (without /api/v1). `columns` map our columns to label names or templates of them,
    `{instance}/{job}`; the metric's name is the label __name__.
    """

    kind: Literal["prometheus"]
    query: str = Field(min_length=1)
    mode: Literal["range", "instant"] = "range"
    step: Duration = timedelta(minutes=1)
    delay: Duration = timedelta(minutes=1)
    """the newest point asked for is so old, because samples of the last moment may still be on their way"""
    max_points: int = Field(default=SERVER_LIMIT, ge=1, le=SERVER_LIMIT)
    """points to a series in one request; less where the answers are too large"""
    max_samples: int = Field(default=500_000, ge=1)
    """points of all series in one request"""
    overlap: Duration = timedelta(minutes=5)
    history: Duration = timedelta(days=1)

    @model_validator(mode="after")
    def mapping(self) -> Self:
        if self.step.total_seconds() < 1 or self.step.total_seconds() % 1:
            raise ValueError("step is not a whole number of seconds|Write 15s, 1m, 1h or more")
        if unknown := sorted((self.columns.keys() | self.defaults.keys()) - set(NAMES)):
            raise ValueError(f"unknown column {unknown[0]!r}|Use some of {', '.join(NAMES)}")
        for spec in self.columns.values():
            compile_column(spec)
        return self


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of multiples of the step, both ends included, in epoch seconds."""

    start: int
    end: int


@dataclass
class Reading:
    """The series of one answer, becoming observations and rejects."""

    builder: BatchBuilder = field(default_factory=BatchBuilder)
    rejects: list[Reject] = field(default_factory=list)
    owners: dict[SeriesKey, str] = field(default_factory=dict)

    def rows(self) -> Rows:
        return Rows(self.builder.build(), self.rejects, len(self.builder.value) + len(self.rejects))


class PrometheusCollector:
    """One PromQL query. `base` is the folder of the configuration file."""

    def __init__(
        self,
        options: PrometheusOptions,
        *,
        base: Path = Path(),
        sleep: Sleep = time.sleep,
        random: Random = randomness.random,
        transport: Transport = make_transport,
    ) -> None:
        self.name = options.name
        self._options = options
        self._base, self._sleep, self._random, self._transport = base, sleep, random, transport
        self._step = int(options.step.total_seconds())
        self._columns = {name: compile_column(options.columns.get(name, name)) for name in NAMES}

    def fetch(self, cursor: Cursor, now: datetime) -> Iterator[Fetched]:
        """Yield what is new since `cursor`. Raises CollectError; what was yielded before stays stored."""
        options = self._options
        mark = signature(options)
        old = cursor if cursor.get("for") == mark else {}
        span = Span.of(old, now, overlap=options.overlap, history=options.history)
        pieces = self._pieces(span)
        newest: int | None = None
        with Deadline(options.deadline.total_seconds()) as deadline, self._client(now, deadline) as client:
            for piece in pieces:
                rows = self._ask(client, piece)
                newest = latest(newest, rows.newest(now))
                last_at = span.advance(newest)
                kept = {"for": mark} if last_at is None else {"for": mark, "last_at": last_at}
                stale = span.stale_since(newest) if piece is pieces[-1] else None
                if rows.count or kept != old or stale:
                    yield Fetched(options.query, rows.batch, rows.rejects, kept, stale)
                old = kept

    def _client(self, now: datetime, deadline: Deadline) -> SourceClient:
        return SourceClient(
            self._options,
            now,
            base=self._base,
            deadline=deadline,
            sleep=self._sleep,
            random=self._random,
            transport=self._transport,
        )

    def _pieces(self, span: Span) -> list[Piece]:
        """What to ask for, oldest first; nothing where the clock was set back before what is stored."""
        step = self._step
        end = math.floor((span.now - self._options.delay).timestamp() / step) * step
        if self._options.mode == "instant":
            return [Piece(end, end)]
        start = math.floor(span.since.timestamp() / step) * step
        length = (self._options.max_points - 1) * step
        return [Piece(at, min(at + length, end)) for at in range(start, end + 1, length + step)]

    def _ask(self, client: SourceClient, piece: Piece) -> Rows:
        """The observations of one piece. Raises CollectError."""
        options = self._options
        params = {"query": options.query, **options.params}
        if options.mode == "instant":
            path, times = "query", {"time": str(piece.end)}
        else:
            path = "query_range"
            times = {"start": str(piece.start), "end": str(piece.end), "step": str(self._step)}
        url = f"{options.url.rstrip('/')}/api/v1/{path}"
        answer = client.ask(Request(url, {**params, **times}), judge)
        try:
            check_structures(answer.body, 4 * options.max_samples, "set max_points, or raise max_samples")
            data = parse(answer)
            for warning in (*data.get("warnings", ()), *data.get("infos", ())):
                log.warning("%s: the Prometheus server warns: %s", self.name, client.secrets.redact(str(warning)))
            return self._read(data["data"])
        except CollectError as error:
            message = client.secrets.redact(f"{self.name}: {answer.url}: {error}")
            raise CollectError(error.reason, message, permanent=error.permanent) from None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise CollectError(
                "shape", f"{self.name}: {url}: not the answer of a Prometheus server ({type(error).__name__} {error})"
            ) from None

    def _read(self, data: Mapping[str, Any]) -> Rows:
        """The observations of a matrix, vector or scalar."""
        kind, result = data["resultType"], data["result"]
        if kind == "scalar":
            kind, result = "vector", [{"metric": {}, "value": result}]
        if kind not in ("matrix", "vector"):
            raise CollectError("query", f"the query gives a {kind}, not numbers", permanent=True)
        points = sum(len(one.get("values", ())) for one in result) if kind == "matrix" else len(result)
        if points > self._options.max_samples:
            raise CollectError("too_large", f"{points:,} points in one answer, more than max_samples; set max_points")
        reading = Reading()
        for number, one in enumerate(sorted(result, key=lambda one: labels(one["metric"])), 1):
            samples = one.get("values", ()) if kind == "matrix" else [one["value"]] if "value" in one else ()
            try:
                self._series(reading, number, one["metric"], samples)
            except CellError as error:
                reading.rejects.append(Reject(number, error.reason, str(error), labels(one["metric"])))
            if "histogram" in one or "histograms" in one:
                reading.rejects.append(
                    Reject(
                        number,
                        "histogram",
                        "直方图不是单个数值；请在查询中用 histogram_quantile 等函数",
                        labels(one["metric"]),
                    )
                )
        return reading.rows()

    def _series(
        self, reading: Reading, number: int, metric: Mapping[str, str], samples: Sequence[tuple[float, str]]
    ) -> None:
        """One series into `reading`; its samples that are no finite numbers become one reject."""
        item, spec, unit, channel, point, area, source = (self._name(name, metric) for name in NAMES)
        if not item:
            raise CellError("no_item", "没有品名；请在 columns 或 defaults 中设置 item")
        key = SeriesKey(item, spec, unit, channel, point)
        if (owner := reading.owners.setdefault(key, labels(metric))) != labels(metric):
            raise CellError("ambiguous", f"与 {owner} 对应同一序列；请把有区别的标签写入 columns")
        odd: list[tuple[int, str]] = []
        for at, text in samples:
            value = float(text)
            if math.isfinite(value):
                when = in_range(round(at), at)
                reading.builder.add(reading.builder.code(key, area, source), when, value, number)
            else:
                odd.append((round(at), text))
        if odd:
            reading.rejects.append(Reject(number, "not_finite", self._odd(odd), labels(metric)))

    def _name(self, name: str, metric: Mapping[str, str]) -> str:
        found = self._columns[name](metric)
        return read_name(self._options.defaults.get(name, "") if found is MISSING or found == "" else found, name)

    def _odd(self, odd: Sequence[tuple[int, str]]) -> str:
        zone = ZoneInfo(self._options.timezone)
        first, last = (datetime.fromtimestamp(at, UTC).astimezone(zone).isoformat() for at in (odd[0][0], odd[-1][0]))
        shown = "、".join(sorted({text for _, text in odd}))
        return f"{len(odd)} 个值不是有限的数（{shown}），从 {first} 到 {last}"


def labels(metric: Mapping[str, str]) -> str:
    """A series as Prometheus writes it."""
    rest = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in sorted(metric.items()) if k != "__name__")
    return f"{metric.get('__name__', '')}{{{rest}}}"


def parse(answer: Answer) -> dict[str, Any]:
    """The JSON of an answer that says that it succeeded. Raises CollectError: not_json, query, timeout, shape …"""
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        kind = "a page for people" if looks_like_html(answer.body[:1000].decode("utf-8", "replace")) else "not JSON"
        raise CollectError(
            "not_json", f"{kind} instead of a Prometheus answer: {answer.describe()}; check url"
        ) from None
    if not isinstance(data, dict) or data.get("status") not in ("success", "error"):
        raise CollectError("shape", f"not the answer of a Prometheus server: {answer.describe()}; check url")
    if data["status"] == "error":
        raise error_of(data)
    return data


ERRORS = {
    "bad_data": ("query", True),
    "not_found": ("query", True),
    "execution": ("query", False),
    "timeout": ("timeout", False),
    "canceled": ("timeout", False),
}
"""errorType of Prometheus -> our reason, and whether it is permanent"""


def error_of(data: Mapping[str, Any]) -> CollectError:
    kind = str(data.get("errorType", ""))
    said = f"the Prometheus server says {kind}: {str(data.get('error', ''))[:400]}"
    if kind == "unavailable":
        return RetryableError("http_status", said)
    reason, permanent = ERRORS.get(kind, ("source", False))
    return CollectError(reason, said, permanent=permanent)


def judge(answer: Answer, now: datetime) -> None:
    """Raise for an answer with an error status: what Prometheus says of it, where it says anything."""
    if answer.status in (400, 404, 405, 422, 500, 503):
        try:
            data = json.loads(answer.body)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict) and data.get("status") == "error" and data.get("errorType") in ERRORS:
            raise error_of(data)
    check_status(answer, now)
