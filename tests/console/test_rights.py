"""Who may do what, where: the whole matrix of roles, actions and areas, as it was written down by hand."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.rights import EVERYWHERE, Action, Areas, Held, Visitor, grants_of, point_actions, shipped_roles
from monitor.store import tokens
from monitor.web.context import WebSettings
from tests.alerts.make import NOW
from tests.console.people import Browser, account, browser
from tests.console.routes import Asked, console_routes
from tests.web.conftest import Running, serving
from tests.web.make import flag, store_flags

ROLES = ["viewer", "reporter", "monitor", "duty", "technician", "approver", "commander", "auditor", "admin"]
MATRIX = """
                      viewer reporter monitor duty technician approver commander auditor admin
flags.view               -       -       x     x       -         x        x        x      -
flags.review             -       -       x     x       -         -        -        -      -
flags.assign             -       -       x     -       -         -        -        -      -
observations.view        -       p       x     x       x         x        x        x      -
observations.report      -       p       x     -       -         -        -        -      -
observations.correct     -       -       x     -       -         -        -        -      -
points.ask               -       -       x     x       -         -        -        -      -
duties.manage            -       -       x     -       -         -        -        -      x
records.view             -       -       x     x       -         x        x        x      -
records.observe          -       -       x     x       -         -        -        -      -
records.decide           -       -       -     -       -         x        x        -      -
overview.view            x       -       x     x       x         x        x        x      -
reports.view             x       -       x     x       -         x        x        x      -
reports.edit             -       -       x     -       -         -        -        -      -
reports.sign             -       -       -     -       -         x        x        -      -
health.view              -       -       -     c       c         -        -        -      c
accounts.manage          -       -       -     -       -         -        -        -      c
tokens.manage            -       -       -     -       -         -        -        -      c
audit.view               -       -       -     -       -         -        -        c      -
"""
"""x: in the areas of the role; p: at the points of the account; c: only for who has the role everywhere"""

CITY = "全市"
HELD = {"everywhere": {"*"}, "one area": {"甲区"}, "the city": {CITY}}
AREAS = ("甲区", "乙区", CITY, "")
POINT = "甲市场"

FORMS = {
    "/queue/act": Action.FLAGS_VIEW,
    "/flags/{id}/ask": Action.FLAGS_VIEW,
    "/entry": Action.OBSERVATIONS_REPORT,
    "/entry/upload": Action.OBSERVATIONS_REPORT,
    "/duties": Action.DUTIES_MANAGE,
    "/duties/{id}": Action.DUTIES_MANAGE,
    "/records/complaints": Action.RECORDS_OBSERVE,
    "/records/patrols": Action.RECORDS_OBSERVE,
    "/records/decisions": Action.RECORDS_DECIDE,
    "/reports": Action.REPORTS_EDIT,
    "/reports/{report_id}/sign": Action.REPORTS_SIGN,
    "/admin/accounts": Action.ACCOUNTS_MANAGE,
    "/admin/accounts/{name}/roles": Action.ACCOUNTS_MANAGE,
    "/admin/accounts/{name}/act": Action.ACCOUNTS_MANAGE,
    "/admin/roles": Action.ACCOUNTS_MANAGE,
    "/admin/tokens": Action.TOKENS_MANAGE,
    "/admin/tokens/revoke": Action.TOKENS_MANAGE,
}
PAGES = {
    "/queue": Action.FLAGS_VIEW,
    "/items": Action.OVERVIEW_VIEW,
    "/entry": Action.OBSERVATIONS_REPORT,
    "/duties": Action.DUTIES_MANAGE,
    "/records": Action.RECORDS_VIEW,
    "/records/complaints": Action.RECORDS_OBSERVE,
    "/reports": Action.REPORTS_VIEW,
    "/admin/accounts": Action.ACCOUNTS_MANAGE,
    "/admin/roles": Action.ACCOUNTS_MANAGE,
    "/admin/tokens": Action.TOKENS_MANAGE,
    "/admin/audit": Action.AUDIT_VIEW,
}
"""What the most important pages and forms need. Those that are not here must be closed to those without the right
that they ask for themselves."""


def table() -> dict[tuple[str, Action], str]:
    """{(role, action): mark} of the matrix above."""
    head, *lines = MATRIX.strip().splitlines()
    assert head.split() == ROLES
    rows = [line.split() for line in lines]
    return {(role, Action(row[0])): mark for row in rows for role, mark in zip(ROLES, row[1:], strict=True)}


EXPECTED = table()


def expected(role: str, action: Action, held: str, area: str | None, point: str = "") -> bool:
    """What the matrix says; `area` None: anywhere at all."""
    mark = EXPECTED[role, action]
    if mark == "p":
        return area is None or point == POINT
    if mark == "c":
        return held == "everywhere"
    inside = {"everywhere": set(AREAS), "one area": {"甲区"}, "the city": {CITY, ""}}[held]
    return mark == "x" and (area is None or area in inside)


def test_the_matrix_speaks_of_every_role_and_every_action() -> None:
    assert set(EXPECTED) == set(itertools.product(shipped_roles(), Action))


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_allows_what_the_matrix_says_and_nothing_else(role: str, held: str) -> None:
    areas = EVERYWHERE if held == "everywhere" else Areas.of(HELD[held], CITY)
    roles = shipped_roles()
    mine = [Held(role, areas)]
    who = Visitor(
        1, "a", "A", frozenset({role}), grants_of(roles, mine), frozenset({POINT}), point_actions(roles, mine)
    )
    for action in Action:
        assert who.may(action) is expected(role, action, held, None), action
        for area, point in itertools.product(AREAS, ("", POINT, "乙市场")):
            assert who.may(action, area, point) is expected(role, action, held, area, point), (action, area, point)


def test_an_account_without_roles_may_do_nothing() -> None:
    who = Visitor(1, "a", "A", frozenset(), grants_of(shipped_roles(), []))
    assert not any(who.may(action) for action in Action)


def test_roles_add_up_each_in_its_areas() -> None:
    held = [Held("monitor", Areas.of({"甲区"}, CITY)), Held("auditor", Areas.of({"乙区"}, CITY))]
    grants = grants_of(shipped_roles(), held)
    assert grants[Action.FLAGS_VIEW].names == {"甲区", "乙区"}
    assert grants[Action.FLAGS_REVIEW].names == {"甲区"}
    assert Action.AUDIT_VIEW not in grants


# --- over HTTP ---


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A city with observations, flags and records in two areas and as a whole."""
    url = f"sqlite:///{tmp_path_factory.mktemp('rights') / 'monitor.db'}"
    with serving(url, WebSettings(open_page="off"), city=CITY) as running:
        with running.client(name="seed") as client:
            rows = [
                {"date": "2026-03-02", "item": "大米", "point": p, "area": a, "value": 5.6}
                for p, a in ((POINT, "甲区"), ("乙市场", "乙区"))
            ]
            client.post("/api/v1/observations", json=[*rows, {**rows[0], "point": "", "area": CITY}])
            for area in ("甲区", "乙区", ""):
                record = {"kind": "observed", "measure": "抢购", "start": "2026-03-01", "items": ["大米"]}
                client.post("/api/v1/records", json=record | {"note": area, "areas": [area] if area else []})
        store_flags(running.db, *(flag(f"f-{area}", area=area, point="") for area in ("甲区", "乙区", CITY)))
        account(running.db, "probe")
        yield running


