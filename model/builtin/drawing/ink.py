"""Drawing on a card: text, faces, chips, seals and tables, in shares of the sheet so that a layout fits any size."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.builtin.drawing.dice import Dice

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
#: left, top, right, bottom, as shares of the sheet.
Box = tuple[float, float, float, float]

DARK: Final[Colour] = (28, 30, 38)
WHITE: Final[Colour] = (252, 252, 252)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=256)
def font(name: str, size: int) -> Font:
    """The named font, or Pillow's own where the machine has no such font."""
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return ImageFont.load_default(size)


class Sheet:
    """A card being drawn. Positions and sizes are shares: x and widths of the width, y and heights of the height."""

    def __init__(self, dice: Dice, width: int, height: int, ground: Colour) -> None:
        self.dice = dice
        self.width, self.height = width, height
        self.image = Image.new("RGB", (width, height), ground)
        self.draw = ImageDraw.Draw(self.image)
        self.font_name = dice.pick(("", *dice.world.fonts))

    def pixels(self, box: Box) -> tuple[int, int, int, int]:
        left, top, right, bottom = box
        return (
            round(left * self.width),
            round(top * self.height),
            round(right * self.width),
            round(bottom * self.height),
        )

    def repaint(self, image: Image.Image) -> None:
        """Go on drawing on another image of the same size."""
        self.image.paste(image)

    # Grounds

    def gradient(self, start: Colour, end: Colour, *, down: bool = False) -> None:
        steps = np.linspace(0.0, 1.0, self.height if down else self.width)[:, None]
        ramp = (np.array(start) * (1 - steps) + np.array(end) * steps).astype(np.uint8)
        field = np.broadcast_to(ramp[:, None] if down else ramp[None], (self.height, self.width, 3))
        self.image.paste(Image.fromarray(np.ascontiguousarray(field)))

    def guilloche(self, colour: Colour, lines: int = 14) -> None:
        """The fine waves that security printing lays under the text."""
        xs = np.linspace(0, self.width, 40)
        waves, phase = self.dice.span(1.0, 4.0), self.dice.span(0, 6.28)
        for line in range(lines):
            base = self.height * (line + 0.5) / lines
            ys = base + self.height * 0.06 * np.sin(xs / self.width * waves * 6.28 + phase + line * 0.3)
            self.draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=colour, width=1)

    # Text

    def text(self, x: float, y: float, text: str, size: float, colour: Colour = DARK, *, bold: bool = False) -> None:
        """Write one line with its top-left at (x, y); ``size`` is a share of the height."""
        letter = font(self.font_name, max(6, round(size * self.height)))
        self.draw.text((x * self.width, y * self.height), text, colour, letter, stroke_width=1 if bold else 0)

    def ideograms(self, x: float, y: float, count: int, size: float, colour: Colour = DARK) -> None:
        """Write ``count`` signs that look like Han script from afar and mean nothing."""
        side = size * self.height
        for sign in range(count):
            left, top = x * self.width + sign * side * 1.12, y * self.height
            for _ in range(3):
                level = top + side * self.dice.rng.random()
                self.draw.line((left, level, left + side * 0.9, level), fill=colour, width=1)
            for _ in range(2):
                column = left + side * 0.9 * self.dice.rng.random()
                self.draw.line((column, top, column, top + side), fill=colour, width=1)

    def words(self, x: float, y: float, size: float, colour: Colour, *, han: bool) -> None:
        """Write a short piece of text in one of the two scripts."""
        if han:
            self.ideograms(x, y, self.dice.whole(2, 7), size, colour)
        else:
            self.text(x, y, f"{self.dice.name()} {self.dice.name()}".upper(), size, colour)

    def machine_zone(self, top: float, lines: int, length: int, size: float, paper: Colour | None) -> None:
        """The lines that machines read, on a pale ground across the whole width when ``paper`` is given."""
        if paper is not None:
            self.draw.rectangle(self.pixels((0.0, top - 0.02, 1.0, 1.0)), fill=paper)
        pitch = 0.93 / length * self.width
        letter = font(self.font_name, max(6, round(size * self.height)))
        signs = "<<<<ABCDEFGHKLMNPRSTUVXZ0123456789"
        for line in range(lines):
            y = (top + line * size * 1.35) * self.height
            body = "".join(self.dice.pick(signs) for _ in range(length * 2 // 3)).ljust(length, "<")
            for place, sign in enumerate(body):
                self.draw.text((0.035 * self.width + place * pitch, y), sign, DARK, letter)

    # Things

    def portrait(self, box: Box, *, tone: float = 1.0) -> None:
        """A face that nobody has: shoulders, head, hair and eyes in drawn colours."""
        left, top, right, bottom = self.pixels(box)
        width, height = max(8, right - left), max(8, bottom - top)
        face = Image.new("RGB", (width, height), hsv(self.dice.span(0, 1), self.dice.span(0, 0.25), 0.9))
        pen = ImageDraw.Draw(face)
        skin = hsv(self.dice.span(0.03, 0.09), self.dice.span(0.2, 0.65), self.dice.span(0.35, 0.98))
        hair = hsv(self.dice.span(0.02, 0.14), self.dice.span(0.1, 0.7), self.dice.span(0.05, 0.75))
        coat = hsv(self.dice.span(0, 1), self.dice.span(0.1, 0.7), self.dice.span(0.1, 0.8))
        half, chin = self.dice.span(0.18, 0.27) * width, self.dice.span(0.62, 0.74) * height
        middle, crown = width * self.dice.span(0.46, 0.54), self.dice.span(0.12, 0.24) * height
        if self.dice.chance(0.4):
            pen.ellipse((middle - half * 1.4, crown * 0.7, middle + half * 1.4, chin * 1.15), fill=hair)
        pen.ellipse((middle - width * 0.45, chin, middle + width * 0.45, height * 1.5), fill=coat)
        pen.rectangle(
            (middle - half * 0.45, chin - height * 0.1, middle + half * 0.45, chin + height * 0.08), fill=skin
        )
        pen.ellipse((middle - half, crown, middle + half, chin), fill=skin)
        pen.pieslice((middle - half * 1.1, crown * 0.8, middle + half * 1.1, chin), 180, 360, fill=hair)
        brow = crown + (chin - crown) * 0.5
        pen.ellipse((middle - half * 0.8, crown + height * 0.09, middle + half * 0.8, chin), fill=skin)
        for side in (-0.4, 0.4):
            pen.ellipse((middle + half * (side - 0.12), brow, middle + half * (side + 0.12), brow + 3), fill=DARK)
        mouth = crown + (chin - crown) * 0.8
        pen.line((middle - half * 0.3, mouth, middle + half * 0.3, mouth), fill=(120, 50, 50), width=2)
        if self.dice.chance(0.35):
            face = face.convert("L").convert("RGB")
        if tone < 1.0:
            face = Image.blend(self.image.crop((left, top, left + width, top + height)), face, tone)
        self.image.paste(face, (left, top))

    def chip(self, x: float, y: float, width: float = 0.13) -> None:
        """The contact plate, gold or silver, with its top-left at (x, y)."""
        left, top = x * self.width, y * self.height
        size = width * max(self.width, self.height)
        tall = size * self.dice.span(0.72, 0.86)
        metal = self.dice.pick(((214, 178, 94), (226, 200, 130), (196, 198, 204), (180, 150, 80)))
        groove = hsv(0.1, 0.4, 0.4)
        self.draw.rounded_rectangle(
            (left, top, left + size, top + tall), radius=size * 0.14, fill=metal, outline=groove
        )
        for share in (0.33, 0.66):
            self.draw.line((left, top + tall * share, left + size, top + tall * share), fill=groove, width=1)
        box = (left + size * 0.33, top + tall * 0.2, left + size * 0.66, top + tall * 0.8)
        self.draw.rectangle(box, outline=groove, fill=metal)

    def seal(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A round stamp: two rings and a star or a bar."""
        cx, cy, size = x * self.width, y * self.height, radius * self.height
        for share in (1.0, 0.78):
            ring = (cx - size * share, cy - size * share, cx + size * share, cy + size * share)
            self.draw.ellipse(ring, outline=colour, width=2)
        self.draw.regular_polygon((cx, cy, size * 0.4), self.dice.whole(3, 6), fill=colour)

    def square_seal(self, box: Box, colour: Colour) -> None:
        """A square stamp filled with signs."""
        left, top, right, bottom = box
        self.draw.rectangle(self.pixels(box), outline=colour, width=2)
        size = (bottom - top) / 3.6
        for row in range(3):
            self.ideograms(left + (right - left) * 0.1, top + size * (0.3 + row * 1.12), 3, size, colour)

    def flag(self, box: Box) -> None:
        """A small flag of no country: three bands, or a ring of dots on blue."""
        left, top, right, bottom = self.pixels(box)
        if self.dice.chance(0.5):
            self.draw.rectangle((left, top, right, bottom), fill=(20, 50, 150))
            cx, cy, reach = (left + right) / 2, (top + bottom) / 2, min(right - left, bottom - top) * 0.34
            for angle in np.linspace(0, 6.28, 12, endpoint=False):
                x, y = cx + reach * np.cos(angle), cy + reach * np.sin(angle)
                self.draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(250, 220, 60))
            return
        for band in range(3):
            colour = hsv(self.dice.span(0, 1), self.dice.span(0.3, 0.9), self.dice.span(0.5, 1))
            self.draw.rectangle(
                (left, top + (bottom - top) * band / 3, right, top + (bottom - top) * (band + 1) / 3), fill=colour
            )

    def barcode(self, box: Box) -> None:
        left, top, right, bottom = self.pixels(box)
        x = float(left)
        while x < right:
            wide = self.dice.whole(1, 4)
            self.draw.rectangle((x, top, min(x + wide - 1, right), bottom), fill=DARK)
            x += wide + self.dice.whole(1, 4)

    def vehicle(self, x: float, y: float, size: float, colour: Colour = DARK) -> None:
        """A pictogram of a car, a lorry or a motorcycle, ``size`` high (a share of the height)."""
        left, top, tall = x * self.width, y * self.height, size * self.height
        long = tall * self.dice.span(1.4, 2.4)
        kind = self.dice.whole(0, 2)
        if kind == 0:
            self.draw.rectangle((left, top + tall * 0.35, left + long, top + tall * 0.75), fill=colour)
            self.draw.rectangle((left + long * 0.2, top, left + long * 0.75, top + tall * 0.4), fill=colour)
        elif kind == 1:
            self.draw.rectangle((left, top, left + long * 0.65, top + tall * 0.75), fill=colour)
            self.draw.rectangle((left + long * 0.7, top + tall * 0.3, left + long, top + tall * 0.75), fill=colour)
        else:
            self.draw.line(
                (left + long * 0.2, top + tall * 0.8, left + long * 0.7, top + tall * 0.3), fill=colour, width=2
            )
        wheel = tall * 0.2
        for share in (0.22, 0.78):
            cx, cy = left + long * share, top + tall * 0.8
            self.draw.ellipse((cx - wheel, cy - wheel, cx + wheel, cy + wheel), fill=colour)

    def table(self, box: Box, rows: int, columns: int, colour: Colour) -> None:
        left, top, right, bottom = self.pixels(box)
        for row in range(rows + 1):
            y = top + (bottom - top) * row / rows
            self.draw.line((left, y, right, y), fill=colour, width=1)
        for column in range(columns + 1):
            x = left + (right - left) * column / columns
            self.draw.line((x, top, x, bottom), fill=colour, width=1)

    def squiggle(self, box: Box) -> None:
        """A signature that is nobody's."""
        left, top, right, bottom = self.pixels(box)
        xs = np.linspace(left, right, 24)
        ys = (top + bottom) / 2 + (bottom - top) / 2 * np.sin(np.cumsum(self.dice.rng.random(24) * 1.6))
        self.draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=(30, 40, 110), width=2)
