"""Decoding: what the formats allow is read properly, and nothing hostile gets past, or costs more than its bytes."""

from __future__ import annotations

import io
import resource
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from model.builtin.image import decode_photo
from model.builtin.letterbox import BAR, SIDE
from model.interface import BadInput

RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 200, 20), (20, 20, 220), (230, 220, 20)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def quarters(width: int = 240, height: int = 160) -> Image.Image:
    """Red, green / blue, yellow: so that every turn and mirroring shows."""
    image = Image.new("RGB", (width, height), RED)
    pen = ImageDraw.Draw(image)
    pen.rectangle((width // 2, 0, width, height // 2), fill=GREEN)
    pen.rectangle((0, height // 2, width // 2, height), fill=BLUE)
    pen.rectangle((width // 2, height // 2, width, height), fill=YELLOW)
    return image


def noise(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int, *more: bytes, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg_with_size(width: int, height: int, body: bytes | None = None) -> bytes:
    body = body or encoded(noise(), "JPEG")
    place = body.index(b"\xff\xc0") if b"\xff\xc0" in body else body.index(b"\xff\xc2")
    return body[: place + 5] + struct.pack(">HH", height, width) + body[place + 9 :]


def webp_with_size(width: int, height: int) -> bytes:
    body = encoded(noise(), "WEBP")
    place = body.index(b"\x9d\x01\x2a") + 3
    return body[:place] + struct.pack("<HH", width, height) + body[place + 4 :]


def animated(format: str) -> bytes:
    return encoded(noise(), format, save_all=True, append_images=[quarters(64, 48)])


def corner_colours(pixels: np.ndarray[Any, Any], box: Any) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters of the picture, row by row."""
    ys = [box.top + box.inner_height // 4, box.top + 3 * box.inner_height // 4]
    xs = [box.left + box.inner_width // 4, box.left + 3 * box.inner_width // 4]
    return [tuple(int(v) for v in pixels[y, x]) for y in ys for x in xs]


def near(actual: list[tuple[int, ...]], expected: list[tuple[int, int, int]], tolerance: int = 26) -> bool:
    return bool(np.abs(np.array(actual) - np.array(expected)).max() <= tolerance)


REFUSED: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 400, "empty"),
    ("text", b"this is not an image", 415, "text"),
    ("json", b'{"image": 1}', 415, "text"),
    ("unknown bytes", bytes(range(256)), 415, "unknown kind"),
    ("gif", encoded(noise(), "GIF"), 415, "a GIF"),
    ("bmp", encoded(noise(), "BMP"), 415, "a BMP"),
    ("tiff", encoded(noise(), "TIFF"), 415, "a TIFF"),
    ("pdf", b"%PDF-1.7\n%\xe2\xe3", 415, "a PDF"),
    ("heic", b"\x00\x00\x00\x18ftypheic" + bytes(64), 415, "HEIC"),
    ("jpeg of two bytes", b"\xff\xd8", 400, "truncated"),
    ("jpeg start only", b"\xff\xd8\xff", 400, "truncated"),
    ("jpeg cut in its header", encoded(noise(), "JPEG")[:60], 400, "truncated"),
    ("jpeg cut in its pixels", encoded(noise(), "JPEG")[:-400], 400, "truncated or damaged"),
    ("progressive jpeg cut", encoded(noise(), "JPEG", progressive=True)[:-900], 400, "truncated or damaged"),
    ("jpeg without pixels", b"\xff\xd8\xff\xd9", 400, "truncated"),
    ("jpeg of no size", jpeg_with_size(0, 0), 400, "0 x 0"),
    ("jpeg of 60 megapixels", jpeg_with_size(10_000, 6_000), 413, "60.0 megapixels"),
    ("jpeg that claims 24 megapixels", jpeg_with_size(6_000, 4_000), 400, "truncated"),
    ("cmyk jpeg", encoded(noise().convert("CMYK"), "JPEG"), 422, "CMYK"),
    ("12-bit jpeg", encoded(noise(), "JPEG").replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), 422, "12 bits"),
    ("lossless jpeg", encoded(noise(), "JPEG").replace(b"\xff\xc0", b"\xff\xc3", 1), 422, "lossless"),
    ("jpeg of a thousand scans", encoded(noise(), "JPEG")[:-2] + b"\xff\xda\x00\x02" * 1000, 422, "scans"),
    ("png start only", b"\x89PNG\r\n\x1a\n", 400, "truncated"),
    ("png cut", encoded(noise(), "PNG")[:-500], 400, "truncated"),
    ("png of no size", png_of(0, 0), 400, "0 x 0"),
    ("png of 60 megapixels", png_of(10_000, 6_000, data=bytes(300_000)), 413, "60.0 megapixels"),
    ("png of four gigapixels", png_of(65_535, 65_535, data=bytes(99)), 413, "4294.8 megapixels"),
    ("png of a long side", png_of(100_000, 8, depth=1, colour=0, data=bytes(999)), 413, "16383 pixels a side"),
    ("png that claims 24 megapixels", png_of(6_000, 4_000, data=zlib.compress(bytes(100))), 400, "truncated"),
    ("png of too few rows", png_of(64, 64, data=zlib.compress(bytes(2_000))), 400, "truncated or damaged"),
    ("png that is no deflate", png_of(8, 8, data=b"not deflate at all"), 400, "damaged"),
    ("png of odd pixels", png_of(8, 8, colour=5, data=b"x"), 400, "unknown kind of pixel"),
    ("png with two headers", png_of(8, 8, png_of(9, 9)[8:33], data=b"x"), 400, "twice"),
    ("animated png", animated("PNG"), 422, "animated"),
    ("webp start only", b"RIFF\x04\x00\x00\x00WEBP", 400, "no picture"),
    ("webp cut", encoded(noise(), "WEBP")[:-300], 400, "truncated"),
    ("webp of no size", webp_with_size(0, 0), 400, "0 x 0"),
    ("webp of 60 megapixels", webp_with_size(10_000, 6_000), 413, "60.0 megapixels"),
    ("webp of another size", webp_with_size(640, 480), 400, "damaged"),
    ("animated webp", animated("WEBP"), 422, "animated"),
]


@pytest.mark.parametrize(("body", "status", "part"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_it_refuses_what_it_cannot_use_and_says_why(body: bytes, status: int, part: str) -> None:
    with pytest.raises(BadInput) as refusal:
        decode_photo(body)
    assert refusal.value.status == status
    assert part in refusal.value.detail
    assert refusal.value.detail.endswith(".")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(jpeg_with_size(20_000, 20_000), id="jpeg"),
        pytest.param(jpeg_with_size(5_000, 5_000, encoded(noise(), "JPEG", progressive=True)), id="progressive"),
        pytest.param(png_of(5_000, 5_000, data=zlib.compress(bytes(1_000_000))), id="png"),
        pytest.param(webp_with_size(16_000, 16_000), id="webp"),
    ],
)
def test_a_claimed_size_reaches_no_decoder(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a decoder was started")

    for reader in ("JPEG", "PNG", "WebP"):
        monkeypatch.setitem(decode_photo.__globals__["_READERS"], reader, fail)
    with pytest.raises(BadInput):
        decode_photo(body)


def test_text_and_profile_bombs_beside_the_pixels_are_never_unpacked() -> None:
    info = PngImagePlugin.PngInfo()
    for number in range(40):
        info.add_text(f"bomb{number}", "A" * 4_000_000, zip=True)
    profile = zlib.compress(bytes(60_000_000))
    body = encoded(quarters(), "PNG", pnginfo=info)
    body = body[:33] + chunk(b"iCCP", b"profile\x00\x00" + profile) + body[33:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    photo = decode_photo(body)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert near(corner_colours(photo.pixels, photo.box), [RED, GREEN, BLUE, YELLOW])
    assert grown < 20


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_it_turns_a_photograph_upright_as_its_exif_says(format: str, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = quarters()
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = decode_photo(encoded(stored, format, exif=exif.tobytes()))
    assert (photo.box.width, photo.box.height) == upright.size
    assert near(corner_colours(photo.pixels, photo.box), [RED, GREEN, BLUE, YELLOW])


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*garbage"])
def test_damaged_exif_does_not_cost_the_picture(exif: bytes) -> None:
    photo = decode_photo(encoded(quarters(), "JPEG", exif=exif))
    assert near(corner_colours(photo.pixels, photo.box), [RED, GREEN, BLUE, YELLOW])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "PA"])
@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_it_reads_colour_in_every_mode(format: str, mode: str) -> None:
    image = quarters().convert("P").convert(mode) if mode == "PA" else quarters().convert(mode)
    photo = decode_photo(encoded(image if format == "PNG" and mode != "PA" else image.convert("RGBA"), format))
    assert near(corner_colours(photo.pixels, photo.box), [RED, GREEN, BLUE, YELLOW])


@pytest.mark.parametrize("scale", [1, 257])
def test_grey_of_eight_and_of_sixteen_bits_look_the_same(scale: int) -> None:
    grey = np.tile(np.arange(0, 240, dtype=np.uint16), (240, 1))
    values = grey.astype(np.uint8) if scale == 1 else (grey * scale).astype(np.uint16)
    photo = decode_photo(encoded(Image.fromarray(values), "PNG"))
    assert photo.pixels[64, ::16, 1].tolist() == pytest.approx(
        [round(x * 240 / SIDE) for x in range(0, SIDE, 16)], abs=3
    )


def test_black_and_white_and_small_palettes_are_read() -> None:
    image = quarters().convert("L").point(lambda value: 255 if value > 120 else 0)
    photo = decode_photo(encoded(image.convert("1"), "PNG"))
    assert near(corner_colours(photo.pixels, photo.box), [(0,) * 3, (255,) * 3, (0,) * 3, (255,) * 3])


def test_what_is_transparent_is_white() -> None:
    image = quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 120, 80))
    for body in (encoded(image, "PNG"), encoded(image, "WEBP", lossless=True)):
        photo = decode_photo(body)
        assert near(corner_colours(photo.pixels, photo.box), [(255, 255, 255), GREEN, BLUE, YELLOW])


def test_a_palette_colour_that_is_transparent_is_white() -> None:
    image = Image.new("P", (100, 100), 0)
    image.putpalette([0, 0, 0, 220, 20, 20])
    image.paste(1, (50, 0, 100, 100))
    photo = decode_photo(encoded(image, "PNG", transparency=0))
    assert near(corner_colours(photo.pixels, photo.box), [(255, 255, 255), RED, (255, 255, 255), RED])


def test_a_large_photograph_of_a_camera_is_read() -> None:
    photo = decode_photo(encoded(quarters(5_600, 4_200), "JPEG"))
    assert (photo.box.width, photo.box.height) == (5_600, 4_200)
    assert near(corner_colours(photo.pixels, photo.box), [RED, GREEN, BLUE, YELLOW])


@pytest.mark.parametrize("size", [(1, 1), (3_000, 1), (1, 3_000), (17, 1_000)])
def test_odd_shapes_are_letterboxed(size: tuple[int, int]) -> None:
    photo = decode_photo(encoded(Image.new("RGB", size, RED), "PNG"))
    assert photo.pixels.shape == (SIDE, SIDE, 3)
    assert (photo.pixels[photo.box.top, photo.box.left] == RED).all()
    if size[0] != size[1]:
        assert (photo.pixels[-1, -1] == BAR).all()


SEEDS = [
    encoded(noise(), "JPEG"),
    encoded(noise(), "JPEG", progressive=True),
    encoded(noise().convert("L"), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03"),
    encoded(noise(), "PNG"),
    encoded(noise().convert("P"), "PNG", transparency=3),
    encoded(noise().convert("LA"), "PNG"),
    encoded(noise(), "WEBP"),
    encoded(noise().convert("RGBA"), "WEBP", lossless=True, exif=b"II*\x00"),
]


@settings(max_examples=400, deadline=None)
@given(
    body=st.sampled_from(SEEDS),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6),
    early=st.booleans(),
)
def test_damaged_images_are_read_or_refused_and_nothing_else(
    body: bytes, cut: float, flips: list[tuple[float, int]], early: bool
) -> None:
    damaged = bytearray(body if cut > 0.7 else body[: int(len(body) * cut / 0.7)])
    for place, value in flips:
        if damaged:
            reach = min(len(damaged), 60) if early else len(damaged)
            damaged[int(place * reach)] = value
    try:
        photo = decode_photo(bytes(damaged))
    except BadInput as refusal:
        outcome = refusal.status in (400, 413, 415, 422)
    else:
        outcome = photo.pixels.shape == (SIDE, SIDE, 3)
    assert outcome


@settings(max_examples=200, deadline=None)
@given(start=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\x00\x00\x00WEBP"]), rest=st.binary())
def test_garbage_behind_a_true_start_is_refused(start: bytes, rest: bytes) -> None:
    with pytest.raises(BadInput):
        decode_photo(start + rest)
