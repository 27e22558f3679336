"""Driving licences: three kinds of front, and the back with its table."""

from __future__ import annotations

from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import DARK, WHITE, Sheet, hsv
from model.builtin.drawing.paper import ID_1, categories, fields, paper, strong


def licence_numbered(dice: Dice) -> Sheet:
    sheet = paper(dice, ID_1)
    sheet.flag((0.04, 0.05, dice.span(0.13, 0.17), dice.span(0.19, 0.24)))
    sheet.words(dice.span(0.22, 0.4), 0.05, dice.span(0.07, 0.095), strong(dice), han=False)
    width, top = dice.span(0.22, 0.28), dice.span(0.26, 0.32)
    sheet.portrait((0.04, top, 0.04 + width, top + dice.span(0.42, 0.5)))
    fields(sheet, (0.04 + width + 0.05, dice.span(0.18, 0.22), 0.95, 0.76), dice.whole(6, 8), False, numbered=True)
    categories(sheet, dice.span(0.79, 0.82), dice.span(0.06, 0.3))
    return sheet


def licence_state(dice: Dice) -> Sheet:
    """A wide coloured head, a large portrait, a second pale one, and the class of vehicle in a box."""
    sheet = paper(dice, ID_1)
    head = dice.span(0.15, 0.2)
    sheet.draw.rectangle(sheet.pixels((0.0, 0.0, 1.0, head)), fill=strong(dice))
    sheet.text(dice.span(0.05, 0.12), 0.02, "DRIVER LICENCE", head * 0.65, WHITE, bold=True)
    sheet.vehicle(dice.span(0.76, 0.84), 0.03, head * 0.6, WHITE)
    right = dice.chance(0.3)
    left = 0.64 if right else 0.04
    width = dice.span(0.26, 0.31)
    sheet.portrait((left, head + 0.06, left + width, head + dice.span(0.55, 0.62)))
    column = 0.05 if right else left + width + 0.05
    fields(sheet, (column, head + 0.06, 0.9, 0.74), dice.whole(5, 7), False, numbered=dice.chance(0.6))
    if not right:
        sheet.portrait((0.8, 0.5, 0.95, 0.78), tone=0.45)
    categories(sheet, dice.span(0.8, 0.83), dice.span(0.05, 0.35))
    return sheet


def licence_ruled(dice: Dice) -> Sheet:
    """A ruled form: cells with text, a square seal and a small portrait in a lower corner."""
    sheet = paper(dice, ID_1)
    han = dice.chance(0.8)
    rule = strong(dice)
    sheet.words(dice.span(0.2, 0.35), 0.05, dice.span(0.075, 0.1), rule, han=han)
    top = dice.span(0.2, 0.25)
    sheet.table((0.05, top, 0.95, dice.span(0.54, 0.58)), 3, 2, rule)
    fields(sheet, (0.08, top + 0.02, 0.95, 0.56), 3, han)
    sheet.portrait((dice.span(0.7, 0.74), 0.58, dice.span(0.9, 0.95), 0.95))
    sheet.square_seal((0.06, 0.62, dice.span(0.2, 0.24), dice.span(0.88, 0.92)), (196, 40, 40))
    sheet.table((0.27, 0.62, 0.68, 0.92), 3, 1, rule)
    sheet.vehicle(dice.span(0.3, 0.4), 0.64, 0.07)
    sheet.text(dice.span(0.5, 0.58), 0.63, dice.pick(("A2", "B1", "C1", "D")), 0.08, DARK, bold=True)
    sheet.text(0.3, 0.83, f"{dice.date()}", 0.06)
    return sheet


def licence_back(dice: Dice) -> Sheet:
    """The reverse: the table of categories with pictograms and dates."""
    sheet = paper(dice, ID_1)
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
