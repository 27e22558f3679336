"""One photograph as a user would take it: a card on a background, seen at an angle, in uneven light, imperfectly."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from model.builtin.drawing.background import background
from model.builtin.drawing.dice import Dice
from model.builtin.drawing.distractor import draw_distractor
from model.builtin.drawing.ink import hsv
from model.builtin.drawing.layout import Card, draw_card

#: The long side of a composed photograph, in pixels.
LONG: Final = 384
PROPORTIONS: Final = (4 / 3, 4 / 3, 3 / 4, 1.0, 16 / 9, 3 / 2)
#: Cards are turned up to this many degrees from upright, and tilted up to this many away from the camera.
TURN: Final = 42.0
TILT: Final = 34.0

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed photograph, its label and its card's corners ((4, 2) pixels, clockwise from the card's top-left)."""

    image: Image.Image
    kind: str
    corners: Points | None


def homography(source: Points, target: Points) -> Points:
    """The (3, 3) projective map that takes four ``source`` points to four ``target`` points."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solved = np.linalg.solve(np.array(rows), target.reshape(8))
    return np.append(solved, 1.0).reshape(3, 3)


def project(matrix: Points, points: Points) -> Points:
    """Apply a (3, 3) projective map to (n, 2) points."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    flat: Points = mapped[:, :2] / mapped[:, 2:]
    return flat


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def _pose(dice: Dice, width: int, height: int, canvas: tuple[int, int], fill: float) -> Points:
    """Where a flat sheet's corners fall on the canvas: turned, tilted, scaled to fill a share, somewhere inside."""
    turn, pitch, yaw = (np.radians(dice.span(-limit, limit)) for limit in (TURN, TILT, TILT))
    if dice.chance(0.35):
        turn, pitch, yaw = turn * 0.2, pitch * 0.3, yaw * 0.3
    flat = rectangle(-width / 2, -height / 2, width / 2, height / 2) / max(width, height)
    turned = flat @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    x, y = turned[:, 0] * np.cos(yaw), turned[:, 1] * np.cos(pitch)
    depth = 1.0 + (turned[:, 0] * np.sin(yaw) + turned[:, 1] * np.sin(pitch)) / dice.span(1.6, 4.0)
    seen = np.column_stack([x / depth, y / depth])
    seen -= seen.min(axis=0)
    reach = seen.max(axis=0)
    scale = fill * min(canvas[0] / reach[0], canvas[1] / reach[1])
    room = np.array(canvas) - reach * scale
    placed: Points = seen * scale + room * dice.rng.random(2)
    return placed


def _lay(scene: Image.Image, card: Card, quad: Points, dice: Dice) -> Points:
    """Lay a card with its frame's corners at ``quad``, its shadow under it, and return the map from card to scene."""
    forward = homography(rectangle(*card.frame), quad)
    inverse = np.linalg.inv(forward)
    data = tuple((inverse / inverse[2, 2]).reshape(9)[:8].tolist())
    size = scene.size
    reach = quad.max(axis=0) - quad.min(axis=0)
    shrink = max(card.image.size) / float(reach.max())
    image = card.image.filter(ImageFilter.GaussianBlur(0.35 * shrink)) if shrink > 1.5 else card.image
    image.putalpha(card.image.getchannel("A"))
    laid = image.transform(size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC)
    mask = laid.getchannel("A")
    if dice.chance(0.75):
        shadow = ImageChops.offset(mask, round(dice.span(-7, 7)), round(dice.span(1, 8)))
        shadow = shadow.filter(ImageFilter.GaussianBlur(dice.span(1.5, 7))).point(lambda v: int(v * 0.55))
        scene.paste((10, 10, 14), (0, 0), shadow)
    scene.paste(laid.convert("RGB"), (0, 0), mask)
    return forward


