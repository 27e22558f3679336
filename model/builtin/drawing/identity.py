"""Identity cards, front and back, and passports, page and cover."""

from __future__ import annotations

from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import DARK, WHITE, Sheet, hsv
from model.builtin.drawing.paper import ID_1, ID_3, LONG, fields, header, pale, paper, strong


def id_portrait_left(dice: Dice) -> Sheet:
    sheet = paper(dice, ID_1)
    han = dice.chance(0.25)
    header(sheet, han, dice.span(0.05, 0.35))
    width, top = dice.span(0.22, 0.3), dice.span(0.2, 0.28)
    left = dice.span(0.04, 0.07)
    sheet.portrait((left, top, left + width, top + dice.span(0.5, 0.6)))
    fields(sheet, (left + width + 0.05, top, 0.95, dice.span(0.78, 0.86)), dice.whole(4, 6), han)
    if dice.chance(0.35):
        sheet.chip(dice.span(0.72, 0.8), dice.span(0.3, 0.45), dice.span(0.1, 0.13))
    if dice.chance(0.6):
        sheet.text(left, 0.86, dice.digits(dice.whole(8, 12)), dice.span(0.07, 0.09), DARK, bold=dice.chance(0.5))
    if dice.chance(0.5):
        sheet.squiggle((0.55, 0.84, 0.85, 0.94))
    return sheet


def id_portrait_right(dice: Dice) -> Sheet:
    sheet = paper(dice, ID_1)
    han = dice.chance(0.75)
    left = dice.span(0.62, 0.68)
    top = dice.span(0.1, 0.2)
    sheet.portrait((left, top, left + dice.span(0.24, 0.3), top + dice.span(0.5, 0.6)))
    fields(sheet, (dice.span(0.06, 0.1), top, 0.6, 0.76), dice.whole(4, 5), han)
    sheet.text(dice.span(0.06, 0.3), dice.span(0.82, 0.87), dice.digits(18), dice.span(0.075, 0.095), DARK, bold=True)
    return sheet


def id_back(dice: Dice) -> Sheet:
    """The reverse: an emblem or a chip above, and three machine-readable lines across the foot."""
    sheet = paper(dice, ID_1)
    if dice.chance(0.5):
        sheet.seal(dice.span(0.15, 0.85), dice.span(0.25, 0.35), dice.span(0.12, 0.18), strong(dice))
    else:
        sheet.chip(dice.span(0.08, 0.2), dice.span(0.15, 0.3))
    fields(sheet, (dice.span(0.35, 0.45), 0.08, 0.95, 0.55), dice.whole(3, 4), dice.chance(0.2))
    size = dice.span(0.07, 0.085)
    sheet.machine_zone(0.98 - 3 * size * 1.4, 3, 30, size, pale(dice) if dice.chance(0.3) else None)
    return sheet


def passport_page(dice: Dice) -> Sheet:
    sheet = paper(dice, ID_3)
    han = dice.chance(0.2)
    if dice.chance(0.4):
        sheet.seal(dice.span(0.45, 0.8), dice.span(0.35, 0.55), dice.span(0.14, 0.24), pale(dice))
    sheet.words(dice.span(0.06, 0.3), 0.03, dice.span(0.05, 0.065), strong(dice), han=han)
    left, top, width = dice.span(0.04, 0.07), dice.span(0.15, 0.2), dice.span(0.24, 0.3)
    sheet.portrait((left, top, left + width, top + dice.span(0.46, 0.52)))
    column = left + width + dice.span(0.04, 0.07)
    fields(sheet, (column, dice.span(0.1, 0.14), 0.95, 0.72), dice.whole(6, 8), han)
    if dice.chance(0.4):
        sheet.portrait((0.8, 0.48, 0.94, 0.7), tone=0.4)
    size = dice.span(0.045, 0.055)
    sheet.machine_zone(0.97 - 2 * size * 1.5, 2, 44, size, WHITE if dice.chance(0.5) else None)
    return sheet


def passport_cover(dice: Dice) -> Sheet:
    """The closed booklet, upright: dark cloth, the issuer's name, an emblem, the word, in gold or silver."""
    cloth = hsv(dice.span(0, 1), dice.span(0.3, 0.9), dice.span(0.1, 0.42))
    sheet = Sheet(dice, round(LONG / ID_3), LONG, cloth)
    gold = dice.pick(((214, 180, 96), (226, 200, 130), (208, 208, 212)))
    han = dice.chance(0.3)
    sheet.words(dice.span(0.15, 0.3), dice.span(0.08, 0.14), dice.span(0.045, 0.06), gold, han=han)
    sheet.seal(0.5, dice.span(0.36, 0.46), dice.span(0.11, 0.17), gold)
    if dice.chance(0.5):
        sheet.seal(0.5, dice.span(0.36, 0.46), dice.span(0.06, 0.1), gold)
    if han:
        sheet.ideograms(0.36, 0.7, 2, 0.08, gold)
    sheet.text(dice.span(0.22, 0.3), dice.span(0.76, 0.82), "PASSPORT", dice.span(0.055, 0.075), gold, bold=True)
    cx, cy = 0.5 * sheet.width, 0.91 * sheet.height
    sheet.draw.rectangle((cx - 16, cy - 9, cx + 16, cy + 9), outline=gold, width=2)
    sheet.draw.ellipse((cx - 6, cy - 6, cx + 6, cy + 6), outline=gold, width=2)
    return sheet
