"""Webhook: one signed POST of JSON per message.

Signed in the manner of the Standard Webhooks specification (https://www.standardwebhooks.com), so that receivers can
use its libraries; docs/alerts.md has a receiver that verifies. The URL comes from the configuration only: a contact's
address is a value inside the body, never somewhere to connect to. Redirects are not followed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from alerts.channels.base import ChannelOptions, Message, SendError, Sent
from alerts.channels.deadline import deadline
from thresholds.settings import Secret, Settings

if TYPE_CHECKING:
    import httpx

ANSWER_LIMIT = 64 * 1024
AGENT = "price-risk-monitor"


class Success(Settings):
    """What an accepted message's answer says, where HTTP 2xx is not enough: { field = "errcode", value = 0 }."""

    field: str
    value: str | int | bool


class WebhookOptions(ChannelOptions):
    """secret   signs each request, see docs/alerts.md
    bearer   sent as `Authorization: Bearer …`, where the receiver wants one
    ca       PEM file of the authority that signed the receiver's certificate, in place of the system's
    headers  further fixed headers; no secrets
    proxy    http://… through which to go; the environment's proxy variables are not used
    """

    kind: Literal["webhook"]
    url: str
    secret: Secret
    bearer: Secret | None = None
    ca: str = ""
    headers: Mapping[str, str] = {}
    proxy: str = ""
    success: Success | None = None

    @field_validator("url", "proxy")
    @classmethod
    def web_address(cls, value: str) -> str:
        if value and (not value.startswith(("http://", "https://")) or any(c.isspace() for c in value)):
            raise ValueError("this is not a web address|Write it with http:// or https:// in front")
        return value

    @field_validator("headers")
    @classmethod
    def clean_headers(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in value.items():
            if not (name.isascii() and text.isascii() and name.isprintable() and text.isprintable()):
                raise ValueError(f"header {name!r} holds other characters than ASCII|Write it in plain ASCII")
        return value


def signature(secret: str, key: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `key.timestamp.body`. A secret `whsec_…` is base64 behind that."""
    raw = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode("utf-8")
    signed = f"{key}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode("ascii")


class Webhook:
    """2xx is accepted; other 3xx and 4xx are permanent except 401, 403, 408, 425 and 429; 5xx is temporary.

    Once the whole request has left, a lost connection or a time-out is `uncertain`: the receiver may have it.
    """

    def __init__(self, options: WebhookOptions, base: Path) -> None:
        self.name = options.name
        self.options = options
        self.base = base

    def send(self, message: Message, now: datetime) -> Sent:
        import httpx

        body = body_of(message)
        headers = self.headers(message.key, body, now)
        watch = Watch()
        seconds = self.options.timeout.total_seconds()
        with deadline(seconds, lambda: watch.socket) as limit:
            watch.check = limit.check
            try:
                status, answer_headers, answer = self.post(body, headers, watch)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
                raise failure(error, watch, passed=limit.passed) from error
        return self.judge(status, answer_headers, answer, now)

    def headers(self, key: str, body: bytes, now: datetime) -> dict[str, str]:
        timestamp = math.floor(now.timestamp())
        try:
            secret = self.options.secret.read(self.base)
            sign = signature(secret, key, timestamp, body)
            bearer = f"Bearer {self.options.bearer.read(self.base)}" if self.options.bearer else ""
        except ValueError as error:
            raise SendError("auth", f"the secret of channel {self.name} cannot be used: {error}") from error
        return {
            **self.options.headers,
            "content-type": "application/json; charset=utf-8",
            "user-agent": AGENT,
            "idempotency-key": key,
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign,
            **({"authorization": bearer} if bearer else {}),
        }

    def post(self, body: bytes, headers: dict[str, str], watch: Watch) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and the beginning of the answer's body. An answer that breaks off after 2xx is taken."""
        import httpx

        client = httpx.Client(
            verify=self.context(),
            timeout=self.options.timeout.total_seconds(),
            follow_redirects=False,
            trust_env=False,
            proxy=self.options.proxy or None,
        )
        answer = b""
        with (
            client,
            client.stream(
                "POST", self.options.url, content=body, headers=headers, extensions={"trace": watch.note}
            ) as response,
        ):
            try:
                for piece in response.iter_raw(8192):
                    answer += piece
                    if len(answer) >= ANSWER_LIMIT:
                        break
            except httpx.HTTPError:
                if self.options.success is not None:
                    raise
            return response.status_code, response.headers, answer

    def context(self) -> ssl.SSLContext | bool:
        if not self.options.url.startswith("https://"):
            return False
        try:
            return ssl.create_default_context(cafile=str(self.base / self.options.ca) if self.options.ca else None)
        except (OSError, ssl.SSLError) as error:
            raise SendError("tls", f"the authority file of channel {self.name} cannot be used: {error}") from error

    def judge(self, status: int, headers: Mapping[str, str], answer: bytes, now: datetime) -> Sent:
        """Whether an answer means "accepted". Raises SendError where it does not."""
        if 200 <= status < 300:
            return self.accepted(answer)
        wait = retry_after(headers.get("retry-after", ""), now)
        reason = {401: "auth", 403: "auth", 429: "rate_limited"}.get(status, "http_status")
        mends = status in (401, 403, 408, 425, 429) or status >= 500
        redirected = "; redirects are not followed, correct the URL" if 300 <= status < 400 else ""
        said = f"the receiver answered {status}{redirected}"
        raise SendError(reason, said, permanent=not mends, retry_after=wait)

    def accepted(self, answer: bytes) -> Sent:
        fields = json_object(answer)
        wanted = self.options.success
        if wanted is not None and not same(fields.get(wanted.field), wanted.value):
            got = f"{wanted.field} = {fields.get(wanted.field)!r}"[:100]
            raise SendError("rejected", f"the receiver answered 2xx, but with {got} instead of {wanted.value!r}")
        number = fields.get("id")
        return Sent(provider_id=str(number)[:100] if isinstance(number, str | int) else "")


class Watch:
    """Follows one request: the socket to cut when time is up, and whether the whole request has left."""

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.left = False
        self.check: Callable[[], None] = lambda: None

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self.socket = info["return_value"].get_extra_info("socket")
        elif event.endswith(".send_request_body.complete"):
            self.left = True
        elif event.endswith(".send_request_headers.started"):
            self.check()


def failure(error: Exception, watch: Watch, *, passed: bool) -> SendError:
    """Our error for one of httpx: its word, and whether the message may have arrived all the same."""
    import httpx

    left = watch.left
    may = "; it may have arrived" if left else ""
    if passed or isinstance(error, httpx.TimeoutException):
        return SendError("timeout", f"no complete answer within the time-out{may}", uncertain=left)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return SendError("protocol", f"the URL cannot be used: {error}", permanent=True)
    if isinstance(error, httpx.ConnectError):
        reason = "tls" if isinstance(root(error), ssl.SSLError) else "refused"
        return SendError(reason, f"no connection to the receiver ({error})")
    reason = "protocol" if isinstance(error, httpx.ProtocolError) else "io"
    return SendError(reason, f"the connection broke ({error or type(error).__name__}){may}", uncertain=left)


def root(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def body_of(message: Message) -> bytes:
    """The JSON that is sent: the message, and under `data` the facts for programs. Keys are in docs/alerts.md."""
    value = {
        "key": message.key,
        "to": message.address,
        "subject": message.subject,
        "text": message.body,
        "link": message.link,
        "created_at": message.created_at.astimezone(UTC).isoformat(),
        "attempt": message.attempt,
        "repeat": message.repeat,
        "data": dict(message.payload),
    }
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def json_object(answer: bytes) -> dict[str, Any]:
    """The answer as a JSON object; empty where it is none."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def same(found: object, wanted: object) -> bool:
    """Equal and of the same type: 0 is not False, "0" is not 0."""
    return type(found) is type(wanted) and found == wanted


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None where it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
