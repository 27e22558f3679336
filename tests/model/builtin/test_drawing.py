"""The drawn photographs: repeatable, truthful about their corners, and of two worlds that share nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.builtin.augment import move
from model.builtin.card import KINDS
from model.builtin.dataset import SHARES, draw_scene, draw_set
from model.builtin.drawing.background import photograph
from model.builtin.drawing.dice import HELD_OUT, TRAINING, UNFAMILIAR, Dice, World
from model.builtin.drawing.layout import FAMILIES
from model.builtin.drawing.layout import UNFAMILIAR as UNFAMILIAR_FAMILIES
from model.builtin.drawing.scene import compose, homography, project, rectangle
from model.builtin.letterbox import SIDE, Letterbox


def test_the_same_seed_and_number_draw_the_same_photograph() -> None:
    first, second = (draw_scene(TRAINING, 4, 9) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.kind == second.kind
    assert draw_scene(TRAINING, 4, 10).image.tobytes() != first.image.tobytes()
    assert draw_scene(HELD_OUT, 4, 9).image.tobytes() != first.image.tobytes()


def test_a_set_does_not_depend_on_how_many_processes_draw_it() -> None:
    alone, together = (draw_set(TRAINING, 2, 70, workers) for workers in (1, 2))
    assert (alone.pixels == together.pixels).all()
    assert (alone.corners == together.corners).all()
    assert alone.pixels.shape == (70, SIDE, SIDE, 3)
    assert set(alone.labels.tolist()) == set(range(len(KINDS)))


def test_training_and_evaluation_share_no_photograph_and_no_font() -> None:
    assert not set(TRAINING.photographs) & set(HELD_OUT.photographs)
    assert not set(TRAINING.fonts) & set(HELD_OUT.fonts)
    assert UNFAMILIAR.photographs == HELD_OUT.photographs
    assert sum(SHARES) == pytest.approx(1.0)


def test_training_and_evaluation_share_no_value_of_a_parameter() -> None:
    def drawn(world: World) -> set[int]:
        dice = Dice(world, 1, 1)
        return {int(dice.span(0, 11)) for _ in range(500)}

    assert drawn(TRAINING) | drawn(HELD_OUT) == set(range(11))
    assert not drawn(TRAINING) & drawn(HELD_OUT)


def test_layouts_that_are_called_unfamiliar_are_in_no_training_set() -> None:
    familiar = {draw for families in FAMILIES.values() for draw, _ in families}
    unfamiliar = {draw for families in UNFAMILIAR_FAMILIES.values() for draw, _ in families}
    assert set(FAMILIES) == set(UNFAMILIAR_FAMILIES) == set(KINDS) - {"none"}
    assert not familiar & unfamiliar


@pytest.mark.parametrize("name", [*TRAINING.photographs, *HELD_OUT.photographs])
def test_every_photograph_is_on_disk(name: str) -> None:
    assert min(photograph(name).size) >= 100


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world", [TRAINING, HELD_OUT, UNFAMILIAR], ids=lambda world: world.name)
def test_every_corner_lies_in_the_photograph_clockwise(world: World, kind: str) -> None:
    for number in range(12):
        scene = compose(Dice(world, 5, number), kind)
        if kind == "none":
            assert scene.corners is None
            continue
        assert scene.corners is not None
        assert (scene.corners >= -1e-6).all()
        assert (scene.corners <= np.array(scene.image.size) + 1e-6).all()
        following = np.roll(scene.corners, -1, axis=0)
        area = (scene.corners[:, 0] * following[:, 1] - following[:, 0] * scene.corners[:, 1]).sum() / 2
        assert area > 0.03 * scene.image.width * scene.image.height


def test_a_homography_takes_a_rectangle_to_its_corners_and_back() -> None:
    source = rectangle(0, 0, 460, 290)
    target = np.array([[31.0, 20.0], [300.0, 44.0], [280.0, 250.0], [12.0, 199.0]])
    forward = homography(source, target)
    assert project(forward, source) == pytest.approx(target)
    backward = np.linalg.inv(forward).astype(np.float64)
    assert project(backward, target) == pytest.approx(source, abs=1e-6)


@pytest.mark.parametrize("size", [(400, 300), (300, 400), (128, 128), (4000, 250)])
def test_a_letterbox_maps_points_there_and_back(size: tuple[int, int]) -> None:
    box = Letterbox.around(*size)
    points = np.array([[0.0, 0.0], [size[0], 0.0], [size[0] / 3, size[1] / 2], [size[0], size[1]]])
    square = box.to_square(points)
    assert ((square >= 0) & (square <= 1)).all()
    assert box.to_image(square) == pytest.approx(points, abs=1e-6)


def test_a_moved_training_image_carries_its_corners_along() -> None:
    marks = np.array([[0.3, 0.35], [0.7, 0.33], [0.72, 0.66], [0.29, 0.68]], dtype=np.float32)
    dots = np.zeros((4, SIDE, SIDE), dtype=np.float32)
    for dot, (x, y) in zip(dots, marks, strict=True):
        ys, xs = np.mgrid[0:SIDE, 0:SIDE] + 0.5
        dot[:] = np.exp(-((xs - x * SIDE) ** 2 + (ys - y * SIDE) ** 2) / 8)
    images, corners = torch.from_numpy(dots)[None].repeat(16, 1, 1, 1), torch.from_numpy(marks)[None].repeat(16, 1, 1)
    moved, carried = move(images, corners, torch.Generator().manual_seed(1))
    weights = moved / moved.sum(dim=(2, 3), keepdim=True)
    places = (torch.arange(SIDE) + 0.5) / SIDE
    seen = torch.stack([(weights.sum(2) * places).sum(-1), (weights.sum(3) * places).sum(-1)], dim=-1)
    assert not torch.allclose(carried, corners)
    assert torch.allclose(seen, carried, atol=0.003)


def test_the_samples_for_users_are_photographs_of_each_kind() -> None:
    folder = Path(__file__).parents[3] / "examples" / "cards"
    names = sorted(path.name for path in folder.glob("*.jpg"))
    assert names == ["bank_card.jpg", "driving_licence.jpg", "id_card.jpg", "no_card.jpg", "passport.jpg"]
    for name in names:
        with Image.open(folder / name) as image:
            assert image.format == "JPEG"
            assert max(image.size) >= 300
