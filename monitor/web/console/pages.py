"""All pages, as one list. They are loaded after the daemon has begun to answer: monitor/web/loading.py."""

from __future__ import annotations

from fastapi import FastAPI

from monitor.web import page
from monitor.web.console import (
    admin,
    admin_roles,
    admin_tokens,
    audit_page,
    duties_page,
    entry,
    entry_complaints,
    entry_decisions,
    entry_patrols,
    entry_upload,
    flag_acts,
    flag_page,
    health,
    items,
    language,
    oidc,
    profile,
    queue,
    queue_views,
    reports,
    reports_due,
    second_factor,
    signin,
    wall,
)
from monitor.web.console.assets import Static

PARTS = (
    page,
    health,
    flag_acts,
    flag_page,
    items,
    language,
    profile,
    queue,
    queue_views,
    reports,
    second_factor,
    signin,
    wall,
    entry,
    entry_upload,
    entry_complaints,
    entry_patrols,
    entry_decisions,
    reports_due,
    duties_page,
    admin,
    admin_roles,
    admin_tokens,
    audit_page,
    oidc,
)


def add_pages(app: FastAPI) -> None:
    """Give the application all pages, at once: a request sees none of them or all."""
    routes = [route for part in PARTS for route in part.router.routes]
    app.router.routes.extend(routes)  # include_router would make each of them a second time
    app.mount("/static", Static(), name="static")
