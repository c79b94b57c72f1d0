"""Asking one HTTP source: limits on time and size, retries, redirects, and every failure as a CollectError.

Shared by the HTTP and the Prometheus collector.
"""

from __future__ import annotations

import base64
import functools
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from pydantic import Field, field_validator, model_validator

from collectors.base import CollectError, SourceOptions
from collectors.deadline import Deadline
from collectors.http_body import read_limited, snippet, too_large
from collectors.redact import Secrets
from collectors.retry import Backoff, Random, RetryableError, Sleep, parse_retry_after, retrying
from thresholds.settings import Duration, Secret, Settings

if TYPE_CHECKING:  # loaded when a source is first asked, not at start
    import httpx

# httpx logs every URL with its parameters, secrets included; our own log lines say what was asked.
logging.getLogger("httpx").setLevel(logging.WARNING)

MAX_REDIRECTS = 5
AGENT = "price-risk-monitor"
MAX_ERROR_BODY = 65_536
"""bytes read of an answer with an error status"""

Transport = Callable[[ssl.SSLContext, str], "httpx.BaseTransport"]
"""makes the transport of one fetch from the TLS settings and the proxy URL ('' = none)"""


class BasicAuth(Settings):
    """Name and password of HTTP basic authentication."""

    user: str
    password: Secret


class ClientOptions(SourceOptions):
    """Options of every source that is asked over HTTP. Durations are texts such as '10s'."""

    url: str
    headers: Mapping[str, str] = {}
    secret_headers: Mapping[str, Secret] = {}
    params: Mapping[str, str] = {}
    secret_params: Mapping[str, Secret] = {}
    bearer: Secret | None = None
    basic: BasicAuth | None = None
    ca_file: str = ""
    """PEM file of the authority to trust instead of the system's; relative to the configuration file"""
    proxy: str = ""
    """URL of an HTTP proxy; those of the environment are not used"""
    connect_timeout: Duration = timedelta(seconds=10)
    read_timeout: Duration = timedelta(seconds=30)
    """longest silence of the server in the middle of an answer"""
    deadline: Duration = timedelta(minutes=5)
    """longest time for the whole fetch with all pages, retries and waits"""
    max_bytes: int = Field(default=16 * 1024 * 1024, ge=1)
    """largest answer to one request, unpacked"""
    tries: int = Field(default=4, ge=1, le=20)

    @field_validator("url")
    @classmethod
    def whole_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{value!r} is not a whole URL|Write it with http:// or https:// and a host")
        if parts.username or parts.password:
            raise ValueError("the URL holds a name or password|Use basic = { user = …, password = { env = … } }")
        return value

    @model_validator(mode="after")
    def one_authorization(self) -> Self:
        if self.bearer and self.basic:
            raise ValueError("both bearer and basic are given|Keep the one that the source wants")
        return self

    @property
    def has_credentials(self) -> bool:
        return bool(self.bearer or self.basic or self.secret_headers or self.secret_params)


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask for. `url` may have parameters of its own; `params` are set over them."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    """sent as a JSON body with POST where it is not None"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read to its end. `url` is where it came from in the end, without secrets."""

    status: int
    url: str
    headers: httpx.Headers
    body: bytes

    @property
    def content_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset":
                return str(value.strip().strip("\"'"))
        return ""

    def describe(self) -> str:
        return f"status {self.status}, content type {self.content_type or 'none'}, begins {snippet(self.body)}"


def make_transport(context: ssl.SSLContext, proxy: str) -> httpx.BaseTransport:
    import httpx

    return httpx.HTTPTransport(verify=context, proxy=proxy or None, trust_env=False)


