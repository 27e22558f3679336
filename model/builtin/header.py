"""What an image says of itself before a pixel of it is decoded: JPEG, PNG and WebP, from the first bytes to the pixels.

A hostile image lies in its header or hides a bomb beside its pixels. So the containers are walked here, by hand:
lengths are checked, the size is known before a decoder allocates for it, and of the rest only what the pixels need is
passed on (no profiles, no text, no thumbnails). Every fault is a :class:`BadInput`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from model.interface import BadInput

#: The most pixels an image may have: a camera's 24 megapixels fit, a 60-megapixel scan does not. A WebP costs its
#: decoder some 15 bytes a pixel, four times what the others cost, so that it may have half as many.
MAX_PIXELS: Final = {"JPEG": 25_000_000, "PNG": 25_000_000, "WebP": 12_500_000}
#: The longest side in pixels: WebP's own limit.
MAX_SIDE: Final = 16_383

_PNG: Final = b"\x89PNG\r\n\x1a\n"
#: Chunks that a PNG's pixels need; all others (text, profiles, unknown ones) are left out.
_PNG_KEPT: Final = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
#: Frame markers of JPEG: baseline, extended and progressive Huffman, which are what cameras and libraries write.
_JPEG_FRAMES: Final = frozenset((0xC0, 0xC1, 0xC2))
_JPEG_OTHER_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - _JPEG_FRAMES - {0xC4, 0xC8, 0xCC}
#: Segments of JPEG left out: profiles, thumbnails, comments. APP0 (JFIF) and APP14 (Adobe) say how colours are coded.
_JPEG_DROPPED: Final = (frozenset(range(0xE1, 0xF0)) - {0xEE}) | {0xFE}
#: A camera's progressive JPEG has about ten scans; thousands in a small file are an attack on the decoder's time.
_JPEG_SCANS: Final = 64
#: The highest ratio that deflate can reach: a PNG with fewer bytes than its pixels divided by this is cut off.
_DEFLATE_RATIO: Final = 1032

_OTHER_KINDS: Final = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"<svg", "an SVG"),
    (b"PK\x03\x04", "a ZIP archive"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header. ``width`` and ``height`` are as stored, before ``orientation`` (EXIF, 1 to 8) is applied.

    ``body`` is the image again with only what its pixels need. ``whole`` tells whether decoding holds all pixels at
    once; a sequential JPEG alone can be decoded small.
    """

    format: str
    width: int
    height: int
    orientation: int
    body: bytes
    whole: bool = True


def read_header(body: bytes) -> Header:
    """Recognise an image by its content and read its header. Raises :class:`BadInput` (400, 413, 415 or 422)."""
    if not body:
        raise BadInput("The body is empty: send a JPEG, PNG or WebP image.", 400)
    try:
        if body.startswith(b"\xff\xd8"):
            return _jpeg(body)
        if body.startswith(_PNG):
            return _png(body)
        if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
            return _webp(body)
    except (struct.error, IndexError) as error:
        raise _truncated("image") from error
    raise BadInput(f"This is {_name_of(body)}, not an image that can be read here: send a JPEG, PNG or WebP.", 415)


def _truncated(kind: str) -> BadInput:
    return BadInput(f"The {kind} is truncated: its data ends before its pixels do.", 400)


def _malformed(kind: str, what: str) -> BadInput:
    return BadInput(f"The {kind} is malformed: {what}.", 400)


