"""The layout of a notice: lines with what they mean, written in a service's markup and made to fit its limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal, TypeAlias

from alerts.delivery.family import Family

Shape: TypeAlias = Literal["text", "heading", "item", "link"]

#: Never left out.
KEEP = 0
_CJK = r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]"
#: Where a text may be cut: after a space, and on either side of a Chinese character.
_BREAK = re.compile(rf"(?<=\s)|(?<={_CJK})|(?={_CJK})")


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``weight`` says how easily it is left out where room is short; an ``item`` is counted when it is.

    A ``section`` that has lost its last item goes as a whole.
    """

    text: str
    label: str = ""
    shape: Shape = "text"
    weight: int = KEEP
    url: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A notice before it is written; titles are plain text.

    ``more`` words how many items are left out; ``left_out`` of them are so from the start. ``colon`` follows a label.
    """

    title: str
    lines: tuple[Line, ...]
    colon: str
    more: Callable[[int], str]
    left_out: int = 0


def write(layout: Layout, family: Family) -> tuple[str, str]:
    """Title and body in the family's markup, no longer than it takes; no word, tag or link is cut."""
    title, lines, left_out = layout.title, _alive(layout.lines), layout.left_out

    def written() -> tuple[str, str]:
        shown = _after_items(lines, Line(layout.more(left_out))) if left_out else lines
        return title, family.newline.join(_written(line, layout.colon, family) for line in shown)

    while True:
        head, body = written()
        if family.fits(f"{head}{family.newline}{body}"):
            return head, body
        place = _heaviest(lines)
        if place is not None:
            left_out += lines[place].shape == "item"
            del lines[place]
            lines = _alive(lines)
            continue
        longest = max((len(line.text), at) for at, line in enumerate([*lines, Line(title)]))
        size, at = longest
        if size <= 20:
            return head, body  # a limit below any sense; the service cuts
        if at == len(lines):
            title = clip(title, size * 3 // 4)
        else:
            lines[at] = replace(lines[at], text=clip(lines[at].text, size * 3 // 4))


def brief(pieces: Sequence[Line], family: Family) -> str:
    """One short text of as many pieces as fit, the first of them in any case."""
    kept = list(pieces)
    while len(kept) > 1 and not family.fits(" ".join(piece.text for piece in kept)):
        kept.remove(max(reversed(kept[1:]), key=lambda piece: piece.weight))
    text = " ".join(piece.text for piece in kept)
    size = len(text)
    while not family.fits(text) and size > 1:
        size -= 1
        text = clip(kept[0].text, size, "...")
    return text


def clip(text: str, limit: int, mark: str = " …") -> str:
    """At most ``limit`` characters of a text, cut between words, with a mark where something is missing."""
    if len(text) <= limit:
        return text
    room = max(0, limit - len(mark))
    ends = [match.start() for match in _BREAK.finditer(text) if 0 < match.start() <= room]
    kept = text[: ends[-1]].rstrip() if ends else ""
    return f"{kept}{mark}" if kept else mark.strip()


def _after_items(lines: Sequence[Line], extra: Line) -> list[Line]:
    """``extra`` after the last item, or after the first line where no item is left."""
    last = max((at for at, line in enumerate(lines) if line.shape == "item"), default=0)
    return [*lines[: last + 1], extra, *lines[last + 1 :]]


def _heaviest(lines: Sequence[Line]) -> int | None:
    """The line to leave out next: the heaviest, and of equals the last."""
    found = [(line.weight, at) for at, line in enumerate(lines) if line.weight > KEEP]
    return max(found)[1] if found else None


def _alive(lines: Sequence[Line]) -> list[Line]:
    """The lines without sections of which no item is left."""
    sections = {line.section for line in lines if line.shape == "item"}
    return [line for line in lines if not line.section or line.section in sections]


def _written(line: Line, colon: str, family: Family) -> str:
    text = _escaped(line.text, family)
    label = _escaped(line.label, family)
    if line.shape == "link":
        return _link(label or text, line.url, colon, family)
    if line.shape == "heading":
        return _strong(text, family)
    if line.shape == "item":
        return f"- {text}" if family.markup == "markdown" else f"• {text}"
    return f"{_strong(label + colon.rstrip(), family)}{_gap(colon)}{text}" if label else text


def _gap(colon: str) -> str:
    return " " if colon.endswith(" ") else ""


def _strong(text: str, family: Family) -> str:
    return {"markdown": f"**{text}**", "html": f"<b>{text}</b>", "text": text}[family.markup]


def _link(text: str, url: str, colon: str, family: Family) -> str:
    if family.spells_links:
        return f'{text}{colon}<a href="{escape(url)}">{escape(url)}</a>'
    if family.markup == "html":
        return f'<a href="{escape(url)}">{text}</a>'
    if family.markup == "markdown":
        return f"[{text}]({url.replace('(', '%28').replace(')', '%29')})"
    return f"{text}{colon}{url}"


def _escaped(text: str, family: Family) -> str:
    """Text that its service shows as it is."""
    if family.markup == "html":
        return escape(text, quote=False)
    if family.escapes:
        # Only what would be markup where it stands: services differ in how they show a backslash that is not needed.
        text = re.sub(r"[\\`*]|~(?=~)|<(?=[A-Za-z/!?])|\](?=[(\[:])", r"\\\g<0>", text)
        text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
        return re.sub(r"^(\s*)([#+>-]+|\d+[.)])(?=\s)", r"\1\\\2", text)
    return text
