"""Things that are shaped like a card and are none: slips, papers, telephones, shop cards, prints of photographs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw

from model.builtin.background import photograph_crop, surface
from model.builtin.dice import Dice
from model.builtin.ink import DARK, WHITE, Sheet, hsv
from model.builtin.layout import ID_1, LONG, Card, strong


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


THINGS: Final[tuple[Callable[[Dice], Sheet], ...]] = (_slip, _paper, _telephone, _shop_card, _shop_card, _print)


def draw_distractor(dice: Dice) -> Card:
    """Draw one thing that is no card, as a :class:`Card` of kind ``none``."""
    sheet = dice.pick(THINGS)(dice)
    mask = Image.new("L", sheet.image.size, 0)
    radius = dice.whole(0, round(LONG * 0.06))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, sheet.width - 1, sheet.height - 1), radius, fill=255)
    image = sheet.image.convert("RGBA")
    if dice.chance(0.3):
        image, mask = image.transpose(Image.Transpose.ROTATE_90), mask.transpose(Image.Transpose.ROTATE_90)
    image.putalpha(mask)
    return Card("none", image, (0, 0, image.width, image.height))
