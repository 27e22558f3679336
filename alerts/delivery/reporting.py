"""A report as a notice: a page by mail, with its charts in it; a few lines and a link for all others.

What it says was put into words where it was made (``reports/``), in every language, so that it says the same however
late it goes out. ``Message.report`` is ``{"path": …, "charts": […], LANGUAGE: {"title", "lines", "page"}}``; ``page``
is HTML that refers to the charts by ``cid:NAME.png``.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from alerts.delivery.chart import draw_chart
from alerts.delivery.family import Family
from alerts.delivery.layout import Layout, Line, brief, write
from alerts.delivery.message import Message
from alerts.delivery.service import Letter
from alerts.delivery.wording import WORDINGS, Language

#: How the group of a report's message begins.
REPORT = "report:"
#: Where a page's HTML is to have the link to its like on our own page, and nothing where nobody knows its address.
LINK = "<!-- link -->"


def reported(message: Message, language: Language, family: Family, public_url: str | None) -> Letter:
    """The words for one family of services."""
    report: Mapping[str, Any] = message.report or {}
    told: Mapping[str, Any] = report[language]
    words = WORDINGS[language]
    url = f"{public_url.rstrip('/')}{report['path']}" if public_url else ""
    title = f"[{words.tags['report']}] {told['title']}"
    if family.page:
        link = f'<p><a href="{escape(url)}">{words.page}</a></p>' if url else ""
        return Letter(title, str(told["page"]).replace(LINK, link), "info", family.markup)
    lines = [Line(text, weight=place) for place, text in enumerate(told["lines"])]
    if url:
        lines.append(Line("", words.page, "link", 1, url))
    if family.brief:
        return Letter("", brief([Line(title), *lines[:1]], family), "info")
    return Letter(*write(Layout(title, tuple(lines), words.colon, lambda count: ""), family), "info", family.markup)


def charts(message: Message) -> tuple[tuple[str, bytes], ...]:
    """The charts of a report's page, by file name, as PNG files."""
    found = (message.report or {}).get("charts", ())
    return tuple((f"{chart['name']}.png", draw_chart(chart)) for chart in found)
