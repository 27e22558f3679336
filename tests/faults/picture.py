"""Photographs as an attacker would send them: cut short, with bits turned, or lying about their size."""

from __future__ import annotations

import random
import struct
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

CARDS = Path(__file__).resolve().parents[2] / "examples/cards"


@cache
def photographs() -> tuple[bytes, ...]:
    """A real JPEG, and drawn ones in all formats that there are."""
    found = [min((path.read_bytes() for path in CARDS.glob("*.jpg")), key=len)]
    for mode, side, formats in (
        ("RGB", 96, ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "ICO", "PPM")),
        ("RGBA", 33, ("PNG", "WEBP")),
        ("P", 40, ("PNG", "GIF")),
        ("I;16", 40, ("PNG",)),
        ("1", 40, ("PNG", "TIFF")),
        ("CMYK", 40, ("JPEG", "TIFF")),
        ("L", 1, ("PNG", "JPEG")),
    ):
        image = Image.frombytes("RGB", (side, side), random.Random(side).randbytes(3 * side * side)).convert(
            mode if mode != "I;16" else "L"
        )
        for format in formats:
            file = BytesIO()
            (image.convert("I;16") if mode == "I;16" else image).save(file, format)
            found.append(file.getvalue())
    return tuple(found)


def damaged(seed: int) -> bytes:
    """One of them, with something done to it."""
    dice = random.Random(seed)
    image = bytearray(dice.choice(photographs()))
    for _ in range(dice.randint(1, 3)):
        _DAMAGES[dice.randrange(len(_DAMAGES))](image, dice)
    return bytes(image)


def _cut(image: bytearray, dice: random.Random) -> None:
    del image[dice.randint(0, len(image)) :]


def _turn_bits(image: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 2, 8, 64, 512))):
        if image:
            image[dice.randrange(len(image))] ^= 1 << dice.randrange(8)


def _turn_head(image: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 6)):
        if image:
            image[dice.randrange(min(len(image), 64))] = dice.choice((0, 1, 127, 128, 254, 255))


def _repeat(image: bytearray, dice: random.Random) -> None:
    start = dice.randint(0, len(image))
    part = image[start : start + dice.randint(1, 400)]
    image[start:start] = part * dice.randint(1, 50)


def _drop(image: bytearray, dice: random.Random) -> None:
    start = dice.randint(0, len(image))
    del image[start : start + dice.randint(1, 400)]


def _mix(image: bytearray, dice: random.Random) -> None:
    other = dice.choice(photographs())
    image[dice.randint(0, len(image)) :] = other[dice.randint(0, len(other)) :]


def _lie(image: bytearray, dice: random.Random) -> None:
    """A PNG whose header promises more than there is, with a right checksum."""
    sides = [dice.choice((0, 1, 2, 4096, 30_000, 65_535, 2**31 - 1, 2**32 - 1)) for _ in range(2)]
    head = struct.pack(
        ">II5B", *sides, dice.choice((1, 8, 16, 99)), dice.choice((0, 2, 3, 6, 9)), 0, 0, dice.randint(0, 1)
    )
    data = zlib.compress(bytes(dice.choice((0, 100, 3_000_000))), 9)
    image[:] = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head)
    if dice.random() < 0.3:
        image += _bomb()
    image += _chunk(b"IDAT", data) * dice.randint(1, 5) + _chunk(b"IEND", b"")


@cache
def _bomb() -> bytes:
    """A text of 20 MB in 20 kB."""
    return _chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(20_000_000), 9))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


_DAMAGES = (_cut, _turn_bits, _turn_bits, _turn_head, _repeat, _drop, _mix, _lie)
