"""The frame of the console's pages: languages, navigation by rights, escaping, and how browsers keep files."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import Request
from starlette.responses import HTMLResponse

from monitor.entry.duties import day_number
from monitor.rights import Action, Areas, Session, Visitor
from monitor.store import accounts
from monitor.web.console import assets, render
from monitor.web.console.i18n import _, ngettext, preferred
from monitor.web.console.language import local_path
from monitor.web.context import ConfiguredSource
from tests.console import people
from tests.web.conftest import Running, Serve
from tests.web.test_page import ATTACKS, Page

ASSETS = Path(assets.__file__).parents[1] / "assets"
ENGLISH = {"Accept-Language": "en-GB,en;q=0.9,zh;q=0.5"}


def visitor(*actions: Action, language: str = "") -> Visitor:
    return Visitor(
        account_id=1,
        name="monitor1",
        shown="监测员甲",
        roles=frozenset({"monitor"}),
        grants=dict.fromkeys(actions, Areas(everywhere=True)),
        session=Session("s", "token-of-this-session"),
        language=language,
    )


def show(running: Running, answer: Callable[[Request], HTMLResponse], path: str = "/shown") -> httpx.Client:
    """A client of a server that answers `path` by `answer`."""

    def endpoint(request: Request) -> HTMLResponse:
        return answer(request)

    running.app.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False)
    return running.anonymous()


def hello(request: Request) -> HTMLResponse:
    return render.message(request, 200, _("登录"), _("跳到正文"))


def test_pages_are_chinese_unless_the_reader_asks_for_english(running: Running) -> None:
    client = show(running, hello)
    chinese, english = client.get("/shown"), client.get("/shown", headers=ENGLISH)
    assert '<html lang="zh-CN">' in chinese.text
    assert "<h1>登录</h1>" in chinese.text
    assert '<html lang="en">' in english.text
    assert "<h1>Sign in</h1>" in english.text
    assert english.headers["content-language"] == "en"
    assert "Accept-Language" in english.headers["vary"]


def test_an_installation_may_speak_english_to_those_who_ask_for_nothing(serve: Serve) -> None:
    client = show(serve(changes={"language": "en"}), hello)
    assert "<h1>Sign in</h1>" in client.get("/shown").text
    assert "<h1>登录</h1>" in client.get("/shown", headers={"Accept-Language": "zh-TW"}).text


def test_the_switch_is_kept_in_a_cookie_and_leads_back(running: Running) -> None:
    client = show(running, hello)
    switched = client.post("/language", data={"language": "en", "next": "/shown?a=1"})
    assert (switched.status_code, switched.headers["location"]) == (303, "/shown?a=1")
    assert "HttpOnly" in switched.headers["set-cookie"]
    assert "SameSite=lax" in switched.headers["set-cookie"]
    assert "<h1>Sign in</h1>" in client.get("/shown", headers={"Accept-Language": "zh-CN"}).text


def test_an_unknown_language_changes_nothing(running: Running) -> None:
    client = show(running, hello)
    assert "set-cookie" not in client.post("/language", data={"language": "xx", "next": "/shown"}).headers
    assert "<h1>登录</h1>" in client.get("/shown", headers={"Cookie": "language=../../etc"}).text


@pytest.mark.parametrize(
    "next", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "", "/a\nb"]
)
def test_the_switch_leads_nowhere_else(next: str) -> None:
    assert local_path(next) == "/"


def test_the_switch_changes_the_language_of_the_account_with_the_word_of_its_session_only(running: Running) -> None:
    show(running, hello)
    who = people.account(running.db, "monitor1", ["monitor"])
    browser = people.browser(running, who)
    assert browser.post("/language", data={"language": "en", "next": "/shown"}).status_code == 403
    assert accounts.by_id(running.db, who.id).language == ""
    assert browser.send_form("/language", language="en", next="/shown").headers["location"] == "/shown"
    assert accounts.by_id(running.db, who.id).language == "en"


def test_another_site_cannot_switch_the_language(running: Running) -> None:
    sent = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html"}
    answer = running.anonymous().post("/language", data={"language": "en"}, headers=sent)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_language_of_the_account_comes_first(running: Running) -> None:
    client = show(
        running, lambda request: render.message(request, 200, _("登录"), "x", visitor=visitor(language="en"))
    )
    assert "<h1>Sign in</h1>" in client.get("/shown", headers={"Accept-Language": "zh-CN"}).text


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "default"),
        ("fr-FR,de;q=0.5", "default"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh_CN"),
        ("fr, en-US;q=0.7, zh;q=0.3", "en"),
        ("en;q=0, zh;q=0.1", "zh_CN"),
        ("EN", "en"),
        ("en;q=x", "default"),
        (";;,,=", "default"),
    ],
)
def test_what_a_browser_likes_best_is_taken(header: str, language: str) -> None:
    assert preferred(header, "default") == language


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """A navigation whose first two pages a test has, and the third nobody."""
    entries = [("/shown", Action.FLAGS_VIEW), ("/other", Action.AUDIT_VIEW), ("/nowhere", Action.FLAGS_VIEW)]
    monkeypatch.setattr(render, "NAVIGATION", [render.Entry(path, _("登录"), action) for path, action in entries])


@pytest.mark.usefixtures("ways")
def test_a_visitor_sees_the_ways_that_exist_and_that_the_rights_allow(running: Running) -> None:
    running.app.add_api_route("/other", lambda: "", methods=["GET"])

    def links(*actions: Action) -> list[str | None]:
        who = visitor(*actions)
        client = show(running, lambda request: render.message(request, 200, "x", "y", visitor=who))
        tags = Page(client.get("/shown").text).tags
        return [attributes.get("href") for tag, attributes in tags if tag == "a"]

    assert links(Action.FLAGS_VIEW, Action.REPORTS_SIGN) == ["#main", "/", "/shown", "/profile"]


@pytest.mark.usefixtures("ways")
def test_where_one_is_is_marked_in_the_navigation(running: Running) -> None:
    who = visitor(Action.FLAGS_VIEW)
    client = show(running, lambda request: render.message(request, 200, "x", "y", visitor=who))
    assert '<a href="/shown" aria-current="page">' in client.get("/shown").text


def test_somebody_not_signed_in_sees_the_way_to_sign_in_only(running: Running) -> None:
    page = Page(show(running, hello).get("/shown").text)
    assert [a.get("href") for tag, a in page.tags if tag == "a"] == ["#main", "/", "/signin"]


def test_every_form_of_a_page_carries_the_token_of_the_session(running: Running) -> None:
    who = visitor()
    page = Page(show(running, lambda request: render.message(request, 200, "x", "y", visitor=who)).get("/shown").text)
    forms = [a for tag, a in page.tags if tag == "form"]
    tokens = [a["value"] for tag, a in page.tags if tag == "input" and a.get("name") == "csrf"]
    assert [f["action"] for f in forms] == ["/language", "/signout"]
    assert tokens == ["token-of-this-session"] * 2


def test_messages_of_the_session_are_shown_with_words_not_only_colours(running: Running) -> None:
    def saved(request: Request) -> HTMLResponse:
        request.state.flashes = [render.Flash("done", "已保存"), render.Flash("fault", "没有保存")]
        return render.message(request, 200, "x", "y")

    page = Page(show(running, saved).get("/shown").text)
    assert "完成：已保存" in page.words
    assert "未完成：没有保存" in page.words
    assert [a.get("role") for tag, a in page.tags if "flash" in str(a.get("class"))] == ["status", "alert"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_is_put_into_a_page_is_text(serve: Serve, attack: str) -> None:
    running = serve(changes={"installation": attack})

    def attacked(request: Request) -> HTMLResponse:
        request.state.flashes = [render.Flash("done", attack)]
        return render.message(request, 200, attack, _("共 %(n)s 条", n=attack))

    page = Page(show(running, attacked).get("/shown", params={"q": attack}).text)
    assert [tag for tag, _a in page.tags if tag in ("script", "img", "svg")] == []
    assert page.text.count(attack) >= 3
    assert not [name for _tag, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_demonstration_is_marked_on_every_page(serve: Serve) -> None:
    demo = serve(changes={"sources": lambda: [ConfiguredSource("演示", "demo", demo=True)]})
    assert "演示数据" in Page(show(demo, hello).get("/shown").text).words
    real = serve(changes={"sources": lambda: [ConfiguredSource("市场", "folder")]})
    assert "演示数据" not in Page(show(real, hello).get("/shown").text).words


def test_a_text_is_put_into_words_when_it_is_shown() -> None:
    assert str(ngettext("%(num)s 条", "%(num)s 条", 3)) == "3 条"
    assert str(_("上涨 %(n)s%%", n=5)) == "上涨 5%"


def test_built_files_are_kept_by_browsers_for_good_and_others_are_asked_for_again(running: Running) -> None:
    address = assets.url("console.css")
    if not address:
        pytest.fail("the assets are not built: make assets")
    client = running.anonymous()
    built, plain = client.get(address), client.get("/static/icon.svg")
    assert "immutable" in built.headers["cache-control"]
    assert plain.headers["cache-control"] == "no-cache"
    assert client.get("/static/icon.svg", headers={"If-None-Match": plain.headers["etag"]}).status_code == 304
    assert client.get("/static/dist/manifest.json").headers["cache-control"] == "no-cache"
    assert client.get("/static/dist/gone-12345678.css").headers["cache-control"] == "no-store"
    assert f'<link rel="stylesheet" href="{address}">' in show(running, hello).get("/shown").text


def test_built_files_are_sent_compressed_to_browsers_that_can_read_that(running: Running) -> None:
    address = assets.url("console.css")
    packed = running.anonymous().get(address)
    plain = running.anonymous().get(address, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"].startswith("text/css")
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


def test_what_was_not_built_makes_a_page_plain_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    assert render.script("never-written") == render.script("never-written") == ""
    assert render.style("never-written") == ""
    assert [record.getMessage().split()[0] for record in caplog.records] == ["never-written.js", "never-written.css"]


def test_every_script_and_style_that_a_template_asks_for_has_its_source_and_was_built() -> None:
    sources = {path.name.replace(".ts", ".js") for path in ASSETS.iterdir()}
    for template in render.TEMPLATES.rglob("*.html"):
        for kind, name in re.findall(r"\b(script|style)\(\"([^\"]+)\"", template.read_text("utf-8")):
            file = f"{name}.{'js' if kind == 'script' else 'css'}"
            assert assets.url(file), f"{template.name} asks for {file}, which was not built: make assets"
            assert file in sources or f"{name}.js" in sources, f"{template.name} asks for {file}"


def test_the_end_of_a_day_is_its_24_hours() -> None:
    """What is first reported on a day is due at its end: 24:00, which 00:00 would deny. Other times stay."""
    zone = ZoneInfo("Asia/Shanghai")
    day = day_number(datetime(2026, 3, 2, 9, tzinfo=zone), zone)
    assert ">24:00<" in render.until(datetime(2026, 3, 3, tzinfo=zone), day, zone)
    assert ">10:00<" in render.until(datetime(2026, 3, 2, 10, tzinfo=zone), day, zone)
    assert ">00:00<" in render.until(datetime(2026, 3, 2, tzinfo=zone), day, zone)
    assert render.until(None, day, zone) == "—"
