"""The lines of an incident's timeline that are written as things happen, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row

from alerts.outage.joining import Case

#: What tells one line from another: its kind, the alert or the state it is about, and when.
LineKey = tuple[str, int | str, int]


class Line(NamedTuple):
    """One line. ``actor`` is who did it, empty for this program. ``text`` is in the words of people."""

    kind: str  #: fired, resolved, acknowledged, unacknowledged, state or note
    time_ms: int
    actor: str
    text: str
    detail: dict[str, Any]

    @property
    def key(self) -> LineKey:
        """Lines of equal keys are one. When an acknowledgement was taken back is known only roughly: its own counts."""
        subject = self.detail.get("alert", self.detail.get("state", ""))
        return self.kind, subject, self.detail.get("ack_ms", self.time_ms)


def lines_of(
    case: Case, members: Sequence[Row[Any]], was_over_ms: int | None, written: Collection[LineKey], now_ms: int
) -> Iterator[Line]:
    """Lines about an outage's alerts and about itself that are not written yet, in no order."""
    taken_back = {key[1:] for key in written if key[0] == "unacknowledged"}
    acknowledged = [key[1:] for key in written if key[0] == "acknowledged"]
    told: dict[int | str, list[int]] = {}
    for subject, ack_ms in acknowledged:
        if (subject, ack_ms) not in taken_back:
            told.setdefault(subject, []).append(ack_ms)
    for row in members:
        for line in _of_alert(row, told.get(row.id, ()), now_ms):
            if line.key not in written:
                yield line
    for time_ms in case.reopened_ms:
        yield _state("reopened", time_ms)
    if case.over_ms is not None and case.over_ms != was_over_ms:
        yield _state("over", case.over_ms)


def _state(name: str, time_ms: int) -> Line:
    return Line("state", time_ms, "", name, {"state": name})


def _of_alert(row: Row[Any], acknowledged_ms: Collection[int], now_ms: int) -> Iterator[Line]:
    """All that there is to say of an alert as it stands; ``acknowledged_ms`` are those times that are told of."""
    facts = {"alert": row.id, "rule": row.rule, "level": row.level}
    words = {name: text for name, text in row.annotations.items() if name.startswith("summary")}
    summary = words.get("summary") or row.rule
    yield Line("fired", row.firing_ms, "", summary, facts | {"labels": row.labels, "annotations": words})
    if row.ack_ms is not None:
        yield Line("acknowledged", row.ack_ms, row.ack_by or "", row.ack_reason or "", facts | {"summary": summary})
    for moment in acknowledged_ms:
        if moment != row.ack_ms:
            yield Line("unacknowledged", now_ms, "", summary, facts | {"ack_ms": moment})
    if row.resolved_ms is not None:
        yield Line("resolved", row.resolved_ms, "", summary, facts | {"annotations": words})
