"""A report in words: a sentence, five numbers, and tables. What mails, chats, the shell and prints are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from reports.report import Report
from reports.wording import (
    LANGUAGES,
    Language,
    say_advice,
    say_bytes,
    say_change,
    say_count,
    say_forecast,
    say_seconds,
    say_share,
    say_span,
    say_uptime,
    words,
)
from timeword import local_moment


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the names of columns, and rows as wide; ``note`` stands below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Telling:
    """One report, told in one language; moments are shown in ``zone`` (None: the machine's own)."""

    def __init__(self, report: Report, language: Language, zone: tzinfo | None = None) -> None:
        self._report = report
        self._language: Language = language
        self._zone = zone

    def _w(self, key: str, **values: object) -> str:
        return words(key, self._language, **values)

    def title(self) -> str:
        """What it is about: the service and the period."""
        report = self._report
        name = self._w(report.period, first=report.first, last=report.last, month=report.first[:7])
        return self._w("title", service=report.service, period=name)

    def sentence(self) -> str:
        """How it went, before any number."""
        report, up, asked = self._report, self._report.availability, self._report.traffic
        if report.is_before_start:
            return self._w("no_data")
        if up.ratio is None:
            head = self._w("never_there")
        elif up.seconds_down:
            head = self._w("up", ratio=say_uptime(up.ratio))
            head += self._w("down", span=say_span(up.seconds_down, self._language))
        else:
            head = self._w("always_up")
        tail = self._w("no_requests")
        if asked.requests:
            key = "asked" if asked.latency.p95 is not None else "asked_no_latency"
            tail = self._w(
                key,
                requests=say_count(asked.requests),
                share=say_share(asked.failed_share or 0.0),
                p95=say_seconds(asked.latency.p95 or 0.0),
            )
        said = head + self._w("and") + tail + self._w("stop")
        if not report.is_over:
            said += self._w("so_far")
        return said + (self._w("covered", share=say_share(report.covered)) if report.covered < 0.995 else "")

    def five(self) -> list[tuple[str, str]]:
        """The five numbers that matter; a dash for what is not known."""
        report, asked = self._report, self._report.traffic
        ratio, p95 = report.availability.ratio, asked.latency.p95
        hours = f"{sum(one.hours for one in report.gpus):.1f}" if report.gpus else "–"
        requests = say_count(asked.requests)
        if report.change.requests is not None:
            requests += f" ({say_change(report.change.requests)})"
        return [
            (self._w("Availability"), "–" if ratio is None else say_uptime(ratio)),
            (self._w("Requests"), requests),
            (self._w("Failed"), "–" if asked.failed_share is None else say_share(asked.failed_share)),
            (self._w("p95"), "–" if p95 is None else say_seconds(p95)),
            (self._w("GPU hours"), hours),
        ]

    def advice(self) -> list[str]:
        """What to do, by the numbers."""
        return [say_advice(one, self._language, self._zone) for one in self._report.advice]

    def tables(self) -> list[Table]:
        """Everything else; what has nothing to say is left out."""
        made = (
            self._comparison(), self._incidents(), self._outcomes(), self._busiest(), self._gpus(), self._forecast(),
            self._errors(), self._alerts(), self._answers(), self._targets(), self._log(),
        )  # fmt: skip
        return [table for table in made if table.rows]

    # --- tables ----------------------------------------------------------------------------------------------

    def _comparison(self) -> Table:
        report, asked, was, change = self._report, self._report.traffic, self._report.earlier, self._report.change
        columns = tuple(self._w(name) for name in ("What", "Now", "Before", "Change"))
        points = "–"
        if change.failed_share is not None:
            points = self._w("points", points=f"{change.failed_share * 100:+.2f}")
        shares = ["–" if one is None else say_share(one) for one in (asked.failed_share, was.failed_share)]
        rows = [
            (self._w("Requests"), say_count(asked.requests), say_count(was.requests), say_change(change.requests)),
            (self._w("Failed"), *shares, points),
        ]
        for name in ("p50", "p95", "p99"):
            now, then = getattr(asked.latency, name), getattr(was, name)
            said = ["–" if one is None else say_seconds(one) for one in (now, then)]
            rows.append((name, *said, say_change(getattr(change, name))))
        return Table(self._w("Traffic"), columns, tuple(rows) if report.traffic.requests or was.requests else ())

    def _incidents(self) -> Table:
        rows = tuple(
            (
                self._clock(note.started_ms),
                note.cause,
                note.summary,
                say_span(note.seconds, self._language) if note.ended_ms is not None else self._w("lasts"),
            )
            for note in self._report.incidents.notes
        )
        columns = tuple(self._w(name) for name in ("Began", "Cause", "What", "Lasted"))
        return Table(self._w("Incidents"), columns, rows)

    def _outcomes(self) -> Table:
        asked = self._report.traffic
        rows = [*_shares(asked.outcomes.items()), *_shares(asked.classes.items())]
        columns = tuple(self._w(name) for name in ("What", "Count", "Share"))
        return Table(self._w("Outcomes"), columns, tuple(rows))

    def _busiest(self) -> Table:
        rows = tuple(
            (f"{one.hour:02}:00–{(one.hour + 1) % 24:02}:00", say_count(one.requests))
            for one in self._report.traffic.busiest
        )
        return Table(self._w("Busiest"), (self._w("Hour"), self._w("Requests")), rows)

    def _gpus(self) -> Table:
        report = self._report
        rows = tuple(
            (
                f"{one.gpu} {one.name}".strip(),
                f"{one.hours:.1f}",
                say_share(one.utilisation),
                "–" if one.memory_peak_bytes is None else say_bytes(one.memory_peak_bytes),
            )
            for one in report.gpus
        )
        columns = tuple(self._w(name) for name in ("Machine", "GPU hours", "Mean load", "Peak memory"))
        note = ""
        if report.energy is not None:
            note = f"{self._w('Energy')}: {report.energy.kwh:,.2f} kWh ({self._w(f'by_{report.energy.by}')})"
            if report.energy.cost is not None:
                note += f" · {self._w('Cost')}: {report.energy.cost:,.2f} {report.currency}".rstrip()
        return Table(self._w("Machine"), columns, rows, note)

    def _forecast(self) -> Table:
        rows = tuple(
            (
                f"{'GPU' if one.what == 'vram' else ''} {one.name}".strip(),
                f"{say_bytes(one.last)} / {say_bytes(one.capacity)}",
                say_forecast(one, self._language, self._zone),
            )
            for one in self._report.forecasts
        )
        return Table(self._w("Forecast"), (self._w("What"), self._w("Now"), self._w("Change")), rows)

    def _errors(self) -> Table:
        rows = tuple(
            (f"{one.outcome}: {one.text}" if one.text else one.outcome, say_count(one.count))
            for one in self._report.traffic.errors
        )
        return Table(self._w("Errors"), (self._w("Error"), self._w("Count")), rows)

    def _alerts(self) -> Table:
        report = self._report
        rows = tuple(
            (one.rule, say_count(one.count), say_span(one.seconds, self._language)) for one in report.alerts.rules
        )
        told = self._w("Notices", sent=say_count(report.notices.sent), failed=say_count(report.notices.failed))
        return Table(self._w("Alerts"), tuple(self._w(name) for name in ("Rule", "Count", "Lasted")), rows, told)

    def _answers(self) -> Table:
        alerts = self._report.alerts
        rows = tuple((one.name, say_count(one.count), say_span(one.seconds, self._language)) for one in alerts.people)
        note = self._w("nobody", count=say_count(alerts.acknowledged), all=say_count(alerts.count))
        return Table(self._w("Answers"), tuple(self._w(name) for name in ("Name", "Count", "After")), rows, note)

    def _targets(self) -> Table:
        rows = tuple(
            (
                one.target,
                "–" if one.ratio is None else say_uptime(one.ratio),
                say_count(one.outages),
                say_span(one.seconds_down, self._language) if one.seconds_down else "–",
                one.reason,
            )
            for one in self._report.targets
        )
        columns = tuple(self._w(name) for name in ("Name", "Availability", "Outages", "Lasted", "Cause"))
        return Table(self._w("Targets"), columns, rows)

    def _log(self) -> Table:
        rows = tuple((one.target, one.pattern, say_count(one.lines)) for one in self._report.patterns)
        return Table(self._w("Log"), tuple(self._w(name) for name in ("Name", "What", "Lines")), rows)

    def _clock(self, time_ms: int) -> str:
        return local_moment(time_ms, self._zone)[:16]


def _shares(pairs: Iterable[tuple[str, int]]) -> Iterator[tuple[str, str, str]]:
    found = list(pairs)
    total = sum(count for _, count in found)
    for name, count in found:
        yield name, say_count(count), say_share(count / total)


def as_text(report: Report, language: Language = "en", zone: tzinfo | None = None) -> str:
    """The whole report as plain text, for a shell."""
    telling = Telling(report, language, zone)
    lines = [telling.title(), "=" * len(telling.title()), "", telling.sentence(), ""]
    lines += [f"{label:<16} {value}" for label, value in telling.five()]
    if advice := telling.advice():
        lines += ["", words("Advice", language), *(f"  - {text}" for text in advice)]
    for table in telling.tables():
        widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]
        lines += ["", table.title]
        lines += [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (table.columns, *table.rows)
        ]
        lines += [f"  {table.note}"] if table.note else []
    return "\n".join(lines) + "\n"


def as_document(report: Report, zone: tzinfo | None = None) -> dict[str, Any]:
    """The report as JSON can carry it, with its words in every language under ``told``: what is kept and answered."""
    told = {}
    for language in LANGUAGES:
        telling = Telling(report, language, zone)
        told[language] = {
            "title": telling.title(),
            "sentence": telling.sentence(),
            "advice": telling.advice(),
            "forecasts": [say_forecast(one, language, zone) for one in report.forecasts],
        }
    return report.as_dict() | {"told": told}
