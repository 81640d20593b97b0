"""Scenes on disk: JPEG images and their objects in COCO form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.export.builtin.scenes.figures import CLASSES
from edgekit.export.builtin.scenes.scene import Scene, draw_scene

__all__ = ["SEEDS", "write_scenes"]

# Data sets draw from the seeds below this number, training from those at and above it.
SEEDS = 2**32
_COUNT = 300
_CALIBRATION = 100
# Seeds of a data set's two parts: each --seed has its own range.
_APART = 2**20
_QUALITY = 95


def write_scenes(folder: Path, count: int | None, seed: int | None) -> dict[str, int]:
    """Write scenes and instances.json into an existing folder.

    Args:
        folder: Receives `images/` and `instances.json`.
        count: Scenes that score; None means 300. 100 more are there to calibrate.
        seed: Another seed, other scenes; None means 0.

    Returns:
        Number of images by role, "calib" and "eval".

    Raises:
        BadInput: More scenes or a larger seed than there are.
    """
    count, seed = _COUNT if count is None else count, seed or 0
    most, last = _APART // 2, SEEDS // _APART - 1
    if count > most:
        raise BadInput(f"At most {most} scenes are drawn, not {count}.", hint="Lower -n.")
    if seed > last:
        raise BadInput(f"The seed of scenes is at most {last}, not {seed}.", hint="Lower --seed.")
    (folder / "images").mkdir()
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    roles = {"calib": _CALIBRATION, "eval": count}
    for role, number in roles.items():
        first = seed * _APART + (most if role == "calib" else 0)
        for index in range(number):
            scene = draw_scene(first + index)
            name = f"{role}-{index:06d}.jpg"
            _write_image(folder / "images" / name, scene)
            height, width = scene.image.shape[:2]
            size = {"width": width, "height": height}
            images.append({"id": len(images) + 1, "file_name": name, **size, "role": role})
            objects += _annotations(scene, len(images), len(objects))
    categories = [{"id": index, "name": name} for index, name in enumerate(CLASSES)]
    content = {"images": images, "annotations": objects, "categories": categories}
    write_bytes(folder / "instances.json", msgspec.json.encode(content))
    return roles


def _write_image(path: Path, scene: Scene) -> None:
    fits, content = cv2.imencode(".jpg", scene.image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    assert fits
    write_bytes(path, content.tobytes())


def _annotations(scene: Scene, image: int, before: int) -> list[dict[str, Any]]:
    """One annotation an object, as COCO has them; ids begin after `before`."""
    return [
        {
            "id": before + number,
            "image_id": image,
            "category_id": int(index),
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
            "area": float(area),
            "iscrowd": 0,
        }
        for number, ((x1, y1, x2, y2), index, area) in enumerate(
            zip(scene.boxes, scene.classes, scene.areas, strict=True), start=1
        )
    ]
