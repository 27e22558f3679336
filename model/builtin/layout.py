"""The four kinds of card, each in several families of layout with drawn proportions: no template is any issuer's own.

What tells the kinds apart is what tells real ones apart: a portrait and few fields (identity card), categories, their
table and numbered fields (driving licence), a page of other proportions with two machine-readable lines (passport), a
chip, long number groups and no portrait (bank card). Colours are shared, so that colour alone decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

from model.builtin.dice import Dice
from model.builtin.ink import DARK, WHITE, Box, Colour, Sheet, hsv

#: The long side of a drawn card in pixels, and the proportions of ISO/IEC 7810 ID-1 (cards) and ID-3 (passport pages).
LONG: Final = 460
ID_1: Final = 85.6 / 53.98
ID_3: Final = 125.0 / 88.0


@dataclass(frozen=True, slots=True)
class Card:
    """A drawn card: an RGBA image, transparent outside, and where in it the card's own rectangle lies (pixels)."""

    kind: str
    image: Image.Image
    frame: tuple[int, int, int, int]


def pale(dice: Dice) -> Colour:
    return hsv(dice.span(0, 1), dice.span(0.0, 0.28), dice.span(0.82, 1.0))


def strong(dice: Dice) -> Colour:
    return hsv(dice.span(0, 1), dice.span(0.35, 0.95), dice.span(0.25, 0.8))


def _paper(dice: Dice, proportion: float) -> Sheet:
    """A sheet with the ground that identity papers share: pale, blended into another tint, with fine waves."""
    sheet = Sheet(dice, LONG, round(LONG / proportion), WHITE)
    sheet.gradient(pale(dice), pale(dice), down=dice.chance(0.3))
    if dice.chance(0.8):
        sheet.guilloche(hsv(dice.span(0, 1), dice.span(0.1, 0.4), dice.span(0.7, 0.9)), dice.whole(8, 22))
    return sheet


def _header(sheet: Sheet, han: bool, left: float) -> None:
    """The issuer's line: plain text on the ground, or light text on a band."""
    dice = sheet.dice
    size = dice.span(0.055, 0.085)
    if dice.chance(0.45):
        sheet.draw.rectangle(sheet.pixels((0.0, 0.0, 1.0, size + 0.07)), fill=strong(dice))
        sheet.words(left, 0.03, size, WHITE, han=han)
    else:
        sheet.words(left, 0.035, size, strong(dice), han=han)


def _fields(sheet: Sheet, box: Box, rows: int, han: bool, *, numbered: bool = False) -> None:
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


# Identity cards


def _id_portrait_left(dice: Dice) -> Sheet:
    sheet = _paper(dice, ID_1)
    han = dice.chance(0.25)
    _header(sheet, han, dice.span(0.05, 0.35))
    width, top = dice.span(0.22, 0.3), dice.span(0.2, 0.28)
    left = dice.span(0.04, 0.07)
    sheet.portrait((left, top, left + width, top + dice.span(0.5, 0.6)))
    _fields(sheet, (left + width + 0.05, top, 0.95, dice.span(0.78, 0.86)), dice.whole(4, 6), han)
    if dice.chance(0.35):
        sheet.chip(dice.span(0.72, 0.8), dice.span(0.3, 0.45), dice.span(0.1, 0.13))
    if dice.chance(0.6):
        sheet.text(left, 0.86, dice.digits(dice.whole(8, 12)), dice.span(0.07, 0.09), DARK, bold=dice.chance(0.5))
    if dice.chance(0.5):
        sheet.squiggle((0.55, 0.84, 0.85, 0.94))
    return sheet


