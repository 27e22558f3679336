"""The charts of a report as PNG files that a mail can carry. Their words are numbers, units and dates: any font does.

A chart is data: ``{"name", "kind", "labels", "values", "parts", "top", "unit"}``. ``kind`` bars: ``values`` with
``parts`` of them in red at the foot; line: ``values`` with a dashed limit at ``top``; shares: bars from 0 to 1, the
colour says how far one is from 1. A value that is None is a gap.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alerts.delivery.scale import ticks
from alerts.delivery.unit import SHOWN

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

#: Pixels; drawn at twice the size, so that edges come out smooth, and shown at half of it on fine screens.
WIDTH, HEIGHT = 1280, 400
_SCALE = 2
_TOP, _RIGHT, _BOTTOM = 24, 24, 56
_FONT = 26
_COLOURS = 48
_LABELS = 8
_PAPER, _INK, _GRID = (255, 255, 255), (83, 96, 109), (228, 232, 238)
_BLUE, _RED, _GREEN, _AMBER = (31, 111, 214), (189, 43, 41), (14, 118, 80), (178, 106, 0)


def draw_chart(chart: Mapping[str, Any]) -> bytes:
    """A chart as a PNG file."""
    from PIL import Image
    from PIL.ImageDraw import Draw
    from PIL.ImageFont import load_default

    image = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), _PAPER)
    _Sheet(Draw(image), load_default(_FONT * _SCALE), chart).draw()
    file = io.BytesIO()
    small = image.reduce(_SCALE).quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(file, "PNG", optimize=True)
    return file.getvalue()


class _Sheet:
    """A chart on its way onto an image, in pixels of the large size."""

    def __init__(self, pen: ImageDraw, font: FreeTypeFont | ImageFont, chart: Mapping[str, Any]) -> None:
        self._pen, self._font, self._chart = pen, font, chart
        self._values: Sequence[float | None] = chart["values"]
        show = SHOWN[chart.get("unit", "")]
        top = chart.get("top")
        known = [value for value in self._values if value is not None]
        high = max([*known, *([] if top is None else [top])], default=1.0) or 1.0
        self._ticks = [0.0, 0.5, 1.0] if chart["kind"] == "shares" else ticks(0.0, float(high))
        self._shown = [show(tick) for tick in self._ticks]
        self._left = round(max(pen.textlength(text, font=font) for text in self._shown)) + 24 * _SCALE
        self._right, self._top, self._bottom = (WIDTH - _RIGHT) * _SCALE, _TOP * _SCALE, (HEIGHT - _BOTTOM) * _SCALE
        self._slot = (self._right - self._left) / max(1, len(self._values))

    def draw(self) -> None:
        """Axes, then what they are for."""
        self._axes()
        if self._chart["kind"] == "line":
            self._limit()
            self._line()
        else:
            self._bars()

    def _axes(self) -> None:
        for tick, text in zip(self._ticks, self._shown, strict=True):
            y = round(self._y(tick)) // _SCALE * _SCALE
            self._pen.line((self._left, y, self._right, y), fill=_GRID, width=_SCALE)
            self._pen.text((self._left - 12 * _SCALE, y), text, fill=_INK, font=self._font, anchor="rm")
        labels: Sequence[str] = self._chart["labels"]
        every = max(1, math.ceil(len(labels) / _LABELS))
        for place in range(0, len(labels), every):
            x = self._left + (place + 0.5) * self._slot
            self._pen.text((x, self._bottom + 14 * _SCALE), labels[place], fill=_INK, font=self._font, anchor="mt")
        self._pen.line((self._left, self._bottom, self._right, self._bottom), fill=_INK, width=_SCALE)

    def _bars(self) -> None:
        parts: Sequence[float] = self._chart.get("parts") or [0.0] * len(self._values)
        for place, (value, part) in enumerate(zip(self._values, parts, strict=True)):
            if value is None:
                continue
            colour = _share_colour(value) if self._chart["kind"] == "shares" else _BLUE
            self._bar(place, value, colour)
            if part:
                self._bar(place, part, _RED)

    def _bar(self, place: int, value: float, colour: tuple[int, int, int]) -> None:
        """A bar from the foot; what is more than nothing is seen."""
        left = self._left + (place + 0.14) * self._slot
        right = self._left + (place + 0.86) * self._slot
        y = self._y(value)
        if value > 0:
            y = min(y, self._bottom - 3 * _SCALE)
        self._pen.rectangle((left, y, right, self._bottom), fill=colour)

    def _line(self) -> None:
        stretch: list[tuple[float, float]] = []
        for place, value in enumerate([*self._values, None]):
            if value is not None:
                stretch.append((self._left + (place + 0.5) * self._slot, self._y(value)))
                continue
            if len(stretch) > 1:
                self._pen.line(stretch, fill=_BLUE, width=4 * _SCALE, joint="curve")
            for x, y in stretch:
                r = 5 * _SCALE
                self._pen.ellipse((x - r, y - r, x + r, y + r), fill=_BLUE)
            stretch = []

    def _limit(self) -> None:
        top = self._chart.get("top")
        if top is None:
            return
        y = self._y(top)
        for x in range(self._left, self._right, 18 * _SCALE):
            self._pen.line((x, y, min(x + 10 * _SCALE, self._right), y), fill=_RED, width=3 * _SCALE)

    def _y(self, value: float) -> float:
        return self._bottom - (value - self._ticks[0]) / (self._ticks[-1] - self._ticks[0]) * (self._bottom - self._top)


def _share_colour(value: float) -> tuple[int, int, int]:
    return _GREEN if value >= 1 else _AMBER if value >= 0.99 else _RED
