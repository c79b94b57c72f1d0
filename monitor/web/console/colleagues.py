"""Colleagues: how people are called whom logs name by account, and whom a flag can be given to."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from monitor.rights import Action, Areas, Visitor, grants_of
from monitor.store import accounts, roles
from monitor.store.acts import Who
from monitor.web.console.i18n import _
from monitor.web.console.known import shelf_of
from monitor.web.context import WebContext


@dataclass(frozen=True, slots=True)
class Colleague:
    """An account that is on; `reviews` is where it may judge flags."""

    id: int
    shown: str
    reviews: Areas


@dataclass(frozen=True, slots=True)
class Colleagues:
    """names  how pages call whom logs call user:…, those who are off too."""

    names: dict[str, str]
    active: tuple[Colleague, ...]

    def called(self, actor: str) -> str:
        """How pages call an actor of a log; programs by the name that they have there."""
        return str(_("系统")) if actor == "monitor" else self.names.get(actor, actor)

    def reviewers(self, areas: Areas) -> list[Colleague]:
        """Those who may judge flags somewhere in these areas."""
        return [one for one in self.active if shares(one.reviews, areas)]


def shares(one: Areas, other: Areas) -> bool:
    if one.everywhere or other.everywhere:
        return bool(one) and bool(other)
    return not one.names.isdisjoint(other.names)


def colleagues(request: Request) -> Colleagues:
    """All of them, as they were within a minute."""
    ctx: WebContext = request.app.state.context
    shelf, now = shelf_of(request, "colleagues"), ctx.now().timestamp()
    found = shelf.get("all", now)
    if found is None:
        every, defined = accounts.list_accounts(ctx.db), roles.read(ctx.db)
        active = [
            Colleague(one.id, one.shown, grants_of(defined, one.held(ctx.city)).get(Action.FLAGS_REVIEW, Areas()))
            for one in every
            if one.active
        ]
        found = Colleagues({f"user:{one.name}": one.shown for one in every}, tuple(c for c in active if c.reviews))
        shelf.put("all", found, now)
    assert isinstance(found, Colleagues)
    return found


def who_of(visitor: Visitor) -> Who:
    return Who(visitor.account_id, visitor.actor, visitor.shown)