class SourceClient:
    """The HTTP side of one fetch. A context manager; everything it raises is a CollectError without secrets."""

    def __init__(
        self,
        options: ClientOptions,
        now: datetime,
        *,
        base: Path,
        deadline: Deadline,
        sleep: Sleep,
        random: Random,
        transport: Transport = make_transport,
    ) -> None:
        import httpx

        self.options, self.now, self.deadline = options, now, deadline
        self._sleep, self._random = sleep, random
        self.secrets = Secrets(base)
        self._headers = {"accept-encoding": "gzip, deflate", "user-agent": AGENT, **options.headers}
        self._headers |= self._authorization()
        self._params = {
            k: self.secrets.read(s, f"{options.name}: secret_params.{k}") for k, s in options.secret_params.items()
        }
        self._client = httpx.Client(
            transport=transport(tls_context(options, base), options.proxy),
            timeout=httpx.Timeout(
                options.read_timeout.total_seconds(), connect=options.connect_timeout.total_seconds()
            ),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def _authorization(self) -> dict[str, str]:
        options, read = self.options, self.secrets.read
        headers = {k: read(s, f"{options.name}: secret_headers.{k}") for k, s in options.secret_headers.items()}
        if options.bearer:
            headers["authorization"] = f"Bearer {read(options.bearer, f'{options.name}: bearer')}"
        if options.basic:
            password = read(options.basic.password, f"{options.name}: basic.password")
            self.secrets.hide(f"{options.basic.user}:{password}")
            coded = base64.b64encode(f"{options.basic.user}:{password}".encode()).decode()
            headers["authorization"] = f"Basic {coded}"
        return headers

    def ask(self, request: Request, judge: Callable[[Answer, datetime], None]) -> Answer:
        """The answer to `request` after redirects and retries. `judge` raises for a status that is a failure.

        Raises CollectError, its message without secrets and with the source's URL.
        """

        def attempt() -> Answer:
            answer = self._follow(request)
            judge(answer, self.now)
            return answer

        try:
            return retrying(
                attempt,
                backoff=Backoff(tries=self.options.tries),
                random=self._random,
                sleep=self._sleep,
                remaining=self.deadline.remaining,
            )
        except CollectError as error:
            message = self.secrets.redact(f"{self.options.name}: {request.url}: {error}")
            raise CollectError(
                error.reason, message, permanent=error.permanent, retry_after=error.retry_after
            ) from None

    def without_secrets(self, url: str) -> str:
        """`url` without the parameters that are secrets, for keeping it in the cursor."""
        import httpx

        parsed = httpx.URL(url)
        for key in self._params:
            parsed = parsed.copy_remove_param(key)
        return self.secrets.redact(str(parsed))

    def _follow(self, request: Request) -> Answer:
        import httpx

        url = httpx.URL(request.url)
        for key, value in request.params.items():
            url = url.copy_set_param(key, value)
        self.check_target(str(url))
        for _ in range(MAX_REDIRECTS + 1):
            for key, value in self._params.items():
                url = url.copy_set_param(key, value)
            answer, location = self._send(url, request)
            if not location:
                return answer
            url = httpx.URL(urljoin(str(url), location))
            self.check_target(str(url))
        raise CollectError("redirect", f"more than {MAX_REDIRECTS} redirects", permanent=True)

    def check_target(self, url: str) -> None:
        """Raise CollectError('redirect') where asking `url` would carry our credentials elsewhere or in the open."""
        home, there = urlsplit(self.options.url), urlsplit(url)
        same_host = home.hostname == there.hostname and (
            port(home.scheme, home.port) == port(there.scheme, there.port)
            or (home.scheme, there.scheme) == ("http", "https")
        )
        if there.scheme not in ("http", "https") or (home.scheme, there.scheme) == ("https", "http"):
            raise CollectError("redirect", f"sent on to {shown(url)}, which is not safe to follow", permanent=True)
        if self.options.has_credentials and not same_host:
            raise CollectError(
                "redirect",
                f"sent on to another host, {shown(url)}, which must not get this source's credentials;"
                " if it is right, make it the url",
                permanent=True,
            )

    def _send(self, url: httpx.URL, request: Request) -> tuple[Answer, str]:
        """One exchange: the answer, and the location where it is a redirect."""
        import httpx

        if self.deadline.expired:
            raise self._late()
        try:
            with self._client.stream(
                "GET" if request.json is None else "POST",
                url,
                headers={**self._headers, **request.headers},
                json=request.json,
                extensions={"trace": self._trace},
            ) as response:
                status = response.status_code
                location = response.headers.get("location", "") if status in (301, 302, 303, 307, 308) else ""
                body = b"" if location or status == 304 else self._read(response)
                return Answer(status, self.secrets.redact(str(url)), response.headers, body), location
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError, OSError) as error:
            # the watchdog's closing of the socket shows as any of these
            raise (self._late() if self.deadline.expired else failure(error)) from None

    def _read(self, response: httpx.Response) -> bytes:
        failed = response.status_code >= 400
        limit = min(MAX_ERROR_BODY, self.options.max_bytes) if failed else self.options.max_bytes
        length = response.headers.get("content-length", "")
        if not failed and length.isdecimal() and int(length) > limit:
            raise too_large(limit)
        try:
            body = read_limited(self._chunks(response), response.headers.get("content-encoding", ""), limit)
        except CollectError:
            if not failed:
                raise
            return b""  # the status says more than the page that came with it
        return body

    def _chunks(self, response: httpx.Response) -> Any:
        for chunk in response.iter_raw():
            if self.deadline.expired:
                raise self._late()
            yield chunk
        if self.deadline.expired:  # where the end of the connection ends the body, our own closing looks like it
            raise self._late()

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Put every connection under the deadline as soon as it exists."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            sock = info["return_value"].get_extra_info("socket")
            if sock is not None:
                self.deadline.watch_socket(sock)

    def _late(self) -> CollectError:
        return CollectError(
            "timeout",
            f"not finished after {self.deadline.seconds:g} s (deadline); what came before is kept",
        )


