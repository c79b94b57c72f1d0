"""Which points a visitor reports, and forms that are sent once: what the pages of data entry have in common."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from starlette.datastructures import FormData

from monitor.entry import complaints
from monitor.rights import Action, Areas, Visitor
from monitor.schema import series
from monitor.store import duties, points
from monitor.store.text import storable
from monitor.web.console.visit import Hidden, visitor
from monitor.web.context import WebContext

SOURCE = "填报"  # i18n: a name in the data
"""source of what is entered in the console"""
MOST_FIELDS = 1000
FORM_ID = re.compile(r"[A-Za-z0-9_-]{8,40}")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

Reporter = Annotated[Visitor, Depends(visitor(Action.OBSERVATIONS_REPORT))]


async def sent_form(request: Request) -> FormData:
    """The form that was sent; the check of its word has read it already."""
    return await request.form()


Sent = Annotated[FormData, Depends(sent_form)]


def text(form: Mapping[str, object], name: str, most: int = 2000) -> str:
    """A field as text; empty where it is missing, is a file, or cannot be stored."""
    value = form.get(name, "")
    return storable(value[:most]).replace("\ufffd", "") if isinstance(value, str) else ""


def worked_out(ctx: WebContext) -> datetime | None:
    """When the reporting duty was last worked out; where it never was, it is now, else by a job."""
    found = duties.worked_out(ctx.db)
    if found is not None:
        return found
    tools = ctx.entry()
    duties.refresh(ctx.db, ctx.zone, tools.options, tools.sources, tools.catalogue, ctx.now(), tools.workdays)
    return duties.worked_out(ctx.db)


def own_points(ctx: WebContext, who: Visitor) -> dict[str, str]:
    """The points that the visitor reports, with their areas ("" where it is not known yet)."""
    reach = who.reach(Action.OBSERVATIONS_REPORT)
    prices = series.c.channel != complaints.CHANNEL  # counts of complaints have a form of their own

    def ask() -> dict[str, str]:
        return points.points_where(ctx.db, reach.where(series.c.area, series.c.point) & prices)

    found = ctx.answers.get(ctx.db, ("own_points", reach.rows), ask) if reach else {}
    return dict(sorted({**dict.fromkeys(reach.points, ""), **found}.items()))


def allowed_points(ctx: WebContext, who: Visitor) -> frozenset[str] | None:
    """The points whose rows the visitor may upload; None: any."""
    if who.areas(Action.OBSERVATIONS_REPORT).everywhere:
        return None
    return frozenset(own_points(ctx, who))


def point_for(own: Mapping[str, str], asked: str) -> str:
    """The point that is asked for, the first where none is. Raises Hidden for one that is not the visitor's."""
    if asked:
        if asked not in own:
            raise Hidden
        return asked
    return next(iter(own), "")


def areas_to_choose(ctx: WebContext, areas: Areas) -> list[str]:
    """The areas that a record may be about: those of the data that the visitor has, and the city where allowed."""
    named = sorted(name for name in areas.names if name and name != ctx.city)
    found = points.known_areas(ctx.db) if areas.everywhere else named
    whole = [ctx.city] if areas.everywhere or ctx.city in areas.names else []
    return [*whole, *(name for name in found if name not in whole)]


def new_form_id() -> str:
    """A name for a form, so that it is stored once however often it is sent."""
    return secrets.token_urlsafe(12)


def form_key(form: FormData) -> str:
    """What the form is stored under: its id and what was written into it.

    The same form sent again is the same; changed and sent again it is another one. A form without an id is new.
    """
    given = text(form, "form_id", 60)
    name = given if FORM_ID.fullmatch(given) else new_form_id()
    content = sorted((key, str(value)) for key, value in form.multi_items() if key not in ("csrf", "form_id"))
    return f"{name}.{hashlib.sha256(repr(content).encode('utf-8', 'replace')).hexdigest()[:16]}"


def local_today(now: datetime, zone: ZoneInfo) -> date:
    return now.astimezone(zone).date()


def day_asked(given: str, today: date, back: int) -> date | None:
    """The day that a page is about: today where none is named, None for one that has not come or is too long ago."""
    if not given:
        return today
    if not DAY.fullmatch(given):
        return None
    try:
        found = date.fromisoformat(given)
    except ValueError:
        return None
    return found if today - timedelta(days=back) <= found <= today else None


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
