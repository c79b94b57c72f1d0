"""The console's two languages: gettext catalogues, and the language of the request that is being answered.

Message ids are the Chinese texts themselves. `_("…")` gives a `Text` that turns into words when it is shown, in the
language of the request; it may be made at import time. A percent sign in a message is written twice, in Python and in
templates alike, because every message is a format string.

The catalogues are read from their sources (console.po), so that a fresh clone, an editable installation and a wheel
hold the same thing; `make messages` brings them up to date with the code.
"""

from __future__ import annotations

import gettext as stdlib
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

SOURCE_LANGUAGE = "zh_CN"
LANGUAGES = {"zh_CN": "中文", "en": "English"}  # i18n: each names itself in its own language
TAGS = {"zh_CN": "zh-CN", "en": "en"}
COOKIE = "language"
DOMAIN = "console"
LOCALE = Path(__file__).parents[2] / "locale"


@dataclass(slots=True)
class Speech:
    """The language of one request. It is changed in place, so that a dependency that runs in another thread can."""

    language: str


spoken: ContextVar[Speech] = ContextVar("spoken")


def language() -> str:
    """The language of the request being answered; Chinese outside of requests."""
    found = spoken.get(None)
    return found.language if found else SOURCE_LANGUAGE


def speak(wanted: str | None) -> None:
    """From now on this request is answered in `wanted`, the account's language; as before when it is none of ours."""
    found = spoken.get(None)
    if found and wanted in LANGUAGES:
        found.language = wanted


@dataclass(frozen=True, slots=True)
class Text:
    """A message that becomes words when it is shown: `str(text)`, `{{ text }}`."""

    message: str
    values: dict[str, Any]
    plural: str = ""

    def __str__(self) -> str:
        catalogue = translations(language())
        if self.plural:
            return catalogue.ngettext(self.message, self.plural, self.values["num"]) % self.values
        return catalogue.gettext(self.message) % self.values

    def __bool__(self) -> bool:
        return bool(self.message)

    def __hash__(self) -> int:
        return hash(self.message)


def _(message: str, **values: Any) -> Text:
    """The message in the language of the reader: `_("共 %(n)s 条", n=3)`."""
    return Text(message, values)


def ngettext(singular: str, plural: str, num: int, **values: Any) -> Text:
    """The message for `num` things, which is also the value `num`: `ngettext("%(num)s 条", "%(num)s 条", 3)`."""
    return Text(singular, {"num": num} | values, plural)


def word(text: str) -> str:
    """A word of another part of the program (a state, an action, a role) in the language of the reader.

    What the catalogue does not know, names that people gave, comes back as it is. `tests/console/messages.py` lists
    the tables whose words are in the catalogues.
    """
    return translations(language()).gettext(text) if text else ""


@cache
def translations(language: str) -> stdlib.GNUTranslations:
    """The catalogue of a language. Takes some 10 ms the first time. Raises OSError when the file is missing."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with (LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, domain=DOMAIN)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return stdlib.GNUTranslations(compiled)


def preferred(accept: str, default: str) -> str:
    """The language that an Accept-Language header likes best among ours: 'zh-TW,en;q=0.5' is Chinese."""
    ranked: list[tuple[float, str]] = []
    for part in accept[:500].split(","):
        tag, _semicolon, weight = part.strip().partition(";")
        found = {"zh": "zh_CN", "en": "en"}.get(tag.strip().lower().split("-")[0])
        if found is None:
            continue
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        if quality > 0:
            ranked.append((quality, found))
    return max(ranked, key=lambda one: one[0])[1] if ranked else default


class Languages:
    """Middleware: the language of each request: by cookie, else what the browser asks for, else the installation's.

    The account's own language comes later, when the session is known: `speak`.
    """

    def __init__(self, app: ASGIApp, *, default: str) -> None:
        self.app, self.default = app, default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token = spoken.set(Speech(language_asked(scope, self.default)))
        try:
            await self.app(scope, receive, send)
        finally:
            spoken.reset(token)


def language_asked(scope: Scope, default: str) -> str:
    """By cookie, else by Accept-Language, else `default`."""
    from starlette.requests import HTTPConnection

    connection = HTTPConnection(scope)
    chosen = connection.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return preferred(connection.headers.get("accept-language", ""), default)
