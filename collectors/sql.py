"""Prices from somebody else's database: one read-only query with :since and :now, streamed.

Nothing is ever written there: the transaction is read-only where the database knows that (PostgreSQL, SQLite), and
never committed.

A query that gives its rows oldest first (`ordered = true`) is stored piece by piece, cut between two times, and goes
on from the last piece after an interruption. Any other result is stored whole or not at all, and so is limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator
from sqlalchemy import Connection, CursorResult, NullPool, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from collectors.base import CollectError, Cursor, Fetched, SourceOptions
from collectors.deadline import Deadline
from collectors.redact import Secrets
from collectors.rows import RowReader, Rows, join, no_rows
from collectors.sheet_values import clip
from collectors.timing import Span, latest, show, signature
from thresholds.settings import Duration, Secret

READS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)
BINDS = frozenset({"since", "now"})
Numbered = list[tuple[int, Any]]
"""result rows with their 1-based numbers"""


class SqlOptions(SourceOptions):
    """A source that is a database query; docs/collectors.md describes every key."""

    kind: Literal["sql"]
    url: str | Secret
    """an SQLAlchemy URL without password, or a secret that is the whole URL"""
    password: Secret | None = None
    query: str
    """one SELECT; may use :since and :now"""
    time_as: str = "datetime"
    """what :since and :now are: datetime (local, without offset), date, utc, epoch, epoch_ms, or a strftime format"""
    ordered: bool = False
    """the query gives its rows oldest first"""
    connect_args: Mapping[str, str | int | float | bool] = {}
    """further arguments of the database driver"""
    connect_timeout: Duration = timedelta(seconds=10)
    timeout: Duration = timedelta(minutes=1)
    """longest time of one statement"""
    deadline: Duration = timedelta(minutes=5)
    """longest time of the whole fetch"""
    chunk_rows: int = Field(default=50_000, ge=1)
    row_limit: int = Field(default=200_000, ge=1)
    overlap: Duration = timedelta(days=2)
    history: Duration = timedelta(days=365)

    @field_validator("url")
    @classmethod
    def no_password(cls, value: str | Secret) -> str | Secret:
        if isinstance(value, str):
            try:
                url = make_url(value)
            except ArgumentError:
                raise ValueError("not a database URL|Write it as postgresql+psycopg://user@host/name") from None
            if url.password or "password" in url.query:
                raise ValueError("the URL holds a password in plain text|Use password = { env = … }")
        return value

    @field_validator("query")
    @classmethod
    def reads_only(cls, value: str) -> str:
        if not READS.match(value):
            raise ValueError("the query is no SELECT|Write one statement that begins with SELECT or WITH")
        if unknown := sorted(set(text(value).compile().params) - BINDS):
            raise ValueError(
                f":{unknown[0]} is unknown in the query|Use :since and :now; write \\: for a plain colon"
            )
        return value

    @field_validator("time_as")
    @classmethod
    def known_form(cls, value: str) -> str:
        if value not in ("datetime", "date", "utc", "epoch", "epoch_ms") and "%" not in value:
            raise ValueError(f"{value!r} is no form of time|Use datetime, date, utc, epoch, epoch_ms or %Y%m%d")
        return value

    @model_validator(mode="after")
    def mapping(self) -> Self:
        RowReader.of(self)
        return self


class SqlCollector:
    """One database query. `base`: folder that relative SQLite and secret files are relative to."""

    def __init__(self, options: SqlOptions, *, base: Path = Path()) -> None:
        self.name = options.name
        self._options, self._base = options, base
        self._reader = RowReader.of(options)

    def fetch(self, cursor: Cursor, now: datetime) -> Iterator[Fetched]:
        """Yield what is new since `cursor`. Raises CollectError; what was yielded before stays stored."""
        options = self._options
        mark = signature(options)
        old = cursor if cursor.get("for") == mark else {}
        span = Span.of(old, now, overlap=options.overlap, history=options.history)
        secrets = Secrets(self._base)
        url = self._url(secrets)
        seconds = options.deadline.total_seconds()
        if url.get_backend_name() == "sqlite":  # has no statement time-out of its own
            seconds = min(seconds, options.timeout.total_seconds())
        with Deadline(seconds) as deadline:
            try:
                for part in self._parts(url, span, deadline):
                    last_at = span.advance(part.newest)
                    kept = {"for": mark} if last_at is None else {"for": mark, "last_at": last_at}
                    if part.rows.count or kept != old:
                        stale = span.stale_since(part.newest) if part.last else None
                        yield Fetched(clip(options.query, 200), part.rows.batch, part.rows.rejects, kept, stale)
            except (SQLAlchemyError, UnicodeError, ImportError) as error:
                raise self._failure(error, deadline, secrets) from None

    def _parts(self, url: URL, span: Span, deadline: Deadline) -> Iterator[Part]:
        """The result in parts, each of which may be stored when it comes."""
        options = self._options
        with self._connect(url, deadline) as connection:
            self._prepare(connection)
            size = min(options.chunk_rows, options.row_limit + 1)
            rows = connection.execution_options(stream_results=True, max_row_buffer=size).execute(
                text(options.query), self._binds(span, url)
            )
            chunks = self._numbered(rows, deadline)
            yield from self._ordered(chunks, span) if options.ordered else self._whole(chunks, span)

    def _numbered(self, result: CursorResult[Any], deadline: Deadline) -> Iterator[Numbered]:
        number, size = 1, min(self._options.chunk_rows, self._options.row_limit + 1)
        for chunk in result.mappings().partitions(size):
            if deadline.expired:
                raise CollectError("timeout", f"{self.name}: not finished after {deadline.seconds:g} s")
            yield [(number + position, dict(row)) for position, row in enumerate(chunk)]
            number += len(chunk)

    def _whole(self, chunks: Iterator[Numbered], span: Span) -> Iterator[Part]:
        """The whole result as one part: rows in any order cannot be cut without losing some when interrupted."""
        parts, seen = [no_rows()], 0
        for chunk in chunks:
            seen += len(chunk)
            if seen > self._options.row_limit:
                raise self._too_many("give the rows oldest first (ORDER BY, ordered = true)")
            parts.append(self._reader.read_numbered(chunk))
        read = join(parts)
        yield Part(read, read.newest(span.now), True)

    def _ordered(self, chunks: Iterator[Numbered], span: Span) -> Iterator[Part]:
        """Parts that end between two times, so that all rows up to a part's newest time are in it or before it."""
        left, previous, newest, seen = no_rows(), None, None, 0
        for chunk in chunks:
            seen += len(chunk)
            read = self._reader.read_numbered(chunk)
            previous = self._check_order(read, previous)
            done, left = join([left, read]).split_last_time()
            if done.count:
                newest = latest(newest, done.newest(span.now))
                yield Part(done, newest, False)
            if seen > self._options.row_limit:
                if newest is None or (span.last_at is not None and newest <= span.last_at):
                    raise self._too_many("or make overlap shorter")
                return
        yield Part(left, latest(newest, left.newest(span.now)), True)

    def _check_order(self, read: Rows, previous: int | None) -> int | None:
        at = read.batch.at
        if not len(at):
            return previous
        if (previous is not None and at[0] < previous) or bool((at[1:] < at[:-1]).any()):
            raise CollectError(
                "order",
                f"{self.name}: ordered = true, but a row is older than the one before it; add ORDER BY its date",
                permanent=True,
            )
        return int(at[-1])

    def _too_many(self, remedy: str) -> CollectError:
        limit = self._options.row_limit
        return CollectError(
            "too_large",
            f"{self.name}: the query gives more than row_limit = {limit:,} rows; raise it, {remedy}",
            permanent=True,
        )

    def _binds(self, span: Span, url: URL) -> dict[str, Any]:
        """Values of those of :since and :now that the query uses."""
        zone, form = ZoneInfo(self._options.timezone), self._options.time_as
        bare = url.get_backend_name() == "sqlite"  # keeps times as texts, if at all
        return {
            name: bind(getattr(span, name).astimezone(zone), form, as_text=bare)
            for name in text(self._options.query).compile().params
        }

    def _url(self, secrets: Secrets) -> URL:
        """The URL with its password, SQLite files found and present."""
        options = self._options
        try:
            given = options.url
            url = make_url(secrets.read(given, f"{self.name}: url") if isinstance(given, Secret) else given)
        except ArgumentError:
            raise CollectError("url", f"{self.name}: url is not a database URL", permanent=True) from None
        if options.password:
            url = url.set(password=secrets.read(options.password, f"{self.name}: password"))
        secrets.hide(url.password or "")
        if url.get_backend_name() == "sqlite":
            path = self._base / (url.database or "")
            if not path.is_file():  # SQLite would make an empty one
                raise CollectError("unreachable", f"{self.name}: there is no database file {url.database}")
            url = url.set(database=str(path))
        return url

    @contextmanager
    def _connect(self, url: URL, deadline: Deadline) -> Iterator[Connection]:
        """A connection that ends with the deadline. Raises CollectError where there is none."""
        options = self._options
        arguments: dict[str, Any] = {**driver_arguments(url, options), **options.connect_args}
        engine = create_engine(url, poolclass=NullPool, connect_args=arguments)

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            # before SQLAlchemy's own first questions, so that a server that hangs there is left too
            connection = dialect.connect(*args, **parameters)
            watch(connection, deadline)
            return connection

        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def _prepare(self, connection: Connection) -> None:
        """Make the transaction read-only and limit its statements, where the database can."""
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        elif connection.dialect.name == "postgresql":
            limit = int(self._options.timeout.total_seconds() * 1000)
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {limit}")
            zone = self._options.timezone.replace("'", "")
            connection.exec_driver_sql(f"SET LOCAL TIME ZONE '{zone}'")

    def _failure(self, error: Exception, deadline: Deadline, secrets: Secrets) -> CollectError:
        """What SQLAlchemy or the driver raised, in our words, without the parameters and without secrets."""
        cause = getattr(error, "orig", None) or error
        said = " ".join(secrets.redact(str(cause)).split())[:400]
        reason, problem, permanent = classify(error, cause, said)
        if deadline.expired:
            reason, problem, permanent = "timeout", f"not finished after {deadline.seconds:g} s", False
        return CollectError(reason, f"{self.name}: {problem} ({said})", permanent=permanent)


