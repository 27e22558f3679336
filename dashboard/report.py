"""Reports of days, weeks and months as JSON; those that were sent; sending one now."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any, Literal, cast

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict

from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.moment import now_ms
from dashboard.parameter import body, invalid, one_of, zone
from dashboard.problem import Problem
from dashboard.services import services
from reports.period import KINDS, Kind, period_of, today
from reports.report import BusyError
from reports.schedule import NoChannelError
from reports.telling import as_document

blueprint = Blueprint("report", __name__, url_prefix="/api")

_RETRY_SECONDS = 30
#: A body has a field of that name, which would stand for itself.
_Date = date


class Wanted(BaseModel):
    """Which report is to be sent; without a date the last one that is over."""

    model_config = ConfigDict(extra="forbid")
    period: Literal["day", "week", "month"]
    date: _Date | None = None


@blueprint.get("/reports")
@require("viewer")
def report() -> Response:
    """The report of the period that ``date`` lies in; the last one that is over without it. ``tz`` says whose days."""
    kind = cast(Kind, one_of("period", KINDS) or "day")
    day, now, place = _date(kind), now_ms(), zone()
    try:
        kept = None if place else services().reports.body(kind, period_of(kind, day, None).start_ms)
        if kept is not None:
            return answer(kept)
        return answer(as_document(services().reports.reporter.report(kind, day, now, place), place))
    except ValueError as error:
        invalid("date", f"is {day.isoformat()}, but must be {error}")
    except BusyError:
        raise _busy() from None


@blueprint.get("/reports/list")
@require("viewer")
def kept() -> Response:
    """The reports that were sent on schedule, newest first; what the schedule is, and who gets them."""
    wanted = services().settings.reports
    schedule = {"day": wanted.daily, "week": wanted.weekly, "month": wanted.monthly}
    told = [asdict(one) for one in services().reports.kept()]
    return answer({"reports": told, "schedule": schedule, "channels": services().reports.receivers()})


@blueprint.post("/reports/send")
@require("operator")
def send() -> Response:
    """Send a report to the channels that reports go to, now."""
    wanted, now = body(Wanted), now_ms()
    day = wanted.date or _last(wanted.period, now)
    try:
        names = services().reports.send(wanted.period, day, now)
    except ValueError as error:
        invalid("date", f"is {day.isoformat()}, but must be {error}")
    except NoChannelError:
        raise Problem(
            409, "conflict", "There is no channel that takes reports: add one under Alerts, or name it in the settings."
        ) from None
    except BusyError:
        raise _busy() from None
    audit("report.send", f"report:{wanted.period}:{day.isoformat()}", {"channels": names})
    return answer({"channels": names}, 202)


def _date(kind: Kind) -> date:
    text = request.args.get("date")
    if not text:
        return _last(kind, now_ms())
    try:
        return date.fromisoformat(text)
    except ValueError:
        invalid("date", f"is {text[:40]!r}, but must be a date such as 2026-11-21")


def _last(kind: Kind, now: int) -> date:
    """A day of the last period that is over."""
    place = zone()
    return period_of(kind, today(now, place), place).first - timedelta(days=1)


def _busy() -> Problem:
    headers: dict[str, Any] = {"Retry-After": str(_RETRY_SECONDS)}
    return Problem(503, "http-error", "Other reports are being made, and that takes long.", headers=headers)
