"""What every page must stand: axe's rules, 360 pixels of width, the keyboard; and pictures for people to look at."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from weakref import WeakSet

from playwright.sync_api import BrowserContext, Page

AXE = Path(__file__).parents[2] / "monitor" / "web" / "assets" / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SMALLEST_TARGET = 24
HEAVIEST = 300_000
NARROW = {"width": 360, "height": 740}


@cache
def axe_source() -> str:
    assert AXE.exists(), "axe-core is not installed: make assets"
    return AXE.read_text("utf-8")


WITHOUT_SCRIPTS: WeakSet[BrowserContext] = WeakSet()
"""axe would wait in these for ever"""


def axe(page: Page, *, leave_out: tuple[str, ...] = ()) -> None:
    """No breach of WCAG 2.0, 2.1 and 2.2, A and AA, that axe can find. `leave_out`: selectors of what is not ours."""
    assert page.context not in WITHOUT_SCRIPTS, "axe needs scripts: look at the page in another tab"
    page.evaluate(axe_source() + "; 0")
    where = {"include": [["html"]], "exclude": [[one] for one in leave_out]}
    found = page.evaluate(
        "([where, tags]) => axe.run(where, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})",
        [where, WCAG],
    )
    faults = [
        f"{fault['id']}: {fault['help']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]
    assert not faults, f"{page.url}\n" + "\n".join(faults)


def at_360(page: Page) -> None:
    """At 360 pixels nothing has to be scrolled sideways, and what can be pressed is large enough."""
    before = page.viewport_size
    page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
            .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, .hidden"))
            .map((one) => one.outerHTML.slice(0, 120))"""
    )
    width = page.evaluate("document.documentElement.scrollWidth")
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("button, input:not([type=hidden]), select, textarea, summary, a")]
            .filter((one) => one.checkVisibility() && !one.closest(".skip, .hidden"))
            .filter((one) => getComputedStyle(one).display !== "inline")  // links within a sentence
            .filter((one) => Math.min(one.getBoundingClientRect().width, one.getBoundingClientRect().height) < least)
            .map((one) => one.outerHTML.slice(0, 120))""",
        SMALLEST_TARGET,
    )
    if before:
        page.set_viewport_size(before)
    assert width <= NARROW["width"], f"{page.url} is {width} pixels wide: {wide}"
    assert not small, f"{page.url}: smaller than {SMALLEST_TARGET} pixels: {small}"


def focus_order(page: Page, presses: int) -> list[str]:
    """What Tab comes to, in turn: name, text or address of each; and each must be seen to have the focus."""
    found = []
    for _press in range(presses):
        page.keyboard.press("Tab")
        name, seen = page.evaluate(
            """() => {
                const one = document.activeElement, style = getComputedStyle(one);
                const words = one.getAttribute("name") || one.textContent.trim() || one.getAttribute("href");
                const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
                const shown = one.getBoundingClientRect().top >= 0;
                return [words || one.tagName, one === document.body || (seen && shown)];
            }"""
        )
        assert seen, f"{page.url}: nobody sees that {name} has the focus"
        found.append(name)
    return found


def weight(page: Page) -> int:
    """Bytes that came over the line for the page and all it loaded by itself, headers aside."""
    total: int = page.evaluate(
        """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
            .reduce((sum, one) => sum + one.encodedBodySize, 0)"""
    )
    return total


def picture(page: Page, name: str) -> None:
    """A picture of the whole page in the folder $BROWSER_PICTURES, where that is set."""
    folder = os.environ.get("BROWSER_PICTURES")
    if folder:
        path = Path(folder) / (re.sub(r"[^\w.-]+", "-", name) + ".png")
        page.screenshot(path=path, full_page=True)


def good(page: Page, name: str = "") -> None:
    """All of it, with pictures wide and narrow."""
    assert 0 < weight(page) < HEAVIEST, f"{page.url} weighs {weight(page)} bytes"
    axe(page)
    at_360(page)
    if name:
        picture(page, name)
        before = page.viewport_size
        page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
        picture(page, f"{name}-360")
        if before:
            page.set_viewport_size(before)