def _light(image: Image.Image, dice: Dice, quad: Points | None) -> Image.Image:
    """Uneven light: a slope of brightness, the edge of a shadow, a reflection on the card."""
    width, height = image.size
    if dice.chance(0.6):
        ramp = np.linspace(dice.span(0.45, 1.0), dice.span(0.85, 1.3), width)[None, :]
        down = np.linspace(dice.span(0.75, 1.1), dice.span(0.75, 1.1), height)[:, None]
        field = np.asarray(image, dtype=np.float32) * (ramp * down)[..., None]
        image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    if dice.chance(0.3):
        mask = Image.new("L", image.size, 0)
        cut = [dice.span(-0.2, 1.2) * side for side in (width, height, width, height)]
        ImageDraw.Draw(mask).polygon([(cut[0], 0), (cut[2], height), (width * 1.2, height), (width * 1.2, 0)], fill=110)
        image.paste((8, 8, 16), (0, 0), mask.filter(ImageFilter.GaussianBlur(dice.span(2, 20))))
    if quad is not None and dice.chance(0.35):
        x, y = quad.mean(axis=0) + dice.rng.normal(0, 0.2, 2) * (quad.max(axis=0) - quad.min(axis=0))
        size = dice.span(0.04, 0.16) * width
        mask = Image.new("L", image.size, 0)
        ImageDraw.Draw(mask).ellipse((x - size * 1.6, y - size, x + size * 1.6, y + size), fill=dice.whole(90, 230))
        image.paste((255, 255, 250), (0, 0), mask.filter(ImageFilter.GaussianBlur(size * 0.5)))
    return image


def _occlude(image: Image.Image, dice: Dice, quad: Points) -> None:
    """One or two fingers over an edge of the card, or a small thing on it: always a small part of the whole."""
    pen = ImageDraw.Draw(image)
    reach = float(np.linalg.norm(quad[1] - quad[0]))
    middle = quad.mean(axis=0)
    skin = hsv(dice.span(0.03, 0.09), dice.span(0.25, 0.6), dice.span(0.4, 0.95))
    for _ in range(dice.whole(1, 2)):
        side = dice.whole(0, 3)
        share = dice.span(0.0, 1.0)
        edge = quad[side] * (1 - share) + quad[(side + 1) % 4] * share
        inward = (middle - edge) / (np.linalg.norm(middle - edge) + 1e-6)
        tip = edge + inward * reach * dice.span(0.02, 0.12)
        root = edge - inward * reach * dice.span(0.3, 0.8)
        thick = reach * dice.span(0.05, 0.09)
        colour = skin if dice.chance(0.75) else hsv(dice.span(0, 1), dice.span(0, 1), dice.span(0, 1))
        pen.line((*tip, *root), fill=colour, width=max(2, round(thick * 2)))
        pen.ellipse((*(tip - thick), *(tip + thick)), fill=colour)


def _camera(image: Image.Image, dice: Dice) -> Image.Image:
    """What a camera does: focus, shake, colour cast, exposure, noise and JPEG."""
    if dice.chance(0.45):
        image = image.filter(ImageFilter.GaussianBlur(dice.span(0.3, 2.2)))
    field: NDArray[np.floating] = np.asarray(image, dtype=np.float32)
    if dice.chance(0.15):
        reach, axis = dice.whole(1, 3), dice.whole(0, 1)
        field = np.mean([np.roll(field, step, axis) for step in range(-reach, reach + 1)], axis=0, dtype=np.float32)
    cast = np.array([dice.span(0.85, 1.15) for _ in range(3)], dtype=np.float32)
    field = 255 * np.clip(field * (cast * dice.span(0.6, 1.25) / 255), 0, 1) ** dice.span(0.8, 1.25)
    if dice.chance(0.7):
        field = field + dice.rng.normal(0, dice.span(1, 16), (*field.shape[:2], dice.pick((1, 3))))
    image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    if dice.chance(0.08):
        image = image.convert("L").convert("RGB")
    if dice.chance(0.7):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=dice.whole(18, 92))
        image = Image.open(buffer).convert("RGB")
    return image


def compose(dice: Dice, kind: str) -> Scene:
    """Compose one photograph of ``kind``. One in three without a card shows only its background."""
    proportion = dice.pick(PROPORTIONS)
    canvas = (LONG, round(LONG / proportion)) if proportion >= 1 else (round(LONG * proportion), LONG)
    image = background(dice, canvas)
    if dice.chance(0.15):
        under = draw_distractor(dice)
        _lay(image, under, _pose(dice, *under.image.size, canvas, dice.span(0.5, 1.3)), dice)
    quad: Points | None = None
    if kind == "none":
        if dice.chance(0.66):
            thing = draw_distractor(dice)
            quad = _pose(dice, *thing.image.size, canvas, dice.span(0.5, 0.97))
            _lay(image, thing, quad, dice)
    else:
        card = draw_card(dice, kind)
        left, top, right, bottom = card.frame
        quad = _pose(dice, right - left, bottom - top, canvas, dice.span(0.56, 0.98))
        _lay(image, card, quad, dice)
    if quad is not None and dice.chance(0.3):
        _occlude(image, dice, quad)
    image = _camera(_light(image, dice, quad), dice)
    return Scene(image, kind, quad if kind != "none" else None)