@pytest.fixture(scope="module", params=list(itertools.product(ROLES, HELD)), ids=lambda p: f"{p[0]} of {p[1]}")
def person(request: pytest.FixtureRequest, city: Running) -> Iterator[tuple[str, str, Browser]]:
    """(role, where it is held, the browser of somebody who has it)."""
    role, held = request.param
    one = account(city.db, f"{role}-{len(held)}-{held[:3]}", [role], areas=HELD[held], points={POINT})
    with browser(city, one) as made:
        yield role, held, made


def allowed(person: tuple[str, str, Browser], actions: frozenset[Action]) -> bool:
    role, held, _ = person
    return not actions or any(expected(role, action, held, None) for action in actions)


def same(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers are the same but for the id of the request."""

    def plain(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
        id = answer.headers["x-request-id"].encode()
        headers = {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")}
        return answer.status_code, answer.content.replace(id, b""), headers

    return plain(one) == plain(other)


def address(asked: Asked) -> str:
    """The path with something in the place of its parameters."""
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda m: "probe" if m[1] == "name" else "1", asked.path)


def test_every_page_opens_for_those_with_the_right_and_does_not_exist_for_the_others(
    city: Running, person: tuple[str, str, Browser]
) -> None:
    who = person[2]
    unknown = who.get("/no/such/page")
    assert unknown.status_code == 404
    seen = set()
    for asked in console_routes(city.app):
        if asked.method != "GET":
            continue
        seen.add(asked.path)
        actions = frozenset({PAGES[asked.path]}) if asked.path in PAGES else asked.actions
        answer = who.get(address(asked))
        if not allowed(person, actions):
            assert same(answer, unknown), (asked.path, answer.status_code)
        elif "{" not in asked.path:
            assert answer.status_code in (200, 303), (asked.path, answer.status_code)
    assert set(PAGES) <= seen


def test_every_form_is_there_for_those_with_the_right_only(city: Running, person: tuple[str, str, Browser]) -> None:
    who = person[2]
    unknown = who.post("/no/such/page")
    seen = set()
    for asked in console_routes(city.app):
        if asked.method == "GET":
            continue
        seen.add(asked.path)
        actions = frozenset({FORMS[asked.path]}) if asked.path in FORMS else asked.actions
        answer = who.post(address(asked))  # without the word of the session, so nothing is ever done
        if allowed(person, actions):
            assert answer.status_code == 403, (asked.path, answer.status_code)
        else:
            assert same(answer, unknown), (asked.path, answer.status_code)
    assert set(FORMS) <= seen


def test_the_interface_shows_each_person_what_is_in_reach(city: Running, person: tuple[str, str, Browser]) -> None:
    role, held, who = person
    wanted = {f"f-{a}" for a in ("甲区", "乙区", CITY) if expected(role, Action.FLAGS_VIEW, held, a)}
    assert ids(who, "/api/v1/flags", "flags", "id") == wanted
    for area in ("甲区", "乙区", CITY):
        there = who.get(f"/api/v1/flags/f-{area}")
        assert there.status_code == (200 if f"f-{area}" in wanted else 404), area
        if there.status_code == 404 and allowed(person, frozenset({Action.FLAGS_VIEW})):
            other = who.get(f"/api/v1/flags/x-{area}")
            assert masked(there) == masked(other)
    places = ((POINT, "甲区"), ("乙市场", "乙区"), ("", CITY))
    wanted = {p for p, a in places if expected(role, Action.OBSERVATIONS_VIEW, held, a, p)}
    assert ids(who, "/api/v1/observations", "observations", "point") == wanted
    assert ids(who, "/api/v1/series", "series", "point") == wanted
    wanted = {a for a in ("甲区", "乙区", "") if expected(role, Action.RECORDS_VIEW, held, a)}
    assert ids(who, "/api/v1/records", "records", "note") == wanted


def masked(answer: httpx.Response) -> dict[str, Any]:
    """A problem without the id of the request and what was asked for."""
    body: dict[str, Any] = answer.json()
    body.pop("request_id")
    return body | {"detail": re.sub(r"“[^”]*”|：\S*", "", body["detail"])}


def ids(who: Browser, path: str, key: str, name: str) -> set[str]:
    """The values of one field in a list of the interface; nothing where the address is not there for this person."""
    answer = who.get(path)
    if answer.status_code == 404:
        assert masked(answer) == masked(who.get("/api/v1/no-such"))
        return set()
    assert answer.status_code == 200, answer.text
    return {one[name] for one in answer.json()[key]}


def test_the_interface_lets_each_person_change_what_is_in_reach(
    city: Running, person: tuple[str, str, Browser]
) -> None:
    role, held, who = person
    headers = {"X-CSRF-Token": who.csrf}
    for area in ("甲区", "乙区", CITY):
        answer = who.post(f"/api/v1/flags/f-{area}/ack", headers=headers)
        fine = expected(role, Action.FLAGS_REVIEW, held, area)
        assert answer.status_code == (200 if fine else 404), (area, answer.text)
    for point, area in ((POINT, "甲区"), ("乙市场", "乙区"), ("", CITY)):
        row = {"date": "2026-03-01", "item": "大米", "point": point, "area": area, "value": 5.5}
        answer = who.post("/api/v1/observations", json=[row], headers=headers)
        if not allowed(person, frozenset({Action.OBSERVATIONS_REPORT})):
            assert answer.status_code == 404
        else:
            fine = expected(role, Action.OBSERVATIONS_REPORT, held, area, point)
            assert answer.status_code == (200 if fine else 422), (point, answer.text)


def test_a_row_cannot_take_a_point_of_another_area_over(city: Running) -> None:
    local = browser(city, account(city.db, "local", ["monitor"], areas={"甲区"}))
    row = {"date": "2026-03-01", "item": "大米", "point": "乙市场", "area": "甲区", "value": 9.9}
    answer = local.post("/api/v1/observations", json=[row], headers={"X-CSRF-Token": local.csrf})
    assert answer.status_code == 422
    assert answer.json()["rows"][0]["reason"] == "not_allowed"


def test_a_token_for_an_area_reaches_no_other(city: Running) -> None:
    scopes = ["flags:read", "observations:read", "observations:write"]
    made = tokens.create(city.db, "甲区程序", scopes, NOW, areas=["甲区"])
    with httpx.Client(base_url=city.url, headers={"Authorization": f"Bearer {made.secret}"}) as client:
        assert {one["id"] for one in client.get("/api/v1/flags").json()["flags"]} == {"f-甲区"}
        assert client.get("/api/v1/flags/f-乙区").status_code == 404
        assert {one["point"] for one in client.get("/api/v1/series").json()["series"]} == {POINT}
        rows = [
            {"date": "2026-02-27", "item": "大米", "point": p, "area": a, "value": 5.5}
            for p, a in ((POINT, "甲区"), ("乙市场", "乙区"), ("新市场", ""))
        ]
        answer = client.post("/api/v1/observations", json=rows)
        assert [one["outcome"] for one in answer.json()["rows"]] == ["accepted", "rejected", "rejected"]
        other = client.post("/api/v1/observations", json=[rows[0] | {"area": "乙区"}])
        assert other.status_code == 422


def test_a_change_by_the_interface_needs_the_word_of_the_session(city: Running) -> None:
    who = browser(city, account(city.db, "careless", ["monitor"]))
    for headers in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": who.csrf, "Sec-Fetch-Site": "cross-site"}):
        assert who.post("/api/v1/flags/f-甲区/ack", headers=headers).status_code == 403


def test_nobody_signed_in_learns_nothing(city: Running) -> None:
    stranger = Browser(city.url)
    for asked in console_routes(city.app):
        answer = stranger.request(asked.method, address(asked))
        assert answer.status_code == 303, asked
        assert answer.headers["location"].startswith("/signin"), asked
    for path in ("/api/v1/flags", "/api/v1/flags/f-甲区", "/api/v1/records"):
        assert stranger.get(path).status_code == 401


def test_the_matrix_in_the_documentation_is_the_one_tested() -> None:
    text = (Path(__file__).parents[2] / "docs" / "console.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|(.*)\|$", text, re.MULTILINE)
    words = {"": "-", "x": "x", "points": "p", "city": "c"}
    documented = {
        (role, Action(action)): words[cell.strip()]
        for action, cells in rows
        for role, cell in zip(ROLES, cells.split("|"), strict=True)
    }
    assert documented == EXPECTED