def _name_of(body: bytes) -> str:
    for start, name in _OTHER_KINDS:
        if body.startswith(start):
            return name
    if body[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    sample = body[:512]
    if b"\x00" not in sample and sum(byte < 9 or 13 < byte < 32 for byte in sample) == 0:
        return "text"
    return "data of an unknown kind"


# JPEG


def _jpeg(body: bytes) -> Header:
    view = memoryview(body)  # slices of it copy nothing
    kept, place, orientation = [view[:2]], 2, 1
    frame: tuple[int, int] | None = None
    progressive = False
    while True:
        if body[place] != 0xFF:
            raise _malformed("JPEG", "a segment does not start where the one before it ends")
        while body[place + 1] == 0xFF:  # fill bytes
            place += 1
        marker = body[place + 1]
        if marker == 0xD9:
            raise _truncated("JPEG")
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            place += 2
            continue
        (length,) = struct.unpack_from(">H", body, place + 2)
        segment = body[place + 4 : place + 2 + length]
        if length < 2 or len(segment) != length - 2:
            raise _truncated("JPEG")
        if marker in _JPEG_OTHER_FRAMES:
            raise BadInput("This kind of JPEG (lossless or arithmetic) is not supported: save it anew.", 422)
        if marker in _JPEG_FRAMES:
            if frame is not None:
                raise _malformed("JPEG", "it has two frames")
            frame, progressive = _jpeg_frame(segment), marker == 0xC2
        if marker == 0xE1 and segment.startswith(b"Exif\x00\x00"):
            orientation = _orientation(segment[6:])
        if marker == 0xDA:
            break
        if marker not in _JPEG_DROPPED:
            kept.append(view[place : place + 2 + length])
        place += 2 + length
    if frame is None:
        raise _malformed("JPEG", "its pixels come before its size")
    width, height = frame
    if body.count(b"\xff\xda", place) > _JPEG_SCANS:
        raise BadInput(f"The JPEG has more than {_JPEG_SCANS} scans, which no camera writes: save it anew.", 422)
    # Each block of 8 x 8 pixels costs at least a bit.
    if (len(body) - place) * 8 < (width // 8) * (height // 8):
        raise _truncated("JPEG")
    kept.append(view[place:])
    return Header("JPEG", width, height, orientation, b"".join(kept), whole=progressive)


def _jpeg_frame(segment: bytes) -> tuple[int, int]:
    depth, height, width, components = struct.unpack_from(">BHHB", segment)
    if depth != 8:
        raise BadInput(f"The JPEG has {depth} bits per channel; only 8 are supported: save it anew.", 422)
    if components == 4:
        raise BadInput("The JPEG is in CMYK colours, as for printing: convert it to RGB.", 422)
    if components not in (1, 3):
        raise _malformed("JPEG", f"it has {components} colour channels")
    _check_size("JPEG", width, height)
    return width, height


# PNG


def _png(body: bytes) -> Header:
    view = memoryview(body)  # slices of it copy nothing
    kept, place, orientation, data = [view[:8]], 8, 1, 0
    shape: tuple[int, int, int] | None = None
    while place < len(body):
        length, name = struct.unpack_from(">I4s", body, place)
        end = place + 12 + length
        if end > len(body):
            raise _truncated("PNG")
        if (shape is None) != (name == b"IHDR"):
            raise _malformed("PNG", "its header is not its first chunk, or comes twice")
        if name == b"IHDR":
            shape = _png_shape(body[place + 8 : place + 8 + length])
        elif name == b"acTL":
            raise BadInput("The PNG is animated: send one picture.", 422)
        elif name == b"eXIf":
            orientation = _orientation(body[place + 8 : place + 8 + length])
        elif name == b"IDAT":
            data += length
        if name in _PNG_KEPT:
            kept.append(view[place:end])
        if name == b"IEND":
            break
        place = end
    else:
        raise _truncated("PNG")
    if shape is None:
        raise _malformed("PNG", "it has no header")
    width, height, bits = shape
    if data * _DEFLATE_RATIO < height * (width * bits // 8):
        raise _truncated("PNG")
    return Header("PNG", width, height, orientation, b"".join(kept))


def _png_shape(chunk: bytes) -> tuple[int, int, int]:
    """Width, height and bits per pixel."""
    width, height, depth, colour = struct.unpack_from(">IIBB", chunk)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour)
    if channels is None or depth not in (1, 2, 4, 8, 16) or len(chunk) != 13:
        raise _malformed("PNG", "its header names an unknown kind of pixel")
    _check_size("PNG", width, height)
    return width, height, channels * depth


# WebP


def _webp(body: bytes) -> Header:
    (claimed,) = struct.unpack_from("<I", body, 4)
    if claimed + 8 > len(body):
        raise _truncated("WebP")
    place, orientation, size = 12, 1, None
    while place + 8 <= len(body):
        name, length = struct.unpack_from("<4sI", body, place)
        chunk = body[place + 8 : place + 8 + length]
        if len(chunk) != length:
            raise _truncated("WebP")
        if name in (b"ANIM", b"ANMF") or (name == b"VP8X" and chunk[0] & 0x02):
            raise BadInput("The WebP is animated: send one picture.", 422)
        if name == b"EXIF":
            orientation = _orientation(chunk.removeprefix(b"Exif\x00\x00"))
        size = _webp_size(name, chunk, size)
        place += 8 + length + (length & 1)
    if size is None:
        raise _malformed("WebP", "it has no picture")
    return Header("WebP", *size, orientation, body)


def _webp_size(name: bytes, chunk: bytes, known: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size that a chunk states, which must agree with what earlier ones stated."""
    if name == b"VP8X":
        size = int.from_bytes(chunk[4:7], "little") + 1, int.from_bytes(chunk[7:10], "little") + 1
    elif name == b"VP8 ":
        if chunk[3:6] != b"\x9d\x01\x2a":
            raise _malformed("WebP", "its picture does not start with a key frame")
        width, height = struct.unpack_from("<HH", chunk, 6)
        size = width & 0x3FFF, height & 0x3FFF
    elif name == b"VP8L":
        if chunk[0] != 0x2F:
            raise _malformed("WebP", "its lossless picture has no signature")
        (bits,) = struct.unpack_from("<I", chunk, 1)
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        return known
    if known is not None and size != known:
        raise _malformed("WebP", "its header and its picture state different sizes")
    _check_size("WebP", *size)
    return size


# Shared


def _check_size(kind: str, width: int, height: int) -> None:
    if width == 0 or height == 0:
        raise BadInput(f"The {kind} is {width} x {height} pixels: it has no picture.", 400)
    pixels, most = width * height, MAX_PIXELS[kind]
    if pixels > most or max(width, height) > MAX_SIDE:
        raise BadInput(
            f"The {kind} is {width} x {height} pixels ({pixels / 1e6:.1f} megapixels); "
            f"at most {most / 1e6:g} megapixels and {MAX_SIDE} pixels a side are accepted: scale it down.",
            413,
        )


def _orientation(exif: bytes) -> int:
    """The orientation (1 to 8) that EXIF data states; 1 when it states none or is itself damaged."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + entry * 12)
            if tag == 0x0112:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
