"""Things that are shaped like a card and are none: slips, papers, telephones, shop cards, prints of photographs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from model.builtin.drawing.background import photograph_crop, surface
from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import DARK, WHITE, Sheet, hsv
from model.builtin.drawing.layout import Card, cut
from model.builtin.drawing.paper import ID_1, LONG, pale, strong


def _slip(dice: Dice) -> Sheet:
    """A rectangle of one colour or of one pattern."""
    colour = hsv(dice.span(0, 1), dice.span(0, 0.9), dice.span(0, 1))
    sheet = Sheet(dice, LONG, round(LONG / dice.span(0.7, 2.2)), colour)
    if dice.chance(0.5):
        sheet.image.paste(surface(dice, sheet.image.size))
    return sheet


def _paper(dice: Dice) -> Sheet:
    """A page, a receipt or a letter: lines of text and a heading."""
    sheet = Sheet(dice, LONG, round(LONG / dice.span(0.5, 1.5)), hsv(dice.span(0.1, 0.6), dice.span(0, 0.1), 0.96))
    sheet.text(0.1, 0.06, dice.name(), dice.span(0.05, 0.1), DARK, bold=True)
    rows = dice.whole(6, 18)
    ragged = dice.chance(0.5)
    for row in range(rows):
        y = 0.2 + 0.72 * row / rows
        words = " ".join(dice.name() for _ in range(dice.whole(2, 5) if ragged else 7))
        sheet.text(0.1, y, words, 0.4 / rows, DARK)
    return sheet


def _telephone(dice: Dice) -> Sheet:
    """A telephone on its back or its front: a dark slab with a picture, tiles or a lens."""
    sheet = Sheet(
        dice, LONG, round(LONG / dice.span(1.8, 2.2)), hsv(dice.span(0, 1), dice.span(0, 0.5), dice.span(0.03, 0.4))
    )
    if dice.chance(0.6):
        left, top, right, bottom = sheet.pixels((0.04, 0.05, 0.96, 0.95))
        sheet.image.paste(photograph_crop(dice, (right - left, bottom - top)), (left, top))
        for tile in range(dice.whole(0, 14)):
            x, y = 0.1 + 0.12 * (tile % 7), 0.2 + 0.3 * (tile // 7)
            sheet.draw.rounded_rectangle(sheet.pixels((x, y, x + 0.07, y + 0.16)), 8, fill=strong(dice))
    else:
        sheet.draw.ellipse(sheet.pixels((0.06, 0.1, 0.14, 0.28)), fill=(10, 10, 12), outline=(90, 90, 90), width=3)
    return sheet


def _shop_card(dice: Dice) -> Sheet:
    """A visiting, library or bonus card: a name, a mark, perhaps a barcode; no chip, portrait or categories."""
    sheet = Sheet(dice, LONG, round(LONG / ID_1), hsv(dice.span(0, 1), dice.span(0, 0.9), dice.span(0.2, 1)))
    red, green, blue = sheet.image.getpixel((0, 0))  # type: ignore[misc]
    ink = DARK if red + green + blue > 380 else WHITE
    sheet.words(dice.span(0.08, 0.4), dice.span(0.1, 0.4), dice.span(0.1, 0.16), ink, han=dice.chance(0.3))
    for row in range(dice.whole(0, 4)):
        sheet.text(dice.span(0.08, 0.12), 0.6 + row * 0.08, dice.name() + " " + dice.digits(5), 0.06, ink)
    look = dice.whole(0, 3)
    if look == 0:
        sheet.draw.rectangle(sheet.pixels((0.08, 0.66, 0.7, 0.94)), fill=WHITE)
        sheet.barcode((0.1, 0.68, 0.68, 0.92))
    elif look == 1:
        sheet.draw.ellipse(sheet.pixels((0.7, 0.15, 0.9, 0.45)), fill=strong(dice))
    return sheet


def _print(dice: Dice) -> Sheet:
    """A print of a photograph with a white edge."""
    sheet = Sheet(dice, LONG, round(LONG / dice.span(1.2, 1.6)), WHITE)
    edge = dice.span(0.0, 0.06)
    left, top, right, bottom = sheet.pixels((edge, edge, 1 - edge, 1 - edge))
    sheet.image.paste(photograph_crop(dice, (right - left, bottom - top)), (left, top))
    return sheet


def _article(dice: Dice) -> Sheet:
    """A page of a paper or a CV: a face or a picture among columns of text. A portrait alone makes no card."""
    sheet = Sheet(dice, LONG, round(LONG / dice.span(0.6, 0.85)), hsv(dice.span(0.08, 0.2), dice.span(0, 0.12), 0.95))
    sheet.text(0.08, 0.04, f"{dice.name()} {dice.name()}", dice.span(0.05, 0.08), DARK, bold=True)
    left, top = dice.pick((0.08, 0.62)), dice.span(0.14, 0.5)
    for row in range(dice.whole(20, 30)):
        sheet.text(0.08, 0.14 + row * 0.028, " ".join(dice.name() for _ in range(7)), 0.018, DARK)
    if dice.chance(0.6):
        sheet.portrait((left, top, left + 0.3, top + 0.26))
    else:
        box = sheet.pixels((left, top, left + 0.3, top + 0.22))
        sheet.image.paste(photograph_crop(dice, (box[2] - box[0], box[3] - box[1])), box[:2])
    return sheet


def _envelope(dice: Dice) -> Sheet:
    """A letter: an address, a stamp, a postmark."""
    sheet = Sheet(dice, LONG, round(LONG / dice.span(1.4, 2.0)), pale(dice))
    stamp = sheet.pixels((dice.span(0.78, 0.82), 0.06, dice.span(0.9, 0.95), dice.span(0.24, 0.32)))
    sheet.image.paste(photograph_crop(dice, (stamp[2] - stamp[0], stamp[3] - stamp[1])), stamp[:2])
    if dice.chance(0.6):
        sheet.seal(0.72, 0.2, dice.span(0.08, 0.12), hsv(dice.span(0, 1), 0.3, 0.3))
    for row in range(dice.whole(3, 4)):
        sheet.words(dice.span(0.4, 0.45), 0.5 + row * 0.1, 0.07, DARK, han=dice.chance(0.2))
    return sheet


def _playing_card(dice: Dice) -> Sheet:
    """A card to play with, or its patterned back."""
    sheet = Sheet(dice, round(LONG * dice.span(0.62, 0.72)), LONG, WHITE)
    if dice.chance(0.4):
        left, top, right, bottom = sheet.pixels((0.06, 0.05, 0.94, 0.95))
        sheet.image.paste(surface(dice, (right - left, bottom - top)), (left, top))
        return sheet
    ink = dice.pick(((190, 20, 30), DARK))
    for column in range(dice.whole(1, 2)):
        for row in range(dice.whole(2, 4)):
            place = ((0.35 + 0.3 * column) * sheet.width, (0.2 + 0.2 * row) * sheet.height, 0.05 * sheet.height)
            sheet.draw.regular_polygon(place, dice.whole(3, 5), fill=ink)
    sheet.text(0.07, 0.04, dice.digits(1), 0.1, ink, bold=True)
    return sheet


def _keys(dice: Dice) -> Sheet:
    """A keyboard, a calculator or a remote control: rows of keys."""
    wide = dice.chance(0.5)
    proportion = dice.span(1.8, 3.0) if wide else dice.span(0.4, 0.7)
    sheet = Sheet(dice, LONG, round(LONG / proportion), hsv(dice.span(0, 1), dice.span(0, 0.2), dice.span(0.1, 0.9)))
    rows, columns = (dice.whole(4, 5), dice.whole(10, 14)) if wide else (dice.whole(5, 8), dice.whole(3, 5))
    cap = hsv(0.6, dice.span(0, 0.2), dice.span(0.05, 1))
    for row in range(rows):
        for column in range(columns):
            x, y = 0.04 + 0.92 * column / columns, 0.1 + 0.85 * row / rows
            box = (x, y, x + 0.75 / columns, y + 0.65 / rows)
            sheet.draw.rounded_rectangle(sheet.pixels(box), 4, fill=cap)
    return sheet


THINGS: Final[tuple[Callable[[Dice], Sheet], ...]] = (
    _slip,
    _paper,
    _telephone,
    _shop_card,
    _shop_card,
    _shop_card,
    _print,
    _article,
    _envelope,
    _playing_card,
    _keys,
)


def draw_distractor(dice: Dice) -> Card:
    """Draw one thing that is no card, as a :class:`Card` of kind ``none``."""
    return cut("none", dice.pick(THINGS)(dice), dice.whole(0, round(LONG * 0.06)))
