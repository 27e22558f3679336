"""Draw sample photographs to try the detector with: ``python -m model.builtin.render OUTDIR``.

One of each kind and one without a card, of invented people, with the truth beside them in ``truth.json``. Only
photographs that are free of any restriction (CC0 or public domain) lie behind the cards, so the samples may be shared.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from model.builtin.card import KINDS
from model.builtin.drawing.dice import HELD_OUT, Dice
from model.builtin.drawing.scene import Scene, compose

#: The held-out world, so that no sample was ever trained on, with the free ones among its photographs.
SHOWN: Final = replace(HELD_OUT, name="shown", photographs=("chelsea.png", "gravel.png", "rocket.jpg"))


def jpeg_of(scene: Scene, quality: int = 88) -> bytes:
    """A scene as a camera would send it."""
    buffer = io.BytesIO()
    scene.image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def truth_of(scene: Scene) -> dict[str, Any]:
    corners = None if scene.corners is None else scene.corners.round(1).tolist()
    return {"class": scene.kind, "width": scene.image.width, "height": scene.image.height, "corners": corners}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=119, show_default=True)
def main(folder: Path, seed: int) -> None:
    """Write one sample of each kind, and the truth about them, into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    truths = {}
    for number, kind in enumerate(KINDS):
        scene = compose(Dice(SHOWN, seed, number), kind)
        name = "no_card.jpg" if kind == "none" else f"{kind}.jpg"
        (folder / name).write_bytes(jpeg_of(scene))
        truths[name] = truth_of(scene)
    (folder / "truth.json").write_text(json.dumps(truths, indent=1) + "\n")
    click.echo(f"{len(truths)} samples in {folder}")


if __name__ == "__main__":
    main()
