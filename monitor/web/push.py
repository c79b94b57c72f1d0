"""A push: read the body, store it with its answer in one transaction, answer per row; the same again for a repeat."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import numpy as np
from anyio import CapacityLimiter
from starlette.responses import Response

from collectors.base import StoredCounts
from collectors.rows import Rows
from monitor.auth import Principal
from monitor.rights import Action
from monitor.store import observations, sources
from monitor.store.batches import AlreadyAnswered, Answer, Idempotency, find_answer, forget_answers
from monitor.store.database import Database
from monitor.store.errors import StoreError
from monitor.web.context import WebContext
from monitor.web.problem import MEDIA_TYPE, TITLES, TYPE_PREFIX, Problem
from monitor.web.push_body import JSON, read_body, unpacked
from monitor.web.reach_rows import within

KEYS_KEPT = timedelta(hours=48)
PUSH_THREADS = 8
SUCCESS_EVERY = timedelta(minutes=1)
OUTCOMES = {"a": "accepted", "d": "duplicate", "r": "revised", "x": "rejected"}
LETTERS = np.frombuffer(b"adr", np.uint8)  # by observations.Outcome


def forget_old_answers(db: Database, now: datetime) -> int:
    """Drop answers kept for idempotency keys older than 48 hours; gives their number. For a job to call hourly."""
    return forget_answers(db, now - KEYS_KEPT)


class RowResult(msgspec.Struct, omit_defaults=True):
    """One entry of `rows`; see schemas.RowAnswer."""

    index: int
    outcome: str
    line: int = 0
    reason: str = ""
    detail: str = ""


class Result(msgspec.Struct):
    """What became of a push, without what can be worked out from it: this is what is kept under an idempotency key.

    rows     one letter of OUTCOMES per row, in the order sent
    lines    for CSV and JSON lines: the line of each row
    rejects  (reason, detail) of the rejected rows, in the order sent
    """

    batch: int
    rows: str
    lines: list[int]
    rejects: list[tuple[str, str]]

    @property
    def status(self) -> int:
        rejected = self.rows.count("x")
        return 200 if not rejected else 422 if rejected == len(self.rows) else 207

    def results(self) -> Iterator[RowResult]:
        rejects = iter(self.rejects)
        lines = self.lines or [0] * len(self.rows)
        for index, (letter, line) in enumerate(zip(self.rows, lines, strict=True)):
            reason, detail = next(rejects) if letter == "x" else ("", "")
            yield RowResult(index, OUTCOMES[letter], line, reason, detail)

    def response(self, request_id: str, *, replayed: bool) -> Response:
        """The answer, the same for the first request and for each repeat but for the request's own id."""
        counts = Counter(self.rows)
        body: dict[str, object] = {"batch": self.batch}
        body |= {outcome: counts[letter] for letter, outcome in OUTCOMES.items()}
        body["rows"] = list(self.results())
        if self.status == 422:
            title = TITLES["rows-rejected"][1]
            detail = f"{len(self.rows)} 行全部被拒绝，没有保存任何值；每一行的原因见 rows"
            body = {"type": f"{TYPE_PREFIX}rows-rejected", "title": title, "status": 422, "detail": detail} | body
            body["request_id"] = request_id
        headers = {"Idempotency-Replayed": "true"} if replayed else {}
        media_type = MEDIA_TYPE if self.status == 422 else "application/json"
        return Response(msgspec.json.encode(body), self.status, headers, media_type)


def result_of(rows: Rows, added: observations.Added, *, with_lines: bool) -> Result:
    """Stored outcomes and rejects, put back into the order in which the rows were sent."""
    numbers = np.concatenate([rows.batch.row, np.array([r.row for r in rows.rejects], np.int64)])
    letters = np.concatenate([LETTERS[added.outcome], np.full(len(rows.rejects), ord("x"), np.uint8)])
    order = np.argsort(numbers, kind="stable")
    return Result(
        batch=added.batch_id,
        rows=letters[order].tobytes().decode("ascii"),
        lines=numbers[order].tolist() if with_lines else [],
        rejects=[(r.reason, r.detail) for r in sorted(rows.rejects, key=lambda reject: reject.row)],
    )


def few_threads() -> CapacityLimiter:
    return CapacityLimiter(PUSH_THREADS)


