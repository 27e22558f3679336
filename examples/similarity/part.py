"""What an address is made of, and whether two have it in common: leaving something out is no contradiction."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from examples.similarity.abbreviation import FULL, ORDINALS, SILENT

_DIGITS: Final = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
#: A Chinese number counts only before one of these: 三号楼 has a number, 三里屯 and 五一路 are names.
_UNITS: Final = "号栋幢座楼层单室弄段期院"
_CHINESE_NUMBER: Final = re.compile(rf"[{''.join(_DIGITS)}十百]+(?=[{_UNITS}])")
#: Signs that only say what kind of thing stands beside them, and are left out as one likes.
_SILENT_SIGNS: Final = frozenset("省市区县镇号栋幢座楼层单元室房弄段期院塔")
#: Chinese, American (at the end, after a word), British and Canadian ones.
_POSTCODE: Final = re.compile(
    r"(?<!\d)\d{6}(?!\d)|(?<=[a-z] )\d{5}(?:-\d{4})?(?=\W*$)"
    r"|\b[a-z]{1,2}\d[a-z\d]? \d[a-z]{2}\b|\b[a-z]\d[a-z] \d[a-z]\d\b"
)
#: Digits, or the one letter that tells a building from the next: B座.
_NUMBER: Final = re.compile(r"\d+|(?<![a-z])[a-z](?=[座栋幢塔])")
_WORD: Final = re.compile(r"[^\W\d_]+")
_SIGN: Final = re.compile(r"[㐀-鿿]")
#: Swapped, these name another place for certain: North Street is not South Street.
_DIRECTIONS: Final = frozenset(
    ("east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west", *"东南西北中")
)
#: Two words this much alike are one with a slip of the pen.
_SLIP: Final = 0.7
#: So many pairs of unlike words are looked at for slips, at most.
_FEW: Final = 100
#: What is left of a likeness for each word that stands where the other address has another one.
_FOR_EACH: Final = 0.8


@dataclass(frozen=True, slots=True)
class Parts:
    """``numbers``: of houses, floors, rooms. ``words``: names, each Chinese sign by itself; a postcode is one."""

    numbers: tuple[str, ...]
    words: tuple[str, ...]
    postcodes: frozenset[str]


def plain(text: str) -> str:
    """The text in one form of width and case, with Chinese numbers as digits and without abbreviations."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    digits = _CHINESE_NUMBER.sub(lambda found: str(_value(found.group())), folded)
    return re.sub(
        r"(?<![a-z\d])[a-z]+\b\.?", lambda found: _full(found.group()), re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", digits)
    )


def _full(word: str) -> str:
    bare = word.rstrip(".")
    return FULL.get(bare) or ORDINALS.get(bare) or word


def _value(chinese: str) -> int:
    """二十三 is 23, 一百零二 is 102, 一五 is 15."""
    total, digit = 0, None
    for sign in chinese:
        if sign in _DIGITS:
            digit = _DIGITS[sign] if not digit else digit * 10 + _DIGITS[sign]
        else:
            total += (1 if digit is None else digit) * {"十": 10, "百": 100}[sign]
            digit = None
    return total + (digit or 0)


def parts_of(text: str) -> Parts:
    """Of a text that :func:`plain` has been over."""
    postcodes = frozenset(found.group() for found in _POSTCODE.finditer(text))
    rest = _POSTCODE.sub(" ", text)
    numbers = tuple(found.lstrip("0") or "0" for found in _NUMBER.findall(rest))
    words: list[str] = []
    for word in _WORD.findall(rest):
        if _SIGN.search(word):
            words += [sign for sign in word if _SIGN.match(sign) and sign not in _SILENT_SIGNS]
        elif len(word) > 2 and word not in SILENT:  # what is shorter is a state, or a letter that numbers hold
            words.append(word)
    return Parts(numbers, tuple(words), postcodes)


def numbers_agree(one: Parts, other: Parts) -> float:
    """1 if the numbers of the one are all among those of the other, as when a room is left out; 0 if none is."""
    fewer = min(len(one.numbers), len(other.numbers))
    shared = (Counter(one.numbers) & Counter(other.numbers)).total()
    return shared / fewer if fewer else 1.0


def words_agree(one: Parts, other: Parts) -> float:
    """1 if the words of the one are all among those of the other; less for each that stands instead of another.

    A direction counts twice, and so does a postcode count as a word.
    """
    left, right = Counter(one.words), Counter(other.words)
    only_left, only_right = list((left - right).elements()), list((right - left).elements())
    if len(only_left) * len(only_right) <= _FEW:  # beyond, slips would not save it, and trying them takes long
        _forgive_slips(only_left, only_right)
    swapped = min(len(only_left), len(only_right))
    swapped += min(len(_DIRECTIONS.intersection(only_left)), len(_DIRECTIONS.intersection(only_right)))
    if one.postcodes and other.postcodes and one.postcodes.isdisjoint(other.postcodes):
        swapped += 1
    return float(_FOR_EACH**swapped)


def _forgive_slips(left: list[str], right: list[str]) -> None:
    """Take out of both what is one word with a slip of the pen."""
    for word in tuple(left):
        near = next((other for other in right if _slip(word, other)), None)
        if near is not None:
            left.remove(word)
            right.remove(near)


def spelling(one: str, other: str) -> float:
    """How much of two texts is written alike, 0 to 1: the pairs of neighbouring signs that they share.

    It takes time in proportion to their lengths, whoever sends them; finding the longest common parts does not.
    """
    left, right = Counter(pairwise(f" {one} ")), Counter(pairwise(f" {other} "))
    return 2 * (left & right).total() / (left.total() + right.total())


def _slip(one: str, other: str) -> bool:
    return min(len(one), len(other)) > 3 and spelling(one, other) >= _SLIP
