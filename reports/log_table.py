"""A log's report as a plain table for a terminal, in English or Chinese."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime, tzinfo

from reports.logreport import LogReport

#: Names that are listed of each kind; characters of one; the width of a bar.
_MOST, _LONGEST, _BAR = 12, 60, 24

_CHINESE = {
    "Lines": "日志行",
    "Requests": "请求",
    "From": "开始",
    "To": "结束",
    "Success rate": "成功率",
    "Mean": "平均",
    "95 % within": "95% 不超过",
    "Longest": "最长",
    "Results by class": "按类别的结果",
    "Errors by type": "按类型的错误",
    "Busiest hours": "最繁忙时段",
    "Fields taken": "采用的字段",
    "Not used": "未采用的行",
    "time": "时间",
    "duration": "耗时",
    "outcome": "结果",
    "class": "类别",
    "error": "错误",
    "event": "事件",
    "not told": "日志未说明",
    "none": "无",
    "no result": "不含结果",
    "another event": "其他事件",
    "error without a result": "只有错误、没有结果",
    "not JSON": "不是 JSON",
    "not an object": "不是 JSON 对象",
    "longer than 1 MiB": "超过 1 MiB",
    "time not understood (counted all the same)": "时间无法识别（仍计入）",
    "duration not understood (counted all the same)": "耗时无法识别（仍计入）",
    "to a thousandth": "精确到千分之一",
    "(other)": "（其他）",
    "(not told)": "（未说明）",
    "seconds": "秒",
    "milliseconds": "毫秒",
    "Nothing in this log tells of a request: name its fields, e.g. --duration FIELD --outcome FIELD.": (
        "日志中没有可识别的请求：请指定字段，例如 --duration 字段 --outcome 字段。"
    ),
}
_UNITS = {"s": "seconds", "seconds": "seconds", "ms": "milliseconds"}


def table(report: LogReport, language: str = "en", zone: tzinfo | None = None) -> str:
    """The whole report, lines of 80 columns about."""
    say = _CHINESE if language == "zh" else {}
    lines: list[str] = []
    facts = [("Lines", f"{report.lines:,}"), ("Requests", f"{report.total:,}")]
    if report.first_ms is not None and report.last_ms is not None:
        facts += [("From", _moment(report.first_ms, zone)), ("To", _moment(report.last_ms, zone))]
    ratio = report.success_ratio
    facts.append(("Success rate", say.get("not told", "not told") if ratio is None else f"{ratio:.2%}"))
    if report.mean is not None and report.p95 is not None and report.longest is not None:
        about = "" if report.durations.exact else f"  ({say.get('to a thousandth', 'to a thousandth')})"
        facts += [("Mean", _length(report.mean)), ("95 % within", _length(report.p95) + about)]
        facts.append(("Longest", _length(report.longest)))
    lines += _pairs((say.get(name, name), value) for name, value in facts)
    if not report.total:
        text = "Nothing in this log tells of a request: name its fields, e.g. --duration FIELD --outcome FIELD."
        lines += ["", say.get(text, text)]
    hours = [(f"{hour:02}:00–{(hour + 1) % 24:02}:00", count) for hour, count in report.busiest()]
    for title, counts in (
        ("Results by class", report.classes.most_common(_MOST)),
        ("Errors by type", report.errors.most_common(_MOST)),
        ("Busiest hours", hours),
    ):
        if counts:
            lines += ["", say.get(title, title), *_bars([(say.get(name, name), count) for name, count in counts])]
    lines += ["", say.get("Fields taken", "Fields taken"), *_pairs(_fields(report, say), "  ")]
    if report.unused:
        counts = [(say.get(name, name), count) for name, count in report.unused.most_common()]
        lines += ["", say.get("Not used", "Not used"), *_pairs(((name, f"{count:,}") for name, count in counts), "  ")]
    return "\n".join(lines) + "\n"


def _fields(report: LogReport, say: dict[str, str]) -> list[tuple[str, str]]:
    names, nothing = report.names, say.get("none", "none")
    unit = _UNITS.get(names.unit, names.unit)
    duration = f"{names.duration} ({say.get(unit, unit)})" if names.duration else nothing
    found = [
        ("time", names.time),
        ("duration", duration),
        ("outcome", names.outcome),
        ("class", names.klass),
        ("error", names.error),
        ("event", names.event),
    ]
    return [(say.get(name, name), value or nothing) for name, value in found]


def _pairs(pairs: Iterable[tuple[str, str]], indent: str = "") -> list[str]:
    rows = [*pairs]
    width = max((_width(name) for name, _ in rows), default=0)
    return [f"{indent}{_padded(name, width)}  {value}" for name, value in rows]


def _bars(counts: list[tuple[str, int]]) -> list[str]:
    """Names, counts and bars, the longest for the most."""
    names = [_cut(name) for name, _ in counts]
    width, digits = max(map(_width, names)), max(len(f"{count:,}") for _, count in counts)
    most = max(count for _, count in counts)
    return [
        f"  {_padded(name, width)}  {count:>{digits},}  {'█' * max(1, round(count / most * _BAR))}"
        for name, (_, count) in zip(names, counts, strict=True)
    ]


def _width(text: str) -> int:
    """Columns of a terminal: characters of East Asia take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _cut(text: str) -> str:
    text = "".join(one if one.isprintable() else " " for one in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _moment(time_ms: int, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(time_ms / 1000, zone).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z")


def _length(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.1f} min"
