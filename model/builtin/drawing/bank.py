"""Bank cards: wide and tall fronts, and the back with its stripe."""

from __future__ import annotations

from PIL import Image, ImageFilter

from model.builtin.drawing.background import photograph_crop
from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import DARK, WHITE, Colour, Sheet, hsv
from model.builtin.drawing.paper import ID_1, LONG


def bank_ground(dice: Dice, proportion: float) -> Sheet:
    width, height = (LONG, round(LONG / proportion)) if proportion > 1 else (round(LONG * proportion), LONG)
    sheet = Sheet(dice, width, height, DARK)
    hue, value = dice.span(0, 1), dice.span(0.12, 1.0)
    start = hsv(hue, dice.span(0.0, 0.95), value)
    end = hsv(hue + dice.span(-0.15, 0.15), dice.span(0.0, 0.95), min(1.0, max(0.05, value + dice.span(-0.3, 0.3))))
    sheet.gradient(start, end, down=dice.chance(0.4))
    look = dice.rng.random()
    if look < 0.22:
        picture = photograph_crop(dice, (width, height)).filter(ImageFilter.GaussianBlur(dice.span(0, 3)))
        sheet.repaint(Image.blend(sheet.image, picture, dice.span(0.4, 1.0)))
    elif look < 0.6:
        for _ in range(dice.whole(1, 4)):
            cx, cy, size = dice.span(0, 1) * width, dice.span(0, 1) * height, dice.span(0.2, 0.7) * width
            tint = hsv(hue + dice.span(-0.1, 0.1), dice.span(0.2, 0.8), min(1.0, value * dice.span(0.8, 1.25)))
            sheet.draw.ellipse((cx - size, cy - size, cx + size, cy + size), fill=tint)
    return sheet


def brand(sheet: Sheet, x: float, y: float) -> None:
    """A scheme's mark that belongs to no scheme: two discs, bars or a word."""
    dice = sheet.dice
    size = sheet.width * dice.span(0.045, 0.065)
    cx, cy = x * sheet.width, y * sheet.height
    look = dice.whole(0, 2)
    if look == 2:
        sheet.text(x - 0.08, y - 0.06, dice.name().upper()[:5], 0.11, WHITE, bold=True)
        return
    for place in range(2 if look == 0 else 3):
        colour = hsv(dice.span(0, 1), dice.span(0.4, 0.95), dice.span(0.6, 1))
        left = cx + place * size * 1.1 - size * 2
        if look == 0:
            sheet.draw.ellipse((left, cy - size, left + size * 2, cy + size), fill=colour)
        else:
            sheet.draw.rounded_rectangle((left, cy - size * 0.8, left + size, cy + size * 0.8), size * 0.3, fill=colour)


def bank_ink(sheet: Sheet) -> Colour:
    red, green, blue = sheet.image.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return DARK if red + green + blue > 400 else sheet.dice.pick((WHITE, (226, 226, 230), (222, 196, 120)))


def bank_wide(dice: Dice) -> Sheet:
    sheet = bank_ground(dice, ID_1)
    ink = bank_ink(sheet)
    sheet.words(dice.span(0.06, 0.12), dice.span(0.06, 0.1), dice.span(0.08, 0.12), ink, han=dice.chance(0.25))
    sheet.chip(dice.span(0.07, 0.13), dice.span(0.28, 0.36), dice.span(0.12, 0.15))
    if dice.chance(0.5):
        cx, cy = dice.span(0.28, 0.32) * sheet.width, 0.42 * sheet.height
        for ring in (8, 14, 20):
            sheet.draw.arc((cx - ring, cy - ring, cx + ring, cy + ring), -45, 45, fill=ink, width=2)
    if dice.chance(0.85):
        groups = "  ".join(dice.digits(4) for _ in range(4))
        sheet.text(dice.span(0.06, 0.09), dice.span(0.58, 0.62), groups, dice.span(0.105, 0.125), ink, bold=True)
        sheet.text(dice.span(0.35, 0.5), 0.75, f"{dice.whole(1, 12):02d}/{dice.whole(25, 35)}", 0.065, ink)
    if dice.chance(0.8):
        sheet.words(0.07, dice.span(0.84, 0.87), 0.07, ink, han=False)
    brand(sheet, dice.span(0.84, 0.88), dice.span(0.8, 0.86))
    return sheet


def bank_tall(dice: Dice) -> Sheet:
    sheet = bank_ground(dice, 1 / ID_1)
    ink = bank_ink(sheet)
    sheet.words(dice.span(0.08, 0.2), 0.05, dice.span(0.05, 0.07), ink, han=dice.chance(0.25))
    sheet.chip(dice.span(0.36, 0.44), dice.span(0.14, 0.26), dice.span(0.12, 0.15))
    for row in range(4 if dice.chance(0.5) else 0):
        sheet.text(0.1, 0.5 + row * 0.08, dice.digits(4), 0.06, ink, bold=True)
    brand(sheet, dice.span(0.7, 0.8), dice.span(0.86, 0.9))
    return sheet


def bank_back(dice: Dice) -> Sheet:
    """The reverse: a magnetic stripe, the strip for a signature with three digits, small print."""
    sheet = bank_ground(dice, ID_1)
    ink = bank_ink(sheet)
    top = dice.span(0.06, 0.14)
    sheet.draw.rectangle(
        sheet.pixels((0.0, top, 1.0, top + dice.span(0.17, 0.22))), fill=hsv(0, 0, dice.span(0.02, 0.18))
    )
    strip, right = dice.span(0.4, 0.48), dice.span(0.55, 0.75)
    sheet.draw.rectangle(sheet.pixels((0.05, strip, right, strip + 0.14)), fill=hsv(0.15, dice.span(0, 0.1), 0.93))
    if dice.chance(0.6):
        sheet.squiggle((0.08, strip + 0.03, right - 0.1, strip + 0.11))
    sheet.text(right + 0.02, strip + 0.02, dice.digits(3), 0.09, ink, bold=True)
    if dice.chance(0.5):
        groups = "  ".join(dice.digits(4) for _ in range(4))
        sheet.text(0.06, 0.63, groups, dice.span(0.08, 0.1), ink)
    for row in range(dice.whole(2, 4)):
        sheet.text(0.06, 0.78 + row * 0.05, " ".join(dice.name() for _ in range(5)), 0.04, ink)
    brand(sheet, dice.span(0.84, 0.88), dice.span(0.82, 0.88))
    return sheet
