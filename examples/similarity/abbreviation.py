"""How English addresses are shortened, in words that mean the same to a postman."""

from __future__ import annotations

from typing import Final

FULL: Final = {
    "apt": "apartment",
    "ave": "avenue",
    "av": "avenue",
    "blvd": "boulevard",
    "bldg": "building",
    "cl": "close",
    "cres": "crescent",
    "ct": "court",
    "ctr": "center",
    "centre": "center",
    "dr": "drive",
    "e": "east",
    "est": "estate",
    "fl": "floor",
    "gdns": "gardens",
    "hwy": "highway",
    "ln": "lane",
    "mt": "mount",
    "n": "north",
    "ne": "northeast",
    "nw": "northwest",
    "pk": "park",
    "pkwy": "parkway",
    "pl": "place",
    "rd": "road",
    "rm": "room",
    "s": "south",
    "saint": "street",  # the two share an abbreviation, so they are taken for one
    "se": "southeast",
    "sq": "square",
    "st": "street",
    "ste": "suite",
    "str": "street",
    "sw": "southwest",
    "ter": "terrace",
    "terr": "terrace",
    "w": "west",
}
#: Numbers that are written as words.
ORDINALS: Final = {
    word: str(value)
    for value, word in enumerate(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), 1
    )
}
#: Words that only say of what kind a number is, and are left out as one likes.
SILENT: Final = frozenset(
    ("apartment", "building", "flat", "floor", "house", "level", "number", "room", "suite", "the", "unit", "usa")
)
