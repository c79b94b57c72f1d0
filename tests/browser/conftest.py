"""Real pages in a real Chromium: one browser per test process, one context (cookies, cache) per tab.

A tab fails its test on any error in the browser's console, any exception in a script, any breach of the content
security policy, any failed request, and any request to another host.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.browser.checks import WITHOUT_SCRIPTS
from tests.console import people
from tests.web.conftest import Running, Serve, running, serve

__all__ = ["running", "serve"]

FLAGS = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE_MS = 15_000
GONE = ("net::ERR_INTERNET_DISCONNECTED", "net::ERR_FAILED")
"""What a browser, or a service worker that has nothing kept, says without a network."""


def chromium_path() -> str | None:
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser. Tests are skipped where there is none."""
    path = chromium_path()
    if path is None:
        pytest.skip(
            "Chromium is not installed (apt-get install chromium fonts-wqy-microhei): no page is tested in it"
        )
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *root], headless=True)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What went wrong in a tab."""

    origin: str
    faults: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    """answers that a test asked for, such as 404"""
    offline: bool = False
    """the test takes the network away"""

    def follow(self, page: Page) -> None:
        page.on("console", self.on_console)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("request", self.on_request)
        page.on("requestfailed", self.on_failed)
        page.on("response", self.on_response)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self.is_expected(message.text):
            self.faults.append(f"console: {message.text}")

    def is_expected(self, text: str) -> bool:
        if self.offline and any(word in text for word in GONE):
            return True
        return "Failed to load resource" in text and any(f"status of {status} " in text for status in self.statuses)

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((self.origin + "/", "data:", "blob:", "about:")):
            self.faults.append(f"request to another host: {request.url}")

    def on_failed(self, request: Request) -> None:
        if self.offline and request.failure in GONE:
            return
        if request.failure != "net::ERR_ABORTED":  # left before it was answered
            self.faults.append(f"request failed: {request.url}: {request.failure}")

    def on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.statuses:
            self.faults.append(f"answer {response.status}: {response.url}")


class Tabs:
    """Makes tabs on one server; see `tabs`."""

    def __init__(self, chromium: Chromium, running: Running) -> None:
        self.chromium, self.running = chromium, running
        self.watches: list[Watch] = []
        self.contexts: list[BrowserContext] = []

    def __call__(
        self,
        who: people.Browser | None = None,
        *,
        language: str = "zh-CN",
        width: int = 1280,
        scripts: bool = True,
        dark: bool = False,
        statuses: tuple[int, ...] = (),
        offline: bool = False,
        **options: Any,
    ) -> Page:
        """A tab in a browser of its own. `who` is signed in; `statuses` are answers that are no fault, such as 404;
        `offline`: the test takes the network away, which is no fault either.

        Addresses are given to `goto` without the host. `options` go to playwright's `new_context`.
        """
        context = self.chromium.new_context(
            base_url=self.running.url,
            locale=language,
            timezone_id="Asia/Shanghai",
            viewport={"width": width, "height": 800},
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        if not scripts:
            WITHOUT_SCRIPTS.add(context)
        if who is not None:
            host = urlsplit(self.running.url).hostname or ""
            context.add_cookies(
                [{"name": c.name, "value": c.value or "", "domain": host, "path": "/"} for c in who.cookies.jar]
            )
        watch = Watch(self.running.url, statuses=set(statuses), offline=offline)
        context.on("page", watch.follow)
        self.watches.append(watch)
        self.contexts.append(context)
        return context.new_page()

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        faults = [fault for watch in self.watches for fault in watch.faults]
        assert not faults, "\n".join(faults)


@pytest.fixture
def open_tabs(chromium: Chromium, serve: Serve) -> Iterator[Callable[[Running], Tabs]]:
    """Tabs on a server that the test starts itself: open_tabs(serve(…))(). They are closed before the servers end."""
    made: list[Tabs] = []

    def on(running: Running) -> Tabs:
        made.append(Tabs(chromium, running))
        return made[-1]

    yield on
    for tabs in made:
        tabs.close()


@pytest.fixture
def tabs(open_tabs: Callable[[Running], Tabs], running: Running) -> Tabs:
    """Tabs on the server `running`: tabs(), tabs(people.visitor(running, "monitor"), language="en-GB", width=360)."""
    return open_tabs(running)


@pytest.fixture
def page(tabs: Tabs) -> Page:
    """A tab of somebody not signed in, who reads Chinese."""
    return tabs()
