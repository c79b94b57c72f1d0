"""What every request passes: a request id, a size and a time limit for its body, security headers, the last catch.

Plain ASGI, so that it sees each chunk as it arrives: a body that is too large is refused when its limit is passed,
not after it was read into memory.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from anyio.to_thread import current_default_thread_limiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.problem import Problem

log = logging.getLogger("monitor.web")

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers would hide the origin of our own forms from us
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}
ACK_LINKS = "/a/"  # what follows is the secret of an acknowledge link: never in a log
MAX_REQUESTS = 200
THREADS = 8
"""Handlers that run at the same time. Python runs one of them at a time anyway: with forty, as is usual, each waits
for all the others, and so does the loop that takes requests in. Several are needed: some wait for the database."""
ALWAYS_ANSWERED = ("/healthz",)
DRAIN_BYTES = 1024 * 1024


class BodyReader:
    """`receive` with limits. Raises Problem 413 or 408 inside the application, which turns it into an answer."""

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int, timeout: float) -> None:
        self.receive, self.max_bytes, self.timeout = receive, max_bytes, timeout
        self.declared = Headers(scope=scope).get("content-length", "")
        self.total = 0
        self.done = False
        self.deadline = time.monotonic() + timeout

    async def __call__(self) -> Message:
        if self.done:
            return await self.receive()
        if self.declared.isdigit() and int(self.declared) > self.max_bytes:
            raise self.too_large()
        try:
            message = await asyncio.wait_for(self.receive(), max(0.0, self.deadline - time.monotonic()))
        except TimeoutError:
            detail = f"请求内容未在 {self.timeout:g} 秒内发送完毕，请分批上报或检查网络"
            raise Problem("timeout", detail, headers={"Connection": "close"}) from None
        if message["type"] == "http.request":
            self.total += len(message.get("body", b""))
            self.done = not message.get("more_body", False)
            if self.total > self.max_bytes:
                raise self.too_large()
        return message

    def too_large(self) -> Problem:
        detail = f"请求内容超过 {self.max_bytes} 字节，请分成几批上报"
        return Problem("too-large", detail, headers={"Connection": "close"}, extra={"limit": self.max_bytes})

    async def drain(self) -> None:
        """Read a little of what a refused caller is still sending, so that the answer is not lost with a reset."""
        drained = 0
        while not self.done and drained < DRAIN_BYTES:
            try:
                message = await asyncio.wait_for(self.receive(), 0.5)
            except TimeoutError:
                return
            drained += len(message.get("body", b""))
            self.done = message["type"] != "http.request" or not message.get("more_body", False)


class Guard:
    """The outermost layer round the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        body_timeout: float,
        https: bool = False,
        max_requests: int = MAX_REQUESTS,
    ) -> None:
        self.app, self.max_body_bytes, self.body_timeout = app, max_body_bytes, body_timeout
        self.headers = SECURITY_HEADERS | (HTTPS_ONLY if https else {})
        self.max_requests = max_requests
        self.running = 0
        self.first = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.first:
            self.first = False
            current_default_thread_limiter().total_tokens = THREADS
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        reader = BodyReader(scope, receive, self.max_body_bytes, self.body_timeout)
        status, began = 0, time.monotonic()

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        self.running += 1
        try:
            if self.running > self.max_requests and scope["path"] not in ALWAYS_ANSWERED:
                problem = Problem("unavailable", "请求过多，请稍后重发", headers={"Retry-After": "5"})
                await problem.response(scope)(scope, receive, send_guarded)
            else:
                await self.answer(scope, reader, send_guarded)
        except ClientDisconnect:
            log.info("the caller went away before the request was complete; nothing was stored")
        except Exception:
            log.exception("request %s failed: a bug; nothing was stored, the caller was told 500", request_id)
            if not status:
                problem = Problem(
                    "internal", f"程序内部出错，没有保存任何内容。请把编号 {request_id} 告诉技术值班人员"
                )
                await problem.response(scope)(scope, receive, send_guarded)
        finally:
            self.running -= 1
            seconds = time.monotonic() - began
            log.debug("%s %s %s %d %.3fs", request_id, scope["method"], shown_path(scope), status, seconds)

    async def answer(self, scope: Scope, reader: BodyReader, send: Send) -> None:
        """The application's answer; after a refusal the rest of the body is read off, up to a bound."""
        refused = False

        async def send_noting(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] in (401, 403, 413, 415)
            if message["type"] == "http.response.body" and refused and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await reader.drain()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await send(message)

        await self.app(scope, reader, send_noting)


def shown_path(scope: Scope) -> str:
    """The path for the log, without the secret of an acknowledge link."""
    path = str(scope["path"])
    return f"{ACK_LINKS}…" if path.startswith(ACK_LINKS) else path[:300]
