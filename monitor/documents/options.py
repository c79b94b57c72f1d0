"""When reports are made by themselves, and in whose name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from thresholds.settings import Settings

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ReportOptions(Settings):
    """The `[reports]` table: which reports are made by themselves, and when.

    Reports are drafts until somebody signs them; what was made once is never made again over what people wrote.
    """

    daily: bool = True
    """make a daily report of prices"""
    daily_at: str = Field(default="11:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """local time at which the daily report is made (P7: reports are due every day before 12:00)"""
    weekly: bool = True
    """make a weekly report of prices, of the seven days that end the day before"""
    weekly_on: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] = "mon"
    """weekday on which the weekly report is made"""
    weekly_at: str = Field(default="09:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """local time at which the weekly report is made"""
    issuer: str = "价格监测机构"
    """who issues the reports, as it stands at their head"""
    phone: str = ""
    """number for questions, at the foot of the reports"""
