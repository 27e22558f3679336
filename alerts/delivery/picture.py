"""The picture of a notice: the last hour of what an alert is about, readable on a phone. Loads Pillow when it draws.

Its words are numbers and units only, so that no font for other scripts is needed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import numpy as np

from alerts.delivery.message import Fact, Message
from alerts.delivery.plot import Plot
from alerts.delivery.scale import ticks

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

#: Pixels of the picture; it is drawn at twice the size, so that lines come out smooth.
WIDTH, HEIGHT = 720, 360
_SCALE = 2
_TOP, _RIGHT, _BOTTOM = 24, 28, 44
_FONT = 20
_COLOURS = 48
_PAPER, _INK, _GRID = (255, 255, 255), (73, 80, 87), (233, 236, 239)
_LINE, _LIMIT, _SHADE = (29, 78, 216), (200, 30, 30), (253, 232, 230)
_MINUTE_MS = 60_000


class Pictures:
    """Draws what a message is about; ``plot_of(fact, now_ms)`` gives the figures. Times are shown in ``zone``."""

    def __init__(self, plot_of: Callable[[Fact, int], Plot | None], zone: tzinfo | None = None) -> None:
        self._plot_of = plot_of
        self._zone = zone

    def of(self, message: Message, now_ms: int) -> bytes | None:
        """A PNG file for the most urgent alert that fires; None where there is nothing to draw."""
        if message.kind not in ("alerts", "escalation", "action"):
            return None
        for fact in sorted(message.firing, key=lambda fact: (-fact.level, fact.active_ms))[:3]:
            plot = self._plot_of(fact, now_ms)
            if plot is not None and np.isfinite(plot.values).any():
                return draw(plot, self._zone)
        return None


def draw(plot: Plot, zone: tzinfo | None = None) -> bytes:
    """A plot as a PNG file: gaps stay gaps, the threshold is a dashed line, the time of the alert is shaded."""
    from PIL import Image
    from PIL.ImageDraw import Draw
    from PIL.ImageFont import load_default

    image = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), _PAPER)
    canvas = _Canvas(Draw(image), load_default(_FONT * _SCALE), plot)
    canvas.shade()
    canvas.rule(zone)
    canvas.limit()
    canvas.trace()
    file = io.BytesIO()
    small = image.reduce(_SCALE).quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(file, "PNG", optimize=True)
    return file.getvalue()


class _Canvas:
    """A plot on its way onto an image, in pixels of the large size."""

    def __init__(self, pen: ImageDraw, font: FreeTypeFont | ImageFont, plot: Plot) -> None:
        self._pen, self._font, self._plot = pen, font, plot
        finite = plot.values[np.isfinite(plot.values)]
        shown = [*finite, *([] if plot.threshold is None or not math.isfinite(plot.threshold) else [plot.threshold])]
        self._ticks = ticks(float(min(shown)), float(max(shown))) if shown else [0.0, 1.0]
        self._labels = [plot.show(tick) for tick in self._ticks]
        widest = max(pen.textlength(label, font=font) for label in self._labels)
        self._left = round(widest) + 24 * _SCALE
        self._right, self._top = (WIDTH - _RIGHT) * _SCALE, _TOP * _SCALE
        self._bottom = (HEIGHT - _BOTTOM) * _SCALE
        self._start, self._end = int(plot.times[0]), max(int(plot.times[-1]), int(plot.times[0]) + 1)

    def shade(self) -> None:
        """The time since the alert began."""
        since = self._plot.since_ms
        if since is not None and since < self._end:
            left = self._x(max(since, self._start))
            self._pen.rectangle((left, self._top, self._right, self._bottom), fill=_SHADE)

    def rule(self, zone: tzinfo | None) -> None:
        """The axes: values with their unit, times of the day."""
        for tick, label in zip(self._ticks, self._labels, strict=True):
            y = round(self._y(tick)) // _SCALE * _SCALE  # on a pixel of the small picture, or the line would fade
            self._pen.line((self._left, y, self._right, y), fill=_GRID, width=_SCALE)
            self._pen.text((self._left - 10 * _SCALE, y), label, fill=_INK, font=self._font, anchor="rm")
        for moment in _moments(self._start, self._end, zone):
            x = self._x(round(moment.timestamp() * 1000))
            self._pen.line((x, self._bottom, x, self._bottom + 6 * _SCALE), fill=_INK, width=_SCALE)
            place = (x, self._bottom + 10 * _SCALE)
            self._pen.text(place, moment.strftime("%H:%M"), fill=_INK, font=self._font, anchor="mt")
        self._pen.line((self._left, self._bottom, self._right, self._bottom), fill=_INK, width=_SCALE)

    def limit(self) -> None:
        """The threshold."""
        threshold = self._plot.threshold
        if threshold is None or not math.isfinite(threshold):
            return
        y = self._y(threshold)
        for x in range(self._left, self._right, 14 * _SCALE):
            self._pen.line((x, y, min(x + 8 * _SCALE, self._right), y), fill=_LIMIT, width=2 * _SCALE)

    def trace(self) -> None:
        """The series; a sample that stands alone is a dot."""
        stretch: list[tuple[float, float]] = []
        for time_ms, value in zip(self._plot.times.tolist(), self._plot.values.tolist(), strict=True):
            if math.isfinite(value):
                stretch.append((self._x(time_ms), self._y(value)))
                continue
            self._stroke(stretch)
            stretch = []
        self._stroke(stretch)

    def _stroke(self, stretch: list[tuple[float, float]]) -> None:
        if len(stretch) > 1:
            self._pen.line(stretch, fill=_LINE, width=3 * _SCALE, joint="curve")
        elif stretch:
            (x, y), r = stretch[0], 3 * _SCALE
            self._pen.ellipse((x - r, y - r, x + r, y + r), fill=_LINE)

    def _x(self, time_ms: int) -> float:
        return self._left + (time_ms - self._start) / (self._end - self._start) * (self._right - self._left)

    def _y(self, value: float) -> float:
        low, high = self._ticks[0], self._ticks[-1]
        return self._bottom - (value - low) / (high - low) * (self._bottom - self._top)


def _moments(start_ms: int, end_ms: int, zone: tzinfo | None) -> list[datetime]:
    """Full quarters of an hour in the window, or of what makes about four of it."""
    minutes = next((one for one in (1, 5, 15, 30, 60, 180) if (end_ms - start_ms) / (one * _MINUTE_MS) <= 5), 360)
    first = datetime.fromtimestamp(start_ms / 1000, zone).astimezone(zone)
    found = first.replace(minute=0 if minutes >= 60 else first.minute // minutes * minutes, second=0, microsecond=0)
    moments = []
    while found.timestamp() * 1000 <= end_ms:
        if found.timestamp() * 1000 >= start_ms:
            moments.append(found)
        found += timedelta(minutes=minutes)
    return moments
