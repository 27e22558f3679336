"""A report as a letter: HTML for mails and files, lines for chats, and what its charts show. All of it is masked."""

from __future__ import annotations

from base64 import b64encode
from datetime import tzinfo
from html import escape
from typing import Any

from alerts.delivery.chart import draw_chart
from alerts.delivery.message import Message
from alerts.delivery.reporting import LINK, REPORT
from mask import mask
from reports.period import local
from reports.report import Report
from reports.telling import Table, Telling
from reports.wording import LANGUAGES, Language, words

#: Rows of a table that a mail shows.
_ROWS = 12
_TITLES = {"requests": "Charts", "latency": "Latency chart", "memory": "Memory chart", "uptime": "Uptime chart"}
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,'PingFang SC','Microsoft YaHei',sans-serif"
_CELL = "padding:5px 12px 5px 0;border-top:1px solid #e4e8ee;text-align:left;vertical-align:top"


def message(report: Report, channel: str, now_ms: int, zone: tzinfo | None) -> Message:
    """The notice of a report for one channel, in every language: which one it speaks is known when it is sent."""
    told: dict[str, Any] = {"path": path(report), "charts": charts(report, zone)}
    for language in LANGUAGES:
        telling = Telling(report, language, zone)
        told[language] = {
            "title": mask(telling.title()),
            "lines": lines(telling),
            "page": page(report, language, zone),
        }
    key = f"{REPORT}{report.period}:{report.first}"
    return Message("report", channel, key, {}, (), now_ms, note=told["en"]["title"], report=told)


def path(report: Report) -> str:
    """Where it is on our own page."""
    return f"/reports?period={report.period}&date={report.first}"


def lines(telling: Telling) -> list[str]:
    """What a chat gets: a sentence, and the five numbers that matter."""
    return [mask(telling.sentence()), *(f"{label}: {value}" for label, value in telling.five())]


def page(report: Report, language: Language, zone: tzinfo | None) -> str:
    """HTML that mail programs show as it is: tables, styles in place, pictures by ``cid:``."""
    telling = Telling(report, language, zone)
    drawn = {chart["name"] for chart in charts(report, zone)}
    pictures = "".join(
        f'{_heading(words(title, language))}<img src="cid:{name}.png" width="640" style="width:100%;max-width:640px;'
        f'height:auto;border:0" alt="{escape(words(title, language))}">'
        for name, title in _TITLES.items()
        if name in drawn
    )
    advice = "".join(f'<li style="margin:4px 0">{escape(mask(text))}</li>' for text in telling.advice())
    if advice:
        advice = f'{_heading(words("Advice", language))}<ul style="margin:0;padding-left:20px">{advice}</ul>'
    return (
        f'<div style="{_FONT};color:#17202a;font-size:14px;line-height:1.5;max-width:640px">'
        f'<h1 style="font-size:20px;margin:0 0 8px">{escape(mask(telling.title()))}</h1>'
        f'<p style="margin:0 0 14px;font-size:15px">{escape(mask(telling.sentence()))}</p>'
        f"{_tiles(telling.five())}{LINK}{advice}{pictures}"
        f"{''.join(_table(table) for table in telling.tables())}</div>"
    )


def document(report: Report, language: Language, zone: tzinfo | None) -> str:
    """The same as a file of its own, with its pictures in it."""
    body = page(report, language, zone).replace(LINK, "")
    for chart in charts(report, zone):
        data = b64encode(draw_chart(chart)).decode()
        body = body.replace(f'"cid:{chart["name"]}.png"', f'"data:image/png;base64,{data}"')
    title = escape(mask(Telling(report, language, zone).title()))
    lang = "zh-CN" if language == "zh" else "en"
    return (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{title}</title><body>{body}</body></html>\n'
    )


def charts(report: Report, zone: tzinfo | None) -> list[dict[str, Any]]:
    """What is drawn, as data; a chart without any value is left out."""
    slots = report.traffic.slots
    form = "%H" if report.period == "day" else "%m-%d"
    labels = [local(slot.start_ms, zone).strftime(form) for slot in slots]
    found: list[dict[str, Any]] = []
    if report.traffic.requests:
        counts = {"values": [slot.requests for slot in slots], "parts": [slot.failed for slot in slots]}
        found.append({"name": "requests", "kind": "bars", "labels": labels, "unit": "", **counts})
        seconds = [slot.p95 for slot in slots]
        found.append({"name": "latency", "kind": "line", "labels": labels, "values": seconds, "unit": "seconds"})
    vram = [point.value for point in report.vram]
    if any(value is not None for value in vram):
        limit = report.vram_bytes
        found.append(
            {"name": "memory", "kind": "line", "labels": labels, "values": vram, "top": limit, "unit": "bytes"}
        )
    shares = [day.ratio for day in report.days]
    if len(shares) > 1 and any(value is not None for value in shares):
        names = [day.day[5:] for day in report.days]
        found.append({"name": "uptime", "kind": "shares", "labels": names, "values": shares, "unit": "ratio"})
    return found


def _heading(text: str) -> str:
    return f'<h2 style="font-size:15px;margin:22px 0 6px">{escape(text)}</h2>'


def _tiles(pairs: list[tuple[str, str]]) -> str:
    cells = "".join(
        f'<td style="padding:8px 10px;border:1px solid #e4e8ee;text-align:center"><b style="font-size:16px">'
        f'{escape(value)}</b><br><span style="color:#53606d;font-size:12px">{escape(label)}</span></td>'
        for label, value in pairs
    )
    return f'<table role="presentation" style="border-collapse:collapse;width:100%"><tr>{cells}</tr></table>'


def _table(table: Table) -> str:
    head = "".join(f'<th style="{_CELL};color:#53606d;font-weight:500">{escape(name)}</th>' for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td style={chr(34)}{_CELL}{chr(34)}>{escape(mask(cell))}</td>' for cell in row)}</tr>"
        for row in table.rows[:_ROWS]
    )
    note = f'<p style="color:#53606d;margin:6px 0 0">{escape(mask(table.note))}</p>' if table.note else ""
    return (
        f'{_heading(table.title)}<table style="border-collapse:collapse;width:100%;font-size:13px">'
        f"<tr>{head}</tr>{rows}</table>{note}"
    )
