"""From bytes to pixels and back, with a guard on the size before anything is allocated for it."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from PIL import ExifTags, Image, ImageOps

from examples.restore.tile import Pixels
from model.builtin.header import Header, read_header
from model.interface import BadInput

#: The most pixels a photograph may have: 4000 x 3000. It costs 36 MB before and as much after.
MAX_PIXELS: Final = 12_000_000
#: What Pillow's readers raise on damaged data.
_FAULTS: Final = (OSError, ValueError, SyntaxError, LookupError, TypeError, OverflowError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Photo:
    """``pixels`` (height, width, 3). ``scale`` is its side as a share of what was sent; ``restored``: noise is out."""

    pixels: Pixels
    format: str
    scale: float = 1.0
    restored: bool = False


def decode_photo(body: bytes) -> Photo:
    """Decode a JPEG, PNG or WebP, upright, without transparency.

    Raises :class:`BadInput`: 400 (empty, malformed, truncated), 413 (too many pixels), 415 (no such image),
    422 (CMYK, animated). The header is judged first, so that an image too large costs no memory.
    """
    header = read_header(body)
    if header.width * header.height > MAX_PIXELS:
        raise BadInput(
            f"The image has {header.width} x {header.height} pixels, and {MAX_PIXELS / 1e6:g} million at most can be "
            "restored: send it smaller, or in parts.",
            413,
        )
    try:
        with Image.open(BytesIO(header.body), formats=[header.format.upper()]) as image:
            return Photo(np.asarray(_upright(image, header)), header.format)
    except _FAULTS as error:
        raise BadInput(f"The {header.format} cannot be decoded: it is truncated or damaged.", 400) from error


def _upright(image: Image.Image, header: Header) -> Image.Image:
    """As RGB, turned as the camera was held; ``header`` knows, the body that is decoded has no EXIF left."""
    image.load()
    colours = _to_rgb(image)
    if header.orientation == 1:
        return colours
    colours.getexif()[ExifTags.Base.Orientation] = header.orientation
    return ImageOps.exif_transpose(colours)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        return ground
    return image.convert("RGB")


def to_png(pixels: Pixels) -> str:
    """The pixels as a PNG, in base64, for JSON. Compressed a little only: time counts more here."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def from_png(text: str) -> Pixels:
    """The opposite of :func:`to_png`."""
    with Image.open(BytesIO(base64.b64decode(text)), formats=["PNG"]) as image:
        return np.asarray(image)
