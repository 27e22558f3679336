"""From the bytes of a request to the network's input, with a bound on memory and time however the bytes lie."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from model.builtin.header import Header, read_header
from model.builtin.letterbox import SIDE, Letterbox, fit
from model.interface import BadInput

#: Images above this many pixels that are held whole are decoded one at a time: a burst costs the memory of one.
LARGE_PIXELS: Final = 2_000_000

#: Pillow's classes are opened directly: ``Image.open`` would guess the format again and warn about sizes of its own.
_READERS: Final[dict[str, type[ImageFile.ImageFile]]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
#: What Pillow's readers raise on damaged data.
_FAULTS: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
#: EXIF orientation to the turn that undoes it.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_large = threading.Lock()
#: More decoders than cores would only add memory.
_decoders = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photograph: the network's input (SIDE, SIDE, 3) and how it lies in the upright original's pixels."""

    pixels: NDArray[np.uint8]
    box: Letterbox
    format: str


def decode_photo(body: bytes) -> Photo:
    """Decode a JPEG, PNG or WebP into the network's input, upright, without transparency.

    Raises :class:`BadInput`: 400 (empty, malformed, truncated), 413 (too many pixels), 415 (no such image),
    422 (CMYK, animated). The size is checked before anything is allocated for it.
    """
    header = read_header(body)
    one_at_a_time = header.whole and header.width * header.height > LARGE_PIXELS
    with _large if one_at_a_time else _decoders:
        return _decode(header)


def _decode(header: Header) -> Photo:
    try:
        with _READERS[header.format](BytesIO(header.body)) as image:
            if image.size != (header.width, header.height):
                raise BadInput(f"The {header.format} is malformed: it states two different sizes.", 400)
            # A JPEG decodes straight to an eighth, a quarter or a half of its size; others ignore this.
            image.draft("RGB", (SIDE * 2, SIDE * 2))
            image.load()
            colours = _to_rgb(image)
    except _FAULTS as error:
        raise BadInput(f"The {header.format} cannot be decoded: it is truncated or damaged.", 400) from error
    turn = _UPRIGHT.get(header.orientation)
    width, height = header.width, header.height
    if turn is not None:
        colours = colours.transpose(turn)
        if header.orientation >= 5:
            width, height = height, width
    box = Letterbox.around(width, height)
    return Photo(fit(colours, box), box, header.format)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode that the three formats decode to, as a small RGB image: deep grey scaled, transparency on white."""
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.uint32) >> 8
        image = Image.fromarray(deep.astype(np.uint8))
    if image.mode == "P" or image.mode == "1":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif "transparency" in image.info and image.mode in ("RGB", "L"):
        image = image.convert("RGBA")
    factor = max(image.size) // (SIDE * 4)
    if factor > 1:
        image = image.reduce(factor)
    if image.mode in ("RGBA", "LA"):
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        return ground
    return image.convert("RGB")