@functools.cache
def system_context() -> ssl.SSLContext:
    """Trusting what the system trusts; loaded once, because that takes 20 ms."""
    return ssl.create_default_context()


def tls_context(options: ClientOptions, base: Path) -> ssl.SSLContext:
    if not options.ca_file:
        return system_context()
    try:
        return ssl.create_default_context(cafile=str(base / options.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise CollectError(
            "tls", f"{options.name}: ca_file {options.ca_file} cannot be read ({error})", permanent=True
        ) from None


def failure(error: Exception) -> CollectError:
    """What httpx raised, in our words."""
    import httpx

    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, ssl.SSLCertVerificationError):
            return CollectError(
                "tls",
                f"the server's certificate is not trusted ({chain.verify_message}); see ca_file",
                permanent=True,
            )
        chain = chain.__cause__ or chain.__context__
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        return RetryableError("timeout", "no connection within connect_timeout")
    if isinstance(error, httpx.TimeoutException):
        return CollectError("timeout", "the server was silent for longer than read_timeout")
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return RetryableError("refused", f"no connection ({text})")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return CollectError("url", f"not a usable URL ({text})", permanent=True)
    return RetryableError("broken", f"the connection broke ({text})")


def check_status(answer: Answer, now: datetime) -> None:
    """Raise for every status that is not an answer; 2xx and 304 pass."""
    status = answer.status
    if 200 <= status < 300 or status == 304:
        return
    wait = parse_retry_after(answer.headers.get("retry-after"), now)
    if status in (401, 403, 407):
        raise CollectError("auth", f"not admitted: {answer.describe()}; check the credentials", permanent=True)
    if status == 429:
        raise RetryableError("rate_limited", f"asked too often: {answer.describe()}", retry_after=wait)
    if status in (502, 503, 504):
        raise RetryableError("http_status", f"the server is not available: {answer.describe()}", retry_after=wait)
    permanent = 300 <= status < 500 and status not in (408, 421, 423, 425)
    raise CollectError("http_status", answer.describe(), permanent=permanent, retry_after=wait)


def port(scheme: str, given: int | None) -> int:
    return given or (443 if scheme == "https" else 80)


def shown(url: str) -> str:
    """Where a URL leads, without its parameters."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
