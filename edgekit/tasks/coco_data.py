"""Detection data sets in COCO form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.json_text import read_json
from edgekit.core.opening import TABLE_BYTES, no_file, placed
from edgekit.core.texts import shown
from edgekit.tasks.class_names import match_classes
from edgekit.tasks.images import LINK
from edgekit.tasks.samples import FoundSamples, Sample, make_boxes, sample_id

__all__ = ["read_coco"]


# Wider than any image: a box beyond that is no box, and would not fit a float32.
_PIXELS = 1e7


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    role: Literal["calib", "eval"] | None = None


class _Annotation(msgspec.Struct):
    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: int = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _Coco(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


# Outlines are nine tenths of a file, and a detector has no use for them.
_KEYS = frozenset(
    field
    for record in (_Image, _Annotation, _Category, _Coco)
    for field in record.__struct_fields__
)


def read_coco(folder: Path, card: ModelCard) -> FoundSamples | None:
    """Read instances.json (or the one annotations/instances*.json) and its images.

    Only the images that it lists are samples. Their files lie in `images/` or in the folder itself.
    Categories are the card's labels by name, else by the order of their ids. An image may name its
    `role`, "calib" or "eval", which COCO does not know.

    Raises:
        BadInput: The file is not of that form (names the key), an image file is missing, or an
            annotation names an image or a category that is not there.
    """
    path = _find(folder)
    if path is None:
        return None
    content = read_json(path, _Coco, limit=TABLE_BYTES, only=_KEYS)
    categories = sorted(content.categories, key=lambda each: each.id)
    indices, note = match_classes([each.name for each in categories], card.labels, str(path))
    index_of = {each.id: index for each, index in zip(categories, indices, strict=True)}
    if len(index_of) < len(categories):
        raise BadInput(f"{path} has two categories of one id.")
    objects: dict[int | str, list[_Annotation]] = {image.id: [] for image in content.images}
    if len(objects) < len(content.images):
        raise BadInput(f"{path} has two images of one id.")
    for number, annotation in enumerate(content.annotations):
        if annotation.image_id not in objects:
            raise BadInput(
                f"{path}: annotation {number} belongs to image "
                f"{shown(annotation.image_id)}, which `images` does not list."
            )
        if annotation.category_id not in index_of:
            raise BadInput(
                f"{path}: annotation {number} has category {annotation.category_id}, which "
                "`categories` does not list."
            )
        if min(annotation.bbox[2:]) < 0 or max(map(abs, annotation.bbox)) > _PIXELS:
            raise BadInput(f"{path}: annotation {number} has a box that lies in no image.")
        if annotation.area is not None and not 0 <= annotation.area <= _PIXELS**2:
            raise BadInput(f"{path}: annotation {number} has an area that no image has.")
        objects[annotation.image_id].append(annotation)
    samples = []
    for image in content.images:
        file = _image_file(folder, image.file_name, path)
        found = objects[image.id]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (each.bbox for each in found)]
        truth = make_boxes(
            corners,
            [index_of[each.category_id] for each in found],
            [each.bbox[2] * each.bbox[3] if each.area is None else each.area for each in found],
            [bool(each.iscrowd) for each in found],
        )
        samples.append(Sample(sample_id(file, folder), file, truth, role=image.role))
    return FoundSamples("coco", tuple(samples), True, (path,), (note,) if note else ())


def _find(folder: Path) -> Path | None:
    own = folder / "instances.json"
    if os.path.lexists(own):
        return own
    found = sorted((folder / "annotations").glob("instances*.json"))
    if len(found) > 1:
        raise BadInput(
            f"{folder / 'annotations'} holds several instances files: "
            f"{', '.join(each.name for each in found)}.",
            hint="Put the one to use beside `images/` as instances.json.",
        )
    return found[0] if found else None


def _image_file(folder: Path, name: str, annotations: Path) -> Path:
    place = placed(name, folder, f"{annotations}: `images`", links=True, hint=LINK)
    for path in (folder / "images" / name, place):
        missing = no_file(path)
        if not missing:
            return path
    raise BadInput(f"{annotations} lists the image {shown(name)}, which {missing} (in {folder}).")