@dataclass
class PushState:
    """What is remembered between pushes of one daemon: keys that are being worked on, and small economies.

    `limiter` keeps pushes that wait for the database from taking all threads, so that reading goes on.
    """

    limiter: CapacityLimiter = field(default_factory=few_threads)
    lock: threading.Lock = field(default_factory=threading.Lock)
    working: set[tuple[int, str]] = field(default_factory=set)
    succeeded: dict[str, datetime] = field(default_factory=dict)

    @contextmanager
    def alone(self, token_id: int, key: str) -> Iterator[None]:
        """Hold an idempotency key. Raises Problem 409 where another request holds it at this moment."""
        with self.lock:
            if (token_id, key) in self.working:
                detail = "同一幂等键的请求正在处理，请稍后重发"
                raise Problem("conflict", detail, headers={"Retry-After": "1"})
            self.working.add((token_id, key))
        try:
            yield
        finally:
            with self.lock:
                self.working.discard((token_id, key))

    def note_success(self, db: Database, source: str, now: datetime) -> None:
        """Write that the source works, at most once a minute: it is shown to people, not relied on."""
        with self.lock:
            last = self.succeeded.get(source)
            if last is not None and abs(now - last) < SUCCESS_EVERY:
                return
            self.succeeded[source] = now
        with suppress(StoreError):  # the rows are stored; the next push writes this again
            sources.succeeded(db, source, now)


@dataclass(frozen=True, slots=True)
class Push:
    """One request to push."""

    ctx: WebContext
    state: PushState
    principal: Principal
    request_id: str

    def answer(self, media_type: str, coding: str | None, body: bytes, key: str | None) -> Response:
        """The answer to the request; everything it says is durable by then."""
        if key is None:
            return self.store(media_type, coding, body, None).response(self.request_id, replayed=False)
        digest = hashlib.sha256(f"{media_type}\n{coding or ''}\n".encode() + body).hexdigest()
        with self.state.alone(self.principal.token_id, key):
            answered = find_answer(self.ctx.db, self.principal.token_id, key)
            if answered is not None:
                return self.replay(answered, digest)
            try:
                result = self.store(media_type, coding, body, (key, digest))
            except AlreadyAnswered as error:
                return self.replay(error.answer, digest)
        return result.response(self.request_id, replayed=False)

    def replay(self, answer: Answer, digest: str) -> Response:
        if answer.request_hash != digest:
            raise Problem("idempotency-mismatch", "此幂等键已用于另一内容；新的一批请换一个键")
        return msgspec.json.decode(answer.response, type=Result).response(self.request_id, replayed=True)

    def store(self, media_type: str, coding: str | None, body: bytes, keyed: tuple[str, str] | None) -> Result:
        """Read and store the rows. Raises Problem where the body cannot be read as a whole: nothing is stored."""
        settings, now = self.ctx.settings, self.ctx.now()
        plain = unpacked(body, coding, settings.max_body_bytes)
        limits = {"max_rows": settings.max_rows, "max_bytes": settings.max_body_bytes}
        rows = read_body(media_type, plain, self.ctx.zone, **limits)
        rows = within(self.ctx.db, self.principal.reach(Action.OBSERVATIONS_REPORT), rows)
        with_lines = media_type != JSON
        made: list[Result] = []

        def respond(added: observations.Added) -> tuple[int, str]:
            made.append(result_of(rows, added, with_lines=with_lines))
            return made[-1].status, msgspec.json.encode(made[-1]).decode()

        added = observations.add(
            self.ctx.db,
            rows.batch,
            source=self.principal.source,
            name=f"request {self.request_id}",
            now=now,
            rejects=rows.rejects,
            idempotency=Idempotency(self.principal.token_id, *keyed, respond) if keyed else None,
        )
        self.tell(added.counts, rows, now)
        return made[-1] if made else result_of(rows, added, with_lines=with_lines)

    def tell(self, counts: StoredCounts, rows: Rows, now: datetime) -> None:
        """Wake the evaluation and count, now that the rows are stored."""
        self.ctx.on_stored(self.principal.source, counts, reasons(rows))
        if counts.accepted or counts.revised or counts.duplicate:
            self.state.note_success(self.ctx.db, self.principal.source, now)
        if counts.accepted or counts.revised:
            self.ctx.on_observations()


def reasons(rows: Rows) -> dict[str, int]:
    """How many rows were rejected for which reason."""
    return Counter(reject.reason for reject in rows.rejects)
