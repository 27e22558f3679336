"""Says numbers to people: a value with the unit that suits its size, never wider than it needs to be.

``static/js/format.js`` says the same in the browser; a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple


class Said(NamedTuple):
    """A number and its unit, apart, because the page sets them in different sizes."""

    number: str
    unit: str

    def __str__(self) -> str:
        return f"{self.number}\u202f{self.unit}" if self.unit else self.number


_STEPS: dict[str, tuple[tuple[float, str], ...]] = {
    "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")),
    "bytes_per_second": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")),
    "seconds": ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "hertz": ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (1, "Hz")),
}
_PLAIN = {
    "ratio": (100.0, "%"),
    "celsius": (1.0, "°C"),
    "watts": (1.0, "W"),
    "per_second": (1.0, "/s"),
    "count": (1.0, ""),
}
_LARGE = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


def say(value: float | None, unit: str) -> Said:
    """The value in three significant digits; absence is a dash."""
    if value is None or value != value:
        return Said("–", "")
    if unit in _STEPS:
        steps = _STEPS[unit]
        factor, name = next((step for step in steps if abs(value) >= step[0] * 0.9995), steps[-1])
        if value == 0:
            name = {"seconds": "s"}.get(unit, name)
        return Said(digits(value / factor), name)
    factor, name = _PLAIN.get(unit, (1.0, ""))
    scaled = value * factor
    for size, letter in _LARGE:
        if abs(scaled) >= size:
            return Said(digits(scaled / (1e3 if letter == "k" else size)) + letter, name)
    return Said(digits(scaled), name)


def digits(value: float) -> str:
    """Three significant digits without trailing zeros, whole numbers from 100 on: 0.25, 1.5, 12.4, 9871."""
    size = abs(value)
    if size >= 99.95:
        return str(round(value))
    places = 1 if size >= 9.995 else 2
    if size and size < 0.005:
        return "0"
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> tuple[tuple[int, str], ...]:
    """A length of time as its two largest parts, e.g. ``((3, "d"), (4, "h"))``; at least one second."""
    rest = max(1, int(seconds))
    parts = []
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        parts.append((count, name))
    first = next(index for index, part in enumerate(parts) if part[0])
    return tuple(part for part in parts[first : first + 2] if part[0])
