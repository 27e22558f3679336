"""Reports for the shell: made beside the running server, from what it has written."""

from __future__ import annotations

import time
from datetime import date, timedelta, tzinfo
from typing import Any

import orjson
from sqlalchemy import Engine as Database

from config import Settings
from promql import Engine as QueryEngine
from reports.letter import document
from reports.period import period_of, today
from reports.report import Reporter
from reports.telling import as_document, as_text
from storage.series import SeriesStore


def printed(
    settings: Settings, database: Database, kind: Any, text: str, form: str, language: Any, zone: tzinfo | None
) -> str:
    """The report of the ``kind`` that the date ``text`` lies in, the last one that is over without one, as ``form``.

    Raises ``ValueError`` that says what the date must be.
    """
    now_ms = time.time_ns() // 1_000_000
    if text:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise ValueError("one such as 2026-11-21") from None
    else:
        day = period_of(kind, today(now_ms, zone), zone).first - timedelta(days=1)
    store = SeriesStore(database)
    store.attach()
    report = Reporter(settings, database, QueryEngine(store)).report(kind, day, now_ms, zone)
    if form == "json":
        return orjson.dumps(as_document(report, zone), option=orjson.OPT_INDENT_2).decode() + "\n"
    return document(report, language, zone) if form == "html" else as_text(report, language, zone)
