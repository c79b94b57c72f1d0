"""Prices over HTTP: JSON, JSON lines or CSV, whole or by pages, asked again only for what is new.

What is kept between fetches: the newest time stored (`last_at`), the validators of the last whole answer (`etag`,
`modified`, for the request `asked`) and, after a fetch that did not come to its end, where to go on (`resume`).
`last_at` moves on only when the last page is stored, because pages need not come in order of time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random as randomness
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from collectors.base import CollectError, Cursor, Fetched
from collectors.deadline import Deadline
from collectors.http_client import (
    Answer,
    ClientOptions,
    Request,
    SourceClient,
    Transport,
    check_status,
    make_transport,
    shown,
)
from collectors.http_content import Content, Success, read_content
from collectors.http_paging import Page, Paging, Position
from collectors.paths import Path
from collectors.retry import Random, Sleep
from collectors.rows import RowReader, Rows, join
from collectors.sheet_header import mapping_problems
from collectors.timing import Span, check_template, latest, signature
from thresholds.settings import Duration

log = logging.getLogger(__name__)

FLUSH_ROWS = 50_000
"""pages are put together until they have so many rows, then stored: few transactions, and values that contradict
each other on two pages are judged together"""


class HttpOptions(ClientOptions):
    """A source asked over HTTP; docs/collectors.md describes every key.

    `url`, `params` and the texts in `body` may hold {since:FORMAT} and {now:FORMAT}.
    """

    kind: Literal["http"]
    format: Literal["auto", "json", "jsonl", "csv"] = "auto"
    rows: str = ""
    """path to the list of rows in a JSON answer; empty: the answer is the list"""
    body: Mapping[str, Any] | None = None
    """JSON sent with POST; without it the source is asked with GET"""
    encoding: str = ""
    success: Success | None = None
    paging: Paging | None = None
    max_rows: int = Field(default=200_000, ge=1)
    """most rows in one answer"""
    max_pages: int = Field(default=100, ge=1)
    overlap: Duration = timedelta(days=2)
    history: Duration = timedelta(days=365)

    @field_validator("rows")
    @classmethod
    def is_path(cls, value: str) -> str:
        return Path.parse(value).text

    @model_validator(mode="after")
    def templates_and_mapping(self) -> Self:
        for text in (self.url, *self.params.values(), *texts(self.body)):
            check_template(text)
        if self.format == "csv":
            if problems := mapping_problems(self.columns, self.defaults):
                raise ValueError(problems[0])
        else:
            RowReader.of(self)
        if self.format in ("csv", "jsonl") and self.paging and self.paging.path:
            raise ValueError(f"paging.path needs JSON, not {self.format}|Use paging by page, offset or link")
        return self


@dataclass
class Progress:
    """Where one fetch is."""

    signature: str
    span: Span
    old: Cursor
    kept: Cursor
    """the last cursor given out, at first the old one"""
    position: Position = field(default_factory=dict)
    resumed: bool = False
    pages: int = 0
    rows: int = 0
    newest: int | None = None

    @classmethod
    def of(cls, options: HttpOptions, cursor: Cursor, now: datetime) -> Progress:
        mark = signature(options)
        old = cursor if cursor.get("for") == mark else {}
        progress = cls(mark, Span.of(old, now, overlap=options.overlap, history=options.history), old, old)
        if options.paging and (resume := old.get("resume")):
            progress.position, progress.newest, progress.resumed = resume["position"], resume["newest"], True
            since = datetime.fromtimestamp(resume["since"], UTC)  # the same pages as when it was interrupted
            progress.span = replace(progress.span, since=since)
        return progress

    def restart(self) -> None:
        self.position, self.resumed = {}, False

    def note(self, rows: Rows, now: datetime) -> None:
        self.pages += 1
        self.rows += rows.count
        self.newest = latest(self.newest, rows.newest(now))

    def unfinished(self) -> dict[str, Any]:
        """The cursor in the middle: `last_at` stays, and the next fetch goes on at `position`."""
        since = int(self.span.since.timestamp())
        resume = {"position": dict(self.position), "newest": self.newest, "since": since}
        kept = {"for": self.signature, "resume": resume}
        return kept if self.span.last_at is None else {**kept, "last_at": self.span.last_at}

    def finished(self, validators: Mapping[str, str]) -> dict[str, Any]:
        last_at = self.span.advance(self.newest)
        return {"for": self.signature, **({} if last_at is None else {"last_at": last_at}), **validators}


class HttpCollector:
    """One HTTP source. `base` is the folder of the configuration file; the rest is for tests and for the daemon.

    `sleep` waits between tries; it may raise to end the fetch early (at shutdown).
    """

    def __init__(
        self,
        options: HttpOptions,
        *,
        base: FilePath = FilePath(),
        sleep: Sleep = time.sleep,
        random: Random = randomness.random,
        transport: Transport = make_transport,
    ) -> None:
        self.name = options.name
        self._options = options
        self._base, self._sleep, self._random, self._transport = base, sleep, random, transport
        self._zone = ZoneInfo(options.timezone)
        self._reader = RowReader({}, {}, options.timezone) if options.format == "csv" else RowReader.of(options)

    def fetch(self, cursor: Cursor, now: datetime) -> Iterator[Fetched]:
        """Yield what is new since `cursor`. Raises CollectError; what was yielded before stays stored."""
        progress = Progress.of(self._options, cursor, now)
        with Deadline(self._options.deadline.total_seconds()) as deadline, self._client(now, deadline) as client:
            try:
                yield from self._pages(client, progress, now)
            except CollectError as error:
                if not (progress.resumed and progress.pages == 0 and error.permanent):
                    raise
                # a page token or link that was kept may have expired since: begin anew
                log.info("%s: page kept from the last fetch is refused (%s); starting at the first", self.name, error)
                progress.restart()
                yield from self._pages(client, progress, now)

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

    def _pages(self, client: SourceClient, progress: Progress, now: datetime) -> Iterator[Fetched]:
        """All pages from `progress.position` on, put together to at most about FLUSH_ROWS rows."""
        waiting: list[Rows] = []
        body = b""
        try:
            while True:
                request = self._request(progress)
                answer = client.ask(request, check_status)
                if answer.status == 304:
                    return
                if progress.pages and answer.body == body:
                    raise CollectError("paging", f"{self.name}: page after page is the same; check paging.param")
                body = answer.body
                content = self._read(client, answer, progress)
                following = self._following(client, answer, content, progress)
                waiting.append(content.rows)
                progress.note(content.rows, now)
                if following is None:
                    break
                progress.position = following
                if progress.pages >= self._options.max_pages:
                    log.info("%s: stopped after max_pages %d; the next turn goes on", self.name, progress.pages)
                    break
                if sum(len(rows.batch) for rows in waiting) >= FLUSH_ROWS:
                    yield self._fetched(progress, waiting, progress.unfinished())
                    waiting = []
        except CollectError:
            if waiting:
                yield self._fetched(progress, waiting, progress.unfinished())
            raise
        if following is not None:
            yield self._fetched(progress, waiting, progress.unfinished())
            return
        last = progress.finished({} if self._options.paging else validators(request, answer))
        stale = progress.span.stale_since(progress.newest)
        if any(rows.count for rows in waiting) or last != progress.kept or stale:
            yield self._fetched(progress, waiting, last, stale)

    def _fetched(
        self, progress: Progress, waiting: list[Rows], cursor: Cursor, stale: datetime | None = None
    ) -> Fetched:
        rows = join(waiting)
        progress.kept = cursor
        return Fetched(shown(self._options.url), rows.batch, rows.rejects, cursor, stale)

    def _request(self, progress: Progress) -> Request:
        """What to ask for the page at `progress.position`."""
        options, position, span = self._options, progress.position, progress.span
        if "url" in position:  # a link is complete as it is
            return Request(str(position["url"]))
        params = {k: span.fill(v, self._zone) for k, v in options.params.items()}
        paging = options.paging.params(position) if options.paging else {}
        url = span.fill(options.url, self._zone)
        if options.body is not None:
            return Request(url, params, json={**filled(options.body, span, self._zone), **paging})
        request = Request(url, params | {k: str(v) for k, v in paging.items()})
        return request if options.paging else replace(request, headers=conditions(request, progress.old))

    def _read(self, client: SourceClient, answer: Answer, progress: Progress) -> Content:
        try:
            return read_content(self._options, answer, self._reader, first_row=progress.rows + 1)
        except CollectError as error:
            message = client.secrets.redact(f"{self.name}: {answer.url}: {error}")
            raise CollectError(error.reason, message, permanent=error.permanent) from None

    def _following(
        self, client: SourceClient, answer: Answer, content: Content, progress: Progress
    ) -> Position | None:
        """Where the next page is, or None; secrets never go into a position, because it is stored."""
        if not self._options.paging:
            return None
        page = Page(progress.position, answer.url, answer, content.json, content.rows.count)
        position = self._options.paging.following(page)
        if position == progress.position:
            raise CollectError("paging", f"{self.name}: the source names the same page as the next one")
        if position and "url" in position:
            position = {"url": client.without_secrets(str(position["url"]))}
            client.check_target(str(position["url"]))
        return position


VALIDATORS = (("etag", "etag", "if-none-match"), ("modified", "last-modified", "if-modified-since"))
"""key in the cursor, header of the answer, header of the next request"""


def validators(request: Request, answer: Answer) -> dict[str, str]:
    """What to keep of an answer, so that it is not sent again while it is unchanged."""
    found = {key: value for key, header, _ in VALIDATORS if (value := answer.headers.get(header, ""))}
    return {**found, "asked": fingerprint(request)} if found else {}


def conditions(request: Request, old: Cursor) -> dict[str, str]:
    """Headers that ask for an answer only if it changed; only for the very same request."""
    if old.get("asked") != fingerprint(request):
        return {}
    return {header: str(old[key]) for key, _, header in VALIDATORS if key in old}


def fingerprint(request: Request) -> str:
    """A short text for what is asked, without what the texts in it say."""
    asked = json.dumps([request.url, sorted(request.params.items())])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def filled(value: Any, span: Span, zone: ZoneInfo) -> Any:
    """A JSON value with the placeholders in its texts replaced."""
    if isinstance(value, str):
        return span.fill(value, zone)
    if isinstance(value, Mapping):
        return {key: filled(inner, span, zone) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, span, zone) for inner in value]
    return value
