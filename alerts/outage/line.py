"""The lines of an incident's timeline that are written as things happen, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Row

#: What tells one line from another: its kind, the alert or the state it is about, and when.
LineKey = tuple[str, int | str, int]


class Line(NamedTuple):
    """One line. ``actor`` is who did it, empty for this program. ``text`` is in the words of people."""

    kind: str  #: fired, resolved, acknowledged, unacknowledged, action, notice, note or state
    time_ms: int
    actor: str
    text: str
    detail: dict[str, Any]

    @property
    def key(self) -> LineKey:
        """Lines of equal keys are one. When an acknowledgement was taken back is known only roughly: its own counts."""
        subject = self.detail.get("alert", self.detail.get("state", ""))
        return self.kind, subject, self.detail.get("ack_ms", self.time_ms)


class News(NamedTuple):
    """Something about an alert that is not written yet: which kind of line, when, and the alert's row."""

    kind: str
    time_ms: int
    alert: Row[Any]


def news_of(members: Iterable[Row[Any]], written: Collection[LineKey]) -> list[News]:
    """All that there is to say of an outage's alerts as they stand, without what is ``written``."""
    back = {key[1:] for key in written if key[0] == "unacknowledged"}
    taken_on: dict[int | str, list[int]] = {}
    for kind, subject, time_ms in written:
        if kind == "acknowledged" and (subject, time_ms) not in back:
            taken_on.setdefault(subject, []).append(time_ms)
    found = []
    for row in members:
        for moment in taken_on.get(row.id, ()):
            if moment != row.ack_ms:
                found.append(News("unacknowledged", moment, row))
        for kind, time_ms in (("fired", row.firing_ms), ("acknowledged", row.ack_ms), ("resolved", row.resolved_ms)):
            if time_ms is not None and (kind, row.id, time_ms) not in written:
                found.append(News(kind, time_ms, row))
    return found


def lines_of(news: Iterable[News], words: Mapping[int, Row[Any]], now_ms: int) -> Iterator[Line]:
    """``news`` as lines; ``words`` are the alerts' labels, annotations and reasons."""
    for kind, time_ms, alert in news:
        said = words[alert.id]
        summaries = {name: text for name, text in said.annotations.items() if name.startswith("summary")}
        summary = summaries.get("summary") or alert.rule
        detail = {"alert": alert.id, "rule": alert.rule, "level": alert.level, "annotations": summaries}
        match kind:
            case "fired":
                yield Line(kind, time_ms, "", summary, detail | {"labels": said.labels})
            case "acknowledged":
                yield Line(kind, time_ms, alert.ack_by or "", said.ack_reason or "", detail | {"summary": summary})
            case "unacknowledged":
                yield Line(kind, now_ms, "", summary, detail | {"ack_ms": time_ms})
            case _:
                yield Line(kind, time_ms, "", summary, detail)


def state_line(name: str, time_ms: int) -> Line:
    """The outage itself was ``reopened`` or ``over``."""
    return Line("state", time_ms, "", name, {"state": name})
