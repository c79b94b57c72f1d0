"""What a person may do, and where: actions, areas, roles, visitors. No database and no request is known here.

A role lists actions; an account has roles, each for areas or everywhere (a reporter's role: for points). A right that
is not there is never an error of its own: what a person may not see does not exist for that person (P27, F8), so the
questions asked here are "may I?" and "which rows?".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

SHIPPED = Path(__file__).with_name("roles.toml")


class Action(StrEnum):
    """Everything that needs a right. Nothing follows from another."""

    FLAGS_VIEW = "flags.view"
    FLAGS_REVIEW = "flags.review"
    FLAGS_ASSIGN = "flags.assign"
    OBSERVATIONS_VIEW = "observations.view"
    OBSERVATIONS_REPORT = "observations.report"
    OBSERVATIONS_CORRECT = "observations.correct"
    POINTS_ASK = "points.ask"
    DUTIES_MANAGE = "duties.manage"
    RECORDS_VIEW = "records.view"
    RECORDS_OBSERVE = "records.observe"
    RECORDS_DECIDE = "records.decide"
    OVERVIEW_VIEW = "overview.view"
    REPORTS_VIEW = "reports.view"
    REPORTS_EDIT = "reports.edit"
    REPORTS_SIGN = "reports.sign"
    HEALTH_VIEW = "health.view"
    ACCOUNTS_MANAGE = "accounts.manage"
    TOKENS_MANAGE = "tokens.manage"
    AUDIT_VIEW = "audit.view"


ACTIONS: dict[Action, str] = {
    Action.FLAGS_VIEW: "查看异常提示",
    Action.FLAGS_REVIEW: "确认和复核异常提示",
    Action.FLAGS_ASSIGN: "分派异常提示",
    Action.OBSERVATIONS_VIEW: "查看观测值",
    Action.OBSERVATIONS_REPORT: "上报观测值",
    Action.OBSERVATIONS_CORRECT: "更正观测值",
    Action.POINTS_ASK: "请监测点核实",
    Action.DUTIES_MANAGE: "管理报送任务",
    Action.RECORDS_VIEW: "查看决定和现象",
    Action.RECORDS_OBSERVE: "登记现象（巡查、投诉）",
    Action.RECORDS_DECIDE: "登记和解除决定",
    Action.OVERVIEW_VIEW: "查看总览",
    Action.REPORTS_VIEW: "查看报告",
    Action.REPORTS_EDIT: "编辑报告",
    Action.REPORTS_SIGN: "签发报告",
    Action.HEALTH_VIEW: "查看系统运行状态",
    Action.ACCOUNTS_MANAGE: "管理账号和角色",
    Action.TOKENS_MANAGE: "管理访问令牌",
    Action.AUDIT_VIEW: "查看审计记录",
}
"""Every action in the words shown to people."""

CITY_WIDE = frozenset({Action.HEALTH_VIEW, Action.ACCOUNTS_MANAGE, Action.TOKENS_MANAGE, Action.AUDIT_VIEW})
"""Actions that know no areas: only who has the role everywhere has them. Otherwise the administrator of one district
could give himself the rest of the city."""


@dataclass(frozen=True, slots=True)
class Areas:
    """Where somebody may do something: everywhere, or in these areas.

    What concerns the whole city (no area, or the city's own name) is there for those only who have it everywhere or
    have the city's name among their areas; `of` puts both spellings in.
    """

    names: frozenset[str] = frozenset()
    everywhere: bool = False

    @classmethod
    def of(cls, names: Iterable[str], city: str) -> Areas:
        """These areas; the name of the city stands for what has no area as well."""
        given = frozenset(names)
        return cls(given | {"", city} if city in given or "" in given else given)

    def __contains__(self, area: str) -> bool:
        return self.everywhere or area in self.names

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.names)

    def __or__(self, other: Areas) -> Areas:
        return EVERYWHERE if self.everywhere or other.everywhere else Areas(self.names | other.names)

    def where(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """The rows whose area is among these, as a condition of a query: the same object for the same areas, so that
        a query with it can be kept."""
        return rows_within(self, column)


@lru_cache(maxsize=1_000)
def rows_within(areas: Areas, column: ColumnElement[str]) -> ColumnElement[bool]:
    from sqlalchemy import false, true

    if areas.everywhere:
        return true()
    return column.in_(sorted(areas.names)) if areas.names else false()


EVERYWHERE = Areas(everywhere=True)
NOWHERE = Areas()


@dataclass(frozen=True, slots=True)
class Reach:
    """What one action may touch: all in some areas, and some points wherever they are (a reporter's)."""

    areas: Areas = NOWHERE
    points: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.areas) or bool(self.points)

    @property
    def rows(self) -> Reach:
        """What stands for the rows that may be touched: where these are all, points of one's own add none."""
        return ALL if self.areas.everywhere else self

    def covers(self, area: str, point: str = "") -> bool:
        """Whether something in this area, at this point, may be touched."""
        return area in self.areas or (point != "" and point in self.points)

    def where(self, area: ColumnElement[str], point: ColumnElement[str] | None = None) -> ColumnElement[bool]:
        """The rows that may be touched; without a column for points, those of the areas only."""
        if point is None or not self.points or self.areas.everywhere:
            return self.areas.where(area)
        return self.areas.where(area) | point.in_(sorted(self.points))


ALL = Reach(EVERYWHERE)


@dataclass(frozen=True, slots=True)
class Role:
    """A role as data; see roles.toml."""

    id: str
    title: str
    actions: frozenset[Action]
    second_factor: bool = False
    by_point: bool = False
    changed: bool = False
    """the installation changed it: it does not follow the shipped file any more"""


@dataclass(frozen=True, slots=True)
class Held:
    """A role that an account has, and where. No names and not everywhere: nowhere."""

    role: str
    areas: Areas


def shipped_roles() -> dict[str, Role]:
    """The roles of roles.toml, in its order. Raises ValueError for an action that does not exist."""
    return dict(_shipped())


@cache
def _shipped() -> dict[str, Role]:
    import tomllib

    tables = tomllib.loads(SHIPPED.read_text("utf-8"))["role"]
    return {
        one["id"]: Role(
            one["id"],
            one["title"],
            frozenset(Action(action) for action in one["actions"]),
            one.get("second_factor", False),
            one.get("by_point", False),
        )
        for one in tables
    }


def with_changes(roles: Mapping[str, Role], changes: Mapping[str, tuple[Iterable[str], bool]]) -> dict[str, Role]:
    """The roles with an installation's changes: id -> (actions, second factor). An action that this version does not
    know any more is left out."""
    known = set(Action)
    return {
        name: replace(
            role,
            actions=frozenset(Action(a) for a in changes[name][0] if a in known),
            second_factor=changes[name][1],
            changed=True,
        )
        if name in changes
        else role
        for name, role in roles.items()
    }


def grants_of(roles: Mapping[str, Role], held: Iterable[Held]) -> dict[Action, Areas]:
    """What the roles of an account allow, and where. Roles held for points are in `point_actions`, not here."""
    found: dict[Action, Areas] = {}
    for one in held:
        role = roles.get(one.role)
        if role is None or role.by_point:
            continue
        for action in role.actions:
            if action not in CITY_WIDE or one.areas.everywhere:
                found[action] = found.get(action, NOWHERE) | one.areas
    return {action: areas for action, areas in found.items() if areas}


def point_actions(roles: Mapping[str, Role], held: Iterable[Held]) -> frozenset[Action]:
    """What the roles held for points allow there."""
    names = {one.role for one in held}
    mine = [role for name, role in roles.items() if name in names and role.by_point]
    return frozenset(action for role in mine for action in role.actions if action not in CITY_WIDE)


@dataclass(frozen=True, slots=True)
class Session:
    """The session behind a visitor.

    id       the hash under which it is stored; the cookie's value is nowhere
    csrf     what every form of this session carries
    stage    code: the second factor is still to come; full: signed in
    address, request_id   of the request that is being answered, for the audit
    """

    id: str
    csrf: str
    stage: str = "full"
    flash: tuple[tuple[str, str], ...] = ()
    """(kind, text) to show once; kinds are done, note and fault"""
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in, with all that he or she may do.

    name     of the account; `shown` is how pages call the person
    grants   action -> areas, of roles held for areas; `for_points` are the actions of roles held for `points`
    needs    what must be done before anything else: "password", "second_factor", or nothing
    """

    account_id: int
    name: str
    shown: str
    roles: frozenset[str]
    grants: Mapping[Action, Areas]
    points: frozenset[str] = frozenset()
    for_points: frozenset[Action] = frozenset()
    session: Session = field(default_factory=lambda: Session("", ""))
    language: str = ""
    needs: str = ""

    @property
    def actor(self) -> str:
        """How logs, reviews and records name the person."""
        return f"user:{self.name}"

    def areas(self, action: Action) -> Areas:
        """Where the person may do it; nothing for what is allowed at points only (see `reach`)."""
        return self.grants.get(action, NOWHERE)

    def reach(self, action: Action) -> Reach:
        """Areas and points that the action may touch."""
        return Reach(self.areas(action), self.points if action in self.for_points else frozenset())

    def may(self, action: Action, area: str | None = None, point: str = "") -> bool:
        """Whether the person may do it there; `area` None: anywhere at all."""
        reach = self.reach(action)
        return bool(reach) if area is None else reach.covers(area, point)
