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

from model.builtin.drawing import bank, identity, licence, unfamiliar
from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import Sheet
from model.builtin.drawing.paper import ID_3, LONG, fields, paper

#: Families of layout with the share of each.
Families = tuple[tuple[Callable[[Dice], Sheet], float], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A drawn card: an RGBA image, transparent outside, and where in it the card's own rectangle lies (pixels)."""

    kind: str
    image: Image.Image
    frame: tuple[int, int, int, int]


FAMILIES: Final[Mapping[str, Families]] = {
    "id_card": (
        (identity.id_portrait_left, 0.45),
        (identity.id_portrait_right, 0.35),
        (identity.id_back, 0.2),
    ),
    "driving_licence": (
        (licence.licence_numbered, 0.35),
        (licence.licence_state, 0.25),
        (licence.licence_ruled, 0.22),
        (licence.licence_back, 0.18),
    ),
    "passport": ((identity.passport_page, 0.85), (identity.passport_cover, 0.15)),
    "bank_card": ((bank.bank_wide, 0.7), (bank.bank_tall, 0.15), (bank.bank_back, 0.15)),
}
#: Layouts that training never draws, to see what the network makes of a card of an unknown issuer.
UNFAMILIAR: Final[Mapping[str, Families]] = {
    "id_card": ((unfamiliar.id_portrait_middle, 1.0),),
    "driving_licence": ((unfamiliar.licence_portrait_right, 1.0),),
    "passport": ((unfamiliar.passport_portrait_right, 1.0),),
    "bank_card": ((unfamiliar.bank_chip_right, 1.0),),
}


def draw_card(dice: Dice, kind: str) -> Card:
    """Draw one card of a kind; a passport often lies open, with the page above in view."""
    families = (UNFAMILIAR if dice.world.unfamiliar else FAMILIES)[kind]
    weights = [weight for _, weight in families]
    sheet = families[int(dice.rng.choice(len(families), p=weights))][0](dice)
    if kind == "passport" and sheet.width > sheet.height and dice.chance(0.5):
        return _open_booklet(sheet)
    square = kind == "passport" and dice.chance(0.5)
    return cut(kind, sheet, 0 if square else round(LONG * 0.037))


def cut(kind: str, sheet: Sheet, radius: int) -> Card:
    """Cut a drawn sheet out with round corners (``radius`` in pixels)."""
    mask = Image.new("L", sheet.image.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, sheet.width - 1, sheet.height - 1), radius, fill=255)
    image = sheet.image.convert("RGBA")
    image.putalpha(mask)
    return Card(kind, image, (0, 0, sheet.width, sheet.height))


def _open_booklet(page: Sheet) -> Card:
    """The data page with the page above it in view, as a booklet lies on a table."""
    dice = page.dice
    above = paper(dice, ID_3)
    fields(above, (0.1, dice.span(0.3, 0.5), 0.9, 0.85), dice.whole(3, 6), dice.chance(0.3))
    shown = round(above.height * dice.span(0.3, 1.0))
    image = Image.new("RGBA", (page.width, page.height + shown))
    image.paste(above.image.crop((0, above.height - shown, above.width, above.height)), (0, 0))
    image.paste(page.image, (0, shown))
    ImageDraw.Draw(image).line((0, shown, page.width, shown), fill=(120, 120, 120, 255), width=3)
    return Card("passport", image, (0, shown, page.width, shown + page.height))
