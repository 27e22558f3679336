"""What one pattern has found in one source: how often, whether that is enough to tell, and the events of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, insert, update

from collectors.sample import Sample, make_labels
from mask import mask
from storage.tables import LogEventRow
from targets.logfile.meter import Meter
from targets.logfile.pattern import Found, Pattern
from targets.logfile.wording import fingerprint, readable, told

#: Events of one pattern that are open at once in one source; lines of yet other kinds count as one more.
MAX_OPEN = 20
OTHERS = "others"
MAX_TEXT = 1000
MAX_LINE = 200
MAX_LINE_BYTES = 16 * 1024
MAX_CONTEXT_LINES = 50
MAX_CONTEXT_CHARS = 400
#: Stretches in which the lines of a window are counted: a window is exact to a 250th of its length.
_STRETCHES = 250


@dataclass(slots=True)
class Event:
    """Lines of one kind, until it is quiet. Once it has a row (``id``), that holds its ``text`` and ``context``."""

    fingerprint: str
    first_ms: int
    last_ms: int
    count: int = 0
    raised_ms: int | None = None
    id: int | None = None
    text: str = ""
    context: tuple[str, ...] = ()
    changed: bool = True


class Tally:
    """One pattern in one source. Driven by the times at which lines were read, so that a restart changes nothing."""

    def __init__(self, target: str, source: str, pattern: Pattern) -> None:
        self.pattern = pattern
        self._target = target
        self._source = source
        self._quiet_ms = round(pattern.settings.quiet * 1000)
        self._within_ms = round(pattern.settings.within * 1000)
        self._meter = None if pattern.settings.metric is None else Meter(pattern.settings.metric)
        self._matches = 0
        self._last_ms: int | None = None
        self._raised_ms: int | None = None
        #: The line that raised it.
        self._line = ""
        #: Lines within the window, as [stretch's beginning, count].
        self._window: list[list[int]] = []
        self._events: dict[str, Event] = {}
        #: What is over and not written yet.
        self._over: list[Event] = []

    @property
    def is_active(self) -> bool:
        """Whether enough lines have come, and it has not been quiet since."""
        return self._raised_ms is not None

    # --- lines ----------------------------------------------------------------------------------------------------

    def add(self, now_ms: int, text: bytes, found: Found) -> None:
        """Take an entry in which the pattern was found, read at ``now_ms``."""
        if self._meter is not None:
            self._meter.observe(found.groups)
        if self.pattern.settings.level == 0:
            return
        self.calm(now_ms)
        self._matches += 1
        self._last_ms = now_ms
        line = _line_at(text, found.start)
        if self._raised_ms is None and self._is_enough(now_ms):
            self._raised_ms = now_ms
            self._line = told(line, MAX_LINE)
            for one in self._events.values():
                one.raised_ms, one.changed = now_ms, True
        event = self._event(now_ms, line, text)
        event.count += 1
        event.last_ms = now_ms
        event.raised_ms = self._raised_ms if event.raised_ms is None else event.raised_ms
        event.changed = True

    def calm(self, now_ms: int) -> bool:
        """End what has been quiet for long enough; whether something has ended."""
        over = [key for key, one in self._events.items() if one.last_ms + self._quiet_ms <= now_ms]
        self._over += [one for one in map(self._events.pop, over) if one.changed]
        if self._last_ms is None or self._last_ms + self._quiet_ms > now_ms or self._raised_ms is None:
            return bool(over)
        self._raised_ms, self._line, self._window = None, "", []
        return True

    def _is_enough(self, now_ms: int) -> bool:
        if self.pattern.settings.count == 1:
            return True
        stretch = now_ms - now_ms % max(1, self._within_ms // _STRETCHES)
        if self._window and self._window[-1][0] >= stretch:
            self._window[-1][1] += 1
        else:
            self._window.append([stretch, 1])
        while self._window[0][0] <= now_ms - self._within_ms:
            del self._window[0]
        return sum(count for _, count in self._window) >= self.pattern.settings.count

    def _event(self, now_ms: int, line: str, text: bytes) -> Event:
        kind = fingerprint(line[:2000])
        if kind not in self._events and len(self._events) >= MAX_OPEN:
            kind = OTHERS
        event = self._events.get(kind)
        if event is None:
            event = self._events[kind] = Event(kind, now_ms, now_ms, text=told(line, MAX_TEXT), context=_context(text))
        return event

    # --- what is kept ---------------------------------------------------------------------------------------------

    def write(self, connection: Connection) -> None:
        """Write the events that have changed."""
        for event in (*self._over, *self._events.values()):
            if not event.changed:
                continue
            now = {"last_ms": event.last_ms, "count": event.count, "raised_ms": event.raised_ms}
            if event.id is None:
                row = connection.execute(insert(LogEventRow).values(**now, **self._beginning(event)))
                event.id = int(row.inserted_primary_key[0]) if row.inserted_primary_key else None
                event.text, event.context = "", ()
            else:
                connection.execute(update(LogEventRow).where(LogEventRow.id == event.id).values(**now))
            event.changed = False
        self._over.clear()

    def _beginning(self, event: Event) -> dict[str, Any]:
        return {
            "target": self._target,
            "source": self._source,
            "pattern": self.pattern.title,
            "level": self.pattern.settings.level,
            "fingerprint": event.fingerprint,
            "first_ms": event.first_ms,
            "text": event.text,
            "context": list(event.context),
        }

    def dump(self) -> dict[str, Any]:
        """What must outlive this process, for JSON."""
        return {
            "matches": self._matches,
            "last_ms": self._last_ms,
            "raised_ms": self._raised_ms,
            "line": self._line,
            "window": [list(one) for one in self._window],
            "events": [asdict(one) for one in self._events.values()],
            "metric": None if self._meter is None else self._meter.dump(),
        }

    def load(self, kept: Mapping[str, Any]) -> None:
        """Go on from :meth:`dump`."""
        self._matches = int(kept["matches"])
        self._last_ms = kept["last_ms"]
        self._raised_ms = kept["raised_ms"]
        self._line = str(kept["line"])
        self._window = [[int(start), int(count)] for start, count in kept["window"]]
        events = [Event(**one | {"context": tuple(one["context"])}) for one in kept["events"]]
        self._events = {one.fingerprint: one for one in events}
        if self._meter is not None and kept["metric"] is not None:
            self._meter.load(kept["metric"])

    # --- series ---------------------------------------------------------------------------------------------------

    def samples(self) -> Iterator[Sample]:
        """Its series. What only makes a metric is no alert, so it has no others."""
        if self._meter is not None:
            yield from self._meter.samples(self._target, self._source)
        settings = self.pattern.settings
        if settings.level == 0:
            return
        named = {"target": self._target, "pattern": self.pattern.title}
        total = make_labels(**named, source=self._source, level=settings.level)
        yield Sample("log_matches_total", total, float(self._matches))
        yield Sample("log_pattern_active", make_labels(**named, level=settings.level), float(self.is_active))
        if self.is_active:
            yield Sample("log_last_line_info", make_labels(**named, line=self._line), 1.0)
            if settings.advice:
                both = {"advice": settings.advice, "advice_zh": self.pattern.advice_zh or settings.advice}
                yield Sample("log_advice_info", make_labels(**named, **both), 1.0)


def _line_at(text: bytes, offset: int) -> str:
    """The line of an entry in which it matched; of a traceback mostly its last, which says what was wrong."""
    begin, end = text.rfind(b"\n", 0, offset) + 1, text.find(b"\n", offset)
    line = text[begin:] if end < 0 else text[begin:end]
    return (line if line.strip() else text.partition(b"\n")[0])[:MAX_LINE_BYTES].decode(errors="replace")


def _context(text: bytes) -> tuple[str, ...]:
    """The lines of an entry that has several, the last of a long one; masked together: a key goes over several."""
    if b"\n" not in text:
        return ()
    lines = text.decode(errors="replace").rsplit("\n", MAX_CONTEXT_LINES)[-MAX_CONTEXT_LINES:]
    return tuple(mask("\n".join(_indented(line) for line in lines)).split("\n"))


def _indented(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))][:20] + readable(line, MAX_CONTEXT_CHARS)
