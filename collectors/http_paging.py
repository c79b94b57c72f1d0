"""From one page of an HTTP source to the next: by number, offset, token, link in the body or Link header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import urljoin

from pydantic import Field, field_validator, model_validator

from collectors.base import CollectError
from collectors.http_client import Answer
from collectors.paths import MISSING, Path
from thresholds.settings import Settings

LINK = re.compile(r"<([^>]*)>([^<]*)")

Position = Mapping[str, str | int]
"""JSON object: {} for the first page, else {"number": n}, {"offset": n}, {"token": t} or {"url": u}"""


class Paging(Settings):
    """How a source gives its pages. Which keys are needed depends on `kind`.

    page    `param` is the page's number, counted from `first`
    offset  `param` is the number of rows before the page, from `first`
    cursor  `path` leads to a token in the answer that is sent as `param`; no token: the last page
    next    `path` leads to the next page's URL in the answer; none: the last page
    link    the Link header has it as rel="next"

    `size` is the number of rows to a page, sent as `size_param` where that is given. For page and offset, a page
    with fewer rows is the last; where `size` is not known (0), the first empty page is.
    `pages` (for kind page) leads to the number of pages in the answer.
    """

    kind: Literal["page", "offset", "cursor", "next", "link"]
    param: str = ""
    path: str = ""
    pages: str = ""
    size: int = Field(default=0, ge=0)
    size_param: str = ""
    first: int = Field(default=-1, ge=-1)
    """number of the first page or row; -1: 1 for pages, 0 for offsets"""

    @field_validator("path", "pages")
    @classmethod
    def is_path(cls, value: str) -> str:
        return Path.parse(value).text

    @model_validator(mode="after")
    def complete(self) -> Self:
        if self.kind in ("page", "offset", "cursor") and not self.param:
            raise ValueError(f"paging by {self.kind} needs param|Name the parameter that the source takes")
        if self.kind in ("cursor", "next") and not self.path:
            raise ValueError(f"paging by {self.kind} needs path|Write where in the answer it is, such as meta.next")
        if self.size_param and not self.size:
            raise ValueError("size_param without size|Add size, the number of rows to a page")
        return self

    def params(self, position: Position) -> dict[str, str | int]:
        """The parameters that ask for the page at `position`."""
        asked: dict[str, str | int] = {self.size_param: self.size} if self.size_param else {}
        if self.kind == "page":
            asked[self.param] = position.get("number", 1 if self.first < 0 else self.first)
        elif self.kind == "offset":
            asked[self.param] = position.get("offset", max(self.first, 0))
        elif self.kind == "cursor" and "token" in position:
            asked[self.param] = position["token"]
        return asked

    def following(self, page: Page) -> Position | None:
        """Where the page after `page` is, or None after the last. Raises CollectError('paging')."""
        if self.kind in ("page", "offset"):
            return self._counted(page)
        if self.kind == "link":
            url = link_next(page.answer.headers.get_list("link"))
            return {"url": urljoin(page.url, url)} if url else None
        found = Path.parse(self.path).get(page.content)
        if found is MISSING or found is None or found == "" or found is False:
            return None
        if not isinstance(found, str | int):
            raise CollectError("paging", f"paging.path {self.path!r} leads to {type(found).__name__}, not to a text")
        return {"token": found} if self.kind == "cursor" else {"url": urljoin(page.url, str(found))}

    def _counted(self, page: Page) -> Position | None:
        if page.rows == 0 or (self.size and page.rows < self.size):
            return None
        if self.kind == "offset":
            return {"offset": int(self.params(page.position)[self.param]) + page.rows}
        number = int(self.params(page.position)[self.param])
        first = 1 if self.first < 0 else self.first
        count = Path.parse(self.pages).get(page.content) if self.pages else MISSING
        if self.pages and (isinstance(count, bool) or not str(count).isdecimal()):
            raise CollectError("paging", f"paging.pages {self.pages!r} does not lead to the number of pages")
        if self.pages and number - first + 1 >= int(count):
            return None
        return {"number": number + 1}


@dataclass(frozen=True, slots=True)
class Page:
    """One page as read. `content` is the parsed JSON, None for other formats; `url` without secrets."""

    position: Position
    url: str
    answer: Answer
    content: Any
    rows: int


def link_next(headers: list[str]) -> str:
    """The URL that the Link headers name as rel=next, or ''."""
    for target, params in LINK.findall(", ".join(headers)):
        for part in params.rstrip(", ").split(";"):
            name, _, value = part.partition("=")
            if name.strip().lower() == "rel" and "next" in value.strip().strip("\"'").lower().split():
                return str(target)
    return ""