def _id_portrait_right(dice: Dice) -> Sheet:
    sheet = _paper(dice, ID_1)
    han = dice.chance(0.75)
    left = dice.span(0.62, 0.68)
    top = dice.span(0.1, 0.2)
    sheet.portrait((left, top, left + dice.span(0.24, 0.3), top + dice.span(0.5, 0.6)))
    _fields(sheet, (dice.span(0.06, 0.1), top, 0.6, 0.76), dice.whole(4, 5), han)
    sheet.text(dice.span(0.06, 0.3), dice.span(0.82, 0.87), dice.digits(18), dice.span(0.075, 0.095), DARK, bold=True)
    return sheet


def _id_back(dice: Dice) -> Sheet:
    """The reverse: an emblem or a chip above, and three machine-readable lines across the foot."""
    sheet = _paper(dice, ID_1)
    if dice.chance(0.5):
        sheet.seal(dice.span(0.15, 0.85), dice.span(0.25, 0.35), dice.span(0.12, 0.18), strong(dice))
    else:
        sheet.chip(dice.span(0.08, 0.2), dice.span(0.15, 0.3))
    _fields(sheet, (dice.span(0.35, 0.45), 0.08, 0.95, 0.55), dice.whole(3, 4), dice.chance(0.2))
    size = dice.span(0.07, 0.085)
    sheet.machine_zone(0.98 - 3 * size * 1.4, 3, 30, size, pale(dice) if dice.chance(0.3) else None)
    return sheet


# Driving licences


def _categories(sheet: Sheet, y: float, left: float) -> None:
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


def _licence_numbered(dice: Dice) -> Sheet:
    sheet = _paper(dice, ID_1)
    sheet.flag((0.04, 0.05, dice.span(0.13, 0.17), dice.span(0.19, 0.24)))
    sheet.words(dice.span(0.22, 0.4), 0.05, dice.span(0.07, 0.095), strong(dice), han=False)
    width, top = dice.span(0.22, 0.28), dice.span(0.26, 0.32)
    sheet.portrait((0.04, top, 0.04 + width, top + dice.span(0.42, 0.5)))
    _fields(sheet, (0.04 + width + 0.05, dice.span(0.18, 0.22), 0.95, 0.76), dice.whole(6, 8), False, numbered=True)
    _categories(sheet, dice.span(0.79, 0.82), dice.span(0.06, 0.3))
    return sheet


def _licence_state(dice: Dice) -> Sheet:
    """A wide coloured head, a large portrait, a second pale one, and the class of vehicle in a box."""
    sheet = _paper(dice, ID_1)
    head = dice.span(0.15, 0.2)
    sheet.draw.rectangle(sheet.pixels((0.0, 0.0, 1.0, head)), fill=strong(dice))
    sheet.text(dice.span(0.05, 0.12), 0.02, "DRIVER LICENCE", head * 0.65, WHITE, bold=True)
    sheet.vehicle(dice.span(0.76, 0.84), 0.03, head * 0.6, WHITE)
    right = dice.chance(0.3)
    left = 0.64 if right else 0.04
    width = dice.span(0.26, 0.31)
    sheet.portrait((left, head + 0.06, left + width, head + dice.span(0.55, 0.62)))
    column = 0.05 if right else left + width + 0.05
    _fields(sheet, (column, head + 0.06, 0.9, 0.74), dice.whole(5, 7), False, numbered=dice.chance(0.6))
    if not right:
        sheet.portrait((0.8, 0.5, 0.95, 0.78), tone=0.45)
    _categories(sheet, dice.span(0.8, 0.83), dice.span(0.05, 0.35))
    return sheet


