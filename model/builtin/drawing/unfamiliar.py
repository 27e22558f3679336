"""One more layout of each kind that training never draws: only evaluation does, and reports it apart."""

from __future__ import annotations

from model.builtin.drawing.bank import bank_ground, bank_ink, brand
from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import WHITE, Sheet
from model.builtin.drawing.paper import ID_1, ID_3, categories, fields, pale, paper, strong


def id_portrait_middle(dice: Dice) -> Sheet:
    """The portrait stands in the middle, fields in a column on either side, a coloured band at the foot."""
    sheet = paper(dice, ID_1)
    sheet.words(dice.span(0.3, 0.4), 0.05, dice.span(0.06, 0.08), strong(dice), han=False)
    left = dice.span(0.36, 0.4)
    sheet.portrait((left, 0.18, left + 0.24, 0.72))
    fields(sheet, (0.05, 0.22, 0.34, 0.72), 4, False)
    fields(sheet, (left + 0.28, 0.22, 0.97, 0.72), 4, False)
    sheet.draw.rectangle(sheet.pixels((0.0, 0.8, 1.0, 0.93)), fill=strong(dice))
    sheet.text(0.3, 0.82, dice.digits(11), 0.08, WHITE, bold=True)
    return sheet


def licence_portrait_right(dice: Dice) -> Sheet:
    """Numbered fields on the left, the portrait on the right, the categories as a ruled row under the header."""
    sheet = paper(dice, ID_1)
    sheet.words(0.06, 0.04, dice.span(0.07, 0.09), strong(dice), han=False)
    sheet.table((0.05, 0.16, 0.66, 0.3), 1, 6, strong(dice))
    categories(sheet, 0.18, 0.07)
    sheet.portrait((dice.span(0.68, 0.7), 0.14, 0.95, 0.72))
    fields(sheet, (0.06, 0.36, 0.65, 0.94), dice.whole(6, 7), False, numbered=True)
    sheet.squiggle((0.68, 0.78, 0.94, 0.92))
    return sheet


def passport_portrait_right(dice: Dice) -> Sheet:
    """The page mirrored: fields on the left, the portrait on the right, the two lines on their own white ground."""
    sheet = paper(dice, ID_3)
    sheet.draw.rectangle(sheet.pixels((0.0, 0.0, 1.0, 0.1)), fill=strong(dice))
    sheet.words(0.08, 0.02, 0.055, WHITE, han=False)
    fields(sheet, (0.06, 0.16, 0.64, 0.74), dice.whole(6, 7), False)
    sheet.portrait((0.68, 0.16, 0.95, 0.64))
    sheet.machine_zone(0.83, 2, 44, 0.05, pale(dice))
    return sheet


def bank_chip_right(dice: Dice) -> Sheet:
    """The chip on the right, the number small at the top, the name in the middle, the mark at the lower left."""
    sheet = bank_ground(dice, ID_1)
    ink = bank_ink(sheet)
    sheet.text(0.07, 0.1, "  ".join(dice.digits(4) for _ in range(4)), 0.08, ink)
    sheet.chip(dice.span(0.74, 0.8), dice.span(0.3, 0.4))
    sheet.words(0.07, 0.45, 0.09, ink, han=False)
    sheet.text(0.7, 0.85, f"{dice.whole(1, 12):02d}/{dice.whole(25, 35)}", 0.07, ink)
    brand(sheet, dice.span(0.16, 0.22), 0.82)
    return sheet
