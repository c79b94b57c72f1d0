"""The console's pages are loaded while the daemon already answers: who asks for one earlier waits for it.

Their modules are half of what the web side loads, and nothing that warns needs them. So the daemon is ready without
them and loads them at once afterwards, which takes some tenths of a second. Where they cannot be loaded, who waits is
told so, and the daemon ends as at any other fault of its start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.web.problem import Problem

AT_ONCE = ("/healthz", "/readyz", "/metrics", "/api/")
"""How the paths begin that need no page."""


class Loading:
    """Something that is loaded once, in whatever thread, and for which requests wait."""

    def __init__(self) -> None:
        self._done: Future[bool] = Future()
        self._done.set_running_or_notify_cancel()  # so nobody who goes away while waiting can cancel it for others

    def load(self, work: Callable[[], None]) -> None:
        """Do `work` and let everybody in. Raises what it raises; those who wait are refused then."""
        good = False
        try:
            work()
            good = True
        finally:
            self._done.set_result(good)

    async def wait(self) -> bool:
        """Whether it could be loaded; takes until that is known."""
        return self._done.result() if self._done.done() else await asyncio.wrap_future(self._done)


class Waiting:
    """The innermost layer round the routes: lets requests for pages through when there are pages."""

    def __init__(self, app: ASGIApp, *, pages: Loading) -> None:
        self.app, self.pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(AT_ONCE) and not await self.pages.wait():
            problem = Problem("unavailable", "网页程序无法加载，系统即将停止。请通知技术值班人员查看日志")
            await problem.response(scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)