def _licence_ruled(dice: Dice) -> Sheet:
    """A ruled form: cells with text, a square seal and a small portrait in a lower corner."""
    sheet = _paper(dice, ID_1)
    han = dice.chance(0.8)
    rule = strong(dice)
    sheet.words(dice.span(0.2, 0.35), 0.05, dice.span(0.075, 0.1), rule, han=han)
    top = dice.span(0.2, 0.25)
    sheet.table((0.05, top, 0.95, dice.span(0.54, 0.58)), 3, 2, rule)
    _fields(sheet, (0.08, top + 0.02, 0.95, 0.56), 3, han)
    sheet.portrait((dice.span(0.7, 0.74), 0.58, dice.span(0.9, 0.95), 0.95))
    sheet.square_seal((0.06, 0.62, dice.span(0.2, 0.24), dice.span(0.88, 0.92)), (196, 40, 40))
    sheet.table((0.27, 0.62, 0.68, 0.92), 3, 1, rule)
    sheet.vehicle(dice.span(0.3, 0.4), 0.64, 0.07)
    sheet.text(dice.span(0.5, 0.58), 0.63, dice.pick(("A2", "B1", "C1", "D")), 0.08, DARK, bold=True)
    sheet.text(0.3, 0.83, f"{dice.date()}", 0.06)
    return sheet


def _licence_back(dice: Dice) -> Sheet:
    """The reverse: the table of categories with pictograms and dates."""
    sheet = _paper(dice, ID_1)
    rows = dice.whole(7, 11)
    left, top, bottom = dice.span(0.2, 0.36), dice.span(0.05, 0.1), dice.span(0.86, 0.94)
    rule = hsv(dice.span(0, 1), dice.span(0, 0.5), dice.span(0.3, 0.6))
    sheet.table((left, top, 0.96, bottom), rows, dice.whole(4, 5), rule)
    pitch = (bottom - top) / rows
    for row in range(rows):
        y = top + row * pitch
        sheet.text(left + 0.015, y + pitch * 0.1, "ABCDEFGHJKT"[row], pitch * 0.7, DARK)
        sheet.vehicle(left + 0.17, y + pitch * 0.15, pitch * 0.65)
        if dice.chance(0.5):
            sheet.text(left + 0.35, y + pitch * 0.15, dice.date(), pitch * 0.6)
    if dice.chance(0.5):
        sheet.barcode((0.05, dice.span(0.1, 0.3), 0.15, dice.span(0.6, 0.9)))
    return sheet


# Passports


def _passport_page(dice: Dice) -> Sheet:
    sheet = _paper(dice, ID_3)
    han = dice.chance(0.2)
    if dice.chance(0.4):
        sheet.seal(dice.span(0.45, 0.8), dice.span(0.35, 0.55), dice.span(0.14, 0.24), pale(dice))
    sheet.words(dice.span(0.06, 0.3), 0.03, dice.span(0.05, 0.065), strong(dice), han=han)
    left, top, width = dice.span(0.04, 0.07), dice.span(0.15, 0.2), dice.span(0.24, 0.3)
    sheet.portrait((left, top, left + width, top + dice.span(0.46, 0.52)))
    column = left + width + dice.span(0.04, 0.07)
    _fields(sheet, (column, dice.span(0.1, 0.14), 0.95, 0.72), dice.whole(6, 8), han)
    if dice.chance(0.4):
        sheet.portrait((0.8, 0.48, 0.94, 0.7), tone=0.4)
    size = dice.span(0.045, 0.055)
    sheet.machine_zone(0.97 - 2 * size * 1.5, 2, 44, size, WHITE if dice.chance(0.5) else None)
    return sheet


# Bank cards


def _bank_ground(dice: Dice, proportion: float) -> Sheet:
    width, height = (LONG, round(LONG / proportion)) if proportion > 1 else (round(LONG * proportion), LONG)
    sheet = Sheet(dice, width, height, DARK)
    hue, value = dice.span(0, 1), dice.span(0.12, 1.0)
    start = hsv(hue, dice.span(0.0, 0.95), value)
    end = hsv(hue + dice.span(-0.15, 0.15), dice.span(0.0, 0.95), min(1.0, max(0.05, value + dice.span(-0.3, 0.3))))
    sheet.gradient(start, end, down=dice.chance(0.4))
    if dice.chance(0.5):
        for _ in range(dice.whole(1, 4)):
            cx, cy, size = dice.span(0, 1) * width, dice.span(0, 1) * height, dice.span(0.2, 0.7) * width
            tint = hsv(hue + dice.span(-0.1, 0.1), dice.span(0.2, 0.8), min(1.0, value * dice.span(0.8, 1.25)))
            sheet.draw.ellipse((cx - size, cy - size, cx + size, cy + size), fill=tint)
    return sheet