def classify(error: Exception, cause: object, said: str) -> tuple[str, str, bool]:
    """Reason, problem in words, and whether it is permanent."""
    state = getattr(cause, "sqlstate", None) or ""
    if isinstance(error, ImportError | NoSuchModuleError):
        return "driver", "the database driver is not installed", True
    if isinstance(error, UnicodeError) or "decode to UTF-8" in said:
        return "encoding", "the database holds text in another encoding than it says", False
    if state == "57014":
        return "timeout", "a statement took longer than timeout", False
    if state.startswith("28") or "authentication failed" in said:
        return "auth", "the database does not admit us; check user and password", True
    if "is locked" in said:
        return "locked", "the database is locked by another program", False
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or error.statement is None or state.startswith(("08", "57P", "53"))
    ):
        return "unreachable", "the database cannot be reached or went away", False
    return "query", "the query failed", True


def driver_arguments(url: URL, options: SqlOptions) -> dict[str, Any]:
    """What the drivers that we know call the time-out of connecting (SQLite: of waiting for a lock)."""
    seconds = min(options.connect_timeout, options.deadline).total_seconds()
    if url.get_backend_name() == "sqlite":
        return {"timeout": seconds}
    return {"connect_timeout": max(1, round(seconds))} if url.get_backend_name() in ("postgresql", "mysql") else {}


def watch(connection: Any, deadline: Deadline) -> None:
    """Have what the driver's connection is waiting for ended at the deadline."""
    if hasattr(connection, "interrupt"):  # SQLite
        deadline.watch(connection.interrupt)
    elif hasattr(connection, "fileno"):  # psycopg: its own cancel() would wait for the server
        deadline.watch_descriptor(connection.fileno())
    elif hasattr(connection, "cancel"):
        deadline.watch(connection.cancel)


def bind(at: datetime, form: str, *, as_text: bool) -> Any:
    """`at` (local) as the query wants it; `as_text` for databases that keep times as texts."""
    if form == "date":
        return at.date().isoformat() if as_text else at.date()
    if form in ("datetime", "utc"):
        moment = at.replace(tzinfo=None) if form == "datetime" else at.astimezone(UTC)
        return moment.isoformat(" ", timespec="seconds") if as_text else moment
    shown = show(at, form)
    return int(shown) if form in ("epoch", "epoch_ms") else shown


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows, the newest time (epoch seconds) of all rows so far, and whether it is the last part."""

    rows: Rows
    newest: int | None
    last: bool
