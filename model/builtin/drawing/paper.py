"""What identity papers share: proportions, a pale printed ground, the issuer's line, rows of fields, categories."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageFilter

from model.builtin.drawing.background import photograph_crop, surface
from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import DARK, WHITE, Box, Colour, Sheet, hsv

#: The long side of a drawn card in pixels, and the proportions of ISO/IEC 7810 ID-1 (cards) and ID-3 (passport pages).
LONG: Final = 460
ID_1: Final = 85.6 / 53.98
ID_3: Final = 125.0 / 88.0


def pale(dice: Dice) -> Colour:
    return hsv(dice.span(0, 1), dice.span(0.0, 0.28), dice.span(0.82, 1.0))


def strong(dice: Dice) -> Colour:
    return hsv(dice.span(0, 1), dice.span(0.35, 0.95), dice.span(0.25, 0.8))


def paper(dice: Dice, proportion: float) -> Sheet:
    """A sheet with the ground that identity papers share: pale, blended into another tint, with fine waves."""
    sheet = Sheet(dice, LONG, round(LONG / proportion), WHITE)
    sheet.gradient(pale(dice), pale(dice), down=dice.chance(0.3))
    if dice.chance(0.35):
        _ghost(sheet)
    if dice.chance(0.8):
        sheet.guilloche(hsv(dice.span(0, 1), dice.span(0.1, 0.4), dice.span(0.7, 0.9)), dice.whole(8, 22))
    return sheet


def _ghost(sheet: Sheet) -> None:
    """A faint picture under the text, as a landscape or an emblem is printed on many cards."""
    dice, size = sheet.dice, sheet.image.size
    picture = photograph_crop(dice, size) if dice.chance(0.6) else surface(dice, size)
    picture = picture.filter(ImageFilter.GaussianBlur(dice.span(0.5, 3)))
    sheet.repaint(Image.blend(sheet.image, picture, dice.span(0.08, 0.28)))


def header(sheet: Sheet, han: bool, left: float) -> None:
    """The issuer's line: plain text on the ground, or light text on a band."""
    dice = sheet.dice
    size = dice.span(0.055, 0.085)
    if dice.chance(0.45):
        sheet.draw.rectangle(sheet.pixels((0.0, 0.0, 1.0, size + 0.07)), fill=strong(dice))
        sheet.words(left, 0.03, size, WHITE, han=han)
    else:
        sheet.words(left, 0.035, size, strong(dice), han=han)


def fields(sheet: Sheet, box: Box, rows: int, han: bool, *, numbered: bool = False) -> None:
    """Label and value, row by row; licences number their fields."""
    dice = sheet.dice
    left, top, _, bottom = box
    pitch = (bottom - top) / rows
    ink = hsv(dice.span(0.5, 0.7), dice.span(0, 0.5), dice.span(0.1, 0.35))
    stacked = dice.chance(0.5) and not numbered
    for row in range(rows):
        y = top + row * pitch
        if numbered:
            sheet.text(left, y, f"{row + 1}.", pitch * 0.62, strong(dice))
            sheet.words(left + 0.055, y, pitch * 0.62, ink, han=han)
        elif stacked:
            sheet.text(left, y, dice.name(), pitch * 0.3, hsv(0.6, 0.3, 0.5))
            sheet.words(left, y + pitch * 0.34, pitch * 0.46, ink, han=han)
        else:
            sheet.words(left, y, pitch * dice.span(0.45, 0.6), ink, han=han and row % 3 < 2)


def categories(sheet: Sheet, y: float, left: float) -> None:
    """The strip of categories along the foot: letters, each with or without its pictogram."""
    dice = sheet.dice
    size, pictograms = dice.span(0.075, 0.1), dice.chance(0.7)
    ink = strong(dice) if dice.chance(0.4) else DARK
    pitch = dice.span(0.1, 0.13)
    for place, letters in enumerate(("A", "B", "C", "D", "BE", "CE", "T")[: int((0.97 - left) / pitch)]):
        x = left + place * pitch
        if pictograms:
            sheet.vehicle(x, y, size * 0.8, ink)
        sheet.text(
            x, y + (size * 0.9 if pictograms else 0), letters, size * (0.7 if pictograms else 1.0), ink, bold=True
        )