def _brand(sheet: Sheet, x: float, y: float) -> None:
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


def _bank_ink(sheet: Sheet) -> Colour:
    red, green, blue = sheet.image.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return DARK if red + green + blue > 400 else sheet.dice.pick((WHITE, (226, 226, 230), (222, 196, 120)))


def _bank_wide(dice: Dice) -> Sheet:
    sheet = _bank_ground(dice, ID_1)
    ink = _bank_ink(sheet)
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
    _brand(sheet, dice.span(0.84, 0.88), dice.span(0.8, 0.86))
    return sheet


def _bank_tall(dice: Dice) -> Sheet:
    sheet = _bank_ground(dice, 1 / ID_1)
    ink = _bank_ink(sheet)
    sheet.words(dice.span(0.08, 0.2), 0.05, dice.span(0.05, 0.07), ink, han=dice.chance(0.25))
    sheet.chip(dice.span(0.36, 0.44), dice.span(0.14, 0.26), dice.span(0.12, 0.15))
    for row in range(4 if dice.chance(0.5) else 0):
        sheet.text(0.1, 0.5 + row * 0.08, dice.digits(4), 0.06, ink, bold=True)
    _brand(sheet, dice.span(0.7, 0.8), dice.span(0.86, 0.9))
    return sheet


FAMILIES: Final[Mapping[str, tuple[tuple[Callable[[Dice], Sheet], float], ...]]] = {
    "id_card": ((_id_portrait_left, 0.45), (_id_portrait_right, 0.35), (_id_back, 0.2)),
    "driving_licence": (
        (_licence_numbered, 0.35),
        (_licence_state, 0.25),
        (_licence_ruled, 0.22),
        (_licence_back, 0.18),
    ),
    "passport": ((_passport_page, 1.0),),
    "bank_card": ((_bank_wide, 0.85), (_bank_tall, 0.15)),
}


def draw_card(dice: Dice, kind: str) -> Card:
    """Draw one card of a kind, with rounded corners (not the passport); a passport often lies open, a page above it."""
    families = FAMILIES[kind]
    weights = [weight for _, weight in families]
    draw = families[int(dice.rng.choice(len(families), p=weights))][0]
    sheet = draw(dice)
    if kind == "passport" and dice.chance(0.45):
        return _open_booklet(sheet)
    mask = Image.new("L", sheet.image.size, 0)
    radius = 0 if kind == "passport" and dice.chance(0.5) else round(LONG * 0.037)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, sheet.width - 1, sheet.height - 1), radius, fill=255)
    image = sheet.image.convert("RGBA")
    image.putalpha(mask)
    return Card(kind, image, (0, 0, sheet.width, sheet.height))


def _open_booklet(page: Sheet) -> Card:
    """The data page with the page above it in view, as a booklet lies on a table."""
    dice = page.dice
    above = _paper(dice, ID_3)
    _fields(above, (0.1, dice.span(0.3, 0.5), 0.9, 0.85), dice.whole(3, 6), dice.chance(0.3))
    shown = round(above.height * dice.span(0.3, 1.0))
    image = Image.new("RGBA", (page.width, page.height + shown))
    image.paste(above.image.crop((0, above.height - shown, above.width, above.height)), (0, 0))
    image.paste(page.image, (0, shown))
    ImageDraw.Draw(image).line((0, shown, page.width, shown), fill=(120, 120, 120, 255), width=3)
    return Card("passport", image, (0, shown, page.width, shown + page.height))
